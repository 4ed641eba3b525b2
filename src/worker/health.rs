//! How a worker is: whether its loop comes round, what it does and what came of that. Systemd is told as it happens, and
//! those who ask over HTTP are given a report.
//!
//! Only the loop that asks for deployments may say that it is alive. While it waits for one to end, since there is room
//! for no more or since it drains, it comes round whenever a lease was renewed or a poll for cancels was answered: what
//! takes long must not look like what hangs, and a timer of its own would prove nothing.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::Instant};

use super::reload::Live;
use crate::{
    aws::Pace,
    client::ClientError,
    health::{Metrics, Report},
    model::Outcome,
    protocol::Assignment,
    systemd::Unit,
    template::Variables,
};

/// The longest that a poll for work may last, whatever the server would like: one that lasts longer could not be told
/// from one that hangs.
pub(super) const LONGEST_POLL: Duration = Duration::from_mins(1);
/// The longest that the loop waits for anything else without coming round.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After so long without coming round it hangs: a poll, the patience for its answer, and a pause, with room.
const ALIVE: Duration = Duration::from_mins(2);

/// How the worker of this process is. Clones are the same.
#[derive(Debug, Clone)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    unit: Unit,
    started: SystemTime,
    /// Somebody else came round for whom the loop waits.
    prodded: Notify,
    state: Mutex<State>,
    counts: Counts,
}

#[derive(Debug)]
struct State {
    round: Instant,
    contact: Option<Instant>,
    stage: Stage,
    /// Why no work is taken, though the session stands.
    refusing: Option<String>,
    /// What runs, by its number.
    running: Vec<(u64, String)>,
    next: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// No session stands yet.
    Starting,
    /// The server does not answer as it should.
    Away(String),
    /// The session stands.
    Polling,
    Draining,
}

#[derive(Debug, Default)]
struct Counts {
    polls: AtomicU64,
    poll_failures: AtomicU64,
    renewals: AtomicU64,
    renewal_failures: AtomicU64,
    leases_lost: AtomicU64,
    log_bytes: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    unknown: AtomicU64,
    unreported: AtomicU64,
}

