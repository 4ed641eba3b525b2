//! The worker API, version 1, under `/api/worker/v1`: the only thing that the server and its workers share.
//!
//! | call | who may | what it does |
//! |---|---|---|
//! | `POST register` | an API key or a registration token | makes or finds the worker of this name and key in the environment; takes an [`IDEMPOTENCY_HEADER`] |
//! | `POST challenge` | everybody | answers what the next call is to be signed with |
//! | `POST session` | the worker's key | starts, takes over or renews the worker's session, answers its token |
//! | `DELETE session` | the session | ends it: the process is not there any more |
//! | `POST claim` | the session | waits for a deployment of the environment and takes it under a lease |
//! | `POST control` | the session | waits until cancelling is asked for of what the worker holds |
//! | `POST deployments/{id}/renew` | the fence | renews the lease |
//! | `POST deployments/{id}/journal` | the fence | records an intent or an effect |
//! | `PATCH deployments/{id}/log?fence=N&offset=N` | the fence | appends whole lines at a byte offset |
//! | `GET deployments/{id}/package?fence=N` | the fence | the package's bytes |
//! | `POST deployments/{id}/finish` | the fence | records the end, once |
//! | `POST check` | the worker's key | answers what the server knows the worker as |
//! | `POST deregister` | the worker's key | asks the worker to leave and waits until it is gone; with `force` it is gone at once |
//!
//! The worker's key signs what [`SessionRequest::statement`] and [`DeregisterRequest::statement`] say. Every call after
//! `session` shows `Authorization: Bearer TOKEN` and names its process in [`INSTANCE_HEADER`]. Errors are an [`ErrorEnvelope`]. Unknown fields are ignored by both sides, so that
//! either may be the newer one; a change of meaning is a new version in the path.

mod proof;
mod registration;
mod session;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use proof::PublicKey;
pub use registration::{
    CurrentOutcome, CurrentRelease, DeregisterRequest, DeregisterResponse, RegisterRequest, RegisterResponse,
};
pub use session::{
    ChallengeRequest, ChallengeResponse, CheckRequest, CheckResponse, SessionRequest, SessionResponse,
};

use crate::model::{DeploymentId, Fence, JournalEntry, Outcome, TaskId, Variable};

/// Where the worker API lives below the server's address.
pub const BASE: &str = "/api/worker/v1";
/// The header that names the worker's process.
pub const INSTANCE_HEADER: &str = "octarm-instance";
/// The header by which a request is known when it is sent again: it is done once, and a repeat gets the answer of the first.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// The longest chunk of a log that the server takes, in bytes.
pub const MAX_LOG_CHUNK: usize = 256 * 1024;
/// The longest reason of a worker that takes no new work, in characters.
pub const MAX_REASON: usize = 500;
/// How the token of every worker's session begins.
pub const SESSION_PREFIX: &str = "OWS-";
/// How every registration token begins.
pub const REGISTRATION_PREFIX: &str = "ORT-";

/// The token of a worker's session on the wire. `Debug` hides it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Which machine a worker runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Its host name, for people.
    #[schemars(example = "build-7")]
    pub host: String,
    /// An id that a clone of the disk does not share, where the system has one.
    #[schemars(length(min = 1), example = "4c4c4544")]
    pub id: String,
}

/// `POST claim`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRequest {
    /// How long to wait for work, in milliseconds. The server waits no longer than the `poll_wait_ms` that it answered to
    /// the beginning of the session.
    pub wait_ms: u64,
    /// What the worker runs already: of all else that the server believes it to hold it knows nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holding: Vec<DeploymentId>,
    /// Why the worker takes no new work just now, in one line of at most [`MAX_REASON`] characters. It is handed out
    /// nothing then, but people see that it is there, and why it does nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    pub refusing: Option<String>,
}

