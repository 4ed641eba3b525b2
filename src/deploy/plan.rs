//! What a deployment would do, decided from what is wanted and what was observed. Pure; shown before anything is
//! changed, and all that a dry run prints.

use serde::Serialize;

use crate::{
    aws::{Function, FunctionName},
    model::JournalRecord,
    package::Repacked,
};

/// What is wanted.
#[derive(Debug, Clone, Serialize)]
pub struct Desired {
    /// The function, by its convention.
    #[serde(serialize_with = "display")]
    pub function: FunctionName,
    /// Its region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The environment.
    pub environment: String,
    /// The release, where there is one.
    pub release: Option<String>,
    /// The package, as `Id 1.2.3`.
    pub package: String,
    /// base64 of the SHA-256 of the new zip.
    pub code_sha256: String,
    /// Its size in bytes.
    pub zip_bytes: u64,
    /// The size of its files in bytes.
    pub unzipped_bytes: u64,
    /// How many files it has.
    pub files: usize,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The function runs this code already.
    Nothing,
    /// The new code is there, and Lambda is still working on it.
    Wait,
    /// Send the code.
    Update,
}

/// The plan.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What is wanted.
    #[serde(flatten)]
    pub desired: Desired,
    /// `CodeSha256` of what is there.
    pub present_sha256: String,
    /// What will be done.
    pub action: Action,
}

fn display<T: std::fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Desired {
    /// Takes over what repacking found.
    pub fn set_code(&mut self, repacked: &Repacked) {
        self.code_sha256 = repacked.code_sha256();
        self.zip_bytes = repacked.size;
        self.unzipped_bytes = repacked.unzipped_size;
        self.files = repacked.entries.len();
    }
}

/// Decides.
pub(super) fn plan(desired: Desired, observed: &Function) -> Plan {
    use crate::aws::Settled;
    let same = observed.code_sha256 == desired.code_sha256;
    let action = match (same, &observed.settled) {
        (true, Settled::Yes) => Action::Nothing,
        (true, Settled::No) => Action::Wait,
        // A failed update keeps the old code running, whatever the sha says: send it again.
        _ => Action::Update,
    };
    Plan { desired, present_sha256: observed.code_sha256.clone(), action }
}

/// What a hand-out that continues another's work must conclude from the journal and from AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Nothing was changed by us yet: go on as if new.
    NotBegun,
    /// The call took effect: wait and verify, do not repeat.
    Done,
    /// The call did not take effect, and nothing else changed: it may be made, with the same revision.
    NotDone,
    /// The function holds neither the old code nor ours, or was changed by somebody else in between.
    Elsewhere,
}

/// Asks the journal and AWS what happened. The last record decides.
pub(super) fn conclude(journal: &[JournalRecord], observed: &Function) -> Conclusion {
    match journal.last() {
        None => Conclusion::NotBegun,
        Some(JournalRecord::UpdateCodeEffect { sha256, .. }) => {
            if *sha256 == observed.code_sha256 {
                Conclusion::Done
            } else {
                Conclusion::Elsewhere
            }
        }
        Some(JournalRecord::UpdateCodeIntent { before_sha256, revision_id, after_sha256, .. }) => {
            if *after_sha256 == observed.code_sha256 {
                Conclusion::Done
            } else if *before_sha256 == observed.code_sha256 && *revision_id == observed.revision_id {
                Conclusion::NotDone
            } else {
                Conclusion::Elsewhere
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Settled;

    fn function(sha: &str, revision: &str) -> Function {
        Function {
            arn: "arn:aws:lambda:eu-west-1:123456789012:function:CI-x".into(),
            code_sha256: sha.into(),
            revision_id: Some(revision.into()),
            settled: Settled::Yes,
            is_image: false,
        }
    }

    fn intent() -> JournalRecord {
        JournalRecord::UpdateCodeIntent {
            function: "CI-x".into(),
            region: "eu-west-1".into(),
            before_sha256: "old".into(),
            revision_id: Some("r1".into()),
            after_sha256: "new".into(),
        }
    }

    #[test]
    fn what_happened_follows_from_the_journal_and_aws() {
        let effect = JournalRecord::UpdateCodeEffect {
            function: "CI-x".into(),
            sha256: "new".into(),
            revision_id: None,
        };
        for (journal, observed, expected) in [
            (vec![], function("old", "r1"), Conclusion::NotBegun),
            (vec![intent()], function("new", "r2"), Conclusion::Done),
            (vec![intent()], function("old", "r1"), Conclusion::NotDone),
            (vec![intent()], function("old", "r2"), Conclusion::Elsewhere),
            (vec![intent()], function("other", "r3"), Conclusion::Elsewhere),
            (vec![intent(), effect.clone()], function("new", "r2"), Conclusion::Done),
            (vec![intent(), effect], function("other", "r3"), Conclusion::Elsewhere),
        ] {
            assert_eq!(conclude(&journal, &observed), expected, "{journal:?} {observed:?}");
        }
    }
}
