//! Requests with an idempotency key: done once, however often they arrive and whatever ends in between.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use octarm::{
    client::{Collection, ServerClient, Trust},
    store::{self, Attempt, Claim, OnceKey, StoreError},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::TestServer;
use crate::support::{PATIENCE, server::Answer};

async fn post(server: &TestServer, key: &str, path: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, path).header("Idempotency-Key", key);
    Answer::of(request.json(body)).await
}

async fn deploy(server: &TestServer, key: &str) -> Answer {
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"] });
    post(server, key, "deployments/create/untenanted/v1", &body).await
}

async fn count(server: &TestServer, what: &str) -> u64 {
    server.get(what).await.expect(200)["TotalResults"].as_u64().unwrap()
}

#[tokio::test]
async fn a_repeat_gets_the_answer_of_the_first_and_does_nothing() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let first = deploy(&server, "one").await.expect(201);
    assert_eq!(deploy(&server, "one").await.expect(201), first);
    assert_eq!(count(&server, "deployments").await, 1);
    assert_ne!(deploy(&server, "two").await.expect(201), first);
    assert_eq!(count(&server, "deployments").await, 2);
    // However the route is spelt.
    let body = json!({ "Name": "Prod" });
    let made = post(&server, "one", "environments", &body).await.expect(201);
    for path in ["/api/environments", "/API/Spaces-1/Environments/", "/api/spaces/default/environments"] {
        assert_eq!(post(&server, "one", path, &body).await.expect(201), made);
    }
    // Without a key it is another request.
    server.post("environments", body).await.refused(409);
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0" });
    let release = post(&server, "r", "releases/create/v1", &body).await.expect(201);
    assert_eq!(post(&server, "r", "releases/create/v1", &body).await.expect(201), release);
    let body = json!({ "Name": "Common" });
    let library = post(&server, "l", "libraryvariablesets", &body).await.expect(201);
    assert_eq!(post(&server, "l", "libraryvariablesets", &body).await.expect(201), library);
    // The copy that was asked for, and not the one that a repeat would make now.
    let refresh = async |key: &str| {
        let path = "releases/Releases-2/snapshot-variables";
        let answer = post(&server, key, path, &json!({})).await.expect(200);
        answer["ProjectVariableSetSnapshotId"].clone()
    };
    let copied = refresh("s").await;
    let set = json!({ "Version": 0, "Variables": [{ "Name": "A", "Value": "new" }] });
    server.put("variables/variableset-Projects-1", set).await.expect(200);
    assert_eq!(refresh("s").await, copied);
    assert_eq!(server.get("releases/Releases-2").await.expect(200)["ProjectVariableSetSnapshotId"], copied);
    assert_ne!(refresh("t").await, copied);
}

#[tokio::test]
async fn a_refusal_is_repeated_too_and_a_key_means_one_request() {
    let server = TestServer::ready().await;
    let missing = deploy(&server, "one").await.refused(404);
    server.release("1.0.0").await;
    assert_eq!(deploy(&server, "one").await.refused(404), missing);
    deploy(&server, "two").await.expect(201);
    let body = json!({ "Name": "A" });
    post(&server, "k", "environments", &body).await.expect(201);
    let text = post(&server, "k", "environments", &json!({ "Name": "B" })).await.refused(422);
    assert!(text.contains("was given to another request before"), "{text}");
    // The same words on another route, and of somebody else, are another request.
    post(&server, "k", "projects", &body).await.expect(201);
    let key = server.post("apikeys", json!({ "Name": "o", "Permissions": ["administer"] })).await.expect(201);
    let other = server.http.post(format!("{}/api/environments", server.address));
    let other = other.header("X-Octopus-ApiKey", key["ApiKey"].as_str().unwrap());
    Answer::of(other.header("Idempotency-Key", "k").json(&body)).await.refused(409);
    for odd in [String::new(), " ".to_owned(), "x".repeat(256)] {
        let text = post(&server, &odd, "environments", &json!({ "Name": "C" })).await.refused(400);
        assert!(text.contains("1 to 255 characters"), "{text}");
    }
    assert_eq!(count(&server, "environments").await, 2);
}

