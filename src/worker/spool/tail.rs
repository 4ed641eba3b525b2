//! The end of a log that is longer than its limit: two files in turn, so that the last so many bytes are always there and
//! no more than twice as many are kept. Where the disk takes nothing, memory does, for less.

use std::{
    collections::VecDeque,
    io,
    ops::AddAssign,
    path::{Path, PathBuf},
    sync::Arc,
};

use fs_err::{File, os::unix::fs::FileExt};
use serde::{Deserialize, Serialize};

use super::{MEMORY, content::whole_lines, piece::Piece};

/// How much of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

/// What the header says of a tail.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The number of its older part.
    first: u64,
    /// What came before that and is gone.
    dropped: Count,
}

/// The tail.
#[derive(Debug)]
pub(super) struct Tail {
    folder: PathBuf,
    /// How many bytes are shown of it at the end.
    room: u64,
    parts: VecDeque<Part>,
    next: u64,
    dropped: Count,
}

#[derive(Debug)]
struct Part {
    number: u64,
    count: Count,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    File(Arc<File>),
    Memory(Vec<u8>),
}

/// What is left to do after a line was taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The file of a part that is dropped: to be removed when the header no longer counts on it.
    pub(super) dropped: Option<PathBuf>,
    /// Why the disk did not take the line.
    pub(super) failed: Option<io::Error>,
}

/// What is shown of a tail.
#[derive(Debug)]
pub(super) struct End {
    /// What is left out before it.
    pub(super) left_out: Count,
    /// How many bytes of the older part are.
    pub(super) skip: u64,
    pub(super) pieces: Vec<Piece>,
}

impl Tail {
    /// Whose first part gets this number.
    pub(super) fn new(folder: &Path, room: u64, first: u64) -> Self {
        Self::of(folder, room, Kept { first, dropped: Count::default() })
    }

    fn of(folder: &Path, room: u64, kept: Kept) -> Self {
        let (folder, next) = (folder.to_owned(), kept.first);
        Self { folder, room, parts: VecDeque::new(), next, dropped: kept.dropped }
    }

    /// What a process before left of it; a line cut off by a crash is dropped.
    pub(super) fn recover(folder: &Path, room: u64, kept: Kept) -> io::Result<Self> {
        let mut tail = Self::of(folder, room, kept);
        // Killed between the beginning of a third part and the header that says so, it left three.
        for number in kept.first.. {
            let file = match File::options().read(true).write(true).open(path(folder, number)) {
                Ok(file) => Arc::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let count = whole_lines(&file, 0)?;
            file.set_len(count.bytes)?;
            tail.push(Bytes::File(file), count);
        }
        Ok(tail)
    }

    /// The number of the next part.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether the disk does not have all of it.
    pub(super) fn is_in_memory(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.bytes, Bytes::Memory(_)))
    }

    /// What the header is to say.
    pub(super) fn kept(&self) -> Kept {
        Kept { first: self.parts.front().map_or(self.next, |part| part.number), dropped: self.dropped }
    }

    /// Takes a whole line.
    pub(super) fn append(&mut self, line: &[u8]) -> Taken {
        let mut taken = Taken::default();
        let length = line.len() as u64;
        if self.parts.back().is_none_or(|part| part.is_full(self.room, length)) {
            let bytes = match self.file(self.next) {
                Ok(file) => Bytes::File(Arc::new(file)),
                Err(error) => {
                    taken.failed = Some(error);
                    Bytes::Memory(Vec::new())
                }
            };
            taken.dropped = self.push(bytes, Count::default());
        }
        if let Some(error) = self.write(line) {
            taken.failed = Some(error);
            match self.parts.back_mut() {
                Some(part) if part.count.bytes == 0 => part.bytes = Bytes::Memory(Vec::new()),
                _ => {
                    let dropped = self.push(Bytes::Memory(Vec::new()), Count::default());
                    taken.dropped = dropped.or(taken.dropped);
                }
            }
            // Memory takes it.
            self.write(line);
        }
        taken
    }

    fn write(&mut self, line: &[u8]) -> Option<io::Error> {
        let part = self.parts.back_mut()?;
        match &mut part.bytes {
            Bytes::File(file) => {
                if let Err(error) = file.write_all_at(line, part.count.bytes) {
                    // Half of the line may be there.
                    let _ = file.set_len(part.count.bytes);
                    return Some(error);
                }
            }
            Bytes::Memory(bytes) => bytes.extend_from_slice(line),
        }
        part.count += Count { lines: 1, bytes: line.len() as u64 };
        None
    }

    /// Adds a part; answers the file of one that is dropped for it.
    fn push(&mut self, bytes: Bytes, count: Count) -> Option<PathBuf> {
        self.parts.push_back(Part { number: self.next, count, bytes });
        self.next += 1;
        let oldest = if self.parts.len() > 2 { self.parts.pop_front() } else { None }?;
        self.dropped += oldest.count;
        Some(path(&self.folder, oldest.number))
    }

    fn file(&self, number: u64) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(true).open(path(&self.folder, number))
    }

    /// The last whole lines that fit.
    pub(super) fn end(self) -> End {
        let mut left_out = self.dropped;
        let total: u64 = self.parts.iter().map(|part| part.count.bytes).sum();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut skipped = Count::default();
        for (at, part) in self.parts.into_iter().enumerate() {
            let count = part.count;
            let piece = part.into_piece();
            if at == 0 && total > self.room {
                // The newer part fits, or it is one line and is shown whatever its length.
                let least = (total - self.room).min(count.bytes);
                // What cannot be read is left out.
                skipped = lines_before(&piece, least).unwrap_or(count);
                left_out += skipped;
                pieces.extend(piece.cut(skipped.bytes, count.bytes));
            } else {
                pieces.push(piece);
            }
        }
        End { left_out, skip: skipped.bytes, pieces }
    }
}

