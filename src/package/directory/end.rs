//! The end of a zip: the one record that says where the directory is, held against the file's own end.

use std::io;

use fs_err::{File, os::unix::fs::FileExt};

use super::{super::Structure, fields::Fields};

const END: &[u8; 4] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const WIDE_END: &[u8; 4] = b"PK\x06\x06";
const WIDE_END_LENGTH: usize = 56;
/// Of which its own length does not count the signature and itself.
const WIDE_END_COUNTED: u64 = 44;
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;

/// Where the directory lies. It is known to end where the end records begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) entries: u64,
    pub(super) start: u64,
    pub(super) size: u64,
}

/// Why the end could not be read.
pub(super) enum Failure {
    /// The file could not be read.
    Read(io::Error),
    /// There is no end record.
    NoEnd,
    /// What it holds is wrong.
    Unsound(Structure),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Structure> for Failure {
    fn from(problem: Structure) -> Self {
        Self::Unsound(problem)
    }
}

/// Finds and checks the end of a zip of `length` bytes.
pub(super) fn read(file: &File, length: u64) -> Result<End, Failure> {
    let longest = END_LENGTH + LOCATOR_LENGTH + usize::from(u16::MAX);
    let tail = usize::try_from(length).map_or(longest, |length| length.min(longest));
    let tail_start = length - tail as u64;
    let mut bytes = vec![0; tail];
    file.read_exact_at(&mut bytes, tail_start)?;

    let at = find(&bytes)?;
    let plain = Plain::read(&mut Fields(&bytes[at + END.len()..])).ok_or(Failure::NoEnd)?;
    let record = tail_start + at as u64;

    let locator = at.checked_sub(LOCATOR_LENGTH).and_then(|start| bytes.get(start..at));
    let (end, boundary) = match locator.and_then(|locator| locator.strip_prefix(LOCATOR)) {
        Some(locator) => wide(file, locator, record - LOCATOR_LENGTH as u64, &plain)?,
        None => (plain.narrow()?, record),
    };
    let expected = end.start.saturating_add(end.size);
    if expected == boundary {
        return Ok(end);
    }
    if let Some(before) = boundary.checked_sub(expected)
        && starts_directory(file, boundary - end.size)?
    {
        return Err(Structure::Gap { offset: 0, length: before }.into());
    }
    Err(Structure::DirectoryEnd { found: expected, expected: boundary }.into())
}

/// The place of the one end record in the last bytes of a file. A second one in the comment of the first would be
/// taken by other readers, and another list of files with it.
fn find(tail: &[u8]) -> Result<usize, Failure> {
    let mut found = tail.windows(END.len()).enumerate().rev().filter(|(_, bytes)| bytes == END);
    let ends = |at: usize| -> Option<usize> {
        let comment = tail.get(at + END_LENGTH - 2..at + END_LENGTH)?;
        Some(at + END_LENGTH + usize::from(Fields(comment).u16()?))
    };
    let (last, _) = found.next().ok_or(Failure::NoEnd)?;
    let also = found.any(|(at, _)| ends(at) == Some(tail.len()));
    match ends(last) {
        _ if also => Err(Structure::TwoEnds.into()),
        Some(end) if end == tail.len() => Ok(last),
        Some(end) if end < tail.len() => Err(Structure::Trailing.into()),
        _ => Err(Failure::NoEnd),
    }
}

/// The plain end record, before it is known whether the 64-bit one stands in for it.
struct Plain {
    disk: u16,
    directory_disk: u16,
    entries_here: u16,
    entries: u16,
    size: u32,
    start: u32,
}

impl Plain {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_here: fields.u16()?,
            entries: fields.u16()?,
            size: fields.u32()?,
            start: fields.u32()?,
        })
    }

    fn narrow(&self) -> Result<End, Structure> {
        one_disk(
            [u32::from(self.disk), u32::from(self.directory_disk), 0],
            u64::from(self.entries_here),
            u64::from(self.entries),
        )?;
        Ok(End { entries: u64::from(self.entries), start: u64::from(self.start), size: u64::from(self.size) })
    }
}

fn one_disk(disks: [u32; 3], here: u64, entries: u64) -> Result<(), Structure> {
    if disks != [0; 3] {
        return Err(Structure::Disks);
    }
    if here != entries {
        return Err(Structure::CountsHere { here, entries });
    }
    Ok(())
}

/// The 64-bit end record, which must lie directly before its locator, and where it begins.
fn wide(file: &File, locator: &[u8], locator_at: u64, plain: &Plain) -> Result<(End, u64), Failure> {
    let mut fields = Fields(locator);
    let (Some(disk), Some(at), Some(disks)) = (fields.u32(), fields.u64(), fields.u32()) else {
        return Err(Structure::WideEnd.into());
    };
    if disks != 1 {
        return Err(Structure::Disks.into());
    }
    if at.checked_add(WIDE_END_LENGTH as u64) != Some(locator_at) {
        return Err(Structure::WideEnd.into());
    }
    let mut bytes = [0; WIDE_END_LENGTH];
    file.read_exact_at(&mut bytes, at)?;
    let wide = bytes.strip_prefix(WIDE_END).and_then(|bytes| Wide::read(&mut Fields(bytes)));
    let Some(wide) = wide.filter(|wide| wide.length == WIDE_END_COUNTED) else {
        return Err(Structure::WideEnd.into());
    };
    let same = [
        ("number of this disk", u64::from(plain.disk), 0xffff, u64::from(wide.disk)),
        ("disk of the directory", u64::from(plain.directory_disk), 0xffff, u64::from(wide.directory_disk)),
        ("number of entries on this disk", u64::from(plain.entries_here), 0xffff, wide.entries_here),
        ("number of entries", u64::from(plain.entries), 0xffff, wide.entries),
        ("size of the directory", u64::from(plain.size), 0xffff_ffff, wide.size),
        ("offset of the directory", u64::from(plain.start), 0xffff_ffff, wide.start),
    ];
    for (field, plain, elsewhere, wide) in same {
        if plain != elsewhere && plain != wide {
            return Err(Structure::WideValue { field, plain, wide }.into());
        }
    }
    one_disk([disk, wide.disk, wide.directory_disk], wide.entries_here, wide.entries)?;
    Ok((End { entries: wide.entries, start: wide.start, size: wide.size }, at))
}

struct Wide {
    length: u64,
    disk: u32,
    directory_disk: u32,
    entries_here: u64,
    entries: u64,
    size: u64,
    start: u64,
}

impl Wide {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let length = fields.u64()?;
        let _versions = fields.u32()?;
        Some(Self {
            length,
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_here: fields.u64()?,
            entries: fields.u64()?,
            size: fields.u64()?,
            start: fields.u64()?,
        })
    }
}

/// Whether a directory begins at `offset`, which tells data before a zip from a damaged end record.
fn starts_directory(file: &File, offset: u64) -> io::Result<bool> {
    let mut signature = [0; 4];
    file.read_exact_at(&mut signature, offset)?;
    Ok(signature == *super::RECORD)
}
