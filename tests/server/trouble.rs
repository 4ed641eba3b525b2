//! What the server does when the machine below it is in trouble.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::sqlite::TestServer;
use crate::support::{
    packages::{Raw, write, zip},
    setup::{Options, Setup},
};

#[tokio::test]
async fn a_database_that_another_process_holds_is_busy_and_then_free() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let options = SqliteConnectOptions::new().filename(server.data.join("octarm.db"));
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    let body = json!({ "Name": "Test" });
    let octopus = server.request(Method::POST, "environments").json(&body).send().await.unwrap();
    assert_eq!(octopus.status(), 503);
    assert_eq!(octopus.headers()["retry-after"], "1");
    assert!(octopus.text().await.unwrap().contains("is in use by another process"));
    let claim = worker.call("claim", json!({ "wait_ms": 0 })).await.expect(503);
    assert_eq!(claim["error"]["code"], "busy");
    assert_eq!(claim["error"]["retry_after_ms"], 1000);
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    server.post("environments", body).await.expect(201);
}

#[test]
fn a_disk_that_was_full_for_a_while() {
    let mount = "mkdir -m 700 \"$DATA\" && mount -t tmpfs -o size=4m,mode=700 small \"$DATA\"";
    let setup = Setup::start_with(&Options { before: Some(mount.to_owned()), ..Options::default() });
    // The disk is mounted for the server alone.
    let root = PathBuf::from(format!("/proc/{}/root", setup.server().pid()));
    let data = root.join(setup.data().strip_prefix("/").unwrap());
    let key = setup.folder().join("key");
    fs_err::copy(data.join("first-api-key"), &key).unwrap();
    let create =
        |name: &str| setup.octarm(["environment", "create", name]).env("OCTARM_API_KEY_FILE", &key).run();
    assert_eq!(create("One").code, Some(0));
    let ballast = data.join("ballast");
    let mut piece = 4 << 20;
    // What cannot be written in one piece is written in smaller ones, until there is not a page left.
    let mut file = fs_err::File::create(&ballast).unwrap();
    while piece >= 4096 {
        match std::io::Write::write(&mut file, &vec![1; piece]) {
            Ok(written) if written > 0 => {}
            _ => piece /= 2,
        }
    }
    let refused = (0..200).map(|number| create(&format!("Full {number}"))).find(|run| run.code != Some(0));
    let refused = refused.expect("the disk is never full");
    assert!(refused.stderr.contains("the server's disk is full"), "{refused:?}");
    drop(file);
    fs_err::remove_file(&ballast).unwrap();
    let after = create("After");
    assert_eq!(after.code, Some(0), "{after:?}");
    let package = write(setup.folder(), "Orders.1.0.0.zip", &zip(&[Raw::new("a", "b")]));
    let push = setup.octarm(["package", "push", package.to_str().unwrap()]).env("OCTARM_API_KEY_FILE", &key);
    assert_eq!(push.run().code, Some(0));
}

#[test]
fn a_push_that_fills_the_disk_leaves_nothing_behind() {
    let mount = "mkdir -m 700 \"$DATA\" && mount -t tmpfs -o size=6m,mode=700 small \"$DATA\"";
    let setup = Setup::start_with(&Options { before: Some(mount.to_owned()), ..Options::default() });
    let root = PathBuf::from(format!("/proc/{}/root", setup.server().pid()));
    let data = root.join(setup.data().strip_prefix("/").unwrap());
    let key = setup.folder().join("key");
    fs_err::copy(data.join("first-api-key"), &key).unwrap();
    let octarm = |words: &[&str]| setup.octarm(words).env("OCTARM_API_KEY_FILE", &key).run();
    // More than there is room for, and less, of which the second has room only where nothing of the first is left.
    let push = |name: &str, size: usize| {
        let content: Vec<u8> = (0..size).map(|place| u8::try_from(place % 251).unwrap()).collect();
        let package = write(setup.folder(), name, &zip(&[Raw::stored("a", content)]));
        octarm(&["package", "push", package.to_str().unwrap()])
    };
    let packages = || fs_err::read_dir(data.join("packages")).unwrap().count();
    for _ in 0..2 {
        let refused = push("Orders.1.0.0.zip", 12 << 20);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains("the server's disk is full: nothing was stored"), "{refused:?}");
        assert_eq!(packages(), 0);
    }
    assert!(!octarm(&["package", "list"]).stdout.contains("Orders"));
    let pushed = push("Orders.1.0.0.zip", 4 << 20);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    assert_eq!(packages(), 1);
}
