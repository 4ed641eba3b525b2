//! The worker API, version 1, under `/api/worker/v1`: the only thing that the server and its workers share.
//!
//! | call | who may | what it does |
//! |---|---|---|
//! | `POST register` | an API key | makes or finds the worker of this name in the environment, answers its token; takes an [`IDEMPOTENCY_HEADER`] |
//! | `POST session` | the worker | starts (or takes over) the worker's session |
//! | `POST claim` | the session | waits for a deployment of the environment and takes it under a lease |
//! | `POST control` | the session | waits until cancelling is asked for of what the worker holds |
//! | `POST deployments/{id}/renew` | the fence | renews the lease |
//! | `POST deployments/{id}/journal` | the fence | records an intent or an effect |
//! | `PATCH deployments/{id}/log?fence=N&offset=N` | the fence | appends whole lines at a byte offset |
//! | `GET deployments/{id}/package?fence=N` | the fence | the package's bytes |
//! | `POST deployments/{id}/finish` | the fence | records the end, once |
//! | `DELETE registration` | the worker | deregisters; `?force=true` also while it holds a lease |
//!
//! The worker authenticates with `Authorization: Bearer TOKEN`; every call after `session` also names its process
//! in [`INSTANCE_HEADER`]. Errors are an [`ErrorEnvelope`]. Unknown fields are ignored by both sides, so that
//! either may be the newer one; a change of meaning is a new version in the path.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{DeploymentId, Fence, JournalEntry, MachineId, Outcome, TaskId, Variable};

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
/// How every worker token begins.
pub const TOKEN_PREFIX: &str = "OWT-";

/// `POST register`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RegisterRequest {
    /// The worker's name, unique in its environment without regard to case.
    #[schemars(length(min = 1), example = "orders-1")]
    pub name: String,
    /// The environment, by name or id.
    #[schemars(length(min = 1), example = "Environments-1")]
    pub environment: String,
    /// The environment's space, by name or id; else the only one that the API key reaches, else the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The machine it runs on.
    pub machine: Machine,
    /// Take the name over from another machine; its token stops working.
    #[serde(default)]
    pub replace: bool,
    /// The token that this machine already has for this name: kept when it is still good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// When the worker is new: deploy the projects' current releases for its environment.
    #[serde(default)]
    pub deploy_current: bool,
}

/// A worker's token on the wire. `Debug` hides it.
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

/// Answer of `POST register`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RegisterResponse {
    /// The worker's id, as `machines` shows it.
    pub worker_id: MachineId,
    /// The name as registered.
    pub name: String,
    /// The environment's name as the server writes it.
    pub environment: String,
    /// The new token; absent when the one sent is still good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Whether the worker was there before.
    pub existed: bool,
    /// What became of the projects' current releases, where their deployment was asked for and the worker is new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub current: Vec<CurrentRelease>,
}

/// What became of deploying the current release of a project: the one whose deployment to the environment ended well
/// last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CurrentRelease {
    /// The project's name.
    pub project: String,
    /// The release's version, where there is one.
    pub release: Option<String>,
    /// What became of it.
    pub outcome: CurrentOutcome,
    /// The deployment that was made, or the one that is in the way.
    pub deployment: Option<DeploymentId>,
    /// The same in words.
    pub message: String,
}

/// What became of deploying a current release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurrentOutcome {
    /// A deployment of it was made.
    Queued,
    /// One of it is on its way already.
    Active,
    /// One of another release is on its way.
    Busy,
    /// Nobody knows how an earlier one ended.
    Blocked,
    /// No deployment of the project to the environment ever ended well.
    NeverDeployed,
    /// It may not be deployed there as things are.
    Refused,
    /// An outcome of a newer server.
    #[serde(other)]
    Other,
}

/// `POST session`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionRequest {
    /// Made anew by each process.
    pub instance: Uuid,
    /// The machine it runs on.
    pub machine: Machine,
    /// octarm's version, for people.
    pub version: String,
}

/// Answer of `POST session`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionResponse {
    /// The worker's id.
    pub worker_id: MachineId,
    /// The environment it is bound to, whatever the worker believes.
    pub environment: String,
    /// How long a claim should wait at the server, in milliseconds.
    pub poll_wait_ms: u64,
}

/// `POST claim`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRequest {
    /// How long to wait for work, in milliseconds; the server may answer sooner.
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
    /// How long to wait for news, in milliseconds; the server may answer sooner.
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
    /// The name belongs to a worker on another machine.
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
