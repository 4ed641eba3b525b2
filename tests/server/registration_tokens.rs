//! Registration tokens: each registers so many workers in one environment, until then.

use std::time::Duration;

use serde_json::{Value, json};

use super::TestServer;
use crate::support::worker::{TestWorker, key_of};

/// Makes a token for `Dev`; answers the token, and what else is said of it.
async fn token(server: &TestServer, more: Value) -> (String, Value) {
    let mut body = json!({ "EnvironmentId": "dev" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = server.post("workerregistrationtokens", body).await.expect(201);
    (made["Token"].as_str().unwrap().to_owned(), made)
}

/// Why it did not register a worker.
fn refused(answer: crate::support::server::Answer) -> String {
    let body = answer.expect(403);
    assert_eq!(body["error"]["code"], "forbidden", "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_shown_once_and_tells_what_it_is_good_for() {
    let server = TestServer::ready().await;
    let (secret, made) = token(&server, json!({ "Uses": 2, "ExpiresInSeconds": 60 })).await;
    assert!(secret.starts_with("ORT-") && secret.len() == 44, "{secret}");
    assert_eq!(
        (&made["Id"], &made["SpaceId"], &made["EnvironmentId"], &made["State"]),
        (
            &json!("WorkerRegistrationTokens-1"),
            &json!("Spaces-1"),
            &json!("Environments-1"),
            &json!("Active")
        )
    );
    assert_eq!((&made["Uses"], &made["Used"], &made["AllowReplace"]), (&json!(2), &json!(0), &json!(false)));
    assert_eq!(made["CreatedBy"], "first");
    let listed = server.get("workerregistrationtokens").await.expect(200);
    assert_eq!(listed["TotalResults"], 1);
    assert_eq!(listed["Items"][0].get("Token"), None);
    assert!(secret.starts_with(listed["Items"][0]["Hint"].as_str().unwrap()));
    assert!(!server.has_stored(&secret).await);
    assert_eq!(
        server.get("/api/workerregistrationtokens/workerregistrationtokens-1").await.expect(200),
        listed["Items"][0]
    );
    for (odd, expected) in [
        (json!({ "Uses": 0 }), "1 to 10000 uses, 0 were asked for"),
        (json!({ "Uses": 99_999 }), "99999 were asked for"),
        (json!({ "Uses": -1 }), "`Uses` is -1"),
        (json!({ "ExpiresInSeconds": 0 }), "lives for 1 to 31622400 seconds, 0 were"),
        (json!({ "ExpiresInSeconds": i64::MAX }), "lives for 1 to"),
        (json!({ "EnvironmentId": null }), "`Environment` is missing"),
    ] {
        let mut body = json!({ "EnvironmentId": "Dev" });
        body.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        let text = server.post("workerregistrationtokens", body).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
    let nowhere = server.post("workerregistrationtokens", json!({ "EnvironmentId": "Nowhere" })).await;
    assert!(nowhere.refused(404).contains("known are: Dev"));
}

#[tokio::test]
async fn it_registers_in_its_environment_and_a_repeat_uses_nothing_up() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    let (secret, _) = token(&server, json!({})).await;
    let first = server.register_by(&secret, "w1", "m1", json!({})).await.expect(200);
    assert_eq!((&first["environment"], &first["existed"]), (&json!("Dev"), &json!(false)));
    for more in [json!({}), json!({ "environment": "dev" }), json!({ "environment": "Environments-1" })] {
        let again = server.register_by(&secret, "w1", "m1", more).await.expect(200);
        assert_eq!((&again["existed"], &again["worker_id"]), (&json!(true), &first["worker_id"]));
    }
    let shown = server.get("workerregistrationtokens/WorkerRegistrationTokens-1").await.expect(200);
    assert_eq!((&shown["Used"], &shown["State"]), (&json!(1), &json!("UsedUp")));
    let text = refused(server.register_by(&secret, "w2", "m2", json!({})).await);
    assert_eq!(text, "the registration token WorkerRegistrationTokens-1 is used up: it had its one use");
    let (secret, _) = token(&server, json!({})).await;
    let text = refused(server.register_by(&secret, "w1", "m1", json!({ "environment": "Prod" })).await);
    assert!(text.contains("is for environment `Dev`, not for `Prod`"), "{text}");
    // It does not tell which others there are.
    let text = refused(server.register_by(&secret, "w1", "m1", json!({ "environment": "Nowhere" })).await);
    assert!(!text.contains("Prod"), "{text}");
}

#[tokio::test]
async fn it_is_over_when_it_says_and_gone_when_it_is_deleted() {
    let server = TestServer::ready().await;
    let (secret, made) = token(&server, json!({ "ExpiresInSeconds": 60, "Uses": 5 })).await;
    server.register_by(&secret, "w1", "m1", json!({})).await.expect(200);
    server.pass(Duration::from_mins(1)).await;
    let text = refused(server.register_by(&secret, "w2", "m2", json!({})).await);
    let expires = made["Expires"].as_str().unwrap();
    assert!(text.contains("has expired, since ") && text.contains(&expires[..19]), "{text} {expires}");
    // Who was registered by it may find out so again.
    server.register_by(&secret, "w1", "m1", json!({})).await.expect(200);
    let path = "workerregistrationtokens/WorkerRegistrationTokens-1";
    assert_eq!(server.get(path).await.expect(200)["State"], "Expired");
    assert_eq!(server.delete(path).await.expect(200)["State"], "Expired");
    server.delete(path).await.refused(404);
    for unknown in [secret.as_str(), "ORT-UNKNOWN"] {
        let body = server.register_by(unknown, "w1", "m1", json!({})).await.expect(401);
        let text = body["error"]["message"].as_str().unwrap();
        assert!(text.contains("not one of this server's, or it was deleted"), "{text}");
    }
    assert_eq!(server.get("machines/all").await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_many_at_once_so_many_are_registered_as_it_has_uses() {
    let server = TestServer::ready().await;
    let (secret, _) = token(&server, json!({ "Uses": 3 })).await;
    let asked = (0..20).map(|number| {
        let (server, secret) = (&server, &secret);
        async move {
            let (name, on) = (format!("w{number}"), format!("m{number}"));
            server.register_by(secret, &name, &on, json!({})).await.status
        }
    });
    let mut statuses = futures_util::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 3].as_slice(), &[403; 17]].concat());
    assert_eq!(server.get("machines/all").await.expect(200).as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn it_takes_a_name_over_only_when_it_was_made_for_that() {
    let server = TestServer::ready().await;
    let (plain, _) = token(&server, json!({ "Uses": 9 })).await;
    server.register_by(&plain, "w1", "m1", json!({})).await.expect(200);
    assert_eq!(server.register_by(&plain, "w1", "m2", json!({})).await.code(409), "worker_elsewhere");
    let replace = json!({ "replace": true });
    let text = refused(server.register_by(&plain, "w1", "m2", replace.clone()).await);
    assert!(text.contains("may not replace worker `w1` of host `host-m1`"), "{text}");
    let (allowed, _) = token(&server, json!({ "AllowReplace": true })).await;
    server.register_by(&allowed, "w1", "m2", replace.clone()).await.expect(200);
    // A takeover is a use, and its repeat is none.
    server.register_by(&allowed, "w1", "m2", replace.clone()).await.expect(200);
    let text = refused(server.register_by(&allowed, "w1", "m3", replace).await);
    assert!(text.contains("used up"), "{text}");
}

#[tokio::test]
async fn it_does_nothing_else_and_only_who_administers_makes_one() {
    let server = TestServer::ready().await;
    let (secret, _) = token(&server, json!({})).await;
    for path in ["/api", "/api/workerregistrationtokens", "/api/machines/all"] {
        let request = server.http.get(format!("{}{path}", server.address)).bearer_auth(&secret);
        crate::support::server::Answer::of(request).await.refused(401);
    }
    let made = server.post("apikeys", json!({ "Name": "d", "Permissions": ["deploy"] })).await.expect(201);
    let key = made["ApiKey"].as_str().unwrap();
    let list = server.http.get(format!("{}/api/workerregistrationtokens", server.address));
    crate::support::server::Answer::of(list.header("X-Octopus-ApiKey", key)).await.refused(403);
}

#[tokio::test]
async fn its_space_comes_with_it_and_it_goes_with_its_environment() {
    let server = TestServer::ready().await;
    let team = server.post("/api/spaces", json!({ "Name": "Team" })).await.expect(201);
    let team = team["Id"].as_str().unwrap();
    server.post(&format!("/api/{team}/environments"), json!({ "Name": "Dev" })).await.expect(201);
    let path = format!("/api/{team}/workerregistrationtokens");
    let made = server.post(&path, json!({ "EnvironmentId": "Dev" })).await.expect(201);
    assert_eq!(made["SpaceId"], team);
    let secret = made["Token"].as_str().unwrap();
    let text = refused(server.register_by(secret, "w1", "m1", json!({ "space": "Default" })).await);
    assert!(text.contains("is for space `Team`, not for `Default`"), "{text}");
    server.register_by(secret, "w1", "m1", json!({ "space": "team" })).await.expect(200);
    assert_eq!(server.get("machines/all").await.expect(200), json!([]));
    let there = server.get(&format!("/api/{team}/machines/all")).await.expect(200);
    assert_eq!(there[0]["SpaceId"], team);
    server.get("workerregistrationtokens/WorkerRegistrationTokens-1").await.refused(404);
    let (_, here) = token(&server, json!({})).await;
    assert_eq!(here["Id"], "WorkerRegistrationTokens-2");
    server.delete("environments/Dev").await.expect(200);
    assert_eq!(server.get("workerregistrationtokens").await.expect(200)["TotalResults"], 0);
    server.delete(&format!("/api/{team}/machines/{}", there[0]["Id"].as_str().unwrap())).await.expect(200);
    server.put(&format!("/api/spaces/{team}"), json!({ "TaskQueueStopped": true })).await.expect(200);
    server.delete(&format!("/api/spaces/{team}")).await.expect(200);
    let gone = server.register_by(secret, "w1", "m1", json!({})).await;
    assert_eq!(gone.code(401), "unauthorised");
}

#[tokio::test]
async fn a_new_worker_deploys_what_is_current_by_a_token_too() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let id = server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, crate::support::server::success(), b"").await.expect(200);
    server.until(id, "Success").await;
    let (secret, _) = token(&server, json!({})).await;
    let wanted = json!({ "deploy_current": true });
    let made = server.register_by(&secret, "w2", "m2", wanted).await.expect(200);
    assert_eq!(made["current"][0]["outcome"], "queued");
    assert_eq!(worker.claim().await.unwrap().deployment.to_string(), made["current"][0]["deployment"]);
}

#[tokio::test]
async fn one_that_is_over_tells_nothing_and_changes_nothing() {
    let server = TestServer::ready().await;
    let (secret, _) = token(&server, json!({})).await;
    let made = server.register_by(&secret, "w1", "m1", json!({})).await.expect(200);
    // What would be told by one that is good: another machine, another key, whose key it is, which environment it is for.
    let of_first = key_of("w1", "m1").public();
    for (name, on, more) in [
        ("w1", "m2", json!({ "replace": true })),
        ("w1", "m1", json!({ "public_key": key_of("w1", "m2").public() })),
        ("w2", "m2", json!({ "public_key": of_first })),
        ("w2", "m2", json!({ "environment": "Prod" })),
    ] {
        let text = refused(server.register_by(&secret, name, on, more).await);
        assert_eq!(text, "the registration token WorkerRegistrationTokens-1 is used up: it had its one use");
    }
    let renamed = json!({ "machine": { "host": "elsewhere", "id": "m1" } });
    let again = server.register_by(&secret, "W1", "m1", renamed).await.expect(200);
    assert_eq!((&again["worker_id"], &again["name"]), (&made["worker_id"], &json!("w1")));
    let summary = || async {
        let shown = server.get("machines/Machines-1").await.expect(200);
        shown["StatusSummary"].as_str().unwrap().to_owned()
    };
    let worker = TestWorker::new(&server, &made, "m1");
    worker.session().await.expect(200);
    worker.deregister(0).await.expect(200);
    refused(server.register_by(&secret, "w1", "m1", json!({})).await);
    assert!(summary().await.contains("leaving"), "{}", summary().await);
    assert!(summary().await.contains("host-m1"), "{}", summary().await);
}
