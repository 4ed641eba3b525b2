//! What stands before and after an entry's data, held against what the directory says of it.

use super::{
    super::{EntryProblem, names},
    Common, DESCRIPTOR_FLAG, Member,
    fields::{Fields, Plain, read_extra, widen},
};

/// Signature of the record after an entry's data, which some tools leave out.
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";

/// Checks the header before the data. Where the sizes follow the data, the header may say zero instead: Info-ZIP,
/// writing to a pipe, knows the size of the file but not its checksum. Returns whether the header says it all.
pub(super) fn check_header(
    member: &Member,
    local: &Common,
    name: &[u8],
    extra: &[u8],
) -> Result<bool, EntryProblem> {
    let differs = |field, found: String, expected: String| {
        Err(EntryProblem::Differs { place: "local header", field, found, expected })
    };
    if !member.is_stored_as(name) {
        return Err(EntryProblem::LocalName { found: names::shown(name) });
    }
    if local.flags != member.flags {
        return differs("flags", format!("{:#06x}", local.flags), format!("{:#06x}", member.flags));
    }
    if local.method != member.method {
        return differs("method", local.method.to_string(), member.method.to_string());
    }
    let plain = [Plain::long("size", local.size), Plain::long("compressed size", local.compressed_size)];
    let [size, compressed_size] = widen(plain, read_extra(extra, name)?)?;

    let follows = member.flags & DESCRIPTOR_FLAG != 0;
    let (mut says_all, stored) = (true, &member.stored);
    for (field, found, expected) in [
        ("CRC-32", u64::from(local.crc32), u64::from(stored.crc32)),
        ("compressed size", compressed_size, stored.compressed_size),
        ("size", size, stored.size),
    ] {
        if found != expected {
            if !follows || found != 0 {
                return differs(field, number(field, found), number(field, expected));
            }
            says_all = false;
        }
    }
    Ok(says_all)
}

/// The length of the record after the data, if `gap` bytes can be one: with or without signature, sizes of 32 or 64
/// bits.
pub(super) fn descriptor_length(gap: u64) -> Option<usize> {
    [12, 16, 20, 24].into_iter().find(|&length| length as u64 == gap)
}

/// Checks the record after the data, of one of those lengths.
pub(super) fn check_descriptor(member: &Member, descriptor: &[u8]) -> Result<(), EntryProblem> {
    let wide = descriptor.len() >= 20;
    let bare = if matches!(descriptor.len(), 16 | 24) {
        descriptor.strip_prefix(DESCRIPTOR).ok_or(EntryProblem::NoDescriptor)?
    } else {
        descriptor
    };
    let mut fields = Fields(bare);
    let crc32 = fields.u32().map(u64::from);
    let mut size = || if wide { fields.u64() } else { fields.u32().map(u64::from) };
    let stored = &member.stored;
    for (field, found, expected) in [
        ("CRC-32", crc32, u64::from(stored.crc32)),
        ("compressed size", size(), stored.compressed_size),
        ("size", size(), stored.size),
    ] {
        let Some(found) = found else { return Err(EntryProblem::NoDescriptor) };
        if found != expected {
            return Err(EntryProblem::Differs {
                place: "data descriptor",
                field,
                found: number(field, found),
                expected: number(field, expected),
            });
        }
    }
    Ok(())
}

fn number(field: &str, number: u64) -> String {
    if field == "CRC-32" { format!("{number:08x}") } else { number.to_string() }
}
