//! Hand-outs: claim, lease, fence, journal, log, end.

use std::time::{Duration, Instant};

use serde_json::json;

use super::TestServer;
use crate::support::server::{TestWorker, line, success, unknown, with_fence};

const LEASE: Duration = Duration::from_mins(1);

async fn deployed() -> TestServer {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    server
}

#[tokio::test]
async fn a_waiting_claim_wakes_when_something_is_queued() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    assert!(worker.claim().await.is_none());
    let before = Instant::now();
    let (hand_out, id) = tokio::join!(worker.claim_for(25_000), server.deploy("1.0.0"));
    let hand_out = hand_out.unwrap();
    assert_eq!((hand_out.deployment, hand_out.fence.0, hand_out.reconcile), (id, 1, false));
    assert_woken(before);
}

/// Disables the second worker, or enables it again.
async fn disable(server: &TestServer, disabled: bool) {
    server.put("machines/Machines-2", json!({ "IsDisabled": disabled })).await.expect(200);
}

/// A claim that waits looks again after twenty-five seconds: sooner means woken.
#[track_caller]
fn assert_woken(before: Instant) {
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}

#[tokio::test]
async fn who_takes_nothing_keeps_nobody_waiting() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let (gone, resting, ready) =
        (server.worker("w1", "m1").await, server.worker("w2", "m2").await, server.worker("w3", "m3").await);
    disable(&server, true).await;
    // Its client went away while it waited.
    assert!(tokio::time::timeout(Duration::from_millis(200), gone.claim_for(25_000)).await.is_err());
    let before = Instant::now();
    let others = async {
        let (hand_out, first) = tokio::join!(ready.claim_for(25_000), server.deploy("1.0.0"));
        let hand_out = hand_out.unwrap();
        assert_eq!(hand_out.deployment, first);
        let second = server.deploy("1.0.0").await;
        disable(&server, false).await;
        ready.finish(&hand_out, success(), b"").await.expect(200);
        second
    };
    let (hand_out, second) = tokio::join!(resting.claim_for(25_000), others);
    assert_eq!(hand_out.unwrap().deployment, second);
    assert_woken(before);
}

#[tokio::test]
async fn what_was_lost_wakes_who_waits() {
    let server = deployed().await;
    let (one, two) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let lost = one.claim().await.unwrap();
    let before = Instant::now();
    let (hand_out, ()) = tokio::join!(two.claim_for(25_000), server.pass(LEASE + Duration::from_millis(1)));
    assert_eq!(hand_out.unwrap().deployment, lost.deployment);
    assert_woken(before);
}

#[tokio::test]
async fn chunks_that_come_at_once_are_taken_or_refused_each_for_itself() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let mut held = Vec::new();
    for name in ["A", "B", "C"] {
        server.post("environments", json!({ "Name": name })).await.expect(201);
        let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": [name] });
        server.post("deployments/create/untenanted/v1", body).await.expect(201);
        let registered = server.register("w", name, json!({ "environment": name })).await.expect(200);
        let worker = TestWorker::new(&server, &registered, name);
        worker.session().await.expect(200);
        let hand_out = worker.claim().await.unwrap();
        held.push((worker, hand_out));
    }
    let [(a, of_a), (b, of_b), (c, of_c)] = held.as_slice() else { panic!("{}", held.len()) };
    let stale = with_fence(of_b, 9);
    let (chunk, end) = (line("a"), line("a").len() as u64);
    let (first, gap, fence, other) = tokio::join!(
        a.log(of_a, 0, &chunk),
        b.log(of_b, 7, &chunk),
        b.log(&stale, 0, &chunk),
        c.log(of_c, 0, &chunk)
    );
    assert_eq!(
        (first.expect(200)["length"].as_u64(), other.expect(200)["length"].as_u64()),
        (Some(end), Some(end))
    );
    assert_eq!((gap.code(416), fence.code(409)), ("log_offset".to_owned(), "stale_fence".to_owned()));
    assert_eq!(b.log(of_b, 0, &chunk).await.expect(200)["length"], end);
    // Of one deployment each begins where the one before it ends, also when they are written together.
    let again = tokio::join!(a.log(of_a, end, &chunk), a.log(of_a, end, &chunk), a.log(of_a, end, &chunk));
    let mut answers: Vec<_> =
        [again.0, again.1, again.2].map(|answer| (answer.status, answer.body.to_string())).into();
    answers.sort();
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 416, 416]);
    assert!(answers[1].1.contains(&format!("\"length\":{}", 2 * end)), "{answers:?}");
    let stale = with_fence(of_c, 9);
    let both = tokio::join!(c.log(of_c, end, &chunk), c.log(&stale, end, &chunk), b.log(of_b, end, b""));
    assert_eq!((both.0.expect(200)["length"].as_u64(), both.1.status), (Some(2 * end), 409));
    assert_eq!(both.2.expect(200)["length"], end);
}

