//! The log of a deployment on this disk: what is sent is read from here, so that no log is held in memory, however long it
//! is and however long the server is away; and a restarted worker sends what its predecessor could not.
//!
//! Of a log that is longer than its limit the first half is sent as it comes. What follows is kept as a [`Tail`] until
//! the end is written, for the end says what failed.

mod piece;
mod tail;

use std::{
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fs_err::{File, os::unix::fs::FileExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::{
    piece::Piece,
    tail::{Count, End, Kept, Tail},
};
use crate::{
    deploy::bytes,
    model::{Fence, Level, LogLine},
    protocol::MAX_LOG_CHUNK,
};

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

/// What the next process has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    fence: Fence,
    /// Where the file's first byte stands in the whole log.
    base: u64,
    /// There since the log is over half of its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tail: Option<Kept>,
    /// There since the end is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
}

/// How a log that is over its limit ends: its file, a line, and the tail.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ending {
    file_length: u64,
    line: String,
    skip: u64,
}

#[derive(Debug)]
struct Content {
    folder: PathBuf,
    header: Header,
    hand_out: HandOut,
    pieces: Vec<Piece>,
    length: u64,
    /// None once the disk did not take a line.
    file: Option<Arc<File>>,
    file_length: u64,
    in_memory: u64,
    /// It says of itself that the disk does not take it.
    has_told: bool,
    tail: Option<Tail>,
    is_closed: bool,
    /// Nothing more is taken.
    is_refused: bool,
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

impl Content {
    fn open(folder: &Path, hand_out: HandOut) -> Self {
        let header = Header { fence: hand_out.fence, base: hand_out.offset, tail: None, ending: None };
        let mut content = Self {
            folder: folder.to_owned(),
            header,
            hand_out,
            pieces: Vec::new(),
            length: 0,
            file: None,
            file_length: 0,
            in_memory: 0,
            has_told: false,
            tail: None,
            is_closed: false,
            is_refused: false,
        };
        match content.go_on() {
            Ok(Some(())) => {}
            // What cannot be read is not continued.
            Ok(None) | Err(_) => {
                if let Err(error) = content.begin() {
                    content.file = None;
                    content.tell(&error);
                }
            }
        }
        content
    }

    fn begin(&mut self) -> io::Result<()> {
        remove_tail(&self.folder);
        (self.pieces, self.length, self.file_length, self.tail) = (Vec::new(), 0, 0, None);
        let path = self.folder.join("log");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        self.file = Some(Arc::new(file));
        self.header = Header { base: self.hand_out.offset, tail: None, ending: None, ..self.header };
        self.save()
    }

    /// Goes on with what a hand-out before left, where there is such; a line cut off by a crash is dropped.
    fn go_on(&mut self) -> io::Result<Option<()>> {
        let found = fs_err::read(self.header_path())?;
        let Ok(before) = serde_json::from_slice::<Header>(&found) else { return Ok(None) };
        let Some(skip) = self.hand_out.offset.checked_sub(before.base) else { return Ok(None) };
        if before.fence < self.hand_out.held_since {
            return Ok(None);
        }
        let file = File::options().read(true).write(true).open(self.folder.join("log"))?;
        self.header =
            Header { fence: self.hand_out.fence, tail: before.tail, ending: None, base: before.base };
        if let Some(ending) = before.ending {
            // Its end was on its way. What this hand-out writes comes after it.
            write_out(&file, &self.folder, &ending, before.tail.unwrap_or_default())?;
            self.header.tail = None;
        }
        if file.metadata()?.len() < skip {
            return Ok(None);
        }
        let length = whole_lines(&file, skip)?.bytes;
        file.set_len(skip + length)?;
        let file = Arc::new(file);
        self.pieces.extend((length > 0).then(|| Piece::File { file: Arc::clone(&file), from: skip, length }));
        (self.length, self.file_length, self.file) = (length, skip + length, Some(file));
        if let Some(kept) = self.header.tail {
            self.tail = Some(Tail::recover(&self.folder, self.room(), kept)?);
        }
        self.save()?;
        if self.tail.is_none() {
            remove_tail(&self.folder);
        }
        Ok(Some(()))
    }

