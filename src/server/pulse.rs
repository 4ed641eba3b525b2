//! Whether a server's loops come round: the one that takes connections, and the one that ends leases, which asks the
//! database each time. The first tells systemd, as long as the second does not hang.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use crate::{
    health::{Door, Metrics, Report},
    systemd::Unit,
};

/// How often the loop that takes connections comes round though nobody connects.
pub(super) const TICK: Duration = Duration::from_secs(5);
/// After so long without coming round a loop hangs. A database that cannot be reached refuses within that time.
const ALIVE: Duration = Duration::from_mins(2);

/// Tells those who come through the door, for as long as the handle lives.
pub(super) fn answer(door: Door, shared: Shared) -> AbortOnDropHandle<()> {
    let report = move || std::future::ready(shared.pulse.report(&shared));
    AbortOnDropHandle::new(tokio::spawn(door.serve(report)))
}

/// Of one server. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    unit: Unit,
    started: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taking: Instant,
    sweeping: Instant,
    /// What the last sweep came to, where it failed.
    trouble: Option<String>,
}

impl Pulse {
    pub(super) fn new(unit: Unit) -> Self {
        let now = Instant::now();
        let state = Mutex::new(State { taking: now, sweeping: now, trouble: None });
        Self(Arc::new(Inner { unit, started: SystemTime::now(), state }))
    }

    /// The loop that takes connections came round.
    pub(super) fn taking(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.taking = now;
        if now - state.sweeping < ALIVE {
            self.0.unit.alive();
        }
    }

    /// The loop that ends leases came round; with what trouble, if any.
    pub(super) fn sweeping(&self, trouble: Option<String>) {
        let mut state = self.state();
        state.sweeping = Instant::now();
        state.trouble = trouble;
    }

    /// All of it.
    pub(super) fn report(&self, shared: &Shared) -> Report {
        let (health, trouble, sweeping) = {
            let state = self.state();
            let loops = [("takes connections", state.taking), ("ends leases", state.sweeping)];
            let hangs = loops.into_iter().find(|(_, round)| round.elapsed() >= ALIVE);
            let health = hangs.map_or(Ok(()), |(name, round)| {
                Err(format!("the loop that {name} has not come round for {} s", round.elapsed().as_secs()))
            });
            (health, state.trouble.clone(), state.sweeping.elapsed())
        };
        let ready = match trouble {
            _ if shared.closing.is_cancelled() => Err("stopping".to_owned()),
            Some(trouble) => Err(format!("the database does not answer as it should: {trouble}")),
            None => health.clone(),
        };
        let mut metrics = Metrics::begin(self.0.started);
        metrics.gauge(
            "octarm_server_ready",
            "1 while requests are served.",
            f64::from(u8::from(ready.is_ok())),
        );
        metrics.gauge(
            "octarm_server_seconds_since_sweep",
            "Seconds since leases that ran out were last looked for.",
            sweeping.as_secs_f64(),
        );
        Report { health, ready, metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
