//! Lifecycles: phases, the way of a release through them, and where it goes by itself.

use std::collections::BTreeMap;

use octarm::{
    client::{Collection, NewRelease, ServerClient, Trust},
    model::DeploymentId,
};
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{Answer, TestWorker, success, unknown};

/// A phase of environments that a release is deployed to by hand.
fn phase(name: &str, environments: &[&str]) -> Value {
    json!({ "Name": name, "OptionalDeploymentTargets": environments })
}

/// A server with `Orders` in a lifecycle of these phases, and the environments that they need besides `Dev`.
async fn with_phases(environments: &[&str], phases: Value) -> TestServer {
    let server = TestServer::ready().await;
    for name in environments {
        server.post("environments", json!({ "Name": name })).await.expect(201);
    }
    server.post("lifecycles", json!({ "Name": "Way", "Phases": phases })).await.expect(201);
    server.put("projects/Orders", json!({ "LifecycleId": "Lifecycles-2" })).await.expect(200);
    server
}

async fn deploy(server: &TestServer, environments: &[&str]) -> Answer {
    let body =
        json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": environments });
    server.post("deployments/create/untenanted/v1", body).await
}

async fn worker(server: &TestServer, environment: &str) -> TestWorker {
    let machine = format!("m-{environment}");
    let answer = server.register("w", &machine, json!({ "environment": environment })).await.expect(200);
    let worker = TestWorker::new(server, &answer, &machine);
    worker.session().await.expect(200);
    worker
}

/// Takes what is queued for the worker's environment and ends it well.
async fn succeed(worker: &TestWorker) -> DeploymentId {
    let hand_out = worker.claim().await.expect("something to deploy");
    worker.finish(&hand_out, success(), b"").await.expect(200);
    hand_out.deployment
}

