//! What is read and written on the machine of whoever gives a command: which exit code says what, and what goes to
//! standard output.

use std::path::Path;

use serde_json::Value;

use super::expect;
use crate::support::{
    packages::{Raw, write, zip},
    setup::Setup,
};

fn push(setup: &Setup, name: &str) -> Vec<u8> {
    let bytes = zip(&[Raw::new("index.js", "// one").mode(0o644)]);
    let file = write(setup.folder(), name, &bytes);
    setup.run(&["package", "push", file.to_str().unwrap()]);
    bytes
}

#[test]
fn what_was_given_and_is_no_file_is_65_and_what_cannot_be_written_is_74() {
    let setup = Setup::start();
    push(&setup, "Orders.1.0.0.zip");
    setup.run(&["project", "create", "Orders"]);
    let folder = setup.folder().join("folder.zip");
    fs_err::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    for (words, code, parts) in [
        (&["package", "push", folder][..], 65, &["is a folder, expected a regular file"][..]),
        (&["package", "push", "nope.1.0.0.zip"], 65, &["`nope.1.0.0.zip` is not there"]),
        (&["package", "inspect", "nope.1.0.0.zip"], 65, &["nope.1.0.0.zip"]),
        (&["package", "repack", "nope.1.0.0.zip", "--output", "x.zip"], 65, &["nope.1.0.0.zip"]),
        (&["package", "pack", "nope", "--id", "A", "--version", "1.0.0"], 65, &["nope"]),
        (&["server", "restore", "nope.backup", "--data", "restored"], 65, &["nope.backup"]),
        (&["environment", "list", "--api-key-file", "nope.key"], 65, &["reading the API key", "nope.key"]),
        (&["variable", "set", "--project", "Orders", "--sensitive", "nope.json"], 65, &["nope.json"]),
        (&["environment", "list", "--ca-file", "nope.pem"], 65, &["`nope.pem` is not there"]),
        (&["package", "download", "Orders", "--output", "nope/a.zip"], 74, &["downloading Orders", "`nope`"]),
        (&["server", "backup", "--data", "server", "--output", "nope/a.backup"], 74, &["nope"]),
    ] {
        let said = setup.octarm(words).run();
        assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
        expect(&said, code, parts);
    }
}

#[test]
fn a_hyphen_is_standard_output_and_what_is_said_goes_beside_it() {
    let setup = Setup::start();
    let bytes = push(&setup, "Orders.1.0.0.zip");
    let to_file = |words: &[&str]| {
        let said = setup.octarm(words).wrapped("sh", &["-c", "exec \"$0\" \"$@\" > out"]).run();
        (said, fs_err::read(setup.folder().join("out")).unwrap())
    };
    let (said, written) = to_file(&["package", "download", "Orders", "--output", "-"]);
    expect(&said, 0, &["downloaded Orders 1.0.0 to standard output"]);
    assert_eq!(written, bytes);
    let (said, written) = to_file(&["package", "download", "Orders", "--output", "-", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said.stderr).unwrap()["size"], bytes.len());
    assert_eq!(written, bytes);

    let (said, written) = to_file(&["server", "backup", "--data", "server", "--output", "-"]);
    expect(&said, 0, &["backed up", "checked"]);
    fs_err::write(setup.folder().join("kept"), written).unwrap();
    setup.run(&["server", "restore", "kept", "--data", "restored"]);
    assert!(setup.folder().join("restored/octarm.db").exists());
    assert!(!setup.folder().join("-").exists());

    // Nobody reads a package on a terminal.
    let key = setup.key_file();
    let shown = crate::support::process::Program::at("python3")
        .args(["-c", "import pty, sys, os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"])
        .args([Path::new(env!("CARGO_BIN_EXE_octarm"))])
        .args(["package", "download", "Orders", "--output", "-"])
        .env("OCTARM_SERVER", setup.url())
        .env("OCTARM_API_KEY_FILE", key)
        .run();
    expect(&shown, 2, &["standard output is a terminal"]);
}
