//! What releases copy of variables, how that is copied again, and that deployments keep what they were made with.

use octarm::protocol::Assignment;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::success;

const SET: &str = "variables/variableset-Projects-1";
const LIBRARY: &str = "variables/variableset-LibraryVariableSets-1";

async fn save(server: &TestServer, set: &str, variables: Value) {
    let version = server.get(set).await.expect(200)["Version"].clone();
    server.put(set, json!({ "Version": version, "Variables": variables })).await.expect(200);
}

fn values(own: &str, shared: &str) -> [(&'static str, Value); 2] {
    [(SET, json!([{ "Name": "A", "Value": own }])), (LIBRARY, json!([{ "Name": "B", "Value": shared }]))]
}

/// A server whose project includes a library, with a release of both.
async fn released() -> TestServer {
    let server = TestServer::ready().await;
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let body = json!({ "IncludedLibraryVariableSetIds": ["Common"] });
    server.put("projects/Projects-1", body).await.expect(200);
    change(&server, "own 1", "shared 1").await;
    server.release("1.0.0").await;
    server
}

async fn change(server: &TestServer, own: &str, shared: &str) {
    for (set, variables) in values(own, shared) {
        save(server, set, variables).await;
    }
}

async fn refresh(server: &TestServer) -> Value {
    server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200)
}

fn given(hand_out: &Assignment, name: &str) -> String {
    let found: Vec<_> = hand_out.variables.iter().filter(|variable| variable.name == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].value.clone()
}

