//! How long to wait before the next try: growing, with jitter, and never less than the server asks for. What a busy server
//! asks of one call, all calls of the process heed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// However long a server asks to wait, and whoever answers in its place: a worker looks again after this.
pub(super) const LONGEST_GATE: Duration = Duration::from_mins(5);

/// Shut while the server wants to be left alone: a server with thousands of workers then slows each one down with one
/// answer, instead of refusing every call of every deployment. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<Mutex<Option<Instant>>>);

/// Whether a call heeds the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It waits until the gate opens.
    Patient,
    /// It passes. For the calls that keep a hand-out: without a renewal, an acknowledged intent or a reported end in time
    /// the lease runs out in the middle of a change, and the server has a deployment to hand out again and an end to
    /// find out, which costs it far more than these few small calls. They heed what they are answered themselves, within
    /// what is left of their lease.
    Urgent,
}

impl Gate {
    /// Shuts it for this time and some chance, so that the processes of a fleet do not come back together. A shorter time
    /// than the one that holds changes nothing.
    pub(super) fn shut(&self, asked: Duration) {
        let until = Instant::now() + jittered(asked.min(LONGEST_GATE));
        let mut shut = self.lock();
        *shut = shut.max(Some(until));
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        // It may be shut for longer meanwhile.
        while let Some(until) = self.shut_until() {
            sleep_until(until).await;
        }
    }

    /// For how long it is shut still.
    pub(super) fn shut_for(&self) -> Option<Duration> {
        self.shut_until().map(|until| until.saturating_duration_since(Instant::now()))
    }

    fn shut_until(&self) -> Option<Instant> {
        self.lock().filter(|until| Instant::now() < *until)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Growing pauses.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause before the next try; half of it is chance, so that a fleet does not come back all at once.
    pub fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST);
        (half + half.mul_f64(chance())).max(asked.unwrap_or_default())
    }

    /// It worked: begin anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A time and up to half of it more, so that a fleet that was answered together does not come back together.
pub fn jittered(time: Duration) -> Duration {
    time + (time / 2).mul_f64(chance())
}

/// From 0 to 1. Without a source of chance all wait the full time, which is safe.
fn chance() -> f64 {
    let mut byte = [u8::MAX];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    f64::from(byte[0]) / f64::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_only_adds() {
        let time = Duration::from_secs(2);
        for _ in 0..50 {
            assert!((time..=time * 3 / 2).contains(&jittered(time)));
        }
    }

    #[tokio::test]
    async fn the_gate_is_shut_for_the_longest_time_asked_for_and_never_for_ever() {
        let gate = Gate::default();
        gate.pass().await;
        let began = Instant::now();
        gate.shut(Duration::from_hours(24 * 365));
        let until = gate.clone().shut_until().unwrap();
        assert!(until - began >= LONGEST_GATE && until - began < LONGEST_GATE * 2, "{:?}", until - began);
        gate.shut(Duration::from_millis(1));
        assert_eq!(gate.shut_until(), Some(until), "a shorter time changes nothing");
        let short = Gate::default();
        short.shut(Duration::from_millis(20));
        short.pass().await;
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_honour_the_server() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            assert!(backoff.pause(None) <= LONGEST);
        }
        assert!(backoff.pause(None) >= LONGEST / 2);
        assert_eq!(backoff.pause(Some(Duration::from_mins(2))), Duration::from_mins(2));
        backoff.reset();
        assert!(backoff.pause(None) <= FIRST);
    }
}
