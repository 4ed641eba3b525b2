//! Why a deployment did not reach what it wanted.

use std::path::PathBuf;

use super::{RedactorError, SettingsError, Stop};
use crate::{aws::AwsError, deploy::bytes, package::PackageError};

const MORE_SPACE: &str = "free some space, or set TMPDIR to a folder with more";

/// Why a deployment did not reach what it wanted.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The package cannot be used.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A variable cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What was made of sensitive values cannot be hidden, so nothing is shown.
    #[error(transparent)]
    Redactor(#[from] RedactorError),
    /// AWS said no, or nothing.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Cancelled, or the lease is lost.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// A temporary file cannot be written or read.
    #[error("writing the repacked zip to a temporary file in `{}`", folder.display())]
    Work {
        /// Where.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server named another package than the file holds.
    #[error("the package holds {found}, but the server named {expected}")]
    OtherPackage {
        /// What the server named.
        expected: String,
        /// What the package says of itself.
        found: String,
    },
    /// The zip does not fit into a request, and there is no other way.
    #[error(
        "the repacked zip has {}, a direct upload takes at most {}, and `AWS.Deployment.Bucket` is not set",
        bytes(*size),
        bytes(crate::aws::DIRECT_LIMIT)
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The credentials are for another account.
    #[error("the credentials belong to AWS account {found}, but `AWS.Deployment.Account` is {expected}")]
    Account {
        /// The account that was wanted.
        expected: String,
        /// The account of the credentials.
        found: String,
    },
    /// The function is a container image.
    #[error("the function `{function}` runs a container image, expected one that runs a zip")]
    Image {
        /// Which.
        function: String,
    },
    /// Lambda could not apply the update.
    #[error("Lambda could not apply the update of `{function}`: {reason}")]
    UpdateFailed {
        /// Which.
        function: String,
        /// Lambda's words.
        reason: String,
    },
    /// Lambda did not come to rest in time.
    #[error("`{function}` was still being updated after {seconds} seconds")]
    Timeout {
        /// Which.
        function: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Somebody else changed the function while we were at it.
    #[error(
        "`{function}` was changed by somebody else during this deployment: its CodeSha256 is {found}, expected {expected}"
    )]
    ChangedByOther {
        /// Which.
        function: String,
        /// What was found.
        found: String,
        /// What was expected: the old code or ours.
        expected: String,
    },
    /// A call may have taken effect, and AWS could not be asked.
    #[error(
        "UpdateFunctionCode of `{function}` may have taken effect, and AWS could not be asked what it holds now"
    )]
    Unestablished {
        /// Which.
        function: String,
        /// Why it could not be asked.
        #[source]
        source: Box<DeployError>,
    },
    /// An earlier hand-out changed something, and AWS holds neither the old code nor ours.
    #[error(
        "an earlier attempt of this deployment began to update `{function}`, which now holds CodeSha256 {found}, expected {expected}, or is not as it was left"
    )]
    Unreconciled {
        /// Which.
        function: String,
        /// What was found.
        found: String,
        /// This package's.
        expected: String,
    },
    /// An earlier attempt may have changed something, and this one failed before it could find out.
    #[error(
        "an earlier attempt of this deployment may have changed the function, and what it did could not be established"
    )]
    NotEstablished {
        /// Why not.
        #[source]
        source: Box<DeployError>,
    },
    /// A bug of ours while repacking.
    #[error("repacking the package stopped unexpectedly: this is a bug in octarm")]
    Panicked,
}

impl DeployError {
    /// Whether nobody can say what state AWS is in because of us.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unestablished { .. } | Self::Unreconciled { .. } | Self::NotEstablished { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Package(PackageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => {
                Some(MORE_SPACE.to_owned())
            }
            Self::Package(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Aws(error) => error.hint(),
            Self::Work { .. } => Some(MORE_SPACE.to_owned()),
            Self::OtherPackage { .. } => Some("push the package again under its own id and version".to_owned()),
            Self::TooLarge { .. } => Some(
                "set `AWS.Deployment.Bucket` to an S3 bucket in the region of the function: the code then goes through it".to_owned(),
            ),
            Self::Account { .. } => Some("use the credentials of the account that is meant".to_owned()),
            Self::Timeout { .. } => Some("look at the function's LastUpdateStatus; raise `Lambda.UpdateTimeout`".to_owned()),
            Self::ChangedByOther { .. } => Some("find out who deploys there, then deploy again".to_owned()),
            Self::Unestablished { .. } | Self::Unreconciled { .. } | Self::NotEstablished { .. } => Some(
                "look at the function, then say what it is: `octarm deployment resolve ID --as success|failed`".to_owned(),
            ),
            Self::Image { .. }
            | Self::UpdateFailed { .. }
            | Self::Stopped(_)
            | Self::Redactor(_)
            | Self::Panicked => None,
        }
    }
}
