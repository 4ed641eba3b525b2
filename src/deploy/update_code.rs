//! The step "update code": read, decide, record the intent, send, wait, verify, record the effect.

use std::time::{Duration, Instant};

use super::{
    DeployError, Guard, Log, Progress, Reached, Stop,
    plan::{Action, Conclusion, Desired, Way, conclude, plan},
};
use crate::{
    aws::{Aws, AwsError, Code, Function, FunctionName, Kind, Place, Settled},
    deploy::bytes,
    model::JournalRecord,
};

/// How long to wait before the first look at an update, and at most between two looks.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// How long a request that got no answer may still be on its way.
const LATE: Duration = Duration::from_secs(15);

/// The step with what it may touch.
pub(super) struct Step<'a> {
    pub(super) aws: &'a Aws,
    pub(super) timeout: Duration,
    pub(super) log: &'a Log,
    pub(super) guard: &'a Guard,
    /// Where the zip may go in S3.
    pub(super) place: Option<Place>,
}

impl Step<'_> {
    /// Brings the function to the wanted code; answers what was reached.
    pub(super) async fn run(
        &self,
        desired: Desired,
        code: &Code,
        journal: &[JournalRecord],
        dry_run: bool,
        reached: &mut Reached,
    ) -> Result<String, DeployError> {
        let name = desired.function.clone();
        let mut observed = self.aws.get_function(&name).await?;
        self.log.info(format!("function {} holds CodeSha256 {}", observed.arn, observed.code_sha256));
        // Only at rest can it be told what it holds, and an update under way moves the revision when it settles.
        if observed.settled == Settled::No && !dry_run {
            self.log.info("an update of this function is under way: waiting for its end");
            observed = self.rest(&name).await?;
        }
        if observed.is_image {
            return Err(DeployError::Image { function: name.to_string() });
        }
        let plan = plan(desired, &observed);
        reached.plan = Some(plan.clone());
        let target = &plan.desired.code_sha256;
        let done = |verb: &str, sha256: &str| {
            format!("{name} {verb} {} (CodeSha256 {sha256})", plan.desired.package)
        };
        match plan.action {
            Action::Nothing => self.log.info("plan: nothing to do, the function holds this code already"),
            Action::Update => self.log.info(format!(
                "plan: update the code of {name} from CodeSha256 {} to {target}, {} to send {}",
                observed.code_sha256,
                bytes(plan.desired.zip_bytes),
                plan.desired.way
            )),
        }
        if dry_run {
            return Ok("dry run: nothing was changed".to_owned());
        }

        match conclude(journal, &name, self.aws.region(), &observed) {
            Conclusion::NotBegun => {}
            Conclusion::Done { sha256 } => {
                self.log.info("an earlier attempt sent this code: it is verified, not sent again");
                reached.is_established = true;
                // At rest, and with this code: nothing is left to ask.
                if let Settled::Failed(reason) = observed.settled {
                    return Err(DeployError::UpdateFailed { function: name.to_string(), reason });
                }
                return Ok(done("runs", &sha256));
            }
            Conclusion::NotDone => {
                self.log.info("an earlier attempt ended before its update took effect: it is made now");
                let cancelled = self.guard.check() == Err(Stop::Cancelled);
                if cancelled && self.took_effect_late(&name, &observed, target).await? {
                    return Ok(done("runs", target));
                }
            }
            Conclusion::Elsewhere => {
                return Err(DeployError::Unreconciled {
                    function: name.to_string(),
                    found: observed.code_sha256,
                    expected: target.clone(),
                });
            }
        }
        reached.is_established = true;
        self.guard.check()?;
        if plan.action == Action::Nothing {
            return Ok(done("already runs", target));
        }
        self.update(&name, &observed, target, code, &plan.desired.way).await?;
        Ok(done("runs", target))
    }

    /// Sends the code; repeats only after it has asked what the last try did.
    async fn update(
        &self,
        name: &FunctionName,
        before: &Function,
        target: &str,
        code: &Code,
        way: &Way,
    ) -> Result<(), DeployError> {
        let mut stored = match way {
            Way::Directly => None,
            Way::Through(place) => Some((place, self.upload(place, code, target).await?)),
        };
        let deadline = Instant::now() + self.timeout;
        let mut revision = before.revision_id.clone();
        let mut recorded: Option<Option<String>> = None;
        let mut pause = Duration::from_secs(1);
        // Whether a try that got no answer may still take effect.
        let mut is_open = false;
        let ended = loop {
            // The intent names the revision that guards the call: a new revision is a new intent.
            if recorded.as_ref() != Some(&revision) {
                let intent = intent(name, self.aws.region(), before, revision.as_deref(), target);
                if let Err(stop) = self.guard.record(intent).await {
                    break Err(stop.into());
                }
                recorded = Some(revision.clone());
            }
            let turn = self.aws.turn().await;
            if let Err(stop) = self.guard.allow_change() {
                break Err(stop.into());
            }
            self.log.progress(Progress::Sending { bytes: code.size() });
            let sent = match &stored {
                None => self.aws.update_code(name, code, revision.as_deref(), turn).await,
                Some((place, stored)) => {
                    self.aws.update_code_from(name, place, stored, revision.as_deref(), turn).await
                }
            };
            let Err(error) = sent else { break Ok(()) };
            self.log.progress(Progress::Idle);
            if error.kind() == Some(Kind::TooLarge)
                && stored.is_none()
                && let Some(place) = &self.place
            {
                self.log.warning(format!("{error}: the code goes through S3 instead"));
                match self.upload(place, code, target).await {
                    Ok(done) => stored = Some((place, done)),
                    Err(error) => break Err(error),
                }
                continue;
            }
            is_open |= error.may_have_acted();
            match self.after(name, &error, before, revision.as_deref(), target).await? {
                After::Done => break Ok(()),
                After::Stop => break Err(DeployError::from(error)),
                After::Again { revision: now } => revision = now,
            }
            let wait = error.retry_after().unwrap_or(pause);
            if Instant::now() + wait > deadline {
                break Err(error.into());
            }
            self.log.warning(format!("{error}; trying again"));
            if let Err(stop) = self.guard.pause(wait).await {
                break Err(stop.into());
            }
            pause = (pause * 2).min(Duration::from_secs(20));
        };
        match ended {
            Err(error) if is_open && !matches!(error, DeployError::Stopped(Stop::LeaseLost)) => {
                if !self.took_effect_late(name, before, target).await? {
                    return Err(error);
                }
            }
            ended => ended?,
        }
        self.log.info("code sent; waiting for Lambda to apply it");
        let settled = self.settle(name, target).await.map_err(|error| match error {
            DeployError::Aws(_) | DeployError::Timeout { .. } => unestablished(name, error),
            other => other,
        })?;
        let effect = JournalRecord::UpdateCodeEffect {
            function: name.to_string(),
            region: self.aws.region().to_owned(),
            sha256: settled.code_sha256,
            revision_id: settled.revision_id,
        };
        match self.guard.record(effect).await {
            // The end itself says it too; only a crash before that report would have needed the record.
            Err(Stop::Unrecorded(reason)) => {
                self.log.warning(format!("the effect could not be recorded in the journal: {reason}"));
                Ok(())
            }
            recorded => Ok(recorded?),
        }
    }

    /// Looks once more after a while, before it is said that nothing was changed: a try that got no answer may take
    /// effect late. Answers whether it did.
    async fn took_effect_late(
        &self,
        name: &FunctionName,
        before: &Function,
        target: &str,
    ) -> Result<bool, DeployError> {
        self.log.warning("a try that got no answer may still take effect: looking once more in a while");
        tokio::time::sleep(LATE).await;
        let now = self.rest(name).await.map_err(|source| unestablished(name, source))?;
        if (&now.code_sha256, &now.revision_id) == (&before.code_sha256, &before.revision_id) {
            return Ok(false);
        }
        if now.code_sha256 == target {
            return Ok(true);
        }
        Err(DeployError::Unreconciled {
            function: name.to_string(),
            found: now.code_sha256,
            expected: before.code_sha256.clone(),
        })
    }

    /// Decides what a failed try means, by asking AWS wherever the try may have acted.
    async fn after(
        &self,
        name: &FunctionName,
        error: &AwsError,
        before: &Function,
        sent: Option<&str>,
        target: &str,
    ) -> Result<After, DeployError> {
        if !error.is_retryable() && error.kind() != Some(Kind::Changed) {
            return Ok(After::Stop);
        }
        self.log.warning(format!("{error}: asking AWS what the function holds now"));
        let now = self
            .rest(name)
            .await
            .map_err(|source| if error.may_have_acted() { unestablished(name, source) } else { source })?;
        let unmoved = now.revision_id.as_deref() == sent;
        if unmoved && sent.is_some() && error.kind() != Some(Kind::Changed) {
            // The revision has not moved: nothing was done, also where old code and new code are the same.
            return Ok(After::Again { revision: now.revision_id });
        }
        if now.code_sha256 == target {
            return Ok(After::Done);
        }
        if now.code_sha256 != before.code_sha256 {
            return Err(DeployError::ChangedByOther {
                function: name.to_string(),
                found: now.code_sha256,
                expected: before.code_sha256.clone(),
            });
        }
        // The code is as it was. Behind an update that was under way the revision may move; any other move is a
        // change by somebody else between our read and our write, which is not ours to overrule.
        if error.kind() == Some(Kind::Busy) || (unmoved && error.kind() != Some(Kind::Changed)) {
            return Ok(After::Again { revision: now.revision_id });
        }
        Ok(After::Stop)
    }

    /// Waits until the function has come to rest with our code, and checks that it is ours.
    async fn settle(&self, name: &FunctionName, target: &str) -> Result<Function, DeployError> {
        self.log.progress(Progress::Settling);
        let function = self.rest(name).await?;
        if let Settled::Failed(reason) = function.settled {
            return Err(DeployError::UpdateFailed { function: name.to_string(), reason });
        }
        if function.code_sha256 != target {
            return Err(DeployError::ChangedByOther {
                function: name.to_string(),
                found: function.code_sha256,
                expected: target.to_owned(),
            });
        }
        Ok(function)
    }

    /// Polls GetFunction until nothing is under way, for as long as an update may take. A read that fails for now is
    /// repeated.
    async fn rest(&self, name: &FunctionName) -> Result<Function, DeployError> {
        let deadline = Instant::now() + self.timeout;
        let mut look = FIRST_LOOK;
        loop {
            let end = match self.aws.get_function(name).await {
                Ok(function) if function.settled != Settled::No => return Ok(function),
                Ok(_) => DeployError::Timeout { function: name.to_string(), seconds: self.timeout.as_secs() },
                Err(error) if error.is_retryable() => error.into(),
                Err(error) => return Err(error.into()),
            };
            if Instant::now() + look > deadline {
                return Err(end);
            }
            // A change that was begun is watched to its end: a cancel is honoured before it, not in it.
            tokio::time::sleep(look).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }
}

fn unestablished(name: &FunctionName, source: DeployError) -> DeployError {
    DeployError::Unestablished { function: name.to_string(), source: Box::new(source) }
}

enum After {
    Done,
    Stop,
    Again { revision: Option<String> },
}

fn intent(
    name: &FunctionName,
    region: &str,
    before: &Function,
    revision: Option<&str>,
    target: &str,
) -> JournalRecord {
    JournalRecord::UpdateCodeIntent {
        function: name.to_string(),
        region: region.to_owned(),
        before_sha256: before.code_sha256.clone(),
        revision_id: revision.map(str::to_owned),
        after_sha256: target.to_owned(),
    }
}
