//! Each failure between people, server and worker is one clear error with its exit code.

use std::path::{Path, PathBuf};

use crate::support::{
    aws::FakeAws,
    packages::{Raw, write, zip},
    process::Output,
    setup::{Access, Options, Setup},
};

#[track_caller]
fn assert_error(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    for part in parts {
        assert!(all.contains(part), "expected {part:?} in\n{all}");
    }
}

fn package(folder: &Path, version: &str) -> PathBuf {
    let bytes = zip(&[Raw::new("index.js", format!("// {version}\n")).mode(0o644)]);
    write(folder, &format!("Orders.{version}.zip"), &bytes)
}

const DEPLOY: [&str; 6] = ["release", "deploy", "--project", "Orders", "--version", "1.0.0"];

#[test]
fn names_that_nobody_knows() {
    let setup = Setup::start();
    setup.create(&["CI", "Staging"], "Orders");
    let package = package(setup.folder(), "1.0.0");
    setup.release("Orders", "1.0.0", &package);
    let run = |words: &[&str]| setup.octarm(words).run();

    let known = ["environment `Nowhere` does not exist", "CI, Staging"];
    assert_error(&run(&[&DEPLOY[..], &["--environment", "Nowhere"]].concat()), 6, &known);
    let register = ["worker", "register", "--name", "w", "--environment", "Nowhere", "--state", "w"];
    assert_error(&run(&register), 6, &known);
    assert!(!setup.folder().join("w/identity.json").exists());

    let project = ["release", "create", "--project", "Nothing"];
    assert_error(&run(&project), 6, &["creating a release of", "project `Nothing` does not exist"]);
    let release = ["release", "deploy", "--project", "Orders", "--version", "9.9.9", "--environment", "CI"];
    assert_error(&run(&release), 6, &["9.9.9", "does not exist"]);
    let pinned = ["release", "create", "--project", "Orders", "--version", "2", "--package", "Orders:9.9.9"];
    assert_error(&run(&pinned), 6, &["9.9.9", "Orders"]);
    assert_error(&run(&["task", "show", "ServerTasks-99"]), 6, &["reading ServerTasks-99", "does not exist"]);

    // Nothing of all that was begun.
    assert!(setup.get("/api/tasks").contains("\"TotalResults\":0"), "{}", setup.get("/api/tasks"));
}

#[test]
fn what_is_there_already() {
    let setup = Setup::start();
    setup.create(&["CI"], "Orders");
    setup.release("Orders", "1.0.0", &package(setup.folder(), "1.0.0"));
    let run = |words: &[&str]| setup.octarm(words).run();
    let release = ["release", "create", "--project", "Orders", "--version", "1.0.0"];
    for (words, parts) in [
        (&["package", "push", "Orders.1.0.0.zip"][..], ["pushing Orders.1.0.0.zip", "exists already"]),
        (&["environment", "create", "ci"], ["environment `ci`", "exists already"]),
        (&["project", "create", "Orders"], ["project `Orders`", "exists already"]),
        (&release, ["release 1.0.0 of project `Orders`", "exists already"]),
    ] {
        assert_error(&run(words), 6, &parts);
    }
    // Scripts that are run again say so.
    assert_error(&run(&["environment", "create", "ci", "--ignore-existing"]), 0, &["environment ci exists"]);
    assert_error(&run(&["project", "create", "Orders", "--ignore-existing"]), 0, &["project Orders exists"]);
    assert_error(&run(&[&release[..], &["--ignore-existing"]].concat()), 0, &["release 1.0.0"]);
    assert_error(
        &run(&["package", "push", "Orders.1.0.0.zip", "--overwrite", "ignore"]),
        0,
        &["Orders 1.0.0"],
    );
}

#[test]
fn a_key_that_is_wrong_or_no_key() {
    let setup = Setup::start();
    let with = |key: &str| {
        let file = write(setup.folder(), "key", key.as_bytes());
        setup.octarm(["environment", "list"]).env("OCTARM_API_KEY_FILE", file).run()
    };
    let wrong = with("API-MARKERWRONGWRONGWRONGWRONG");
    assert_error(&wrong, 6, &["API key", "hint: "]);
    assert!(!format!("{wrong:?}").contains("MARKER"), "{wrong:?}");
    let register = ["worker", "register", "--name", "w", "--environment", "CI", "--state", "w"];
    let refused = setup.octarm(register).env("OCTARM_API_KEY_FILE", setup.folder().join("key")).run();
    assert_error(&refused, 6, &["API key", "hint: "]);
    let odd = with("MARKER not a key");
    assert_error(&odd, 2, &["is not of the form `API-`"]);
    assert!(!format!("{odd:?}").contains("MARKER"), "{odd:?}");
    let gone = setup.octarm(["environment", "list"]).env("OCTARM_API_KEY_FILE", "nowhere/key").run();
    assert_error(&gone, 65, &["reading the API key", "nowhere/key"]);
}

