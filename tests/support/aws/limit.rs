//! How fast Lambda lets itself be asked: a bucket of tokens for what changes something, another one for `GetFunction`.

use std::time::Instant;

use super::action::Action;
use super::refusal::Refusal;

/// One for each kind of call.
pub(super) struct Limits {
    changes: Bucket,
    reads: Bucket,
}

impl Limits {
    pub(super) fn new(changes: u32, reads: u32) -> Self {
        Self { changes: Bucket::new(changes), reads: Bucket::new(reads) }
    }

    /// Takes a token for the call, or refuses it as one too many.
    pub(super) fn take(&mut self, action: Action) -> Result<(), Refusal> {
        let bucket = match action {
            Action::GetFunction => &mut self.reads,
            Action::UpdateFunctionCode | Action::GetFunctionConfiguration => &mut self.changes,
            _ => return Ok(()),
        };
        if bucket.take() {
            Ok(())
        } else {
            Err(Refusal::new(429, "TooManyRequestsException", "Rate exceeded"))
        }
    }
}

/// So many tokens come in each second, and no more than that are kept.
struct Bucket {
    each_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(each_second: u32) -> Self {
        let each_second = f64::from(each_second);
        Self { each_second, tokens: each_second, at: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let come_in = (now - self.at).as_secs_f64() * self.each_second;
        (self.tokens, self.at) = ((self.tokens + come_in).min(self.each_second), now);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}
