//! Packages of genuine packers. The same folder goes in; the same files have to be read, whoever packed it, and a second
//! reader has to find them in what is repacked.

use std::collections::BTreeMap;
use std::io::{Cursor, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use octarm::package::Package;
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    deploy::{Scene, old_zip},
    support::{
        ministack::tools,
        packages::{Raw, open, unpack, write, zip},
        process::Program,
    },
};

/// Whether a packer writes down the Unix modes of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modes {
    Kept,
    Lost,
}
use Modes::{Kept, Lost};

/// A packer as people call it.
struct Packer {
    /// For messages.
    name: &'static str,
    /// What it makes.
    extension: &'static str,
    modes: Modes,
    /// The shell line, run in the folder: it writes `$OUTPUT`, which lies in `$OUT`; `$TOOLS` has the scripts.
    line: &'static str,
}

const fn packer(name: &'static str, extension: &'static str, modes: Modes, line: &'static str) -> Packer {
    Packer { name, extension, modes, line }
}

/// A file of the folder that is packed: its name, its mode and what it holds.
type File = (&'static str, u32, Vec<u8>);

/// What goes wrong somewhere: spaces, letters of other scripts, composed and not, what URLs and shells escape, what
/// already looks escaped, nothing to compress, much to compress, and what only its mode or only its content makes
/// executable.
fn files() -> Vec<File> {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("README.md", 0o644, text("not for Lambda\n")),
        ("src/function/100% of a+b#c@d [1].txt", 0o644, text("a name\n")),
        ("src/function/bootstrap", 0o755, text("#!/bin/sh\n")),
        ("src/function/data/grüße aus Köln.txt", 0o640, text("Grüße\n")),
        ("src/function/data/my%20file.txt", 0o644, text("no space in this name\n")),
        ("src/function/data/日本語/ファイル e\u{301}.txt", 0o600, text("こんにちは\n")),
        ("src/function/empty.dat", 0o644, Vec::new()),
        ("src/function/lib/every byte.bin", 0o644, every_byte),
        ("src/function/lib/large.json", 0o644, b"{\"a\": 1}\n".repeat(5_000)),
        ("src/function/lib/script", 0o644, text("#!/usr/bin/env node\n")),
        ("src/function/lib/tool", 0o755, text("executable by its mode alone\n")),
    ]
}

/// A folder that no packer takes a file from.
const EMPTY: &str = "src/function/nothing here";

fn folder_of(files: &[File]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, mode, content) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    fs_err::create_dir_all(folder.path().join(EMPTY)).unwrap();
    folder
}

/// The package of a folder with these files.
fn packed(packer: &Packer, files: &[File]) -> Vec<u8> {
    let folder = folder_of(files);
    let out = tempfile::tempdir().unwrap();
    let output = out.path().join(format!("Genuine.1.2.0{}", packer.extension));
    let run = Program::at("sh")
        .args(["-ec", packer.line])
        .current_dir(folder.path())
        .env("LC_ALL", "C.UTF-8")
        .env("OUT", out.path())
        .env("OUTPUT", &output)
        .env("TOOLS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools"))
        .env("NODE_PATH", tools().join("node_modules"))
        .run();
    assert_eq!(run.code, Some(0), "{}: {run:?}", packer.name);
    fs_err::read(output).unwrap()
}

fn read_right(packers: &[Packer]) {
    for packer in packers {
        read_right_as(packer, &files());
    }
}

/// `expected` are the files, where a name is read otherwise than it was put in.
fn read_right_as(packer: &Packer, expected: &[File]) {
    check(packer.name, packer.extension, &packed(packer, &files()), packer.modes, expected);
}

/// Reads the package and its repacked function, and compares both with the files that went in.
fn check(packer: &str, extension: &str, bytes: &[u8], modes: Modes, files: &[File]) {
    let package = open(&format!("Genuine.1.2.0{extension}"), bytes)
        .unwrap_or_else(|error| panic!("{packer}: {error}: {error:?}"));
    assert_eq!(package.identity().id, "Genuine", "{packer}");
    assert_eq!(package.identity().version.to_string(), "1.2.0", "{packer}");
    let read: BTreeMap<&str, (Option<u32>, u64)> = package
        .entries()
        .iter()
        .map(|entry| (entry.name.as_str(), (entry.unix_mode.map(|mode| mode & 0o7777), entry.size)))
        .collect();
    let expected: BTreeMap<&str, (Option<u32>, u64)> = files
        .iter()
        .map(|(name, mode, content)| (*name, ((modes == Kept).then_some(*mode), content.len() as u64)))
        .collect();
    assert_eq!(read, expected, "{packer}");
    assert_eq!(package.entries().len(), files.len(), "{packer}");
    if extension != ".nupkg" {
        assert!(package.dropped().is_empty(), "{packer}: {:?}", package.dropped());
    }
    for folder in ["", "src/function"] {
        check_repacked(packer, &package, folder, modes, files);
    }
}

