//! A bucket of S3, or of what speaks like it, as a place to keep things: put, read from any byte on, list, delete. All of
//! these may be repeated, so the SDK's own retries are on.

use std::{error::Error, fmt, fs::File, io, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{primitives::ByteStream, types::ChecksumMode};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{
    AwsError, BucketName, Kind, ObjectKey,
    body::{FileBody, Streamed},
    code::Payload,
    lambda, proxy, refusal,
};

/// How long one try of a call may take to be answered, a sent body aside.
const PATIENCE: Duration = Duration::from_secs(20);
/// The region that stores with an endpoint of their own are signed for when none is named.
const USUAL_REGION: &str = "us-east-1";

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPlace {
    /// Its name.
    pub name: BucketName,
    /// Where it is answered for, where that is not AWS; each bucket is then a part of the path.
    pub endpoint: Option<String>,
    /// Its region; that of this machine's AWS settings where none is named.
    pub region: Option<String>,
}

/// A bucket, with the credentials of the SDK's default chain.
#[derive(Debug, Clone)]
pub struct Bucket {
    s3: aws_sdk_s3::Client,
    name: BucketName,
    region: String,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// How many bytes.
    pub size: u64,
}

/// The rest of an object, as it arrives.
#[derive(Debug)]
pub struct Arriving(ByteStream);

impl Arriving {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.0.next().await.map(|bytes| bytes.map_err(io::Error::other))
    }
}

impl Bucket {
    /// A client for the bucket. Nothing is called yet.
    pub async fn connect(place: BucketPlace) -> Result<Self, AwsError> {
        let BucketPlace { name, endpoint, region } = place;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .operation_attempt_timeout(PATIENCE)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(http) = proxy::client() {
            loader = loader.http_client(http);
        }
        let config = loader.load().await;
        let own_endpoint = config.endpoint_url().is_some();
        let region = match config.region() {
            Some(region) => region.clone(),
            None if own_endpoint => Region::from_static(USUAL_REGION),
            None => return Err(AwsError::NoRegion),
        };
        let s3 =
            aws_sdk_s3::config::Builder::from(&config).region(region.clone()).force_path_style(own_endpoint);
        Ok(Self { s3: aws_sdk_s3::Client::from_conf(s3.build()), name, region: region.to_string() })
    }

    /// Whether exactly these bytes lie there. The checksum decides that the store keeps; where it keeps none, they do not.
    pub async fn holds(&self, key: &ObjectKey, size: u64, sha256: [u8; 32]) -> Result<bool, AwsError> {
        let found = self
            .s3
            .head_object()
            .bucket(self.name.as_str())
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match found {
            Ok(found) => {
                let has_size = found.content_length().is_some_and(|length| u64::try_from(length) == Ok(size));
                Ok(has_size && found.checksum_sha256().is_some_and(|sum| sum == STANDARD.encode(sha256)))
            }
            Err(error) => {
                let error = self.classify("HeadObject", key.as_str(), error);
                if is_missing(&error) { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Stores the file, read while it is sent: whole and with this digest, or not at all.
    pub async fn put(
        &self,
        key: &ObjectKey,
        file: File,
        size: u64,
        sha256: [u8; 32],
    ) -> Result<(), AwsError> {
        let payload = Payload { body: FileBody::plain(Arc::new(file), size), sha256: hex::encode(sha256) };
        self.s3
            .put_object()
            .bucket(self.name.as_str())
            .key(key.as_str())
            .content_type("application/octet-stream")
            .checksum_sha256(STANDARD.encode(sha256))
            // Only a place to put the streamed body.
            .body(ByteStream::from_static(&[]))
            .customize()
            .interceptor(Streamed::new(payload))
            .config_override(aws_sdk_s3::config::Builder::new().timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(lambda::patience(size)).build(),
            ))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.classify("PutObject", key.as_str(), error))
    }

    /// The object from this byte on; none where there is no such object. At least one byte must be there.
    pub async fn read(&self, key: &ObjectKey, from: u64) -> Result<Option<Arriving>, AwsError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let call = self.s3.get_object().bucket(self.name.as_str()).key(key.as_str()).set_range(range);
        match call.send().await {
            Ok(found) => Ok(Some(Arriving(found.body))),
            Err(error) => {
                let error = self.classify("GetObject", key.as_str(), error);
                if is_missing(&error) { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Deletes the object; success also where there is none.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), AwsError> {
        let call = self.s3.delete_object().bucket(self.name.as_str()).key(key.as_str());
        call.send().await.map(drop).map_err(|error| self.classify("DeleteObject", key.as_str(), error))
    }

    /// At most `most` objects whose keys begin with `prefix`, in the order of their keys, after the key `after`.
    pub async fn list(&self, prefix: &str, after: Option<&str>, most: i32) -> Result<Vec<Listed>, AwsError> {
        let call = self
            .s3
            .list_objects_v2()
            .bucket(self.name.as_str())
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(most);
        let page = call.send().await.map_err(|error| self.classify("ListObjectsV2", prefix, error))?;
        let listed = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let size = u64::try_from(object.size.unwrap_or(0)).unwrap_or(0);
            object.key.map(|key| Listed { key, size })
        });
        Ok(listed.collect())
    }

    fn classify<E>(&self, action: &'static str, key: &str, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        refusal::classify(action, &format!("{self}/{key}"), &self.region, error)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

/// That the bucket answered, and has no such object.
fn is_missing(error: &AwsError) -> bool {
    error.kind() == Some(Kind::NoObject)
}
