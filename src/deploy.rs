//! The engine: one package to one function, the same for the worker and for the one-shot command.
//!
//! Names and values are settled first, then the package is checked and repacked, then AWS is asked what is there,
//! then the plan is made and shown; only then is anything changed.

mod error;
mod guard;
mod log;
mod plan;
mod redact;
mod settings;
mod update_code;

use std::{
    io::{Read, Seek},
    path::PathBuf,
};

use jiff::ZonedDateTime;

pub use error::DeployError;
pub use guard::{Guard, JournalWrite, Lease, Moment, Stop};
pub use log::{Event, Log, Progress};
pub use plan::{Action, Plan};
pub use redact::{Redactor, RedactorError};
pub use settings::SettingsError;

use crate::{
    aws::{Aws, DIRECT_LIMIT},
    conventions::Conventions,
    model::{Failure, JournalRecord, Outcome, causes},
    package::{Package, Repacked},
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
    /// The variables, without the convention's defaults and without what the package itself says.
    pub variables: Variables,
    /// Where temporary files may go.
    pub work: PathBuf,
    /// What earlier hand-outs of this deployment recorded.
    pub journal: Vec<JournalRecord>,
    /// When it started: what the variables take for the time.
    pub started: ZonedDateTime,
    /// Show the plan, change nothing.
    pub dry_run: bool,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// The end.
    pub outcome: Outcome,
    /// The plan, when it got that far.
    pub plan: Option<Plan>,
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
    let mut reached = Reached { plan: None, is_established: job.journal.is_empty() };
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
    Ok(Ran { outcome, plan: reached.plan })
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
    let version = identity.version.to_string();
    let settings = settings::resolve(&job.variables, conventions, &identity.id, &version, &job.started)?;
    log.info(format!(
        "package {} {} goes to {} (named by the convention `{}`)",
        identity.id,
        identity.version,
        settings.function,
        conventions.function_template()
    ));
    let (repacked, zip) = repack(package, &job, conventions, log).await?;
    // What an earlier attempt may have changed is established before a cancel counts.
    if reached.is_established {
        guard.check()?;
    }
    if repacked.size > DIRECT_LIMIT {
        return Err(DeployError::TooLarge { size: repacked.size, bucket: settings.bucket });
    }

    log.progress(Progress::Asking);
    let aws = Aws::connect(settings.credentials.clone(), settings.region.clone()).await?;
    let caller = aws.caller().await?;
    log.info(format!("AWS account {} as {} in {}", caller.account, caller.arn, aws.region()));
    if let Some(expected) = settings.account.as_ref().filter(|expected| **expected != caller.account) {
        return Err(DeployError::Account { expected: expected.clone(), found: caller.account });
    }

    let desired = settings.desired(aws.region(), &caller.account, &identity, &repacked);
    let step = update_code::Step { aws: &aws, timeout: settings.update_timeout, log, guard };
    step.run(desired, zip, &job.journal, job.dry_run, reached).await
}

/// Opens and checks the package, off the runtime's threads.
async fn open(job: &Job, conventions: &Conventions) -> Result<Package, DeployError> {
    let (path, name, layout) = (job.package.clone(), job.file_name.clone(), conventions.layout.clone());
    let opened = tokio::task::spawn_blocking(move || Package::open(&path, Some(&name), &layout));
    Ok(opened.await.map_err(|_| DeployError::Panicked)??)
}

/// Makes Lambda's zip, off the runtime's threads.
async fn repack(
    package: Package,
    job: &Job,
    conventions: &Conventions,
    log: &Log,
) -> Result<(Repacked, Vec<u8>), DeployError> {
    let (folder, work, log) = (conventions.layout.function_folder.clone(), job.work.clone(), log.clone());
    tokio::task::spawn_blocking(move || {
        for dropped in package.dropped() {
            log.verbose(format!("dropped {}: {}", dropped.name, dropped.reason));
        }
        let folder = package.function_folder(&folder);
        let failed = |source| DeployError::Work { folder: work.clone(), source };
        // An unnamed file: nothing stays behind, whatever happens.
        let mut file = tempfile::tempfile_in(&work).map_err(failed)?;
        let repacked = package.repack(folder, &mut file)?;
        show_repacked(&repacked, folder, &log);
        let mut zip = Vec::new();
        // Above the limit the bytes are not needed: the deployment fails before any call.
        if repacked.size <= DIRECT_LIMIT {
            zip.reserve_exact(usize::try_from(repacked.size).unwrap_or_default());
            file.rewind().and_then(|()| file.read_to_end(&mut zip)).map_err(failed)?;
        }
        Ok((repacked, zip))
    })
    .await
    .map_err(|_| DeployError::Panicked)?
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
