//! The right to change AWS: a live lease and a journal that is safely written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Lane, Lanes, Log};
use crate::model::JournalRecord;

/// No call that changes something is begun in the last part of a lease.
const SAFETY: Duration = Duration::from_secs(5);

/// Why a deployment must stop before its next change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Somebody asked to cancel.
    #[error("cancelled on request")]
    Cancelled,
    /// The lease is gone: somebody else may have the deployment now.
    #[error("the lease of this deployment is lost: somebody else may have taken it over")]
    LeaseLost,
    /// The server does not take the journal's record, and without it nothing may be changed.
    #[error("the journal cannot be recorded at the server, and without it nothing may be changed: {0}")]
    Unrecorded(String),
}

/// When a lease ends, on a clock that runs on while the machine is suspended.
#[derive(Debug, Clone)]
pub struct Lease {
    end: Arc<AtomicU64>,
    safety: Duration,
}

/// A moment on that clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment(u64);

impl Moment {
    /// Now, in milliseconds since the machine started, suspended time included.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let milliseconds = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or_default();
        Self(seconds * 1000 + milliseconds)
    }

    /// In milliseconds since the machine started.
    pub fn milliseconds(self) -> u64 {
        self.0
    }
}

impl Lease {
    /// A lease of `term`, counted from `sent`: the moment *before* the request that got it was sent.
    pub fn new(sent: Moment, term: Duration) -> Self {
        let end = Arc::new(AtomicU64::new(end(sent, term)));
        Self { end, safety: SAFETY.min(term / 4) }
    }

    /// The server renewed it.
    pub fn renew(&self, sent: Moment, term: Duration) {
        // One that was lost stays lost, also when an earlier renewal's answer comes late.
        let later = |old: u64| (old != 0).then(|| old.max(end(sent, term)));
        let _ = self.end.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// The server said that it is gone.
    pub fn lose(&self) {
        self.end.store(0, Ordering::SeqCst);
    }

    /// How long it still lasts; zero when it is over.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.end.load(Ordering::SeqCst).saturating_sub(Moment::now().0))
    }

    /// Whether a change may be begun.
    pub fn allows_change(&self) -> bool {
        self.left() > self.safety
    }
}

fn end(sent: Moment, term: Duration) -> u64 {
    sent.0.saturating_add(u64::try_from(term.as_millis()).unwrap_or(u64::MAX))
}

/// A journal record on its way to whoever keeps the journal.
#[derive(Debug)]
pub struct JournalWrite {
    /// The fact.
    pub record: JournalRecord,
    /// Answered when the record is safe, here and at the server.
    pub done: oneshot::Sender<Result<(), Stop>>,
}

/// Who watches over a deployment.
#[derive(Debug)]
pub enum Guard {
    /// A worker: changes need a live lease and a journal that the server has.
    Leased {
        /// The lease.
        lease: Lease,
        /// Where journal records go.
        journal: mpsc::Sender<JournalWrite>,
        /// Cancelled when somebody asks for it.
        cancel: CancellationToken,
        /// What else this process deploys.
        lanes: Lanes,
    },
    /// The one-shot command: nobody else holds anything.
    Alone {
        /// Cancelled by Ctrl-C.
        cancel: CancellationToken,
    },
}

impl Guard {
    /// Whether to go on. Asked between all acts and during waits.
    pub fn check(&self) -> Result<(), Stop> {
        match self {
            Self::Leased { lease, cancel, .. } => {
                if lease.left().is_zero() {
                    return Err(Stop::LeaseLost);
                }
                if cancel.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
            }
            Self::Alone { cancel } if cancel.is_cancelled() => Err(Stop::Cancelled),
            Self::Alone { .. } => Ok(()),
        }
    }

    /// Whether a change may be begun now. Asked immediately before each call that changes something.
    pub fn allow_change(&self) -> Result<(), Stop> {
        self.check()?;
        match self {
            Self::Leased { lease, .. } if !lease.allows_change() => Err(Stop::LeaseLost),
            _ => Ok(()),
        }
    }

    /// Writes a record; returns when it is safe.
    pub async fn record(&self, record: JournalRecord) -> Result<(), Stop> {
        let Self::Leased { journal, .. } = self else { return Ok(()) };
        let (done, wait) = oneshot::channel();
        journal.send(JournalWrite { record, done }).await.map_err(|_| Stop::LeaseLost)?;
        wait.await.unwrap_or(Err(Stop::LeaseLost))
    }

    /// Waits until no other deployment of this process is at the function; where `is_cancellable`, a cancel ends that.
    pub(super) async fn lane(
        &self,
        function: &str,
        log: &Log,
        is_cancellable: bool,
    ) -> Result<Option<Lane>, Stop> {
        let Self::Leased { lanes, cancel, .. } = self else { return Ok(None) };
        if let Some(lane) = lanes.try_enter(function) {
            return Ok(Some(lane));
        }
        log.info("another deployment of this worker is at the same function: waiting for its end");
        let lane = lanes.enter(function);
        if !is_cancellable {
            return Ok(Some(lane.await));
        }
        tokio::select! {
            lane = lane => Ok(Some(lane)),
            () = cancel.cancelled() => Err(Stop::Cancelled),
        }
    }

    /// Waits, or stops as soon as there is a reason to.
    pub async fn pause(&self, time: Duration) -> Result<(), Stop> {
        let (Self::Leased { cancel, .. } | Self::Alone { cancel }) = self;
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_before_the_request_and_ends_with_a_margin() {
        let now = Moment::now();
        let lease = Lease::new(now, Duration::from_mins(1));
        assert!(lease.allows_change() && lease.left() <= Duration::from_mins(1));
        let old = Lease::new(Moment(now.0.saturating_sub(57_000)), Duration::from_mins(1));
        assert!(!old.allows_change(), "three seconds are left, five are the margin");
        old.renew(now, Duration::from_mins(1));
        assert!(old.allows_change());
        old.lose();
        old.renew(now, Duration::from_mins(1));
        assert_eq!(old.left(), Duration::ZERO, "a late answer does not bring it back");
    }
}