#[tokio::test]
async fn an_answer_that_holds_a_credential_is_kept_so_that_only_its_owner_opens_it() {
    let server = TestServer::ready().await;
    let body = json!({ "Name": "pipeline", "Permissions": ["publish"] });
    let made = post(&server, "one", "apikeys", &body).await.expect(201);
    assert_eq!(post(&server, "one", "apikeys", &body).await.expect(201), made);
    let key = crate::support::worker::key_of("w1", "m1").public();
    let machine = json!({ "host": "h", "id": "m1" });
    let body = json!({ "name": "w1", "environment": "Dev", "machine": machine, "public_key": key });
    let registered = post(&server, "one", "/api/worker/v1/register", &body).await.expect(200);
    assert_eq!(post(&server, "one", "/api/worker/v1/register", &body).await.expect(200), registered);
    let wanted = json!({ "EnvironmentId": "Dev" });
    let token = post(&server, "token", "workerregistrationtokens", &wanted).await.expect(201);
    assert_eq!(post(&server, "token", "workerregistrationtokens", &wanted).await.expect(201), token);
    for secret in [&made["ApiKey"], &token["Token"]] {
        assert!(!server.has_stored(secret.as_str().unwrap()).await);
    }
    let code = post(&server, "one", "/api/worker/v1/register", &json!({})).await.code(422);
    assert_eq!(code, "invalid");
}

#[tokio::test]
async fn of_many_at_once_one_is_done_and_the_others_wait_or_are_told_to() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let asked = (0..8).map(|_| deploy(&server, "one"));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().any(|answer| answer.status == 201), "{answers:?}");
    for answer in answers {
        if answer.status != 201 {
            let text = answer.refused(409);
            assert!(text.contains("is being done"), "{text}");
        }
    }
    assert_eq!(count(&server, "deployments").await, 1);
}

/// Begins the request that [`post`] would send, as a server does that then falls silent.
async fn begin(server: &TestServer, key: &str, path: &str, body: &Value) -> (OnceKey, Claim) {
    let once = OnceKey::new(&server.key, path, key).unwrap();
    let sent = serde_json::to_vec(body).unwrap();
    let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sent));
    match server.store.take_turn(&once, &digest).await.unwrap() {
        Attempt::Do(claim) => (once, claim),
        turn => panic!("{turn:?}"),
    }
}

#[tokio::test]
async fn a_server_that_ended_before_anything_was_stored_is_followed_by_another() {
    let server = TestServer::ready().await;
    let body = json!({ "Name": "Prod" });
    let (_, claim) = begin(&server, "one", "/api/environments", &body).await;
    let request = server.request(Method::POST, "environments").header("Idempotency-Key", "one").json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (409, "1"));
    server.pass(Duration::from_secs(31)).await;
    let made = post(&server, "one", "environments", &body).await.expect(201);
    assert_eq!(post(&server, "one", "environments", &body).await.expect(201), made);
    // The first was only slow: now it may not store anything.
    let late = store::doing(claim, server.store.create_environment("Late", "")).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert_eq!(count(&server, "environments").await, 2);
}

#[tokio::test]
async fn a_server_that_ended_with_the_answer_leaves_no_second_one() {
    let server = TestServer::ready().await;
    let body = json!({ "Name": "Prod" });
    let (_, claim) = begin(&server, "one", "/api/environments", &body).await;
    store::doing(claim.clone(), server.store.create_environment("Prod", "")).await.unwrap();
    // What is stored is not taken back.
    server.store.give_turn_back(&claim).await.unwrap();
    assert!(post(&server, "one", "environments", &body).await.refused(409).contains("is being done"));
    server.pass(Duration::from_secs(31)).await;
    let text = post(&server, "one", "environments", &body).await.refused(409);
    assert!(text.contains("was done, and its answer was lost"), "{text}");
    assert_eq!(count(&server, "environments").await, 2);
    // A day later nobody comes back for it.
    server.pass(Duration::from_hours(25)).await;
    let forgotten = async {
        while !post(&server, "one", "environments", &body).await.refused(409).contains("exists already") {}
    };
    tokio::time::timeout(PATIENCE, forgotten).await.unwrap();
}

