//! How a deployment ended: data, stored and shown the same by worker, server and command line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deployment::TaskState;

/// Why a deployment did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The step that failed, in words (`update code`).
    pub step: String,
    /// What was done to what, and what came back; causes from the outside in, none repeated.
    pub messages: Vec<String>,
    /// What to do about it, where we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// The whole in one line, for a task's `ErrorMessage`.
    pub fn to_line(&self) -> String {
        let mut line = self.messages.join(": ");
        if let Some(hint) = &self.hint {
            line.push_str(" (hint: ");
            line.push_str(hint);
            line.push(')');
        }
        line
    }
}

/// The end of a deployment as its worker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "result")]
pub enum Outcome {
    /// All steps did what they should.
    Success {
        /// What was reached, in one line.
        summary: String,
    },
    /// A step failed; nothing is left half done by us.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Cancelled at a safe point.
    Cancelled {
        /// What state it left.
        summary: String,
    },
    /// Nobody could establish what happened: a person must look. Shown as Failed with a text that starts `unknown:`.
    Unknown {
        /// What is known.
        failure: Failure,
    },
}

impl Outcome {
    /// The task state that this outcome becomes on the server.
    pub fn task_state(&self) -> TaskState {
        match self {
            Self::Success { .. } => TaskState::Success,
            Self::Failed { .. } | Self::Unknown { .. } => TaskState::Failed,
            Self::Cancelled { .. } => TaskState::Canceled,
        }
    }

    /// The task's `ErrorMessage`; none for a success.
    pub fn error_message(&self) -> Option<String> {
        match self {
            Self::Success { .. } => None,
            Self::Failed { failure } => Some(failure.to_line()),
            Self::Cancelled { summary } => Some(summary.clone()),
            Self::Unknown { failure } => Some(format!("unknown: {}", failure.to_line())),
        }
    }

    /// One line for the end of a log.
    pub fn summary(&self) -> String {
        match self {
            Self::Success { summary } | Self::Cancelled { summary } => summary.clone(),
            Self::Failed { .. } | Self::Unknown { .. } => self.error_message().unwrap_or_default(),
        }
    }
}
