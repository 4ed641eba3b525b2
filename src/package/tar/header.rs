//! One header of a tar, and the headers before it that say more about the same entry.

use ::tar::{EntryType, Header as Block};

use super::{super::EntryProblem, TarProblem};

/// Headers and contents begin at multiples of it.
pub(super) const BLOCK: usize = 512;
/// The places of a name, of what POSIX puts before it where its own magic stands, and of that magic. Its version is
/// not looked at, as other readers do not: some writers leave it empty.
const NAME: std::ops::Range<usize> = 0..100;
const PREFIX: std::ops::Range<usize> = 345..500;
const MAGIC: std::ops::Range<usize> = 257..263;
/// The place of the checksum, which counts as spaces when it is made.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What a header stands before.
pub(super) enum Kind {
    File,
    Folder,
    /// GNU: the name of the next entry, too long for its header.
    LongName,
    /// GNU: the target of the next entry, a link.
    LongLink,
    /// POSIX: records about the next entry.
    Records,
    /// POSIX: records about all entries that follow.
    GlobalRecords,
    Refused(EntryProblem),
}

/// A header whose checksum holds.
pub(super) struct Header {
    pub(super) raw_name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
}

impl Header {
    /// Reads the block at `offset`.
    pub(super) fn read(block: &[u8; BLOCK], offset: u64) -> Result<Self, TarProblem> {
        let header = Block::from_byte_slice(block);
        let fields = header.as_old();
        let expected = number(&fields.cksum).map_err(|_| TarProblem::NoHeader { offset })?;
        let found = checksum(block);
        if found != expected {
            return Err(TarProblem::Checksum { offset, found, expected });
        }
        let number = |bytes, field| number(bytes).map_err(|wrong| wrong.of(field, offset));
        let size = number(&fields.size, "size")?;
        let mode = number(&fields.mode, "mode")?;
        let kind = match header.entry_type() {
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::GNULongName => Kind::LongName,
            EntryType::GNULongLink => Kind::LongLink,
            EntryType::XHeader => Kind::Records,
            EntryType::XGlobalHeader => Kind::GlobalRecords,
            EntryType::Symlink => Kind::Refused(EntryProblem::Symlink),
            EntryType::Link => Kind::Refused(EntryProblem::HardLink),
            EntryType::Char | EntryType::Block => Kind::Refused(EntryProblem::Device),
            EntryType::Fifo => Kind::Refused(EntryProblem::Pipe),
            EntryType::GNUSparse => Kind::Refused(EntryProblem::Sparse),
            other => Kind::Refused(EntryProblem::TarType(char::from(other.as_byte()))),
        };
        // Only the lowest bits of a mode mean something here.
        let mode = u32::try_from(mode & 0o7777).unwrap_or_default();
        Ok(Self { raw_name: raw_name(block), kind, size, mode })
    }
}

fn raw_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let text = |field: &[u8]| field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    let name = text(&block[NAME]);
    let prefix = if block[MAGIC] == *b"ustar\0" { text(&block[PREFIX]) } else { Vec::new() };
    if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

fn checksum(block: &[u8; BLOCK]) -> u64 {
    let spaces = CHECKSUM.len() as u64 * u64::from(b' ');
    let counted = block[..CHECKSUM.start].iter().chain(&block[CHECKSUM.end..]);
    spaces + counted.map(|&byte| u64::from(byte)).sum::<u64>()
}

/// Why a field is not a number.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Number,
    Negative,
}

impl Wrong {
    fn of(self, field: &'static str, offset: u64) -> TarProblem {
        match self {
            Self::Number => TarProblem::Number { field, offset },
            Self::Negative => TarProblem::Negative { field, offset },
        }
    }
}

/// Octal digits, or GNU's binary form for what they cannot say. An empty field is zero.
fn number(field: &[u8]) -> Result<u64, Wrong> {
    let (&first, rest) = field.split_first().ok_or(Wrong::Number)?;
    if first & 0x80 != 0 {
        if first & 0x40 != 0 {
            return Err(Wrong::Negative);
        }
        return rest.iter().try_fold(u64::from(first & 0x3f), |value, &byte| {
            value.checked_mul(256).and_then(|value| value.checked_add(u64::from(byte))).ok_or(Wrong::Number)
        });
    }
    let text = field.trim_ascii_start();
    let end = text.iter().position(|&byte| matches!(byte, 0 | b' ')).unwrap_or(text.len());
    let (digits, after) = text.split_at(end);
    if digits.starts_with(b"-") {
        return Err(Wrong::Negative);
    }
    if !after.iter().all(|&byte| matches!(byte, 0 | b' ')) {
        return Err(Wrong::Number);
    }
    digits.iter().try_fold(0, |value: u64, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8).map(|value| value + u64::from(digit - b'0')).ok_or(Wrong::Number),
        _ => Err(Wrong::Number),
    })
}