#[tokio::test]
async fn one_deployment_of_a_target_at_a_time() {
    let server = deployed().await;
    let second = server.deploy("1.0.0").await;
    let (one, two) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let first = one.claim().await.unwrap();
    assert!(two.claim().await.is_none());
    one.finish(&first, success(), b"").await.expect(200);
    assert_eq!(two.claim().await.unwrap().deployment, second);
}

#[tokio::test]
async fn an_expired_lease_is_handed_out_to_reconcile_and_the_old_one_cannot_write() {
    let server = deployed().await;
    let (one, two) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let old = one.claim().await.unwrap();
    one.journal(&old, 0, "f").await.expect(200);
    let end = line("a").len() as u64;
    one.log(&old, 0, &line("a")).await.expect(200);
    server.pass(LEASE + Duration::from_millis(1)).await;
    // Before anybody noticed that the lease is over, it is.
    assert_eq!(one.renew(&old).await.code(409), "stale_fence");
    assert_eq!(server.task(old.deployment).await["State"], "Executing");
    let new = two.claim().await.unwrap();
    assert_eq!((new.deployment, new.fence.0, new.reconcile, new.log_offset), (old.deployment, 2, true, end));
    assert_eq!(new.journal.len(), 1);
    assert_eq!(one.log(&old, end, &line("b")).await.code(409), "stale_fence");
    assert_eq!(one.journal(&old, 1, "f").await.code(409), "stale_fence");
    assert_eq!(one.finish(&old, success(), &line("a")).await.code(409), "stale_fence");
    let guessed = with_fence(&old, 2);
    assert_eq!(one.renew(&guessed).await.code(409), "stale_fence");
    two.log(&new, end, &line("c")).await.expect(200);
    two.finish(&new, success(), &line("c")).await.expect(200);
    assert_eq!(server.task(old.deployment).await["State"], "Success");
}

#[tokio::test]
async fn renewing_keeps_the_lease() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    for _ in 0..3 {
        server.pass(Duration::from_secs(40)).await;
        assert_eq!(worker.renew(&hand_out).await.expect(200)["lease_ms"], 60_000);
    }
    worker.finish(&hand_out, success(), b"").await.expect(200);
}

#[tokio::test]
async fn a_hand_out_whose_answer_was_lost_comes_again_under_a_new_fence() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let lost = worker.claim().await.unwrap();
    let again = worker.claim().await.unwrap();
    assert_eq!((again.deployment, again.fence.0, again.reconcile), (lost.deployment, 2, true));
    assert_eq!(worker.renew(&lost).await.code(409), "stale_fence");
}

