//! `octarm server backup` and `restore`: all that a server keeps, in one file that is checked.

use std::{
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use octarm::{
    model::chain,
    server::{self, BackupError, ServerError, Settings},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::TestServer;
use crate::support::{
    process::Program,
    server::{line, package, success},
};

/// A server with a package, a release, a deployment that ended with a log, and a sensitive value.
async fn used() -> (TempDir, Settings, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    let settings = TestServer::settings(&folder).await;
    let server = TestServer::with(settings.clone()).await;
    server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
    server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    let set = json!({ "Version": 0, "Variables": [{ "Name": "A", "Value": "a-secret-value", "IsSensitive": true }] });
    server.put("variables/variableset-Projects-1", set).await.expect(200);
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.log(&hand_out, 0, &line("what was said")).await.expect(200);
    worker.finish(&hand_out, success(), &line("what was said")).await.expect(200);
    (folder, settings, server)
}

/// Another folder for the same server.
fn elsewhere(folder: &TempDir, settings: &Settings) -> Settings {
    Settings { data: folder.path().join("restored"), ..settings.clone() }
}

async fn raw(server: &TestServer) -> Vec<u8> {
    let request = server.request(reqwest::Method::GET, "packages/packages-Orders.1.0.0/raw");
    request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap().to_vec()
}

/// The server has all that [`used`] made.
async fn assert_whole(server: &TestServer) {
    assert_eq!(raw(server).await, package(b"one"));
    let task = server.get("tasks/ServerTasks-1/details").await.expect(200);
    assert!(task.to_string().contains("what was said"), "{task}");
    let id = server.deploy("1.0.0").await;
    let worker = server.worker("w9", "m9").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, id);
    assert!(hand_out.variables.iter().any(|variable| variable.value == "a-secret-value"));
}

fn holds(file: &Path, text: &str) -> bool {
    fs_err::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_server_becomes_the_same_server() {
    let (folder, settings, server) = used().await;
    let file = folder.path().join("backup.tar");
    let mut busy = JoinSet::new();
    for number in 0..20 {
        let request = server.request(reqwest::Method::POST, "environments");
        busy.spawn(request.json(&json!({ "Name": format!("E{number}") })).send());
    }
    let made = server::backup(&settings, &file, true).await.unwrap();
    busy.join_all().await;
    assert!(made.left_out.is_empty() && made.has_database == settings.database.is_none(), "{made:?}");
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let error = server::backup(&settings, &file, true).await.unwrap_err();
    assert!(matches!(error, ServerError::Backup(BackupError::Occupied(_))), "{error}");
    let left: Vec<_> =
        fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
    let key = server.key.clone();
    server.stop().await;
    let restored = elsewhere(&folder, &settings);
    let told = server::restore(&restored, &file).await.unwrap();
    assert!(told.has_key && told.files == made.files, "{told:?} {made:?}");
    if settings.database.is_none() {
        let mut copy =
            SqliteConnection::connect(restored.data.join("octarm.db").to_str().unwrap()).await.unwrap();
        let found: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut copy).await.unwrap();
        assert_eq!(found, "ok");
    }
    let is_in_file = restored.database.is_none();
    let server = TestServer::with(restored).await;
    assert_eq!(server.key, key);
    assert_whole(&server).await;
    // What was made after the backup had numbers too, and they mean what they meant then.
    let last = server.get("deployments?take=1").await.expect(200)["Items"][0]["Id"].clone();
    assert_eq!(last, if is_in_file { "Deployments-10002" } else { "Deployments-2" });
}

#[tokio::test]
async fn without_the_secrets_the_key_is_kept_apart() {
    let (folder, settings, server) = used().await;
    let key = fs_err::read_to_string(settings.data.join("master-key")).unwrap();
    let file = folder.path().join("backup.tar");
    let made = server::backup(&settings, &file, false).await.unwrap();
    assert_eq!(made.left_out, ["master-key", "first-api-key"]);
    for secret in [key.trim(), &server.key, "a-secret-value"] {
        assert!(!holds(&file, secret));
    }
    let api_key = server.key.clone();
    server.stop().await;
    let restored = elsewhere(&folder, &settings);
    let told = server::restore(&restored, &file).await.unwrap();
    assert!(!told.has_key && told.left_out == made.left_out, "{told:?}");
    let error = server::start(restored.clone()).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyMissing { .. }), "{error}");
    fs_err::write(restored.data.join("master-key"), key).unwrap();
    fs_err::write(restored.data.join("first-api-key"), api_key).unwrap();
    assert_whole(&TestServer::with(restored).await).await;
}

