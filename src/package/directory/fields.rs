//! Numbers and extra fields of a zip's headers.

use super::super::{EntryProblem, names};

/// The extra field with 64-bit sizes and offset.
const ZIP64: u16 = 0x0001;
/// The extra field with the name in UTF-8.
const UNICODE_PATH: u16 = 0x7075;
/// Number and length of an extra field.
const FIELD_HEADER: usize = 4;

/// Little-endian numbers, one after the other; `None` past the end.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Walks the extra fields of the entry named `name` and returns the one with 64-bit numbers. A name in the extra
/// fields must be the name.
pub(super) fn read_extra<'a>(extra: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, EntryProblem> {
    let mut zip64 = None;
    let mut unicode_path = None;
    let mut fields = Fields(extra);
    while fields.0.len() >= FIELD_HEADER {
        let (Some(id), Some(length)) = (fields.u16(), fields.u16()) else { break };
        let Some(field) = fields.bytes(usize::from(length)) else {
            return Err(EntryProblem::ExtraCut { id, length });
        };
        let twice = match id {
            ZIP64 => zip64.replace(field).is_some(),
            UNICODE_PATH => unicode_path.replace(field).is_some(),
            _ => false,
        };
        if twice {
            return Err(EntryProblem::ExtraTwice(id));
        }
    }
    // Java tools align what follows with zeros, of which up to three are too few to be a field.
    if fields.0.iter().any(|&byte| byte != 0) {
        return Err(EntryProblem::ExtraTail(fields.0.len()));
    }
    if let Some(field) = unicode_path {
        check_unicode_path(field, name)?;
    }
    Ok(zip64)
}

/// The field repeats the name, with a checksum of the name that it was made for.
fn check_unicode_path(field: &[u8], name: &[u8]) -> Result<(), EntryProblem> {
    let mut fields = Fields(field);
    let (Some([1]), Some(crc)) = (fields.take(), fields.u32()) else {
        return Err(EntryProblem::UnicodePathForm);
    };
    if fields.0 != name {
        return Err(EntryProblem::UnicodePath { other: names::shown(fields.0) });
    }
    if crc != crc32fast::hash(name) {
        return Err(EntryProblem::UnicodePathCrc);
    }
    Ok(())
}

/// A number of a header that the 64-bit field stands in for when it is the largest of its width.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) field: &'static str,
    pub(super) value: u64,
    /// Bytes in the 64-bit field.
    width: usize,
    elsewhere: bool,
}

impl Plain {
    pub(super) fn long(field: &'static str, value: u32) -> Self {
        Self { field, value: u64::from(value), width: 8, elsewhere: value == u32::MAX }
    }

    pub(super) fn disk(value: u16) -> Self {
        Self { field: "disk", value: u64::from(value), width: 4, elsewhere: value == u16::MAX }
    }
}

/// Puts the numbers of the 64-bit field in their places. It holds the numbers that the header sends there, or
/// (as some tools write it) all of the first few; a number that the header has too must be the same.
pub(super) fn widen<const N: usize>(
    plain: [Plain; N],
    field: Option<&[u8]>,
) -> Result<[u64; N], EntryProblem> {
    let mut values = plain.map(|plain| plain.value);
    let Some(field) = field else { return Ok(values) };
    let needed: usize = plain.iter().filter(|plain| plain.elsewhere).map(|plain| plain.width).sum();
    let wrong_length = EntryProblem::Zip64Length { found: field.len(), expected: needed };
    let mut whole = 0;
    let all = plain.iter().position(|plain| {
        whole += plain.width;
        whole == field.len()
    });
    let covers = |last: usize| plain[last + 1..].iter().all(|plain| !plain.elsewhere);
    let last = match all {
        _ if field.len() == needed => None,
        Some(last) if covers(last) => Some(last),
        _ => return Err(wrong_length),
    };
    let mut fields = Fields(field);
    for (index, (plain, value)) in plain.iter().zip(&mut values).enumerate() {
        if !last.map_or(plain.elsewhere, |last| index <= last) {
            continue;
        }
        let wide = if plain.width == 4 { fields.u32().map(u64::from) } else { fields.u64() };
        let Some(wide) = wide else { return Err(wrong_length) };
        if !plain.elsewhere && wide != plain.value {
            return Err(EntryProblem::Zip64Value { field: plain.field, plain: plain.value, wide });
        }
        *value = wide;
    }
    Ok(values)
}
