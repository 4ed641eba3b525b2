//! The calls the fake knows, and the record it keeps of each.

/// A call that a client can make.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Action {
    GetFunction,
    GetFunctionConfiguration,
    UpdateFunctionCode,
    GetCallerIdentity,
    SimulatePrincipalPolicy,
    /// Fetching the zip that `Code.Location` of a `GetFunction` answer points at.
    DownloadCode,
    HeadObject,
    PutObject,
    GetObject,
    DeleteObject,
    ListObjects,
}

impl Action {
    pub(crate) const ALL: [Self; 11] = [
        Self::GetFunction,
        Self::GetFunctionConfiguration,
        Self::UpdateFunctionCode,
        Self::GetCallerIdentity,
        Self::SimulatePrincipalPolicy,
        Self::DownloadCode,
        Self::HeadObject,
        Self::PutObject,
        Self::GetObject,
        Self::DeleteObject,
        Self::ListObjects,
    ];

    /// The name of the right in a policy.
    pub(crate) fn right(self) -> &'static str {
        match self {
            Self::GetFunction => "lambda:GetFunction",
            Self::GetFunctionConfiguration => "lambda:GetFunctionConfiguration",
            Self::UpdateFunctionCode => "lambda:UpdateFunctionCode",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::SimulatePrincipalPolicy => "iam:SimulatePrincipalPolicy",
            Self::DownloadCode | Self::HeadObject | Self::GetObject => "s3:GetObject",
            Self::PutObject => "s3:PutObject",
            Self::DeleteObject => "s3:DeleteObject",
            Self::ListObjects => "s3:ListBucket",
        }
    }

    /// Whether the call is a write verb, be it a dry run or not.
    pub(crate) fn mutates(self) -> bool {
        matches!(self, Self::UpdateFunctionCode | Self::PutObject | Self::DeleteObject)
    }

    /// Whether it is one of S3's own calls, which sign differently and answer in XML.
    pub(super) fn is_storage(self) -> bool {
        matches!(
            self,
            Self::HeadObject | Self::PutObject | Self::GetObject | Self::DeleteObject | Self::ListObjects
        )
    }
}

/// What became of one call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    pub(crate) action: Action,
    /// The function, or the object as `bucket/key`; of a list, the bucket.
    pub(crate) target: Option<String>,
    /// The status that was answered; `None` when the connection was closed without an answer.
    pub(crate) status: Option<u16>,
    /// The error as AWS names it, for a refusal.
    pub(crate) error_type: Option<String>,
    /// Whether the call changed something, whatever the client was told.
    pub(crate) applied: bool,
}