/// A deployment that runs, for as long as this lives.
#[derive(Debug)]
pub(super) struct Shown {
    health: Health,
    number: u64,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.health.state().running.retain(|(number, _)| *number != self.number);
        self.health.show();
    }
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
            next: 0,
        };
        Self(Arc::new(Inner {
            unit,
            started: SystemTime::now(),
            prodded: Notify::new(),
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
        self.note_contact(answer.is_ok());
        self.0.prodded.notify_one();
    }

    /// How long a lease may go without a renewal, however long its term: while the loop waits for deployments, renewals are
    /// what the watchdog hears of it.
    pub(super) fn renews_within(&self) -> Duration {
        self.0.unit.watchdog().map_or(Duration::MAX, |patience| patience / 3)
    }

    /// A lease was to be renewed.
    pub(super) fn renewed<T>(&self, answer: &Result<T, ClientError>) {
        self.note_contact(answer.is_ok());
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
        self.note_contact(true);
        self.0.counts.log_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// The server was asked for work.
    pub(super) fn polled<T>(&self, answer: &Result<T, ClientError>) {
        let counts = &self.0.counts;
        counts.polls.fetch_add(1, Relaxed);
        let stage = match answer {
            Ok(_) => Stage::Polling,
            Err(error) => {
                counts.poll_failures.fetch_add(1, Relaxed);
                Stage::Away(error.to_string())
            }
        };
        self.note_contact(answer.is_ok());
        self.enter(stage);
    }

    /// Whether work is taken, or why not.
    pub(super) fn refusing(&self, reason: Option<String>) {
        self.state().refusing = reason;
    }

    /// The session stands.
    pub(super) fn session_stands(&self) {
        self.note_contact(true);
        self.enter(Stage::Polling);
    }

    /// Nothing more is taken.
    pub(super) fn draining(&self) {
        self.state().stage = Stage::Draining;
        self.0.unit.stopping(&self.status());
    }

    /// A deployment runs.
    pub(super) fn deploying(&self, assignment: &Assignment) -> Shown {
        let variables: Variables = assignment.variables.iter().cloned().collect();
        let named = |name| variables.get(name).filter(|variable| !variable.sensitive);
        let value = |name| named(name).map(|variable| variable.value.as_str());
        let package = &assignment.package;
        let project = value("Octopus.Project.Name").unwrap_or(&package.id);
        let release = value("Octopus.Release.Number").unwrap_or(&package.version);
        let mut text = format!("{project} {release}");
        if let Some(environment) = value("Octopus.Environment.Name") {
            text.push_str(" to ");
            text.push_str(environment);
        }
        let number = {
            let mut state = self.state();
            let number = state.next;
            state.next += 1;
            state.running.push((number, text));
            number
        };
        self.show();
        Shown { health: self.clone(), number }
    }

    /// A deployment has ended, and the server has its end or could not be told.
    pub(super) fn ended(&self, outcome: Option<&Outcome>) {
        let counts = &self.0.counts;
        let count = match outcome {
            Some(Outcome::Success { .. }) => &counts.succeeded,
            Some(Outcome::Failed { .. }) => &counts.failed,
            Some(Outcome::Cancelled { .. }) => &counts.cancelled,
            Some(Outcome::Unknown { .. }) => &counts.unknown,
            None => &counts.unreported,
        };
        count.fetch_add(1, Relaxed);
    }

    /// All of it.
    pub(super) fn report(&self, live: &Live, pace: &Pace) -> Report {
        let silence = self.silence();
        let (contact, stage, refusing, running) = {
            let state = self.state();
            let contact = state.contact.map(|contact| contact.elapsed());
            let refusing = state.refusing.clone();
            (contact, state.stage.clone(), refusing, state.running.len())
        };
        let health = if silence < ALIVE {
            Ok(())
        } else {
            Err(format!("the loop that asks for deployments has not come round for {} s", silence.as_secs()))
        };
        let ready = match stage {
            Stage::Polling => health.clone().and_then(|()| refusing.map_or(Ok(()), Err)),
            Stage::Starting => Err("no session stands yet".to_owned()),
            Stage::Away(why) => Err(format!("the server gives no work: {why}")),
            Stage::Draining => Err("draining: nothing more is taken".to_owned()),
        };
        let metrics = self.metrics(running, contact, ready.is_ok(), live, pace);
        Report { health, ready, metrics }
    }

    fn metrics(
        &self,
        running: usize,
        contact: Option<Duration>,
        is_ready: bool,
        live: &Live,
        pace: &Pace,
    ) -> Metrics {
        let counts = &self.0.counts;
        let of = |count: &AtomicU64| count.load(Relaxed);
        let mut page = Metrics::begin(self.0.started);
        let outcomes = [
            ("success", of(&counts.succeeded)),
            ("failed", of(&counts.failed)),
            ("cancelled", of(&counts.cancelled)),
            ("unknown", of(&counts.unknown)),
            ("unreported", of(&counts.unreported)),
        ];
        page.counters("octarm_worker_deployments_total", "Deployments that ended.", "outcome", outcomes);
        page.gauge("octarm_worker_deployments_running", "Deployments that run.", float(running));
        let concurrency = float(live.now().concurrency.get());
        page.gauge("octarm_worker_concurrency", "Deployments that may run at a time.", concurrency);
        page.gauge(
            "octarm_worker_ready",
            "1 while new deployments are taken.",
            f64::from(u8::from(is_ready)),
        );
        page.counter(
            "octarm_worker_polls_total",
            "Times that the server was asked for work.",
            of(&counts.polls),
        );
        let failures = of(&counts.poll_failures);
        page.counter(
            "octarm_worker_poll_failures_total",
            "Times that it did not answer as it should.",
            failures,
        );
        if let Some(silence) = contact {
            page.gauge(
                "octarm_worker_seconds_since_contact",
                "Seconds since the server last answered as it should.",
                silence.as_secs_f64(),
            );
        }
        page.counter("octarm_worker_lease_renewals_total", "Leases that were renewed.", of(&counts.renewals));
        let failures = of(&counts.renewal_failures);
        page.counter("octarm_worker_lease_renewal_failures_total", "Renewals that failed.", failures);
        page.counter("octarm_worker_leases_lost_total", "Leases that were lost.", of(&counts.leases_lost));
        let bytes = of(&counts.log_bytes);
        page.counter(
            "octarm_worker_log_bytes_total",
            "Bytes of deployments' logs that the server has.",
            bytes,
        );
        let (calls, throttled) = pace.counts();
        page.counter(
            "octarm_worker_lambda_calls_total",
            "Calls of Lambda whose number AWS limits: changes and GetFunction.",
            calls,
        );
        let help = "Those of them that AWS refused as too many.";
        page.counter("octarm_worker_lambda_throttles_total", help, throttled);
        page
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
            self.show();
        }
    }

    fn show(&self) {
        self.0.unit.status(&self.status());
    }

    fn status(&self) -> String {
        let state = self.state();
        let stage = match &state.stage {
            Stage::Starting => "starting".to_owned(),
            Stage::Away(why) => format!("trying again: {why}"),
            Stage::Polling if state.running.is_empty() => "polling".to_owned(),
            Stage::Polling => String::new(),
            Stage::Draining => "draining".to_owned(),
        };
        let running: Vec<&str> = state.running.iter().map(|(_, text)| text.as_str()).collect();
        match (running.is_empty(), stage.is_empty()) {
            (true, _) => stage,
            (false, true) => format!("deploying {}", running.join(", ")),
            (false, false) => format!("{stage}; deploying {}", running.join(", ")),
        }
    }

    fn note_contact(&self, is_good: bool) {
        if is_good {
            self.state().contact = Some(Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