    fn append(&mut self, line: &[u8]) {
        if self.is_closed || self.is_refused {
            return;
        }
        if self.tail.is_none() && self.is_full(line.len() as u64) {
            self.begin_tail();
        }
        let Some(tail) = &mut self.tail else { return self.append_here(line) };
        let mut taken = tail.append(line);
        if let Some(error) = taken.failed.take()
            && !std::mem::replace(&mut self.has_told, true)
        {
            let more = tail.append(&memory_line(&error));
            taken.dropped = taken.dropped.or(more.dropped);
        }
        if let Some(dropped) = taken.dropped {
            self.save_or_warn();
            // Where it was in memory there is none.
            let _ = fs_err::remove_file(dropped);
        }
    }

    /// Whether so much more is too much for the half that is sent as it comes.
    fn is_full(&self, more: u64) -> bool {
        let end = self.hand_out.offset + self.length + more;
        self.hand_out.limit.is_some_and(|limit| end > limit / 2) || self.in_memory + more > MEMORY
    }

    /// How long the end may be. A log that several hand-outs made so long gets a little more for each one's end.
    fn room(&self) -> u64 {
        let end = self.header.base + self.file_length;
        self.hand_out.limit.map_or(MEMORY, |limit| limit.saturating_sub(end).max(limit / 8))
    }

    fn begin_tail(&mut self) {
        let tail = Tail::new(&self.folder, self.room());
        let why = match self.hand_out.limit {
            Some(limit) if self.in_memory == 0 => {
                format!("has reached half of its limit of {}", bytes(limit))
            }
            _ => "is too long for the worker's memory".to_owned(),
        };
        let text = format!(
            "the log {why}: what follows is shown when the deployment ends, as far as its end is kept"
        );
        self.append_here(&line_of(Level::Warning, text));
        self.header.tail = Some(tail.kept());
        self.tail = Some(tail);
        self.save_or_warn();
    }

    fn append_here(&mut self, line: &[u8]) {
        let length = line.len() as u64;
        if let Some(file) = &self.file {
            match file.write_all_at(line, self.file_length) {
                Ok(()) => {
                    match self.pieces.last_mut() {
                        Some(Piece::File { file: last, from, length: held })
                            if Arc::ptr_eq(last, file) && *from + *held == self.file_length =>
                        {
                            *held += length;
                        }
                        _ => self.pieces.push(Piece::File {
                            file: Arc::clone(file),
                            from: self.file_length,
                            length,
                        }),
                    }
                    self.file_length += length;
                    self.length += length;
                    return;
                }
                Err(error) => {
                    // Half of the line may be there.
                    let _ = file.set_len(self.file_length);
                    self.file = None;
                    self.tell(&error);
                }
            }
        }
        self.append_text(line);
    }

    fn append_text(&mut self, line: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(line),
            _ => self.pieces.push(Piece::Text(line.to_vec())),
        }
        self.length += line.len() as u64;
        self.in_memory += line.len() as u64;
    }

    /// Says where its users read it that the log may not be whole: a long one does not fit into memory, and a crash would
    /// lose it.
    fn tell(&mut self, error: &io::Error) {
        self.has_told = true;
        self.append_text(&memory_line(error));
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let Some(tail) = self.tail.take() else { return };
        let End { left_out, skip, pieces } = tail.end();
        let mut line = String::new();
        if left_out != Count::default() {
            let Count { lines, bytes } = left_out;
            let text =
                format!("{lines} lines ({bytes} bytes) of the log are left out here: it is over its limit");
            let line_bytes = line_of(Level::Warning, text);
            line = String::from_utf8_lossy(&line_bytes).into_owned();
            self.pieces.push(Piece::Text(line_bytes));
        }
        self.pieces.extend(pieces);
        self.length = self.pieces.iter().map(Piece::length).sum();
        self.header.ending = Some(Ending { file_length: self.file_length, line, skip });
        self.save_or_warn();
    }

