//! The AWS SDK's own clients, set up by hand: they see the fakes as any other program does.

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};

/// A Lambda client that tries each call once.
pub(crate) fn lambda(endpoint: &str, region: &str, key_id: &str, secret: &str) -> aws_sdk_lambda::Client {
    lambda_of_session(endpoint, region, key_id, secret, None)
}

/// The same with temporary credentials, which have a session token.
pub(crate) fn lambda_of_session(
    endpoint: &str,
    region: &str,
    key_id: &str,
    secret: &str,
    token: Option<&str>,
) -> aws_sdk_lambda::Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(key_id, secret, token.map(str::to_owned), None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_lambda::Client::from_conf(config)
}

/// An STS client that tries each call once.
pub(crate) fn sts(endpoint: &str, region: &str, key_id: &str, secret: &str) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(key_id, secret, None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

/// An S3 client that tries each call once.
pub(crate) fn s3(endpoint: &str, region: &str, key_id: &str, secret: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(key_id, secret, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}
