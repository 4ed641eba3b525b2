//! The log of a deployment on this disk: what a restarted worker sends that its predecessor could not.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::model::Fence;

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
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    file.set_len(skip + bytes.len() as u64).ok()?;
    Some((before.base, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_worker_sends_what_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |fence, base, held_since| {
            Spool::open(folder.path(), Header { fence: Fence(fence), base }, Fence(held_since))
        };
        let (mut spool, unsent) = open(1, 100, 1);
        assert!(unsent.is_empty());
        spool.append(b"first\nsecond\ncut o");
        let (mut spool, unsent) = open(2, 106, 1);
        assert_eq!(unsent, b"second\n", "what the server has is not sent again, a torn line is dropped");
        spool.append(b"third\n");
        assert_eq!(open(4, 106, 1).1, b"second\nthird\n", "a hand-out that never began loses nothing");
        assert!(open(6, 106, 5).1.is_empty(), "another machine had it in between");
    }
}
