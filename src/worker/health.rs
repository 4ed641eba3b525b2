//! How a worker is: whether its loop comes round, what it does and what came of that. Systemd is told as it happens,
//! those who ask over HTTP are given a report, and the status file says the same.
//!
//! Only the loop that asks for deployments may say that it is alive. While it waits for one to end, since there is room
//! for no more or since it drains, it comes round whenever a lease was renewed or a poll for cancels was answered: what
//! takes long must not look like what hangs, and a timer of its own would prove nothing.

mod current;
mod metrics;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

pub(super) use self::current::Shown;
pub use self::current::{Current, Phase};
use self::{current::Entry, metrics::Counts};
use super::reload::Live;
use crate::{
    aws::Pace,
    client::ClientError,
    health::Report,
    model::{Outcome, chain},
    protocol::{Assignment, ErrorCode},
    systemd::Unit,
};

/// The longest that a poll for work may last, whatever the server would like: one that lasts longer could not be told
/// from one that hangs.
pub(super) const LONGEST_POLL: Duration = Duration::from_mins(1);
/// The longest that the loop waits for anything else without coming round.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After so long without coming round it hangs: a poll, the patience for its answer, and a pause, with room.
const ALIVE: Duration = Duration::from_mins(2);
/// How exactly the time of the last contact is kept for those who read it.
const TICK: Duration = Duration::from_secs(1);
const FOLLOWING: &str = "an earlier process of it still holds a lease, and its end is waited for";

/// How the worker of this process is. Clones are the same.
#[derive(Debug, Clone)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    unit: Unit,
    started: Timestamp,
    /// Somebody else came round for whom the loop waits.
    prodded: Notify,
    /// What is known is another now.
    changed: Notify,
    state: Mutex<State>,
    counts: Counts,
}

#[derive(Debug)]
struct State {
    round: Instant,
    /// When the server last answered as it should: by a clock that nobody sets, and for people.
    contact: Option<(Instant, Timestamp)>,
    stage: Stage,
    /// Why no work is taken, though the session stands.
    refusing: Option<String>,
    running: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// No session stands yet.
    Starting,
    /// The end of an earlier process is waited for, which holds a lease.
    Following,
    /// The server does not answer as it should.
    Away(String),
    /// The session stands.
    Polling,
    Draining,
}

impl Health {
    /// Of a worker that starts.
    pub fn new(unit: Unit) -> Self {
        if let Some(patience) = unit.watchdog().filter(|patience| *patience < ALIVE) {
            tracing::warn!(
                watchdog_seconds = patience.as_secs_f32(),
                "WatchdogSec is too short: a server that does not answer can hold the loop for up to {} seconds",
                ALIVE.as_secs()
            );
        }
        let state = State {
            round: Instant::now(),
            contact: None,
            stage: Stage::Starting,
            refusing: None,
            running: Vec::new(),
        };
        Self(Arc::new(Inner {
            unit,
            started: Timestamp::now(),
            prodded: Notify::new(),
            changed: Notify::new(),
            state: Mutex::new(state),
            counts: Counts::default(),
        }))
    }

    /// The loop came round.
    pub(super) fn round(&self) {
        self.state().round = Instant::now();
        self.0.unit.alive();
    }

    /// For how long it has not.
    pub(super) fn silence(&self) -> Duration {
        self.state().round.elapsed()
    }

    /// Returns when a lease was renewed or a poll for cancels was answered, however.
    pub(super) async fn prodded(&self) {
        self.0.prodded.notified().await;
    }

    /// A poll for cancels was answered.
    pub(super) fn watched<T>(&self, answer: &Result<T, ClientError>) {
        self.note_contact(answer);
        self.0.prodded.notify_one();
    }

    /// How long a lease may go without a renewal, however long its term: while the loop waits for deployments, renewals are
    /// what the watchdog hears of it.
    pub(super) fn renews_within(&self) -> Duration {
        self.0.unit.watchdog().map_or(Duration::MAX, |patience| patience / 3)
    }

    /// A lease was to be renewed.
    pub(super) fn renewed<T>(&self, answer: &Result<T, ClientError>) {
        self.note_contact(answer);
        let counts = &self.0.counts;
        if answer.is_ok() { &counts.renewals } else { &counts.renewal_failures }.fetch_add(1, Relaxed);
        self.0.prodded.notify_one();
    }

    /// A lease is lost.
    pub(super) fn lease_lost(&self) {
        self.0.counts.leases_lost.fetch_add(1, Relaxed);
    }

