//! `config show` of both daemons: every value with its origin, and nothing secret.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::process::Program;

fn by_key(text: &str) -> BTreeMap<String, (Value, Value)> {
    let settings: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    let entry = |one: &Value| {
        (one["key"].as_str().unwrap().to_owned(), (one["value"].clone(), one["origin"].clone()))
    };
    settings.iter().map(entry).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs_err::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_workers_settings_are_shown_with_their_origins() {
    let file =
        file("state = '/file'\n\n[deployments]\nconcurrency = 4\n[log]\nlevel = 'debug'\nformat = 'json'\n");
    let program = Program::octarm()
        .args(["worker", "config", "show", "--state", "/flag", "--config"])
        .args([file.path()])
        .env("OCTARM_WORKER_LOG__LEVEL", "warn")
        .env("OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT", "Team.Token,Other");
    let output = program.clone().args(["--json"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let shown = by_key(&output.stdout);
    let in_line = |line: u32| json!({ "kind": "file", "path": file.path(), "line": line });
    for (key, value, origin) in [
        ("state", json!("/flag"), json!({ "kind": "flag", "name": "--state" })),
        ("deployments.concurrency", json!(4), in_line(4)),
        ("log.format", json!("json"), in_line(7)),
        ("log.level", json!("warn"), json!({ "kind": "environment", "name": "OCTARM_WORKER_LOG__LEVEL" })),
        (
            "variables.from_environment",
            json!(["Team.Token", "Other"]),
            json!({ "kind": "environment", "name": "OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT" }),
        ),
        ("machine_id", Value::Null, json!({ "kind": "default" })),
    ] {
        assert_eq!(shown[key], (value, origin), "{key}");
    }
    let text = program.run().stdout;
    let line = text.lines().find(|line| line.starts_with("deployments.concurrency ")).unwrap();
    assert!(line.contains(" 4 ") && line.ends_with(&format!("{} line 4", file.path().display())), "{text}");
    assert!(text.lines().any(|line| line.starts_with("conventions") && line.ends_with("default")), "{text}");
}

#[test]
fn every_key_of_the_reference_files_is_shown() {
    for daemon in ["worker", "server"] {
        let path = format!("{}/packaging/etc/{daemon}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = fs_err::read_to_string(path).unwrap();
        let output = Program::octarm().args([daemon, "config", "show", "--json"]).run();
        assert_eq!(output.code, Some(0), "{output:?}");
        let shown = by_key(&output.stdout);
        let mut section = String::new();
        let mut found = 0;
        for line in text.lines() {
            let line = line.trim_start_matches('#').trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = format!("{name}.");
            }
            let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) else {
                continue;
            };
            // A file that holds the URL is the origin of the URL.
            if key != "database_url_file" {
                assert!(shown.contains_key(&format!("{section}{key}")), "{daemon}: {section}{key}");
                found += 1;
            }
        }
        assert!(found > 5, "{daemon}");
    }
}

#[test]
fn what_is_secret_is_hidden_and_what_is_wrong_is_named() {
    let output = Program::octarm()
        .args(["server", "config", "show", "--json", "--releases-keep-count", "3"])
        .env("OCTARM_SERVER_DATABASE_URL", "postgres://octarm:s3cret@db/octarm")
        .env("OCTARM_SERVER_MASTER_KEY", "ab".repeat(32))
        .env("OCTARM_SERVER_DATA", "/data")
        .run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stdout.contains("s3cret") && !output.stdout.contains("abab"), "{output:?}");
    let shown = by_key(&output.stdout);
    let of = |name: &str| json!({ "kind": "environment", "name": name });
    assert_eq!(shown["database_url"], (json!("********"), of("OCTARM_SERVER_DATABASE_URL")));
    assert_eq!(shown["master_key"], (json!("********"), of("OCTARM_SERVER_MASTER_KEY")));
    assert_eq!(
        shown["retention.releases_keep_count"],
        (json!(3), json!({ "kind": "flag", "name": "--releases-keep-count" }))
    );
    let url = file("postgres://octarm@db/octarm");
    let settings = file(&format!("data = '/x'\ndatabase_url_file = '{}'\n", url.path().display()));
    let output = Program::octarm()
        .args(["server", "config", "show", "--json", "--config"])
        .args([settings.path()])
        .run();
    let origin = json!({ "kind": "file", "path": settings.path(), "line": 2 });
    assert_eq!(by_key(&output.stdout)["database_url"], (json!("postgres://octarm@db/octarm"), origin));

    let wrong = file("state = '/x'\n[log]\nlevl = 'debug'\n");
    let output = Program::octarm().args(["worker", "config", "show", "--config"]).args([wrong.path()]).run();
    assert_eq!(output.code, Some(64), "{output:?}");
    assert!(output.stderr.contains("did you mean `level`?"), "{output:?}");
}
