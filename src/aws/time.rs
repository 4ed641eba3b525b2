//! The time that requests to AWS are signed with: this machine's, until AWS refuses a signature for its time.
//!
//! The SDK corrects itself too, where it may repeat a call and by the `Date` of whatever answers. Here a changing call is
//! repeated by the step alone, and only a refusal moves the time, so the SDK's own correction is off.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::sdk_config::TimeSource;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::{AwsError, Kind, refusal};

/// A signature this near to AWS's time is not refused for its time: then something else is wrong, such as a request
/// that was on its way for too long. AWS's own limit is five minutes, at S3 fifteen.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(4);
/// No answer of AWS's can be older than this software: the beginning of 2026.
const EARLIEST: i64 = 1_767_225_600;

type Tell = Box<dyn Fn(SignedDuration) + Send + Sync>;

/// The time at AWS, for all clients of one deployment. Clones are the same.
#[derive(Clone, Default)]
pub struct AwsTime(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    tell: Option<Tell>,
}

#[derive(Debug, Default)]
struct State {
    /// How far AWS is ahead of this machine's clock.
    ahead: SignedDuration,
    /// Corrected, and nothing was accepted since.
    is_unproven: bool,
}

impl AwsTime {
    /// This machine's time; each correction is told, as how far AWS is ahead of this machine's clock.
    pub fn telling(tell: impl Fn(SignedDuration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), tell: Some(Box::new(tell)) }))
    }

    /// Turns the SDK's answer into ours. A refusal for the time of a signature is `Corrected` where another time is
    /// taken from now on.
    pub(super) fn judge<T, E>(
        &self,
        action: &'static str,
        target: &str,
        region: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let error = match answer {
            Ok(answer) => {
                self.accepted();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let date = error.raw_response().and_then(date);
        let mut error = refusal::classify(action, target, region, error);
        match &mut error {
            AwsError::Refused { kind: kind @ Kind::Clock, .. } => {
                let is_corrected = date.is_some_and(|date| self.correct(date, Timestamp::now()));
                *kind = if is_corrected { Kind::Corrected } else { Kind::Clock };
            }
            AwsError::Refused { .. } => self.accepted(),
            _ => {}
        }
        Err(error)
    }

    /// AWS refused a signature for its time, at `date` by its own clock and `now` by this machine's. Answers whether
    /// another time is taken now, so that the call may be made again.
    fn correct(&self, date: Timestamp, now: Timestamp) -> bool {
        let ahead = date.duration_since(now);
        {
            let mut state = self.state();
            let is_sane = date.as_second() >= EARLIEST;
            // Corrected a moment ago, and that was refused too: what tells the time there is not to be trusted.
            if !is_sane || state.is_unproven || (ahead - state.ahead).abs() <= TOLERANCE {
                return false;
            }
            *state = State { ahead, is_unproven: true };
        }
        if let Some(tell) = &self.0.tell {
            tell(ahead);
        }
        true
    }

    fn accepted(&self) {
        self.state().is_unproven = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TimeSource for AwsTime {
    fn now(&self) -> SystemTime {
        let ahead = self.state().ahead;
        let (now, by) = (SystemTime::now(), ahead.unsigned_abs());
        if ahead.is_negative() { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }
}

impl fmt::Debug for AwsTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AwsTime").field(&self.0.state).finish()
    }
}

/// When the answer was made; one that was kept somewhere does not tell the time.
fn date(answer: &HttpResponse) -> Option<Timestamp> {
    let headers = answer.headers();
    let date = headers.get("date").filter(|_| headers.get("age").is_none())?;
    rfc2822::parse(date).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn minutes(minutes: i64) -> SignedDuration {
        SignedDuration::from_mins(minutes)
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_either_way_and_told() {
        for off in [60, -60, 5, -5] {
            let (sender, told) = mpsc::channel();
            let time = AwsTime::telling(move |ahead| sender.send(ahead).unwrap());
            assert_eq!(time.state().ahead, SignedDuration::ZERO, "nobody refused anything");
            assert!(time.correct(now() + minutes(off), now()));
            assert_eq!(time.state().ahead, minutes(off));
            let signed = Timestamp::try_from(time.now()).unwrap().duration_since(Timestamp::now());
            assert!((signed - minutes(off)).abs() < minutes(1), "it is signed with that time: {signed}");
            assert_eq!(told.try_iter().collect::<Vec<_>>(), [minutes(off)]);
        }
    }

    #[test]
    fn a_date_within_the_tolerance_or_without_sense_changes_nothing() {
        for date in ["2026-11-25T12:03:59Z", "2026-11-25T11:56:01Z", "1970-01-01T00:00:00Z"] {
            let time = AwsTime::default();
            assert!(!time.correct(date.parse().unwrap(), now()), "{date}");
            assert_eq!(time.state().ahead, SignedDuration::ZERO);
        }
    }

    #[test]
    fn a_correction_that_did_not_help_is_the_last_until_something_is_accepted() {
        let time = AwsTime::default();
        assert!(time.correct(now() + minutes(60), now()));
        assert!(!time.correct(now() + minutes(90), now()), "refused again");
        assert_eq!(time.state().ahead, minutes(60));
        time.accepted();
        assert!(!time.correct(now() + minutes(61), now()), "that is near enough");
        assert!(time.correct(now(), now()), "the clock was set right meanwhile");
        assert_eq!(time.state().ahead, SignedDuration::ZERO);
    }

    #[test]
    fn the_time_is_that_of_the_answer_unless_it_comes_from_a_cache() {
        let answer = |headers: &[(&'static str, &'static str)]| {
            let mut answer = HttpResponse::new(403.try_into().unwrap(), "".into());
            for (name, value) in headers {
                answer.headers_mut().insert(*name, *value);
            }
            date(&answer)
        };
        let told = ("date", "Wed, 25 Nov 2026 12:00:00 GMT");
        assert_eq!(answer(&[told]), Some(now()));
        assert_eq!(answer(&[told, ("age", "3600")]), None);
        assert_eq!(answer(&[("date", "tomorrow")]), None);
        assert_eq!(answer(&[]), None);
    }
}
