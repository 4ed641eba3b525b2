//! The numbers of a worker, as those who watch it count them.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, UNIX_EPOCH},
};

use jiff::Timestamp;

use crate::{aws::Pace, health::Metrics, model::Outcome, worker::reload::Live};

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) polls: AtomicU64,
    pub(super) poll_failures: AtomicU64,
    pub(super) renewals: AtomicU64,
    pub(super) renewal_failures: AtomicU64,
    pub(super) leases_lost: AtomicU64,
    pub(super) log_bytes: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    unknown: AtomicU64,
    unreported: AtomicU64,
}

impl Counts {
    /// A deployment has ended, and the server has its end or could not be told.
    pub(super) fn ended(&self, outcome: Option<&Outcome>) {
        let count = match outcome {
            Some(Outcome::Success { .. }) => &self.succeeded,
            Some(Outcome::Failed { .. }) => &self.failed,
            Some(Outcome::Cancelled { .. }) => &self.cancelled,
            Some(Outcome::Unknown { .. }) => &self.unknown,
            None => &self.unreported,
        };
        count.fetch_add(1, Relaxed);
    }

    /// The page of it.
    pub(super) fn page(
        &self,
        started: Timestamp,
        running: usize,
        contact: Option<Duration>,
        is_ready: bool,
        live: &Live,
        pace: &Pace,
    ) -> Metrics {
        let of = |count: &AtomicU64| count.load(Relaxed);
        let mut page =
            Metrics::begin(UNIX_EPOCH + Duration::from_millis(started.as_millisecond().unsigned_abs()));
        let outcomes = [
            ("success", of(&self.succeeded)),
            ("failed", of(&self.failed)),
            ("cancelled", of(&self.cancelled)),
            ("unknown", of(&self.unknown)),
            ("unreported", of(&self.unreported)),
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
            of(&self.polls),
        );
        let failures = of(&self.poll_failures);
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
        page.counter("octarm_worker_lease_renewals_total", "Leases that were renewed.", of(&self.renewals));
        let failures = of(&self.renewal_failures);
        page.counter("octarm_worker_lease_renewal_failures_total", "Renewals that failed.", failures);
        page.counter("octarm_worker_leases_lost_total", "Leases that were lost.", of(&self.leases_lost));
        let bytes = of(&self.log_bytes);
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
}

fn float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