    fn replace(&mut self, from: u64, length: u64, line: Vec<u8>) {
        let after = piece::cut(&self.pieces, from + length, self.length);
        self.keep_until(from);
        self.length += line.len() as u64 + after.iter().map(Piece::length).sum::<u64>();
        self.pieces.push(Piece::Text(line));
        self.pieces.extend(after);
    }

    fn refuse_from(&mut self, at: u64) {
        self.is_refused = true;
        self.tail = None;
        self.keep_until(at);
    }

    fn keep_until(&mut self, at: u64) {
        self.pieces = piece::cut(&self.pieces, 0, at);
        self.length = at;
        // What is sent is no longer what is on the disk: nobody is to go on with that.
        let _ = fs_err::remove_file(self.header_path());
    }

    fn header_path(&self) -> PathBuf {
        self.folder.join("log.json")
    }

    fn save_or_warn(&mut self) {
        if let Some(tail) = &self.tail {
            self.header.tail = Some(tail.kept());
        }
        if let Err(error) = self.save() {
            warn(&error);
        }
    }

    /// Whole or not at all: a kill leaves the header before or this one.
    fn save(&self) -> io::Result<()> {
        let new = self.folder.join("log.json.new");
        fs_err::write(&new, serde_json::to_vec(&self.header)?)?;
        fs_err::rename(new, self.header_path())
    }
}

/// Writes the end of a log into its file.
fn write_out(file: &File, folder: &Path, ending: &Ending, kept: Kept) -> io::Result<()> {
    let mut at = ending.file_length;
    if file.metadata()?.len() < at {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    file.write_all_at(ending.line.as_bytes(), at)?;
    at += ending.line.len() as u64;
    let parts = Tail::recover(folder, u64::MAX, kept)?.end().pieces;
    let mut from = ending.skip;
    let length: u64 = parts.iter().map(Piece::length).sum();
    while from < length {
        let block = piece::read(&parts, from, MAX_LOG_CHUNK)?;
        file.write_all_at(&block, at)?;
        at += block.len() as u64;
        from += block.len() as u64;
    }
    // A process before may have been killed here, with a part of the same written.
    file.set_len(at)
}

fn memory_line(error: &io::Error) -> Vec<u8> {
    warn(error);
    let text = format!(
        "the worker's disk does not take the log ({error}): it is kept in memory until it is sent, at most {} of it",
        bytes(MEMORY)
    );
    line_of(Level::Warning, text)
}

fn remove_tail(folder: &Path) {
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("tail.") {
            let _ = fs_err::remove_file(entry.path());
        }
    }
}

fn warn(error: &io::Error) {
    tracing::warn!(error = %error, "the log cannot be spooled to disk; it is kept in memory until it is sent");
}

fn line_of(level: Level, text: String) -> Vec<u8> {
    LogLine { time: Timestamp::now(), level, text }.to_bytes()
}

/// How much of whole, sound lines there is from this place on, before the first that a crash or a power cut spoilt.
fn whole_lines(file: &File, from: u64) -> io::Result<Count> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(from))?;
    let (mut count, mut line) = (Count::default(), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if !line.ends_with(b"\n") || serde_json::from_slice::<LogLine>(&line).is_err() {
            break;
        }
        count += Count { lines: 1, bytes: line.len() as u64 };
        line.clear();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of one length.
    pub(super) fn line(number: u64) -> Vec<u8> {
        let time = Timestamp::UNIX_EPOCH;
        LogLine { time, level: Level::Info, text: format!("line {number:06}") }.to_bytes()
    }

    fn open(folder: &Path, fence: u64, offset: u64, held_since: u64, limit: Option<u64>) -> Spool {
        let (fence, held_since) = (Fence(fence), Fence(held_since));
        Spool::open(folder, HandOut { fence, offset, held_since, limit })
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