fn check_repacked(packer: &str, package: &Package, folder: &str, modes: Modes, files: &[File]) {
    let mut bytes = Vec::new();
    package.repack(folder, &mut bytes).unwrap_or_else(|error| panic!("{packer}: {error}: {error:?}"));
    let expected = expected_below(folder, modes, files);
    let unpacked = unpack(&bytes);
    // Names first: a difference there is told in a line, not in the contents of all files.
    assert_eq!(names_and_modes(&unpacked), names_and_modes(&expected), "{packer}");
    assert!(unpacked == expected, "{packer}: the contents differ");
    taken_by_others(packer, &bytes, &expected);
}

/// What a zip holds: names, modes, contents.
type Unpacked = Vec<(String, u32, Vec<u8>)>;

/// What Lambda has to get.
fn expected_below(folder: &str, modes: Modes, files: &[File]) -> Unpacked {
    let below = files.iter().filter_map(|(name, mode, content)| {
        let name = name.strip_prefix(folder)?.trim_start_matches('/').to_owned();
        let by_mode = modes == Kept && mode & 0o111 != 0;
        let executable = by_mode || name.ends_with("bootstrap") || content.starts_with(b"#!");
        Some((name, if executable { 0o100_755 } else { 0o100_644 }, content.clone()))
    });
    below.collect()
}

fn names_and_modes(unpacked: &Unpacked) -> Vec<(&str, u32)> {
    unpacked.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect()
}

/// Python and Info-ZIP test the zip without a complaint, and list the same names.
fn taken_by_others(packer: &str, bytes: &[u8], expected: &Unpacked) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("function.zip");
    fs_err::write(&path, bytes).unwrap();
    let names: Vec<&str> = expected.iter().map(|(name, ..)| name.as_str()).collect();
    let python = "import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(*archive.namelist(), sep='\\n')";
    let run = |program: &str, arguments: &[&str]| {
        Program::at(program).args(arguments).args([&path]).env("LC_ALL", "C.UTF-8").run()
    };
    let output = run("python3", &["-W", "error", "-c", python]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{packer}");
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), names, "{packer}");
    let output = run("unzip", &["-tqq"]);
    assert_eq!((output.code, output.stderr.as_str(), output.stdout.as_str()), (Some(0), "", ""), "{packer}");
}

#[test]
fn info_zip() {
    read_right(&[
        packer("zip to a file", ".zip", Kept, "zip -qr \"$OUTPUT\" ."),
        packer("zip to a pipe", ".zip", Kept, "zip -qr - . | cat >\"$OUTPUT\""),
        packer("zip without folders", ".zip", Kept, "zip -qrD \"$OUTPUT\" ."),
        packer("zip in steps", ".zip", Kept, "zip -qr \"$OUTPUT\" src; zip -q \"$OUTPUT\" README.md"),
        packer("zip with a comment", ".zip", Kept, "echo by hand | zip -qrz \"$OUTPUT\" ."),
        packer("zip with 64-bit sizes", ".zip", Kept, "zip -qr -fz \"$OUTPUT\" ."),
        packer("zip without a locale", ".zip", Kept, "LC_ALL=C zip -qr \"$OUTPUT\" ."),
    ]);
}

#[test]
fn seven_zip() {
    read_right(&[
        packer("7z", ".zip", Kept, "7zz a -tzip \"$OUTPUT\" ./* >\"$OUT/log\""),
        packer("7z with ultra", ".zip", Kept, "7zz a -tzip -mx=9 \"$OUTPUT\" ./* >\"$OUT/log\""),
    ]);
}

#[test]
fn bsdtar_to_zip() {
    read_right(&[
        packer("bsdtar", ".zip", Kept, "bsdtar --format zip -cf \"$OUTPUT\" ."),
        packer("bsdtar by the name", ".zip", Kept, "bsdtar -acf \"$OUTPUT\" README.md src"),
    ]);
}

/// What it writes to a pipe it fills up with zeros to a whole block: data that belongs to no entry.
#[test]
fn bsdtar_to_a_pipe_is_refused() {
    let line = "bsdtar --format zip -c . | cat >\"$OUTPUT\"";
    let bytes = packed(&packer("bsdtar to a pipe", ".zip", Kept, line), &files());
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(bytes.len() - end > 100, "it is not filled up");
    let error = open("Genuine.1.2.0.zip", &bytes).unwrap_err();
    insta::assert_snapshot!(error, @"`Genuine.1.2.0.zip` is not a sound zip: the file goes on after the end of the zip");
}

