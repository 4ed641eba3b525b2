//! API keys: what each allows, where, and until when.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::Answer;

/// Makes a key and answers it.
async fn key(server: &TestServer, name: &str, permissions: &[&str], more: Value) -> String {
    let mut body = json!({ "Name": name, "Permissions": permissions });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = server.post("apikeys", body).await.expect(201);
    made["ApiKey"].as_str().unwrap().to_owned()
}

async fn with(server: &TestServer, key: &str, method: Method, path: &str, body: Value) -> Answer {
    let url = format!("{}/api/{path}", server.address);
    Answer::of(server.http.request(method, url).header("X-Octopus-ApiKey", key).json(&body)).await
}

#[tokio::test]
async fn each_permission_opens_its_own_calls() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let release =
        json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0", "IgnoreIfAlreadyExists": true });
    let deploy = json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"] });
    let calls = [
        (Method::GET, "projects", json!({})),
        (Method::POST, "releases/create/v1", release),
        (Method::POST, "deployments/create/untenanted/v1", deploy),
        (Method::POST, "tasks/ServerTasks-1/cancel", json!({})),
        (Method::POST, "environments", json!({ "Name": "New" })),
        (Method::DELETE, "environments/New", json!({})),
        (Method::PUT, "variables/variableset-Projects-1", json!({})),
        (Method::POST, "worker/v1/register", json!({})),
        (Method::GET, "apikeys", json!({})),
    ];
    let mut table = String::new();
    for permission in ["read", "publish", "deploy", "administer"] {
        let key = key(&server, permission, &[permission], json!({})).await;
        let mut line = format!("{permission:>10}:");
        for (method, path, body) in &calls {
            let answer = with(&server, &key, method.clone(), path, body.clone()).await;
            line.push_str(if answer.status == 403 { " no " } else { " yes" });
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @r"
          read: yes no  no  no  no  no  no  no  no
       publish: yes yes no  no  no  no  no  no  no
        deploy: yes no  yes yes no  no  no  no  no
    administer: yes yes yes yes yes yes yes yes yes
    ");
    let key = key(&server, "build", &["publish"], json!({})).await;
    let text = with(&server, &key, Method::POST, "environments", json!({ "Name": "X" })).await.refused(403);
    assert_eq!(text, "the API key `build` may publish; this call needs `administer`");
}

#[tokio::test]
async fn a_key_reaches_only_its_environments() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Production" })).await.expect(201);
    server.release("1.0.0").await;
    let key = key(&server, "dev only", &["deploy"], json!({ "Environments": ["dev"] })).await;
    let deploy = |environments: Value| json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": environments });
    let path = "deployments/create/untenanted/v1";
    for environments in [json!(["Production"]), json!(["Dev", "Production"])] {
        let text = with(&server, &key, Method::POST, path, deploy(environments)).await.refused(403);
        assert!(text.contains("`dev only` may not deploy to environment `Production`"), "{text}");
    }
    assert_eq!(server.get("deployments").await.expect(200)["TotalResults"], 0, "all or none");
    with(&server, &key, Method::POST, path, deploy(json!(["Dev"]))).await.expect(201);
    let made = server.post(path, deploy(json!(["Production"]))).await.expect(201);
    let task = made["DeploymentServerTasks"][0]["ServerTaskId"].as_str().unwrap();
    with(&server, &key, Method::POST, &format!("tasks/{task}/cancel"), json!({})).await.refused(403);
    let classic = json!({ "ReleaseId": "Releases-1", "EnvironmentId": "Environments-2" });
    with(&server, &key, Method::POST, "deployments", classic).await.refused(403);
    with(&server, &key, Method::POST, "deployments/Deployments-2/resolve", json!({ "As": "failed" }))
        .await
        .refused(403);
}

#[tokio::test]
async fn a_key_ends_when_it_was_told_to_and_when_it_is_deleted() {
    let server = TestServer::ready().await;
    let short = key(&server, "a day", &["read"], json!({ "Days": 1 })).await;
    let gone = key(&server, "gone", &["read"], json!({})).await;
    with(&server, &short, Method::GET, "projects", json!({})).await.expect(200);
    server.pass(Duration::from_hours(24)).await;
    let text = with(&server, &short, Method::GET, "projects", json!({})).await.refused(401);
    assert!(text.contains("or its time is over"), "{text}");
    server.delete("apikeys/GONE").await.expect(200);
    with(&server, &gone, Method::GET, "projects", json!({})).await.refused(401);
    server.delete("apikeys/gone").await.refused(404);
}

#[tokio::test]
async fn keys_are_listed_without_the_key_and_stored_hashed() {
    let server = TestServer::ready().await;
    let made =
        key(&server, "build", &["deploy", "publish", "deploy"], json!({ "Environments": ["Dev"] })).await;
    let list = server.get("apikeys").await.expect(200);
    assert_eq!(list["Items"][1]["Permissions"], json!(["publish", "deploy"]));
    assert_eq!(list["Items"][1]["Environments"], json!(["Environments-1"]));
    assert_eq!(list["Items"][1]["Hint"], made[..8]);
    assert!(!list.to_string().contains(&made[8..]), "{list}");
    assert!(server.has_stored(&made[..8]).await && !server.has_stored(&made).await);
}

#[tokio::test]
async fn nobody_is_locked_out_and_odd_keys_are_refused() {
    let server = TestServer::ready().await;
    let last = server.delete("apikeys/first").await.refused(409);
    assert_eq!(
        last,
        "`first` is the last API key without an end that may administer every space: make another one first"
    );
    key(&server, "for a while", &["administer"], json!({ "Days": 3 })).await;
    server.delete("apikeys/first").await.refused(409);
    let cases = [
        (json!({ "Name": "x", "Permissions": [] }), 400, "allows nothing"),
        (json!({ "Name": "x", "Permissions": ["root"] }), 400, "`root` is not a permission"),
        (json!({ "Name": "first", "Permissions": ["read"] }), 409, "exists already (ApiKeys-1)"),
        (json!({ "Name": "x", "Permissions": ["read"], "Days": 0 }), 400, "1 to 3650 days"),
        (json!({ "Name": "x", "Permissions": ["read"], "Days": -1 }), 400, "`Days` is -1"),
        (
            json!({ "Name": "x", "Permissions": ["deploy"], "Environments": ["Nope"] }),
            404,
            "`Nope` does not exist",
        ),
        (
            json!({ "Name": "x", "Permissions": ["administer"], "Environments": ["Dev"] }),
            400,
            "reaches every environment",
        ),
        (json!({ "Name": "ApiKeys-1", "Permissions": ["read"] }), 400, "reads as the id of something"),
    ];
    for (body, status, words) in cases {
        let text = server.post("apikeys", body.clone()).await.refused(status);
        assert!(text.contains(words), "{body}: {text}");
    }
    let other = key(&server, "second", &["administer"], json!({})).await;
    server.delete("apikeys/ApiKeys-1").await.expect(200);
    with(&server, &other, Method::GET, "apikeys", json!({})).await.expect(200);
    server.get("projects").await.refused(401);
}