    /// So much of a log is on the server.
    pub(super) fn log_sent(&self, bytes: usize) {
        self.contact();
        self.0.counts.log_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// The server was asked for work.
    pub(super) fn polled<T>(&self, answer: &Result<T, ClientError>) {
        let counts = &self.0.counts;
        counts.polls.fetch_add(1, Relaxed);
        let stage = match answer {
            Ok(_) => Stage::Polling,
            Err(error) if error.code() == Some(ErrorCode::SessionLive) => Stage::Following,
            Err(error) => {
                counts.poll_failures.fetch_add(1, Relaxed);
                Stage::Away(chain(error))
            }
        };
        if !matches!(stage, Stage::Away(_)) {
            self.contact();
        }
        self.enter(stage);
    }

    /// The server is busy, and is left alone for a time.
    pub(super) fn leaving_alone(&self) {
        // Whoever was answered so itself knows more of it.
        if self.state().stage == Stage::Polling {
            self.enter(Stage::Away("it is busy, and is left alone for as long as it asks".to_owned()));
        }
    }

    /// Whether work is taken, or why not.
    pub(super) fn refusing(&self, reason: Option<String>) {
        let mut state = self.state();
        if state.refusing != reason {
            state.refusing = reason;
            self.0.changed.notify_one();
        }
    }

    /// The session stands.
    pub(super) fn session_stands(&self) {
        self.contact();
        self.enter(Stage::Polling);
    }

    /// Nothing more is taken.
    pub(super) fn draining(&self) {
        self.state().stage = Stage::Draining;
        self.changed();
    }

    /// The end has begun: from now on systemd counts the time for it.
    pub(super) fn stopping(&self) {
        self.0.unit.stopping(&self.status());
    }

    /// A deployment runs.
    pub(super) fn deploying(&self, assignment: &Assignment) -> Shown {
        Shown::new(self, Entry::of(assignment))
    }

    /// A deployment has ended, and the server has its end or could not be told.
    pub(super) fn ended(&self, outcome: Option<&Outcome>) {
        self.0.counts.ended(outcome);
    }

    /// All of it.
    pub(super) fn report(&self, live: &Live, pace: &Pace) -> Report {
        let silence = self.silence();
        let (contact, stage, refusing, running) = {
            let state = self.state();
            let contact = state.contact.map(|(contact, _)| contact.elapsed());
            (contact, state.stage.clone(), state.refusing.clone(), state.running.len())
        };
        let health = if silence < ALIVE {
            Ok(())
        } else {
            Err(format!("the loop that asks for deployments has not come round for {} s", silence.as_secs()))
        };
        let ready = match stage {
            Stage::Polling => health.clone().and_then(|()| refusing.map_or(Ok(()), Err)),
            Stage::Starting => Err("no session stands yet".to_owned()),
            Stage::Following => Err(FOLLOWING.to_owned()),
            Stage::Away(why) => Err(format!("the server gives no work: {why}")),
            Stage::Draining => Err("draining: nothing more is taken".to_owned()),
        };
        let metrics = self.0.counts.page(self.0.started, running, contact, ready.is_ok(), live, pace);
        Report { health, ready, metrics }
    }

    /// When this process started.
    pub(super) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// When the server last answered as it should.
    pub(super) fn last_contact(&self) -> Option<Timestamp> {
        self.state().contact.map(|(_, contact)| contact)
    }

    /// All that runs.
    pub(super) fn running(&self) -> Vec<Current> {
        self.state().running.iter().map(Entry::current).collect()
    }

    /// Whether nothing more is taken.
    pub(super) fn is_draining(&self) -> bool {
        self.state().stage == Stage::Draining
    }

    /// Why no work is taken, though there is room.
    pub(super) fn hindrance(&self) -> Option<String> {
        let state = self.state();
        match &state.stage {
            Stage::Following => Some(FOLLOWING.to_owned()),
            Stage::Away(why) => Some(format!("the server does not answer as it should: {why}")),
            Stage::Polling => state.refusing.clone(),
            Stage::Starting | Stage::Draining => None,
        }
    }

    /// Returns when something of this is another than when this was last waited for. For one who waits.
    pub(super) async fn has_changed(&self) {
        self.0.changed.notified().await;
    }

    fn enter(&self, stage: Stage) {
        let is_new = {
            let mut state = self.state();
            let is_new = state.stage != stage;
            state.stage = stage;
            is_new
        };
        if is_new {
            // Also when the server is away: that is no reason to hold up the start of a machine, and from now on the
            // watchdog looks after this process.
            self.0.unit.ready();
            self.changed();
        }
    }

    /// Tells systemd and whoever waits.
    fn changed(&self) {
        self.0.changed.notify_one();
        self.0.unit.status(&self.status());
    }

    fn status(&self) -> String {
        let state = self.state();
        let stage = match &state.stage {
            Stage::Starting => "starting".to_owned(),
            Stage::Following => "waiting for the end of an earlier process".to_owned(),
            Stage::Away(why) => format!("trying again: {why}"),
            Stage::Polling if state.running.is_empty() => "polling".to_owned(),
            Stage::Polling => String::new(),
            Stage::Draining => "draining".to_owned(),
        };
        let running: Vec<&str> = state.running.iter().map(|entry| entry.text.as_str()).collect();
        match (running.is_empty(), stage.is_empty()) {
            (true, _) => stage,
            (false, true) => format!("deploying {}", running.join(", ")),
            (false, false) => format!("{stage}; deploying {}", running.join(", ")),
        }
    }

    /// The server answered as it should.
    pub(super) fn contact(&self) {
        let now = Instant::now();
        let last = self.state().contact.replace((now, Timestamp::now()));
        // A server that lets no claim wait is asked several times a second.
        if last.is_none_or(|(last, _)| now - last >= TICK) {
            self.0.changed.notify_one();
        }
    }

    fn note_contact<T>(&self, answer: &Result<T, ClientError>) {
        if answer.is_ok() {
            self.contact();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
