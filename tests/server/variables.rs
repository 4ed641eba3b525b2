//! Variable sets: what is refused, what is hidden, what reaches a worker.

use serde_json::{Value, json};

use crate::support::server::TestServer;

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
        (json!([{ "Name": "A" }, { "Name": "a" }]), "variable `A` has two values without a scope"),
        (
            json!([{ "Name": "A", "Scope": { "Environment": ["Environments-1"] } },
                   { "Name": "A", "Scope": { "Environment": ["Dev"] } }]),
            "variable `A` has two values for environment `Dev`",
        ),
        (json!([{ "Name": "A", "Scope": { "Role": ["web"] } }]), "variable `A` is scoped by `role`"),
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
            { "Name": "Asked", "Value": "stored" },
            { "Name": "Password", "Value": MARKER, "Type": "Sensitive" },
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
    for file in ["octarm.db", "octarm.db-wal"] {
        let bytes = fs_err::read(server.data.join(file)).unwrap();
        assert!(!bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes()), "{file}");
    }
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
