//! What a deployment would do, decided from what is wanted and what was observed. Pure; shown before anything is
//! changed, and all that a dry run prints.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Log;

use crate::{
    aws::{Function, FunctionName, Place, Settled},
    model::JournalRecord,
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
    /// How the zip gets to Lambda.
    #[serde(serialize_with = "display")]
    pub way: Way,
}

/// How a zip gets to Lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// In the request.
    Directly,
    /// Through an object in S3.
    Through(Place),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directly => f.write_str("directly"),
            Self::Through(place) => write!(f, "through {place}"),
        }
    }
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The function runs this code already.
    Nothing,
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

/// What of a plan is made of variables.
const MADE: [&str; 7] = ["function", "region", "account", "environment", "release", "package", "way"];

impl Plan {
    /// As JSON, with every sensitive value in what was made of variables masked.
    pub(super) fn masked(&self, log: &Log) -> Value {
        let mut plan = serde_json::to_value(self).unwrap_or_default();
        for name in MADE {
            if let Some(Value::String(text)) = plan.get_mut(name) {
                *text = log.redact(text);
            }
        }
        plan
    }
}

fn display<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Decides.
pub(super) fn plan(desired: Desired, observed: &Function) -> Plan {
    let same = observed.code_sha256 == desired.code_sha256;
    // After a failed update the old code runs, whatever the sha says: it is sent again.
    let failed = matches!(observed.settled, Settled::Failed(_));
    let action = if same && !failed { Action::Nothing } else { Action::Update };
    Plan { desired, present_sha256: observed.code_sha256.clone(), action }
}

/// What a hand-out that continues another's work must conclude from the journal and from AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Nothing was changed by us yet: go on as if new.
    NotBegun,
    /// The call took effect: wait for this code and verify it, do not repeat.
    Done {
        /// `CodeSha256` of what was sent.
        sha256: String,
    },
    /// The call did not take effect, and nothing else changed: it may be made.
    NotDone,
    /// The function holds neither the old code nor ours, was changed by somebody else in between, or is not the one
    /// that the journal speaks of.
    Elsewhere,
}

/// Asks the journal and AWS what happened. The last record about the function decides; the function must be at rest.
pub(super) fn conclude(
    journal: &[JournalRecord],
    name: &FunctionName,
    region: &str,
    observed: &Function,
) -> Conclusion {
    let is_ours = |function: &str, there: &str| function == name.as_str() && there == region;
    match journal.iter().rfind(|record| record.is_about_function()) {
        None => Conclusion::NotBegun,
        Some(JournalRecord::UpdateCodeEffect { function, region, sha256, .. })
            if is_ours(function, region) && *sha256 == observed.code_sha256 =>
        {
            Conclusion::Done { sha256: sha256.clone() }
        }
        Some(JournalRecord::UpdateCodeIntent {
            function,
            region,
            before_sha256,
            revision_id,
            after_sha256,
        }) if is_ours(function, region) => {
            let is_before = *before_sha256 == observed.code_sha256 && *revision_id == observed.revision_id;
            // An unmoved revision proves that nothing happened, also where old code and new code are the same.
            if is_before && (revision_id.is_some() || after_sha256 != before_sha256) {
                Conclusion::NotDone
            } else if *after_sha256 == observed.code_sha256 {
                Conclusion::Done { sha256: after_sha256.clone() }
            } else {
                Conclusion::Elsewhere
            }
        }
        Some(_) => Conclusion::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(sha: &str, revision: &str) -> Function {
        Function {
            arn: "arn:aws:lambda:eu-west-1:123456789012:function:CI-x".into(),
            code_sha256: sha.into(),
            revision_id: Some(revision.into()),
            settled: Settled::Yes,
            is_image: false,
        }
    }

    fn intent(before: &str, after: &str) -> JournalRecord {
        JournalRecord::UpdateCodeIntent {
            function: "CI-x".into(),
            region: "eu-west-1".into(),
            before_sha256: before.into(),
            revision_id: Some("r1".into()),
            after_sha256: after.into(),
        }
    }

    #[test]
    fn what_happened_follows_from_the_journal_and_aws() {
        let effect = JournalRecord::UpdateCodeEffect {
            function: "CI-x".into(),
            region: "eu-west-1".into(),
            sha256: "new".into(),
            revision_id: None,
        };
        let begun = intent("old", "new");
        let again = intent("same", "same");
        let uploaded = JournalRecord::UploadEffect {
            bucket: "zips".into(),
            key: "octarm/x.zip".into(),
            version_id: None,
        };
        let done = |sha256: &str| Conclusion::Done { sha256: sha256.into() };
        for (journal, observed, expected) in [
            (vec![], function("old", "r1"), Conclusion::NotBegun),
            (vec![begun.clone()], function("new", "r2"), done("new")),
            (vec![begun.clone()], function("old", "r1"), Conclusion::NotDone),
            (vec![begun.clone()], function("old", "r2"), Conclusion::Elsewhere),
            (vec![begun.clone()], function("other", "r3"), Conclusion::Elsewhere),
            (vec![again.clone()], function("same", "r1"), Conclusion::NotDone),
            (vec![again], function("same", "r2"), done("same")),
            (vec![uploaded.clone()], function("other", "r3"), Conclusion::NotBegun),
            (vec![begun.clone(), uploaded.clone()], function("old", "r1"), Conclusion::NotDone),
            (vec![uploaded, begun.clone()], function("new", "r2"), done("new")),
            (vec![begun.clone(), effect.clone()], function("new", "r2"), done("new")),
            (vec![begun.clone(), effect], function("other", "r3"), Conclusion::Elsewhere),
            (vec![begun, JournalRecord::Unreadable], function("new", "r2"), Conclusion::Elsewhere),
        ] {
            let name = "CI-x".parse().unwrap();
            assert_eq!(
                conclude(&journal, &name, "eu-west-1", &observed),
                expected,
                "{journal:?} {observed:?}"
            );
        }
    }

    #[test]
    fn the_journal_of_another_function_or_region_proves_nothing() {
        for (name, region) in [("CI-y", "eu-west-1"), ("CI-x", "us-east-1")] {
            let journal = [intent("old", "new")];
            let found = conclude(&journal, &name.parse().unwrap(), region, &function("old", "r1"));
            assert_eq!(found, Conclusion::Elsewhere);
        }
    }
}
