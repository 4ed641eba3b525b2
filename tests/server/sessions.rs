//! Sessions of workers: what proves who is calling, for how long, and what does not.

use std::time::Duration;

use octarm::protocol::{INSTANCE_HEADER, SessionRequest};
use serde_json::{Value, json};
use uuid::Uuid;

use super::TestServer;
use crate::support::{
    server::{Answer, TestWorker},
    worker::{key_of, machine},
};

const NOTHING: u64 = 0;

async fn registered(server: &TestServer) -> TestWorker {
    let answer = server.register("w1", "m1", json!({})).await.expect(200);
    TestWorker::new(server, &answer, "m1")
}

async fn claim(worker: &TestWorker) -> Answer {
    worker.call("claim", json!({ "wait_ms": NOTHING })).await
}

#[tokio::test]
async fn whoever_has_the_key_gets_a_token_that_is_kept_nowhere() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let answer = worker.session().await.expect(200);
    assert_eq!((&answer["worker_id"], &answer["environment"]), (&json!("Machines-1"), &json!("Dev")));
    assert_eq!(answer["token_ttl_ms"], 3_600_000);
    assert!(worker.token().starts_with("OWS-"), "{}", worker.token());
    claim(&worker).await.expect(200);
    assert!(!server.has_stored(&worker.token()).await);
}

#[tokio::test]
async fn a_wrong_signature_and_an_unknown_worker_look_the_same() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let mut refused = Vec::new();
    // Signed by another key; signed, and then changed in each of its parts; of a worker that there is not.
    let mut forged = worker.signed(|_| ()).await;
    forged.signature = key_of("w1", "m2").sign(&forged.statement(worker.installation()));
    refused.push(worker.ask(&forged).await);
    let changes: [fn(&mut SessionRequest); 8] = [
        |request| request.instance = Uuid::now_v7(),
        |request| request.machine.host.push('x'),
        |request| request.machine = machine("m2"),
        |request| request.version.push('x'),
        |request| request.renewal = true,
        |request| request.signature = String::new(),
        |request| request.signature = "00".repeat(64),
        |request| request.signature = "x".to_owned(),
    ];
    for change in changes {
        let mut request = worker.signed(|_| ()).await;
        change(&mut request);
        refused.push(worker.ask(&request).await);
    }
    let asked = json!({ "worker_id": "Machines-77" });
    let given = worker.call("challenge", asked).await.expect(200)["challenge"].as_str().unwrap().to_owned();
    let stranger = worker
        .signed(|request| {
            request.worker_id = "Machines-77".parse().unwrap();
            request.challenge = given;
        })
        .await;
    refused.push(worker.ask(&stranger).await);
    // Meant for another installation.
    let mut elsewhere = worker.signed(|_| ()).await;
    elsewhere.signature = worker.key.sign(&elsewhere.statement(Uuid::now_v7()));
    refused.push(worker.ask(&elsewhere).await);
    let first = refused[0].body.clone();
    assert_eq!(first["error"]["code"], "unauthorised");
    for answer in refused {
        assert_eq!((answer.status, &answer.body), (401, &first));
    }
    worker.session().await.expect(200);
}

#[tokio::test]
async fn a_challenge_is_good_once_for_a_minute_and_for_its_worker() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let other = server.worker("w2", "m2").await;
    let used = worker.signed(|_| ()).await;
    worker.ask(&used).await.expect(200);
    assert_eq!(worker.ask(&used).await.code(409), "challenge_over");
    let late = worker.signed(|_| ()).await;
    server.pass(Duration::from_mins(1)).await;
    assert_eq!(worker.ask(&late).await.code(409), "challenge_over");
    let of_other = other.challenge().await;
    let swapped = worker.signed(|request| request.challenge = of_other).await;
    assert_eq!(worker.ask(&swapped).await.code(409), "challenge_over");
    for odd in ["", "00", "zz", &"00".repeat(56), &"00".repeat(500)] {
        let made_up = worker.signed(|request| request.challenge = odd.to_owned()).await;
        assert_eq!(worker.ask(&made_up).await.code(409), "challenge_over", "{odd}");
    }
    let just_in_time = worker.signed(|_| ()).await;
    server.pass(Duration::from_secs(55)).await;
    worker.ask(&just_in_time).await.expect(200);
}

#[tokio::test]
async fn many_that_use_one_challenge_at_once_get_one_session() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let request = worker.signed(|_| ()).await;
    let answers = futures_util::future::join_all((0..8).map(|_| worker.ask(&request))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200].as_slice(), &[409; 7]].concat());
}