#[tokio::test]
async fn a_release_keeps_what_it_copied_until_it_is_asked_to_copy_again() {
    let server = released().await;
    let worker = server.worker("w1", "m1").await;
    let deployed = async || {
        server.deploy("1.0.0").await;
        let hand_out = worker.claim().await.unwrap();
        worker.finish(&hand_out, success(), b"").await.expect(200);
        (given(&hand_out, "A"), given(&hand_out, "B"))
    };
    let both = |own: &str, shared: &str| (own.to_owned(), shared.to_owned());
    let template = async || server.get("releases/Releases-1/deployments/template").await.expect(200);
    assert_eq!(template().await["IsLibraryVariableSetModified"], false);
    change(&server, "own 2", "shared 2").await;
    let modified = template().await;
    assert_eq!(
        (&modified["IsVariableSetModified"], &modified["IsLibraryVariableSetModified"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(deployed().await, both("own 1", "shared 1"));
    refresh(&server).await;
    assert_eq!(template().await["IsLibraryVariableSetModified"], false);
    assert_eq!(deployed().await, both("own 2", "shared 2"));
    // What is no longer included goes with the next copy.
    let body = json!({ "IncludedLibraryVariableSetIds": [] });
    server.put("projects/Projects-1", body).await.expect(200);
    assert_eq!(template().await["IsLibraryVariableSetModified"], true);
    assert_eq!(deployed().await, both("own 2", "shared 2"));
    server.delete("libraryvariablesets/Common").await.expect(200);
    assert_eq!(deployed().await, both("own 2", "shared 2"));
    assert_eq!(refresh(&server).await["LibraryVariableSetSnapshotIds"], json!([]));
    server.deploy("1.0.0").await;
    let hand_out = worker.claim().await.unwrap();
    assert!(!hand_out.variables.iter().any(|variable| variable.name == "B"));
    server.post("releases/Releases-9/snapshot-variables", json!({})).await.refused(404);
}

#[tokio::test]
async fn a_deployment_that_waits_keeps_what_it_was_made_with() {
    let server = released().await;
    for (own, shared) in [("own 2", "shared 2"), ("own 3", "shared 3")] {
        server.deploy("1.0.0").await;
        change(&server, own, shared).await;
        refresh(&server).await;
    }
    // In the command that deploys.
    change(&server, "own 4", "shared 4").await;
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "UpdateVariableSnapshot": true,
    });
    server.post("deployments/create/untenanted/v1", body.clone()).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    for number in [1, 2, 4] {
        let hand_out = worker.claim().await.unwrap();
        assert_eq!(given(&hand_out, "A"), format!("own {number}"));
        assert_eq!(given(&hand_out, "B"), format!("shared {number}"));
        let shown = server.get(&format!("deployments/{}", hand_out.deployment)).await.expect(200);
        let copy = shown["ManifestVariableSetId"].as_str().unwrap();
        let copied = server.get(&format!("variables/{copy}")).await.expect(200);
        assert_eq!(copied["Variables"][0]["Value"], format!("own {number}"), "{copy}");
        worker.finish(&hand_out, success(), b"").await.expect(200);
    }
    // A command that is refused copies nothing.
    change(&server, "own 5", "shared 5").await;
    let mut refused = body;
    refused["Variables"] = json!({ "A": "x" });
    server.post("deployments/create/untenanted/v1", refused).await.refused(400);
    server.deploy("1.0.0").await;
    assert_eq!(given(&worker.claim().await.unwrap(), "A"), "own 4");
    server.delete("releases/Releases-1").await.refused(409);
}

#[tokio::test]
async fn a_deployment_that_is_made_while_a_copy_is_taken_keeps_one_copy_whole() {
    let server = released().await;
    let worker = server.worker("w1", "m1").await;
    for number in 2..7 {
        change(&server, &format!("own {number}"), &format!("shared {number}")).await;
        let (refreshed, _) = tokio::join!(refresh(&server), server.deploy("1.0.0"));
        let hand_out = worker.claim().await.unwrap();
        let shown = server.get(&format!("deployments/{}", hand_out.deployment)).await.expect(200);
        let copy = shown["ManifestVariableSetId"].as_str().unwrap();
        let is_new = refreshed["ProjectVariableSetSnapshotId"] == copy;
        let expected = if is_new { number } else { number - 1 };
        assert_eq!(given(&hand_out, "A"), format!("own {expected}"), "{copy}");
        assert_eq!(given(&hand_out, "B"), format!("shared {expected}"), "{copy}");
        worker.finish(&hand_out, success(), b"").await.expect(200);
    }
}

#[tokio::test]
async fn each_copy_can_be_read_by_its_id_and_not_changed() {
    let server = released().await;
    let first = server.get("releases/Releases-1").await.expect(200);
    change(&server, "own 2", "shared 2").await;
    let second = refresh(&server).await;
    // Nothing is new, so nothing is copied.
    assert_eq!(refresh(&server).await, second);
    let ids = |release: &Value| {
        let own = release["ProjectVariableSetSnapshotId"].as_str().unwrap().to_owned();
        (own, release["LibraryVariableSetSnapshotIds"][0].as_str().unwrap().to_owned())
    };
    assert_eq!(
        ids(&first),
        ("variableset-Projects-1-s-1-1".into(), "variableset-LibraryVariableSets-1-s-1-1".into())
    );
    assert_eq!(
        ids(&second),
        ("variableset-Projects-1-s-2-1X1".into(), "variableset-LibraryVariableSets-1-s-2-1X1".into())
    );
    for (release, number) in [(&first, 1), (&second, 2)] {
        let (own, shared) = ids(release);
        for (id, word, owner) in [(own, "own", "Projects-1"), (shared, "shared", "LibraryVariableSets-1")] {
            let set = server.get(&format!("variables/{id}")).await.expect(200);
            assert_eq!(
                (&set["Id"], &set["OwnerId"], &set["Version"]),
                (&json!(id), &json!(owner), &json!(number))
            );
            assert_eq!(set["Variables"][0]["Value"], format!("{word} {number}"));
            let text = server.put(&format!("variables/{id}"), set).await.refused(400);
            assert!(text.contains(&format!("change `variableset-{owner}`")), "{text}");
        }
    }
    for id in [
        "variableset-Projects-1-s-2-1",
        "variableset-Projects-1-s-1-1X1",
        "variableset-Projects-1-s-1-1X2",
        "variableset-Projects-2-s-1-1",
        "variableset-LibraryVariableSets-2-s-1-1",
        "variableset-Projects-1-s-1",
        "variableset-Projects-9",
        "nonsense",
    ] {
        server.get(&format!("variables/{id}")).await.refused(404);
    }
    server.delete("releases/Releases-1").await.expect(200);
    server.get("variables/variableset-Projects-1-s-1-1").await.refused(404);
    server.delete("projects/Projects-1").await.expect(200);
}

#[tokio::test]
async fn copying_again_takes_the_variables_and_leaves_the_process() {
    let server = TestServer::ready().await;
    let process = async |name: &str| {
        let mut document = server.get("projects/Projects-1/deploymentprocesses").await.expect(200);
        let action = json!({ "Id": "0d5a", "Name": name, "Packages": [{ "PackageId": "Orders" }] });
        document["Steps"] = json!([{ "Name": "S", "Actions": [action] }]);
        server.put("projects/Projects-1/deploymentprocesses", document).await.expect(200);
    };
    process("Update code").await;
    let before = server.release("1.0.0").await;
    assert_eq!(before["ReleaseId"], "Releases-1");
    let shown = server.get("releases/Releases-1").await.expect(200);
    // The action has another name since; by its id the variable means the one in the release too.
    process("Send code").await;
    save(&server, SET, json!([{ "Name": "A", "Value": "1", "Scope": { "Action": ["Send code"] } }])).await;
    let refreshed = refresh(&server).await;
    assert_eq!(refreshed["ProjectDeploymentProcessSnapshotId"], shown["ProjectDeploymentProcessSnapshotId"]);
    assert_eq!(refreshed["SelectedPackages"], shown["SelectedPackages"]);
    let copy = refreshed["ProjectVariableSetSnapshotId"].as_str().unwrap();
    let copied = server.get(&format!("variables/{copy}")).await.expect(200);
    assert_eq!(copied["Variables"][0]["Scope"]["Action"], json!(["0d5a"]));
    assert_eq!(copied["ScopeValues"]["Actions"], json!([{ "Id": "0d5a", "Name": "Update code" }]));
    server.deploy("1.0.0").await;
    let hand_out = server.worker("w1", "m1").await.claim().await.unwrap();
    assert_eq!(given(&hand_out, "Octopus.Action.Name"), "Update code");
    assert_eq!(given(&hand_out, "A"), "1");
}

#[tokio::test]
async fn a_key_that_only_deploys_copies_nothing() {
    let server = released().await;
    let made =
        server.post("apikeys", json!({ "Name": "deployer", "Permissions": ["deploy"] })).await.expect(201);
    let key = made["ApiKey"].as_str().unwrap();
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "UpdateVariableSnapshot": true,
    });
    let send = async |path: &str, body: &Value| {
        let request = server.http.post(format!("{}/api/Spaces-1/{path}", server.address));
        crate::support::server::Answer::of(request.header("X-Octopus-ApiKey", key).json(body)).await
    };
    let text = send("deployments/create/untenanted/v1", &body).await.refused(403);
    assert!(text.contains("`UpdateVariableSnapshot`") && text.contains("needs `publish`"), "{text}");
    send("releases/Releases-1/snapshot-variables", &json!({})).await.refused(403);
    let mut plain = body;
    plain["UpdateVariableSnapshot"] = false.into();
    send("deployments/create/untenanted/v1", &plain).await.expect(201);
}

