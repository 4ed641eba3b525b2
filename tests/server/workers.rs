//! Registration, takeover and leaving.

use std::time::{Duration, Instant};

use serde_json::json;

use super::TestServer;
use crate::support::{
    server::{TestWorker, success},
    worker::{key_of, machine},
};

#[tokio::test]
async fn registering_again_changes_nothing_and_another_machine_is_refused() {
    let server = TestServer::ready().await;
    let first = server.register("Web 1", "m1", json!({})).await.expect(200);
    assert_eq!((&first["worker_id"], &first["existed"]), (&json!("Machines-1"), &json!(false)));
    assert!(first.get("token").is_none());
    let again = server.register("web 1", "m1", json!({})).await.expect(200);
    assert_eq!((&again["worker_id"], &again["existed"]), (&json!("Machines-1"), &json!(true)));
    assert_eq!((&again["name"], &again["installation"]), (&first["name"], &first["installation"]));
    let error = server.register("web 1", "m2", json!({})).await.expect(409);
    assert_eq!(error["error"]["code"], "worker_elsewhere");
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("another machine, on host `host-m1`, which never ran it"), "{text}");
    TestWorker::new(&server, &first, "m1").session().await.expect(200);
    server.pass(Duration::from_mins(5)).await;
    // From the same machine, whose key is lost.
    let other = key_of("web 1", "elsewhere").public();
    let error = server.register("web 1", "m1", json!({ "public_key": other })).await.expect(409);
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("another key, on host `host-m1`, last seen 5 min ago"), "{text}");
    let unknown = server.register("x", "m1", json!({ "environment": "Nowhere" })).await.expect(404);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("known are: Dev"));
    let nowhere = server.register("x", "m1", json!({ "environment": null })).await.expect(400);
    assert!(nowhere["error"]["message"].as_str().unwrap().contains("`environment`"), "{nowhere}");
    let odd = server.register("x", "m1", json!({ "public_key": "00" })).await;
    assert_eq!(odd.code(400), "invalid");
}

#[tokio::test]
async fn a_worker_of_before_there_were_keys_registers_again_and_stays_the_same() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    server.forget_keys().await;
    assert_eq!(worker.session().await.code(401), "unauthorised");
    assert_eq!(server.register("w1", "m2", json!({})).await.code(409), "worker_elsewhere");
    let again = server.register("w1", "m1", json!({})).await.expect(200);
    assert_eq!((&again["worker_id"], &again["existed"]), (&json!("Machines-1"), &json!(true)));
    worker.session().await.expect(200);
}

#[tokio::test]
async fn a_key_is_of_one_worker() {
    let server = TestServer::ready().await;
    server.register("w1", "m1", json!({})).await.expect(200);
    let error = server.register("w2", "m1", json!({ "public_key": key_of("w1", "m1").public() })).await;
    let text = error.expect(409)["error"]["message"].to_string();
    assert!(text.contains("that of worker `w1` in `Dev`"), "{text}");
}

#[tokio::test]
async fn a_takeover_waits_for_the_lease_and_silences_the_old_machine() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let old = server.worker("w1", "m1").await;
    let hand_out = old.claim().await.unwrap();
    assert_eq!(server.register("w1", "m2", json!({})).await.code(409), "worker_elsewhere");
    let taken = server.register("w1", "m2", json!({ "replace": true })).await.expect(200);
    assert_eq!((&taken["existed"], &taken["worker_id"]), (&json!(true), &json!("Machines-1")));
    // Not its token, and not its key either.
    assert_eq!(old.renew(&hand_out).await.code(401), "unauthorised");
    assert_eq!(old.renew_session().await.code(401), "unauthorised");
    assert_eq!(old.session().await.code(401), "unauthorised");
    let new = TestWorker::new(&server, &taken, "m2");
    assert_eq!(new.session().await.code(409), "session_live");
    server.pass(Duration::from_mins(1)).await;
    new.session().await.expect(200);
    let next = new.claim().await.unwrap();
    assert!(next.reconcile && next.held_since == next.fence);
}