#[tokio::test]
async fn the_journal_is_written_once_and_without_gaps() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(worker.journal(&hand_out, 0, "f").await.expect(200)["length"], 1);
    assert_eq!(worker.journal(&hand_out, 0, "f").await.expect(200)["length"], 1);
    assert_eq!(worker.journal(&hand_out, 0, "other").await.code(409), "conflict");
    assert_eq!(worker.journal(&hand_out, 2, "f").await.code(400), "invalid");
    assert_eq!(worker.journal(&hand_out, 1, "g").await.expect(200)["length"], 2);
}

#[tokio::test]
async fn the_log_takes_whole_lines_at_its_end_only() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let end = line("a").len() as u64;
    assert_eq!(worker.log(&hand_out, 0, &line("a")).await.expect(200)["length"], end);
    for offset in [0, 1, end + 1] {
        let error = worker.log(&hand_out, offset, &line("b")).await.expect(416);
        assert_eq!((&error["error"]["code"], &error["error"]["length"]), (&json!("log_offset"), &json!(end)));
    }
    let whole = line("b");
    let half = &whole[..whole.len() - 1];
    let large = line(&"x".repeat(256 * 1024));
    let odd = [&b"no line\n"[..], b"\n", b"\x1b[2J\n", b"{\"level\":\"info\",\"text\":\"x\"}\n"];
    for refused in [half, &large].into_iter().chain(odd) {
        assert_eq!(worker.log(&hand_out, end, refused).await.code(400), "invalid");
        // Nor behind a line that is one.
        let both = [&whole[..], refused].concat();
        assert_eq!(worker.log(&hand_out, end, &both).await.code(400), "invalid");
    }
    let error = worker.finish(&hand_out, success(), &[line("a"), line("b")].concat()).await.expect(416);
    assert_eq!(error["error"]["length"], end);
    // Another text of the same length: the server wants this hand-out's log again.
    let error = worker.finish(&hand_out, success(), &line("x")).await.expect(409);
    assert_eq!((&error["error"]["code"], &error["error"]["length"]), (&json!("log_digest"), &json!(0)));
    worker.log(&hand_out, 0, &line("x")).await.expect(200);
    worker.finish(&hand_out, success(), &line("x")).await.expect(200);
}

#[tokio::test]
async fn an_end_is_recorded_once() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    worker.finish(&hand_out, success(), b"").await.expect(200);
    assert_eq!(worker.finish(&hand_out, unknown(), b"").await.code(409), "conflict");
    assert_eq!(worker.renew(&hand_out).await.code(409), "stale_fence");
    assert_eq!(server.task(hand_out.deployment).await["State"], "Success");
}

#[tokio::test]
async fn an_unknown_end_blocks_the_target_until_somebody_resolves_it() {
    let server = deployed().await;
    let next = server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, unknown(), b"").await.expect(200);
    let task = server.task(hand_out.deployment).await;
    assert_eq!(
        (&task["State"], &task["ErrorMessage"]),
        (&json!("Failed"), &json!("unknown: no answer from AWS"))
    );
    assert!(worker.claim().await.is_none());
    let path = format!("deployments/{}/resolve", hand_out.deployment);
    assert!(server.post(&path, json!({ "As": "maybe" })).await.refused(400).contains("`maybe`"));
    let body = json!({ "As": "success" });
    assert_eq!(server.post(&path, body.clone()).await.expect(200)["ResolvedAs"], "success");
    server.post(&path, body).await.expect(200);
    server.post(&path, json!({ "As": "failed" })).await.refused(409);
    let task = server.task(hand_out.deployment).await;
    let text = task["ErrorMessage"].as_str().unwrap();
    let time = text.strip_prefix("unknown: no answer from AWS; resolved as success at ").expect(text);
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{text}");
    assert_eq!(task["State"], "Failed");
    let other =
        server.post(&format!("deployments/{next}/resolve"), json!({ "As": "failed" })).await.refused(409);
    assert!(other.contains("only one whose end is unknown"), "{other}");
    assert_eq!(worker.claim().await.unwrap().deployment, next);
}

