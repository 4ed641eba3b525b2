//! The session of a worker's process: got by signing a challenge, renewed before it is over, and once more when the server
//! says that it is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use uuid::Uuid;

use super::{ClientError, Connection, KeyPair, jittered, retry::Urgency};
use crate::{
    model::{MachineId, chain},
    protocol::{
        BASE, ChallengeRequest, ChallengeResponse, CheckRequest, CheckResponse, DeregisterRequest,
        DeregisterResponse, ErrorCode, INSTANCE_HEADER, Machine, SessionRequest, SessionResponse,
    },
};

/// A call that should answer at once must not hang on a connection that has died silently.
pub(super) const PROMPT: Duration = Duration::from_secs(15);
/// How often a challenge that was over before it arrived is asked for anew.
const CHALLENGES: u32 = 3;
/// How long until a renewal that did not succeed is tried again, while the token is good.
const AGAIN: Duration = Duration::from_secs(5);

/// What a registered worker proves itself with.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id.
    pub worker_id: MachineId,
    /// The installation that it is registered at: what it signs is good at no other.
    pub installation: Uuid,
    /// Its key pair.
    pub key: KeyPair,
}

/// What one process has of the worker's session.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    credential: Credential,
    machine: Machine,
    instance: Uuid,
    live: Mutex<Option<Live>>,
    /// Held by whoever renews: one at a time.
    renewing: tokio::sync::Mutex<()>,
}

/// A token that was good when it was got.
#[derive(Debug, Clone)]
struct Live {
    token: SecretString,
    /// Which one it is of those that this process had.
    number: u64,
    renew_at: Instant,
    over_at: Instant,
}