#[tokio::test]
async fn a_claim_that_waits_is_ended_when_its_worker_is_replaced() {
    let server = TestServer::ready().await;
    let old = server.worker("w1", "m1").await;
    let before = server.last_seen("Machines-1").await;
    let replace = async {
        server.until_seen_after("Machines-1", &before).await;
        server.register("w1", "m2", json!({ "replace": true })).await.expect(200)
    };
    let began = Instant::now();
    let (answer, _) = tokio::join!(old.call("claim", json!({ "wait_ms": 20_000 })), replace);
    assert_eq!(answer.code(409), "session_superseded");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn of_two_machines_that_register_one_name_at_once_one_gets_it() {
    let server = TestServer::ready().await;
    let asked = (0..8).map(|number| {
        let server = &server;
        async move { server.register("w1", &format!("m{number}"), json!({})).await.status }
    });
    let mut statuses = futures_util::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[409; 7]].concat());
    assert_eq!(server.get("machines/all").await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_processes_the_later_one_wins_and_never_during_a_lease() {
    let server = TestServer::ready().await;
    let one = server.worker("w1", "m1").await;
    one.session().await.expect(200);
    let two = one.again();
    two.session().await.expect(200);
    assert_eq!(one.call("claim", json!({ "wait_ms": 0 })).await.code(409), "session_superseded");
    // It does not take it back by going on.
    assert_eq!(one.renew_session().await.code(409), "session_superseded");
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    two.claim().await.unwrap();
    let error = one.session().await.expect(409);
    assert_eq!(error["error"]["code"], "session_live");
    let clone = one.signed(|request| request.machine = machine("m9")).await;
    let error = one.ask(&clone).await.expect(409);
    assert_eq!(error["error"]["code"], "worker_elsewhere");
    assert!(error["error"]["message"].as_str().unwrap().contains("on host `host-m1`, last seen"), "{error}");
}

#[tokio::test]
async fn deregistering_waits_for_the_end_unless_forced() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let answer = worker.deregister(0).await.expect(200);
    assert_eq!(answer, json!({ "gone": false, "running": ["Deployments-1"] }));
    let shown = server.get("machines/Machines-1").await.expect(200);
    assert!(shown["StatusSummary"].as_str().unwrap().contains(", leaving: it gets nothing new"), "{shown}");
    // It gets nothing new, and works on.
    server.post("projects", json!({ "Name": "Billing" })).await.expect(201);
    worker.renew(&hand_out).await.expect(200);
    let ended = async {
        worker.finish(&hand_out, success(), b"").await.expect(200);
        server.deploy("1.0.0").await;
        let told = worker.call("claim", json!({ "wait_ms": 20_000 })).await.expect(200);
        assert_eq!((&told["leaving"], &told["assignment"]), (&json!(true), &json!(null)));
        worker.end_session().await.expect(204);
    };
    let (answer, ()) = tokio::join!(worker.deregister(20_000), ended);
    assert_eq!(answer.expect(200), json!({ "gone": true }));
    assert_eq!(server.get("machines/all").await.expect(200), json!([]));
    // Repeated, it is nobody that the server knows.
    assert_eq!(worker.deregister(0).await.code(401), "unauthorised");
    assert_eq!(worker.renew(&hand_out).await.code(401), "unauthorised");
}

#[tokio::test]
async fn a_claim_that_waits_is_told_to_leave_at_once() {
    let server = TestServer::ready().await;
    let (worker, other) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let began = Instant::now();
    let before = server.last_seen("Machines-1").await;
    let leaving = async {
        server.until_seen_after("Machines-1", &before).await;
        worker.deregister(0).await.expect(200)
    };
    let (told, answer) = tokio::join!(worker.call("claim", json!({ "wait_ms": 20_000 })), leaving);
    assert_eq!(told.expect(200)["leaving"], true);
    assert_eq!(answer["gone"], false);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(other.call("claim", json!({ "wait_ms": 0 })).await.expect(200).get("leaving"), None);
    worker.end_session().await.expect(204);
    assert_eq!(worker.deregister(0).await.expect(200)["gone"], true);
}

