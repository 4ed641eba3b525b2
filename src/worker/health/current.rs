//! The deployments that run, each with what is being done for it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{super::trace::Trace, Health};
use crate::{
    deploy::{Lease, Moment, Progress, Stop},
    model::{DeploymentId, Fence, Outcome},
    protocol::Assignment,
    template::Variables,
};

/// A deployment that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Which.
    pub deployment: DeploymentId,
    /// Its hand-out.
    pub fence: Fence,
    /// Of which project.
    pub project: Option<String>,
    /// Which release of it.
    pub release: Option<String>,
    /// Id and version of its package.
    pub package: String,
    /// What is being done.
    pub phase: Phase,
    /// When the worker took it.
    pub since: Timestamp,
    /// Since when it is in its phase.
    pub phase_since: Timestamp,
    /// When its lease ends, in milliseconds since the machine started: a clock that nobody sets. None before the first
    /// renewal.
    lease_end_ms: Option<u64>,
}

impl Current {
    /// How long its lease lasts from now on.
    pub fn lease_left(&self) -> Option<Duration> {
        let end = self.lease_end_ms?;
        Some(Duration::from_millis(end.saturating_sub(Moment::now().milliseconds())))
    }
}

/// What is being done for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was taken, nothing is begun.
    Taken,
    /// Its package is on its way here.
    Fetching,
    /// Between two of the others.
    Working,
    /// Its package is checked and repacked.
    Repacking,
    /// AWS is asked what is there.
    Asking,
    /// Its code is on its way to AWS.
    Sending,
    /// Lambda works on it.
    Settling,
    /// Its end is on its way to the server.
    Reporting,
}

impl Phase {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Fetching => "fetching the package",
            Self::Working => "working",
            Self::Repacking => "repacking",
            Self::Asking => "asking AWS what is there",
            Self::Sending => "sending the code",
            Self::Settling => "waiting for Lambda",
            Self::Reporting => "reporting the end",
        }
    }
}

impl From<Progress> for Phase {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Repacking => Self::Repacking,
            Progress::Asking => Self::Asking,
            Progress::Sending { .. } => Self::Sending,
            Progress::Settling => Self::Settling,
            Progress::Idle => Self::Working,
        }
    }
}

/// One of them as this process knows it.
#[derive(Debug)]
pub(super) struct Entry {
    current: Current,
    lease: Option<Lease>,
    trace: Arc<Trace>,
    /// What and where, in a few words.
    pub(super) text: String,
}

impl Entry {
    /// One that was taken just now.
    pub(super) fn of(assignment: &Assignment) -> Self {
        let variables: Variables = assignment.variables.iter().cloned().collect();
        let value = |name| {
            let found = variables.get(name).filter(|variable| !variable.sensitive);
            found.map(|variable| variable.value.clone())
        };
        let (project, release) = (value("Octopus.Project.Name"), value("Octopus.Release.Number"));
        let package = &assignment.package;
        let mut text = format!(
            "{} {}",
            project.as_ref().unwrap_or(&package.id),
            release.as_ref().unwrap_or(&package.version)
        );
        let environment = value("Octopus.Environment.Name");
        if let Some(environment) = &environment {
            text.push_str(" to ");
            text.push_str(environment);
        }
        let now = Timestamp::now();
        let current = Current {
            deployment: assignment.deployment,
            fence: assignment.fence,
            project,
            release,
            package: format!("{} {}", package.id, package.version),
            phase: Phase::Taken,
            since: now,
            phase_since: now,
            lease_end_ms: None,
        };
        let trace = Arc::new(Trace::begin(&current, assignment.task, environment.as_deref()));
        Self { current, lease: None, trace, text }
    }

    /// As it is now.
    pub(super) fn current(&self) -> Current {
        let left = self.lease.as_ref().map(|lease| u64::try_from(lease.left().as_millis()));
        let lease_end_ms =
            left.map(|left| Moment::now().milliseconds().saturating_add(left.unwrap_or(u64::MAX)));
        Current { lease_end_ms, ..self.current.clone() }
    }

    fn hand_out(&self) -> (DeploymentId, Fence) {
        (self.current.deployment, self.current.fence)
    }
}

/// A deployment that is known to run for as long as this lives.
#[derive(Debug)]
pub(in crate::worker) struct Shown {
    health: Health,
    hand_out: (DeploymentId, Fence),
    trace: Arc<Trace>,
}

impl Shown {
    pub(super) fn new(health: &Health, entry: Entry) -> Self {
        let (hand_out, trace) = (entry.hand_out(), Arc::clone(&entry.trace));
        health.state().running.push(entry);
        health.changed();
        Self { health: health.clone(), hand_out, trace }
    }

    /// What is being done now.
    pub(in crate::worker) fn phase(&self, phase: Phase) {
        self.trace.phase(phase);
        self.change(|Entry { current, .. }| {
            if std::mem::replace(&mut current.phase, phase) != phase {
                current.phase_since = Timestamp::now();
            }
        });
    }

    /// How the work ended.
    pub(in crate::worker) fn ended(&self, outcome: &Result<Outcome, Stop>) {
        self.trace.ended(outcome);
    }

    /// By what right.
    pub(in crate::worker) fn lease(&self, lease: &Lease) {
        self.change(|entry| entry.lease = Some(lease.clone()));
    }

    fn change(&self, change: impl Fn(&mut Entry)) {
        let mut state = self.health.state();
        state.running.iter_mut().filter(|entry| entry.hand_out() == self.hand_out).for_each(change);
        drop(state);
        self.health.0.changed.notify_one();
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.health.state().running.retain(|entry| entry.hand_out() != self.hand_out);
        self.health.changed();
    }
}
