//! What a database that lost its last commits has forgotten: the beginning of a session, and that a number was given.

use std::time::Duration;

use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{Answer, TestWorker};

async fn claim(worker: &TestWorker) -> Answer {
    worker.call("claim", json!({ "wait_ms": 0 })).await
}

#[tokio::test]
async fn a_session_that_nobody_knows_is_begun_again_where_no_other_process_has_one() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    server.alter("delete from worker_sessions; update machines set instance = null").await;
    assert_eq!(claim(&worker).await.code(401), "unauthorised");
    worker.renew_session().await.expect(200);
    claim(&worker).await.expect(200);
}

/// Two processes of one worker, of which the second took over, in a database that has forgotten that.
async fn before_the_second(server: &TestServer) -> [TestWorker; 2] {
    let first = server.worker("w1", "m1").await;
    let second = first.again();
    second.session().await.expect(200);
    let (before, now) = (first.instance, second.instance);
    server
        .alter(&format!(
            "delete from worker_sessions where instance = '{now}'; update machines set instance = '{before}'"
        ))
        .await;
    [first, second]
}

#[tokio::test]
async fn a_session_that_nobody_knows_is_begun_again_where_an_earlier_process_has_one() {
    let server = TestServer::ready().await;
    let [first, second] = before_the_second(&server).await;
    assert_eq!(claim(&second).await.code(401), "unauthorised");
    second.renew_session().await.expect(200);
    claim(&second).await.expect(200);
    // That one hears of it as ever.
    assert_eq!(claim(&first).await.code(409), "session_superseded");
    assert_eq!(first.renew_session().await.code(409), "session_superseded");
}

#[tokio::test]
async fn it_waits_for_the_lease_of_an_earlier_process() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let [first, second] = before_the_second(&server).await;
    first.claim().await.unwrap();
    assert_eq!(second.renew_session().await.code(409), "session_live");
    server.pass(Duration::from_mins(1)).await;
    second.renew_session().await.expect(200);
}

#[tokio::test]
async fn it_is_not_begun_again_where_a_later_process_has_one() {
    let server = TestServer::ready().await;
    let first = server.worker("w1", "m1").await;
    first.again().session().await.expect(200);
    let forgotten = first.instance;
    server.alter(&format!("delete from worker_sessions where instance = '{forgotten}'")).await;
    assert_eq!(claim(&first).await.code(401), "unauthorised");
    assert_eq!(first.renew_session().await.code(409), "session_superseded");
}

#[tokio::test]
async fn a_claim_that_waits_is_told_to_begin_the_session_again() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let before = server.last_seen("Machines-1").await;
    let forgetting = async {
        server.until_seen_after("Machines-1", &before).await;
        server.alter("delete from worker_sessions; update machines set instance = null").await;
        // It looks then.
        server.deploy("1.0.0").await;
    };
    let (told, ()) = tokio::join!(worker.call("claim", json!({ "wait_ms": 20_000 })), forgetting);
    assert_eq!(told.code(401), "unauthorised");
}

#[tokio::test]
async fn a_number_that_is_given_twice_waits_until_its_first_one_is_nobodys() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let running = |wait_ms: u64| {
        let worker = &worker;
        async move {
            let body = json!({ "wait_ms": wait_ms, "holding": ["Deployments-1"] });
            worker.call("claim", body).await.expect(200)["assignment"].clone()
        }
    };
    // It runs a deployment of this number, which the server knows nothing of, when another one is asked for.
    let (waited, id) = tokio::join!(running(500), server.deploy("1.0.0"));
    assert_eq!((waited, id.to_string().as_str()), (Value::Null, "Deployments-1"));
    assert_eq!(running(0).await, Value::Null);
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, id);
    assert!(hand_out.created_ms.is_some());
}