#[test]
fn jar() {
    read_right(&[
        packer("jar", ".zip", Lost, "jar --create --no-manifest --file \"$OUTPUT\" ."),
        packer("jar stored", ".zip", Lost, "jar cf0M \"$OUTPUT\" ."),
        packer("jar to a pipe", ".zip", Lost, "jar -cM . | cat >\"$OUTPUT\""),
    ]);
}

#[test]
fn python() {
    read_right(&[
        packer("zipfile", ".zip", Kept, "python3 -m zipfile -c \"$OUTPUT\" ./*"),
        packer(
            "make_archive",
            ".zip",
            Kept,
            "python3 -c \"import shutil; shutil.make_archive('${OUTPUT%.zip}', 'zip', '.')\"",
        ),
    ]);
}

#[test]
fn npm() {
    read_right(&[
        packer("yazl", ".zip", Kept, "node \"$TOOLS/packers.mjs\" yazl . \"$OUTPUT\""),
        packer("yazl streamed", ".zip", Kept, "node \"$TOOLS/packers.mjs\" yazl-streamed . \"$OUTPUT\""),
        packer("yazl zip64", ".zip", Kept, "node \"$TOOLS/packers.mjs\" yazl-zip64 . \"$OUTPUT\""),
        packer("adm-zip", ".zip", Kept, "node \"$TOOLS/packers.mjs\" adm-zip . \"$OUTPUT\""),
        packer("jszip", ".zip", Kept, "node \"$TOOLS/packers.mjs\" jszip . \"$OUTPUT\""),
        packer("jszip streamed", ".zip", Kept, "node \"$TOOLS/packers.mjs\" jszip-streamed . \"$OUTPUT\""),
        packer("jszip for DOS", ".zip", Lost, "node \"$TOOLS/packers.mjs\" jszip-dos . \"$OUTPUT\""),
        packer("archiver", ".zip", Kept, "node \"$TOOLS/packers.mjs\" archiver . \"$OUTPUT\""),
    ]);
}

#[test]
fn octopus() {
    let line = "node \"$TOOLS/pack.mjs\" zip \"$PWD\" Genuine 1.2.0 \"$OUT\" '**'";
    read_right(&[packer("Octopus zip", ".zip", Kept, line)]);
    // Its NuGet packer encodes no names, but all names of NuGet packages are decoded, by Octopus as by octarm.
    let mut decoded = files();
    for (name, ..) in &mut decoded {
        if *name == "src/function/data/my%20file.txt" {
            *name = "src/function/data/my file.txt";
        }
    }
    let line = "node \"$TOOLS/pack.mjs\" nupkg \"$PWD\" Genuine 1.2.0 \"$OUT\" '**'";
    read_right_as(&packer("Octopus nupkg", ".nupkg", Kept, line), &decoded);
}

/// NuGet's own client, on Mono.
const NUGET: &str = "cat >\"$OUT/Genuine.nuspec\" <<END
<?xml version=\"1.0\"?>
<package xmlns=\"http://schemas.microsoft.com/packaging/2010/07/nuspec.xsd\">
  <metadata>
    <id>Genuine</id><version>1.2.0</version><authors>a</authors><description>d</description>
  </metadata>
  <files><file src=\"**\" target=\"\" /></files>
</package>
END
nuget pack \"$OUT/Genuine.nuspec\" -BasePath \"$PWD\" -OutputDirectory \"$OUT\" -NoPackageAnalysis -NonInteractive";

const NUGET_PACKER: Packer = packer("nuget", ".nupkg", Lost, NUGET);

#[test]
fn nuget() {
    read_right(&[NUGET_PACKER]);
}

#[test]
fn a_package_of_nuget_is_deployed() {
    let scene = Scene::new();
    scene.aws.create_function("CI-Genuine", old_zip());
    let files = files();
    let package = write(scene.folder.path(), "Genuine.1.2.0.nupkg", &packed(&NUGET_PACKER, &files));
    let output = scene.deploy(&package).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let held = unpack(&scene.aws.function("CI-Genuine").zip);
    assert!(held == expected_below("src/function", Lost, &files), "{:?}", names_and_modes(&held));
}

#[test]
fn the_zip_crate() {
    for large in [false, true] {
        let bytes = written(ZipWriter::new(Cursor::new(Vec::new())), large).into_inner();
        check("the zip crate", ".zip", &bytes, Kept, &files());
        let bytes = written(ZipWriter::new_stream(Vec::new()), large).into_inner();
        check("the zip crate to a stream", ".zip", &bytes, Kept, &files());
    }
}

