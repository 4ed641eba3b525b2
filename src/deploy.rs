//! The engine: one package to one function, the same for the worker and for the one-shot command.
//!
//! Names and values are settled first, then the package is checked and repacked, then AWS is asked what is there,
//! then the plan is made and shown; only then is anything changed.

mod error;
mod guard;
mod lanes;
mod log;
mod memory;
mod plan;
mod redact;
mod settings;
mod update_code;
mod upload;

use std::{path::PathBuf, str::FromStr};

use jiff::ZonedDateTime;
use serde_json::Value;

pub use error::DeployError;
pub use guard::{Guard, JournalWrite, Lease, Moment, Stop};
pub use lanes::{Lane, Lanes};
pub use log::{Event, Log, Progress};
pub use memory::{Known, Memory};
pub use plan::{Action, Plan, Way};
pub use redact::{Redactor, RedactorError};
pub use settings::{Access, SettingsError, access};

use crate::{
    aws::{Aws, AwsTime, Code, CodeWriter, DIRECT_LIMIT, Pace},
    conventions::Conventions,
    model::{Failure, JournalRecord, Outcome, causes},
    package::{Identity, Package, Repacked},
    template::Variables,
};

/// A package of a web tool chain has thousands of files: the log names the first.
const SHOWN_FILES: usize = 25;

/// One deployment.
#[derive(Debug)]
pub struct Job {
    /// The package file.
    pub package: PathBuf,
    /// Its name as it was pushed: it tells the format, and of a zip the id and version.
    pub file_name: String,
    /// Which package the server named; none where nobody did.
    pub expected: Option<Expected>,
    /// The variables, without the convention's defaults and without what the package itself says.
    pub variables: Variables,
    /// Where temporary files may go.
    pub work: PathBuf,
    /// What earlier hand-outs of this deployment recorded.
    pub journal: Vec<JournalRecord>,
    /// When it started: what the variables take for the time.
    pub started: ZonedDateTime,
    /// What is known of this package from before, where there is a memory.
    pub known: Option<Known>,
    /// How fast all deployments of the process may ask AWS.
    pub pace: Pace,
    /// Show the plan, change nothing.
    pub dry_run: bool,
}

/// The package that a deployment is meant for.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its id; ids compare without regard to case.
    pub id: String,
    /// Its version as it was pushed; versions compare normalised.
    pub version: String,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// The end.
    pub outcome: Outcome,
    /// The plan as it may be shown, when it got that far.
    pub plan: Option<Value>,
}

/// How far a run has come.
#[derive(Debug, Default)]
struct Reached {
    plan: Option<Plan>,
    /// Whether it is established what earlier attempts did. Before that, no failure of ours is the whole truth.
    is_established: bool,
}

/// Runs a deployment to its end. `Err` only when the right to report an end is lost.
pub async fn run(job: Job, conventions: &Conventions, log: &Log, guard: &Guard) -> Result<Ran, Stop> {
    let is_established = !job.journal.iter().any(JournalRecord::is_about_function);
    let mut reached = Reached { plan: None, is_established };
    let result = try_run(job, conventions, log, guard, &mut reached).await;
    log.progress(Progress::Idle);
    let outcome = match result {
        Ok(summary) => {
            log.info(&summary);
            Outcome::Success { summary: log.redact(&summary) }
        }
        Err(DeployError::Stopped(Stop::LeaseLost)) => return Err(Stop::LeaseLost),
        Err(DeployError::Stopped(Stop::Cancelled)) => {
            let summary = "cancelled: the function was left as it was".to_owned();
            log.warning(&summary);
            Outcome::Cancelled { summary }
        }
        Err(error) => {
            let error = if reached.is_established || error.is_unknown() {
                error
            } else {
                DeployError::NotEstablished { source: Box::new(error) }
            };
            let failure = Failure {
                step: "update code".to_owned(),
                messages: causes(&error).iter().map(|text| log.redact(text)).collect(),
                hint: error.hint().map(|hint| log.redact(&hint)),
            };
            log.failure(&failure);
            if error.is_unknown() { Outcome::Unknown { failure } } else { Outcome::Failed { failure } }
        }
    };
    Ok(Ran { outcome, plan: reached.plan.map(|plan| plan.masked(log)) })
}

async fn try_run(
    job: Job,
    conventions: &Conventions,
    log: &Log,
    guard: &Guard,
    reached: &mut Reached,
) -> Result<String, DeployError> {
    log.progress(Progress::Repacking);
    let package = open(&job, conventions).await?;
    let identity = package.identity().clone();
    if let Some(expected) = &job.expected {
        expected.check(&identity)?;
    }
    let version = identity.version.to_string();
    let mut hidden = Vec::new();
    let settings =
        settings::resolve(&job.variables, conventions, &identity.id, &version, &job.started, &mut hidden);
    // Before anything is said of it, also of what is wrong with it.
    log.hide(&hidden)?;
    let settings = settings?;
    log.info(format!(
        "package {} {} goes to {} (named by the convention `{}`)",
        identity.id,
        identity.version,
        settings.function,
        conventions.function_template()
    ));
    let (repacked, code) = repack(package, &job, conventions, log).await?;
    // What an earlier attempt may have changed is established before a cancel counts.
    if reached.is_established {
        guard.check()?;
    }
    let mut hidden = Vec::new();
    let place = settings.place(conventions, &repacked, &mut hidden);
    log.hide(&hidden)?;
    let place = place?;
    let way = match &place {
        _ if repacked.size <= DIRECT_LIMIT => Way::Directly,
        Some(place) => Way::Through(place.clone()),
        None => return Err(DeployError::TooLarge { size: repacked.size }),
    };

    log.progress(Progress::Asking);
    let time = told_time(log);
    let aws =
        Aws::connect(settings.credentials.clone(), settings.region.clone(), time).await?.paced(&job.pace);
    let caller = aws.caller().await?;
    log.info(format!("AWS account {} as {} in {}", caller.account, caller.arn, aws.region()));
    if let Some(expected) = settings.account.as_ref().filter(|expected| **expected != caller.account) {
        return Err(DeployError::Account { expected: expected.clone(), found: caller.account });
    }

    // Two deployments of one function would each take the other for somebody who changes it behind their back.
    let function = format!("{}/{}/{}", caller.account, aws.region(), settings.function);
    let _lane = guard.lane(&function, log, reached.is_established).await?;
    let desired = settings.desired(aws.region(), &caller.account, &identity, &repacked, way);
    let step = update_code::Step { aws: &aws, timeout: settings.update_timeout, log, guard, place };
    step.run(desired, &code, &job.journal, job.dry_run, reached).await
}

