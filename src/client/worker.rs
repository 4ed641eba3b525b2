//! The worker's client: the worker API, version 1.

use std::{path::Path, time::Duration};

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::{ClientError, Connection, Trust, retry::Urgency};
use crate::{
    model::{DeploymentId, Fence, JournalEntry, Outcome},
    protocol::{
        BASE, ClaimRequest, ClaimResponse, ControlRequest, ControlResponse, FinishRequest, Finished,
        INSTANCE_HEADER, JournalRequest, Machine, PackageReference, Recorded, RegisterRequest,
        RegisterResponse, RenewRequest, RenewResponse, SessionRequest, SessionResponse,
    },
};

/// A call that should answer at once must not hang on a connection that has died silently.
const PROMPT: Duration = Duration::from_secs(15);

/// Speaks for one registered worker, as one process.
#[derive(Debug, Clone)]
pub struct WorkerClient {
    connection: Connection,
    token: SecretString,
    instance: Uuid,
}

impl WorkerClient {
    /// Exchanges an API key for the worker's own token.
    pub async fn register(
        server: &str,
        trust: &Trust,
        key: &SecretString,
        request: &RegisterRequest,
    ) -> Result<RegisterResponse, ClientError> {
        let connection = Connection::new(server, trust)?;
        let act = format!("registering worker `{}` in `{}`", request.name, request.environment);
        let call = connection
            .http
            .post(connection.url(&[BASE.trim_start_matches('/'), "register"]))
            .header("X-Octopus-ApiKey", key.expose_secret())
            .timeout(PROMPT)
            .json(request);
        connection.once(&act, key, call).await
    }

