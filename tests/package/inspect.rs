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
    insta::assert_snapshot!(output.stdout, @"");
}

#[test]
fn a_sound_package_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = inspect(&write(folder.path(), "Acme.Web.1.2.0-beta.1.nupkg", &package()), &["--json"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(output.stdout, @"");
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
    insta::assert_snapshot!(first, @"");
    let all = inspect(&package, &["--verbose"]);
    assert!(all.stdout.contains("  0644  1  app/59.js") && !all.stdout.contains("more"), "{all:?}");
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
    insta::assert_snapshot!(refusals.concat(), @"");
}