#[test]
fn a_server_that_is_down() {
    let mut setup = Setup::start();
    setup.create(&["CI"], "Orders");
    let package = package(setup.folder(), "1.0.0");
    setup.release("Orders", "1.0.0", &package);
    setup.kill_server();
    let url = setup.url();
    for words in [
        &["environment", "list"][..],
        &["package", "push", "Orders.1.0.0.zip"],
        &[&DEPLOY[..], &["--environment", "CI"]].concat(),
        &["worker", "register", "--name", "w", "--environment", "CI", "--state", "w"],
    ] {
        let output = setup.octarm(words).run();
        assert_error(
            &output,
            69,
            &["no answer from the server at", &url, "hint: check that the server runs"],
        );
    }
    // What was there is there again, under the same address and key.
    setup.start_server_again();
    assert!(setup.run(&["environment", "list"]).contains("CI"));
    setup.run(&[&DEPLOY[..], &["--environment", "CI"]].concat());
}

#[test]
fn what_fails_in_the_environment_fails_the_task() {
    let aws = FakeAws::start();
    aws.create_function("CI-Orders", zip(&[Raw::new("index.js", "old").mode(0o644)]));
    let setup = Setup::start();
    setup.create(&["CI", "Staging"], "Orders");
    let access = Access::to_fake(&aws);
    let _ci = setup.worker("ci", "CI", &access);
    let _staging = setup.worker("staging", "Staging", &access);
    setup.release("Orders", "1.0.0", &package(setup.folder(), "1.0.0"));
    let missing =
        ["AWS refused GetFunction of `Staging-Orders`", "hint: octarm updates functions that exist"];
    let (task, _) = setup.deploy("Orders", "1.0.0", "Staging");
    let output = setup.follow(&task);
    assert_error(&output, 3, &missing);
    let task = setup.task(&task);
    assert_eq!((&task["State"], &task["IsCompleted"]), (&"Failed".into(), &true.into()), "{task}");
    let error = task["ErrorMessage"].as_str().unwrap();
    for part in missing {
        assert!(error.contains(part), "expected {part:?} in {error}");
    }
    assert!(aws.mutating_calls().is_empty());
    // The environments are free again: the good release goes through.
    let ended = setup.octarm(DEPLOY).args(["--environment", "CI", "--wait"]).run();
    assert_error(&ended, 0, &["Success"]);
}

#[test]
fn a_file_that_is_no_package() {
    let setup = Setup::start();
    write(setup.folder(), "Orders.1.0.1.zip", b"this is no zip at all");
    let not_zip = ["`Orders.1.0.1.zip`", "zip", "hint: the file is damaged or was not fully copied"];
    assert_error(&setup.octarm(["package", "push", "Orders.1.0.1.zip"]).run(), 6, &not_zip);
    write(setup.folder(), "notes.txt", b"notes");
    assert_error(&setup.octarm(["package", "push", "notes.txt"]).run(), 6, &["`notes.txt` cannot be taken"]);
    assert_error(&setup.octarm(["package", "push", "Gone.1.0.zip"]).run(), 65, &["pushing Gone.1.0.zip"]);
    assert_eq!(fs_err::read_dir(setup.data().join("packages")).unwrap().count(), 0);
}

#[test]
fn a_full_disk_of_the_server() {
    let before =
        "mkdir -p -m 700 \"$DATA/packages\" && mount -t tmpfs -o size=1m,mode=700 small \"$DATA/packages\"";
    let setup = Setup::start_with(&Options { before: Some(before.to_owned()), ..Options::default() });
    setup.create(&["CI"], "Orders");
    // Random bytes do not compress.
    let mut noise = vec![0; 4 << 20];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    write(setup.folder(), "Orders.1.0.0.zip", &zip(&[Raw::new("noise.bin", noise).mode(0o644)]));
    let push = setup.octarm(["package", "push", "Orders.1.0.0.zip"]);
    assert_error(
        &push.run(),
        6,
        &["pushing Orders.1.0.0.zip", "the server's disk is full: nothing was stored"],
    );
    // The disk is mounted for the server alone.
    let root = PathBuf::from(format!("/proc/{}/root", setup.server().pid()));
    let packages = root.join(setup.data().join("packages").strip_prefix("/").unwrap());
    let stored = || fs_err::read_dir(&packages).unwrap().count();
    assert_eq!(stored(), 0, "nothing is left behind");
    assert!(setup.get("/api/packages").contains("\"TotalResults\":0"));
    let release = setup.octarm(["release", "create", "--project", "Orders"]).run();
    assert_error(&release, 6, &["Orders"]);

    // There is room for a smaller one.
    setup.release("Orders", "1.0.0", &package(setup.folder(), "1.0.0"));
    assert_eq!(stored(), 1);
}
