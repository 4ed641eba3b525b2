//! The journal of a deployment: intent before and effect after every call that changes AWS, so that whoever
//! continues after a crash can ask AWS what happened instead of doing it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fact about one mutating call. A record of a newer writer that an older reader does not know is unreadable on
/// purpose: then the end is `unknown`, never a blind re-run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum JournalRecord {
    /// `PutObject` is about to be called. The key names the content, so that a second call changes nothing.
    UploadIntent {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// base64 of the SHA-256 of the zip.
        sha256: String,
    },
    /// The zip lies in S3.
    UploadEffect {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The object's version; absent in a bucket without versions.
        version_id: Option<String>,
    },
    /// UpdateFunctionCode is about to be called.
    UpdateCodeIntent {
        /// The function, as AWS names it in its ARN.
        function: String,
        /// The region of the function.
        region: String,
        /// `CodeSha256` of what is there now.
        before_sha256: String,
        /// `RevisionId` read together with `before_sha256`; absent where the endpoint answers none.
        revision_id: Option<String>,
        /// `CodeSha256` of what will be sent.
        after_sha256: String,
    },
    /// UpdateFunctionCode answered, and what it did is as intended.
    UpdateCodeEffect {
        /// The function, as AWS names it in its ARN.
        function: String,
        /// The region of the function.
        region: String,
        /// `CodeSha256` that AWS answered.
        sha256: String,
        /// `RevisionId` after the update.
        revision_id: Option<String>,
    },
    /// A record that this version does not know: what it stands for cannot be established.
    #[serde(other)]
    #[schemars(skip)]
    Unreadable,
}

impl JournalRecord {
    /// Whether it says, or may say, that the function was changed: an upload alone changes no function.
    pub fn is_about_function(&self) -> bool {
        !matches!(self, Self::UploadIntent { .. } | Self::UploadEffect { .. })
    }
}

/// A record with its place; the pair (deployment, sequence) is written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// 0, 1, 2 … in the order of writing, over all hand-outs of the deployment.
    pub sequence: u32,
    /// The fact.
    pub record: JournalRecord,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_names_and_those_of_later_versions_stay_unreadable() {
        let uploaded = JournalRecord::UploadEffect {
            bucket: "zips".into(),
            key: "octarm/x.zip".into(),
            version_id: Some("v1".into()),
        };
        let text = r#"{"record":"upload_effect","bucket":"zips","key":"octarm/x.zip","version_id":"v1"}"#;
        assert_eq!(serde_json::to_string(&uploaded).unwrap(), text);
        assert_eq!(serde_json::from_str::<JournalRecord>(text).unwrap(), uploaded);
        assert!(!uploaded.is_about_function());

        let later: JournalRecord =
            serde_json::from_str(r#"{"record":"of_a_later_version","what":1}"#).unwrap();
        assert_eq!(later, JournalRecord::Unreadable);
        assert!(later.is_about_function(), "nobody knows what it stands for");
    }
}
