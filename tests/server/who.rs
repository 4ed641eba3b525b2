//! A worker asks who it is: with its own credential, and nothing changes.

use reqwest::Method;
use serde_json::json;

use super::TestServer;
use crate::support::server::Answer;

#[tokio::test]
async fn a_worker_is_told_what_it_is_known_as() {
    let server = TestServer::ready().await;
    let worker = server.worker("dev-1", "m1").await;
    let ask = async || Answer::of(worker.request(Method::GET, "registration")).await;
    let known = ask().await.expect(200);
    assert_eq!((&known["name"], &known["environment"]), (&json!("dev-1"), &json!("Dev")));
    assert_eq!(known["is_disabled"], false);
    // Another process of it may ask as well: no session is taken.
    Answer::of(worker.again().request(Method::GET, "registration")).await.expect(200);
    assert_eq!(worker.claim().await.map(|hand_out| hand_out.deployment), None, "the session stands");
    let mut machine =
        server.get(&format!("machines/{}", known["worker_id"].as_str().unwrap())).await.expect(200);
    machine["IsDisabled"] = true.into();
    let path = format!("machines/{}", known["worker_id"].as_str().unwrap());
    server.put(&path, machine).await.expect(200);
    assert_eq!(ask().await.expect(200)["is_disabled"], true);
    worker.deregister("").await;
    assert_eq!(ask().await.code(401), "unauthorised");
}
