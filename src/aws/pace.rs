//! How fast Lambda may be asked: one pace for all that a process deploys, in the order in which they come.
//!
//! Lambda's control plane takes 15 calls a second from an account in a region, and 100 of GetFunction. Others use
//! the same account: a refusal for too many calls slows everybody here down, once, and good answers speed them up again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Calls in a second that Lambda takes.
const CHANGES: u32 = 15;
const READS: u32 = 100;
/// However often it refuses, it is asked again after this.
const SLOWEST: Duration = Duration::from_secs(2);
/// By how much a good answer shortens the pause between calls that a refusal has made longer.
const RECOVERY: f64 = 0.9;

/// The pace of one process. Clones are the same pace.
#[derive(Debug, Clone)]
pub struct Pace {
    changes: Arc<Meter>,
    reads: Arc<Meter>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { changes: Meter::new(CHANGES), reads: Meter::new(READS) }
    }
}

impl Pace {
    /// The right to one call that changes something.
    pub(super) async fn change(&self) -> Turn {
        self.changes.take().await
    }

    /// The right to one GetFunction.
    pub(super) async fn read(&self) -> Turn {
        self.reads.take().await
    }

    /// How many calls were made, and how many of them were refused as one too many.
    pub fn counts(&self) -> (u64, u64) {
        let of = |count: fn(&Meter) -> &AtomicU64| {
            count(&self.changes).load(Relaxed) + count(&self.reads).load(Relaxed)
        };
        (of(|meter| &meter.calls), of(|meter| &meter.refusals))
    }
}

/// The right to one call. What came of the call is told to it, so that all learn from that.
#[derive(Debug)]
pub struct Turn {
    meter: Arc<Meter>,
    taken: Instant,
}

impl Turn {
    /// It was taken.
    pub(super) fn accepted(self) {
        let mut rate = self.meter.rate();
        rate.pause = rate.pause.mul_f64(RECOVERY).max(self.meter.least);
    }

    /// It was refused as one too many: everybody waits as long as AWS asks, and asks less often from then on.
    pub(super) fn throttled(self, retry_after: Option<Duration>) {
        self.meter.refusals.fetch_add(1, Relaxed);
        let mut rate = self.meter.rate();
        let now = Instant::now();
        // Of calls that were under way together, the first one counts.
        if self.taken >= rate.slowed {
            rate.pause = (rate.pause * 2).min(SLOWEST);
            rate.slowed = now;
        }
        let pause = retry_after.unwrap_or(rate.pause);
        rate.next = rate.next.max(now + pause);
    }
}

#[derive(Debug)]
struct Meter {
    /// Whose turn it is to wait for the next call: tokio's lock is given in the order in which it was asked for.
    queue: tokio::sync::Mutex<()>,
    rate: Mutex<Rate>,
    least: Duration,
    calls: AtomicU64,
    refusals: AtomicU64,
}

#[derive(Debug)]
struct Rate {
    next: Instant,
    pause: Duration,
    slowed: Instant,
}

impl Meter {
    fn new(each_second: u32) -> Arc<Self> {
        let least = Duration::from_secs(1) / each_second;
        let rate = Rate { next: Instant::now(), pause: least, slowed: Instant::now() };
        Arc::new(Self {
            queue: tokio::sync::Mutex::default(),
            rate: Mutex::new(rate),
            least,
            calls: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        })
    }

    async fn take(self: &Arc<Self>) -> Turn {
        let _first = self.queue.lock().await;
        loop {
            let next = self.rate().next;
            if next <= Instant::now() {
                break;
            }
            // A refusal may have come meanwhile: look again.
            sleep_until(next).await;
        }
        let mut rate = self.rate();
        let taken = Instant::now();
        // From when it was due: timers are late, and that must not add up.
        let due = rate.next.max(taken.checked_sub(rate.pause).unwrap_or(taken));
        rate.next = due + rate.pause;
        self.calls.fetch_add(1, Relaxed);
        Turn { meter: Arc::clone(self), taken }
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FASTER: u32 = 20;

    /// Lambda's own meter: so many calls a second, and as many at once after a rest.
    struct Lambda {
        rate: f64,
        burst: f64,
        tokens: f64,
        at: Instant,
        calls: u32,
        refused: u32,
    }

    impl Lambda {
        fn new(rate: u32, burst: u32) -> Mutex<Self> {
            let (rate, burst) = (f64::from(rate), f64::from(burst));
            Mutex::new(Self { rate, burst, tokens: burst, at: Instant::now(), calls: 0, refused: 0 })
        }

        fn takes(&mut self) -> bool {
            let now = Instant::now();
            self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(self.burst);
            self.at = now;
            self.calls += 1;
            if self.tokens < 1.0 {
                self.refused += 1;
                return false;
            }
            self.tokens -= 1.0;
            true
        }
    }

    /// One deployment: a look, an update, a look; each repeated until Lambda takes it.
    async fn deploy(pace: &Pace, reads: &Mutex<Lambda>, changes: &Mutex<Lambda>) {
        for (meter, lambda) in [(&pace.reads, reads), (&pace.changes, changes), (&pace.reads, reads)] {
            loop {
                let turn = meter.take().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
                if lambda.lock().unwrap().takes() {
                    turn.accepted();
                    break;
                }
                turn.throttled(None);
            }
        }
    }

    /// 200 deployments, 8 at once, twenty times as fast as Lambda; answers the calls that it was asked for, and how many
    /// deployments a second were made.
    async fn two_hundred(limit: u32) -> (u32, f64) {
        let pace = Pace { changes: Meter::new(FASTER * CHANGES), reads: Meter::new(FASTER * READS) };
        let (reads, changes) = (Lambda::new(FASTER * READS, READS), Lambda::new(limit, CHANGES));
        let began = Instant::now();
        let eighth = async || {
            for _ in 0..25 {
                deploy(&pace, &reads, &changes).await;
            }
        };
        tokio::join!(eighth(), eighth(), eighth(), eighth(), eighth(), eighth(), eighth(), eighth());
        let calls = reads.lock().unwrap().calls + changes.lock().unwrap().calls;
        (calls, 200.0 / began.elapsed().as_secs_f64())
    }

    #[tokio::test]
    async fn two_hundred_deployments_make_no_storm() {
        let (calls, _) = two_hundred(FASTER * CHANGES).await;
        assert!(calls <= 610, "{calls} calls: alone in its account next to nothing is refused");
        // Somebody else has two thirds of the account's calls.
        let (calls, rate) = two_hundred(FASTER * 5).await;
        assert!(calls <= 720, "{calls} calls are more than 1.2 times 600, at {rate} deployments a second");
    }

    #[tokio::test]
    async fn a_refusal_stops_all_for_as_long_as_aws_asks() {
        let pace = Pace::default();
        let began = Instant::now();
        let (one, two) = (pace.change().await, pace.change().await);
        one.throttled(Some(Duration::from_millis(300)));
        two.throttled(None);
        pace.change().await.accepted();
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(pace.counts(), (3, 2));
        let pause = pace.changes.rate().pause;
        assert!(pause < pace.changes.least * 2, "two that were under way together slow down once: {pause:?}");
    }

    #[tokio::test]
    async fn who_comes_first_is_served_first() {
        let pace = Pace::default();
        let order = Mutex::new(Vec::new());
        let call = async |number| {
            pace.change().await.accepted();
            order.lock().unwrap().push(number);
        };
        tokio::join!(biased; call(1), call(2), call(3), call(4));
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4]);
    }
}
