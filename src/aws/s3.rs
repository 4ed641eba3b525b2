//! S3's verbs: the way of a zip that is too large for a request to Lambda.

use std::fmt;

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{operation::head_object::HeadObjectOutput, primitives::ByteStream, types::ChecksumMode};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Aws, AwsError, BucketName, Code, ObjectKey, body::Streamed, lambda};

/// Where a zip lies in S3. The key names the content: another zip has another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket, in the region of the function.
    pub bucket: BucketName,
    /// The object's key.
    pub key: ObjectKey,
}

/// A zip that lies in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's version; none in a bucket without versions.
    pub version: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Aws {
    /// `HeadObject`: whether exactly this zip lies there.
    pub async fn find_code(&self, place: &Place, code: &Code) -> Result<Option<Stored>, AwsError> {
        let found = self
            .s3
            .head_object()
            .bucket(place.bucket.as_str())
            .key(place.key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let found = self.time.judge("HeadObject", &place.to_string(), &self.region, found)?;
        Ok(is_same(&found, code).then(|| Stored { version: version(found.version_id()) }))
    }

    /// `PutObject` with the zip as its body. Never retried here.
    pub async fn store_code(&self, place: &Place, code: &Code) -> Result<Stored, AwsError> {
        let stored = self
            .s3
            .put_object()
            .bucket(place.bucket.as_str())
            .key(place.key.as_str())
            .content_type("application/zip")
            .checksum_sha256(STANDARD.encode(code.sha256()))
            // Only a place to put the streamed body.
            .body(ByteStream::from_static(&[]))
            .customize()
            .interceptor(Streamed::new(code.plain()))
            .config_override(
                aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(
                    TimeoutConfig::builder().operation_attempt_timeout(lambda::patience(code.size())).build(),
                ),
            )
            .send()
            .await;
        let stored = self.time.judge("PutObject", &place.to_string(), &self.region, stored)?;
        Ok(Stored { version: version(stored.version_id()) })
    }
}

/// The checksum decides that S3 keeps, since nobody can give an object a wrong one.
fn is_same(found: &HeadObjectOutput, code: &Code) -> bool {
    let has_size = found.content_length().is_some_and(|length| u64::try_from(length) == Ok(code.size()));
    has_size && found.checksum_sha256().is_some_and(|sha256| sha256 == STANDARD.encode(code.sha256()))
}

/// `null` is the version of an object that was stored while the bucket kept none.
fn version(id: Option<&str>) -> Option<String> {
    id.filter(|id| !id.is_empty() && *id != "null").map(str::to_owned)
}
