//! One Lambda function of the fake: its code, its revision, and the update under way.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::code::code_sha256;

/// What a test sees of a function.
#[derive(Clone, Debug)]
pub(crate) struct FunctionView {
    /// Of the code that serves: while an update is under way, the old one.
    pub(crate) code_sha256: String,
    pub(crate) zip: Bytes,
    pub(crate) revision_id: String,
    pub(crate) last_update_status: &'static str,
    /// How many code updates were accepted from clients, whether or not they then failed.
    pub(crate) updates_applied: usize,
    /// What became of each of them, in order.
    pub(crate) history: Vec<Settled>,
}

/// How an update ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    /// The function has this code since.
    Applied { sha256: String },
    /// The code of before stayed.
    Failed,
}

/// Why an update that was accepted ends as failed.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) reason_code: String,
    pub(super) reason: String,
}

struct Update {
    zip: Bytes,
    polls_left: usize,
    failure: Option<Failure>,
}

pub(super) struct Function {
    arn: String,
    name: String,
    zip: Bytes,
    revision_id: String,
    modified: Timestamp,
    pending_polls: usize,
    update: Option<Update>,
    failed: Option<Failure>,
    updates_applied: usize,
    history: Vec<Settled>,
}

impl Function {
    pub(super) fn new(arn: &str, name: &str, zip: Bytes) -> Self {
        Self {
            arn: arn.to_owned(),
            name: name.to_owned(),
            zip,
            revision_id: new_revision(),
            modified: Timestamp::now(),
            pending_polls: 0,
            update: None,
            failed: None,
            updates_applied: 0,
            history: Vec::new(),
        }
    }

    pub(super) fn view(&self) -> FunctionView {
        FunctionView {
            code_sha256: code_sha256(&self.zip),
            zip: self.zip.clone(),
            revision_id: self.revision_id.clone(),
            last_update_status: self.last_update_status(),
            updates_applied: self.updates_applied,
            history: self.history.clone(),
        }
    }

    pub(super) fn revision_id(&self) -> &str {
        &self.revision_id
    }

    /// The zip that `Code.Location` serves: the one `GetFunction` reports.
    pub(super) fn reported_zip(&self) -> &Bytes {
        self.update.as_ref().map_or(&self.zip, |update| &update.zip)
    }

    /// Why no update can be taken now, as AWS words it.
    pub(super) fn busy(&self) -> Option<String> {
        const NOT_NOW: &str = "The operation cannot be performed at this time.";
        if self.pending_polls > 0 {
            Some(format!("{NOT_NOW} The function is currently in the following state: Pending"))
        } else if self.update.is_some() {
            Some(format!("{NOT_NOW} An update is in progress for resource: {}", self.arn))
        } else {
            None
        }
    }

    /// The function is being created for this many polls more.
    pub(super) fn make_pending(&mut self, polls: usize) {
        self.pending_polls = polls;
    }

    /// Takes a client's update; it settles when a poll comes after `polls` others. The revision is a new one.
    pub(super) fn begin_update(&mut self, zip: Bytes, polls: usize, failure: Option<Failure>) -> Value {
        self.update = Some(Update { zip, polls_left: polls, failure });
        self.failed = None;
        self.updates_applied += 1;
        self.touch();
        let answer = self.configuration();
        if polls == 0 {
            self.settle();
        }
        answer
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.last_update_status() == "InProgress"
    }

    /// A client looks: what it sees, and one step of time.
    pub(super) fn poll(&mut self) -> Value {
        if self.update.as_ref().is_some_and(|update| update.polls_left == 0) {
            self.settle();
        }
        let seen = self.configuration();
        self.pending_polls = self.pending_polls.saturating_sub(1);
        if let Some(update) = &mut self.update {
            update.polls_left -= 1;
        }
        seen
    }

    /// Ends the update. The revision changes once more: a client that kept the one it was answered is stale.
    fn settle(&mut self) {
        if let Some(update) = self.update.take() {
            if let Some(failure) = update.failure {
                self.failed = Some(failure);
                self.history.push(Settled::Failed);
            } else {
                self.zip = update.zip;
                self.history.push(Settled::Applied { sha256: code_sha256(&self.zip) });
            }
            self.touch();
        }
    }

    /// A change of the configuration: nothing of it but the revision matters here.
    pub(super) fn touch(&mut self) {
        self.revision_id = new_revision();
        self.modified = Timestamp::now();
    }

    /// Somebody else deployed, and it has settled.
    pub(super) fn replace_code(&mut self, zip: Bytes) {
        self.zip = zip;
        self.update = None;
        self.failed = None;
        self.touch();
    }

    fn last_update_status(&self) -> &'static str {
        if self.update.is_some() || self.pending_polls > 0 {
            "InProgress"
        } else if self.failed.is_some() {
            "Failed"
        } else {
            "Successful"
        }
    }

    /// The `FunctionConfiguration` as it is. While an update is under way AWS already shows the new code's
    /// hash, so a client that looks at the hash alone takes an unfinished update for a finished one.
    fn configuration(&self) -> Value {
        let mut seen = self.configuration_for(self.reported_zip());
        let (code, reason) = match &self.failed {
            Some(failure) => (failure.reason_code.as_str(), failure.reason.as_str()),
            None if self.last_update_status() == "InProgress" => {
                ("Creating", "The function is being created.")
            }
            None => return seen,
        };
        seen["LastUpdateStatusReasonCode"] = json!(code);
        seen["LastUpdateStatusReason"] = json!(reason);
        if self.pending_polls > 0 {
            seen["StateReasonCode"] = json!("Creating");
            seen["StateReason"] = json!("The function is being created.");
        }
        seen
    }

    /// The `FunctionConfiguration` as if this were its code: what a dry run answers.
    pub(super) fn configuration_for(&self, zip: &Bytes) -> Value {
        json!({
            "FunctionName": self.name,
            "FunctionArn": self.arn,
            "Runtime": "python3.12",
            "Role": "arn:aws:iam::111122223333:role/lambda",
            "Handler": "handler.handler",
            "PackageType": "Zip",
            "Architectures": ["x86_64"],
            "MemorySize": 128,
            "Timeout": 3,
            "Version": "$LATEST",
            "LastModified": self.modified.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string(),
            "CodeSize": zip.len(),
            "CodeSha256": code_sha256(zip),
            "RevisionId": self.revision_id,
            "State": if self.pending_polls > 0 { "Pending" } else { "Active" },
            "LastUpdateStatus": self.last_update_status(),
        })
    }
}

fn new_revision() -> String {
    Uuid::now_v7().to_string()
}
