//! Entries whose headers lie, contradict the directory or hold what is not taken: each row of the table breaks one
//! rule, and only that one, or shows a habit that is taken.

use super::structure::check;
use crate::support::packages::{Local, Raw, descriptor, extra, extra64, zip};

/// An extra field with `name` in UTF-8, made for the name `of`.
fn unicode(name: &str, of: &[u8]) -> Vec<u8> {
    extra(0x7075, &[&[1][..], &crc32fast::hash(of).to_le_bytes(), name.as_bytes()].concat())
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
        ("password", entry(|entry| entry.flags = 1), "it is encrypted"),
        ("strong encryption", entry(|entry| entry.flags = 0x41), "it is encrypted by the strong method"),
        (
            "masked header",
            entry(|entry| entry.flags = 0x2000),
            "its header is masked by encryption of the directory",
        ),
        ("patch", entry(|entry| entry.flags = 0x20), "it is a patch for another file"),
        (
            "method 12",
            entry(|entry| entry.said_method = Some(12)),
            "it is compressed by method 12: only stored (0) and deflate (8) are taken",
        ),
        (
            "method 99",
            entry(|entry| entry.said_method = Some(99)),
            "it is compressed by method 99: only stored (0) and deflate (8) are taken",
        ),
        (
            "second disk",
            entry(|entry| entry.disk = 1),
            "it lies in part 1 of several: only zips of one file are taken",
        ),
        (
            "stored with two sizes",
            zip(&[Raw { said_size: Some(5), ..Raw::stored("a", "x") }]),
            "it is stored as it is, but its sizes 1 and 5 differ",
        ),
        (
            "local: another name",
            local(|local| local.name = Some(b"b".to_vec())),
            "its local header names it `b`",
        ),
        (
            "local: another spelling of the name",
            local(|local| local.name = Some(b"./a".to_vec())),
            "its local header names it `./a`",
        ),
        (
            "local: another method",
            local(|local| local.method = Some(0)),
            "its local header gives its method as 0, but the directory as 8",
        ),
        (
            "local: other flags",
            local(|local| local.flags = Some(0x800)),
            "its local header gives its flags as 0x0800, but the directory as 0x0000",
        ),
        (
            "local: a password",
            local(|local| local.flags = Some(1)),
            "its local header gives its flags as 0x0001, but the directory as 0x0000",
        ),
        (
            "local: sizes after the data",
            local(|local| local.flags = Some(8)),
            "its local header gives its flags as 0x0008, but the directory as 0x0000",
        ),
        (
            "local: another checksum",
            local(|local| local.crc = Some(7)),
            "its local header gives its CRC-32 as 00000007, but the directory as 178a606c",
        ),
        (
            "local: no checksum",
            local(|local| local.crc = Some(0)),
            "its local header gives its CRC-32 as 00000000, but the directory as 178a606c",
        ),
        (
            "local: another size",
            local(|local| local.size = Some(7)),
            "its local header gives its size as 7, but the directory as 12",
        ),
        (
            "local: no size",
            local(|local| local.size = Some(0)),
            "its local header gives its size as 0, but the directory as 12",
        ),
        (
            "local: another compressed size",
            local(|local| local.compressed_size = Some(7)),
            "its local header gives its compressed size as 7, but the directory as 14",
        ),
        (
            "local: the size elsewhere, but nowhere",
            local(|local| local.size = Some(u32::MAX)),
            "its local header gives its size as 4294967295, but the directory as 12",
        ),
        ("sizes after the data", followed(|_| {}), "taken"),
        ("sizes after the data, no signature", said(false, false), "taken"),
        ("sizes after the data, 64 bits", said(true, true), "taken"),
        ("sizes after the data, 64 bits, no signature", said(false, true), "taken"),
        (
            "sizes after the data and before it",
            followed(|entry| {
                let [crc, compressed_size, size] = entry.numbers().map(Some);
                entry.local = Local { crc, compressed_size, size, ..Local::default() };
            }),
            "taken",
        ),
        ("sizes after the data, the size before it", followed(|entry| entry.local.size = Some(12)), "taken"),
        (
            "sizes only before the data",
            followed(|entry| {
                let [crc, compressed_size, size] = entry.numbers().map(Some);
                entry.local = Local { crc, compressed_size, size, ..Local::default() };
                entry.said_descriptor = Some(Vec::new());
            }),
            "taken",
        ),
        (
            "sizes neither before nor after the data",
            followed(|entry| entry.said_descriptor = Some(Vec::new())),
            "its flags announce a data descriptor, but none follows its data",
        ),
        (
            "sizes after the data, another size before it",
            followed(|entry| entry.local.size = Some(7)),
            "its local header gives its size as 7, but the directory as 12",
        ),
        (
            "descriptor: another checksum",
            followed(|entry| {
                let [_, compressed_size, size] = entry.numbers();
                entry.said_descriptor = Some(descriptor(true, false, [7, compressed_size, size]));
            }),
            "its data descriptor gives its CRC-32 as 00000007, but the directory as 178a606c",
        ),
        (
            "descriptor: another compressed size",
            followed(|entry| {
                let [crc, _, size] = entry.numbers();
                entry.said_descriptor = Some(descriptor(false, true, [crc, 7, size]));
            }),
            "its data descriptor gives its compressed size as 7, but the directory as 14",
        ),
        (
            "descriptor: another size",
            followed(|entry| {
                let [crc, compressed_size, _] = entry.numbers();
                entry.said_descriptor = Some(descriptor(false, false, [crc, compressed_size, 7]));
            }),
            "its data descriptor gives its size as 7, but the directory as 12",
        ),
        (
            "descriptor: another signature",
            followed(|entry| {
                let honest = descriptor(false, false, entry.numbers());
                entry.said_descriptor = Some([b"PK\x07\x09".to_vec(), honest].concat());
            }),
            "its flags announce a data descriptor, but none follows its data",
        ),
        (
            "descriptor: longer",
            followed(|entry| {
                let honest = descriptor(true, false, entry.numbers());
                entry.said_descriptor = Some([honest, vec![0]].concat());
            }),
            "17 bytes at offset 45 belong to no entry",
        ),
        (
            "descriptor that is not announced",
            entry(|entry| entry.said_descriptor = Some(descriptor(true, false, entry.numbers()))),
            "16 bytes at offset 45 belong to no entry",
        ),
        (
            "extra: of others",
            entry(|entry| entry.extra = [extra(0xcafe, b""), extra(0x5455, b"\x01abcd")].concat()),
            "taken",
        ),
        (
            "extra: aligned by zeros",
            entry(|entry| entry.extra = [extra(0xcafe, b""), vec![0; 3]].concat()),
            "taken",
        ),
        ("extra: aligned by more zeros", entry(|entry| entry.extra = vec![0; 11]), "taken"),
        (
            "extra: other bytes behind",
            entry(|entry| entry.extra = [extra(0xcafe, b""), vec![0, 1]].concat()),
            "its extra fields end in 2 bytes that are no field",
        ),
        (
            "extra: cut off",
            entry(|entry| entry.extra = vec![0xfe, 0xca, 9, 0, 1]),
            "its extra field 0xcafe of 9 bytes is cut off",
        ),
        (
            "local extra: cut off",
            local(|local| local.extra = Some(vec![0xfe, 0xca, 9, 0, 1])),
            "its extra field 0xcafe of 9 bytes is cut off",
        ),
        ("64-bit: nothing", entry(|entry| entry.extra = extra64(&[])), "taken"),
        (
            "64-bit: the same sizes again",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                entry.extra = extra64(&[size, compressed_size]);
            }),
            "taken",
        ),
        (
            "64-bit: sizes that stand only there",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                (entry.said_size, entry.said_compressed_size) = (Some(u32::MAX), Some(u32::MAX));
                entry.extra = extra64(&[size, compressed_size]);
            }),
            "taken",
        ),
        (
            "64-bit: one size that stands only there",
            entry(|entry| {
                entry.extra = extra64(&[entry.numbers()[2].into()]);
                entry.said_size = Some(u32::MAX);
            }),
            "taken",
        ),
        (
            "64-bit: the offset stands only there",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.said_header) = (extra64(&[0]), Some(u32::MAX));
            }),
            "taken",
        ),
        (
            "64-bit: the disk stands only there",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.disk) = (extra(1, &[0; 4]), u16::MAX);
            }),
            "taken",
        ),
        (
            "64-bit: a second disk",
            entry(|entry| {
                entry.local.extra = Some(Vec::new());
                (entry.extra, entry.disk) = (extra(1, &[1, 0, 0, 0]), u16::MAX);
            }),
            "it lies in part 1 of several: only zips of one file are taken",
        ),
        (
            "64-bit: another size",
            entry(|entry| {
                let compressed_size = entry.numbers()[1].into();
                entry.extra = extra64(&[7, compressed_size]);
            }),
            "its size is 12, but its 64-bit extra field says 7",
        ),
        (
            "64-bit: another compressed size",
            entry(|entry| entry.extra = extra64(&[12, 7])),
            "its compressed size is 14, but its 64-bit extra field says 7",
        ),
        (
            "64-bit: another offset",
            entry(|entry| {
                let [_, compressed_size, size] = entry.numbers().map(u64::from);
                entry.local.extra = Some(Vec::new());
                entry.extra = extra64(&[size, compressed_size, 7]);
            }),
            "its offset is 0, but its 64-bit extra field says 7",
        ),
        (
            "64-bit: too short",
            entry(|entry| {
                (entry.said_size, entry.said_compressed_size) = (Some(u32::MAX), Some(u32::MAX));
                entry.extra = extra64(&[12]);
            }),
            "its 64-bit extra field is 8 bytes long, where 16 are called for",
        ),
        (
            "64-bit: too long",
            entry(|entry| entry.extra = extra(1, &[0; 40])),
            "its 64-bit extra field is 40 bytes long, where 0 are called for",
        ),
        (
            "64-bit: odd",
            entry(|entry| entry.extra = extra(1, &[0; 5])),
            "its 64-bit extra field is 5 bytes long, where 0 are called for",
        ),
        (
            "64-bit: twice",
            entry(|entry| entry.extra = [extra64(&[]), extra64(&[])].concat()),
            "its extra field 0x0001 comes twice",
        ),
        (
            "64-bit: nowhere",
            entry(|entry| entry.said_size = Some(u32::MAX)),
            "`A.1.0.zip` holds 4294967295 bytes unzipped: at most 262144000 are allowed",
        ),
        (
            "64-bit: local, another size",
            entry(|entry| entry.local.extra = Some(extra64(&[7, 7]))),
            "its size is 12, but its 64-bit extra field says 7",
        ),
        (
            "64-bit: local, too long",
            entry(|entry| entry.local.extra = Some(extra64(&[7, 7, 0]))),
            "its 64-bit extra field is 24 bytes long, where 0 are called for",
        ),
        ("Unicode path: the name", entry(|entry| entry.extra = unicode("a", b"a")), "taken"),
        (
            "Unicode path: another name",
            entry(|entry| entry.extra = unicode("../a", b"a")),
            "its extra field with the name in UTF-8 names it `../a`",
        ),
        (
            "Unicode path: another name in the local header",
            local(|local| local.extra = Some(unicode("b", b"a"))),
            "its extra field with the name in UTF-8 names it `b`",
        ),
        (
            "Unicode path: of another name",
            entry(|entry| entry.extra = unicode("a", b"b")),
            "its extra field with the name in UTF-8 has the checksum of another name",
        ),
        (
            "Unicode path: another version",
            entry(|entry| entry.extra = extra(0x7075, b"\x02abcda")),
            "its extra field with the name in UTF-8 cannot be read",
        ),
        (
            "Unicode path: cut off",
            entry(|entry| entry.extra = extra(0x7075, b"\x01a")),
            "its extra field with the name in UTF-8 cannot be read",
        ),
        (
            "Unicode path: twice",
            entry(|entry| entry.extra = [unicode("a", b"a"), unicode("a", b"a")].concat()),
            "its extra field 0x7075 comes twice",
        ),
        (
            "symbolic link",
            zip(&[Raw::new("a", "/etc/passwd").mode(0o120_777)]),
            "it is a symbolic link: only files and folders are taken",
        ),
        ("device", zip(&[Raw::new("a", "").mode(0o020_644)]), "it is neither a file nor a folder"),
        (
            "folder by its mode",
            zip(&[Raw::new("a", "").mode(0o040_755)]),
            "its mode is that of a folder, but its name does not end in `/`",
        ),
        (
            "folder by its DOS attributes",
            entry(|entry| entry.attributes = 0x10),
            "its mode is that of a folder, but its name does not end in `/`",
        ),
        ("folder with content", zip(&[Raw::new("a/", "content")]), "it is a folder with 7 bytes of content"),
        (
            "data after the end of the stream",
            entry(|entry| entry.after = b"hidden".to_vec()),
            "when repacked: 6 bytes follow the end of its compressed data",
        ),
        (
            "a stream that does not end",
            zip(&[Raw {
                said_method: Some(8),
                said_size: Some(0),
                said_crc: Some(0),
                ..Raw::stored("a", [0, 0, 0, 0xff, 0xff])
            }]),
            "when repacked: its compressed data is damaged",
        ),
    ]);
}
