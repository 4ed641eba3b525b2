//! Zips that are not put together as they should be: each row of the table breaks one rule, and only that one.

use crate::support::packages::{End, Raw, WideEnd, open, zip, zip_with};

/// A rule, an archive that breaks it, and what is said about it.
pub(super) type Row = (&'static str, Vec<u8>, &'static str);

/// Holds every row against what is said when its archive is opened, or else repacked.
pub(super) fn check(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (rule, bytes, says) in rows {
        let said = match open("A.1.0.zip", &bytes) {
            Ok(package) => match package.repack("", std::io::sink()) {
                Ok(_) => "taken".to_owned(),
                Err(error) => format!("when repacked: {}", problem(&error.to_string())),
            },
            Err(error) => problem(&error.to_string()).to_owned(),
        };
        if said != says {
            wrong.push(format!("{rule}\n  says {said}\n  not  {says}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An error without the words that say where the problem is.
fn problem(error: &str) -> &str {
    ["is not a sound zip: ", "holds `a`: ", "holds `a/`: "]
        .iter()
        .find_map(|words| error.strip_prefix("`A.1.0.zip` ")?.strip_prefix(words))
        .or_else(|| error.strip_prefix("reading the zip directory of `A.1.0.zip`: "))
        .unwrap_or(error)
}

fn sound() -> Vec<Raw> {
    vec![Raw::new("a", "content of a"), Raw::stored("b", "content of b")]
}

/// The sound zip with an end that lies.
fn ending(lie: impl FnOnce(&mut End)) -> Vec<u8> {
    let mut end = End::of(&sound());
    lie(&mut end);
    zip_with(&sound(), &end)
}

/// The sound zip with a 64-bit end that lies.
fn ending_wide(lie: impl FnOnce(&mut WideEnd)) -> Vec<u8> {
    zip_with(&sound(), &End::of(&sound()).wide(lie))
}

fn splice(mut bytes: Vec<u8>, at: usize, inserted: &[u8]) -> Vec<u8> {
    bytes.splice(at..at, inserted.iter().copied());
    bytes
}

/// The sound zip with bytes between entries and directory or behind the directory, all offsets true.
fn between(place: impl FnOnce(&End) -> usize, shift: u32) -> Vec<u8> {
    let mut end = End::of(&sound());
    let at = place(&end);
    end.start += shift;
    splice(zip_with(&sound(), &end), at, b"hidden")
}

/// Fifield's bomb: the header of one entry lies in the data of another, so that both unzip the same bytes. With quoted
/// overlap it stands in a stored block of the other's deflate stream.
fn bomb(quoted: bool) -> Vec<u8> {
    let kernel = Raw::new("kernel", vec![0; 100_000]);
    let mut inner = zip(std::slice::from_ref(&kernel));
    inner.truncate(directory(&End::of(std::slice::from_ref(&kernel))));
    let length = u16::try_from(inner.len()).unwrap();
    let block = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    let start = 30 + "outer".len() + if quoted { block.len() } else { 0 };
    let outer = Raw {
        said_method: Some(if quoted { 8 } else { 0 }),
        said_size: Some(u32::from(length)),
        said_crc: Some(crc32fast::hash(&inner)),
        ..Raw::stored("outer", if quoted { [block, inner].concat() } else { inner })
    };
    let kernel = Raw { said_header: Some(u32::try_from(start).unwrap()), ..kernel };
    let outer_end = directory(&End::of(std::slice::from_ref(&outer)));
    let both = [outer, kernel];
    let mut end = End::of(&both);
    let own_part = outer_end..directory(&end);
    end.start = u32::try_from(outer_end).unwrap();
    let mut bytes = zip_with(&both, &end);
    bytes.drain(own_part);
    bytes
}

/// Where the directory begins.
fn directory(end: &End) -> usize {
    usize::try_from(end.start).unwrap()
}

#[test]
fn the_zip_as_a_whole() {
    let whole = zip(&sound());
    let behind = |end: &End| usize::try_from(end.start + end.size).unwrap();
    let second = usize::try_from(End::of(&sound()[..1]).start).unwrap();
    let prepended = [b"#!/bin/sh\n".to_vec(), whole.clone()].concat();
    let hidden = {
        // Both records point six bytes further: the offsets are true, as `zip -A` makes them.
        let mut entries = sound();
        entries[0].said_header = Some(6);
        entries[1].said_header = Some(u32::try_from(second).unwrap() + 6);
        let mut end = End::of(&entries);
        end.start += 6;
        splice(zip_with(&entries, &end), 0, b"hidden")
    };
    let skipped = {
        let mut entries = sound();
        entries[1].said_header = Some(u32::try_from(second).unwrap() + 6);
        let mut end = End::of(&entries);
        end.start += 6;
        splice(zip_with(&entries, &end), second, b"hidden")
    };
    let unlisted = {
        let three = [sound(), vec![Raw::new("c", "in no directory")]].concat();
        let end = End::of(&three);
        let whole = zip_with(&three, &end);
        let kept = 2 * (46 + 1);
        let mut short = End::of(&sound());
        short.start = end.start;
        [whole[..directory(&end) + kept].to_vec(), zip_with(&[], &short)].concat()
    };
    let other = zip(&[Raw::new("c", "another list of files")]);
    check(vec![
        ("sound", whole.clone(), "taken"),
        ("sound, with 64-bit records", ending_wide(|_| {}), "taken"),
        ("sound, with a comment", ending(|end| end.comment = b"made by hand".to_vec()), "taken"),
        ("nothing", Vec::new(), "no end record was found, so it is no zip or not all of one"),
        ("no zip", b"not a zip".to_vec(), "no end record was found, so it is no zip or not all of one"),
        (
            "cut off",
            whole[..whole.len() - 30].to_vec(),
            "no end record was found, so it is no zip or not all of one",
        ),
        (
            "cut off in the end record",
            whole[..whole.len() - 1].to_vec(),
            "no end record was found, so it is no zip or not all of one",
        ),
        ("prepended, offsets not changed", prepended, "10 bytes at offset 0 belong to no entry"),
        ("prepended, offsets changed", hidden, "6 bytes at offset 0 belong to no entry"),
        ("between two entries", skipped, "6 bytes at offset 45 belong to no entry"),
        ("between entries and directory", between(directory, 6), "6 bytes at offset 88 belong to no entry"),
        (
            "between directory and end record",
            between(behind, 0),
            "its directory is said to end at offset 182, but the end record begins at 188",
        ),
        ("appended", [whole.clone(), b"more".to_vec()].concat(), "the file goes on after the end of the zip"),
        (
            "a second archive behind",
            [whole.clone(), other.clone()].concat(),
            "204 bytes at offset 0 belong to no entry",
        ),
        (
            "a second archive in the comment",
            ending(|end| end.comment = other.clone()),
            "it has two end records, so which files it holds is open",
        ),
        (
            "an end record cut off in the comment",
            ending(|end| end.comment = b"PK\x05\x06".to_vec()),
            "it has two end records, so which files it holds is open",
        ),
        ("an entry in no directory", unlisted, "48 bytes at offset 88 belong to no entry"),
        (
            "two records of one entry",
            zip(&[Raw::new("a", "x"), Raw { said_header_of: Some(0), ..Raw::new("b", "x") }]),
            "the entry `b` at offset 0 overlaps what comes before it",
        ),
        ("overlapping entries", bomb(false), "the entry `kernel` at offset 35 overlaps what comes before it"),
        (
            "overlapping entries, quoted",
            bomb(true),
            "the entry `kernel` at offset 40 overlaps what comes before it",
        ),
        (
            "no header where one should be",
            zip(&[Raw { said_header: Some(3), ..Raw::new("a", "x") }]),
            "3 bytes at offset 0 belong to no entry",
        ),
        (
            "a header past the directory",
            zip(&[Raw { said_header: Some(1_000_000), ..Raw::new("a", "x") }]),
            "1000000 bytes at offset 0 belong to no entry",
        ),
        (
            "data that runs into the directory",
            zip(&[Raw {
                said_compressed_size: Some(13),
                said_size: Some(13),
                ..Raw::stored("a", "content of a")
            }]),
            "the entry `a` runs into the directory",
        ),
        (
            "a name that runs into the directory",
            {
                let mut bytes = whole.clone();
                bytes[28..30].copy_from_slice(&[0xff, 0xff]);
                bytes
            },
            "the entry `a` runs into the directory",
        ),
        (
            "more entries counted",
            ending(|end| (end.entries, end.entries_here) = (3, 3)),
            "entry 3 of the 3 that the end record counts has no whole record at offset 182",
        ),
        (
            "fewer entries counted",
            ending(|end| (end.entries, end.entries_here) = (1, 1)),
            "47 bytes of the directory follow the 1 entries that the end record counts",
        ),
        (
            "counts that differ",
            ending(|end| end.entries_here = 1),
            "the end record counts 1 entries in this file, but 2 in all",
        ),
        (
            "too many entries",
            ending(|end| (end.entries, end.entries_here) = (65_535, 65_535)),
            "`A.1.0.zip` holds 65535 files and folders: at most 65534 are allowed",
        ),
        (
            "a smaller directory",
            ending(|end| end.size -= 1),
            "its directory is said to end at offset 181, but the end record begins at 182",
        ),
        (
            "a larger directory",
            ending(|end| end.size += 1),
            "its directory is said to end at offset 183, but the end record begins at 182",
        ),
        (
            "a directory further on",
            ending(|end| end.start += 1),
            "its directory is said to end at offset 183, but the end record begins at 182",
        ),
        (
            "a directory before",
            ending(|end| (end.start, end.size) = (end.start - 1, end.size + 1)),
            "entry 1 of the 2 that the end record counts has no whole record at offset 87",
        ),
        (
            "a directory of gigabytes",
            ending(|end| (end.start, end.size) = (0, u32::MAX - 1)),
            "its directory is said to end at offset 4294967294, but the end record begins at 182",
        ),
        (
            "a second disk",
            ending(|end| end.disks = [1, 0]),
            "it is one of several parts: only zips of one file are taken",
        ),
        (
            "a directory on a second disk",
            ending(|end| end.disks = [0, 1]),
            "it is one of several parts: only zips of one file are taken",
        ),
        (
            "64-bit: another number of entries",
            ending_wide(|wide| wide.entries = 3),
            "the end record says that the number of entries is 2, but the 64-bit one says 3",
        ),
        (
            "64-bit: another number of entries here",
            ending_wide(|wide| wide.entries_here = 3),
            "the end record says that the number of entries on this disk is 2, but the 64-bit one says 3",
        ),
        (
            "64-bit: another size",
            ending_wide(|wide| wide.size += 1),
            "the end record says that the size of the directory is 94, but the 64-bit one says 95",
        ),
        (
            "64-bit: another start",
            ending_wide(|wide| wide.start += 1),
            "the end record says that the offset of the directory is 88, but the 64-bit one says 89",
        ),
        (
            "64-bit: a second disk",
            ending_wide(|wide| wide.disks = [1, 0]),
            "the end record says that the number of this disk is 0, but the 64-bit one says 1",
        ),
        (
            "64-bit: a directory on a second disk",
            ending_wide(|wide| wide.disks = [0, 1]),
            "the end record says that the disk of the directory is 0, but the 64-bit one says 1",
        ),
        (
            "64-bit: two disks",
            ending_wide(|wide| wide.locator.2 = 2),
            "it is one of several parts: only zips of one file are taken",
        ),
        (
            "64-bit: on a second disk",
            ending_wide(|wide| wide.locator.0 = 1),
            "it is one of several parts: only zips of one file are taken",
        ),
        (
            "64-bit: elsewhere",
            ending_wide(|wide| wide.locator.1 -= 1),
            "its 64-bit end record is not a whole one directly before its locator",
        ),
        (
            "64-bit: nowhere",
            ending_wide(|wide| wide.locator.1 = u64::MAX),
            "its 64-bit end record is not a whole one directly before its locator",
        ),
        (
            "64-bit: longer than it is",
            ending_wide(|wide| wide.length = 45),
            "its 64-bit end record is not a whole one directly before its locator",
        ),
        (
            "64-bit: bytes behind it",
            ending_wide(|wide| wide.between = b"hidden".to_vec()),
            "its 64-bit end record is not a whole one directly before its locator",
        ),
    ]);
}