impl Session {
    pub(super) fn new(connection: Connection, credential: Credential, machine: Machine) -> Self {
        Self {
            connection,
            credential,
            machine,
            instance: Uuid::now_v7(),
            live: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Starts the session, whoever has it.
    pub(super) async fn start(&self) -> Result<SessionResponse, ClientError> {
        let _one = self.renewing.lock().await;
        self.ask("starting the worker's session", false).await
    }

    /// Ends the session; nothing to do where there is none.
    pub(super) async fn end(&self) -> Result<(), ClientError> {
        let Some(live) = self.live().take() else { return Ok(()) };
        let request = request(&self.connection, Method::DELETE, &["session"]).timeout(PROMPT);
        self.connection.send("ending the worker's session", self.shown(request, &live.token)).await.map(drop)
    }

    /// Sends a request as this process. One that the server does not know it by is sent once more, with a session that is
    /// renewed: nothing was done.
    pub(super) async fn send(
        self: &Arc<Self>,
        act: &str,
        request: RequestBuilder,
    ) -> Result<Response, ClientError> {
        self.send_as(Urgency::Patient, act, request).await
    }

    /// The same, also while a busy server is left alone.
    pub(super) async fn send_as(
        self: &Arc<Self>,
        urgency: Urgency,
        act: &str,
        request: RequestBuilder,
    ) -> Result<Response, ClientError> {
        let live = self.token().await?;
        let again = request.try_clone();
        match self.connection.send_as(urgency, act, self.shown(request, &live.token)).await {
            Err(error) if error.code() == Some(ErrorCode::Unauthorised) => {
                let live = self.renewed(live.number).await?;
                let request = again.ok_or(error)?;
                self.connection.send_as(urgency, act, self.shown(request, &live.token)).await
            }
            answer => answer,
        }
    }

    fn shown(&self, request: RequestBuilder, token: &SecretString) -> RequestBuilder {
        request.bearer_auth(token.expose_secret()).header(INSTANCE_HEADER, self.instance.to_string())
    }

    /// The token to show now. What is renewed in good time is renewed beside: no lease waits for it.
    async fn token(self: &Arc<Self>) -> Result<Live, ClientError> {
        let now = Instant::now();
        let number = {
            let mut live = self.live();
            match live.as_mut() {
                Some(live) if now < live.renew_at => return Ok(live.clone()),
                Some(live) if now < live.over_at => {
                    live.renew_at = now + AGAIN;
                    let (session, number) = (Arc::clone(self), live.number);
                    tokio::spawn(async move {
                        if let Err(error) = session.renewed(number).await {
                            tracing::debug!(
                                error = chain(&error),
                                "the worker's session was not renewed yet"
                            );
                        }
                    });
                    return Ok(live.clone());
                }
                live => live.map_or(0, |live| live.number),
            }
        };
        self.renewed(number).await
    }

    /// Another token than the one of this number: what somebody else got meanwhile, else a new one.
    async fn renewed(&self, number: u64) -> Result<Live, ClientError> {
        let _one = self.renewing.lock().await;
        let newer = self.live().as_ref().filter(|live| live.number > number).cloned();
        if let Some(live) = newer {
            return Ok(live);
        }
        let act = "renewing the worker's session";
        self.ask(act, number > 0).await?;
        // It was put there just now.
        let live = self.live().clone();
        live.ok_or_else(|| ClientError::Damaged {
            act: act.to_owned(),
            found: "no session".to_owned(),
            expected: "one".to_owned(),
        })
    }

    async fn ask(&self, act: &str, renewal: bool) -> Result<SessionResponse, ClientError> {
        let began = Instant::now();
        // What keeps a lease needs the session: a renewal does not wait until a busy server wants to be asked again.
        let urgency = if renewal { Urgency::Urgent } else { Urgency::Patient };
        let Credential { worker_id, installation, key } = &self.credential;
        let answer: SessionResponse =
            signed(&self.connection, urgency, act, ("session", PROMPT), *worker_id, |challenge| {
                let mut body = SessionRequest {
                    worker_id: *worker_id,
                    challenge,
                    instance: self.instance,
                    machine: self.machine.clone(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    renewal,
                    signature: String::new(),
                };
                body.signature = key.sign(&body.statement(*installation));
                body
            })
            .await?;
        let ttl = Duration::from_millis(answer.token_ttl_ms);
        let mut live = self.live();
        *live = Some(Live {
            token: answer.token.0.clone().into(),
            number: live.as_ref().map_or(1, |live| live.number + 1),
            renew_at: began + jittered(ttl / 2),
            over_at: began + ttl,
        });
        Ok(answer)
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the server what it knows the worker as.
pub(super) async fn check(
    connection: &Connection,
    credential: &Credential,
    machine: &Machine,
) -> Result<CheckResponse, ClientError> {
    let Credential { worker_id, installation, key } = credential;
    let act = "asking the server who this worker is";
    signed(connection, Urgency::Patient, act, ("check", PROMPT), *worker_id, |challenge| {
        let mut body = CheckRequest {
            worker_id: *worker_id,
            challenge,
            machine: machine.clone(),
            signature: String::new(),
        };
        body.signature = key.sign(&body.statement(*installation));
        body
    })
    .await
}

/// Asks the server to let the worker go, and waits for so long until it is gone. Who is not known any more is gone.
pub(super) async fn deregister(
    connection: &Connection,
    credential: &Credential,
    machine: &Machine,
    force: bool,
    wait: Duration,
) -> Result<DeregisterResponse, ClientError> {
    let Credential { worker_id, installation, key } = credential;
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let act = "deregistering the worker";
    let answer =
        signed(connection, Urgency::Patient, act, ("deregister", wait + PROMPT), *worker_id, |challenge| {
            let mut body = DeregisterRequest {
                worker_id: *worker_id,
                challenge,
                machine: machine.clone(),
                force,
                wait_ms,
                signature: String::new(),
            };
            body.signature = key.sign(&body.statement(*installation));
            body
        })
        .await;
    match answer {
        Err(error) if error.code() == Some(ErrorCode::Unauthorised) => {
            Ok(DeregisterResponse { gone: true, running: Vec::new() })
        }
        answer => answer,
    }
}

/// Sends to this path, with this time for it, what was signed along with a challenge; one that was over on the way is not
/// the end. Whoever has no token waits for this, the keeper of a lease too: a server that answers slowly each time must not
/// make it longer than one that does not answer, so all of it has the time for both calls once.
async fn signed<B: Serialize, T: DeserializeOwned>(
    connection: &Connection,
    urgency: Urgency,
    act: &str,
    (path, timeout): (&str, Duration),
    worker_id: MachineId,
    sign: impl Fn(String) -> B,
) -> Result<T, ClientError> {
    if urgency == Urgency::Patient {
        connection.gate.pass().await;
    }
    let end = Instant::now() + PROMPT + timeout;
    let within = |time: Duration| time.min(end.saturating_duration_since(Instant::now()));
    let mut left = CHALLENGES;
    loop {
        left -= 1;
        let asked = ChallengeRequest { worker_id };
        let given: ChallengeResponse =
            post(connection, urgency, act, "challenge", &asked, within(PROMPT)).await?;
        match post(connection, urgency, act, path, &sign(given.challenge), within(timeout)).await {
            Err(error)
                if error.code() == Some(ErrorCode::ChallengeOver)
                    && left > 0
                    && !within(timeout).is_zero() => {}
            done => return done,
        }
    }
}

async fn post<T: DeserializeOwned>(
    connection: &Connection,
    urgency: Urgency,
    act: &str,
    path: &str,
    body: &impl Serialize,
    timeout: Duration,
) -> Result<T, ClientError> {
    let request = request(connection, Method::POST, &[path]).timeout(timeout).json(body);
    let response = connection.send_as(urgency, act, request).await?;
    connection.read(act, response).await
}

/// A request below the worker API's address.
pub(super) fn request(connection: &Connection, method: Method, path: &[&str]) -> RequestBuilder {
    let mut segments = vec![BASE.trim_start_matches('/')];
    segments.extend(path);
    connection.http.request(method, connection.url(&segments))
}
