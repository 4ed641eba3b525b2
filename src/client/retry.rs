//! How long to wait before the next try: growing, with jitter, and never less than the server asks for.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

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
