//! Variable sets: what is refused, what is hidden, what reaches a worker.

use octarm::protocol::Assignment;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::{process::Program, server::success};

const SET: &str = "variables/variableset-Projects-1";
const MARKER: &str = "s3cr3t-marker-91";

async fn save(server: &TestServer, variables: Value) -> crate::support::server::Answer {
    let version = server.get(SET).await.expect(200)["Version"].clone();
    server.put(SET, json!({ "Version": version, "Variables": variables })).await
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_refused_by_name() {
    let server = TestServer::ready().await;
    for (variables, expected) in [
        (
            json!([{ "Name": "A", "Scope": { "Role": ["web"] } }]),
            "variable `A`: `Role` cannot be used: the machines",
        ),
        (
            json!([{ "Name": "A", "Scope": { "TenantTag": ["a/b"] } }]),
            "`TenantTag` cannot be used: this version",
        ),
        (json!([{ "Name": "A", "Scope": { "Tenant": ["Tenants-1"] } }]), "has no tenants"),
        (json!([{ "Name": "A", "Scope": { "Project": ["Projects-1"] } }]), "are for this project alone"),
        (
            json!([{ "Name": "A", "Scope": { "Trigger": ["x"] } }]),
            "variable `A`: this server knows no `trigger`",
        ),
        (json!([{ "Name": "A", "Scope": { "Trigger": "x" } }]), "this server knows no `trigger`"),
        (
            json!([{ "Name": "A", "Scope": { "Environment": "Dev" } }]),
            "variable `A`: `Environment` must be a list of texts",
        ),
        (
            json!([{ "Name": "A", "Scope": { "Machine": ["w1"] } }]),
            "machine `w1` does not exist; there are none",
        ),
        (
            json!([{ "Name": "A", "Scope": { "Channel": ["Beta"] } }]),
            "channel `Beta` does not exist; known are: Default",
        ),
        (
            json!([{ "Name": "A", "Scope": { "Action": ["Smoke"] } }]),
            "step `Smoke` does not exist; known are: Deploy",
        ),
        (
            json!([{ "Name": "A", "Scope": { "ProcessOwner": ["Runbooks-1"] } }]),
            "process `Runbooks-1` does not exist: this version of the server has no runbooks; known are: Projects-1",
        ),
        (json!([{ "Name": "A", "Scope": { "Environment": ["Prod"] } }]), "environment `Prod` does not exist"),
        (json!([{ "Name": "Octopus.Project.Name", "Value": "x" }]), "come from the server alone"),
        (json!([{ "Name": "A\u{1b}[2J" }]), "holds the character \\u{1b}"),
        (json!([{ "Name": "A\u{202e}txt" }]), "holds the character \\u{202e}"),
        (json!([{ "Name": "A", "IsSensitive": true, "Value": "abc" }]), "shorter than 4 characters"),
        (json!([{ "Name": "A", "IsSensitive": true, "Value": null }]), "sensitive variable `A` has no value"),
    ] {
        let text = save(&server, variables).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
    save(&server, json!([])).await.expect(200);
    let text = server.put(SET, json!({ "Version": 0, "Variables": [] })).await.refused(409);
    assert!(text.contains("are at version 1, the ones sent were made from version 0"), "{text}");
}

#[tokio::test]
async fn the_worker_gets_the_right_values_and_nobody_else_the_sensitive_ones() {
    let server = TestServer::ready().await;
    let saved = save(
        &server,
        json!([
            { "Name": "Size", "Value": "1" },
            { "Name": "Size", "Value": "2", "Scope": { "Environment": ["Dev"] } },
            { "Name": "Asked", "Value": "stored", "Prompt": {} },
            { "Name": "Password", "Value": MARKER, "Type": "Sensitive", "Prompt": { "Label": "The password" } },
        ]),
    )
    .await
    .expect(200);
    assert_eq!(saved["Variables"][3]["Value"], Value::Null);
    assert_eq!(saved["ScopeValues"]["Environments"][0]["Id"], "Environments-1");
    // What was read is sent back: null keeps the value.
    server.put(SET, saved).await.expect(200);
    server.release("1.0.0").await;
    let body = json!({
        "projectName": "orders", "releaseVersion": "1.0.0", "environmentNames": ["DEV"],
        "variables": { "Asked": "given", "password": format!("{MARKER}-given") }, "forcePackageRedeployment": true,
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let value = |name: &str| {
        let found: Vec<_> = hand_out.variables.iter().filter(|v| v.name.eq_ignore_ascii_case(name)).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    };
    assert_eq!(value("Size").value, "2");
    assert_eq!(value("Asked").value, "given");
    assert_eq!(value("Password").value, format!("{MARKER}-given"));
    assert!(value("Password").sensitive);
    assert_eq!(value("Octopus.Environment.Name").value, "Dev");
    assert_eq!(value("Octopus.Release.Number").value, "1.0.0");
    assert_eq!(value("Octopus.Action.Package.PackageId").value, "Orders");
    assert_eq!(value("Octopus.Machine.Name").value, "w1");

    for path in [SET, "releases/Releases-1", "deployments/Deployments-1", "tasks/ServerTasks-1/details"] {
        let body = server.get(path).await.expect(200).to_string();
        assert!(!body.contains(MARKER), "{path}");
    }
    assert!(server.has_stored("Dev").await && !server.has_stored(MARKER).await);
}

#[tokio::test]
async fn two_values_that_could_both_hold_are_refused_with_both_named() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    server.worker("w1", "m1").await;
    let on = |value: &str, scope: Value| json!({ "Name": "A", "Value": value, "Scope": scope });
    let dev = json!({ "Environment": ["Dev"] });
    let both = json!({ "Environment": ["Test", "Environments-1"] });
    let machine = json!({ "Environment": ["Dev"], "Machine": ["W1"] });
    for (variables, expected) in [
        (
            json!([{ "Name": "A", "Value": "1" }, { "Name": "a ", "Value": "2" }]),
            "variable `A` has two values of equal weight: `1` everywhere, and `2` everywhere: which",
        ),
        (
            json!([on("1", dev.clone()), on("0", json!({})), on("2", both.clone())]),
            "`1` for environment `Dev`, and `2` for environment `Dev` or `Test`: which",
        ),
        (
            json!([on("1", machine.clone()), on("2\n", machine.clone())]),
            "`1` for machine `w1` and environment `Dev`, and `2\\n` for machine `w1` and environment `Dev`: which",
        ),
        (
            json!([on(&"x".repeat(41), dev.clone()), on(&"y".repeat(40), dev.clone())]),
            &format!("`{}…` for environment `Dev`, and `{}` for", "x".repeat(40), "y".repeat(40)),
        ),
        (
            json!([on("plain", dev.clone()),
                   { "Name": "A", "Value": MARKER, "IsSensitive": true, "Scope": dev.clone() }]),
            "a hidden one for environment `Dev`, and a hidden one for environment `Dev`: which",
        ),
    ] {
        let text = save(&server, variables).await.refused(400);
        assert!(text.contains(expected) && !text.contains(MARKER), "{text}");
    }
    // Of other types, or of the same types without a common member: each target has one that weighs most.
    let accepted = json!([
        on("0", json!({})),
        on("1", dev),
        on("2", json!({ "Environment": ["Test"] })),
        on("3", machine),
        on("4", json!({ "Environment": ["Test"], "Machine": ["w1"] })),
        on("5", json!({ "Machine": ["w1"] })),
        on("6", json!({ "Channel": ["Default"] })),
        { "Name": "B" },
    ]);
    save(&server, accepted).await.expect(200);
}

#[tokio::test]
async fn a_scope_goes_in_by_name_and_comes_back_by_id() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test Two" })).await.expect(201);
    server.worker("w1", "m1").await;
    let process = json!({ "Version": 0, "Steps": [
        { "Name": "One", "Actions": [{ "Id": "0d5a", "Name": "Update code", "Packages": [{ "PackageId": "Orders" }] }] },
        { "Name": "Two", "Actions": [{ "Name": "Smoke test" }] },
    ]});
    server.put("projects/Projects-1/deploymentprocesses", process).await.expect(200);
    let scope = json!({
        "Environment": ["test-two", "DEV", "Environments-2"], "machine": ["W1"], "Action": ["two", "UPDATE CODE", "one"],
        "Channel": ["default"], "ProcessOwner": ["projects-1"], "Role": [], "Tenant": null,
    });
    let saved = save(&server, json!([{ "Name": "A", "Value": "1", "Scope": scope }])).await.expect(200);
    let scope = json!({
        "Environment": ["Environments-1", "Environments-2"], "Machine": ["Machines-1"], "Action": ["0d5a", "Smoke test"],
        "Channel": ["Channels-1"], "ProcessOwner": ["Projects-1"],
    });
    assert_eq!(saved["Variables"][0]["Scope"], scope);
    assert_eq!(
        saved["ScopeValues"],
        json!({
            "Environments": [{ "Id": "Environments-1", "Name": "Dev" }, { "Id": "Environments-2", "Name": "Test Two" }],
            "Machines": [{ "Id": "Machines-1", "Name": "w1" }],
            "Actions": [{ "Id": "0d5a", "Name": "Update code" }, { "Id": "Smoke test", "Name": "Smoke test" }],
            "Channels": [{ "Id": "Channels-1", "Name": "Default" }],
            "Processes": [{ "Id": "Projects-1", "Name": "Deployment process", "ProcessType": "Deployment" }],
            "Roles": [], "TenantTags": [],
        })
    );
    let again = server.put(SET, saved.clone()).await.expect(200);
    assert_eq!(again["Variables"], saved["Variables"]);
    let text = server.put(SET, saved).await.refused(409);
    assert!(text.contains("are at version 2, the ones sent were made from version 1"), "{text}");

    // What is gone stays where it was, so that the rest can still be saved, and goes nowhere else.
    server.delete("machines/Machines-1").await.expect(200);
    let kept = server.put(SET, again).await.expect(200);
    assert_eq!(kept["Variables"][0]["Scope"], scope);
    let text =
        save(&server, json!([{ "Name": "B", "Scope": { "Machine": ["Machines-1"] } }])).await.refused(400);
    assert!(text.contains("machine `Machines-1` does not exist"), "{text}");
}

#[tokio::test]
async fn a_name_of_two_machines_is_not_guessed() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    server.register("w1", "m1", json!({})).await.expect(200);
    server.register("w1", "m2", json!({ "environment": "Test" })).await.expect(200);
    let on = |machine: &str| json!([{ "Name": "A", "Scope": { "Machine": [machine] } }]);
    let text = save(&server, on("w1")).await.refused(400);
    assert!(
        text.contains("machine `w1` may be Machines-1 in `Dev` or Machines-2 in `Test`: give the id"),
        "{text}"
    );
    save(&server, on("Machines-2")).await.expect(200);
}

/// The value of `A` in the hand-out.
fn given(hand_out: &Assignment) -> Option<&str> {
    let mut found = hand_out.variables.iter().filter(|variable| variable.name == "A");
    let value = found.next().map(|variable| variable.value.as_str());
    assert!(found.next().is_none());
    value
}

#[tokio::test]
async fn a_deployment_gets_the_value_that_weighs_most() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    let other = server.worker("w2", "m2").await;
    // From the lightest to the weightiest; each is taken for the machine only until a heavier one is there.
    let values = [
        ("unscoped", json!({})),
        ("process", json!({ "ProcessOwner": ["Projects-1"] })),
        ("channel", json!({ "Channel": ["Default"] })),
        ("environment", json!({ "Environment": ["Test", "Dev"] })),
        ("environment and channel", json!({ "Environment": ["Dev"], "Channel": ["Default"] })),
        ("machine", json!({ "Machine": ["w1"] })),
        ("machine and environment", json!({ "Machine": ["w1"], "Environment": ["Dev"] })),
        ("action", json!({ "Action": ["Deploy"] })),
        ("action and machine", json!({ "Action": ["Deploy"], "Machine": ["w1"] })),
    ];
    let elsewhere = [
        json!({ "Name": "A", "Value": "x", "Scope": { "Action": ["Deploy"], "Environment": ["Test"] } }),
        json!({ "Name": "A", "Value": "y", "Scope": { "Machine": ["w2"], "Environment": ["Test"] } }),
    ];
    let mut unmachined = "";
    for (place, (weightiest, scope)) in values.iter().enumerate() {
        let mut sent: Vec<Value> = values[..=place]
            .iter()
            .map(|(value, scope)| json!({ "Name": "A", "Value": value, "Scope": scope }))
            .chain(elsewhere.clone())
            .collect();
        // The order decides nothing.
        sent.rotate_left(place);
        save(&server, sent.into()).await.expect(200);
        if scope.get("Machine").is_none() {
            unmachined = weightiest;
        }
        let version = format!("1.0.{place}");
        server.release(&version).await;
        for (worker, expected) in [(&worker, *weightiest), (&other, unmachined)] {
            server.deploy(&version).await;
            let hand_out = worker.claim().await.unwrap();
            assert_eq!(given(&hand_out), Some(expected), "{weightiest}");
            worker.finish(&hand_out, success(), b"").await.expect(200);
        }
    }
    // Nothing at all where no scope holds.
    save(&server, elsewhere.to_vec().into()).await.expect(200);
    server.release("2.0.0").await;
    server.deploy("2.0.0").await;
    assert_eq!(given(&worker.claim().await.unwrap()), None);
}

