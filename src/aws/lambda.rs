//! Lambda's verbs: read a function, send it new code.

use std::time::Duration;

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_lambda::types::{FunctionConfiguration, LastUpdateStatus, PackageType, State};
use aws_smithy_types::Blob;

use super::{Aws, AwsError, Code, FunctionName, Kind, Place, Stored, Turn, body::Streamed};

/// The most bytes that the request of a direct upload may have: 50 MiB in base64, with the JSON around it.
/// Older error texts of Lambda give this number.
const DIRECT_REQUEST_LIMIT: u64 = 69_905_067;
/// How long one try to send as much as this may take, on a slow line.
const UPLOAD: Duration = Duration::from_mins(10);
const UPLOAD_SIZE: u64 = 64 << 20;
/// How long one try to read may take, how often it is made, and how long to wait in between.
const READ: Duration = Duration::from_secs(20);
const READ_TRIES: u32 = 3;
const READ_PAUSE: Duration = Duration::from_millis(250);
/// Room for the JSON around the zip.
const FRAME: u64 = 1_024;
/// The largest zip for the direct way, in bytes.
pub const DIRECT_LIMIT: u64 = (DIRECT_REQUEST_LIMIT - FRAME) / 4 * 3;

/// A function as AWS describes it, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its ARN.
    pub arn: String,
    /// base64 of the SHA-256 of the zip it runs.
    pub code_sha256: String,
    /// Changes with every change of the function; some endpoints answer none.
    pub revision_id: Option<String>,
    /// Whether it can take an update.
    pub settled: Settled,
    /// Whether its code is a container image.
    pub is_image: bool,
}

/// Whether a function has come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing is under way, the last update was good.
    Yes,
    /// An update or the creation is under way.
    No,
    /// Nothing is under way, and the last update or the creation failed for this reason.
    Failed(String),
}

impl Aws {
    /// The right to the next call that changes a function. It may be long in coming: what allows the change is looked
    /// at after it.
    pub async fn turn(&self) -> Turn {
        self.pace.change().await
    }

    /// GetFunction: the call with the highest rate limit of all that answer the state. Each try takes its turn.
    pub async fn get_function(&self, name: &FunctionName) -> Result<Function, AwsError> {
        let mut tries = 1;
        loop {
            let turn = self.pace.read().await;
            let error = match told(turn, self.try_get_function(name).await) {
                Err(error) if error.is_retryable() && tries < READ_TRIES => error,
                result => return result,
            };
            tokio::time::sleep(error.retry_after().unwrap_or(READ_PAUSE * tries)).await;
            tries += 1;
        }
    }

    async fn try_get_function(&self, name: &FunctionName) -> Result<Function, AwsError> {
        let answer = self
            .lambda
            .get_function()
            .function_name(name.as_str())
            .customize()
            .config_override(once(READ))
            .send()
            .await;
        let answer = self.time.judge("GetFunction", name.as_str(), &self.region, answer)?;
        let unusable = || AwsError::NoAnswer {
            action: "GetFunction",
            target: name.to_string(),
            region: self.region.clone(),
            source: "the answer holds no configuration".into(),
        };
        describe(answer.configuration().ok_or_else(unusable)?).ok_or_else(unusable)
    }

    /// UpdateFunctionCode with the zip in the request, guarded by the revision that was read. Never retried here.
    pub async fn update_code(
        &self,
        name: &FunctionName,
        code: &Code,
        revision_id: Option<&str>,
        turn: Turn,
    ) -> Result<(), AwsError> {
        let sent = self
            .lambda
            .update_function_code()
            .function_name(name.as_str())
            // Only a place to put the streamed body: with the zip in it the SDK would hold the request several times.
            .zip_file(Blob::new([]))
            .customize()
            .interceptor(Streamed::new(code.json(revision_id)))
            .config_override(once(patience(code.size())))
            .send()
            .await;
        let sent = self.time.judge("UpdateFunctionCode", name.as_str(), &self.region, sent);
        told(turn, sent.map(drop))
    }

    /// UpdateFunctionCode with a zip that lies in S3, guarded by the revision that was read. Never retried here.
    pub async fn update_code_from(
        &self,
        name: &FunctionName,
        place: &Place,
        stored: &Stored,
        revision_id: Option<&str>,
        turn: Turn,
    ) -> Result<(), AwsError> {
        let sent = self
            .lambda
            .update_function_code()
            .function_name(name.as_str())
            .s3_bucket(place.bucket.as_str())
            .s3_key(place.key.as_str())
            .set_s3_object_version(stored.version.clone())
            .set_revision_id(revision_id.map(str::to_owned))
            .customize()
            // Lambda answers when it has read the object.
            .config_override(once(UPLOAD))
            .send()
            .await;
        let sent = self.time.judge("UpdateFunctionCode", name.as_str(), &self.region, sent);
        told(turn, sent.map(drop))
    }
}

/// Tells the pace what came of a call.
fn told<T>(turn: Turn, result: Result<T, AwsError>) -> Result<T, AwsError> {
    match &result {
        Err(error) if error.kind() == Some(Kind::Throttled) => turn.throttled(error.retry_after()),
        _ => turn.accepted(),
    }
    result
}

/// One try, for as long as this.
fn once(patience: Duration) -> aws_sdk_lambda::config::Builder {
    aws_sdk_lambda::config::Builder::new()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(patience).build())
}

/// How long sending so many bytes may take.
pub(super) fn patience(size: u64) -> Duration {
    UPLOAD * u32::try_from(1 + size / UPLOAD_SIZE).unwrap_or(u32::MAX)
}

fn describe(configuration: &FunctionConfiguration) -> Option<Function> {
    let reason = |code: Option<&str>, words: Option<&str>| match (code, words) {
        (Some(code), Some(words)) => format!("{words} ({code})"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "no reason given".to_owned(),
    };
    let settled = match (configuration.state(), configuration.last_update_status()) {
        (Some(State::Failed), _) => Settled::Failed(reason(
            configuration.state_reason_code().map(aws_sdk_lambda::types::StateReasonCode::as_str),
            configuration.state_reason(),
        )),
        (Some(State::Pending | State::Deactivating), _) | (_, Some(LastUpdateStatus::InProgress)) => {
            Settled::No
        }
        (_, Some(LastUpdateStatus::Failed)) => Settled::Failed(reason(
            configuration
                .last_update_status_reason_code()
                .map(aws_sdk_lambda::types::LastUpdateStatusReasonCode::as_str),
            configuration.last_update_status_reason(),
        )),
        _ => Settled::Yes,
    };
    Some(Function {
        arn: configuration.function_arn()?.to_owned(),
        // A container image has none.
        code_sha256: configuration.code_sha256().unwrap_or_default().to_owned(),
        revision_id: configuration.revision_id().filter(|id| !id.is_empty()).map(str::to_owned),
        settled,
        is_image: configuration.package_type() == Some(&PackageType::Image),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direct_limit_is_the_largest_zip_whose_request_fits() {
        let request = |zip: u64| zip.div_ceil(3) * 4 + FRAME;
        assert!(request(DIRECT_LIMIT) <= DIRECT_REQUEST_LIMIT);
        assert!(request(DIRECT_LIMIT + 1) > DIRECT_REQUEST_LIMIT);
    }
}