#[tokio::test]
async fn what_was_signed_for_one_call_is_good_for_no_other() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let session = worker.signed(|_| ()).await;
    let body = json!({
        "worker_id": session.worker_id, "challenge": session.challenge, "force": true, "machine": session.machine,
        "signature": session.signature,
    });
    assert_eq!(worker.call("deregister", body).await.code(401), "unauthorised");
    assert_eq!(server.get("machines/all").await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_of_one_process() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let other = worker.again();
    other.show(&worker.token());
    assert_eq!(claim(&other).await.code(401), "unauthorised");
    let of_other_worker = server.worker("w2", "m2").await;
    of_other_worker.show(&worker.token());
    assert_eq!(claim(&of_other_worker).await.code(401), "unauthorised");
    claim(&worker).await.expect(200);
    let bare =
        worker.request(reqwest::Method::POST, "claim").build().unwrap().headers()[INSTANCE_HEADER].clone();
    assert_eq!(bare, worker.instance.to_string());
}

#[tokio::test]
async fn a_token_is_over_in_time_and_a_renewal_keeps_the_one_before() {
    let server = TestServer::ready_with(|settings| settings.worker_session = Duration::from_secs(100)).await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = registered(&server).await;
    assert_eq!(worker.session().await.expect(200)["token_ttl_ms"], 100_000);
    let hand_out = worker.claim().await.unwrap();
    let first = worker.token();
    server.pass(Duration::from_secs(50)).await;
    worker.renew(&hand_out).await.expect(200);
    // With a live lease: it is the same process.
    worker.renew_session().await.expect(200);
    assert_ne!(worker.token(), first);
    worker.renew(&hand_out).await.expect(200);
    let second = worker.token();
    // A call that is on its way is not cut off.
    worker.show(&first);
    worker.renew(&hand_out).await.expect(200);
    server.pass(Duration::from_secs(50)).await;
    assert_eq!(worker.renew(&hand_out).await.code(401), "unauthorised");
    worker.show(&second);
    worker.renew(&hand_out).await.expect(200);
    server.pass(Duration::from_secs(50)).await;
    assert_eq!(worker.renew(&hand_out).await.code(401), "unauthorised");
    worker.renew_session().await.expect(200);
    claim(&worker).await.expect(200);
}

#[tokio::test]
async fn a_session_that_ended_lets_the_next_process_begin() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    worker.end_session().await.expect(204);
    assert_eq!(claim(&worker).await.code(401), "unauthorised");
    let next = worker.again();
    next.session().await.expect(200);
    claim(&next).await.expect(200);
    assert_eq!(worker.renew_session().await.code(409), "session_superseded");
}

#[tokio::test]
async fn challenges_that_nobody_signs_are_kept_nowhere() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let mut asked: Vec<String> = Vec::new();
    for _ in 0..20 {
        asked.push(worker.challenge().await);
    }
    asked.dedup();
    assert_eq!(asked.len(), 20);
    // Neither whole nor by the part that makes it one of its own.
    assert!(!server.has_stored(&asked[0][16..48]).await);
    let used = worker.signed(|_| ()).await;
    worker.ask(&used).await.expect(200);
    assert!(server.has_stored(&used.challenge[16..48]).await);
    // All that were asked for do not keep the worker out.
    worker.session().await.expect(200);
    let body: Value = json!({ "worker_id": "Machines-12345" });
    worker.call("challenge", body).await.expect(200);
}

#[tokio::test]
async fn a_challenge_is_used_up_by_a_request_that_is_refused() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    worker.claim().await.unwrap();
    let next = worker.again();
    let early = next.signed(|_| ()).await;
    assert_eq!(next.ask(&early).await.code(409), "session_live");
    server.pass(Duration::from_secs(30)).await;
    assert_eq!(next.ask(&early).await.code(409), "challenge_over");
    let elsewhere = next.signed(|request| request.machine = machine("m9")).await;
    assert_eq!(next.ask(&elsewhere).await.code(409), "worker_elsewhere");
    assert_eq!(next.ask(&elsewhere).await.code(409), "challenge_over");
    server.pass(Duration::from_secs(30)).await;
    next.session().await.expect(200);
}

#[tokio::test]
async fn of_one_process_the_newest_two_tokens_are_good() {
    let server = TestServer::ready().await;
    let worker = registered(&server).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        worker.session().await.expect(200);
        tokens.push(worker.token());
        server.pass(Duration::from_secs(1)).await;
    }
    for (token, status) in tokens.iter().zip([401, 401, 200, 200]) {
        worker.show(token);
        claim(&worker).await.expect(status);
    }
}

#[tokio::test]
async fn a_key_that_anybody_could_sign_for_is_not_registered() {
    let server = TestServer::ready().await;
    for weak in [format!("01{}", "00".repeat(31)), format!("ec{}7f", "ff".repeat(30)), "0".repeat(64)] {
        let answer = server.register("w1", "m1", json!({ "public_key": weak })).await.expect(400);
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("is one that anybody could sign for"), "{text}");
    }
    assert_eq!(server.get("machines/all").await.expect(200), json!([]));
}
