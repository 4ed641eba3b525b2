//! Registering a worker, and deregistering it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Machine,
    proof::{PublicKey, statement},
};
use crate::model::{DeploymentId, MachineId};

/// `POST register`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RegisterRequest {
    /// The worker's name, unique in its environment without regard to case.
    #[schemars(length(min = 1), example = "orders-1")]
    pub name: String,
    /// The environment, by name or id. A registration token knows its own: then it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = "Environments-1")]
    pub environment: Option<String>,
    /// The environment's space, by name or id; else the only one that the API key reaches, else the first one. A
    /// registration token knows its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The machine it runs on.
    pub machine: Machine,
    /// The public half of the worker's key pair.
    pub public_key: PublicKey,
    /// Take the name over from another machine or another key; that key stops working.
    #[serde(default)]
    pub replace: bool,
    /// When the worker is new: deploy the projects' current releases for its environment.
    #[serde(default)]
    pub deploy_current: bool,
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
    /// Which installation it is registered at: what the worker signs is meant for this one.
    pub installation: Uuid,
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

/// `POST deregister`. Signed, so that it needs no session: whoever deregisters need not be the process that runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeregisterRequest {
    /// Which worker.
    pub worker_id: MachineId,
    /// What the server answered to `POST challenge`.
    pub challenge: String,
    /// The machine that asks. A clone of the worker's disk is another one, and does not send the worker away.
    pub machine: Machine,
    /// At once, from any machine, also while it holds a lease. Else it is asked to leave: it gets nothing new and is gone once it has
    /// reported the end of what it runs.
    #[serde(default)]
    pub force: bool,
    /// How long to wait until it is gone, in milliseconds. The server waits no longer than for a worker's poll, and then
    /// answers that it is still there: ask again.
    #[serde(default)]
    pub wait_ms: u64,
    /// The worker's signature, in hexadecimal digits.
    pub signature: String,
}

impl DeregisterRequest {
    /// What the signature is of.
    pub fn statement(&self, installation: Uuid) -> Vec<u8> {
        statement(
            "octarm worker deregistration v1",
            &[
                &installation.to_string(),
                &self.worker_id.to_string(),
                &self.challenge,
                &self.machine.host,
                &self.machine.id,
                if self.force { "force" } else { "drain" },
                &self.wait_ms.to_string(),
            ],
        )
    }
}

/// Answer of `POST deregister`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeregisterResponse {
    /// Whether it is registered no more. Else it is leaving: ask again.
    pub gone: bool,
    /// What it still runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<DeploymentId>,
}
