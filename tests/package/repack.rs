//! Repacking: the same bytes whatever the package looked like, the right modes, and every byte checked.

use octarm::package::{Package, Repacked, Verification};
use sha::sha256;

use crate::support::packages::{Producer, Raw, nupkg, open, unpack, zip};

mod sha {
    //! The digest by another way than the one under test.
    pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().unwrap()
    }
}

fn repack(package: &Package) -> (Repacked, Vec<u8>) {
    let mut bytes = Vec::new();
    let repacked = package.repack(package.function_folder("src/function"), &mut bytes).unwrap();
    (repacked, bytes)
}

#[test]
fn the_report_is_what_was_written() {
    let entries =
        [Raw::new("src/function/b.js", "bb"), Raw::new("src/function/a/x", "a"), Raw::new("README", "r")];
    let (repacked, bytes) = repack(&open("A.1.0.zip", &zip(&entries)).unwrap());
    assert_eq!(
        unpack(&bytes),
        [("a/x".to_owned(), 0o100_644, b"a".to_vec()), ("b.js".to_owned(), 0o100_644, b"bb".to_vec())]
    );
    assert_eq!(repacked.size, bytes.len() as u64);
    assert_eq!(repacked.unzipped_size, 3);
    assert_eq!(repacked.sha256, sha256(&bytes));
    let listed: Vec<_> = repacked
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.mode, entry.size, entry.crc32))
        .collect();
    assert_eq!(
        listed,
        [("a/x", 0o644, 1, crc32fast::hash(b"a")), ("b.js", 0o644, 2, crc32fast::hash(b"bb"))]
    );
}

#[test]
fn the_digest_is_pinned() {
    let entries = [Raw { deflate: false, ..Raw::new("bootstrap", "#!/bin/sh\n") }];
    let (repacked, _) = repack(&open("A.1.0.zip", &zip(&entries)).unwrap());
    insta::assert_snapshot!(repacked.code_sha256(), @"0XM9a+nUdZYlMGHy5jdAxrySUDueXE5m3pMH97ptLnw=");
}

