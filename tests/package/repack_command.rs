//! `octarm package repack`: the zip is there when all is well, and nothing of it when anything is not.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::Value;

use crate::support::{
    packages::{Producer, Raw, contents, nupkg, unpack, write, zip},
    process::{Output, Program},
};

/// The program with a package in its home.
fn scene(name: &str, entries: &[Raw]) -> Program {
    let program = Program::octarm().args(["package", "repack", name]);
    write(program.home(), name, &zip(entries));
    program
}

fn fine() -> [Raw; 2] {
    [Raw::new("src/function/index.js", "code").mode(0o100_644), Raw::new("README", "text")]
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn refused(output: &Output, code: i32) -> &str {
    assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{output:?}");
    output.stderr.lines().next().unwrap()
}

#[test]
fn the_zip_and_what_is_said_of_it() {
    let program = scene("App.1.0.zip", &fine());
    let output = program.clone().args(["--output", "out.zip"]).run();
    insta::assert_snapshot!(output.stdout, @"
    repacked 1 file from `src/function` to out.zip: 4 B unzipped, 120 B zipped
    CodeSha256 XHNuV5tVDxKrUG0+YRRBVTmRjuWL/gSHeJCAci3nXag=
    ");
    let first = fs_err::read(program.home().join("out.zip")).unwrap();
    assert_eq!(unpack(&first), [("index.js".to_owned(), 0o100_644, b"code".to_vec())]);

    // Again, for a program, in the place of the first.
    fs_err::write(program.home().join("out.zip"), "old").unwrap();
    let output = program.clone().args(["--output", "out.zip", "--json"]).run();
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(fs_err::read(program.home().join("out.zip")).unwrap(), first);
    assert_eq!(said["size"], first.len());
    assert_eq!(said["unzipped_size"], 4);
    assert_eq!(said["files"], 1);
    assert_eq!(said["folder"], "src/function");
    assert_eq!(said["path"], "out.zip");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &first);
    assert_eq!(
        said["code_sha256"],
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest)
    );
    assert_eq!(names(program.home()), ["App.1.0.zip", "out.zip"]);
}

#[test]
fn the_folder_is_the_wanted_one_or_the_conventions_or_the_root() {
    let program = scene("App.1.0.zip", &fine());
    let files = |program: &Program, arguments: &[&str]| -> Vec<String> {
        let output = program.clone().args(["--output", "out.zip"]).args(arguments).run();
        assert_eq!(output.code, Some(0), "{output:?}");
        contents(&fs_err::read(program.home().join("out.zip")).unwrap()).into_keys().collect()
    };
    assert_eq!(files(&program, &[]), ["index.js"]);
    assert_eq!(files(&program, &["--folder", "src/"]), ["function/index.js"]);
    assert_eq!(files(&program, &["--folder", ""]), ["README", "src/function/index.js"]);
    fs_err::create_dir(program.home().join("own")).unwrap();
    let own = program.home().join("own/package.toml");
    fs_err::write(&own, "version = 1\nfunction_folder = \"src\"\n").unwrap();
    assert_eq!(files(&program, &["--conventions", "own"]), ["function/index.js"]);
    let output = program.args(["--folder", "lib", "--output", "out.zip"]).run();
    insta::assert_snapshot!(refused(&output, 65), @"error: no file lies under `lib/` of `App.1.0.zip`: it holds `README`, `src/`");
}

#[test]
fn a_zip_needs_no_version_in_its_name_and_a_nupkg_neither() {
    for name in ["function.zip", "my function.ZIP", "function.nupkg"] {
        let entries =
            if name.ends_with("nupkg") { nupkg(Producer::NuGet, "A", "1.0", &[("a", "a")]) } else { vec![] };
        let entries = if entries.is_empty() { fine().to_vec() } else { entries };
        let output = scene(name, &entries).args(["--output", "out.zip"]).run();
        assert_eq!(output.code, Some(0), "{name}: {output:?}");
    }
    let output = scene("function.rar", &fine()).args(["--output", "out.zip"]).run();
    assert!(refused(&output, 65).contains("function.rar"), "{output:?}");
}

