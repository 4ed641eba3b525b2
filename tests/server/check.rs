//! `octarm server check-config`: says what would keep a server from starting, and changes nothing.

use std::net::TcpListener;

use crate::support::{
    postgres,
    process::{Output, Program},
};

fn check(program: Program) -> Output {
    program.args(["server", "check-config"]).run()
}

fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn it_follows_a_server_s_life_on_each_engine() {
    let postgres = postgres::empty_database("template template0").await;
    for url in [None, Some(postgres)] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut program = Program::octarm().env("OCTARM_SERVER_DATA", &data);
        program = program.env("OCTARM_SERVER_LISTEN", "127.0.0.1:0");
        if let Some(url) = &url {
            program = program.env("OCTARM_SERVER_DATABASE_URL", url);
        }
        let new = check(program.clone());
        assert_eq!(new.code, Some(0), "{new:?}");
        assert!(new.stdout.contains("can be made") && new.stdout.contains("is new"), "{new:?}");
        assert!(!data.exists());
        let server = program.clone().args(["server", "run"]).spawn();
        server.wait_until("the server", |seen| seen.line("listening").is_some());
        let beside = check(program.clone());
        // A database elsewhere takes a second server.
        assert_eq!(beside.code, Some(if url.is_some() { 0 } else { 64 }), "{beside:?}");
        server.terminate();
        server.wait();
        let before = names(&data);
        let used = check(program.clone());
        assert_eq!(used.code, Some(0), "{used:?}");
        assert!(used.stdout.contains("the master key opens it"), "{used:?}");
        assert_eq!(names(&data), before);
        let wrong = check(program.clone().env("OCTARM_SERVER_MASTER_KEY", "00".repeat(32)));
        assert_eq!(wrong.code, Some(64), "{wrong:?}");
        assert!(wrong.stderr.contains("the master key does not open the sensitive values"), "{wrong:?}");
        fs_err::rename(data.join("master-key"), folder.path().join("away")).unwrap();
        let missing = check(program.clone());
        assert_eq!(missing.code, Some(64), "{missing:?}");
        assert!(missing.stderr.contains("exists, its master key"), "{missing:?}");
        assert!(!data.join("master-key").exists());
    }
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::octarm().env("OCTARM_SERVER_DATA", folder.path().join("data"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let run = check(program.clone().env("OCTARM_SERVER_LISTEN", &taken));
    assert!(run.code == Some(74) && run.stderr.contains(&format!("listening on {taken} failed")), "{run:?}");
    let url = "postgres://u:s3cret@127.0.0.1:1/d";
    let run = check(program.clone().env("OCTARM_SERVER_DATABASE_URL", url));
    assert!(run.code == Some(69) && run.stderr.contains("no connection to its database"), "{run:?}");
    assert!(!format!("{run:?}").contains("s3cret"), "{run:?}");
    let run = program.clone().args(["server", "check-config", "--database-url", url]).run();
    assert!(run.code == Some(64) && run.stderr.contains("holds a password"), "{run:?}");
    assert!(!format!("{run:?}").contains("s3cret"), "{run:?}");
    fs_err::write(folder.path().join("file"), "").unwrap();
    let run = check(program.env("OCTARM_SERVER_DATA", folder.path().join("file/data")));
    assert!(run.code == Some(74) && run.stderr.contains("cannot be written to"), "{run:?}");
}

#[test]
fn the_certificate_is_looked_at_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let program = Program::octarm().env("OCTARM_SERVER_DATA", &data);
    let program = program.env("OCTARM_SERVER_LISTEN", "127.0.0.1:0");
    let tls = |choice: &str| program.clone().args(["server", "check-config", "--tls", choice]).run();
    for (choice, words) in
        [("auto", "plain HTTP"), ("off", "plain HTTP"), ("self-made", "a certificate will be made")]
    {
        let run = tls(choice);
        assert!(run.code == Some(0) && run.stdout.contains(words), "{choice}: {run:?}");
        assert!(!data.exists());
    }
    let server = program.clone().args(["server", "run", "--tls", "self-made"]).spawn();
    server.wait_until("the server", |seen| seen.line("listening").is_some());
    server.terminate();
    server.wait();
    let made = tls("self-made");
    assert!(made.code == Some(0) && made.stdout.contains("the certificate is sha256:"), "{made:?}");
    let (certificate, key) = (data.join("tls-certificate.pem"), data.join("tls-key.pem"));
    let files = |key: &std::path::Path| {
        let program = program.clone().args(["server", "check-config"]);
        program.arg_pair("--tls-cert", &certificate).arg_pair("--tls-key", key).run()
    };
    assert_eq!(files(&key).stdout, made.stdout);
    let wrong = files(&certificate);
    assert!(wrong.code == Some(64) && wrong.stderr.contains("reading the private key in"), "{wrong:?}");
    let both = program.clone().args(["server", "check-config", "--tls", "off"]);
    let both = both.arg_pair("--tls-cert", &certificate).arg_pair("--tls-key", &key).run();
    assert!(both.code == Some(64) && both.stderr.contains("leave one of the two out"), "{both:?}");
}

#[test]
fn what_is_right_is_a_list_for_programs_and_a_folder_in_use_is_told_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let program = Program::octarm().env("OCTARM_SERVER_DATA", &data);
    let program = program.env("OCTARM_SERVER_LISTEN", "127.0.0.1:0");
    let text = check(program.clone());
    let json = program.clone().args(["server", "check-config", "--json"]).run();
    let lines: Vec<String> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, lines), (Some(0), text.stdout.lines().map(str::to_owned).collect()));
    let wrong = program.clone().args(["server", "check-config", "--json", "--tls", "maybe"]).run();
    let error: serde_json::Value = serde_json::from_str(&wrong.stderr).unwrap();
    assert_eq!((&error["error"]["exit_code"], wrong.stdout.as_str()), (&64.into(), ""));

    let server = program.clone().args(["server", "run"]).spawn();
    server.wait_for_line("listening");
    for command in ["check-config", "rotate-master-key", "prune"] {
        let run = program.clone().args(["server", command]).run();
        assert_eq!(run.code, Some(64), "{command}: {run:?}");
        assert!(run.stderr.contains("hint: stop the server that runs there first"), "{command}: {run:?}");
    }
}
