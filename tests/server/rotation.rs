//! `octarm server rotate-master-key`: one of two keys opens everything, whenever it is broken off.

use std::path::{Path, PathBuf};

use octarm::{
    server::{self, ServerError, Settings},
    store::{Found, Place, StoreError},
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::TestServer;
use crate::support::{PATIENCE, process::Program};

const STORED: &str = "stored-in-the-set";
const SHARED: &str = "stored-in-a-library";
const GIVEN: &str = "given-with-the-deployment";
/// How many sensitive values are sealed: three in each of the sets, in the release, and in what it copied before; and
/// the one that was given.
const SEALED: u64 = 10;

/// A server that was stopped with sensitive values in a project's set, in a library's, in a release, in what the release
/// copied before, and given with a deployment that waits and was made with that earlier copy.
async fn stopped() -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = TestServer::settings(&folder).await;
    let server = TestServer::with(settings.clone()).await;
    server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    let variables = json!([
        { "Name": "Stored", "Value": STORED, "IsSensitive": true },
        { "Name": "Given", "Value": "other", "IsSensitive": true, "Prompt": {} },
        { "Name": "Plain", "Value": "plain" },
    ]);
    let set = json!({ "Version": 0, "Variables": variables });
    let mut own = server.put("variables/variableset-Projects-1", set).await.expect(200);
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let set =
        json!({ "Version": 0, "Variables": [{ "Name": "Shared", "Value": SHARED, "IsSensitive": true }] });
    server.put("variables/variableset-LibraryVariableSets-1", set).await.expect(200);
    let body = json!({ "IncludedLibraryVariableSetIds": ["Common"] });
    server.put("projects/Projects-1", body).await.expect(200);
    server.release("1.0.0").await;
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "Variables": { "Given": GIVEN },
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    own["Variables"].as_array_mut().unwrap().push(json!({ "Name": "Later", "Value": "later" }));
    server.put("variables/variableset-Projects-1", own).await.expect(200);
    server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200);
    server.stop().await;
    (folder, settings)
}

fn key(settings: &Settings, name: &str) -> String {
    fs_err::read_to_string(settings.data.join(name)).unwrap().trim().to_owned()
}

/// The files that hold keys of before.
fn kept(settings: &Settings) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(&settings.data).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("master-key.until-")).collect()
}

/// A server with these settings starts and hands out what was sealed.
async fn assert_whole(settings: &Settings) {
    let server = TestServer::with(settings.clone()).await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.expect("a deployment waits");
    let value = |name: &str| {
        let found = hand_out.variables.iter().find(|variable| variable.name == name).unwrap();
        assert_eq!(found.sensitive, name != "Plain");
        found.value.clone()
    };
    assert_eq!(
        (value("Stored"), value("Shared"), value("Given"), value("Plain")),
        (STORED.into(), SHARED.into(), GIVEN.into(), "plain".into())
    );
    // The same again, for whoever looks next.
    worker.finish(&hand_out, json!({ "result": "cancelled", "summary": "again" }), b"").await.expect(200);
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "Variables": { "Given": GIVEN },
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    worker.deregister_by_force().await;
    server.stop().await;
}

#[tokio::test]
async fn everything_is_opened_by_the_new_key_alone() {
    let (_folder, settings) = stopped().await;
    let before = key(&settings, "master-key");
    let rotated = server::rotate_master_key(&settings, None).await.unwrap();
    assert_eq!(rotated.values, Some(SEALED));
    let now = key(&settings, "master-key");
    assert_ne!(now, before);
    assert_eq!(fs_err::read_to_string(rotated.old.unwrap()).unwrap().trim(), before);
    assert_eq!(kept(&settings).len(), 1);
    assert!(!settings.data.join("master-key.next").exists());
    let old = Settings { master_key: Some(before.into()), ..settings.clone() };
    let error = server::start(old).await.unwrap_err();
    assert!(matches!(error, ServerError::Store(StoreError::WrongKey)), "{error}");
    assert_whole(&settings).await;
    for file in kept(&settings) {
        fs_err::remove_file(file).unwrap();
    }
    assert_whole(&settings).await;
}

#[tokio::test]
async fn what_was_copied_before_is_not_new_after_it() {
    let (_folder, settings) = stopped().await;
    server::rotate_master_key(&settings, None).await.unwrap();
    let server = TestServer::with(settings).await;
    let before = server.get("releases/Releases-1").await.expect(200);
    let again = server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200);
    let own = "ProjectVariableSetSnapshotId";
    assert_eq!((&before[own], &again[own]), (&json!("variableset-Projects-1-s-2-1X1"), &before[own]));
}

#[tokio::test]
async fn a_folder_that_a_server_has_is_left_alone() {
    let (_folder, settings) = stopped().await;
    let before = key(&settings, "master-key");
    let server = TestServer::with(settings.clone()).await;
    if settings.database.is_none() {
        let error = server::rotate_master_key(&settings, None).await.unwrap_err();
        assert!(matches!(error, ServerError::Locked { .. }), "{error}");
    }
    server.stop().await;
    assert_eq!(key(&settings, "master-key"), before);
}