#[tokio::test]
async fn a_release_keeps_its_scopes_whatever_becomes_of_the_process() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let process = async |version: u64, id: Option<&str>, name: &str| {
        let action = json!({ "Id": id, "Name": name, "Packages": [{ "PackageId": "Orders" }] });
        let steps = json!([{ "Name": "S", "Actions": [action] }]);
        let body = json!({ "Version": version, "Steps": steps });
        server.put("projects/Projects-1/deploymentprocesses", body).await.expect(200);
    };
    let claimed = async |version: &str| {
        server.deploy(version).await;
        let hand_out = worker.claim().await.unwrap();
        worker.finish(&hand_out, success(), b"").await.expect(200);
        given(&hand_out).map(str::to_owned)
    };
    process(0, None, "Update code").await;
    let variables = json!([
        { "Name": "A", "Value": "0" },
        { "Name": "A", "Value": "1", "Scope": { "Action": ["update code"] } },
    ]);
    let saved = save(&server, variables).await.expect(200);
    assert_eq!(saved["Variables"][1]["Scope"]["Action"], json!(["Update code"]));
    server.release("1.0.0").await;
    // The action gets an id, then another name: the scope means it still.
    process(1, Some("0d5a"), "Update code").await;
    assert_eq!(claimed("1.0.0").await.unwrap(), "1");
    server.release("1.0.1").await;
    assert_eq!(claimed("1.0.1").await.unwrap(), "1");
    let read = server.get(SET).await.expect(200);
    let saved = server.put(SET, read).await.expect(200);
    assert_eq!(saved["Variables"][1]["Scope"]["Action"], json!(["0d5a"]));
    process(2, Some("0d5a"), "Send code").await;
    server.release("1.0.2").await;
    assert_eq!(claimed("1.0.2").await.unwrap(), "1");
    // Without its id it is another action.
    process(3, None, "Send code").await;
    server.release("1.0.3").await;
    assert_eq!(claimed("1.0.3").await.unwrap(), "0");
    // What was two actions when it was saved is one now: no release is made of it.
    let mut both = server.get(SET).await.expect(200);
    let more = json!({ "Name": "A", "Value": "2", "Scope": { "Action": ["Send code"] } });
    both["Variables"].as_array_mut().unwrap().push(more);
    server.put(SET, both).await.expect(200);
    process(4, Some("0d5a"), "Send code").await;
    let body = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.4" });
    let text = server.post("releases/create/v1", body).await.refused(400);
    assert!(
        text.contains("two values of equal weight: `1` for step `Send code`, and `2` for step `Send code`"),
        "{text}"
    );
    assert_eq!(claimed("1.0.0").await.unwrap(), "1");
}

