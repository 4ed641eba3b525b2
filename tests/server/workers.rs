//! Registration and sessions.

use std::time::Duration;

use serde_json::json;

use super::TestServer;
use crate::support::server::TestWorker;

#[tokio::test]
async fn registering_again_changes_nothing_and_another_machine_is_refused() {
    let server = TestServer::ready().await;
    let first = server.register("Web 1", "m1", json!({})).await.expect(200);
    assert_eq!((&first["worker_id"], &first["existed"]), (&json!("Machines-1"), &json!(false)));
    let token = first["token"].clone();
    let again = server.register("web 1", "m1", json!({ "token": token })).await.expect(200);
    assert_eq!((&again["worker_id"], &again["existed"]), (&json!("Machines-1"), &json!(true)));
    assert_eq!(again["name"], "Web 1");
    assert!(again.get("token").is_none());
    let error = server.register("web 1", "m2", json!({})).await.expect(409);
    assert_eq!(error["error"]["code"], "worker_elsewhere");
    assert!(error["error"]["message"].as_str().unwrap().contains("host-m1"), "{error}");
    let renewed = server.register("web 1", "m1", json!({})).await.expect(200);
    assert_ne!(renewed["token"], token);
    let old = TestWorker::new(&server, token.as_str().unwrap(), "m1");
    assert_eq!(old.session().await.code(401), "unauthorised");
    let unknown = server.register("x", "m1", json!({ "environment": "Nowhere" })).await.expect(404);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("known are: Dev"));
}

#[tokio::test]
async fn a_takeover_waits_for_the_lease_and_silences_the_old_machine() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let old = server.worker("w1", "m1").await;
    let hand_out = old.claim().await.unwrap();
    assert_eq!(server.register("w1", "m1", json!({})).await.code(409), "session_live");
    let taken = server.register("w1", "m2", json!({ "replace": true })).await.expect(200);
    assert_eq!(old.renew(&hand_out).await.code(401), "unauthorised");
    let new = TestWorker::new(&server, taken["token"].as_str().unwrap(), "m2");
    assert_eq!(new.session().await.code(409), "session_live");
    server.pass(Duration::from_mins(1)).await;
    new.session().await.expect(200);
    assert!(new.claim().await.unwrap().reconcile);
}

#[tokio::test]
async fn of_two_processes_the_later_one_wins_and_never_during_a_lease() {
    let server = TestServer::ready().await;
    let one = server.worker("w1", "m1").await;
    one.session().await.expect(200);
    let two = one.again();
    assert_eq!(two.call("claim", json!({ "wait_ms": 0 })).await.code(409), "session_superseded");
    two.session().await.expect(200);
    assert_eq!(one.call("claim", json!({ "wait_ms": 0 })).await.code(409), "session_superseded");
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    two.claim().await.unwrap();
    let error = one.session().await.expect(409);
    assert_eq!(error["error"]["code"], "session_live");
    let clone = TestWorker::new(&server, &one.token, "m9");
    assert_eq!(clone.session().await.code(409), "worker_elsewhere");
}

#[tokio::test]
async fn deregistering_waits_for_the_lease_unless_forced() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(worker.deregister("").await.code(409), "worker_busy");
    worker.deregister("?force=true").await.expect(204);
    assert_eq!(worker.deregister("").await.code(401), "unauthorised");
    assert_eq!(worker.renew(&hand_out).await.code(401), "unauthorised");
    // What it was running is not started by another before its lease is over.
    let next = server.worker("w2", "m2").await;
    assert!(next.claim().await.is_none());
    server.pass(Duration::from_mins(1)).await;
    assert!(next.claim().await.unwrap().reconcile);
}

#[tokio::test]
async fn machines_show_who_was_heard_of() {
    let server = TestServer::ready().await;
    server.worker("w1", "m1").await;
    let machine = server.get("machines?partialName=W").await.expect(200)["Items"][0].clone();
    assert_eq!((&machine["HealthStatus"], &machine["Status"]), (&json!("Healthy"), &json!("Online")));
    assert_eq!(machine["Endpoint"]["CommunicationStyle"], "None");
    assert_eq!(machine["EnvironmentIds"], json!(["Environments-1"]));
    server.pass(Duration::from_secs(91)).await;
    let machine = server.get("machines/Machines-1").await.expect(200);
    assert_eq!((&machine["HealthStatus"], &machine["Status"]), (&json!("Unavailable"), &json!("Offline")));
    server.delete("machines/Machines-1").await.expect(200);
    assert!(server.delete("machines/Machines-1").await.refused(404).contains("does not exist"));
    assert_eq!(server.get("machines/all").await.expect(200), json!([]));
}

#[tokio::test]
async fn a_machine_at_work_is_deleted_only_by_force() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let text = server.delete("machines/Machines-1").await.refused(409);
    assert!(text.contains("worker `w1` is running Deployments-1") && text.contains("force"), "{text}");
    worker.renew(&hand_out).await.expect(200);
    server.delete("machines/Machines-1?force=true").await.expect(200);
    assert_eq!(worker.renew(&hand_out).await.code(401), "unauthorised");
}

#[tokio::test]
async fn only_an_api_key_registers_and_only_a_token_claims() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let body = json!({ "name": "w2", "environment": "Dev", "machine": { "host": "h", "id": "m" } });
    assert_eq!(worker.call("register", body).await.code(401), "unauthorised");
    let keyed = TestWorker::new(&server, &server.key, "m1");
    assert_eq!(keyed.call("claim", json!({ "wait_ms": 0 })).await.code(401), "unauthorised");
    let token = server.http.get(format!("{}/api", server.address)).bearer_auth(&worker.token);
    crate::support::server::Answer::of(token).await.refused(401);
}