#[tokio::test]
async fn who_leaves_is_not_waited_for_when_its_process_is_gone() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    worker.claim().await.unwrap();
    assert_eq!(worker.deregister(0).await.expect(200)["running"], json!(["Deployments-1"]));
    // Killed: its lease runs out, and nobody hears of it.
    server.pass(Duration::from_secs(59)).await;
    assert_eq!(worker.deregister(0).await.expect(200)["gone"], false);
    server.pass(Duration::from_secs(2)).await;
    assert_eq!(worker.deregister(0).await.expect(200)["gone"], true);
    let next = server.worker("w2", "m2").await;
    assert!(next.claim_for(20_000).await.unwrap().reconcile);
}

#[tokio::test]
async fn whoever_is_registered_again_stays() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    assert_eq!(worker.deregister(0).await.expect(200)["gone"], false);
    assert_eq!(worker.call("claim", json!({ "wait_ms": 0 })).await.expect(200)["leaving"], true);
    server.register("w1", "m1", json!({})).await.expect(200);
    let shown = server.get("machines/Machines-1").await.expect(200);
    assert!(!shown["StatusSummary"].as_str().unwrap().contains("leaving"), "{shown}");
    server.deploy("1.0.0").await;
    worker.claim().await.unwrap();
}

#[tokio::test]
async fn a_clone_of_its_disk_does_not_send_a_worker_away() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let mut clone = worker.again();
    clone.machine = "m2".to_owned();
    let error = clone.deregister(0).await.expect(409);
    assert_eq!(error["error"]["code"], "worker_elsewhere");
    assert!(error["error"]["message"].as_str().unwrap().contains("on host `host-m1`"), "{error}");
    let shown = server.get("machines/Machines-1").await.expect(200);
    assert!(!shown["StatusSummary"].as_str().unwrap().contains("leaving"), "{shown}");
    clone.deregister_by_force().await.expect(200);
}

#[tokio::test]
async fn by_force_a_worker_is_gone_at_once() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(worker.deregister_by_force().await.expect(200), json!({ "gone": true }));
    assert_eq!(worker.deregister_by_force().await.code(401), "unauthorised");
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
async fn only_an_api_key_registers_and_only_a_session_claims() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let key = key_of("w2", "m").public();
    let body = json!({ "name": "w2", "environment": "Dev", "machine": machine("m"), "public_key": key });
    assert_eq!(worker.call("register", body).await.code(401), "unauthorised");
    let (token, keyed) = (worker.token(), worker.again());
    keyed.show(&server.key);
    assert_eq!(keyed.call("claim", json!({ "wait_ms": 0 })).await.code(401), "unauthorised");
    let token = server.http.get(format!("{}/api", server.address)).bearer_auth(token);
    crate::support::server::Answer::of(token).await.refused(401);
}

#[tokio::test]
async fn what_a_machine_says_of_itself_is_short_and_one_line() {
    let server = TestServer::ready().await;
    for host in ["h".repeat(256), "two\nlines".to_owned(), "\u{202e}hidden".to_owned()] {
        let more = json!({ "machine": { "host": host, "id": "m1" } });
        let refused = server.register("dev-1", "m1", more).await.code(400);
        assert_eq!(refused, "invalid");
    }
    let long = json!({ "public_key": "A".repeat(10_000) });
    let refused = server.register("dev-1", "m1", long).await;
    assert!(refused.status == 400 && refused.body.to_string().len() < 1000, "{refused:?}");
    let longer = json!({ "public_key": "A".repeat(100_000) });
    assert_eq!(server.register("dev-1", "m1", longer).await.status, 413);
}