/// Answer of `POST claim`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResponse {
    /// The work, if there is any.
    pub assignment: Option<Box<Assignment>>,
    /// How long to pause before the next claim when there was none, in milliseconds.
    pub pause_ms: u64,
    /// Whether the worker is asked to leave: there will be no more work, and its process is to end once it has reported
    /// what it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// A deployment handed to a worker.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Its task, for people and links.
    pub task: TaskId,
    /// The number of this hand-out; it goes with every write.
    pub fence: Fence,
    /// The first of the hand-outs that this machine has had without another machine in between: its log may be
    /// continued from what those wrote.
    pub held_since: Fence,
    /// When it was asked for, in milliseconds since 1970. A database that lost its last commits may give a number twice:
    /// deployments of one number differ in this. Older servers do not say it.
    #[serde(default)]
    pub created_ms: Option<i64>,
    /// Whether somebody had it before: find out what happened, do not do it again blindly.
    pub reconcile: bool,
    /// Whether cancelling was asked for.
    pub cancel: bool,
    /// How many bytes of log the server holds; this hand-out's log begins there.
    pub log_offset: u64,
    /// The journal so far.
    pub journal: Vec<JournalEntry>,
    /// The package to deploy.
    pub package: PackageReference,
    /// All variables, the server's own `Octopus.*` among them.
    pub variables: Vec<Variable>,
}

/// A package on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageReference {
    /// The package's id.
    pub id: String,
    /// The version as it was pushed.
    pub version: String,
    /// The file name as it was pushed, or made from id and version.
    pub file_name: String,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub size: u64,
}

/// `POST control`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ControlRequest {
    /// How long to wait for news, in milliseconds. The server waits no longer than the `poll_wait_ms` that it answered to
    /// the beginning of the session.
    pub wait_ms: u64,
    /// What the worker runs and has not been told to cancel yet.
    pub holding: Vec<DeploymentId>,
}

/// Answer of `POST control`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ControlResponse {
    /// What is to be cancelled of what the worker named.
    pub cancel: Vec<DeploymentId>,
}

/// `POST deployments/{id}/renew`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RenewRequest {
    /// The hand-out.
    pub fence: Fence,
}

/// Answer of `renew`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RenewResponse {
    /// How long the lease lasts from the moment the renewal was *sent*, in milliseconds.
    pub lease_ms: u64,
    /// Whether cancelling was asked for.
    pub cancel: bool,
}

/// `POST deployments/{id}/journal`. The same entry again is success; another one at its place is a conflict.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JournalRequest {
    /// The hand-out.
    pub fence: Fence,
    /// The record.
    pub entry: JournalEntry,
}

/// Answer of `journal`, and of a log chunk.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// For a log chunk: how many bytes the server holds now. For a journal entry: how many entries.
    pub length: u64,
    /// Whether cancelling was asked for.
    pub cancel: bool,
}

/// `POST deployments/{id}/finish`. The same again is success; a different one is a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinishRequest {
    /// The hand-out.
    pub fence: Fence,
    /// How it ended.
    pub outcome: Outcome,
    /// How many bytes the whole log has.
    pub log_length: u64,
    /// SHA-256 over the log's bytes from this hand-out's `log_offset` to `log_length`, lower-case hex.
    pub log_sha256: String,
}

/// Answer of `finish`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Finished {}

/// What a program may have to tell apart; a person reads the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood or its values are not allowed.
    Invalid,
    /// No or a wrong credential, or the worker was deregistered.
    Unauthorised,
    /// The credential is known and does not allow this.
    Forbidden,
    /// What the request names does not exist.
    NotFound,
    /// The challenge was used, is over, or was given to another worker: ask for another one.
    ChallengeOver,
    /// The name belongs to a worker on another machine, or with another key.
    WorkerElsewhere,
    /// An earlier process of this worker still holds a lease: try again when it has run out.
    SessionLive,
    /// Another process of this worker has taken over.
    SessionSuperseded,
    /// Another hand-out, or none, is current for the deployment: stop changing things.
    StaleFence,
    /// The log chunk does not begin where the server's log ends: continue from `length`.
    LogOffset,
    /// The log's end does not match its digest: send it again from `length`.
    LogDigest,
    /// Something else is recorded already.
    Conflict,
    /// The worker holds a lease and `force` was not given.
    WorkerBusy,
    /// Too much at once: wait `retry_after_ms`.
    Busy,
    /// The server could not do it; the cause is in its own log.
    Internal,
    /// A code of a newer server.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// The body of every error on the worker API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorEnvelope {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what was being done to what, what was found, what was expected.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// With [`ErrorCode::LogOffset`] and [`ErrorCode::LogDigest`]: where to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// With [`ErrorCode::SessionLive`] and [`ErrorCode::Busy`]: how long to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