#[tokio::test]
async fn the_one_server_of_a_folder_need_not_wait_for_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TestServer::settings(&folder).await;
    let server = TestServer::with(settings.clone()).await;
    let body = json!({ "Name": "Prod" });
    begin(&server, "one", "/api/environments", &body).await;
    server.stop().await;
    let server = TestServer::with(settings.clone()).await;
    let again = post(&server, "one", "environments", &body).await;
    assert_eq!(again.status, if settings.database.is_some() { 409 } else { 201 });
}

/// A line to the server on which the answer to the first POST is lost.
async fn lossy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lost = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lost = lost.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let mut chunk = vec![0; 64 * 1024];
                let read = from_client.read(&mut chunk).await.unwrap_or(0);
                let is_post = chunk.starts_with(b"POST");
                to_server.write_all(&chunk[..read]).await.unwrap();
                let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let read = from_server.read(&mut chunk).await.unwrap_or(0);
                if is_post && lost.fetch_add(1, Ordering::SeqCst) == 0 {
                    up.abort();
                    return;
                }
                let _ = to_client.write_all(&chunk[..read]).await;
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn our_client_sends_again_what_was_lost_and_it_is_done_once() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let address = lossy(server.address.trim_start_matches("http://").parse().unwrap()).await;
    let client =
        ServerClient::new(&format!("http://{address}"), &Trust::default(), server.key.clone().into())
            .unwrap();
    let made = client.deploy("Orders", "1.0.0", &["Dev".to_owned()], &[]).await.unwrap();
    assert_eq!(made["DeploymentServerTasks"][0]["DeploymentId"], "Deployments-1");
    assert_eq!(count(&server, "deployments").await, 1);
    let address = lossy(server.address.trim_start_matches("http://").parse().unwrap()).await;
    let client =
        ServerClient::new(&format!("http://{address}"), &Trust::default(), server.key.clone().into())
            .unwrap();
    let library = client.create(Collection::Libraries, "Common", json!({ "Name": "Common" })).await.unwrap();
    assert_eq!(library["Id"], "LibraryVariableSets-1");
}

#[tokio::test]
async fn to_another_program_our_client_sends_nothing_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut chunk = vec![0; 64 * 1024];
            let read = client.read(&mut chunk).await.unwrap_or(0);
            if chunk[..read].starts_with(b"POST") {
                counted.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let body = r#"{"Application":"Octopus Deploy"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let url = format!("http://{address}");
    let client = ServerClient::new(&url, &Trust::default(), "API-ANYTHING".to_owned().into()).unwrap();
    let error = client.deploy("Orders", "1.0.0", &["Dev".to_owned()], &[]).await.unwrap_err();
    assert!(error.to_string().contains("no answer from the server"), "{error}");
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refusal_that_will_pass_is_not_kept() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    worker.claim().await.unwrap();
    // A worker of before there were keys gets one when its lease is over.
    server.forget_keys().await;
    let key = crate::support::worker::key_of("w1", "m1").public();
    let machine = json!({ "host": "h", "id": "m1" });
    let body = json!({ "name": "w1", "environment": "Dev", "machine": machine, "public_key": key });
    let path = "/api/worker/v1/register";
    assert_eq!(post(&server, "one", path, &body).await.code(409), "session_live");
    server.pass(server.store.lease()).await;
    let registered = post(&server, "one", path, &body).await.expect(200);
    assert_eq!(post(&server, "one", path, &body).await.expect(200), registered);
}
