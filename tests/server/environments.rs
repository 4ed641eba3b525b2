//! Changing and deleting environments.

use serde_json::json;

use super::TestServer;

#[tokio::test]
async fn an_environment_is_renamed_and_keeps_what_links_hold() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod", "Description": "d" })).await.expect(201);
    let mut environment = server.get("environments/Prod").await.expect(200);
    environment["Name"] = json!("Production");
    environment["SortOrder"] = json!(-1);
    let changed = server.put("environments/Environments-2", environment).await.expect(200);
    assert_eq!(
        (&changed["Name"], &changed["Slug"], &changed["Description"]),
        (&json!("Production"), &json!("prod"), &json!("d"))
    );
    let all = server.get("environments/all").await.expect(200);
    assert_eq!((&all[0]["Name"], &all[1]["Name"]), (&json!("Production"), &json!("Dev")));
    for (name, status) in [("dev", 409), ("all", 400), ("", 400)] {
        server.put("environments/Environments-2", json!({ "Name": name })).await.refused(status);
    }
    server.put("environments/Environments-9", json!({ "Name": "X" })).await.refused(404);
    let found = server.get("environments/v2?type=Static&partialName=prod").await.expect(200);
    assert_eq!(found["TotalResults"], 1);
    assert_eq!(server.get("environments/v2?type=Ephemeral").await.expect(200)["TotalResults"], 0);
}

#[tokio::test]
async fn an_environment_in_use_is_not_deleted_and_says_by_what() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.register("w1", "m1", json!({})).await.expect(200);
    server.deploy("1.0.0").await;
    let refused = async || server.delete("environments/Dev").await.refused(400);
    assert!(refused().await.contains("these machines are in it: w1"));
    server.delete("machines/Machines-1").await.expect(200);
    assert!(refused().await.contains("these deployments to it have not ended: Deployments-1"));
    server.post("tasks/ServerTasks-1/cancel", json!({})).await.expect(200);
    assert!(refused().await.contains("1 deployments to it are on record"));
}