#[tokio::test]
async fn a_worker_that_stays_silent_leaves_an_unknown_end() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.journal(&hand_out, 0, "CI-f").await.expect(200);
    server.pass(LEASE + Duration::from_mins(14)).await;
    assert_eq!(server.task(hand_out.deployment).await["State"], "Executing");
    server.pass(Duration::from_mins(1)).await;
    let task = server.until(hand_out.deployment, "Failed").await;
    let text = task["ErrorMessage"].as_str().unwrap();
    assert!(text.starts_with("unknown: worker w1 on host-m1 has been silent since 20"), "{text}");
    assert_eq!(task["IsCompleted"], true);
    server.deploy("1.0.0").await;
    assert!(worker.claim().await.is_none());
}

#[tokio::test]
async fn a_worker_that_stays_silent_before_it_began_blocks_nothing() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    server.pass(LEASE + Duration::from_mins(15)).await;
    let task = server.until(hand_out.deployment, "Failed").await;
    let text = task["ErrorMessage"].as_str().unwrap();
    assert!(text.ends_with("it had not begun to change anything") && !text.contains("unknown"), "{text}");
    server.deploy("1.0.0").await;
    assert!(worker.claim().await.is_some());
}

#[tokio::test]
async fn a_cancel_while_nobody_holds_the_lease_is_heard_by_the_next() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    server.pass(LEASE).await;
    server.post(&format!("tasks/ServerTasks-{}/cancel", hand_out.deployment.0), json!({})).await.expect(200);
    let next = worker.claim().await.unwrap();
    assert!(next.reconcile && next.cancel);
    assert_eq!(server.task(next.deployment).await["State"], "Cancelling");
}

#[tokio::test]
async fn a_package_is_for_the_current_hand_out_only() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let path = format!("deployments/{}/package?fence=9", hand_out.deployment);
    let answer = crate::support::server::Answer::of(worker.request(reqwest::Method::GET, &path)).await;
    assert_eq!(answer.code(409), "stale_fence");
}

#[tokio::test]
async fn a_server_that_stops_answers_waiting_claims_at_once_and_keeps_the_leases() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let folder = {
        let idle = server.worker("w2", "m2").await;
        let before = server.get("machines/Machines-2").await.expect(200)["LastSeen"].clone();
        server.pass(Duration::from_secs(1)).await;
        let waiting = idle.request(reqwest::Method::POST, "claim").json(&json!({ "wait_ms": 25_000 }));
        let waiting = tokio::spawn(waiting.send());
        // The claim is at the server once it has noted that the worker is there.
        let noted =
            async { while server.get("machines/Machines-2").await.expect(200)["LastSeen"] == before {} };
        tokio::time::timeout(crate::support::PATIENCE, noted).await.unwrap();
        let before = Instant::now();
        let folder = server.stop().await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
        assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
        folder
    };
    let server = TestServer::with(TestServer::settings(&folder).await).await;
    let mut worker = worker.through(&server).again();
    let error = worker.session().await.expect(409);
    assert_eq!(error["error"]["code"], "session_live");
    assert!(error["error"]["retry_after_ms"].as_u64().unwrap() <= 60_000);
    server.pass(LEASE).await;
    worker = worker.again();
    worker.session().await.expect(200);
    assert_eq!(worker.claim().await.unwrap().deployment, hand_out.deployment);
}

#[tokio::test]
async fn a_deployment_that_its_workers_die_of_is_not_handed_out_for_ever() {
    let server = deployed().await;
    let worker = server.worker("w1", "m1").await;
    let mut last = worker.claim().await.unwrap();
    for _ in 1..10 {
        server.pass(LEASE).await;
        last = worker.claim().await.unwrap();
    }
    assert_eq!((last.fence.0, last.held_since.0), (10, 1));
    server.pass(LEASE).await;
    assert_eq!(server.until(last.deployment, "Failed").await["FinishedSuccessfully"], false);
    assert!(worker.claim().await.is_none());
}
