//! The log of a deployment on this disk: what is sent is read from here, so that no log is held in memory, however long it
//! is and however long the server is away; and a restarted worker sends what its predecessor could not.
//!
//! Of a log that is longer than its limit the first half is sent as it comes. What follows is kept as a tail until the end
//! is written, for the end says what failed.

mod content;
mod piece;
mod tail;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use self::content::Content;
use crate::{model::Fence, protocol::MAX_LOG_CHUNK};

/// How much of a log memory holds that the disk does not take.
const MEMORY: u64 = 1 << 20;

/// The hand-out whose log it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandOut {
    pub(super) fence: Fence,
    /// Where the server's log ends.
    pub(super) offset: u64,
    /// The first hand-out since which this machine alone had the deployment.
    pub(super) held_since: Fence,
    /// Which deployment of its number it is, where the server says that.
    pub(super) created_ms: Option<i64>,
    /// How long the whole log may be.
    pub(super) limit: Option<u64>,
}

/// The log of one hand-out from where the server's log ended when it began. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    content: Mutex<Content>,
    changed: Notify,
}

/// How much there is to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) length: u64,
    /// Nothing more comes.
    pub(super) is_closed: bool,
}

impl Spool {
    /// Continues the spool that is there when this machine has held the deployment without a break since it was
    /// begun, from what it holds beyond the server's log. Else begins anew.
    pub(super) fn open(folder: &Path, hand_out: HandOut) -> Self {
        let content = Content::open(folder, hand_out);
        Self(Arc::new(Shared { content: Mutex::new(content), changed: Notify::new() }))
    }

    /// Appends a whole line.
    pub(super) fn append(&self, line: &[u8]) {
        self.content().append(line);
        self.0.changed.notify_one();
    }

    /// Everything is written.
    pub(super) fn close(&self) {
        self.content().close();
        self.0.changed.notify_one();
    }

    pub(super) fn extent(&self) -> Extent {
        let content = self.content();
        Extent { length: content.length, is_closed: content.is_closed }
    }

    /// Waits until there is more than when this was last waited for. For one who waits.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The bytes from this place on, at most so many.
    pub(super) fn read(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        piece::read(&self.content().pieces, from, most)
    }

