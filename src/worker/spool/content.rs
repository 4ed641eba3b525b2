//! What a spool holds, in its file, in memory and in its tail, and what the next process has to know of it.

use std::{
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use fs_err::{File, os::unix::fs::FileExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    HandOut, MEMORY,
    piece::{self, Piece},
    tail::{Count, End, Kept, Tail},
};
use crate::{
    deploy::bytes,
    model::{Fence, Level, LogLine},
    protocol::MAX_LOG_CHUNK,
};

/// What the next process has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    fence: Fence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_ms: Option<i64>,
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

/// What a spool holds.
#[derive(Debug)]
pub(super) struct Content {
    folder: PathBuf,
    header: Header,
    hand_out: HandOut,
    pub(super) pieces: Vec<Piece>,
    pub(super) length: u64,
    /// None once the disk did not take a line.
    file: Option<Arc<File>>,
    file_length: u64,
    in_memory: u64,
    /// It says of itself that the disk does not take it.
    has_told: bool,
    tail: Option<Tail>,
    /// The number of the next tail's first part: none of an end that is still to be sent from the parts before.
    next_tail: u64,
    pub(super) is_closed: bool,
    /// Nothing more is taken.
    is_refused: bool,
    on_disk: OnDisk,
}

/// How much of what is sent the disk holds as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDisk {
    All,
    /// The header must not say more of it than it does.
    Part,
}

impl Content {
    pub(super) fn open(folder: &Path, hand_out: HandOut) -> Self {
        let HandOut { fence, offset: base, created_ms, .. } = hand_out;
        let header = Header { fence, created_ms, base, tail: None, ending: None };
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
            next_tail: 0,
            is_closed: false,
            is_refused: false,
            on_disk: OnDisk::All,
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
        // First: it says nothing true of what follows.
        let _ = fs_err::remove_file(self.header_path());
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
        // Of another deployment, whose number a database gave twice that lost its last commits.
        if before.created_ms.is_some_and(|before| self.header.created_ms.is_some_and(|own| own != before)) {
            return Ok(None);
        }
        let file = File::options().read(true).write(true).open(self.folder.join("log"))?;
        self.header = Header { base: before.base, tail: before.tail, ending: None, ..self.header };
        if let Some(ending) = before.ending {
            // Its end was on its way. What this hand-out writes comes after it.
            let kept = before.tail.unwrap_or_default();
            let written = write_out(&file, &self.folder, &ending, kept).and_then(|()| {
                self.header.tail = None;
                self.save()
            });
            if let Err(error) = written {
                return self.go_on_where_it_is(file, ending, kept, skip, &error);
            }
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
        // The one before says the same of what is there.
        self.save_or_warn();
        if self.tail.is_none() {
            remove_tail(&self.folder);
        }
        Ok(Some(()))
    }

    /// Goes on with an end that the disk does not take, from the parts that it is in: they are there, and so is the header
    /// that says so, for a process after this one. What this hand-out writes has no place behind them but in memory.
    fn go_on_where_it_is(
        &mut self,
        file: File,
        ending: Ending,
        kept: Kept,
        skip: u64,
        why: &io::Error,
    ) -> io::Result<Option<()>> {
        if file.metadata()?.len() < ending.file_length {
            return Ok(None);
        }
        let tail = Tail::recover(&self.folder, u64::MAX, kept)?;
        self.next_tail = tail.next();
        let parts = tail.end().pieces;
        let mut whole = vec![Piece::File { file: Arc::new(file), from: 0, length: ending.file_length }];
        whole.push(Piece::Text(ending.line.into_bytes()));
        whole.extend(piece::cut(&parts, ending.skip, length_of(&parts)));
        let Some(length) = length_of(&whole).checked_sub(skip) else { return Ok(None) };
        (self.pieces, self.length) = (piece::cut(&whole, skip, skip + length), length);
        self.tell(why);
        Ok(Some(()))
    }

    pub(super) fn append(&mut self, line: &[u8]) {
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
        let end = self.hand_out.offset + self.length;
        self.hand_out.limit.map_or(MEMORY, |limit| limit.saturating_sub(end).max(limit / 8))
    }

    fn begin_tail(&mut self) {
        let tail = Tail::new(&self.folder, self.room(), self.next_tail);
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
        self.on_disk = OnDisk::Part;
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

    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let Some(tail) = self.tail.take() else { return };
        // What comes after a part that memory holds would be sent again in another place.
        if tail.is_in_memory() {
            self.on_disk = OnDisk::Part;
        }
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
        self.length = length_of(&self.pieces);
        self.header.ending = Some(Ending { file_length: self.file_length, line, skip });
        self.save_or_warn();
    }

    pub(super) fn replace(&mut self, from: u64, length: u64, line: Vec<u8>) {
        let after = piece::cut(&self.pieces, from + length, self.length);
        self.keep_until(from);
        self.length += line.len() as u64 + length_of(&after);
        self.pieces.push(Piece::Text(line));
        self.pieces.extend(after);
    }

    pub(super) fn refuse_from(&mut self, at: u64) {
        self.is_refused = true;
        self.tail = None;
        self.keep_until(at);
    }

    fn keep_until(&mut self, at: u64) {
        self.pieces = piece::cut(&self.pieces, 0, at);
        self.length = at;
        // Nobody is to go on with what is on the disk.
        self.on_disk = OnDisk::Part;
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
        if self.on_disk == OnDisk::Part {
            return Ok(());
        }
        let new = self.folder.join("log.json.new");
        fs_err::write(&new, serde_json::to_vec(&self.header)?)?;
        fs_err::rename(new, self.header_path())
    }
}

fn length_of(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::length).sum()
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
    let length = length_of(&parts);
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
pub(super) fn whole_lines(file: &File, from: u64) -> io::Result<Count> {
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
