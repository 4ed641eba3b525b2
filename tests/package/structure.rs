//! Zips that are not put together as they should be: one table for the zip as a whole, one for its entries. Each row
//! breaks one rule, and only that one.

use crate::support::packages::{End, Local, Raw, WideEnd, descriptor, extra, extra64, open, zip, zip_with};

/// A rule, an archive that breaks it, and what is said about it.
type Row = (&'static str, Vec<u8>, &'static str);

fn check(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (rule, bytes, says) in rows {
        let said = match open("A.1.0.zip", &bytes) {
            Ok(package) => match package.repack("", std::io::sink()) {
                Ok(_) => "taken".to_owned(),
                Err(error) => format!("opened, but: {error}"),
            },
            Err(error) => error.to_string(),
        };
        if said != says {
            wrong.push(format!("{rule}\n  says {said}\n  not  {says}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// An extra field with `name` in UTF-8, made for the name `of`.
fn unicode(name: &str, of: &[u8]) -> Vec<u8> {
    extra(0x7075, &[&[1][..], &crc32fast::hash(of).to_le_bytes(), name.as_bytes()].concat())
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
        ("sound", whole.clone(), "?"),
        ("sound, with 64-bit records", ending_wide(|_| {}), "?"),
        ("sound, with a comment", ending(|end| end.comment = b"made by hand".to_vec()), "?"),
        ("nothing", Vec::new(), "?"),
        ("no zip", b"not a zip".to_vec(), "?"),
        ("cut off", whole[..whole.len() - 30].to_vec(), "?"),
        ("cut off in the end record", whole[..whole.len() - 1].to_vec(), "?"),
        ("prepended, offsets not changed", prepended, "?"),
        ("prepended, offsets changed", hidden, "?"),
        ("between two entries", skipped, "?"),
        ("between entries and directory", between(directory, 6), "?"),
        ("between directory and end record", between(behind, 0), "?"),
        ("appended", [whole.clone(), b"more".to_vec()].concat(), "?"),
        ("a second archive behind", [whole.clone(), other.clone()].concat(), "?"),
        ("a second archive in the comment", ending(|end| end.comment = other.clone()), "?"),
        ("an end record cut off in the comment", ending(|end| end.comment = b"PK\x05\x06".to_vec()), "?"),
        ("an entry in no directory", unlisted, "?"),
        (
            "two records of one entry",
            zip(&[Raw::new("a", "x"), Raw { said_header_of: Some(0), ..Raw::new("b", "x") }]),
            "?",
        ),
        ("overlapping entries", bomb(false), "?"),
        ("overlapping entries, quoted", bomb(true), "?"),
        ("no header where one should be", zip(&[Raw { said_header: Some(3), ..Raw::new("a", "x") }]), "?"),
        (
            "a header past the directory",
            zip(&[Raw { said_header: Some(1_000_000), ..Raw::new("a", "x") }]),
            "?",
        ),
        (
            "data that runs into the directory",
            zip(&[Raw {
                said_compressed_size: Some(13),
                said_size: Some(13),
                ..Raw::stored("a", "content of a")
            }]),
            "?",
        ),
        (
            "a name that runs into the directory",
            zip(&[Raw {
                local: Local { name: Some(vec![b'a'; 99]), ..Local::default() },
                ..Raw::stored("a", "")
            }])[..]
                .to_vec(),
            "?",
        ),
        ("more entries counted", ending(|end| (end.entries, end.entries_here) = (3, 3)), "?"),
        ("fewer entries counted", ending(|end| (end.entries, end.entries_here) = (1, 1)), "?"),
        ("counts that differ", ending(|end| end.entries_here = 1), "?"),
        ("too many entries", ending(|end| (end.entries, end.entries_here) = (65_535, 65_535)), "?"),
        ("a smaller directory", ending(|end| end.size -= 1), "?"),
        ("a larger directory", ending(|end| end.size += 1), "?"),
        ("a directory further on", ending(|end| end.start += 1), "?"),
        ("a directory before", ending(|end| (end.start, end.size) = (end.start - 1, end.size + 1)), "?"),
        ("a directory of gigabytes", ending(|end| (end.start, end.size) = (0, u32::MAX - 1)), "?"),
        ("a second disk", ending(|end| end.disks = [1, 0]), "?"),
        ("a directory on a second disk", ending(|end| end.disks = [0, 1]), "?"),
        ("64-bit: another number of entries", ending_wide(|wide| wide.entries = 3), "?"),
        ("64-bit: another number of entries here", ending_wide(|wide| wide.entries_here = 3), "?"),
        ("64-bit: another size", ending_wide(|wide| wide.size += 1), "?"),
        ("64-bit: another start", ending_wide(|wide| wide.start += 1), "?"),
        ("64-bit: a second disk", ending_wide(|wide| wide.disks = [1, 0]), "?"),
        ("64-bit: a directory on a second disk", ending_wide(|wide| wide.disks = [0, 1]), "?"),
        ("64-bit: two disks", ending_wide(|wide| wide.locator.2 = 2), "?"),
        ("64-bit: on a second disk", ending_wide(|wide| wide.locator.0 = 1), "?"),
        ("64-bit: elsewhere", ending_wide(|wide| wide.locator.1 -= 1), "?"),
        ("64-bit: nowhere", ending_wide(|wide| wide.locator.1 = u64::MAX), "?"),
        ("64-bit: longer than it is", ending_wide(|wide| wide.length = 45), "?"),
        ("64-bit: bytes behind it", ending_wide(|wide| wide.between = b"hidden".to_vec()), "?"),
    ]);
}

#[test]
fn entries_whose_headers_lie() {
    let entry = |change: fn(&mut Raw)| {
        let mut entry = Raw::new("a", "content of a");
        change(&mut entry);
        zip(&[entry])
    };
    let local = |change: fn(&mut Local)| {
        let mut entry = Raw::new("a", "content of a");
        change(&mut entry.local);
        zip(&[entry])
    };
    // Sizes after the data: the header before it may leave each of them out, or say it.
    let followed = |change: fn(&mut Raw)| {
        let mut entry = Raw { descriptor: true, ..Raw::new("a", "content of a") };
        change(&mut entry);
        zip(&[entry])
    };
    let said = |signature, wide| {
        let entry = Raw { descriptor: true, ..Raw::new("a", "content of a") };
        zip(&[Raw { said_descriptor: Some(descriptor(signature, wide, entry.numbers())), ..entry }])
    };
    check(vec![
        ("password", entry(|entry| entry.flags = 1), "?"),
        ("strong encryption", entry(|entry| entry.flags = 0x41), "?"),
        ("masked header", entry(|entry| entry.flags = 0x2000), "?"),
        ("patch", entry(|entry| entry.flags = 0x20), "?"),
        ("method 12", entry(|entry| entry.said_method = Some(12)), "?"),
        ("method 99", entry(|entry| entry.said_method = Some(99)), "?"),
        ("second disk", entry(|entry| entry.disk = 1), "?"),
        ("stored with two sizes", zip(&[Raw { said_size: Some(5), ..Raw::stored("a", "x") }]), "?"),
        ("local: another name", local(|local| local.name = Some(b"b".to_vec())), "?"),
        ("local: another spelling of the name", local(|local| local.name = Some(b"./a".to_vec())), "?"),
        ("local: another method", local(|local| local.method = Some(0)), "?"),
        ("local: other flags", local(|local| local.flags = Some(0x800)), "?"),
        ("local: a password", local(|local| local.flags = Some(1)), "?"),
        ("local: sizes after the data", local(|local| local.flags = Some(8)), "?"),
        ("local: another checksum", local(|local| local.crc = Some(7)), "?"),
        ("local: no checksum", local(|local| local.crc = Some(0)), "?"),
        ("local: another size", local(|local| local.size = Some(7)), "?"),
        ("local: no size", local(|local| local.size = Some(0)), "?"),
        ("local: another compressed size", local(|local| local.compressed_size = Some(7)), "?"),
        ("local: the size elsewhere, but nowhere", local(|local| local.size = Some(u32::MAX)), "?"),
        ("sizes after the data", followed(|_| {}), "?"),
        ("sizes after the data, no signature", said(false, false), "?"),
        ("sizes after the data, 64 bits", said(true, true), "?"),
        ("sizes after the data, 64 bits, no signature", said(false, true), "?"),
        (
            "sizes after the data and before it",
            followed(|entry| {
                let [crc, compressed_size, size] = entry.numbers().map(Some);
                entry.local = Local { crc, compressed_size, size, ..Local::default() };
            }),
            "?",
        ),
        ("sizes after the data, the size before it", followed(|entry| entry.local.size = Some(12)), "?"),
        (
            "sizes only before the data",
            followed(|entry| {
                let [crc, compressed_size, size] = entry.numbers().map(Some);
                entry.local = Local { crc, compressed_size, size, ..Local::default() };
                entry.said_descriptor = Some(Vec::new());
            }),
            "?",
        ),
        (
            "sizes neither before nor after the data",
            followed(|entry| entry.said_descriptor = Some(Vec::new())),
            "?",
        ),
        ("sizes after the data, another size before it", followed(|entry| entry.local.size = Some(7)), "?"),
        (
            "descriptor: another checksum",
            followed(|entry| {
                let [_, compressed_size, size] = entry.numbers();
                entry.said_descriptor = Some(descriptor(true, false, [7, compressed_size, size]));
            }),
            "?",
        ),
        (
            "descriptor: another compressed size",
            followed(|entry| {
                let [crc, _, size] = entry.numbers();
                entry.said_descriptor = Some(descriptor(false, true, [crc, 7, size]));
            }),
            "?",
        ),
        (
            "descriptor: another size",
            followed(|entry| {
                let [crc, compressed_size, _] = entry.numbers();
                entry.said_descriptor = Some(descriptor(false, false, [crc, compressed_size, 7]));
            }),
            "?",
        ),
        (
            "descriptor: another signature",
            followed(|entry| {
                let honest = descriptor(false, false, entry.numbers());
                entry.said_descriptor = Some([b"PK\x07\x09".to_vec(), honest].concat());
            }),
            "?",
        ),
        (
            "descriptor: longer",
            followed(|entry| {
                let honest = descriptor(true, false, entry.numbers());
                entry.said_descriptor = Some([honest, vec![0]].concat());
            }),
            "?",
        ),
        (
            "descriptor that is not announced",
            entry(|entry| entry.said_descriptor = Some(descriptor(true, false, entry.numbers()))),
            "?",
        ),
        (
            "extra: of others",
            entry(|entry| entry.extra = [extra(0xcafe, b""), extra(0x5455, b"\x01abcd")].concat()),
            "?",
        ),
        (
            "extra: aligned by zeros",
            entry(|entry| entry.extra = [extra(0xcafe, b""), vec![0; 3]].concat()),
            "?",
        ),
        ("extra: aligned by more zeros", entry(|entry| entry.extra = vec![0; 11]), "?"),
        (
            "extra: other bytes behind",
            entry(|entry| entry.extra = [extra(0xcafe, b""), vec![0, 1]].concat()),
            "?",
        ),
        ("extra: cut off", entry(|entry| entry.extra = vec![0xfe, 0xca, 9, 0, 1]), "?"),
        ("local extra: cut off", local(|local| local.extra = Some(vec![0xfe, 0xca, 9, 0, 1])), "?"),
        ("64-bit: nothing", entry(|entry| entry.extra = extra64(&[])), "?"),
        (
            "64-bit: the same sizes again",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                entry.extra = extra64(&[size, compressed_size]);
            }),
            "?",
        ),
        (
            "64-bit: sizes that stand only there",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                (entry.said_size, entry.said_compressed_size) = (Some(u32::MAX), Some(u32::MAX));
                entry.extra = extra64(&[size, compressed_size]);
            }),
            "?",
        ),
        (
            "64-bit: one size that stands only there",
            entry(|entry| {
                entry.extra = extra64(&[entry.numbers()[2].into()]);
                entry.said_size = Some(u32::MAX);
            }),
            "?",
        ),
        (
            "64-bit: the offset stands only there",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.said_header) = (extra64(&[0]), Some(u32::MAX));
            }),
            "?",
        ),
        (
            "64-bit: the disk stands only there",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.disk) = (extra(1, &[0; 4]), u16::MAX);
            }),
            "?",
        ),
        (
            "64-bit: a second disk",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.disk) = (extra(1, &[1, 0, 0, 0]), u16::MAX);
            }),
            "?",
        ),
        (
            "64-bit: another size",
            entry(|entry| {
                let compressed_size = entry.numbers()[1].into();
                entry.extra = extra64(&[7, compressed_size]);
            }),
            "?",
        ),
        ("64-bit: another compressed size", entry(|entry| entry.extra = extra64(&[12, 7])), "?"),
        (
            "64-bit: another offset",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                entry.local.extra = Some(Vec::new());
                entry.extra = extra64(&[size, compressed_size, 7]);
            }),
            "?",
        ),
        (
            "64-bit: too short",
            entry(|entry| {
                (entry.said_size, entry.said_compressed_size) = (Some(u32::MAX), Some(u32::MAX));
                entry.extra = extra64(&[12]);
            }),
            "?",
        ),
        ("64-bit: too long", entry(|entry| entry.extra = extra(1, &[0; 40])), "?"),
        ("64-bit: odd", entry(|entry| entry.extra = extra(1, &[0; 5])), "?"),
        ("64-bit: twice", entry(|entry| entry.extra = [extra64(&[]), extra64(&[])].concat()), "?"),
        ("64-bit: nowhere", entry(|entry| entry.said_size = Some(u32::MAX)), "?"),
        ("64-bit: local, another size", entry(|entry| entry.local.extra = Some(extra64(&[7, 7]))), "?"),
        ("64-bit: local, too long", entry(|entry| entry.local.extra = Some(extra64(&[7, 7, 0]))), "?"),
        ("Unicode path: the name", entry(|entry| entry.extra = unicode("a", b"a")), "?"),
        ("Unicode path: another name", entry(|entry| entry.extra = unicode("../a", b"a")), "?"),
        (
            "Unicode path: another name in the local header",
            local(|local| local.extra = Some(unicode("b", b"a"))),
            "?",
        ),
        ("Unicode path: of another name", entry(|entry| entry.extra = unicode("a", b"b")), "?"),
        ("Unicode path: another version", entry(|entry| entry.extra = extra(0x7075, b"\x02abcda")), "?"),
        ("Unicode path: cut off", entry(|entry| entry.extra = extra(0x7075, b"\x01a")), "?"),
        (
            "Unicode path: twice",
            entry(|entry| entry.extra = [unicode("a", b"a"), unicode("a", b"a")].concat()),
            "?",
        ),
        ("symbolic link", zip(&[Raw::new("a", "/etc/passwd").mode(0o120_777)]), "?"),
        ("device", zip(&[Raw::new("a", "").mode(0o020_644)]), "?"),
        ("folder by its mode", zip(&[Raw::new("a", "").mode(0o040_755)]), "?"),
        ("folder by its DOS attributes", entry(|entry| entry.attributes = 0x10), "?"),
        ("folder with content", zip(&[Raw::new("a/", "content")]), "?"),
        ("data after the end of the stream", entry(|entry| entry.after = b"hidden".to_vec()), "?"),
        (
            "a stream that does not end",
            zip(&[Raw {
                said_method: Some(8),
                said_size: Some(0),
                said_crc: Some(0),
                ..Raw::stored("a", [0, 0, 0, 0xff, 0xff])
            }]),
            "?",
        ),
    ]);
}
