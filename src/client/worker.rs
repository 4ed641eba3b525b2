//! The worker's client: the worker API, version 1.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncWriteExt;

use super::{
    ClientError, Connection, Credential, Trust,
    retry::Urgency,
    session::{self, PROMPT, Session},
};
use crate::{
    model::{DeploymentId, Fence, JournalEntry, Outcome},
    protocol::{
        CheckResponse, ClaimRequest, ClaimResponse, ControlRequest, ControlResponse, DeregisterResponse,
        FinishRequest, Finished, JournalRequest, Machine, PackageReference, Recorded, RegisterRequest,
        RegisterResponse, RenewRequest, RenewResponse, SessionResponse,
    },
};

/// What a worker is registered by.
#[derive(Debug, Clone)]
pub enum Registrar {
    /// An API key.
    Key(SecretString),
    /// A registration token.
    Token(SecretString),
}

/// Speaks for one registered worker, as one process. Clones share its session.
#[derive(Debug, Clone)]
pub struct WorkerClient {
    session: Arc<Session>,
}

impl WorkerClient {
    /// Registers a worker.
    pub async fn register(
        server: &str,
        trust: &Trust,
        by: &Registrar,
        request: &RegisterRequest,
    ) -> Result<RegisterResponse, ClientError> {
        let connection = Connection::new(server, trust)?;
        let act = match &request.environment {
            Some(environment) => format!("registering worker `{}` in `{environment}`", request.name),
            None => format!("registering worker `{}`", request.name),
        };
        let call = session::request(&connection, Method::POST, &["register"]).timeout(PROMPT).json(request);
        match by {
            Registrar::Key(key) => {
                let call = call.header("X-Octopus-ApiKey", key.expose_secret());
                connection.once(&act, Some(key), call).await
            }
            // Who knows registration tokens keeps idempotency keys.
            Registrar::Token(token) => {
                connection.once(&act, None, call.bearer_auth(token.expose_secret())).await
            }
        }
    }

    /// Asks the server to let a registered worker go, and waits for so long until it is gone; with `force` it is at once.
    /// Needs no session: whoever deregisters need not be the process that runs.
    pub async fn deregister(
        server: &str,
        trust: &Trust,
        credential: &Credential,
        machine: &Machine,
        force: bool,
        wait: Duration,
    ) -> Result<DeregisterResponse, ClientError> {
        session::deregister(&Connection::new(server, trust)?, credential, machine, force, wait).await
    }

    /// What the server knows a registered worker as. Proves the worker's key and takes nothing: no session, so that the
    /// process that runs is not disturbed.
    pub async fn check(
        server: &str,
        trust: &Trust,
        credential: &Credential,
        machine: &Machine,
    ) -> Result<CheckResponse, ClientError> {
        session::check(&Connection::new(server, trust)?, credential, machine).await
    }

    /// A client for a worker that is registered.
    pub fn new(
        server: &str,
        trust: &Trust,
        credential: Credential,
        machine: Machine,
    ) -> Result<Self, ClientError> {
        let connection = Connection::new(server, trust)?;
        Ok(Self { session: Arc::new(Session::new(connection, credential, machine)) })
    }

    /// For how long the server is to be left alone still, where it asked for that: a call that may wait waits until then.
    pub fn shut_for(&self) -> Option<Duration> {
        self.session.connection().gate.shut_for()
    }

    /// As if the server had asked to be left alone.
    #[cfg(test)]
    pub(crate) fn shut(&self, asked: Duration) {
        self.session.connection().gate.shut(asked);
    }

    /// Starts this process's session. It is renewed by itself.
    pub async fn start_session(&self) -> Result<SessionResponse, ClientError> {
        self.session.start().await
    }

    /// Tells the server that this process comes to its end.
    pub async fn end_session(&self) -> Result<(), ClientError> {
        self.session.end().await
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
        self.json("sending the log", request).await
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
        let response = self.session.send(&act, request).await?;
        let mut file = fs_err::tokio::File::create(to).await.map_err(local)?;
        let (size, sha256) = self.session.connection().receive(&act, response, &mut file, local).await?;
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

    /// A call that keeps a hand-out.
    async fn keep<T: DeserializeOwned>(
        &self,
        act: &str,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path).timeout(PROMPT).json(body);
        let response = self.session.send_as(Urgency::Urgent, act, request).await?;
        self.session.connection().read(act, response).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        session::request(self.session.connection(), method, path)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        act: &str,
        path: &[&str],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.json(act, self.request(Method::POST, path).timeout(timeout).json(body)).await
    }

    async fn json<T: DeserializeOwned>(&self, act: &str, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.session.send(act, request).await?;
        self.session.connection().read(act, response).await
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
    use futures_util::FutureExt as _;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::{client::KeyPair, model::MachineId};

    /// When which call came.
    type Calls = Arc<Mutex<Vec<(String, Instant)>>>;

    /// A server that asks to be left alone at the first claim, in its own words or in a proxy's.
    async fn busy(status: StatusCode, body: &'static str) -> (WorkerClient, Calls) {
        let calls = Calls::default();
        let session = r#"{"worker_id": "Machines-1", "environment": "CI", "poll_wait_ms": 0, "token": "OWS-TEST",
            "token_ttl_ms": 60000}"#;
        let app = Router::new()
            .route("/api/worker/v1/challenge", post(r#"{"challenge": "00", "ttl_ms": 1000}"#))
            .route("/api/worker/v1/session", post(session))
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
        let credential = Credential {
            worker_id: MachineId(1),
            installation: Uuid::nil(),
            key: KeyPair::generate().unwrap(),
        };
        let machine = Machine { host: "h".to_owned(), id: "m".to_owned() };
        (WorkerClient::new(&url, &Trust::default(), credential, machine).unwrap(), calls)
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
        assert!(client.session.connection().gate.pass().now_or_never().is_some(), "it is open");
        client.claim(Duration::ZERO, Vec::new(), None).await.unwrap();
        assert_eq!(calls.lock().unwrap().len(), 2);
    }
}