#[tokio::test]
async fn a_value_that_must_be_given_is_asked_for_where_it_would_be_used() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    server.worker("w1", "m1").await;
    server.worker("w2", "m2").await;
    let deploy = async |version: &str, scopes: Value, environment: &str| {
        let asked = json!({ "Name": "A", "Prompt": { "Required": true }, "Scope": scopes });
        save(&server, json!([{ "Name": "A", "Value": "usual" }, asked])).await.expect(200);
        server.release(version).await;
        let body =
            json!({ "ProjectName": "Orders", "ReleaseVersion": version, "EnvironmentNames": [environment] });
        server.post("deployments/create/untenanted/v1", body).await
    };
    let expected = "variable `A` must be given a value";
    let asked = deploy("1.0.0", json!({ "Environment": ["Dev"] }), "Dev").await.refused(400);
    assert!(asked.contains(expected), "{asked}");
    deploy("1.0.1", json!({ "Environment": ["Test"] }), "Dev").await.expect(201);
    // Any worker of the environment may take it, and no other.
    let asked = deploy("1.0.2", json!({ "Machine": ["w2"] }), "Dev").await.refused(400);
    assert!(asked.contains(expected), "{asked}");
    deploy("1.0.3", json!({ "Machine": ["w2"] }), "Test").await.expect(201);
}

