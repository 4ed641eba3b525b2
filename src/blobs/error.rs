//! Why bytes were not stored or not found.

use std::io;

use crate::aws::{AwsError, BucketNameError, Kind, ObjectKeyError};

/// Why bytes were not stored or not found.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no space left.
    #[error("the disk that holds the server's packages is full")]
    DiskFull(#[source] io::Error),
    /// It is larger than allowed.
    #[error("the package is larger than {limit} bytes, the most that is taken")]
    TooLarge {
        /// The most that is taken.
        limit: u64,
    },
    /// A blob that should be there is not.
    #[error("the bytes with SHA-256 {sha256} are missing: there is no `{place}`")]
    Missing {
        /// Their digest.
        sha256: String,
        /// Where they should be.
        place: String,
    },
    /// A file could not be read or written.
    #[error("a file of the package store could not be used")]
    Io(#[source] io::Error),
    /// The bucket's name cannot be one.
    #[error("the bucket of the server's packages is not named as a bucket can be")]
    BucketName(#[from] BucketNameError),
    /// The prefix cannot begin keys.
    #[error("the prefix of the server's packages in their bucket cannot begin the key of an object")]
    Prefix(#[from] ObjectKeyError),
    /// The bucket cannot be used.
    #[error("the bucket that holds the server's packages cannot be used")]
    Bucket(#[from] AwsError),
}

impl BlobError {
    /// Whether the same may succeed in a moment: the storage did not answer, or was too busy.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Bucket(error) if error.is_retryable())
    }

    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let Self::Bucket(error) = self else { return None };
        let hint = match error.kind() {
            None if matches!(error, AwsError::NoRegion) => "set `blobs_region`",
            None if matches!(error, AwsError::NoAnswer { .. }) => {
                "check the network, `blobs_endpoint`, and where this machine has its AWS credentials from"
            }
            Some(Kind::Credentials | Kind::Clock) => {
                "check the AWS credentials of this machine, and its clock"
            }
            Some(Kind::Denied) => {
                "these credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject \
                 on what is below the prefix"
            }
            Some(Kind::NoBucket) => "create the bucket, or correct `blobs`",
            Some(Kind::OtherRegion) => "set `blobs_region` to the region of the bucket",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(error),
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(matches!(
            BlobError::from(io::Error::from(io::ErrorKind::StorageFull)),
            BlobError::DiskFull(_)
        ));
        assert!(matches!(BlobError::from(io::Error::from(io::ErrorKind::NotFound)), BlobError::Io(_)));
    }
}