#[tokio::test]
async fn a_key_that_comes_from_outside_is_taken_with_the_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings { master_key: Some("5a".repeat(32).into()), ..TestServer::settings(&folder).await };
    TestServer::with(settings.clone()).await.stop().await;
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    assert!(holds(&file, settings.master_key.as_ref().unwrap().expose_secret()));
    let other = Settings { master_key: Some("00".repeat(32).into()), ..settings };
    let error = server::backup(&other, &folder.path().join("other"), true).await.unwrap_err();
    assert!(chain(&error).contains("master key does not open"), "{}", chain(&error));
}

/// Every file below the folder but the lock, by its path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs_err::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path != folder.join("lock") {
                let bytes = fs_err::read(&path).unwrap();
                found.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn what_is_not_as_it_was_written_is_not_restored() {
    let (folder, settings, server) = used().await;
    server.stop().await;
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    let restored = elsewhere(&folder, &settings);
    server::restore(&restored, &file).await.unwrap();
    let whole = files(&restored.data);
    fs_err::remove_dir_all(&restored.data).unwrap();
    let bytes = fs_err::read(&file).unwrap();
    let mut refused = 0;
    for place in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x40;
        fs_err::write(&file, changed).unwrap();
        match server::restore(&restored, &file).await {
            // What no digest covers is of no account: dates and padding.
            Ok(_) => assert!(files(&restored.data) == whole, "byte {place}"),
            Err(ServerError::Backup(_)) => {
                refused += 1;
                assert!(!restored.data.exists());
            }
            Err(error) => panic!("byte {place}: {}", chain(&error)),
        }
        let _ = fs_err::remove_dir_all(&restored.data);
    }
    assert!(refused > 10, "{refused}");
    for length in (0..bytes.len() - 2048).step_by(bytes.len() / 20) {
        fs_err::write(&file, &bytes[..length]).unwrap();
        let error = server::restore(&restored, &file).await.unwrap_err();
        assert!(
            matches!(error, ServerError::Backup(BackupError::Damaged { .. })),
            "{length}: {}",
            chain(&error)
        );
        assert!(!restored.data.exists());
    }
}

/// A backup of this head and these files, made by somebody else.
fn forged(file: &Path, head: &Value, entries: &[(&str, &[u8])]) {
    let mut archive = tar::Builder::new(fs_err::File::create(file).unwrap());
    let head = head.to_string();
    let mut digests = Vec::new();
    let mut append = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // Put there as it is, whatever the library thinks of such a path.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        archive.append(&header, content).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
        digests.push(json!({ "path": path, "size": content.len(), "sha256": hex::encode(digest) }));
    };
    append("backup.json", head.as_bytes());
    for (path, content) in entries {
        append(path, content);
    }
    let list = Value::from(digests.clone()).to_string();
    let mut header = tar::Header::new_gnu();
    header.set_size(list.len() as u64);
    archive.append_data(&mut header, "digests.json", list.as_bytes()).unwrap();
    archive.finish().unwrap();
}

