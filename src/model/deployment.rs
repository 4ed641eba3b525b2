//! The one state machine of a deployment, and the seven task states that the outside sees.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a deployment stands. Stored in these words; Octopus clients see [`TaskState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentState {
    /// Waits for a worker of its environment, or for the deployment before it.
    Queued,
    /// A worker holds the lease.
    Leased,
    /// The lease ran out: it is handed out again only to reconcile.
    Lost,
    /// As leased, and somebody asked to cancel.
    Cancelling,
    /// Ended well.
    Success,
    /// Ended, not well.
    Failed,
    /// Ended on request.
    Canceled,
}

/// What may happen to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentEvent {
    /// A worker takes it.
    Claim,
    /// The lease ran out.
    Expire,
    /// Somebody asks to cancel.
    Cancel,
    /// The worker that holds it reports its end.
    Finish(TaskState),
    /// Nobody came back for it in time.
    GiveUp,
}

/// The event does not apply in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a deployment that is {state} cannot take the event {event:?}")]
pub struct Refused {
    /// Where it stands.
    pub state: DeploymentState,
    /// What was asked.
    pub event: DeploymentEvent,
}

impl DeploymentState {
    /// All states, in the order of a deployment's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Leased,
        Self::Lost,
        Self::Cancelling,
        Self::Success,
        Self::Failed,
        Self::Canceled,
    ];

    /// The state after `event`. Ended states take no event: an end is final.
    pub fn next(self, event: DeploymentEvent) -> Result<Self, Refused> {
        use DeploymentEvent as E;
        let refused = Err(Refused { state: self, event });
        match (self, event) {
            (Self::Queued | Self::Lost, E::Claim) => Ok(Self::Leased),
            // A lost deployment stays lost until somebody comes to find out; the wish to cancel is kept beside it.
            (Self::Leased | Self::Cancelling, E::Expire) | (Self::Lost, E::Cancel) => Ok(Self::Lost),
            (Self::Queued, E::Cancel) => Ok(Self::Canceled),
            (Self::Leased | Self::Cancelling, E::Cancel) => Ok(Self::Cancelling),
            (Self::Leased | Self::Cancelling, E::Finish(end)) => match end {
                TaskState::Success => Ok(Self::Success),
                TaskState::Failed | TaskState::TimedOut => Ok(Self::Failed),
                TaskState::Canceled => Ok(Self::Canceled),
                TaskState::Queued | TaskState::Executing | TaskState::Cancelling => refused,
            },
            (Self::Lost, E::GiveUp) => Ok(Self::Failed),
            _ => refused,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled)
    }

    /// What Octopus clients see.
    pub fn task_state(self) -> TaskState {
        match self {
            Self::Queued => TaskState::Queued,
            Self::Leased | Self::Lost => TaskState::Executing,
            Self::Cancelling => TaskState::Cancelling,
            Self::Success => TaskState::Success,
            Self::Failed => TaskState::Failed,
            Self::Canceled => TaskState::Canceled,
        }
    }

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Lost => "lost",
            Self::Cancelling => "cancelling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for DeploymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The states of a server task, in Octopus's spelling. No other may ever be sent: old clients fail on unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Not yet taken.
    Queued,
    /// Running, or its worker is silent.
    Executing,
    /// Running, cancel asked.
    Cancelling,
    /// Ended well.
    Success,
    /// Ended, not well.
    Failed,
    /// Ended on request.
    Canceled,
    /// Ended by a time limit.
    TimedOut,
}

impl TaskState {
    /// Whether the task has ended.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled | Self::TimedOut)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<DeploymentEvent> {
        use DeploymentEvent as E;
        let mut events = vec![E::Claim, E::Expire, E::Cancel, E::GiveUp];
        events.extend(
            [TaskState::Success, TaskState::Failed, TaskState::Canceled, TaskState::Executing].map(E::Finish),
        );
        events
    }

    #[test]
    fn ends_are_final() {
        for state in DeploymentState::ALL.into_iter().filter(|state| state.is_ended()) {
            for event in events() {
                assert_eq!(state.next(event), Err(Refused { state, event }));
            }
        }
    }

    #[test]
    fn the_whole_table() {
        let mut table = Vec::new();
        for state in DeploymentState::ALL.into_iter().filter(|state| !state.is_ended()) {
            for event in events() {
                if let Ok(next) = state.next(event) {
                    table.push(format!("{state} + {event:?} = {next}"));
                }
            }
        }
        insta::assert_snapshot!(table.join("\n"), @r"
        queued + Claim = leased
        queued + Cancel = canceled
        leased + Expire = lost
        leased + Cancel = cancelling
        leased + Finish(Success) = success
        leased + Finish(Failed) = failed
        leased + Finish(Canceled) = canceled
        lost + Claim = leased
        lost + Cancel = lost
        lost + GiveUp = failed
        cancelling + Expire = lost
        cancelling + Cancel = cancelling
        cancelling + Finish(Success) = success
        cancelling + Finish(Failed) = failed
        cancelling + Finish(Canceled) = canceled
        ");
    }

    #[test]
    fn stored_words_round_trip() {
        for state in DeploymentState::ALL {
            assert_eq!(DeploymentState::parse(state.as_str()), Some(state));
        }
    }
}
