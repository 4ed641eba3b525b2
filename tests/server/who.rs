//! A worker asks who it is: with its own key and without a session, and nothing changes.

use serde_json::json;

use super::TestServer;

#[tokio::test]
async fn a_worker_is_told_what_it_is_known_as() {
    let server = TestServer::ready().await;
    let worker = server.worker("dev-1", "m1").await;
    let known = worker.check().await.expect(200);
    assert_eq!((&known["name"], &known["environment"]), (&json!("dev-1"), &json!("Dev")));
    assert_eq!(known["is_disabled"], false);
    // Another process of it may ask as well: no session is taken.
    worker.again().check().await.expect(200);
    assert_eq!(worker.claim().await.map(|hand_out| hand_out.deployment), None, "the session stands");
    let path = format!("machines/{}", worker.id());
    let mut machine = server.get(&path).await.expect(200);
    machine["IsDisabled"] = true.into();
    server.put(&path, machine).await.expect(200);
    assert_eq!(worker.check().await.expect(200)["is_disabled"], true);
    worker.deregister_by_force().await.expect(200);
    assert_eq!(worker.check().await.code(401), "unauthorised");
}