#[tokio::test]
async fn what_a_newer_or_another_program_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let usual = Settings::new(folder.path().join("data"), "127.0.0.1:0".parse().unwrap());
    let head = |format: u32, schema: i64| {
        json!({ "format": format, "octarm": "9.9.9", "made": "2026-01-02T03:04:05Z", "database": "sqlite",
                "schema": schema, "left_out": [] })
    };
    for (head, entries, words) in [
        (head(2, 1), vec![], "is of octarm 9.9.9, whose form of backups is 2: this one knows those up to 1"),
        (head(1, 9999), vec![], "whose form of tables is 9999"),
        (head(1, 1), vec![], "it has no `octarm.db`"),
        (head(1, 1), vec![("../outside", b"x" as &[u8])], "it holds `../outside`"),
        (head(1, 1), vec![("packages/../../x", b"x")], "expected no such file"),
        (head(1, 1), vec![("packages/a", b"x"), ("packages/a", b"x")], "it holds `packages/a` twice"),
        (json!({}), vec![], "what it says of itself cannot be read"),
    ] {
        forged(&file, &head, &entries);
        let error = server::restore(&usual, &file).await.unwrap_err();
        assert!(chain(&error).contains(words), "{}", chain(&error));
        assert!(error.hint().is_some());
        assert!(!usual.data.exists() && !folder.path().join("outside").exists());
    }
    let program = Program::octarm().args(["server", "restore"]).args([&file]).arg_pair("--data", &usual.data);
    let run = program.run();
    assert!(run.code == Some(65) && run.stderr.contains("is not a whole backup"), "{run:?}");
}

/// One entry of a tar, and so many bytes of content, of which `size` is what its head says.
fn raw_entry(kind: u8, path: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[tokio::test]
async fn a_hostile_backup_is_refused_before_it_takes_memory_or_leaves_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    let usual = Settings::new(folder.path().join("data"), "127.0.0.1:0".parse().unwrap());
    let head = json!({ "format": 1, "octarm": "9.9.9", "made": "2026-01-02T03:04:05Z", "database": "sqlite",
                       "schema": 1, "left_out": [] })
    .to_string();
    let entry = |kind: u8, path: &str, content: &[u8]| raw_entry(kind, path, content.len() as u64, content);
    let head = entry(b'0', "backup.json", head.as_bytes());
    // Holes, which no disk has room for: a petabyte of digests, or of a head.
    let huge = 1 << 50;
    for (entries, words) in [
        (vec![entry(b'L', "././@LongLink", b"packages/x"), head.clone()], "a long name for what follows"),
        (vec![raw_entry(b'L', "././@LongLink", huge, b"packages/x")], "a long name for what follows"),
        (vec![entry(b'K', "././@LongLink", b"packages/x")], "a long name for what follows"),
        (
            vec![raw_entry(b'x', "PaxHeaders/x", huge, b"10 path=a\n")],
            "a list of attributes for what follows",
        ),
        (vec![raw_entry(b'g', "pax_global_header", huge, b"")], "a list of attributes for what follows"),
        (vec![entry(b'S', "backup.json", b"{}")], "`backup.json`, which is a file with holes"),
        (vec![head.clone(), entry(b'1', "packages/a", b"")], "`packages/a`, which is a hard link"),
        (vec![head.clone(), entry(b'2', "packages/a", b"")], "`packages/a`, which is a symbolic link"),
        (vec![head.clone(), entry(b'5', "packages", b"")], "`packages`, which is a folder"),
        (vec![head.clone(), entry(b'3', "packages/a", b"")], "`packages/a`, which is a device"),
        (vec![head.clone(), entry(b'6', "packages/a", b"")], "`packages/a`, which is a pipe"),
        (vec![head.clone(), entry(b'Z', "packages/a", b"")], "`packages/a`, which is of no known kind"),
        (vec![raw_entry(b'0', "backup.json", huge, &[b' '; 70_000])], "is longer than 65536 bytes"),
        (
            vec![head.clone(), raw_entry(b'0', "digests.json", huge, &[b' '; 4096])],
            "is longer than 2048 bytes",
        ),
        (vec![head.clone(), raw_entry(b'0', "packages/a", huge, b"short")], "cannot be read as one"),
        (vec![entry(b'0', "packages/a", b"x"), head.clone()], "it begins with `packages/a`"),
    ] {
        fs_err::write(&file, entries.concat()).unwrap();
        let error = server::restore(&usual, &file).await.unwrap_err();
        assert!(
            matches!(error, ServerError::Backup(BackupError::Damaged { .. })),
            "{words}: {}",
            chain(&error)
        );
        assert!(chain(&error).contains(words), "{words}: {}", chain(&error));
        let left: Vec<_> =
            fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["backup.tar"], "{words}");
    }
}

