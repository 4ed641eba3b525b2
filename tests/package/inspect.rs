//! `octarm package inspect`, as its users see it.

use std::path::Path;

use crate::support::{
    packages::{Producer, Raw, nupkg, write, zip},
    process::{Output, Program},
};

/// A package with a function, a neighbour that could be one, and files beside them.
fn package() -> Vec<u8> {
    let files = [
        ("src/function/index.js", "exports.handler = async () => 'one'\n"),
        ("src/function/lib/a%20b.txt", "text"),
        ("src/function/bootstrap", "#!/bin/sh\nexec node\n"),
        ("src/nightly/index.js", "exports.handler = async () => 'night'\n"),
        ("src/notes.txt", ""),
        ("README.md", "not for Lambda"),
    ];
    let mut entries = nupkg(Producer::NuGet, "Acme.Web", "1.2.0-beta.1", &files);
    // As it is: the digests are not those of a compressor.
    for entry in &mut entries {
        entry.deflate = false;
    }
    zip(&entries)
}

fn inspect(package: &Path, more: &[&str]) -> Output {
    Program::octarm().args(["package", "inspect"]).args([package]).args(more).run()
}

#[test]
fn a_sound_package_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let output = inspect(&write(folder.path(), "Acme.Web.1.2.0-beta.1.nupkg", &package()), &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(output.stdout, @"
    Acme.Web 1.2.0-beta.1
      file        Acme.Web.1.2.0-beta.1.nupkg, 1.5 KiB
      dialect     NuGet package
      SHA-256     bd606c4a60dc34f1628374b265174b8d556089f5946a9e28dbc5db9addb15756
      entries     10: 6 files, 0 folders, 4 dropped

    function src/function
      CodeSha256  8AIBkOAzadrY4GwjWQpYPjjvhYlAsmHXliddMBRZLkA=
      zip         366 B, 488 B in base64: goes the direct way
      unzipped    60 B in 3 files, 0.1 % of 250.0 MiB

    candidate src/nightly
      CodeSha256  IhzrV6/EM8v/FlC81O4ZzaO1fmgH2TWeSBpp+JJbHLQ=
      zip         152 B, 204 B in base64: goes the direct way
      unzipped    38 B in 1 file, 0.1 % of 250.0 MiB

    files
      0644  14  README.md
      0755  20  src/function/bootstrap
      0644  36  src/function/index.js
      0644   4  src/function/lib/a b.txt
      0644  38  src/nightly/index.js
      0644   0  src/notes.txt

    dropped
      _rels/.rels                                            NuGet's list of relations between the parts of the package
      Acme.Web.nuspec                                        the NuGet manifest, read for id and version
      [Content_Types].xml                                    NuGet's list of content types
      package/services/metadata/core-properties/0af3.psmdcp  NuGet's metadata of the package
    ");
}

#[test]
fn a_sound_package_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = inspect(&write(folder.path(), "Acme.Web.1.2.0-beta.1.nupkg", &package()), &["--json"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(output.stdout, @r#"
    {
      "candidates_not_read": 0,
      "dialect": "nuget",
      "dropped": [
        {
          "name": "_rels/.rels",
          "reason": "NuGet's list of relations between the parts of the package"
        },
        {
          "name": "Acme.Web.nuspec",
          "reason": "the NuGet manifest, read for id and version"
        },
        {
          "name": "[Content_Types].xml",
          "reason": "NuGet's list of content types"
        },
        {
          "name": "package/services/metadata/core-properties/0af3.psmdcp",
          "reason": "NuGet's metadata of the package"
        }
      ],
      "entries": 10,
      "file": "Acme.Web.1.2.0-beta.1.nupkg",
      "files": [
        {
          "mode": "0644",
          "name": "README.md",
          "size": 14
        },
        {
          "mode": "0755",
          "name": "src/function/bootstrap",
          "size": 20
        },
        {
          "mode": "0644",
          "name": "src/function/index.js",
          "size": 36
        },
        {
          "mode": "0644",
          "name": "src/function/lib/a b.txt",
          "size": 4
        },
        {
          "mode": "0644",
          "name": "src/nightly/index.js",
          "size": 38
        },
        {
          "mode": "0644",
          "name": "src/notes.txt",
          "size": 0
        }
      ],
      "folders": 0,
      "functions": [
        {
          "base64_size": 488,
          "code_sha256": "8AIBkOAzadrY4GwjWQpYPjjvhYlAsmHXliddMBRZLkA=",
          "deployed": true,
          "direct_limit": 52428030,
          "files": 3,
          "folder": "src/function",
          "needs_bucket": false,
          "unzipped_limit": 262144000,
          "unzipped_size": 60,
          "zip_size": 366
        },
        {
          "base64_size": 204,
          "code_sha256": "IhzrV6/EM8v/FlC81O4ZzaO1fmgH2TWeSBpp+JJbHLQ=",
          "deployed": false,
          "direct_limit": 52428030,
          "files": 1,
          "folder": "src/nightly",
          "needs_bucket": false,
          "unzipped_limit": 262144000,
          "unzipped_size": 38,
          "zip_size": 152
        }
      ],
      "id": "Acme.Web",
      "sha256": "bd606c4a60dc34f1628374b265174b8d556089f5946a9e28dbc5db9addb15756",
      "size": 1580,
      "version": "1.2.0-beta.1"
    }
    "#);
}

#[test]
fn a_package_that_is_the_function_from_its_root() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    for index in 0..60 {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(if index == 7 { 0o775 } else { 0o664 });
        builder.append_data(&mut header, format!("app/{index:02}.js"), b"x".as_slice()).unwrap();
    }
    let package = write(folder.path(), "Orders.1.0.0.tar", &builder.into_inner().unwrap());
    let output = inspect(&package, &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = output.stdout.lines().collect();
    let first = [&lines[..21], &lines[lines.len() - 2..]].concat().join("\n");
    insta::assert_snapshot!(first, @"
    Orders 1.0.0
      file        Orders.1.0.0.tar, 61.0 KiB
      dialect     tar
      SHA-256     8009502627a27c81e0f77552962249f7b63b5cee10247877c714183ae98573bc
      entries     60: 60 files, 0 folders, 0 dropped

    function the package's root
      CodeSha256  L+8TYs+gcr3+/5Nw2ugXBVrN6ymLJGGW16nDvo5EpbQ=
      zip         5.5 KiB, 7.4 KiB in base64: goes the direct way
      unzipped    60 B in 60 files, 0.1 % of 250.0 MiB

    files
      0644  1  app/00.js
      0644  1  app/01.js
      0644  1  app/02.js
      0644  1  app/03.js
      0644  1  app/04.js
      0644  1  app/05.js
      0644  1  app/06.js
      0755  1  app/07.js
      0644  1  app/08.js
      0644  1  app/49.js
      and 10 more: --verbose lists all
    ");
    let all = inspect(&package, &["--verbose"]);
    assert!(all.stdout.contains("  0644  1  app/59.js") && !all.stdout.contains("more"), "{all:?}");
}

#[test]
fn a_package_cannot_make_us_read_it_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..23).map(|index| Raw::new(format!("src/{index:02}/a"), "x")).collect();
    let output = inspect(&write(folder.path(), "A.1.0.zip", &zip(&entries)), &[]);
    assert_eq!(output.stdout.matches("\ncandidate src/").count(), 20, "{output:?}");
    assert!(output.stdout.contains("\nand 3 more folders that could be candidates\n"), "{output:?}");
}

#[test]
fn other_conventions_name_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let package = write(folder.path(), "Acme.Web.1.2.0-beta.1.nupkg", &package());
    let shipped = include_str!("../../conventions/package.toml");
    let changed = shipped.replace("\"src/function\"", "\"src/nightly\"");
    assert_ne!(changed, shipped);
    write(folder.path(), "package.toml", changed.as_bytes());
    let output = inspect(&package, &["--conventions", folder.path().to_str().unwrap()]);
    assert!(output.stdout.contains("\nfunction src/nightly\n"), "{output:?}");
    assert!(output.stdout.contains("\ncandidate src/function\n"), "{output:?}");
}

#[test]
fn a_package_that_breaks_a_rule_is_an_input_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let evil = write(folder.path(), "A.1.0.zip", &zip(&[Raw::new("../evil", "x")]));
    // Its directory is sound: only reading every byte tells.
    let damaged = [Raw::new("a", "x"), Raw { said_crc: Some(7), ..Raw::new("b", "y") }];
    let damaged = write(folder.path(), "B.1.0.zip", &zip(&damaged));
    let tar = write(folder.path(), "C.1.0.tar.gz", b"no gzip");
    let empty = write(folder.path(), "D.1.0.tar", &[0; 1024]);
    let missing = folder.path().join("E.1.0.zip");
    let refusals = [evil, damaged, tar, empty, missing].map(|package| {
        let output = inspect(&package, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(65), ""), "{output:?}");
        output.stderr.replace(folder.path().to_str().unwrap(), "FOLDER")
    });
    insta::assert_snapshot!(refusals.concat(), @"
    error: `A.1.0.zip` holds `../evil`: its name has the part `..`, which leads out of the package or nowhere
    error: `B.1.0.zip` holds `b`: its content has the CRC-32 fbdb2615, but says 00000007
      hint: the package is damaged or was tampered with: compare it with its source
    error: `C.1.0.tar.gz` is not a sound tar: it holds uncompressed data where its name promises gzip data
      hint: name the file for what it holds, or pack it again
    error: no file lies under the root of `D.1.0.tar`: it holds no files
      hint: pack the folder that holds the function's files
    error: the package `FOLDER/E.1.0.zip` does not exist or is not a regular file
    ");
}