fn written<W: Write + Seek>(mut writer: ZipWriter<W>, large: bool) -> W {
    writer.add_directory(EMPTY, SimpleFileOptions::default()).unwrap();
    for (name, mode, content) in files() {
        let options = SimpleFileOptions::default().unix_permissions(mode).large_file(large);
        writer.start_file(name, options).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn gnu_tar() {
    read_right(&[
        packer("tar", ".tar", Kept, "tar -cf \"$OUTPUT\" ."),
        packer("tar in pax format", ".tar", Kept, "tar --format pax -cf \"$OUTPUT\" README.md src"),
        packer("tar in ustar format", ".tar", Kept, "tar --format ustar -cf \"$OUTPUT\" ./*"),
        packer("tar in the format of version 7", ".tar", Kept, "tar --format v7 -cf \"$OUTPUT\" ."),
        packer("tar to a pipe", ".tar", Kept, "tar -c . | cat >\"$OUTPUT\""),
        packer("tar and gzip", ".tar.gz", Kept, "tar -czf \"$OUTPUT\" ."),
        packer("tar and gzip in one word", ".tgz", Kept, "tar -c . | gzip -9 >\"$OUTPUT\""),
        packer("tar and bzip2", ".tar.bz2", Kept, "tar -cjf \"$OUTPUT\" ."),
        packer("tar with extended attributes", ".tar", Kept, "tar --xattrs --sort name -cf \"$OUTPUT\" ."),
    ]);
}

#[test]
fn bsdtar_to_tar() {
    read_right(&[
        packer("bsdtar", ".tar", Kept, "bsdtar -cf \"$OUTPUT\" ."),
        packer("bsdtar and gzip", ".tar.gz", Kept, "bsdtar -czf \"$OUTPUT\" README.md src"),
        packer("bsdtar and bzip2", ".tar.bz2", Kept, "bsdtar -c . | bzip2 >\"$OUTPUT\""),
        packer("bsdtar in pax format", ".tar", Kept, "bsdtar --format pax -cf \"$OUTPUT\" ."),
        packer("bsdtar in GNU format", ".tar", Kept, "bsdtar --format gnutar -cf \"$OUTPUT\" ."),
    ]);
}

#[test]
fn seven_zip_to_tar() {
    read_right(&[packer("7z", ".tar", Kept, "7zz a -ttar \"$OUTPUT\" ./* >\"$OUT/log\"")]);
}

#[test]
fn python_to_tar() {
    read_right(&[
        packer("tarfile", ".tar", Kept, "python3 -m tarfile -c \"$OUTPUT\" ./*"),
        packer(
            "make_archive with gztar",
            ".tar.gz",
            Kept,
            "python3 -c \"import shutil; shutil.make_archive('${OUTPUT%.tar.gz}', 'gztar', '.')\"",
        ),
        packer(
            "make_archive with bztar",
            ".tar.bz2",
            Kept,
            "python3 -c \"import shutil; shutil.make_archive('${OUTPUT%.tar.bz2}', 'bztar', '.')\"",
        ),
    ]);
}

#[test]
fn npm_to_tar() {
    read_right(&[
        packer("archiver", ".tar", Kept, "node \"$TOOLS/packers.mjs\" archiver-tar . \"$OUTPUT\""),
        packer(
            "archiver with gzip",
            ".tar.gz",
            Kept,
            "node \"$TOOLS/packers.mjs\" archiver-tar-gz . \"$OUTPUT\"",
        ),
    ]);
}

/// What a build that has only git does: a global header with the commit before all files.
#[test]
fn git_archive() {
    let line = "export GIT_DIR=\"$OUT/git\" GIT_WORK_TREE=.
git -c init.defaultBranch=main init -q && git -c core.fileMode=true add .
git -c user.name=a -c user.email=a@b commit -qm packed
git -c tar.umask=0 archive --output";
    // Git knows two modes only.
    let mut expected = files();
    for (_, mode, _) in &mut expected {
        *mode = if *mode & 0o111 == 0 { 0o666 } else { 0o777 };
    }
    let tar = format!("{line} \"$OUTPUT\" HEAD").leak();
    read_right_as(&packer("git archive", ".tar", Kept, tar), &expected);
    read_right_as(&packer("git archive with gzip", ".tar.gz", Kept, tar), &expected);
}

/// `\` between the parts, no modes, and names in UTF-8 that do not always say so: .NET before 4.6.1, and old Octopus.
#[test]
fn old_windows() {
    let files = files();
    for flags in [0, 1 << 11] {
        let old = |name: &str, content: &[u8]| Raw { flags, ..Raw::new(name.replace('/', "\\"), content) };
        let mut entries = vec![Raw { deflate: false, ..old(&format!("{EMPTY}/"), b"") }];
        entries.extend(files.iter().map(|(name, _, content)| old(name, content)));
        check("old Windows", ".zip", &zip(&entries), Lost, &files);
    }
}
