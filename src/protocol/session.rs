//! A worker's session: one process proves with the worker's key who it is, and gets a token that is over soon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Machine, Token, proof::statement};
use crate::model::MachineId;

/// `POST challenge`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeRequest {
    /// Who is going to sign it. Whether there is such a worker is not told.
    pub worker_id: MachineId,
}

/// Answer of `POST challenge`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeResponse {
    /// What is to be signed along with the next request; it is good once.
    pub challenge: String,
    /// For how long it is good, in milliseconds.
    pub ttl_ms: u64,
}

/// `POST session`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionRequest {
    /// Which worker.
    pub worker_id: MachineId,
    /// What the server answered to `POST challenge`.
    pub challenge: String,
    /// Made anew by each process.
    pub instance: Uuid,
    /// The machine it runs on.
    pub machine: Machine,
    /// octarm's version, for people.
    pub version: String,
    /// Whether this process had the session before. It then gets it only while no other process has it: one that was
    /// superseded must not take it back by going on.
    #[serde(default)]
    pub renewal: bool,
    /// The worker's signature, in hexadecimal digits.
    pub signature: String,
}

impl SessionRequest {
    /// What the signature is of.
    pub fn statement(&self, installation: Uuid) -> Vec<u8> {
        statement(
            "octarm worker session v1",
            &[
                &installation.to_string(),
                &self.worker_id.to_string(),
                &self.challenge,
                &self.instance.to_string(),
                &self.machine.host,
                &self.machine.id,
                &self.version,
                if self.renewal { "renewal" } else { "start" },
            ],
        )
    }
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
    /// What this process shows from now on.
    pub token: Token,
    /// For how long, in milliseconds.
    pub token_ttl_ms: u64,
}

/// `POST check`. Signed, so that it needs no session: it takes none from the process that runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CheckRequest {
    /// Which worker.
    pub worker_id: MachineId,
    /// What the server answered to `POST challenge`.
    pub challenge: String,
    /// The machine that asks.
    pub machine: Machine,
    /// The worker's signature, in hexadecimal digits.
    pub signature: String,
}

impl CheckRequest {
    /// What the signature is of.
    pub fn statement(&self, installation: Uuid) -> Vec<u8> {
        statement(
            "octarm worker check v1",
            &[
                &installation.to_string(),
                &self.worker_id.to_string(),
                &self.challenge,
                &self.machine.host,
                &self.machine.id,
            ],
        )
    }
}

/// Answer of `POST check`: what the server knows the worker as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResponse {
    /// The worker's id.
    pub worker_id: MachineId,
    /// Its name.
    pub name: String,
    /// The environment it is bound to.
    pub environment: String,
    /// Whether it is handed nothing.
    pub is_disabled: bool,
}
