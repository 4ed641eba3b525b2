//! The server as a patient client sees it: it may be away at any time, and is asked again.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::setup::Setup;

/// How long after an answer that did not come it is asked for again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a request for a log waits at the server.
const WAIT: &str = "10000";

pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A deployment that was made.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) task: String,
    pub(super) deployment: String,
}

impl Client {
    pub(super) fn of(setup: &Setup) -> Self {
        Self { http: reqwest::Client::new(), url: setup.url(), key: setup.key() }
    }

    /// Makes a deployment, once: the request has a key by which the server knows it when its answer was lost.
    pub(super) async fn deploy(&self, project: &str, version: &str, environment: &str) -> Made {
        let body =
            json!({ "ProjectName": project, "ReleaseVersion": version, "EnvironmentNames": [environment] });
        let path = "/api/Spaces-1/deployments/create/untenanted/v1";
        let made = match self.post(path, &body).await {
            Some(answer) => answer["DeploymentServerTasks"][0].clone(),
            // Nobody else deploys this: it is the newest one.
            None => self.newest(&format!("Deploy {project} release {version} to {environment}")).await,
        };
        let id = |name: &str| made[name].as_str().unwrap().to_owned();
        Made { task: id("ServerTaskId"), deployment: id("DeploymentId") }
    }

    async fn newest(&self, description: &str) -> Value {
        let (_, tasks) = self.get("/api/Spaces-1/tasks", &[("take", "200")]).await;
        let tasks: Value = serde_json::from_slice(&tasks).unwrap();
        let task = tasks["Items"].as_array().unwrap().iter().find(|task| task["Description"] == description);
        let task = task.unwrap_or_else(|| panic!("no `{description}` in {tasks}"));
        json!({ "ServerTaskId": task["Id"], "DeploymentId": task["Arguments"]["DeploymentId"] })
    }

    pub(super) async fn cancel(&self, task: &str) {
        self.post(&format!("/api/Spaces-1/tasks/{task}/cancel"), &json!({})).await;
    }

    pub(super) async fn resolve(&self, deployment: &str, found: &str) {
        self.post(&format!("/api/Spaces-1/deployments/{deployment}/resolve"), &json!({ "As": found })).await;
    }

    pub(super) async fn task(&self, task: &str) -> Value {
        serde_json::from_slice(&self.get(&format!("/api/Spaces-1/tasks/{task}"), &[]).await.1).unwrap()
    }

    /// What has not ended, for whoever has to find out why.
    pub(super) async fn open(&self) -> String {
        let (_, tasks) = self.get("/api/Spaces-1/tasks", &[("active", "true"), ("take", "100")]).await;
        let tasks: Value = serde_json::from_slice(&tasks).unwrap();
        let one = |task: &Value| format!("{} {} {}", task["Id"], task["State"], task["WaitingReason"]);
        tasks["Items"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join("\n")
    }

    /// Follows the log from its beginning to the task's end, as one does who is cut off and goes on where he was.
    pub(super) async fn follow(&self, task: &str) -> Vec<u8> {
        let mut log = Vec::new();
        loop {
            let from = log.len().to_string();
            let path = format!("/api/Spaces-1/tasks/{task}/log");
            let (state, bytes) = self.get(&path, &[("from", &from), ("wait", WAIT)]).await;
            let has_ended = matches!(state.as_str(), "Success" | "Failed" | "Canceled" | "TimedOut");
            if bytes.is_empty() && has_ended {
                return log;
            }
            log.extend(bytes);
        }
    }

    /// `None` when the server that did it was killed with its answer.
    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let key = uuid::Uuid::now_v7().to_string();
        loop {
            let request = self
                .http
                .request(Method::POST, format!("{}{path}", self.url))
                .header("X-Octopus-ApiKey", &self.key)
                .header("Idempotency-Key", &key)
                .json(body);
            if let Some((status, _, text)) = answer(request).await {
                let said = String::from_utf8_lossy(&text);
                if status == StatusCode::CONFLICT {
                    if said.contains("its answer was lost") {
                        return None;
                    }
                } else {
                    assert!(status.is_success(), "POST {path} {body}: {status} {said}");
                    return Some(serde_json::from_slice(&text).unwrap());
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The task's state, where the answer tells it, and the body.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> (String, Vec<u8>) {
        loop {
            let request = self.http.get(format!("{}{path}", self.url)).header("X-Octopus-ApiKey", &self.key);
            if let Some((status, state, text)) = answer(request.query(query)).await {
                assert!(status.is_success(), "GET {path}: {status} {}", String::from_utf8_lossy(&text));
                return (state, text);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// `None` where asking again is in order.
async fn answer(request: reqwest::RequestBuilder) -> Option<(StatusCode, String, Vec<u8>)> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let state = answer.headers().get("octarm-task-state").map(|value| value.to_str().unwrap().to_owned());
    Some((status, state.unwrap_or_default(), answer.bytes().await.ok()?.to_vec()))
}