#[tokio::test]
async fn a_key_from_a_file_is_taken_and_may_be_given_again() {
    let (folder, settings) = stopped().await;
    let file = folder.path().join("new-key");
    fs_err::write(&file, "5a".repeat(32)).unwrap();
    assert_eq!(server::rotate_master_key(&settings, Some(&file)).await.unwrap().values, Some(SEALED));
    assert_eq!(key(&settings, "master-key"), "5a".repeat(32));
    let again = server::rotate_master_key(&settings, Some(&file)).await.unwrap();
    assert!(again.values.is_none() && again.old.is_none(), "{again:?}");
    assert_whole(&settings).await;
    fs_err::write(&file, "no key").unwrap();
    let error = server::rotate_master_key(&settings, Some(&file)).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyUnreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_key_that_comes_from_outside_is_replaced_outside() {
    let (folder, settings) = stopped().await;
    let old = fs_err::read_to_string(settings.data.join("master-key")).unwrap();
    fs_err::remove_file(settings.data.join("master-key")).unwrap();
    let error = server::rotate_master_key(&settings, None).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyMissing { .. }), "{error}");
    let outside = Settings { master_key: Some(old.trim().into()), ..settings };
    let error = server::rotate_master_key(&outside, None).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--new-key"), "{error}");
    let file = folder.path().join("new-key");
    fs_err::write(&file, "5a".repeat(32)).unwrap();
    let rotated = server::rotate_master_key(&outside, Some(&file)).await.unwrap();
    assert!(rotated.values == Some(SEALED) && rotated.old.is_none() && rotated.given, "{rotated:?}");
    assert!(!outside.data.join("master-key").exists() && !outside.data.join("master-key.next").exists());
    // With the old key given again, as after a kill: it is done already.
    assert_eq!(server::rotate_master_key(&outside, Some(&file)).await.unwrap().values, None);
    assert_whole(&Settings { master_key: Some("5a".repeat(32).into()), ..outside }).await;
}

#[tokio::test]
async fn broken_off_between_two_steps_one_of_the_keys_opens_everything() {
    let (_folder, settings) = stopped().await;
    let (own, next) = (settings.data.join("master-key"), settings.data.join("master-key.next"));
    // The new key was written, the database is as it was.
    fs_err::write(&next, "5a".repeat(32)).unwrap();
    assert_whole(&settings).await;
    fs_err::write(&next, "5a".repeat(32)).unwrap();
    let before = key(&settings, "master-key");
    server::rotate_master_key(&settings, None).await.unwrap();
    assert_whole(&settings).await;
    // The database has changed, the folder has not yet.
    for repeat in [false, true] {
        fs_err::rename(&own, &next).unwrap();
        fs_err::write(&own, &before).unwrap();
        if repeat {
            assert_eq!(server::check(&settings).await.unwrap()[2], "the master key opens it");
            server::rotate_master_key(&settings, None).await.unwrap();
            assert!(!next.exists());
        }
        assert_whole(&settings).await;
        if settings.database.is_none() {
            assert!(!next.exists());
            assert_ne!(key(&settings, "master-key"), before);
        } else if next.exists() {
            // Servers that share the folder leave it to whoever is alone with it.
            fs_err::rename(&next, &own).unwrap();
        }
    }
}

fn rotate(settings: &Settings) -> Program {
    let program = Program::octarm().args(["server", "rotate-master-key"]).arg_pair("--data", &settings.data);
    match &settings.database {
        Some(url) => program.env("OCTARM_SERVER_DATABASE_URL", url.expose_secret()),
        None => program,
    }
}

/// Waits until this is so, by looking.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async { while !condition().await {} };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited for {what}, in vain"));
}

/// Keeps every rotation from changing the database, until it is dropped.
enum Held {
    Sqlite { _connection: SqliteConnection },
    Postgres { _connection: PgConnection },
}

impl Held {
    async fn at(settings: &Settings) -> Self {
        if let Some(url) = &settings.database {
            let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
            let lock = "begin; lock table releases in access exclusive mode";
            sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
            return Self::Postgres { _connection: connection };
        }
        let file = settings.data.join("octarm.db");
        let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql("begin immediate").execute(&mut connection).await.unwrap();
        Self::Sqlite { _connection: connection }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_database_changed_the_old_key_opens_everything() {
    let (_folder, settings) = stopped().await;
    let before = key(&settings, "master-key");
    let held = Held::at(&settings).await;
    let running = rotate(&settings).spawn();
    until("the new key", async || settings.data.join("master-key.next").exists()).await;
    running.kill();
    assert_eq!(running.wait().code, None);
    drop(held);
    assert_eq!(key(&settings, "master-key"), before);
    assert_whole(&settings).await;
    let again = rotate(&settings).run();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.stdout.contains("sensitive values are sealed with a new master key; the old one"),
        "{again:?}"
    );
    assert_whole(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_one_of_the_keys_opens_everything() {
    let (_folder, settings) = stopped().await;
    let changed = async |before: &str| {
        // Opened by another key than the one of before: it has committed.
        let place = match &settings.database {
            Some(url) => Place::Postgres(url.clone()),
            None => Place::File(settings.data.join("octarm.db")),
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(before, &mut bytes).unwrap();
        let vault = octarm::store::Vault::new(&bytes).unwrap();
        matches!(Found::at(&place, Some(&vault)).await, Err(StoreError::WrongKey))
    };
    for moment in 0..3 {
        let before = key(&settings, "master-key");
        let kept_before = kept(&settings).len();
        let running = rotate(&settings).spawn();
        until("its moment", async || {
            let is_there = match moment {
                0 => settings.data.join("master-key.next").exists(),
                1 => kept(&settings).len() > kept_before,
                _ => changed(&before).await,
            };
            is_there || running.seen().has_ended()
        })
        .await;
        running.kill();
        running.wait();
        assert_whole(&settings).await;
    }
    assert_eq!(rotate(&settings).run().code, Some(0));
    assert_whole(&settings).await;
}

#[tokio::test]
async fn where_no_server_was_there_is_nothing_to_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(folder.path().join("data"), "127.0.0.1:0".parse().unwrap());
    let run = rotate(&settings).run();
    assert!(run.code == Some(64) && run.stderr.contains("is not a server's"), "{run:?}");
    assert!(!Path::new(&settings.data).exists());
}