#[test]
fn the_same_bytes_whoever_made_the_package() {
    let files = [("src/function/b", "bbbb"), ("src/function/caf\u{e9}", "cc"), ("src/function/a/c", "")];
    let mut outputs = Vec::new();
    for producer in [Producer::NuGet, Producer::Mono, Producer::Octopus] {
        let mut entries = nupkg(producer, "A", "1.0", &files);
        outputs.push(repack(&open("A.1.0.nupkg", &zip(&entries)).unwrap()).1);
        entries.reverse();
        for entry in &mut entries {
            entry.time = (1, 0x21);
        }
        outputs.push(repack(&open("A.1.0.nupkg", &zip(&entries)).unwrap()).1);
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn data_is_copied_as_it_is_compressed() {
    let content = vec![b'x'; 100_000];
    let fast = {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::none());
        std::io::Write::write_all(&mut encoder, &content).unwrap();
        encoder.finish().unwrap()
    };
    // Stored with the method of deflate: the builder's own compression is passed by.
    let entry = Raw {
        content: fast.clone(),
        deflate: false,
        said_method: Some(8),
        said_size: Some(100_000),
        said_crc: Some(crc32fast::hash(&content)),
        ..Raw::new("a", "")
    };
    let (_, bytes) = repack(&open("A.1.0.zip", &zip(&[entry])).unwrap());
    assert!(bytes.windows(fast.len()).any(|window| window == fast));
    assert_eq!(unpack(&bytes)[0].2, content);
}

#[test]
fn executables_are_found_by_mode_name_and_content() {
    for (entry, mode) in [
        (Raw::new("run", "x").mode(0o100_744), 0o755),
        (Raw::new("run", "x").mode(0o100_010), 0o755),
        (Raw::new("run", "x").mode(0o100_600), 0o644),
        (Raw::new("run", "x"), 0o644),
        (Raw::new("bootstrap", ""), 0o755),
        (Raw::new("lib/bootstrap", "x"), 0o755),
        (Raw::new("bootstrap.txt", "x"), 0o644),
        (Raw::new("run", "#!/bin/sh"), 0o755),
        (Raw::new("run", "#!"), 0o755),
        (Raw::new("run", "#"), 0o644),
        (Raw::new("run", "\x7fELF\x02"), 0o755),
        (Raw::new("run", "\x7fELG"), 0o644),
        (Raw::new("bin/tool", "x"), 0o644),
    ] {
        for deflate in [true, false] {
            let entry = Raw { deflate, ..entry.clone() };
            let shown = format!("{entry:?}");
            let (_, bytes) = repack(&open("A.1.0.zip", &zip(&[entry])).unwrap());
            assert_eq!(unpack(&bytes)[0].1 & 0o777, mode, "{shown}");
        }
    }
}

#[test]
fn nothing_to_deploy_is_refused() {
    let package =
        open("A.1.0.zip", &zip(&[Raw::new("docs/a", ""), Raw::new("docs/b", ""), Raw::new("c", "")]))
            .unwrap();
    insta::assert_snapshot!(package.repack("src/function", std::io::sink()).unwrap_err(), @"no file lies under `src/function/` of `A.1.0.zip`: it holds `c`, `docs/`");
    let package = open("A.1.0.nupkg", &zip(&nupkg(Producer::NuGet, "A", "1.0", &[]))).unwrap();
    insta::assert_snapshot!(package.repack("", std::io::sink()).unwrap_err(), @"no file lies under the root of `A.1.0.nupkg`: it holds no files");
}

#[test]
fn what_cannot_be_written_is_reported() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let package =
        open("A.1.0.zip", &zip(&[Raw { deflate: false, ..Raw::new("a", vec![1; 300_000]) }])).unwrap();
    let error = package.repack("", Full).unwrap_err();
    insta::assert_snapshot!(error, @"writing the function of `A.1.0.zip` failed");
}

