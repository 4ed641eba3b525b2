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

pub use error::DeployError;
pub use guard::{Guard, JournalWrite, Lease, Moment, Stop};
pub use log::{Event, Log, Progress};
pub use plan::{Action, Plan};
pub use redact::{Redactor, RedactorError};
pub use settings::{SettingsError, UNSHOWABLE_MIN};

use crate::{
    aws::{Aws, DIRECT_LIMIT},
    conventions::Conventions,
    model::{Failure, JournalRecord, Outcome},
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

/// Runs a deployment to its end. `Err` only when the right to report an end is lost.
pub async fn run(job: Job, conventions: &Conventions, log: &Log, guard: &Guard) -> Result<Ran, Stop> {
    let mut plan = None;
    let result = try_run(job, conventions, log, guard, &mut plan).await;
    log.progress(Progress::Idle);
    let outcome = match result {
        Ok(summary) => {
            log.info(&summary);
            Outcome::Success { summary: log.redact(&summary) }
        }
        Err(DeployError::Stopped(Stop::LeaseLost)) => return Err(Stop::LeaseLost),
        Err(DeployError::Stopped(Stop::Cancelled)) => {
            let summary = "cancelled before anything was changed".to_owned();
            log.warning(&summary);
            Outcome::Cancelled { summary }
        }
        Err(error) => {
            let failure = describe(&error, log);
            for (depth, message) in failure.messages.iter().enumerate() {
                log.error(if depth == 0 { message.clone() } else { format!("  because: {message}") });
            }
            if let Some(hint) = &failure.hint {
                log.info(format!("  hint: {hint}"));
            }
            if error.is_unknown() { Outcome::Unknown { failure } } else { Outcome::Failed { failure } }
        }
    };
    Ok(Ran { outcome, plan })
}

async fn try_run(
    job: Job,
    conventions: &Conventions,
    log: &Log,
    guard: &Guard,
    shown: &mut Option<Plan>,
) -> Result<String, DeployError> {
    log.progress(Progress::Repacking);
    let package = open(&job, conventions).await?;
    let identity = package.identity().clone();
    let settings =
        settings::resolve(&job.variables, conventions, &identity.id, &identity.version.to_string())?;
    log.info(format!(
        "package {} {} goes to {} (named by the convention `{}`)",
        identity.id,
        identity.version,
        settings.function,
        conventions.function_template()
    ));
    let (repacked, zip) = repack(package, &job, conventions, log).await?;
    guard.check()?;
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
    step.run(desired, zip, &job.journal, job.dry_run, shown).await
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
        "repacked {count} {} from {place}: {} unzipped, {} zipped, CodeSha256 {}",
        if count == 1 { "file" } else { "files" },
        bytes(repacked.unzipped_size),
        bytes(repacked.size),
        repacked.code_sha256()
    ));
}

fn describe(error: &DeployError, log: &Log) -> Failure {
    let mut messages = vec![log.redact(&error.to_string())];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = log.redact(&cause.to_string());
        // Some libraries repeat their cause in their own text.
        if !messages.last().is_some_and(|last| last.contains(&text)) {
            messages.push(text);
        }
        source = cause.source();
    }
    Failure { step: "update code".to_owned(), messages, hint: error.hint().map(|hint| log.redact(&hint)) }
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
