//! Environments, projects and processes.

use serde_json::json;

use super::TestServer;

#[tokio::test]
async fn environments_are_unique_and_stay_while_used() {
    let server = TestServer::start().await;
    let made = server.post("environments", json!({ "name": "Dev Test" })).await.expect(201);
    assert_eq!((&made["Slug"], &made["SortOrder"]), (&json!("dev-test"), &json!(0)));
    assert!(
        server
            .post("environments", json!({ "Name": "dev test" }))
            .await
            .refused(409)
            .contains("exists already")
    );
    assert!(server.post("environments", json!({ "Name": " " })).await.refused(400).contains("`Name`"));
    assert_eq!(server.get("environments/v2?partialName=dev").await.expect(200)["Items"][0]["Type"], "Static");
    for named in ["Environments-1", "dev-test", "Dev%20Test"] {
        server.get(&format!("environments/{named}")).await.expect(200);
    }
    server.register("w1", "m1", json!({ "environment": "Dev Test" })).await.expect(200);
    let text = server.delete("environments/Environments-1").await.refused(400);
    assert!(text.contains("these machines are in it: w1"), "{text}");
    server.delete("machines/Machines-1").await.expect(200);
    server.delete("environments/Environments-1").await.expect(200);
    assert!(server.get("environments/Environments-1").await.refused(404).contains("there are none"));
}

#[tokio::test]
async fn a_project_comes_with_all_that_belongs_to_it() {
    let server = TestServer::start().await;
    let project = server.post("projects", json!({ "Name": "My Shop" })).await.expect(201);
    for (field, value) in [
        ("VariableSetId", "variableset-Projects-1"),
        ("DeploymentProcessId", "deploymentprocess-Projects-1"),
        ("LifecycleId", "Lifecycles-1"),
        ("ProjectGroupId", "ProjectGroups-1"),
        ("TenantedDeploymentMode", "Untenanted"),
    ] {
        assert_eq!(project[field], value);
    }
    for named in ["Projects-1", "my-shop", "My%20Shop"] {
        assert_eq!(server.get(&format!("projects/{named}")).await.expect(200)["Id"], "Projects-1");
    }
    assert_eq!(server.get("projects/Projects-1/channels").await.expect(200)["Items"][0]["IsDefault"], true);
    assert_eq!(server.get("lifecycles").await.expect(200)["Items"][0]["Phases"], json!([]));
    assert_eq!(server.get("projectgroups").await.expect(200)["Items"][0]["Id"], "ProjectGroups-1");
    server.post("projects", json!({ "Name": "MY SHOP" })).await.refused(409);
}

#[tokio::test]
async fn a_process_is_kept_as_sent_and_a_stale_one_refused() {
    let server = TestServer::ready().await;
    let mut process = server.get("deploymentProcesses/deploymentprocess-Projects-1").await.expect(200);
    assert_eq!(process["Version"], 0);
    process["Steps"] =
        json!([{ "Name": "S", "odd": { "Kept": [1, 2] }, "Actions": [{ "name": "A" }, { "Id": "7" }] }]);
    let saved = server.put("projects/Projects-1/deploymentprocesses", process.clone()).await.expect(200);
    // What has no id is known by its name.
    process["Steps"][0]["Id"] = json!("S");
    process["Steps"][0]["Actions"][0]["Id"] = json!("A");
    assert_eq!((&saved["Version"], &saved["Steps"]), (&json!(1), &process["Steps"]));
    let text = server.put("deploymentprocesses/deploymentprocess-Projects-1", process).await.refused(409);
    assert!(text.contains("is at version 1, the one sent was made from version 0"), "{text}");
}