#[test]
fn every_byte_of_the_package_is_checked() {
    let zeros = vec![0; 1_000_000];
    let wrong = [
        Raw { said_crc: Some(7), ..Raw::new("a", "x") },
        Raw { said_crc: Some(7), deflate: false, ..Raw::new("a", "x") },
        Raw { said_size: Some(10), ..Raw::new("a", &zeros) },
        Raw { said_size: Some(10), ..Raw::new("a", "x") },
        Raw { after: b"hidden".to_vec(), ..Raw::new("a", "x") },
        Raw { after: vec![0; 100_000], ..Raw::new("a", "x") },
        Raw { deflate: false, said_method: Some(8), ..Raw::new("a", "not deflate") },
    ];
    let mut refusals = Vec::new();
    for entry in &wrong {
        let package = open("A.1.0.zip", &zip(std::slice::from_ref(entry))).unwrap();
        refusals.push(package.repack("", std::io::sink()).unwrap_err().to_string());
        // The same outside of the folder that is repacked.
        let package = open("A.1.0.zip", &zip(&[entry.clone(), Raw::new("f/b", "fine")])).unwrap();
        assert_eq!(package.repack("f", std::io::sink()).unwrap_err().to_string(), *refusals.last().unwrap());
    }
    insta::assert_snapshot!(refusals.join("\n"), @"
    `A.1.0.zip` holds `a`: its content has the CRC-32 8cdc1683, but says 00000007
    `A.1.0.zip` holds `a`: its content has the CRC-32 8cdc1683, but says 00000007
    `A.1.0.zip` holds `a`: it unzips to more than the 10 bytes it says
    `A.1.0.zip` holds `a`: it unzips to 1 bytes, but says 10
    `A.1.0.zip` holds `a`: 6 bytes follow the end of its compressed data
    `A.1.0.zip` holds `a`: 100000 bytes follow the end of its compressed data
    `A.1.0.zip` holds `a`: its compressed data is damaged
    ");
}

#[test]
fn empty_entries_without_any_compressed_data_are_taken_as_stored() {
    let empty = |name| Raw { deflate: false, said_method: Some(8), ..Raw::new(name, "") };
    let package = open("A.1.0.zip", &zip(&[empty("folder/"), empty("folder/empty")])).unwrap();
    let mut function = Vec::new();
    package.repack("", std::io::Cursor::new(&mut function)).unwrap();
    assert_eq!(unpack(&function), [("folder/empty".to_owned(), 0o100_644, Vec::new())]);
    // The method of the first header: stored.
    assert_eq!(function[8..10], [0, 0]);
}

#[test]
fn a_remembered_package_repacks_to_the_same_bytes() {
    let bytes = zip(&[
        Raw::new("f/run", "#!/bin/sh"),
        Raw::new("f/empty", ""),
        Raw::new("g/tool", "\x7fELF"),
        Raw::new("g/text", "text"),
        Raw::new("g/by-mode", "x").mode(0o100_755),
    ]);
    let package = open("A.1.0.zip", &bytes).unwrap();
    let (first, verification) =
        package.repack_verified("f", &hex::encode(sha256(&bytes)), std::io::sink()).unwrap();
    assert_eq!(first, package.repack("f", std::io::sink()).unwrap());
    // It goes through text, as what is kept for longer would, and to another opening of the package.
    let verification: Verification =
        serde_json::from_str(&serde_json::to_string(&verification).unwrap()).unwrap();
    let package = open("A.1.0.zip", &bytes).unwrap();
    for folder in ["f", "g", ""] {
        let (mut verified, mut remembered) = (Vec::new(), Vec::new());
        let one = package.repack(folder, &mut verified).unwrap();
        let other = package
            .repack_remembered(folder, &hex::encode(sha256(&bytes)), &verification, &mut remembered)
            .unwrap();
        assert_eq!((one, verified), (other, remembered));
    }
}

#[test]
fn what_is_remembered_of_one_package_counts_for_no_other() {
    let entry = Raw { time: (1, 0x21), ..Raw::new("a", "x") };
    let (one, other) = (zip(&[Raw::new("a", "x")]), zip(&[entry]));
    let package = open("A.1.0.zip", &one).unwrap();
    let (_, verification) = package.repack_verified("", &hex::encode(sha256(&one)), std::io::sink()).unwrap();
    let mut written = Vec::new();
    let package = open("A.1.0.zip", &other).unwrap();
    let error =
        package.repack_remembered("", &hex::encode(sha256(&other)), &verification, &mut written).unwrap_err();
    insta::assert_snapshot!(error, @"what is remembered of `A.1.0.zip` was learnt from SHA-256 11a989740722b2664004ab75f21fc5e337824d4519740b90410617c9e74f688b by rules 1, but it is SHA-256 52594ab3a8b8c54ddba5dcf90c84b08964636376282a274f9877269750f379e5 by rules 1");
    assert!(written.is_empty());
}

#[test]
fn the_first_damaged_entry_of_the_file_is_the_one_that_is_named() {
    // Sizes that fall in both orders, and enough entries for all threads.
    for sizes in [(1..40).collect::<Vec<_>>(), (1..40).rev().collect()] {
        let entries: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(number, size)| {
                let lie = (number >= 5).then_some(7);
                let content = vec![u8::try_from(number).unwrap(); size * 20_000];
                Raw {
                    said_crc: lie,
                    deflate: number % 2 == 0,
                    ..Raw::new(format!("file-{number:02}"), content)
                }
            })
            .collect();
        let package = open("A.1.0.zip", &zip(&entries)).unwrap();
        for _ in 0..5 {
            let error = package.repack("", std::io::sink()).unwrap_err().to_string();
            assert!(error.contains("`file-05`"), "{error}");
        }
    }
}
