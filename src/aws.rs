//! The one neighbour that deployments change: AWS. Clients for one account and region, and the verbs that we need; and
//! a bucket as a place for the server's blobs.
//!
//! Reads are retried by the SDK. Calls that change something run with the SDK's retries off: the step that makes
//! them decides, after it has looked at what the first try did.

mod body;
mod bucket;
mod checks;
mod clock;
mod code;
mod lambda;
mod names;
mod pace;
mod policy;
mod proxy;
mod refusal;
mod s3;
mod simulate;
mod time;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::ProvideCredentials;
use secrecy::{ExposeSecret, SecretString};

pub use bucket::{Arriving, Bucket, BucketPlace, Listed};
pub use code::{Code, CodeWriter};
pub use lambda::{DIRECT_LIMIT, Function, Settled};
pub use names::{BucketName, BucketNameError, FunctionName, FunctionNameError, ObjectKey, ObjectKeyError};
pub use pace::{Pace, Turn};
pub use policy::{Decision, Permission, Principal, partition, policy};
pub use refusal::{AwsError, Kind};
pub use s3::{Place, Stored};
pub use time::AwsTime;

/// A static key pair, whole by construction.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The access key id.
    pub key: SecretString,
    /// The secret access key.
    pub secret: SecretString,
}

/// Clients for one account and region.
#[derive(Debug, Clone)]
pub struct Aws {
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    sts: aws_sdk_sts::Client,
    region: String,
    pace: Pace,
    time: AwsTime,
    /// What the clients are made of.
    config: SdkConfig,
}

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

impl Aws {
    /// Clients with these credentials, or with those of the SDK's default chain; with this region, or the chain's.
    /// `AWS_ENDPOINT_URL` is honoured. All sign with `time`. The first call to AWS is made later.
    pub async fn connect(
        credentials: Option<Credentials>,
        region: Option<String>,
        time: AwsTime,
    ) -> Result<Self, AwsError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .time_source(time.clone())
            .disable_clock_skew_correction(true)
            .retry_config(RetryConfig::standard());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(http) = proxy::client() {
            loader = loader.http_client(http);
        }
        let is_static = credentials.is_some();
        if let Some(Credentials { key, secret }) = credentials {
            let (key, secret) = (key.expose_secret(), secret.expose_secret());
            let given = aws_credential_types::Credentials::new(key, secret, None, None, "AWS.Deployment");
            checks::credentials("`AWS.Deployment`", &given)?;
            loader = loader.credentials_provider(given);
        }
        let config = loader.load().await;
        let region = checks::region(config.region().ok_or(AwsError::NoRegion)?.as_ref())?;
        checks::endpoints(&config)?;
        if !is_static {
            let provider = config.credentials_provider().ok_or(AwsError::NoCredentials { source: None })?;
            let found = provider
                .provide_credentials()
                .await
                .map_err(|source| AwsError::NoCredentials { source: Some(source.into()) })?;
            checks::credentials("the default chain", &found)?;
        }
        // An endpoint of one's own seldom answers to a name for each bucket.
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(config.endpoint_url().is_some());
        Ok(Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            lambda: aws_sdk_lambda::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region,
            pace: Pace::default(),
            time,
            config,
        })
    }

    /// The same, at a pace that is shared with others.
    #[must_use]
    pub fn paced(self, pace: &Pace) -> Self {
        Self { pace: pace.clone(), ..self }
    }

    /// The region of all calls.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// GetCallerIdentity: needs no permission, so it fails only for wrong credentials or no connection.
    pub async fn caller(&self) -> Result<Caller, AwsError> {
        self.ask_caller(clock::Clock::default()).await
    }

    async fn ask_caller(&self, clock: clock::Clock) -> Result<Caller, AwsError> {
        match self.try_ask_caller(clock.clone()).await {
            Err(error) if error.kind() == Some(Kind::Corrected) => self.try_ask_caller(clock).await,
            result => result,
        }
    }

    async fn try_ask_caller(&self, clock: clock::Clock) -> Result<Caller, AwsError> {
        let answer = self.sts.get_caller_identity().customize().interceptor(clock).send().await;
        let answer = self.time.judge("GetCallerIdentity", "", &self.region, answer)?;
        Ok(Caller {
            account: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }
}