/// The time for this deployment's calls of AWS. Each deployment finds out anew, so that each log tells of a wrong clock.
fn told_time(log: &Log) -> AwsTime {
    let log = log.clone();
    AwsTime::telling(move |ahead| {
        let way = if ahead.is_negative() { "ahead of" } else { "behind" };
        let seconds = ahead.as_secs().unsigned_abs();
        log.warning(format!(
            "this machine's clock is {seconds} s {way} AWS's: requests are signed with AWS's time from here on; set the clock of this machine"
        ));
    })
}

/// Opens and checks the package, off the runtime's threads.
async fn open(job: &Job, conventions: &Conventions) -> Result<Package, DeployError> {
    let (path, name) = (job.package.clone(), job.file_name.clone());
    let (layout, work) = (conventions.layout.clone(), job.work.clone());
    let opened = tokio::task::spawn_blocking(move || Package::open(&path, Some(&name), &layout, &work));
    Ok(opened.await.map_err(|_| DeployError::Panicked)??)
}

/// Makes Lambda's zip, off the runtime's threads.
async fn repack(
    package: Package,
    job: &Job,
    conventions: &Conventions,
    log: &Log,
) -> Result<(Repacked, Code), DeployError> {
    let (folder, work, log) = (conventions.layout.function_folder.clone(), job.work.clone(), log.clone());
    let known = job.known.clone();
    tokio::task::spawn_blocking(move || {
        for dropped in package.dropped() {
            log.verbose(format!("dropped {}: {}", dropped.name, dropped.reason));
        }
        let folder = package.function_folder(&folder);
        let failed = |source| DeployError::Work { folder: work.clone(), source };
        // An unnamed file: nothing stays behind, whatever happens.
        let file = tempfile::tempfile_in(&work).map_err(failed)?;
        let mut writer = CodeWriter::new(file).map_err(failed)?;
        let repacked = match known {
            Some(known) => known.repack(&package, folder, &mut writer, &log)?,
            None => package.repack(folder, &mut writer)?,
        };
        let code = writer.finish(repacked.sha256).map_err(failed)?;
        show_repacked(&repacked, folder, &log);
        Ok((repacked, code))
    })
    .await
    .map_err(|_| DeployError::Panicked)?
}

impl Expected {
    fn check(&self, found: &Identity) -> Result<(), DeployError> {
        if self.id.eq_ignore_ascii_case(&found.id) && is_version(&self.version, &found.version) {
            return Ok(());
        }
        Err(DeployError::OtherPackage {
            expected: format!("{} {}", self.id, self.version),
            found: format!("{} {}", found.id, found.version.as_str()),
        })
    }
}

fn is_version<V: FromStr + PartialEq>(text: &str, version: &V) -> bool {
    text.parse::<V>().is_ok_and(|expected| expected == *version)
}

fn show_repacked(repacked: &Repacked, folder: &str, log: &Log) {
    let place = if folder.is_empty() { "the package's root".to_owned() } else { format!("`{folder}`") };
    let count = repacked.entries.len();
    for entry in repacked.entries.iter().take(SHOWN_FILES) {
        log.verbose(format!("  {:o} {:>9} {}", entry.mode & 0o777, entry.size, entry.name));
    }
    if count > SHOWN_FILES {
        log.verbose(format!("  … and {} more", count - SHOWN_FILES));
    }
    log.info(format!(
        "repacked {} from {place}: {} unzipped, {} zipped, CodeSha256 {}",
        files(count),
        bytes(repacked.unzipped_size),
        bytes(repacked.size),
        repacked.code_sha256()
    ));
}

/// A number of files for people.
pub fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A size for people.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut tenths = size * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_must_be_the_one_that_the_server_named() {
        let found = Identity { id: "Orders".into(), version: "1.0.0".parse().unwrap() };
        let check = |id: &str, version: &str| {
            let expected = Expected { id: id.into(), version: version.into() };
            expected.check(&found).map_err(|error| error.to_string())
        };
        assert_eq!(check("Orders", "1.0.0"), Ok(()));
        assert_eq!(check("orders", "1.0"), Ok(()), "ids without case, versions normalised");
        for (id, version) in [("Other", "1.0.0"), ("Orders", "1.0.1")] {
            let words = format!("the package holds Orders 1.0.0, but the server named {id} {version}");
            assert_eq!(check(id, version), Err(words));
        }
    }
}
