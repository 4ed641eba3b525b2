//! Logs of deployments that ended become blobs, and nobody who reads them sees it.

use std::{path::Path, time::Duration};

use octarm::{model::DeploymentId, server::Settings};
use reqwest::Method;

use super::TestServer;
use crate::support::{
    PATIENCE,
    server::{line, success},
};

/// A server that tidies all the time.
async fn tidy() -> (tempfile::TempDir, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    let server = tidy_in(&folder).await;
    server.post("environments", serde_json::json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", serde_json::json!({ "Name": "Orders" })).await.expect(201);
    server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    server.release("1.0.0").await;
    (folder, server)
}

async fn tidy_in(folder: &tempfile::TempDir) -> TestServer {
    let usual = TestServer::settings(folder).await;
    TestServer::with(Settings { tidy_pause: Duration::from_millis(5), ..usual }).await
}

/// Deploys with this log; answers its number.
async fn deploy(server: &TestServer, chunks: &[Vec<u8>]) -> DeploymentId {
    let id = server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let mut offset = 0;
    for chunk in chunks {
        worker.log(&hand_out, offset, chunk).await.expect(200);
        offset += chunk.len() as u64;
    }
    worker.finish(&hand_out, success(), &chunks.concat()).await.expect(200);
    id
}

/// Waits until the log is a blob; answers the blobs that there are beside the package.
async fn until_kept(server: &TestServer, id: DeploymentId) -> usize {
    let wait = async {
        while server.store.kept_log(id).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert!(server.store.read_log(id, 0, 1 << 20).await.unwrap().is_empty(), "the chunks are still there");
    files(&server.data) - 1
}

fn files(data: &Path) -> usize {
    let names = fs_err::read_dir(data.join("packages")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.len() == 64).count()
}

async fn log(server: &TestServer, id: DeploymentId, from: u64) -> (String, Vec<u8>) {
    let path = format!("tasks/ServerTasks-{}/log?from={from}&wait=10000", id.0);
    let answer = server.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let length = answer.headers()["octarm-log-length"].to_str().unwrap().to_owned();
    (length, answer.bytes().await.unwrap().to_vec())
}

async fn raw(server: &TestServer, id: DeploymentId) -> (u16, String) {
    let path = format!("tasks/ServerTasks-{}/raw", id.0);
    let answer = server.request(Method::GET, &path).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn every_reader_finds_the_same_bytes_at_the_same_places() {
    let (_folder, server) = tidy().await;
    // More than three blocks, and than one answer holds, in chunks that do not end where blocks do.
    let lines: Vec<Vec<u8>> =
        (0..1500).map(|number| line(&format!("{number} {}", "x".repeat(number % 2048)))).collect();
    let chunks: Vec<Vec<u8>> = lines.chunks(70).map(<[Vec<u8>]>::concat).collect();
    let whole = chunks.concat();
    let id = deploy(&server, &chunks).await;
    assert_eq!(until_kept(&server, id).await, 1);
    let kept = server.store.kept_log(id).await.unwrap().unwrap();
    assert!(kept.blocks.len() > 3 && kept.blob.size * 5 < kept.length, "{kept:?}");

    let mut read = Vec::new();
    loop {
        let (length, part) = log(&server, id, read.len() as u64).await;
        assert_eq!(length, whole.len().to_string());
        if part.is_empty() {
            break;
        }
        assert!(part.ends_with(b"\n"));
        read.extend_from_slice(&part);
    }
    assert_eq!(read, whole);
    // From the middle of a line, just before, at and behind the begin of a block, and at the last byte.
    let second = kept.blocks[1].from;
    for from in [1, second - 1, second, second + 1, whole.len() as u64 - 1] {
        let (_, part) = log(&server, id, from).await;
        let place = usize::try_from(from).unwrap();
        assert!(!part.is_empty() && whole[place..].starts_with(&part), "{from}");
    }
    let (status, text) = raw(&server, id).await;
    assert_eq!(status, 200);
    assert_eq!(text.lines().filter(|line| line.contains(" |   ")).count(), 1500);
    let details = server.get(&format!("tasks/ServerTasks-{}/details", id.0)).await.expect(200);
    assert_eq!(details["PhysicalLogSize"], whole.len());
    let elements = &details["ActivityLogs"][0]["Children"][0]["LogElements"];
    assert_eq!(elements.as_array().unwrap().len(), 1500);
    // With its release the log goes too: nothing names the blob then.
    server.delete("releases/Releases-1").await.expect(200);
    assert!(!server.store.facts().await.unwrap().named_after(&[]).contains(&kept.blob.sha256));
}

#[tokio::test]
async fn a_log_without_a_line_and_one_of_a_deployment_that_runs_stay_where_they_are() {
    let (_folder, server) = tidy().await;
    let empty = deploy(&server, &[]).await;
    let id = server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.log(&hand_out, 0, &line("one")).await.expect(200);
    // A later one shows that there was a round.
    server.post("environments", serde_json::json!({ "Name": "Test" })).await.expect(201);
    assert_eq!(server.store.kept_log(empty).await.unwrap(), None);
    assert_eq!(log(&server, empty, 0).await, ("0".to_owned(), Vec::new()));
    assert_eq!(server.store.logs_to_keep(DeploymentId(0), 9).await.unwrap(), []);
    worker.log(&hand_out, line("one").len() as u64, &line("two")).await.expect(200);
    worker.finish(&hand_out, success(), &[line("one"), line("two")].concat()).await.expect(200);
    // The same report again, as after a lost answer: also when the chunks are gone.
    assert_eq!(until_kept(&server, id).await, 1);
    worker.finish(&hand_out, success(), &[line("one"), line("two")].concat()).await.expect(200);
    assert_eq!(log(&server, id, 0).await.1, [line("one"), line("two")].concat());
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    server.post("environments", serde_json::json!({ "Name": "Dev" })).await.expect(201);
    server.post("projects", serde_json::json!({ "Name": "Orders" })).await.expect(201);
    server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
    server.release("1.0.0").await;
    let id = deploy(&server, &[line("one")]).await;
    server.stop().await;
    // The bytes of the blob may be there already, from before the crash; whatever they are called.
    let tidy = tidy_in(&folder).await;
    assert_eq!(until_kept(&tidy, id).await, 1);
    let kept = tidy.store.kept_log(id).await.unwrap().unwrap();
    let path = tidy.data.join("packages").join(&kept.blob.sha256);
    let bytes = fs_err::read(&path).unwrap();
    assert_eq!(log(&tidy, id, 0).await.1, line("one"));
    // A second try finds that it was done, and changes nothing.
    assert!(!tidy.store.keep_log(id, &kept).await.unwrap());
    // A blob that is gone is told, with its name, by each reader.
    fs_err::remove_file(&path).unwrap();
    for path in ["raw", "details", "log?from=0"] {
        let text = tidy.get(&format!("tasks/ServerTasks-{}/{path}", id.0)).await.refused(404);
        assert!(text.contains(&kept.blob.sha256) && text.contains(&id.to_string()), "{text}");
    }
    fs_err::write(&path, bytes).unwrap();
    assert!(raw(&tidy, id).await.1.contains("one"));
}
