//! What a collector of traces is told of a deployment: which it is, how long each of its phases took, and how it ended.
//!
//! The spans are made and never entered, so that the worker's own log reads as it would without them. None holds a
//! value that somebody gave or a line of a deployment's log: those may be secret, and a collector redacts nothing.

use std::sync::{Mutex, PoisonError};

use tracing::{Span, field::Empty, info_span};

use super::health::{Current, Phase};
use crate::{
    deploy::Stop,
    model::{Outcome, TaskId},
};

/// A deployment's span, and that of the phase it is in. Both end when this is dropped, without an outcome where the
/// deployment was given back or its process ends before it.
#[derive(Debug)]
pub(super) struct Trace {
    deployment: Span,
    phase: Mutex<(Phase, Span)>,
}

impl Trace {
    /// Of a deployment that was taken.
    pub(super) fn begin(current: &Current, task: TaskId, environment: Option<&str>) -> Self {
        let deployment = info_span!(
            target: "octarm::deployment", parent: None, "deployment",
            deployment = %current.deployment, %task, project = current.project, release = current.release,
            environment, fence = %current.fence, outcome = Empty, otel.status_code = Empty,
        );
        Self { deployment, phase: Mutex::new((Phase::Taken, Span::none())) }
    }

    /// The phase before ends with this one's begin.
    pub(super) fn phase(&self, phase: Phase) {
        let mut current = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != phase {
            *current = (phase, self.span(phase));
        }
    }

    fn span(&self, phase: Phase) -> Span {
        // A macro for each, since a span's name is a constant.
        macro_rules! child {
            ($name:literal) => {
                info_span!(target: "octarm::deployment", parent: &self.deployment, $name)
            };
        }
        match phase {
            Phase::Taken | Phase::Working => Span::none(),
            Phase::Fetching => child!("fetch"),
            Phase::Repacking => child!("repack"),
            Phase::Asking => child!("observe"),
            Phase::Sending => child!("update"),
            Phase::Settling => child!("settle"),
            Phase::Reporting => child!("report"),
        }
    }

    /// How it ended, in one word: what else there is to say may hold what AWS answered.
    pub(super) fn ended(&self, outcome: &Result<Outcome, Stop>) {
        let (outcome, status) = match outcome {
            Ok(Outcome::Success { .. }) => ("success", Some("OK")),
            Ok(Outcome::Failed { .. }) => ("failed", Some("ERROR")),
            // Somebody wished it: neither.
            Ok(Outcome::Cancelled { .. }) => ("cancelled", None),
            Ok(Outcome::Unknown { .. }) => ("unknown", Some("ERROR")),
            Err(_) => ("stopped", Some("ERROR")),
        };
        self.deployment.record("outcome", outcome).record("otel.status_code", status);
    }
}