#[tokio::test]
async fn a_folder_that_holds_something_is_left_alone() {
    let (folder, settings, server) = used().await;
    server.stop().await;
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    let before = files(&settings.data);
    let error = server::restore(&settings, &file).await.unwrap_err();
    assert!(matches!(error, ServerError::Backup(BackupError::FolderOccupied { .. })), "{error}");
    assert_eq!(files(&settings.data), before);
    // What a restore left that was broken off: no server starts on it, and the next restore begins anew.
    let restored = elsewhere(&folder, &settings);
    fs_err::create_dir_all(restored.data.join("restore.part/packages")).unwrap();
    fs_err::write(restored.data.join("restore.part/octarm.db"), "half").unwrap();
    let error = server::start(restored.clone()).await.unwrap_err();
    assert!(matches!(error, ServerError::HalfRestored { .. }), "{error}");
    let error = server::check(&restored).await.unwrap_err();
    assert!(matches!(error, ServerError::HalfRestored { .. }), "{error}");
    server::restore(&restored, &file).await.unwrap();
    assert_whole(&TestServer::with(restored).await).await;
}

#[tokio::test]
async fn a_package_that_is_missing_is_told() {
    let (folder, settings, server) = used().await;
    server.push("Other.1.0.0.zip", b"other", "").await.expect(201);
    let digest = |name: &str| {
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &package(name.as_bytes())))
    };
    let place = |name: &str| settings.data.join("packages").join(digest(name));
    fs_err::remove_file(place("one")).unwrap();
    fs_err::write(place("other"), "something else").unwrap();
    fs_err::write(settings.data.join("packages/x.part"), "an upload").unwrap();
    let file = folder.path().join("backup.tar");
    let made = server::backup(&settings, &file, false).await;
    let text = made.unwrap_err().to_string();
    assert!(text.contains(&format!("`packages/{}` does not exist", digest("one"))), "{text}");
    assert!(text.contains(&format!("`packages/{}` is damaged", digest("other"))), "{text}");
    let mut names = Vec::new();
    let mut archive = tar::Archive::new(fs_err::File::open(&file).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        entry.read_to_end(&mut Vec::new()).unwrap();
    }
    let database = settings.database.is_none().then_some("octarm.db".to_owned());
    let expected = [Some("backup.json".to_owned()), database, Some(format!("packages/{}", digest("other")))];
    let expected = expected.into_iter().flatten().chain(["digests.json".to_owned()]);
    assert_eq!(names, expected.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_say_what_is_left_to_do() {
    let (folder, settings, server) = used().await;
    let file = folder.path().join("backup.tar");
    let octarm = |words: &[&str], data: &Path| {
        let program = Program::octarm().args(["server"]).args(words).arg_pair("--data", data);
        match &settings.database {
            Some(url) => program.env("OCTARM_SERVER_DATABASE_URL", url.expose_secret()),
            None => program,
        }
    };
    let output = file.to_str().unwrap();
    let run = octarm(&["backup", "--output", output], &settings.data).run();
    assert!(run.code == Some(0) && run.stdout.contains("keep them apart"), "{run:?}");
    assert_eq!(run.stdout.contains("pg_dump"), settings.database.is_some());
    let again = octarm(&["backup", "--output", output], &settings.data).run();
    assert!(again.code == Some(2) && again.stderr.contains("exists already"), "{again:?}");
    let to = folder.path().join("restored");
    let run = octarm(&["restore", output], &to).run();
    assert!(run.code == Some(0) && run.stdout.contains("put these into the folder"), "{run:?}");
    assert!(run.stdout.contains("master-key, first-api-key"), "{run:?}");
    assert_eq!(run.stdout.contains("pg_restore"), settings.database.is_some());
    if let Some(url) = &settings.database {
        assert!(!run.stdout.contains("is cancelled"), "{run:?}");
        let queued = server.deploy("1.0.0").await;
        let mut database = PgConnection::connect(url.expose_secret()).await.unwrap();
        let statements = run.stdout.split_once("run in it: ").unwrap().1;
        for statement in ["select setval", "update deployments", "delete from settings"] {
            let begin = statements.find(statement).unwrap();
            let text = statements[begin..].split_once(';').unwrap().0.to_owned();
            sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut database).await.unwrap();
        }
        assert_eq!(server.task(queued).await["State"], "Canceled");
        assert!(server.deploy("1.0.0").await.0 > 10_000);
    } else {
        assert!(run.stdout.contains("when the backup was made is cancelled"), "{run:?}");
    }
    server.stop().await;
    // Ended in the middle, a backup leaves nothing that could be taken for one.
    let killed = folder.path().join("killed.tar");
    let running = octarm(&["backup", "--output", killed.to_str().unwrap()], &settings.data).spawn();
    let is_begun = || {
        let mut entries = fs_err::read_dir(folder.path()).unwrap();
        entries.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".octarm-backup-"))
    };
    while !is_begun() && !running.seen().has_ended() {}
    running.kill();
    running.wait();
    // What is left of it the next one removes, but not what another one is at work in.
    let (left, other) =
        (folder.path().join(".octarm-backup-left"), folder.path().join(".octarm-backup-other"));
    for path in [&left, &other] {
        fs_err::create_dir(path).unwrap();
        fs_err::write(path.join("master-key"), "secret").unwrap();
    }
    let at_work = fs_err::File::open(&other).unwrap();
    at_work.file().try_lock().unwrap();
    server::backup(&settings, &folder.path().join("next.tar"), false).await.unwrap();
    let begun: Vec<_> = fs_err::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".octarm-backup-"))
        .collect();
    assert_eq!(begun, [other]);
    if killed.exists() {
        server::restore(&elsewhere(&TempDir::new_in(folder.path()).unwrap(), &settings), &killed)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_became_a_blob_is_in_the_backup_and_missed_where_it_is_not() {
    let (folder, settings, server) = used().await;
    server.stop().await;
    let tidying = Settings { tidy_pause: std::time::Duration::from_millis(5), ..settings.clone() };
    let server = TestServer::with(tidying).await;
    let kept = async {
        loop {
            if let Some(kept) = server.store.kept_log(octarm::model::DeploymentId(1)).await.unwrap() {
                break kept;
            }
            tokio::task::yield_now().await;
        }
    };
    let kept = tokio::time::timeout(crate::support::PATIENCE, kept).await.unwrap();
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    let restored = elsewhere(&folder, &settings);
    if restored.database.is_none() {
        server::restore(&restored, &file).await.unwrap();
        assert_whole(&TestServer::with(restored).await).await;
        fs_err::remove_file(server.data.join("packages").join(&kept.blob.sha256)).unwrap();
        let again = folder.path().join("again.tar");
        let error = server::backup(&settings, &again, true).await.unwrap_err();
        assert!(
            chain(&error).contains(&format!("`packages/{}` does not exist", kept.blob.sha256)),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_queued_is_cancelled_by_a_restore() {
    let (folder, settings, server) = used().await;
    let file = folder.path().join("backup.tar");
    let queued = server.deploy("1.0.0").await;
    server::backup(&settings, &file, true).await.unwrap();
    let restored = elsewhere(&folder, &settings);
    if restored.database.is_some() {
        return;
    }
    server::restore(&restored, &file).await.unwrap();
    let server = TestServer::with(restored).await;
    let task = server.get(&format!("tasks/ServerTasks-{}", queued.0)).await.expect(200);
    assert_eq!(task["State"], "Canceled", "{task}");
    assert!(task["ErrorMessage"].as_str().unwrap().contains("cancelled by a restore"), "{task}");
    // It may have been deployed since: nobody is given it once more.
    let id = server.deploy("1.0.0").await;
    let worker = server.worker("w9", "m9").await;
    assert_eq!(worker.claim().await.unwrap().deployment, id);
}

/// What two servers share that take each other's packages for rubbish, if nobody keeps them from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_copy_leaves_its_originals_packages_alone() {
    let (folder, settings, server) = used().await;
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    server.stop().await;
    // From now on the folder says whose it is.
    server::prune(&settings, false).await.unwrap();
    let restored = elsewhere(&folder, &settings);
    server::restore(&restored, &file).await.unwrap();
    fs_err::remove_dir_all(restored.data.join("packages")).unwrap();
    std::os::unix::fs::symlink(settings.data.join("packages"), restored.data.join("packages")).unwrap();
    if let Some(url) = &settings.database {
        // One database cannot be the original and a copy of it: from here on it is the copy.
        let mut database = PgConnection::connect(url.expose_secret()).await.unwrap();
        sqlx::raw_sql(octarm::store::RESTORED[1]).execute(&mut database).await.unwrap();
    }
    let before = files(&settings.data.join("packages"));
    for error in [
        server::check(&restored).await.err(),
        server::start(restored.clone()).await.err(),
        server::prune(&restored, false).await.err(),
    ] {
        let error = error.unwrap();
        assert!(matches!(error, ServerError::CopiedBlobs { .. }), "{}", chain(&error));
        assert!(error.hint().unwrap().contains("octarm server take-over"));
    }
    assert_eq!(files(&settings.data.join("packages")), before);
    // The original is gone: the copy takes over, and the original is refused if it comes back after all.
    server::take_over(&restored).await.unwrap();
    server::check(&restored).await.unwrap();
    if settings.database.is_none() {
        let error = server::start(settings.clone()).await.unwrap_err();
        assert!(matches!(error, ServerError::CopiedBlobs { .. }), "{}", chain(&error));
    }
    assert_whole(&TestServer::with(restored).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_root_does_in_a_folder_of_the_servers_user_belongs_to_that_user() {
    let (folder, settings, server) = used().await;
    server.stop().await;
    let file = folder.path().join("backup.tar");
    server::backup(&settings, &file, true).await.unwrap();
    if settings.database.is_some() {
        return;
    }
    // All is root's but the folder, as where a package of the system made it.
    let script = r#"
        set -eu
        mkdir "$2/theirs"
        chown 12345:12346 "$2/theirs"
        cp "$3" "$2/own.tar"
        for command in restore\ "$2/own.tar" rotate-master-key prune take-over; do
            "$1" server $command --data "$2/theirs" >&2
            find "$2/theirs" ! -user 12345 -o ! -group 12346
        done
        ls "$2/theirs"
    "#;
    let mut command =
        std::process::Command::new(if rustix::process::geteuid().is_root() { "sh" } else { "unshare" });
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user", "--map-auto", "sh"]);
    }
    let run = command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_octarm")]).arg(folder.path()).arg(&file);
    let run = run.output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{run:?}");
    let names: Vec<_> = told.lines().collect();
    assert!(names.iter().all(|name| !name.starts_with('/')), "{told}");
    for name in ["lock", "master-key", "octarm.db", "packages", "spare"] {
        assert!(names.contains(&name), "{told}");
    }
}