#[test]
fn the_mode_is_what_the_umask_leaves() {
    for (umask, mode) in [("022", 0o644), ("077", 0o600)] {
        let program = scene("App.1.0.zip", &fine()).args(["--output", "out.zip"]);
        let home = program.clone();
        let output = program.wrapped("sh", &["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).run();
        assert_eq!(output.code, Some(0), "{output:?}");
        let metadata = fs_err::symlink_metadata(home.home().join("out.zip")).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
    }
}

#[test]
fn the_file_that_is_replaced_leaves_its_mode() {
    let program = scene("App.1.0.zip", &fine()).args(["--output", "out.zip"]);
    let out = program.home().join("out.zip");
    fs_err::write(&out, "old").unwrap();
    fs_err::set_permissions(&out, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(program.run().code, Some(0));
    assert_eq!(fs_err::metadata(&out).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(names(program.home()), ["App.1.0.zip", "out.zip"]);
}

#[test]
fn a_kill_half_way_leaves_nothing() {
    let program = scene("App.1.0.zip", &[Raw { deflate: false, ..Raw::new("a", vec![7; 3_000_000]) }]);
    // The kernel kills whoever writes more than this to a file.
    let limited = program.clone().args(["--output", "out.zip"]);
    let output = limited.wrapped("sh", &["-c", "ulimit -f 1000; exec \"$0\" \"$@\""]).run();
    assert_eq!((output.code, output.stdout.as_str()), (None, ""), "{output:?}");
    assert_eq!(names(program.home()), ["App.1.0.zip"]);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let program = Program::octarm().args(["package", "repack", "App.1.0.zip", "--output", "out.zip"]);
    let pipe = program.home().join("App.1.0.zip");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let output = program.run();
    insta::assert_snapshot!(refused(&output, 65), @"error: opening the package `App.1.0.zip`: it is a device, pipe or socket, expected a regular file");
    let output = scene("App.1.0.zip", &fine()).args(["--output", "-"]).run();
    insta::assert_snapshot!(refused(&output, 2), @"error: `--output -`: expected a file's name, since nothing is written before all of it is known to be good");
    let output = scene("App.1.0.zip", &fine()).args(["--output", "none/out.zip"]).run();
    assert!(!output.stderr.contains("octarm-"), "{output:?}");
}

#[test]
fn a_damaged_entry_found_late_leaves_what_was_there() {
    // Each of its own: the last in the order of the names, and one that is not written at all.
    for damaged in ["zzz", "other/a"] {
        let entries = [
            Raw { deflate: false, ..Raw::new("a", vec![7; 3_000_000]) },
            Raw { said_crc: Some(7), ..Raw::new(damaged, "x") },
        ];
        for folder in ["", "f"] {
            let mut entries = entries.to_vec();
            entries.push(Raw::new("f/a", "x"));
            let program = scene("App.1.0.zip", &entries).args(["--folder", folder, "--output", "out.zip"]);
            let output = program.run();
            assert_eq!(
                refused(&output, 65),
                format!(
                    "error: `App.1.0.zip` holds `{damaged}`: its content has the CRC-32 8cdc1683, but says 00000007"
                )
            );
            assert_eq!(names(program.home()), ["App.1.0.zip"]);
            fs_err::write(program.home().join("out.zip"), "old").unwrap();
            refused(&program.run(), 65);
            assert_eq!(fs_err::read(program.home().join("out.zip")).unwrap(), b"old");
            assert_eq!(names(program.home()), ["App.1.0.zip", "out.zip"]);
        }
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let program = scene("App.1.0.zip", &[Raw { deflate: false, ..Raw::new("a", vec![7; 3_000_000]) }]);
    let small = r#"mkdir small && mount -t tmpfs -o size=1m small small && { "$0" "$@"; code=$?; ls -A small; exit $code; }"#;
    let output =
        program.args(["--output", "small/out.zip"]).wrapped("unshare", &["-rm", "sh", "-c", small]).run();
    insta::assert_snapshot!(refused(&output, 74), @"error: writing the function of `App.1.0.zip` failed");
    assert!(output.stderr.contains("No space left on device"), "{output:?}");
}

#[test]
fn what_must_not_be_replaced_is_not() {
    let program = scene("App.1.0.zip", &fine());
    let home = program.home();
    fs_err::hard_link(home.join("App.1.0.zip"), home.join("same.zip")).unwrap();
    fs_err::create_dir(home.join("folder")).unwrap();
    symlink("elsewhere", home.join("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let before = names(home);
    let mut said = Vec::new();
    for output in ["App.1.0.zip", "./App.1.0.zip", "same.zip", "folder", "link", "pipe", "none/out.zip"] {
        let output = program.clone().args(["--output", output]).run();
        let code = if output.stderr.contains("none/") { 74 } else { 2 };
        said.push(refused(&output, code).to_owned());
        assert_eq!(names(home), before);
    }
    insta::assert_snapshot!(said.join("\n"), @"
    error: writing `App.1.0.zip`: the package itself is there: expected nothing, or a regular file to replace
    error: writing `./App.1.0.zip`: the package itself is there: expected nothing, or a regular file to replace
    error: writing `same.zip`: the package itself is there: expected nothing, or a regular file to replace
    error: writing `folder`: a folder is there: expected nothing, or a regular file to replace
    error: writing `link`: a symbolic link is there: expected nothing, or a regular file to replace
    error: writing `pipe`: a device, pipe or socket is there: expected nothing, or a regular file to replace
    error: writing `none/out.zip` failed
    ");
    assert_eq!(fs_err::read(home.join("App.1.0.zip")).unwrap(), zip(&fine()));
    assert_eq!(names(&home.join("folder")), [""; 0]);
}

#[test]
fn what_the_package_says_leads_nowhere_else() {
    let mut before = Vec::new();
    for name in ["../escaped", "/escaped", "a/../../escaped", "..\\escaped"] {
        let program = scene("App.1.0.zip", &[Raw::new("a", "x"), Raw::new(name, "x")]);
        fs_err::create_dir(program.home().join("inside")).unwrap();
        let output = program.clone().args(["--output", "inside/out.zip"]).run();
        // A leading `/` is stripped, and what is left is inside.
        if output.code == Some(0) {
            assert_eq!(names(&program.home().join("inside")), ["out.zip"]);
        } else {
            before.push(refused(&output, 65).to_owned());
            assert_eq!(names(&program.home().join("inside")), [""; 0]);
        }
        assert_eq!(names(program.home()), ["App.1.0.zip", "inside"]);
    }
    assert!(before.len() >= 3, "{before:?}");
}
