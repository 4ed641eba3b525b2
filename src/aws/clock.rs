//! Who the caller is, and what time it is at AWS: it refuses requests of a clock that is minutes away from its own.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{Timestamp, fmt::rfc2822};

use super::{Aws, AwsError, Caller};

/// Keeps the `Date` of the first answer: one that refuses tells it too.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Option<Timestamp>>>);

#[dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(time) = date.and_then(|date| rfc2822::parse(date).ok()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(time.timestamp());
        }
        Ok(())
    }
}

impl Aws {
    /// Who the caller is, and the time at AWS, where it was told.
    pub async fn caller_and_time(&self) -> (Result<Caller, AwsError>, Option<Timestamp>) {
        let clock = Clock::default();
        let caller = self.ask_caller(clock.clone()).await;
        let time = *clock.0.lock().unwrap_or_else(PoisonError::into_inner);
        (caller, time)
    }
}
