//! The log of a deployment on this disk: what a restarted worker sends that its predecessor could not.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::model::{Fence, LogLine};

/// Where the spool's first byte stands in the whole log, and of which hand-out it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) fence: Fence,
    pub(super) base: u64,
}

/// The spool of one hand-out; best effort, for the server gets every line all the same.
#[derive(Debug)]
pub(super) struct Spool {
    file: Option<fs_err::File>,
}

impl Spool {
    /// Continues the spool that is there when this machine has held the deployment without a break since it was
    /// begun, and answers what it holds beyond the server's log. Else begins anew.
    pub(super) fn open(folder: &Path, now: Header, held_since: Fence) -> (Self, Vec<u8>) {
        match try_open(folder, now, held_since) {
            Ok((file, unsent)) => (Self { file: Some(file) }, unsent),
            Err(error) => {
                tell(&error);
                (Self { file: None }, Vec::new())
            }
        }
    }

    /// Appends whole lines.
    pub(super) fn append(&mut self, lines: &[u8]) {
        if let Some(Err(error)) = self.file.as_mut().map(|file| file.write_all(lines)) {
            tell(&error);
            self.file = None;
        }
    }
}

fn tell(error: &std::io::Error) {
    tracing::warn!(error = %error, "the log cannot be spooled to disk; it is kept in memory until it is sent");
}

fn try_open(folder: &Path, now: Header, held_since: Fence) -> std::io::Result<(fs_err::File, Vec<u8>)> {
    let paths = (folder.join("log.json"), folder.join("log"));
    if let Some((base, unsent)) = unsent_of_before(&paths, now, held_since) {
        let spool = fs_err::OpenOptions::new().append(true).open(&paths.1)?;
        fs_err::write(&paths.0, serde_json::to_vec(&Header { fence: now.fence, base })?)?;
        return Ok((spool, unsent));
    }
    let spool = fs_err::File::create(&paths.1)?;
    fs_err::write(&paths.0, serde_json::to_vec(&now)?)?;
    Ok((spool, Vec::new()))
}

/// Where the spool of a hand-out before begins, and what it holds beyond the server's log; a line cut off by a crash is
/// dropped.
fn unsent_of_before(
    (header, spool): &(PathBuf, PathBuf),
    now: Header,
    held_since: Fence,
) -> Option<(u64, Vec<u8>)> {
    let before: Header = serde_json::from_slice(&fs_err::read(header).ok()?).ok()?;
    if before.fence < held_since {
        return None;
    }
    let skip = now.base.checked_sub(before.base)?;
    let mut file = fs_err::OpenOptions::new().read(true).write(true).open(spool).ok()?;
    if file.metadata().ok()?.len() < skip {
        return None;
    }
    file.seek(SeekFrom::Start(skip)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let whole = sound_lines(&bytes);
    bytes.truncate(whole);
    file.set_len(skip + whole as u64).ok()?;
    Some((before.base, bytes))
}

/// How many bytes of whole, sound lines there are before the first that a crash or a power cut spoilt.
fn sound_lines(bytes: &[u8]) -> usize {
    let is_sound = |line: &&[u8]| line.ends_with(b"\n") && serde_json::from_slice::<LogLine>(line).is_ok();
    bytes.split_inclusive(|byte| *byte == b'\n').take_while(is_sound).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<u8> {
        let time = jiff::Timestamp::UNIX_EPOCH;
        LogLine { time, level: crate::model::Level::Info, text: text.to_owned() }.to_bytes()
    }

    #[test]
    fn a_restarted_worker_sends_what_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |fence, base, held_since| {
            Spool::open(folder.path(), Header { fence: Fence(fence), base }, Fence(held_since))
        };
        let (first, second, third) = (line("first"), line("second"), line("third"));
        let (mut spool, unsent) = open(1, 100, 1);
        assert!(unsent.is_empty());
        spool.append(&[&first[..], &second, &third[..5]].concat());
        let held = 100 + first.len() as u64;
        let (mut spool, unsent) = open(2, held, 1);
        assert_eq!(unsent, second, "what the server has is not sent again, a torn line is dropped");
        spool.append(&third);
        assert_eq!(open(4, held, 1).1, [second, third].concat(), "a hand-out that never began loses nothing");
        assert!(open(6, held, 5).1.is_empty(), "another machine had it in between");
    }

    #[test]
    fn what_a_power_cut_spoilt_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |fence| Spool::open(folder.path(), Header { fence: Fence(fence), base: 0 }, Fence(1));
        let (mut spool, _) = open(1);
        spool.append(&[&line("good")[..], &[0; 40], b"\n"].concat());
        assert_eq!(open(2).1, line("good"));
    }
}