/// What the headers before an entry's own say about it.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) is_sparse: bool,
    has_records: bool,
}

impl Extended {
    /// Whether there were none.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && !self.has_records
    }

    /// GNU's long name, which ends at the first zero.
    pub(super) fn set_long_name(&mut self, mut name: Vec<u8>, offset: u64) -> Result<(), TarProblem> {
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        name.truncate(end);
        self.set_name(name, offset)
    }

    /// The records of a pax header. What they say of times, owners and attributes is not for Lambda.
    pub(super) fn set_records(&mut self, content: &[u8], offset: u64) -> Result<(), TarProblem> {
        if std::mem::replace(&mut self.has_records, true) {
            return Err(TarProblem::Twice { field: "records", offset });
        }
        for record in records(content, offset) {
            match record? {
                (b"path", name) => self.set_name(name.to_vec(), offset)?,
                (b"size", size) => {
                    let size = decimal(size).ok_or(TarProblem::Number { field: "pax size", offset })?;
                    if self.size.replace(size).is_some() {
                        return Err(TarProblem::Twice { field: "size", offset });
                    }
                }
                (key, _) => self.is_sparse |= is_sparse(key),
            }
        }
        Ok(())
    }

    fn set_name(&mut self, name: Vec<u8>, offset: u64) -> Result<(), TarProblem> {
        match self.name.replace(name) {
            None => Ok(()),
            Some(_) => Err(TarProblem::Twice { field: "name", offset }),
        }
    }
}

/// Refuses global records that change what entries are; others, such as the commit that `git archive` notes,
/// are left alone.
pub(super) fn check_global(content: &[u8], offset: u64) -> Result<(), TarProblem> {
    for record in records(content, offset) {
        let field = match record?.0 {
            b"path" => "name",
            b"size" => "size",
            key if is_sparse(key) => "holes",
            _ => continue,
        };
        return Err(TarProblem::Global { field, offset });
    }
    Ok(())
}

fn is_sparse(key: &[u8]) -> bool {
    key.starts_with(b"GNU.sparse.")
}

/// Key and value of each record. A value may hold anything, lines too, so only the lengths part them.
fn records(mut content: &[u8], offset: u64) -> impl Iterator<Item = Result<(&[u8], &[u8]), TarProblem>> {
    std::iter::from_fn(move || {
        if content.is_empty() {
            return None;
        }
        let Some((record, rest)) = next_record(content) else {
            content = &[];
            return Some(Err(TarProblem::Record { offset }));
        };
        content = rest;
        Some(Ok(record))
    })
}

/// A key and its value, and what follows them.
type Record<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn next_record(content: &[u8]) -> Option<Record<'_>> {
    let space = content.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&content[..space])?).ok()?;
    let (record, rest) = content.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    Some(((&pair[..equals], &pair[equals + 1..]), rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_producers() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"000644 \0", 0o644),
            (b"   644 \0", 0o644),
            (b"77777777", 0o77_777_777),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", 0x102),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", u64::MAX),
        ] {
            assert_eq!(number(field), Ok(value), "{field:?}");
        }
        for field in [&b"00008\0"[..], b"0x12", b"12\0\x0034", b"\x80\0\0\x01\0\0\0\0\0\0\0\0", b"1,5", b""] {
            assert_eq!(number(field), Err(Wrong::Number), "{field:?}");
        }
        for field in [&b"-0000001"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\xc0\0\0\0"] {
            assert_eq!(number(field), Err(Wrong::Negative), "{field:?}");
        }
    }

    #[test]
    fn records_are_parted_by_their_lengths_alone() {
        let content = b"15 comment=a\nb\n9 path=x\n6 k=\n\n";
        let read: Vec<_> = records(content, 0).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, [(&b"comment"[..], &b"a\nb"[..]), (b"path", b"x"), (b"k", b"\n")]);
        for content in [
            &b"8 path=x\n"[..],
            b"11 path=x\n",
            b"path=x\n",
            b"9 path=x",
            b"7 path\n",
            b"+9 path=\n",
            b" ",
            b"0 \n",
        ] {
            assert!(records(content, 0).any(|record| record.is_err()), "{content:?}");
        }
    }
}