#[tokio::test]
async fn the_command_scopes_by_name_and_replaces_the_value_of_the_same_scope() {
    let server = TestServer::ready().await;
    server.worker("w1", "m1").await;
    let run = async |words: &[&str]| {
        let output = Program::octarm()
            .args(words)
            .args(["--project", "Orders"])
            .env("OCTARM_SERVER", &server.address)
            .env("OCTARM_API_KEY", &server.key);
        tokio::task::spawn_blocking(move || output.run()).await.unwrap()
    };
    for (words, value) in [
        (&["variable", "set"][..], "A=0"),
        (&["variable", "set", "--environment", "dev"], "A=1"),
        (&["variable", "set", "--machine", "W1", "--environment", "DEV", "--channel", "default"], "A=2"),
        (&["variable", "set", "--step", "deploy"], "A=3"),
        (&["variable", "set", "--channel", "Channels-1", "--machine", "w1", "--environment", "Dev"], "A=4"),
    ] {
        let output = run(&[words, &[value]].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    let listed = run(&["variable", "list"]).await;
    assert_eq!(
        listed.stdout,
        "A  0\nA  1  environment Dev\nA  3  step Deploy\nA  4  channel Default; environment Dev; machine w1\n"
    );
    let refused = run(&["variable", "set", "--machine", "w9", "A=5"]).await;
    assert!(
        refused.code != Some(0) && refused.stderr.contains("machine `w9` does not exist; known are: w1"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn prompted_values_obey_the_same_rules() {
    let server = TestServer::ready().await;
    save(&server, json!([{ "Name": "Reason", "Prompt": { "Required": true } }])).await.expect(200);
    server.release("1.0.0").await;
    let deploy = |variables: Value| {
        let body = json!({
            "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "Variables": variables,
        });
        server.post("deployments/create/untenanted/v1", body)
    };
    assert!(deploy(json!({})).await.refused(400).contains("variable `Reason` must be given a value"));
    let own = deploy(json!({ "Reason": "x", "octopus.project.name": "y" })).await.refused(400);
    assert!(own.contains("come from the server alone"), "{own}");
    let deceptive = deploy(json!({ "Reason": "x", "a\u{7}": "y" })).await.refused(400);
    assert!(deceptive.contains("holds the character \\u{7}"), "{deceptive}");
    deploy(json!({ "Reason": "x" })).await.expect(201);
    let id = server.get(SET).await.expect(200)["Variables"][0]["Id"].as_str().unwrap().to_owned();
    let classic = |form: Value| {
        let body =
            json!({ "ReleaseId": "Releases-1", "EnvironmentId": "Environments-1", "FormValues": form });
        server.post("deployments", body)
    };
    assert!(classic(json!({ "nobody": "x" })).await.refused(400).contains("`nobody`"));
    assert_eq!(classic(json!({ (id): "x" })).await.expect(201)["TaskId"], "ServerTasks-2");
}
