//! The worker's client: the worker API, version 1.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncWriteExt;

use super::{
    ClientError, Connection, Credential, Trust,
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

    /// Starts this process's session. It is renewed by itself.
    pub async fn start_session(&self) -> Result<SessionResponse, ClientError> {
        self.session.start().await
    }

    /// Tells the server that this process comes to its end.
    pub async fn end_session(&self) -> Result<(), ClientError> {
        self.session.end().await
    }

    /// Waits for work.
    pub async fn claim(
        &self,
        wait: Duration,
        holding: Vec<DeploymentId>,
    ) -> Result<ClaimResponse, ClientError> {
        let request = ClaimRequest { wait_ms: milliseconds(wait), holding };
        self.call("asking for work", Method::POST, &["claim"], &request, wait + PROMPT).await
    }

    /// Waits for the wish to cancel one of these.
    pub async fn control(
        &self,
        wait: Duration,
        holding: Vec<DeploymentId>,
    ) -> Result<ControlResponse, ClientError> {
        let request = ControlRequest { wait_ms: milliseconds(wait), holding };
        self.call("asking what to cancel", Method::POST, &["control"], &request, wait + PROMPT).await
    }

    /// Renews the lease.
    pub async fn renew(&self, deployment: DeploymentId, fence: Fence) -> Result<RenewResponse, ClientError> {
        let id = deployment.to_string();
        self.call(
            "renewing the lease",
            Method::POST,
            &["deployments", &id, "renew"],
            &RenewRequest { fence },
            PROMPT,
        )
        .await
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
        self.call(
            "recording in the journal",
            Method::POST,
            &["deployments", &id, "journal"],
            &request,
            PROMPT,
        )
        .await
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
        self.call("reporting the end", Method::POST, &["deployments", &id, "finish"], &request, PROMPT).await
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

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        session::request(self.session.connection(), method, path)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        act: &str,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.json(act, self.request(method, path).timeout(timeout).json(body)).await
    }

    async fn json<T: DeserializeOwned>(&self, act: &str, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.session.send(act, request).await?;
        self.session.connection().read(act, response).await
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