    /// The most whole lines from this place on that fit into one chunk.
    pub(super) fn chunk(&self, from: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.read(from, MAX_LOG_CHUNK)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Puts a line in the place of so many bytes.
    pub(super) fn replace(&self, from: u64, length: u64, line: Vec<u8>) {
        self.content().replace(from, length, line);
    }

    /// Ends the log at this place, whatever is still written.
    pub(super) fn refuse_from(&self, at: u64) {
        self.content().refuse_from(at);
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use jiff::Timestamp;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;
    use crate::model::{Level, LogLine};

    /// Lines of one length.
    pub(super) fn line(number: u64) -> Vec<u8> {
        let time = Timestamp::UNIX_EPOCH;
        LogLine { time, level: Level::Info, text: format!("line {number:06}") }.to_bytes()
    }

    fn open(folder: &Path, fence: u64, offset: u64, held_since: u64, limit: Option<u64>) -> Spool {
        let (fence, held_since) = (Fence(fence), Fence(held_since));
        Spool::open(folder, HandOut { fence, offset, held_since, created_ms: Some(1), limit })
    }

    fn all(spool: &Spool) -> Vec<u8> {
        spool.read(0, usize::MAX).unwrap()
    }

    fn texts(spool: &Spool) -> Vec<String> {
        LogLine::parse_all(&all(spool)).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_restarted_worker_sends_what_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |fence, offset, held_since| open(folder.path(), fence, offset, held_since, None);
        let spool = open(1, 100, 1);
        assert!(all(&spool).is_empty());
        spool.append(&line(1));
        spool.append(&line(2));
        spool.append(&line(3)[..5]);
        let held = 100 + line(1).len() as u64;
        let spool = open(2, held, 1);
        assert_eq!(all(&spool), line(2), "what the server has is not sent again, a torn line is dropped");
        spool.append(&line(3));
        assert_eq!(all(&spool), [line(2), line(3)].concat());
        assert_eq!(all(&open(4, held, 1)), all(&spool), "a hand-out that never began loses nothing");
        assert!(all(&open(6, held, 5)).is_empty(), "another machine had it in between");
        assert!(all(&open(7, held + 1000, 5)).is_empty(), "the server has more than this disk");
    }

    #[test]
    fn what_a_forgotten_deployment_of_the_same_number_left_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |created_ms| {
            let (fence, held_since) = (Fence(1), Fence(1));
            Spool::open(folder.path(), HandOut { fence, offset: 0, held_since, created_ms, limit: None })
        };
        open(Some(5)).append(&line(1));
        assert_eq!(all(&open(Some(5))), line(1));
        assert_eq!(all(&open(None)), line(1), "a server that does not say it is taken at its word");
        assert_eq!(all(&open(Some(5))), line(1));
        let next = open(Some(6));
        assert!(all(&next).is_empty());
        next.append(&line(2));
        assert_eq!(all(&open(Some(6))), line(2));
    }

    #[test]
    fn what_a_power_cut_spoilt_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1, 0, 1, None);
        spool.append(&[&line(1)[..], &[0; 40], b"\n"].concat());
        assert_eq!(all(&open(folder.path(), 2, 0, 1, None)), line(1));
        fs_err::write(folder.path().join("log.json"), [0; 40]).unwrap();
        assert!(all(&open(folder.path(), 3, 0, 1, None)).is_empty());
    }

    /// Checks a log of `count` lines with a limit of ten lines: the first half, a word, what is left out, the end.
    fn assert_limited(spool: &Spool, count: u64, head: u64) {
        let texts = texts(spool);
        let number = |text: &str| text.strip_prefix("line ").and_then(|text| text.parse::<u64>().ok());
        let shown: Vec<u64> = texts.iter().filter_map(|text| number(text)).collect();
        let tail: Vec<u64> = shown.iter().copied().filter(|number| *number >= head).collect();
        assert_eq!(shown[..usize::try_from(head).unwrap()], (0..head).collect::<Vec<_>>());
        assert_eq!(tail.last(), Some(&(count - 1)), "{texts:?}");
        let first = *tail.first().unwrap();
        assert_eq!(tail, (first..count).collect::<Vec<_>>(), "{texts:?}");
        let left_out = first - head;
        let words = format!(
            "{left_out} lines ({} bytes) of the log are left out here: it is over its limit",
            left_out * line(0).len() as u64
        );
        assert_eq!(texts.iter().filter(|text| text.contains("are left out here")).count(), 1, "{texts:?}");
        assert!(texts.contains(&words), "{words} of {texts:?}");
        assert_eq!(texts.iter().filter(|text| text.contains("has reached half of its limit")).count(), 1);
    }

    #[test]
    fn a_log_over_its_limit_keeps_its_beginning_and_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let limit = line(0).len() as u64 * 100;
        let spool = open(folder.path(), 1, 0, 1, Some(limit));
        for number in 0..1000 {
            spool.append(&line(number));
        }
        let before = texts(&spool);
        assert_eq!(before.len(), 51, "half of it and a word are sent as they come");
        assert!(before[50].starts_with("the log has reached half of its limit of "), "{}", before[50]);
        spool.close();
        assert_limited(&spool, 1000, 50);
        // Two of its lines are ours.
        assert!(spool.extent().length <= limit + 400, "{}", spool.extent().length);
        assert!(spool.extent().is_closed);
        spool.append(&line(1000));
        assert_limited(&spool, 1000, 50);
    }

    #[test]
    fn a_log_within_its_limit_is_sent_whole() {
        let folder = tempfile::tempdir().unwrap();
        let limit = line(0).len() as u64 * 100;
        let spool = open(folder.path(), 1, 0, 1, Some(limit));
        let expected: Vec<u8> = (0..90).flat_map(line).collect();
        for number in 0..90 {
            spool.append(&line(number));
        }
        spool.close();
        let notice = texts(&spool).remove(50);
        assert!(notice.contains("has reached half"), "{notice}");
        let without: Vec<u8> = all(&spool)
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| !String::from_utf8_lossy(line).contains("has reached half"))
            .flatten()
            .copied()
            .collect();
        assert!(without == expected);
    }

    #[test]
    fn a_killed_worker_is_gone_on_for_wherever_it_was() {
        let limit = line(0).len() as u64 * 100;
        // Where it was killed: in the first half, in the second, when some was dropped already.
        for killed_at in [10, 60, 130, 700] {
            // Where the server's log ended then, which is after whole lines.
            for sent in [0, 10] {
                let folder = tempfile::tempdir().unwrap();
                let spool = open(folder.path(), 1, 0, 1, Some(limit));
                for number in 0..killed_at {
                    spool.append(&line(number));
                }
                drop(spool);
                let offset = sent * line(0).len() as u64;
                let spool = open(folder.path(), 2, offset, 1, Some(limit));
                for number in killed_at..1000 {
                    spool.append(&line(number));
                }
                spool.close();
                let sent: Vec<u8> = (0..sent).flat_map(line).collect();
                let whole = [sent, all(&spool)].concat();
                spool.replace(0, spool.extent().length, whole);
                assert_limited(&spool, 1000, 50);
            }
        }
    }

    #[test]
    fn an_end_that_was_on_its_way_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let limit = line(0).len() as u64 * 100;
        let spool = open(folder.path(), 1, 0, 1, Some(limit));
        for number in 0..1000 {
            spool.append(&line(number));
        }
        spool.close();
        let before = all(&spool);
        drop(spool);
        // Some of the end had arrived; twice, as if the process that went on with it was killed too.
        let sent = before.len() - line(0).len() * 3;
        for fence in [2, 3] {
            let spool = open(folder.path(), fence, sent as u64, 1, Some(limit));
            assert!(all(&spool) == before[sent..], "{fence}");
        }
        let spool = open(folder.path(), 4, sent as u64, 1, Some(limit));
        for number in 2000..2100 {
            spool.append(&line(number));
        }
        spool.close();
        let texts = texts(&spool);
        assert_eq!(texts[2], "line 000999");
        assert!(texts[3].contains("has reached half") && texts[4].contains("are left out here"), "{texts:?}");
        assert_eq!(texts.last().unwrap(), "line 002099");
        assert!(texts.len() < 30, "{texts:?}");
    }

    #[test]
    fn another_machine_heeds_what_the_log_has_already() {
        let folder = tempfile::tempdir().unwrap();
        let limit = line(0).len() as u64 * 100;
        let spool = open(folder.path(), 2, limit, 2, Some(limit));
        for number in 0..100 {
            spool.append(&line(number));
        }
        spool.close();
        let texts = texts(&spool);
        assert!(texts[0].contains("has reached half") && texts[1].contains("are left out here"), "{texts:?}");
        assert_eq!((texts.last().unwrap().as_str(), texts.len()), ("line 000099", 14));
    }

    #[test]
    fn where_the_disk_takes_nothing_memory_keeps_a_part_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(&folder.path().join("gone"), 1, 0, 1, None);
        for number in 0..100_000 {
            spool.append(&line(number));
        }
        spool.close();
        let texts = texts(&spool);
        assert!(texts[0].starts_with("the worker's disk does not take the log ("), "{}", texts[0]);
        assert!(texts.iter().any(|text| text == "the log is too long for the worker's memory: what follows is shown when the deployment ends, as far as its end is kept"));
        assert!(
            texts.iter().any(|text| text.ends_with("of the log are left out here: it is over its limit"))
        );
        assert_eq!((texts[1].as_str(), texts.last().unwrap().as_str()), ("line 000000", "line 099999"));
        assert!(spool.extent().length <= MEMORY * 2 + 1000, "{}", spool.extent().length);
    }

    #[test]
    fn a_part_is_replaced_and_the_rest_refused() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1, 0, 1, None);
        for number in 0..5 {
            spool.append(&line(number));
        }
        let one = line(0).len() as u64;
        spool.replace(one, 2 * one, b"instead\n".to_vec());
        spool.append(&line(5));
        let expected = [line(0), b"instead\n".to_vec(), line(3), line(4), line(5)].concat();
        assert_eq!(all(&spool), expected);
        assert_eq!(spool.extent().length, expected.len() as u64);
        spool.refuse_from(one + 8);
        spool.append(&line(6));
        spool.close();
        assert_eq!(all(&spool), [&line(0)[..], b"instead\n"].concat());
        assert!(all(&open(folder.path(), 2, one, 1, None)).is_empty(), "what was refused is not sent again");
    }

    /// Puts a file in the place of the spool's that holds what it holds and can be made to take no more, as on a full
    /// disk.
    fn full(folder: &Path) -> OwnedFd {
        let file = memfd_create("log", MemfdFlags::ALLOW_SEALING).unwrap();
        let log = folder.join("log");
        let there = fs_err::read(&log).unwrap_or_default();
        let _ = fs_err::remove_file(&log);
        let place = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        fs_err::os::unix::fs::symlink(place, &log).unwrap();
        fs_err::write(&log, there).unwrap();
        file
    }

    /// Now it takes no more.
    fn fill(file: &OwnedFd) {
        fcntl_add_seals(file, SealFlags::GROW).unwrap();
    }

    /// The disk is as it should be again.
    fn mend(folder: &Path) {
        let there = fs_err::read(folder.join("log")).unwrap();
        fs_err::remove_file(folder.join("log")).unwrap();
        fs_err::write(folder.join("log"), there).unwrap();
    }

    #[test]
    fn an_end_that_a_full_disk_does_not_take_is_sent_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let limit = line(0).len() as u64 * 100;
        let spool = open(folder.path(), 1, 0, 1, Some(limit));
        for number in 0..1000 {
            spool.append(&line(number));
        }
        spool.close();
        let before = all(&spool);
        drop(spool);
        let file = full(folder.path());
        fill(&file);
        // From within the first half, and from within the end.
        for (fence, sent) in [(2, line(0).len() * 10), (3, before.len() - line(0).len() * 3)] {
            let spool = open(folder.path(), fence, sent as u64, 1, Some(limit));
            for number in 2000..2100 {
                spool.append(&line(number));
            }
            spool.close();
            let now = all(&spool);
            assert!(now.starts_with(&before[sent..]), "{:?}", texts(&spool));
            let after = LogLine::parse_all(&now[before.len() - sent..]);
            assert!(after[0].text.contains("the worker's disk does not take the log"), "{after:?}");
            assert_eq!(after.last().unwrap().text, "line 002099");
        }
        mend(folder.path());
        let sent = line(0).len() * 20;
        assert!(all(&open(folder.path(), 4, sent as u64, 1, Some(limit))) == before[sent..]);
    }

    #[test]
    fn what_is_not_on_the_disk_is_not_gone_on_with_as_if_it_were() {
        let limit = line(0).len() as u64 * 100;
        let one = line(0).len() as u64;
        // A line replaced; lines that memory took.
        for is_replaced in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let spool = open(folder.path(), 1, 0, 1, Some(limit));
            let file = (!is_replaced).then(|| full(folder.path()));
            drop(spool);
            let spool = open(folder.path(), 2, 0, 1, Some(limit));
            for number in 0..10 {
                spool.append(&line(number));
            }
            if let Some(file) = &file {
                fill(file);
            } else {
                spool.replace(0, 2 * one, line(5000));
            }
            for number in 10..1000 {
                spool.append(&line(number));
            }
            spool.close();
            let sent = all(&spool);
            drop(spool);
            if file.is_some() {
                mend(folder.path());
            }
            assert!(sent.len() as u64 > 60 * one);
            // It had sent so much of it.
            let spool = open(folder.path(), 3, 10 * one, 1, Some(limit));
            assert_eq!(texts(&spool), Vec::<String>::new(), "{is_replaced}");
        }
    }

    #[test]
    fn chunks_end_with_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path(), 1, 0, 1, None);
        for number in 0..10_000 {
            spool.append(&line(number));
        }
        let (mut at, mut read) = (0, Vec::new());
        while at < spool.extent().length {
            let chunk = spool.chunk(at).unwrap();
            assert!(chunk.len() <= MAX_LOG_CHUNK && chunk.ends_with(b"\n"));
            at += chunk.len() as u64;
            read.extend(chunk);
        }
        assert!(read == all(&spool));
    }
}
