//! Worker pools, and workers that an administrator changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::success;

#[tokio::test]
async fn pools_are_made_renamed_and_deleted_when_nobody_is_in_them() {
    let server = TestServer::ready().await;
    let default = server.get("workerpools").await.expect(200)["Items"][0].clone();
    assert_eq!((&default["Id"], &default["IsDefault"]), (&json!("WorkerPools-1"), &json!(true)));
    let made = server.post("workerpools", json!({ "Name": "Linux", "Description": "d" })).await.expect(201);
    assert_eq!((&made["Id"], &made["IsDefault"]), (&json!("WorkerPools-2"), &json!(false)));
    server.post("workerpools", json!({ "Name": "linux" })).await.refused(409);
    server.post("workerpools", json!({ "Name": "WorkerPools-7" })).await.refused(400);
    let changed = server.put("workerpools/Linux", json!({ "Name": "Linux ARM" })).await.expect(200);
    assert_eq!((&changed["Name"], &changed["Description"]), (&json!("Linux ARM"), &json!("d")));
    server.put("workerpools/WorkerPools-2", json!({ "Name": "default worker pool" })).await.refused(409);
    let default = json!({ "Name": "Linux ARM", "IsDefault": true });
    assert!(server.put("workerpools/WorkerPools-2", default).await.refused(400).contains("`WorkerPools-1`"));

    server.worker("w1", "m1").await;
    let worker = server.get("workers/Workers-1").await.expect(200);
    assert_eq!(worker["WorkerPoolIds"], json!(["WorkerPools-1"]));
    let mut moved = worker.clone();
    moved["WorkerPoolIds"] = json!(["Linux ARM"]);
    assert_eq!(
        server.put("workers/Workers-1", moved.clone()).await.expect(200)["WorkerPoolIds"],
        json!(["WorkerPools-2"])
    );
    for (pool, total) in [("WorkerPools-1", 0), ("WorkerPools-2", 1)] {
        let found = server.get(&format!("workers?workerPoolIds={pool}")).await.expect(200);
        assert_eq!(found["TotalResults"], total, "{pool}");
    }
    let text = server.delete("workerpools/WorkerPools-2").await.refused(400);
    assert!(text.contains("these workers are in it: w1"), "{text}");
    moved["WorkerPoolIds"] = json!(["WorkerPools-1", "WorkerPools-2"]);
    assert!(
        server.put("workers/Workers-1", moved.clone()).await.refused(400).contains("a worker is in one pool")
    );
    moved["WorkerPoolIds"] = json!(["WorkerPools-9"]);
    server.put("workers/Workers-1", moved).await.refused(404);
    server.put("workers/Workers-1", worker).await.expect(200);
    server.delete("workerpools/WorkerPools-2").await.expect(200);
    assert!(server.delete("workerpools/WorkerPools-1").await.refused(400).contains("in no other"));
}

#[tokio::test]
async fn a_disabled_worker_ends_what_it_runs_and_gets_nothing_more() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let (first, second) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    server.deploy("1.0.0").await;
    let hand_out = first.claim().await.unwrap();
    let next = server.deploy("1.0.0").await;
    let disable = async |id: &str, disabled: bool| {
        server.put(&format!("machines/{id}"), json!({ "IsDisabled": disabled })).await.expect(200)
    };
    let shown = disable("Machines-1", true).await;
    assert_eq!(
        (&shown["IsDisabled"], &shown["Status"], &shown["HealthStatus"]),
        (&json!(true), &json!("Disabled"), &json!("Healthy"))
    );
    first.renew(&hand_out).await.expect(200);
    first.finish(&hand_out, success(), b"").await.expect(200);
    assert!(first.claim().await.is_none());
    disable("Machines-2", true).await;
    let reason = server.task(next).await["WaitingReason"].clone();
    assert_eq!(reason, "waits for a worker: all in environment `Dev` are disabled");
    // What is enabled while a worker waits is given to it without another request.
    let (claimed, _) = tokio::join!(second.claim_for(20_000), disable("Machines-2", false));
    assert_eq!(claimed.unwrap().deployment, next);
    assert_eq!(server.get("machines?isDisabled=true").await.expect(200)["Items"][0]["Name"], "w1");
}

#[tokio::test]
async fn a_disabled_worker_finds_out_what_became_of_its_own_and_of_nothing_else() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let (first, second) = (server.worker("w1", "m1").await, server.worker("w2", "m2").await);
    let id = server.deploy("1.0.0").await;
    first.claim().await.unwrap();
    for machine in ["Machines-1", "Machines-2"] {
        server.put(&format!("machines/{machine}"), json!({ "IsDisabled": true })).await.expect(200);
    }
    server.pass(Duration::from_mins(2)).await;
    assert!(second.claim().await.is_none());
    let again = first.claim().await.unwrap();
    assert_eq!((again.deployment, again.reconcile), (id, true));
}

#[tokio::test]
async fn what_cannot_be_changed_of_a_worker_is_refused_by_name() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    server.register("w1", "m1", json!({})).await.expect(200);
    let machine = server.get("machines/Machines-1").await.expect(200);
    assert_eq!((&machine["HealthStatus"], &machine["Status"]), (&json!("Unknown"), &json!("Unknown")));
    // As it was read.
    server.put("machines/Machines-1", machine.clone()).await.expect(200);
    for (field, value, text) in [
        ("Name", json!("w2"), "`Name` of worker `w1` cannot be changed"),
        (
            "EnvironmentIds",
            json!(["Environments-2"]),
            "bound to the environment it registered in, `Environments-1`",
        ),
        ("Roles", json!(["web"]), "`Roles` of worker `w1` cannot be changed: this server has none"),
        ("IsDisabled", json!("yes"), "`IsDisabled` must be true or false"),
    ] {
        let mut changed = machine.clone();
        changed[field] = value;
        let said = server.put("machines/Machines-1", changed).await.refused(400);
        assert!(said.contains(text), "{said}");
    }
    for path in ["machines", "workers"] {
        let body: Value = json!({ "Name": "t", "Endpoint": { "CommunicationStyle": "TentacleActive" } });
        assert!(server.post(path, body).await.refused(400).contains("a worker registers itself"));
    }
}
