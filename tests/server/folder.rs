//! The data folder: private, owned by one server, complete.

use std::os::unix::fs::PermissionsExt as _;

use octarm::server::{self, ServerError};

use super::sqlite::TestServer;

#[tokio::test]
async fn everything_in_it_is_private() {
    let server = TestServer::ready().await;
    let mode = |path: &std::path::Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data), 0o700);
    let mut pending = vec![server.data.clone()];
    let mut files = 0;
    while let Some(folder) = pending.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                assert_eq!(mode(&path), 0o700, "{}", path.display());
                pending.push(path);
            } else {
                files += 1;
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert!(files >= 6, "{files}");
    let key = fs_err::read_to_string(server.data.join("first-api-key")).unwrap();
    assert_eq!(key.trim(), server.key);
    let database = fs_err::read(server.data.join("octarm.db-wal")).unwrap();
    assert!(!database.windows(server.key.len()).any(|window| window == server.key.as_bytes()));
}

#[tokio::test]
async fn a_folder_that_was_there_becomes_private() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["data", "data/packages"] {
        let path = folder.path().join(path);
        fs_err::create_dir(&path).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    TestServer::with(TestServer::settings(&folder).await).await.stop().await;
    for path in ["data", "data/packages"] {
        let mode = fs_err::metadata(folder.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[tokio::test]
async fn a_second_server_is_refused_and_a_later_one_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    server.post("environments", serde_json::json!({ "Name": "Dev" })).await.expect(201);
    let error = server::start(TestServer::settings(&folder).await).await.unwrap_err();
    assert!(matches!(error, ServerError::Locked { .. }), "{error}");
    let (id, key) = (server.get("/api").await.expect(200)["InstallationId"].clone(), server.key.clone());
    server.stop().await;
    fs_err::write(folder.path().join("data/packages/x.part"), b"left by a crash").unwrap();
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    assert_eq!(server.key, key);
    assert_eq!(server.get("/api").await.expect(200)["InstallationId"], id);
    assert_eq!(server.get("environments/dev").await.expect(200)["Name"], "Dev");
    assert!(!folder.path().join("data/packages/x.part").exists());
}

#[tokio::test]
async fn a_database_without_its_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    TestServer::with(TestServer::settings(&folder).await).await.stop().await;
    fs_err::remove_file(folder.path().join("data/master-key")).unwrap();
    let error = server::start(TestServer::settings(&folder).await).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyMissing { .. }), "{error}");
    assert!(error.hint().unwrap().contains("restore the key"));
    assert!(!folder.path().join("data/master-key").exists());
    fs_err::write(folder.path().join("data/master-key"), "short").unwrap();
    let error = server::start(TestServer::settings(&folder).await).await.unwrap_err();
    assert!(matches!(error, ServerError::KeyUnreadable { .. }), "{error}");
}