/// How many deployments each environment has, by its id.
async fn made(server: &TestServer) -> BTreeMap<String, usize> {
    let all = server.get("deployments?take=100").await.expect(200);
    let mut made = BTreeMap::new();
    for item in all["Items"].as_array().unwrap() {
        *made.entry(item["EnvironmentId"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    made
}

#[tokio::test]
async fn a_lifecycle_is_made_read_changed_and_deleted() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    let body = json!({
        "name": "Careful", "description": "slow",
        "phases": [
            { "name": "Try", "automaticDeploymentTargets": ["Dev"], "isOptionalPhase": true },
            { "id": "mine", "name": "Live", "optionalDeploymentTargets": ["Environments-2"],
              "minimumEnvironmentsBeforePromotion": 1 },
        ],
    });
    let made = server.post("lifecycles", body.clone()).await.expect(201);
    assert_eq!(made["Id"], "Lifecycles-2");
    let [first, second] = made["Phases"].as_array().unwrap().as_slice() else { panic!("{made}") };
    assert_eq!(first["AutomaticDeploymentTargets"], json!(["Environments-1"]));
    assert_eq!(
        (&first["IsOptionalPhase"], &first["MinimumEnvironmentsBeforePromotion"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(
        (&second["Id"], &second["OptionalDeploymentTargets"]),
        (&json!("mine"), &json!(["Environments-2"]))
    );
    assert!(!first["Id"].as_str().unwrap().is_empty());
    assert!(server.post("lifecycles", body).await.refused(409).contains("`Careful` exists already"));
    for named in ["Lifecycles-2", "careful"] {
        assert_eq!(server.get(&format!("lifecycles/{named}")).await.expect(200), made);
    }
    assert_eq!(server.get("lifecycles/all").await.expect(200)[1], made);
    assert_eq!(server.get("lifecycles?partialName=care").await.expect(200)["TotalResults"], 1);
    // What was read can be sent back.
    assert_eq!(server.put("lifecycles/Lifecycles-2", made.clone()).await.expect(200), made);
    let text =
        server.put("lifecycles/Lifecycles-2", json!({ "Name": "default lifecycle" })).await.refused(409);
    assert!(text.contains("exists already"), "{text}");
    let text = server.delete("environments/Prod").await.refused(400);
    assert_eq!(text, "environment `Prod` cannot be deleted: it is in phase `Live` of lifecycle `Careful`");
    server.put("lifecycles/Careful", json!({ "Name": "Loose" })).await.expect(200);
    server.delete("environments/Prod").await.expect(200);
    server.delete("lifecycles/Loose").await.expect(200);
    assert!(server.get("lifecycles/Lifecycles-2").await.refused(404).contains("does not exist"));
}

#[tokio::test]
async fn a_lifecycle_that_cannot_be_is_refused_in_words() {
    let server = TestServer::ready().await;
    for (phases, expected) in [
        (json!([phase("A", &["Stage"])]), "phase `A`: environment `Stage` does not exist; known are: Dev"),
        (json!([phase("A", &[])]), "phase `A`: it has no environment"),
        (json!([phase("A", &["Dev", "dev"])]), "phase `A`: environment `Dev` is given twice"),
        (json!([phase("A", &["Dev"]), phase("B", &["Dev"])]), "`Dev` is in phase `A` and in phase `B`"),
        (json!([phase(" ", &["Dev"])]), "`Name` is missing"),
        (
            json!([{ "Name": "A", "OptionalDeploymentTargets": ["Dev"], "MinimumEnvironmentsBeforePromotion": 2 }]),
            "`MinimumEnvironmentsBeforePromotion` is 2: expected 0 (all) to 1",
        ),
    ] {
        let answer = server.post("lifecycles", json!({ "Name": "L", "Phases": phases })).await;
        let text = answer.refused(400);
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(server.get("lifecycles").await.expect(200)["TotalResults"], 1);
}

#[tokio::test]
async fn a_lifecycle_in_use_stays_and_says_who_uses_it() {
    let server = with_phases(&[], json!([phase("A", &["Dev"])])).await;
    server
        .post("channels", json!({ "ProjectId": "Projects-1", "Name": "Fast", "LifecycleId": "Way" }))
        .await
        .expect(201);
    let text = server.delete("lifecycles/Way").await.refused(409);
    let used = "it is used by project `Orders`, channel `Fast` of project `Orders`";
    assert_eq!(text, format!("lifecycle `Way` cannot be deleted: {used}"));
    assert!(server.delete("lifecycles/Lifecycles-1").await.refused(409).contains("new projects get it"));
    let text = server.put("projects/Orders", json!({ "LifecycleId": "Lifecycles-9" })).await.refused(404);
    assert_eq!(text, "lifecycle `Lifecycles-9` does not exist");
    let body = json!({ "Name": "Other", "LifecycleId": "Lifecycles-2", "ProjectGroupId": "ProjectGroups-1" });
    assert_eq!(server.post("projects", body).await.expect(201)["LifecycleId"], "Lifecycles-2");
}

#[tokio::test]
async fn a_release_goes_from_phase_to_phase() {
    let phases = json!([
        phase("Test", &["Dev"]),
        { "Name": "Show", "OptionalDeploymentTargets": ["Demo"], "IsOptionalPhase": true },
        { "Name": "Canary", "OptionalDeploymentTargets": ["One", "Two", "Three"], "MinimumEnvironmentsBeforePromotion": 2 },
        phase("Live", &["Prod"]),
    ]);
    let server = with_phases(&["Demo", "One", "Two", "Three", "Prod", "Elsewhere"], phases).await;
    server.release("1.0.0").await;
    let refused =
        async |environment: &str, status: u16| deploy(&server, &[environment]).await.refused(status);
    assert_eq!(
        refused("One", 409).await,
        "release 1.0.0 of project `Orders` cannot go to environment `One` yet, which is in phase `Canary` of lifecycle \
         `Way`: the phase `Test` before it needs a successful deployment to `Dev`; it has none"
    );
    let text = refused("Elsewhere", 400).await;
    assert!(
        text.contains("it is in no phase of lifecycle `Way`, which has `Test` with `Dev`; `Show`"),
        "{text}"
    );
    // All or none.
    deploy(&server, &["Dev", "Prod"]).await.refused(409);
    assert!(made(&server).await.is_empty());
    deploy(&server, &["Dev"]).await.expect(201);
    // Only a good end counts.
    refused("One", 409).await;
    let dev = worker(&server, "Dev").await;
    succeed(&dev).await;
    deploy(&server, &["Demo", "One"]).await.expect(201);
    succeed(&worker(&server, "One").await).await;
    let text = refused("Prod", 409).await;
    let needs = "the phase `Canary` before it needs successful deployments to 2 of `One`, `Two`, `Three`; it has them to \
                 `One`";
    assert!(text.ends_with(needs), "{text}");
    deploy(&server, &["Three"]).await.expect(201);
    let three = worker(&server, "Three").await;
    let hand_out = three.claim().await.unwrap();
    three.finish(&hand_out, unknown(), b"").await.expect(200);
    refused("Prod", 409).await;
    // A person who says that it ended well says it to the lifecycle too.
    let resolve = format!("deployments/{}/resolve", hand_out.deployment);
    server.post(&resolve, json!({ "As": "success" })).await.expect(200);
    deploy(&server, &["Prod"]).await.expect(201);
    // And back: what was good once may be deployed again.
    deploy(&server, &["Dev"]).await.expect(201);
}

#[tokio::test]
async fn the_lifecycle_of_the_channel_comes_before_the_project_s() {
    let server = with_phases(&["Prod"], json!([phase("Test", &["Dev"]), phase("Live", &["Prod"])])).await;
    server
        .post("lifecycles", json!({ "Name": "Short", "Phases": [phase("Live", &["Prod"])] }))
        .await
        .expect(201);
    let body = json!({ "ProjectId": "Projects-1", "Name": "Hotfix", "LifecycleId": "Lifecycles-3" });
    server.post("channels", body).await.expect(201);
    server.release("1.0.0").await;
    deploy(&server, &["Prod"]).await.refused(409);
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.1", "ChannelName": "Hotfix" });
    server.post("releases/create/v1", body).await.expect(201);
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.1", "EnvironmentNames": ["Prod"] });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
}

#[tokio::test]
async fn without_phases_a_release_goes_anywhere() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    server.release("1.0.0").await;
    deploy(&server, &["Prod"]).await.expect(201);
    let template = server.get("releases/Releases-1/deployments/template").await.expect(200);
    assert_eq!(template["PromoteTo"].as_array().unwrap().len(), 2);
    assert_eq!(server.get("releases/Releases-1/progression").await.expect(200)["Phases"], json!([]));
}

#[tokio::test]
async fn automatic_targets_are_deployed_to_once_each() {
    let phases = json!([
        { "Name": "Test", "AutomaticDeploymentTargets": ["Dev"] },
        { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"], "OptionalDeploymentTargets": ["Other"] },
    ]);
    let server = with_phases(&["Prod", "Other"], phases).await;
    let dev = worker(&server, "Dev").await;
    // Who waits for work hears of it.
    let (hand_out, _) = tokio::join!(dev.claim_for(25_000), server.release("1.0.0"));
    let hand_out = hand_out.unwrap();
    let deployment = server.get(&format!("deployments/{}", hand_out.deployment)).await.expect(200);
    assert_eq!(deployment["Comments"], "made by phase `Test` of lifecycle `Way`");
    let prod = worker(&server, "Prod").await;
    assert!(prod.claim().await.is_none());
    let (next, finished) = tokio::join!(prod.claim_for(25_000), dev.finish(&hand_out, success(), b""));
    finished.expect(200);
    // The worker did not hear the answer and says it again; and somebody deploys the first phase once more.
    dev.finish(&hand_out, success(), b"").await.expect(200);
    deploy(&server, &["Dev"]).await.expect(201);
    succeed(&dev).await;
    let expected = BTreeMap::from([("Environments-1".to_owned(), 2), ("Environments-2".to_owned(), 1)]);
    assert_eq!(made(&server).await, expected);
    prod.finish(&next.unwrap(), success(), b"").await.expect(200);
    assert_eq!(made(&server).await, expected);
}

#[tokio::test]
async fn a_failed_deployment_promotes_nothing() {
    let phases = json!([phase("Test", &["Dev"]), { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] }]);
    let server = with_phases(&["Prod"], phases).await;
    server.release("1.0.0").await;
    deploy(&server, &["Dev"]).await.expect(201);
    let dev = worker(&server, "Dev").await;
    let hand_out = dev.claim().await.unwrap();
    let failed = json!({ "result": "failed", "failure": { "step": "s", "messages": ["no"] } });
    dev.finish(&hand_out, failed, b"").await.expect(200);
    assert_eq!(made(&server).await.len(), 1);
}

#[tokio::test]
async fn two_that_end_at_once_open_the_next_phase_once() {
    let phases = json!([
        phase("Test", &["Dev", "Two"]),
        { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] },
    ]);
    let server = with_phases(&["Two", "Prod"], phases).await;
    let (one, two) = (worker(&server, "Dev").await, worker(&server, "Two").await);
    for round in 1..=5 {
        let version = format!("1.0.{round}");
        server.release(&version).await;
        let body =
            json!({ "ProjectName": "Orders", "ReleaseVersion": version, "EnvironmentNames": ["Dev", "Two"] });
        server.post("deployments/create/untenanted/v1", body).await.expect(201);
        let (first, second) = tokio::join!(one.claim(), two.claim());
        let (first, second) = (first.unwrap(), second.unwrap());
        let (a, b, c, d) = tokio::join!(
            one.finish(&first, success(), b""),
            two.finish(&second, success(), b""),
            one.finish(&first, success(), b""),
            two.finish(&second, success(), b""),
        );
        for answer in [a, b, c, d] {
            answer.expect(200);
        }
        assert_eq!(made(&server).await["Environments-3"], round, "{version}");
    }
}

#[tokio::test]
async fn an_automatic_deployment_that_lacks_a_value_fails_and_says_so() {
    let server = with_phases(
        &["Prod"],
        json!([phase("Test", &["Dev"]), { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] }]),
    )
    .await;
    let scope = json!({ "Environment": ["Prod"] });
    let prompt = json!({ "Label": "Who", "Required": true });
    let variables = json!([{ "Name": "Approver", "Value": "", "Scope": scope, "Prompt": prompt }]);
    let set = json!({ "Version": 0, "Variables": variables });
    server.put("variables/variableset-Projects-1", set).await.expect(200);
    server.release("1.0.0").await;
    deploy(&server, &["Dev"]).await.expect(201);
    succeed(&worker(&server, "Dev").await).await;
    let task = server.get("tasks/ServerTasks-2").await.expect(200);
    assert_eq!(task["State"], "Failed");
    assert_eq!(
        task["ErrorMessage"],
        "variable `Approver` (`Who`) must be given a value with each deployment"
    );
    // A person gives it.
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Prod"], "Variables": { "Approver": "Ann" },
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
}

#[tokio::test]
async fn progression_tells_how_far_a_release_is_and_where_it_may_go() {
    let server = with_phases(&["Prod"], json!([phase("Test", &["Dev"]), phase("Live", &["Prod"])])).await;
    server.release("1.0.0").await;
    let words = |document: &Value| -> Vec<String> {
        let phases = document["Phases"].as_array().unwrap();
        phases.iter().map(|phase| phase["Progress"].as_str().unwrap().to_owned()).collect()
    };
    let before = server.get("releases/Releases-1/progression").await.expect(200);
    assert_eq!(words(&before), ["Current", "Pending"]);
    assert_eq!(
        (&before["NextDeployments"], &before["NextDeploymentsMinimumRequired"]),
        (&json!(["Environments-1"]), &json!(1))
    );
    assert_eq!(before["Phases"][1]["Blocked"], true);
    deploy(&server, &["Dev"]).await.expect(201);
    succeed(&worker(&server, "Dev").await).await;
    let after = server.get("releases/Releases-1/progression").await.expect(200);
    assert_eq!(words(&after), ["Complete", "Current"]);
    assert_eq!(after["NextDeployments"], json!(["Environments-2"]));
    assert_eq!(after["Phases"][0]["Deployments"][0]["Task"]["State"], "Success");
    let project = server.get("projects/Orders/progression").await.expect(200);
    let release = &project["Releases"][0];
    assert_eq!(
        (&release["Release"]["Version"], &release["Channel"]["Name"]),
        (&json!("1.0.0"), &json!("Default"))
    );
    assert_eq!(release["Deployments"]["Environments-1"][0]["State"], "Success");
    assert_eq!(release["NextDeployments"], json!(["Environments-2"]));
    assert_eq!(project["Environments"][0], json!({ "Id": "Environments-1", "Name": "Dev" }));
    // Each release of the list for itself, in the lifecycle of its own channel.
    server
        .post("lifecycles", json!({ "Name": "Short", "Phases": [phase("Only", &["Prod"])] }))
        .await
        .expect(201);
    let channel = json!({ "Name": "Hotfix", "ProjectId": "Projects-1", "LifecycleId": "Lifecycles-3" });
    server.post("channels", channel).await.expect(201);
    server.release("2.0.0").await;
    let hotfix = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.1", "ChannelName": "Hotfix" });
    server.post("releases/create/v1", hotfix).await.expect(201);
    let listed = server.get("projects/Orders/progression").await.expect(200);
    let next = |release: &Value| (release["Release"]["Version"].clone(), release["NextDeployments"].clone());
    assert_eq!(
        listed["Releases"].as_array().unwrap().iter().map(next).collect::<Vec<_>>(),
        [
            (json!("1.0.1"), json!(["Environments-2"])),
            (json!("2.0.0"), json!(["Environments-1"])),
            (json!("1.0.0"), json!(["Environments-2"])),
        ]
    );
    assert_eq!(project["ChannelEnvironments"]["Channels-1"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn who_asks_before_deploying_is_told_what_would_happen() {
    let server = with_phases(&["Prod"], json!([phase("Test", &["Dev"]), phase("Live", &["Prod"])])).await;
    let variables = json!([
        { "Id": "v1", "Name": "Reason", "Value": "none", "Prompt": { "Label": "Why", "Required": true } },
        { "Name": "Plain", "Value": "x" },
    ]);
    server
        .put("variables/variableset-Projects-1", json!({ "Version": 0, "Variables": variables }))
        .await
        .expect(200);
    server.release("1.0.0").await;
    worker(&server, "Dev").await;
    let template = server.get("releases/Releases-1/deployments/template").await.expect(200);
    assert_eq!(template["PromoteTo"].as_array().unwrap().len(), 1);
    assert_eq!(template["PromoteTo"][0]["Name"], "Dev");
    assert_eq!(
        (&template["IsVariableSetModified"], &template["IsDeploymentProcessModified"]),
        (&json!(false), &json!(false))
    );
    server
        .put("variables/variableset-Projects-1", json!({ "Version": 1, "Variables": [] }))
        .await
        .expect(200);
    let template = server.get("releases/Releases-1/deployments/template").await.expect(200);
    assert_eq!(template["IsVariableSetModified"], true);
    let preview = template["PromoteTo"][0]["Links"]["Preview"].as_str().unwrap().to_owned();
    let preview = server.get(&preview).await.expect(200);
    let step = &preview["StepsToExecute"][0];
    assert_eq!((&step["ActionName"], &step["MachineNames"]), (&json!("Deploy"), &json!(["w"])));
    assert_eq!(preview["Form"]["Values"], json!({ "v1": "none" }));
    let element = &preview["Form"]["Elements"][0];
    assert_eq!((&element["Control"]["Name"], &element["IsValueRequired"]), (&json!("Reason"), &json!(true)));
    let asked = json!([{ "EnvironmentId": "Environments-1" }, { "EnvironmentId": "Environments-2" }]);
    let body = json!({ "DeploymentPreviews": asked });
    let previews = server.post("releases/Releases-1/deployments/previews", body).await.expect(200);
    assert_eq!(previews.as_array().unwrap().len(), 2);
    assert_eq!(previews[1]["StepsToExecute"][0]["HasNoApplicableMachines"], true);
    assert_eq!(server.get("releases/Releases-1/missingpackages").await.expect(200)["Packages"], json!([]));
    for blob in fs_err::read_dir(server.data.join("packages")).unwrap() {
        fs_err::remove_file(blob.unwrap().path()).unwrap();
    }
    let missing = server.get("releases/Releases-1/missingpackages").await.expect(200);
    assert_eq!(missing["Packages"], json!([{ "Id": "Orders", "Version": "1.0.0" }]));
}

#[tokio::test]
async fn what_runs_keeps_release_and_project_from_being_deleted() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let id = server.deploy("1.0.0").await;
    let text = server.delete("releases/Releases-1").await.refused(409);
    assert_eq!(
        text,
        format!(
            "release 1.0.0 of project `Orders` cannot be deleted: {id} to environment `Dev` has not ended"
        )
    );
    assert!(server.delete("projects/Orders").await.refused(409).contains(&id.to_string()));
    let dev = worker(&server, "Dev").await;
    let hand_out = dev.claim().await.unwrap();
    dev.journal(&hand_out, 0, "f").await.expect(200);
    dev.finish(&hand_out, unknown(), b"").await.expect(200);
    assert!(server.delete("releases/Releases-1").await.refused(409).contains("waits to be resolved"));
    server.post(&format!("deployments/{id}/resolve"), json!({ "As": "failed" })).await.expect(200);
    server.delete("releases/Releases-1").await.expect(200);
    server.get("releases/Releases-1").await.refused(404);
    server.get(&format!("deployments/{id}")).await.refused(404);
    server.release("1.0.1").await;
    server.deploy("1.0.1").await;
    succeed(&dev).await;
    server.delete("projects/Orders").await.expect(200);
    server.get("projects/Orders").await.refused(404);
    assert_eq!(server.get("channels").await.expect(200)["TotalResults"], 0);
    // Its name is free again, its number is not.
    assert_eq!(server.post("projects", json!({ "Name": "Orders" })).await.expect(201)["Id"], "Projects-2");
}

#[tokio::test]
async fn a_project_is_renamed_and_switched_off() {
    let server = with_phases(&[], json!([{ "Name": "Test", "AutomaticDeploymentTargets": ["Dev"] }])).await;
    server.release("1.0.0").await;
    let dev = worker(&server, "Dev").await;
    succeed(&dev).await;
    let mut project = server.get("projects/Orders").await.expect(200);
    project["IsDisabled"] = true.into();
    project["Description"] = "old".into();
    let changed = server.put("projects/Orders", project).await.expect(200);
    assert_eq!((&changed["IsDisabled"], &changed["Description"]), (&json!(true), &json!("old")));
    assert_eq!(changed["LifecycleId"], "Lifecycles-2");
    let text = deploy(&server, &["Dev"]).await.refused(400);
    assert_eq!(text, "project `Orders` is disabled: it takes no new deployment");
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0" });
    assert!(server.post("releases/create/v1", body).await.refused(400).contains("takes no new release"));
    server.post("projects", json!({ "Name": "Other" })).await.expect(201);
    assert!(
        server
            .put("projects/Other", json!({ "Name": "ORDERS" }))
            .await
            .refused(409)
            .contains("exists already")
    );
    let renamed =
        server.put("projects/Orders", json!({ "Name": "Sales", "IsDisabled": false })).await.expect(200);
    assert_eq!((&renamed["Name"], &renamed["Slug"]), (&json!("Sales"), &json!("orders")));
    server.get("projects/Sales").await.expect(200);
    assert_eq!(server.get("projectgroups/all").await.expect(200)[0]["Id"], "ProjectGroups-1");
    server.get("projectgroups/ProjectGroups-1").await.expect(200);
    server.get("projectgroups/ProjectGroups-2").await.refused(404);
}

#[tokio::test]
async fn a_disabled_project_goes_nowhere_by_itself() {
    let phases = json!([phase("Test", &["Dev"]), { "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] }]);
    let server = with_phases(&["Prod"], phases).await;
    server.release("1.0.0").await;
    deploy(&server, &["Dev"]).await.expect(201);
    server.put("projects/Orders", json!({ "IsDisabled": true })).await.expect(200);
    // What was asked for before still comes to its end.
    succeed(&worker(&server, "Dev").await).await;
    assert_eq!(made(&server).await.len(), 1);
}

#[tokio::test]
async fn the_client_library_speaks_of_all_this() {
    let server = TestServer::ready().await;
    let client = ServerClient::new(&server.address, &Trust::default(), server.key.clone().into()).unwrap();
    let id = |document: &Value| document["Id"].as_str().unwrap().to_owned();
    let body = json!({ "Name": "Way", "Phases": [phase("Test", &["Dev"])] });
    let mut made = client.create(Collection::Lifecycles, "Way", body).await.unwrap();
    assert_eq!(client.read(Collection::Lifecycles, "way").await.unwrap(), made);
    made["Description"] = "changed".into();
    assert_eq!(client.change(Collection::Lifecycles, made.clone()).await.unwrap(), made);
    let all = client.list(Collection::Lifecycles, None, &[], 10).await.unwrap();
    assert_eq!((all.total, &all.items[1]), (2, &made));
    let mut project = client.project("Orders").await.unwrap();
    project["LifecycleId"] = "Way".into();
    let project = client.change(Collection::Projects, project).await.unwrap();
    assert_eq!(project["LifecycleId"], made["Id"]);
    let error = client.delete(Collection::Lifecycles, "Way", false).await.unwrap_err();
    assert_eq!(error.status(), Some(409));
    client.create(Collection::Projects, "Other", json!({ "Name": "Other" })).await.unwrap();
    let body = json!({ "Name": "A/B", "ProjectId": project["Id"], "Rules": [{ "VersionRange": "2.0" }] });
    let mut channel = client.create(Collection::Channels, "A/B", body).await.unwrap();
    channel["Name"] = "Early".into();
    assert_eq!(client.change(Collection::Channels, channel.clone()).await.unwrap(), channel);
    let channels = client.list(Collection::Channels, Some(&id(&project)), &[], 10).await.unwrap();
    assert_eq!((channels.total, &channels.items[1]), (2, &channel));
    assert_eq!(client.list(Collection::Channels, None, &[], 2).await.unwrap().items.len(), 2);
    let mut release = NewRelease {
        project: "Orders".into(),
        channel: Some("Early".into()),
        packages: vec!["Orders:1.0.0".into()],
        ..NewRelease::default()
    };
    assert_eq!(client.create_release(&release).await.unwrap_err().status(), Some(400));
    release.ignore_channel_rules = true;
    let made = client.create_release(&release).await.unwrap()["ReleaseId"].as_str().unwrap().to_owned();
    assert_eq!(client.release_progression(&made).await.unwrap()["Phases"][0]["Progress"], "Current");
    client.delete(Collection::Releases, &made, false).await.unwrap();
    client.delete(Collection::Channels, &id(&channel), false).await.unwrap();
    client.delete(Collection::Projects, "Orders", false).await.unwrap();
    client.delete(Collection::Lifecycles, "Way", false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_phase_makes_by_itself_meets_deletions_and_changes_at_the_same_moment() {
    let automatic = json!({ "Name": "Live", "AutomaticDeploymentTargets": ["Prod"] });
    let server = with_phases(&["Prod"], json!([phase("Test", &["Dev"]), automatic])).await;
    let (dev, live) = (worker(&server, "Dev").await, worker(&server, "Prod").await);
    for round in 1..=6 {
        let version = format!("{round}.0.0");
        server.release(&version).await;
        server.deploy(&version).await;
        let hand_out = dev.claim().await.unwrap();
        let process = server.get("projects/Orders/deploymentprocesses").await.expect(200);
        let (ended, project, environment, changed, current) = tokio::join!(
            dev.finish(&hand_out, success(), b""),
            server.delete("projects/Orders"),
            server.delete("environments/Prod"),
            server.put("projects/Orders/deploymentprocesses", process),
            server.post("environments/Prod/deploy-current", json!({ "Projects": ["Orders"] })),
        );
        ended.expect(200);
        project.refused(409);
        environment.refused(400);
        changed.expect(200);
        current.expect(200);
        // Whatever else is deployed to it, this release comes last.
        let mut last = None;
        while let Some(hand_out) = live.claim().await {
            live.finish(&hand_out, success(), b"").await.expect(200);
            last = hand_out.variables.into_iter().find(|one| one.name == "Octopus.Release.Number");
        }
        assert_eq!(last.unwrap().value, version);
    }
}
