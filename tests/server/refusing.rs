//! A worker that takes no new work says why, and nobody waits for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{TestWorker, success};

const REASON: &str = "12.0 MiB are free, at least 512.0 MiB are to stay free";

async fn claim_refusing(worker: &TestWorker, wait_ms: u64) -> Value {
    answer_to_refusing(worker, wait_ms, REASON).await["assignment"].clone()
}

async fn answer_to_refusing(worker: &TestWorker, wait_ms: u64, reason: &str) -> Value {
    worker.call("claim", json!({ "wait_ms": wait_ms, "refusing": reason })).await.expect(200)
}

#[tokio::test]
async fn it_is_given_nothing_and_is_shown_with_its_reason_until_it_asks_again() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let id = server.deploy("1.0.0").await;
    assert_eq!(claim_refusing(&worker, 0).await, Value::Null);
    let shown = server.get("machines/Machines-1").await.expect(200);
    assert_eq!((&shown["HealthStatus"], &shown["Status"]), (&json!("Unhealthy"), &json!("Online")));
    let summary = format!("octarm 0.1.0 on host-m1, takes no new work: {REASON}");
    assert_eq!(shown["StatusSummary"], json!(summary));
    assert_eq!(server.get("workers/Workers-1").await.expect(200)["StatusSummary"], json!(summary));
    let unwell = server.get("machines?healthStatuses=Unhealthy").await.expect(200);
    assert_eq!(unwell["TotalResults"], 1);
    let waits = format!("waits for a worker: none in environment `Dev` takes new work: {REASON}");
    assert_eq!(server.task(id).await["WaitingReason"], json!(waits));
    // Another one that takes work is what the task waits for then.
    server.register("w2", "m2", json!({})).await.expect(200);
    assert_eq!(server.task(id).await["WaitingReason"], "waits for a worker of environment `Dev`");
    server.put("machines/Machines-2", json!({ "IsDisabled": true })).await.expect(200);
    assert_eq!(server.task(id).await["WaitingReason"], json!(waits));

    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, id);
    worker.finish(&hand_out, success(), b"").await.expect(200);
    let shown = server.get("machines/Machines-1").await.expect(200);
    assert_eq!(
        (&shown["HealthStatus"], &shown["StatusSummary"]),
        (&json!("Healthy"), &json!("octarm 0.1.0 on host-m1"))
    );
}

#[tokio::test]
async fn nobodys_turn_waits_on_it() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let (first, second) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let waiting = async {
        // Both wait before there is anything.
        tokio::join!(claim_refusing(&first, 3000), second.claim_for(20_000))
    };
    let ((refused, claimed), id) = tokio::join!(waiting, server.deploy("1.0.0"));
    assert_eq!((refused, claimed.unwrap().deployment), (Value::Null, id));
}

#[tokio::test]
async fn a_new_process_of_it_is_taken_to_be_well() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    claim_refusing(&worker, 0).await;
    worker.again().session().await.expect(200);
    assert_eq!(server.get("machines/Machines-1").await.expect(200)["HealthStatus"], "Healthy");
}

#[tokio::test]
async fn the_reason_is_one_line() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    for reason in [String::new(), "two\nlines".to_owned(), "\u{1b}[31mred".to_owned(), "x".repeat(501)] {
        let answer = worker.call("claim", json!({ "wait_ms": 0, "refusing": reason })).await;
        assert_eq!(answer.code(400), "invalid", "{reason:?}");
    }
    worker.call("claim", json!({ "wait_ms": 0, "refusing": "ü".repeat(500) })).await.expect(200);
}

#[tokio::test]
async fn it_is_told_to_leave_as_any_other() {
    let server = TestServer::ready().await;
    let (worker, other) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let began = Instant::now();
    let before = server.last_seen("Machines-1").await;
    let leaving = async {
        server.until_seen_after("Machines-1", &before).await;
        worker.deregister(0).await.expect(200)
    };
    let (told, answer) = tokio::join!(answer_to_refusing(&worker, 20_000, REASON), leaving);
    assert_eq!((&told["leaving"], &answer["gone"]), (&json!(true), &json!(false)));
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(answer_to_refusing(&worker, 0, REASON).await["leaving"], true);
    assert_eq!(answer_to_refusing(&other, 0, REASON).await.get("leaving"), None);
    worker.end_session().await.expect(204);
    assert_eq!(worker.deregister(0).await.expect(200)["gone"], true);
}

#[tokio::test]
async fn it_hears_that_another_process_took_over() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let before = server.last_seen("Machines-1").await;
    let next = worker.again();
    let taking_over = async {
        server.until_seen_after("Machines-1", &before).await;
        next.session().await.expect(200)
    };
    let body = json!({ "wait_ms": 20_000, "refusing": REASON });
    let (told, _) = tokio::join!(worker.call("claim", body), taking_over);
    assert_eq!(told.code(409), "session_superseded");
}

#[tokio::test]
async fn what_it_says_last_is_what_is_shown() {
    let server = TestServer::ready().await;
    let (one, two) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    for (of_one, of_two) in [("a is full", "b is full"), ("a's disk", "b's disk"), ("a's disk", "b again")] {
        tokio::join!(answer_to_refusing(&one, 0, of_one), answer_to_refusing(&two, 0, of_two));
        for (path, said) in [("machines/Machines-1", of_one), ("machines/Machines-2", of_two)] {
            let shown = server.get(path).await.expect(200);
            assert!(shown["StatusSummary"].as_str().unwrap().ends_with(said), "{shown}");
        }
    }
    assert!(one.claim().await.is_none());
    assert_eq!(server.get("machines/Machines-1").await.expect(200)["HealthStatus"], "Healthy");
    assert_eq!(server.get("machines/Machines-2").await.expect(200)["HealthStatus"], "Unhealthy");
}