impl Part {
    fn is_full(&self, room: u64, more: u64) -> bool {
        let most = match self.bytes {
            Bytes::File(_) => room,
            Bytes::Memory(_) => room.min(MEMORY / 2),
        };
        self.count.bytes > 0 && self.count.bytes + more > most
    }

    fn into_piece(self) -> Piece {
        match self.bytes {
            Bytes::File(file) => Piece::File { file, from: 0, length: self.count.bytes },
            Bytes::Memory(bytes) => Piece::Text(bytes),
        }
    }
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("tail.{number}"))
}

/// The whole lines that have at least so many bytes together.
fn lines_before(piece: &Piece, least: u64) -> io::Result<Count> {
    let mut count = Count::default();
    let mut at = 0;
    let mut block = Vec::new();
    loop {
        block.clear();
        piece.read(at, 64 * 1024, &mut block)?;
        if block.is_empty() {
            return Ok(Count { bytes: at, ..count });
        }
        for byte in &block {
            at += 1;
            if *byte == b'\n' {
                count.lines += 1;
                if at >= least {
                    return Ok(Count { bytes: at, ..count });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::spool::tests::line;

    /// Ten lines, and a bit that no line fits into.
    fn room() -> u64 {
        length() * 10 + 5
    }

    fn length() -> u64 {
        line(0).len() as u64
    }

    fn shown(tail: Tail) -> (Count, Vec<u8>) {
        let end = tail.end();
        let mut bytes = Vec::new();
        for piece in &end.pieces {
            piece.read(0, usize::MAX, &mut bytes).unwrap();
        }
        (end.left_out, bytes)
    }

    /// The lines of these numbers.
    fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
        numbers.flat_map(line).collect()
    }

    #[test]
    fn the_last_lines_that_fit_are_shown_and_all_others_are_counted() {
        for count in 0..60 {
            let folder = tempfile::tempdir().unwrap();
            let mut tail = Tail::new(folder.path(), room(), 0);
            for number in 0..count {
                if let Some(dropped) = tail.append(&line(number)).dropped {
                    fs_err::remove_file(dropped).unwrap();
                }
            }
            assert!(fs_err::read_dir(folder.path()).unwrap().count() <= 2);
            let left_out = count.saturating_sub(10);
            let expected = (Count { lines: left_out, bytes: left_out * length() }, lines(left_out..count));
            assert_eq!(shown(tail), expected, "{count}");
        }
    }

    #[test]
    fn another_process_goes_on_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(folder.path(), room(), 0);
        for number in 0..37 {
            tail.append(&line(number));
        }
        let kept = tail.kept();
        drop(tail);
        let last = path(folder.path(), kept.first + 1);
        let torn = [&fs_err::read(&last).unwrap()[..], b"to"].concat();
        fs_err::write(last, torn).unwrap();
        let mut tail = Tail::recover(folder.path(), room(), kept).unwrap();
        for number in 37..52 {
            tail.append(&line(number));
        }
        assert_eq!(shown(tail), (Count { lines: 42, bytes: 42 * length() }, lines(42..52)));
    }

    #[test]
    fn a_line_that_the_header_does_not_know_of_yet_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(folder.path(), room(), 0);
        for number in 0..20 {
            tail.append(&line(number));
        }
        let kept = tail.kept();
        // It begins a third part; the process is killed before the header says so and the first one is removed.
        assert!(tail.append(&line(20)).dropped.is_some());
        drop(tail);
        let mut tail = Tail::recover(folder.path(), room(), kept).unwrap();
        for number in 21..25 {
            tail.append(&line(number));
        }
        assert_eq!(shown(tail), (Count { lines: 15, bytes: 15 * length() }, lines(15..25)));
    }

    #[test]
    fn where_the_disk_takes_nothing_memory_takes_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let mut tail = Tail::new(&gone, room(), 0);
        for number in 0..37 {
            let taken = tail.append(&line(number));
            assert_eq!(taken.failed.is_some(), number % 10 == 0, "it is tried again for each part");
        }
        assert_eq!(shown(tail), (Count { lines: 27, bytes: 27 * length() }, lines(27..37)));
    }

    #[test]
    fn a_line_that_is_longer_than_all_room_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(folder.path(), 15, 0);
        tail.append(&line(1));
        tail.append(b"a line that is longer than all room\n");
        let (left_out, bytes) = shown(tail);
        assert_eq!(left_out, Count { lines: 1, bytes: length() });
        assert_eq!(bytes, b"a line that is longer than all room\n");
    }
}