#[tokio::test]
async fn the_server_tells_what_it_knows_of_a_deployment() {
    let server = TestServer::ready().await;
    let mut document = server.get("projects/Projects-1/deploymentprocesses").await.expect(200);
    document["Steps"] = json!([
        { "Name": "Tell", "Actions": [{ "Name": "Tell", "Properties": {} }] },
        { "Name": "Code", "Actions": [
            { "Name": "Check", "Properties": {} },
            { "Id": "0d5a", "Name": "Send code", "Packages": [{ "PackageId": "Orders" }] },
        ] },
    ]);
    server.put("projects/Projects-1/deploymentprocesses", document).await.expect(200);
    let worker = server.worker("w1", "m1").await;
    for version in ["1.0.0", "1.0.1"] {
        let body =
            json!({ "ProjectName": "Orders", "ReleaseVersion": version, "ReleaseNotes": "what is new" });
        server.post("releases/create/v1", body).await.expect(201);
    }
    server.deploy("1.0.0").await;
    let first = worker.claim().await.unwrap();
    assert!(!first.variables.iter().any(|variable| variable.name.contains("PreviousSuccessful")));
    worker.finish(&first, success(), b"").await.expect(200);
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.1", "EnvironmentNames": ["Dev"], "Comments": "go",
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let hand_out = worker.claim().await.unwrap();
    for (name, expected) in [
        ("Environment.Id", "Environments-1"),
        ("Environment.Name", "Dev"),
        ("Environment.SortOrder", "0"),
        ("Project.Id", "Projects-1"),
        ("Project.Name", "Orders"),
        ("ProjectGroup.Id", "ProjectGroups-1"),
        ("ProjectGroup.Name", "Default Project Group"),
        ("Space.Id", "Spaces-1"),
        ("Space.Name", "Default"),
        ("Release.Id", "Releases-2"),
        ("Release.Number", "1.0.1"),
        ("Release.Notes", "what is new"),
        ("Release.Channel.Id", "Channels-1"),
        ("Release.Channel.Name", "Default"),
        ("Release.Previous.Id", "Releases-1"),
        ("Release.Previous.Number", "1.0.0"),
        ("Release.CurrentForEnvironment.Id", "Releases-1"),
        ("Release.CurrentForEnvironment.Number", "1.0.0"),
        ("Deployment.Id", "Deployments-2"),
        ("Deployment.Name", "Deploy to Dev"),
        ("Deployment.Comments", "go"),
        ("Deployment.ForcePackageDownload", "False"),
        ("Deployment.CreatedBy.Id", "Users-1"),
        ("Deployment.CreatedBy.Username", "octarm"),
        ("Deployment.CreatedBy.DisplayName", "first"),
        ("Deployment.PreviousSuccessful.Id", "Deployments-1"),
        ("Task.Id", "ServerTasks-2"),
        ("Task.Name", "Deploy Orders release 1.0.1 to Dev"),
        ("Machine.Id", "Machines-1"),
        ("Machine.Name", "w1"),
        ("Machine.Roles", ""),
        ("WorkerPool.Id", "WorkerPools-1"),
        ("WorkerPool.Name", "Default Worker Pool"),
        ("Step.Name", "Code"),
        ("Step.Number", "2"),
        ("Step.Status.Code", "Running"),
        ("Action.Id", "0d5a"),
        ("Action.Name", "Send code"),
        ("Action.Number", "2.2"),
        ("Action.TargetRoles", ""),
        ("Action.Package.PackageId", "Orders"),
        ("Action.Package.PackageVersion", "1.0.0"),
        ("Action.Package.FeedId", "feeds-builtin"),
        ("Web.ServerUri", &server.address),
        ("Web.ProjectLink", "/app#/Spaces-1/projects/orders"),
        ("Web.ReleaseLink", "/app#/Spaces-1/releases/Releases-2"),
        ("Web.DeploymentLink", "/app#/Spaces-1/deployments/Deployments-2"),
    ] {
        assert_eq!(given(&hand_out, &format!("Octopus.{name}")), expected, "{name}");
    }
    for name in ["Release.Created", "Deployment.Created", "Task.QueueTime"] {
        let text = given(&hand_out, &format!("Octopus.{name}"));
        assert!(text.starts_with("20") && text.ends_with('Z'), "{name}: {text}");
    }
    let shown = server.get("deployments/Deployments-2").await.expect(200);
    assert_eq!(shown["DeployedBy"], "first");
}