    /// A client for a worker that is registered.
    pub fn new(server: &str, trust: &Trust, token: SecretString) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new(server, trust)?, token, instance: Uuid::now_v7() })
    }

    /// Starts this process's session.
    pub async fn start_session(&self, machine: Machine) -> Result<SessionResponse, ClientError> {
        let request = SessionRequest {
            instance: self.instance,
            machine,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.call("starting the worker's session", &["session"], &request, PROMPT).await
    }

    /// Waits for work; or only says that it takes none, and why.
    pub async fn claim(
        &self,
        wait: Duration,
        holding: Vec<DeploymentId>,
        refusing: Option<String>,
    ) -> Result<ClaimResponse, ClientError> {
        let request = ClaimRequest { wait_ms: milliseconds(wait), holding, refusing };
        self.call("asking for work", &["claim"], &request, wait + PROMPT).await
    }

    /// Waits for the wish to cancel one of these.
    pub async fn control(
        &self,
        wait: Duration,
        holding: Vec<DeploymentId>,
    ) -> Result<ControlResponse, ClientError> {
        let request = ControlRequest { wait_ms: milliseconds(wait), holding };
        self.call("asking what to cancel", &["control"], &request, wait + PROMPT).await
    }

    /// Renews the lease.
    pub async fn renew(&self, deployment: DeploymentId, fence: Fence) -> Result<RenewResponse, ClientError> {
        let id = deployment.to_string();
        self.keep("renewing the lease", &["deployments", &id, "renew"], &RenewRequest { fence }).await
    }

    /// Records an intent or an effect.
    pub async fn record(
        &self,
        deployment: DeploymentId,
        fence: Fence,
        entry: JournalEntry,
    ) -> Result<Recorded, ClientError> {
        let id = deployment.to_string();
        let request = JournalRequest { fence, entry };
        self.keep("recording in the journal", &["deployments", &id, "journal"], &request).await
    }

    /// Appends whole lines to the log.
    pub async fn append_log(
        &self,
        deployment: DeploymentId,
        fence: Fence,
        offset: u64,
        lines: Vec<u8>,
    ) -> Result<Recorded, ClientError> {
        let request = self
            .request(Method::PATCH, &["deployments", &deployment.to_string(), "log"])
            .query(&[("fence", fence.0), ("offset", offset)])
            .timeout(PROMPT)
            .body(lines);
        self.connection.json("sending the log", request).await
    }

    /// Records the end.
    pub async fn finish(
        &self,
        deployment: DeploymentId,
        fence: Fence,
        outcome: Outcome,
        log: (u64, String),
    ) -> Result<Finished, ClientError> {
        let id = deployment.to_string();
        let request = FinishRequest { fence, outcome, log_length: log.0, log_sha256: log.1 };
        self.keep("reporting the end", &["deployments", &id, "finish"], &request).await
    }

    /// Fetches the package into a file, and checks that it is what the server has.
    pub async fn fetch(
        &self,
        deployment: DeploymentId,
        fence: Fence,
        package: &PackageReference,
        to: &Path,
    ) -> Result<(), ClientError> {
        let act = format!("fetching package {} {}", package.id, package.version);
        let local = |source| ClientError::File { act: act.clone(), source };
        let request = self
            .request(Method::GET, &["deployments", &deployment.to_string(), "package"])
            .query(&[("fence", fence.0)]);
        let response = self.connection.send(&act, request).await?;
        let mut file = fs_err::tokio::File::create(to).await.map_err(local)?;
        let (size, sha256) = self.connection.receive(&act, response, &mut file, local).await?;
        file.flush().await.map_err(local)?;
        if (size, &sha256) == (package.size, &package.sha256) {
            return Ok(());
        }
        Err(ClientError::Damaged {
            act,
            found: format!("{size} bytes with SHA-256 {sha256}"),
            expected: format!("{} bytes with SHA-256 {}", package.size, package.sha256),
        })
    }

    /// Deregisters. Success when it was registered no more.
    pub async fn deregister(&self, force: bool) -> Result<(), ClientError> {
        let request =
            self.request(Method::DELETE, &["registration"]).query(&[("force", force)]).timeout(PROMPT);
        match self.connection.send("deregistering the worker", request).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(401) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A call that keeps a hand-out.
    async fn keep<T: DeserializeOwned>(
        &self,
        act: &str,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path).timeout(PROMPT).json(body);
        let response = self.connection.send_as(Urgency::Urgent, act, request).await?;
        self.connection.read(act, response).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut segments = vec![BASE.trim_start_matches('/')];
        segments.extend(path);
        self.connection
            .http
            .request(method, self.connection.url(&segments))
            .bearer_auth(self.token.expose_secret())
            .header(INSTANCE_HEADER, self.instance.to_string())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        act: &str,
        path: &[&str],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.connection.json(act, self.request(Method::POST, path).timeout(timeout).json(body)).await
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    /// When which call came.
    type Calls = Arc<Mutex<Vec<(String, Instant)>>>;

    /// A server that asks to be left alone at the first claim, in its own words or in a proxy's.
    async fn busy(status: StatusCode, body: &'static str) -> (WorkerClient, Calls) {
        let calls = Calls::default();
        let app = Router::new()
            .fallback(async move |State(calls): State<Calls>, request: axum::extract::Request| {
                let path = request.uri().path().rsplit('/').next().unwrap().to_owned();
                calls.lock().unwrap().push((path.clone(), Instant::now()));
                if calls.lock().unwrap().len() == 1 {
                    return (status, [("retry-after", "1")], body).into_response();
                }
                match path.as_str() {
                    "claim" => r#"{"assignment": null, "pause_ms": 0}"#,
                    "control" => r#"{"cancel": []}"#,
                    "renew" => r#"{"lease_ms": 1000, "cancel": false}"#,
                    "finish" => "{}",
                    _ => r#"{"length": 0, "cancel": false}"#,
                }
                .into_response()
            })
            .with_state(Arc::clone(&calls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        (WorkerClient::new(&url, &Trust::default(), String::from("OWT-test").into()).unwrap(), calls)
    }

    async fn assert_left_alone(status: StatusCode, body: &'static str) {
        let (client, calls) = busy(status, body).await;
        let claim = || client.claim(Duration::ZERO, Vec::new(), None);
        let error = claim().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        let (deployment, fence, other) = (DeploymentId(1), Fence(1), client.clone());
        let outcome = Outcome::Success { summary: String::new() };
        let (claimed, asked, logged, renewed, finished) = tokio::join!(
            claim(),
            other.control(Duration::ZERO, Vec::new()),
            other.append_log(deployment, fence, 0, Vec::new()),
            other.renew(deployment, fence),
            other.finish(deployment, fence, outcome, (0, String::new())),
        );
        assert!(claimed.is_ok() && asked.is_ok() && logged.is_ok() && renewed.is_ok() && finished.is_ok());
        let calls = calls.lock().unwrap();
        let is_urgent = |path: &String| matches!(path.as_str(), "renew" | "finish");
        let order: Vec<bool> = calls.iter().skip(1).map(|(path, _)| is_urgent(path)).collect();
        assert_eq!(order, [true, true, false, false, false], "{calls:?}");
        let waited = |at: &Instant| at.duration_since(calls[0].1);
        assert!(calls[3..].iter().all(|(_, at)| waited(at) >= Duration::from_secs(1)), "{calls:?}");
    }

    #[tokio::test]
    async fn a_busy_server_is_left_alone_by_all_but_what_keeps_a_hand_out() {
        let own = r#"{"error": {"code": "busy", "message": "busy", "retry_after_ms": 1000}}"#;
        tokio::join!(
            assert_left_alone(StatusCode::TOO_MANY_REQUESTS, own),
            assert_left_alone(StatusCode::TOO_MANY_REQUESTS, "a proxy's page"),
            assert_left_alone(StatusCode::SERVICE_UNAVAILABLE, ""),
        );
    }

    #[tokio::test]
    async fn a_refusal_that_asks_for_no_time_stops_nobody() {
        let (client, calls) = busy(StatusCode::INTERNAL_SERVER_ERROR, "").await;
        assert!(client.claim(Duration::ZERO, Vec::new(), None).await.is_err());
        assert!(client.connection.gate.pass().now_or_never().is_some(), "it is open");
        client.claim(Duration::ZERO, Vec::new(), None).await.unwrap();
        assert_eq!(calls.lock().unwrap().len(), 2);
    }
}
