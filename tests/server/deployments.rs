//! Making deployments, their tasks and their logs.

use reqwest::Method;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{line, success};

fn body(environments: &Value) -> Value {
    json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": environments })
}

#[tokio::test]
async fn all_environments_or_none() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    let path = "deployments/create/untenanted/v1";
    let text = server.post(path, body(&json!(["Dev"]))).await.refused(404);
    assert!(text.contains("release `1.0.0` of project `Orders` does not exist"), "{text}");
    server.release("1.0.0").await;
    let text = server.post(path, body(&json!(["Dev", "Stage"]))).await.refused(404);
    assert_eq!(text, "environment `Stage` does not exist; known are: Dev, Prod");
    assert!(server.post(path, body(&json!([]))).await.refused(400).contains("no environment is given"));
    assert!(server.post(path, body(&json!(["Dev", "dev"]))).await.refused(400).contains("given twice"));
    assert_eq!(server.get("deployments").await.expect(200)["TotalResults"], 0);
    let made = server.post(path, body(&json!(["prod", "Environments-1"]))).await.expect(201);
    let made = made["DeploymentServerTasks"].as_array().unwrap();
    let ids: Vec<&str> = made.iter().map(|task| task["ServerTaskId"].as_str().unwrap()).collect();
    let tasks = server.get(&format!("tasks?ids={}&skip=0&take=300", ids.join(","))).await.expect(200);
    assert_eq!(tasks["Items"].as_array().unwrap().len(), 2);
    assert_eq!(
        server.get("tasks?states=Queued&environment=Environments-2").await.expect(200)["TotalResults"],
        1
    );
    assert_eq!(server.get("deployments?environments=Environments-1").await.expect(200)["TotalResults"], 1);
    assert!(server.get("tasks?states=Perhaps").await.refused(400).contains("not a task state"));
    let tenanted = server.post("deployments/create/tenanted/v1", json!({})).await.refused(400);
    assert_eq!(tenanted, "tenants not supported");
}

#[tokio::test]
async fn a_task_tells_its_whole_life() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let id = server.deploy("1.0.0").await;
    let task = server.task(id).await;
    assert_eq!((&task["State"], &task["IsCompleted"]), (&json!("Queued"), &json!(false)));
    assert_eq!((&task["StartTime"], &task["CompletedTime"]), (&Value::Null, &Value::Null));
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(server.task(id).await["State"], "Executing");
    let log = line("hello \u{1b}[2J\u{202e}");
    worker.log(&hand_out, 0, &log).await.expect(200);
    worker.finish(&hand_out, success(), &log).await.expect(200);
    let task = server.task(id).await;
    assert_eq!((&task["State"], &task["FinishedSuccessfully"]), (&json!("Success"), &json!(true)));
    assert_eq!((&task["IsCompleted"], &task["ErrorMessage"]), (&json!(true), &Value::Null));
    let details = server.get("tasks/ServerTasks-1/details").await.expect(200);
    let child = &details["ActivityLogs"][0]["Children"][0];
    assert_eq!(child["Status"], "Success");
    assert_eq!(child["LogElements"][0]["MessageText"], "hello \u{1b}[2J\u{202e}");
    let raw =
        server.request(Method::GET, "tasks/ServerTasks-1/raw").send().await.unwrap().text().await.unwrap();
    let shown = "State:          Success\n\n03:04:05   Info     |   hello \\u{1b}[2J\\u{202e}\n";
    assert!(raw.ends_with(shown), "{raw}");
    server.get("tasks/ServerTasks-9").await.refused(404);
}

#[tokio::test]
async fn a_follower_of_the_log_waits_for_bytes_and_for_the_end() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let follow = |from: usize| {
        let request = server.request(Method::GET, &format!("tasks/ServerTasks-1/log?from={from}&wait=30000"));
        async move {
            let response = request.send().await.unwrap();
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            let (length, state) = (header("octarm-log-length"), header("octarm-task-state"));
            (response.bytes().await.unwrap(), length, state)
        }
    };
    let log = line("a");
    let (part, logged) = tokio::join!(follow(0), worker.log(&hand_out, 0, &log));
    logged.expect(200);
    let end = log.len();
    assert_eq!(part, (log.clone().into(), end.to_string(), "Executing".into()));
    let (part, finished) = tokio::join!(follow(end), worker.finish(&hand_out, success(), &log));
    finished.expect(200);
    assert_eq!(part, ("".into(), end.to_string(), "Success".into()));
}

#[tokio::test]
async fn cancel_before_during_and_after() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let queued = server.deploy("1.0.0").await;
    let cancelled =
        server.post(&format!("/api/tasks/ServerTasks-{}/cancel", queued.0), json!({})).await.expect(200);
    assert_eq!((&cancelled["State"], &cancelled["IsCompleted"]), (&json!("Canceled"), &json!(true)));
    let running = server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    assert_eq!((hand_out.deployment, hand_out.cancel), (running, false));
    let path = format!("/api/spaces/Spaces-1/tasks/ServerTasks-{}/cancel", running.0);
    assert_eq!(server.post(&path, json!({})).await.expect(200)["State"], "Cancelling");
    assert_eq!(worker.renew(&hand_out).await.expect(200)["cancel"], true);
    assert_eq!(worker.log(&hand_out, 0, &line("x")).await.expect(200)["cancel"], true);
    let outcome = json!({ "result": "cancelled", "summary": "stopped before the update" });
    worker.finish(&hand_out, outcome, &line("x")).await.expect(200);
    let task = server.post(&path, json!({})).await.expect(200);
    assert_eq!(task["State"], "Canceled");
    assert_eq!(task["ErrorMessage"], "stopped before the update");
}
