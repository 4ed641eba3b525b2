//! A task that waits says what for.

use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{success, unknown};

#[tokio::test]
async fn a_task_that_waits_says_what_for() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let first = server.deploy("1.0.0").await;
    let reason = async |id| server.task(id).await["WaitingReason"].clone();
    assert_eq!(reason(first).await, "waits for a worker: none is registered in environment `Dev`");
    let worker = server.worker("w1", "m1").await;
    assert_eq!(reason(first).await, "waits for a worker of environment `Dev`");
    let (second, third) = (server.deploy("1.0.0").await, server.deploy("1.0.0").await);
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(reason(first).await, Value::Null);
    let listed = server.get("tasks?states=Queued").await.expect(200);
    let reasons: Vec<&Value> =
        listed["Items"].as_array().unwrap().iter().map(|task| &task["WaitingReason"]).collect();
    assert_eq!(reasons, ["waits behind Deployments-2", "waits behind Deployments-1"]);
    let details = server.get("tasks/ServerTasks-3/details").await.expect(200);
    assert_eq!(details["ActivityLogs"][0]["ProgressMessage"], "waits behind Deployments-2");
    let behind = server.get("tasks/ServerTasks-3/queued-behind").await.expect(200);
    let ids: Vec<&Value> = behind["Items"].as_array().unwrap().iter().map(|task| &task["Id"]).collect();
    assert_eq!(ids, ["ServerTasks-2", "ServerTasks-1"]);

    worker.finish(&hand_out, unknown(), b"").await.expect(200);
    assert_eq!(
        reason(second).await,
        "waits because the end of Deployments-1 is unknown: find out what it did, then resolve it as success or failed"
    );
    server.post("deployments/Deployments-1/resolve", json!({ "As": "success" })).await.expect(200);
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    assert_eq!(reason(third).await, "waits for a worker of environment `Dev`");
    let ended = server.task(second).await;
    assert_eq!((&ended["State"], &ended["WaitingReason"]), (&json!("Success"), &Value::Null));
    let none = server.get("tasks/ServerTasks-2/queued-behind").await.expect(200);
    assert_eq!(none["Items"], json!([]));
}
