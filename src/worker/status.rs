//! What a worker does at the moment, for whoever asks on its machine: also while the server is away.
//!
//! The process writes it into a file of its folder, by renaming, so that a reader never sees half of it. Nothing of the
//! work waits for that or fails with it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Live, StateError, StateFolder};
use crate::{
    deploy::{Lease, Moment, Progress},
    model::{DeploymentId, Fence, chain},
    protocol::Assignment,
};

const VERSION: u32 = 1;
/// How often it is written while a deployment runs, whose lease is renewed meanwhile.
const TICK: Duration = Duration::from_secs(1);
/// The least time between two writes, however much happens.
const LEAST: Duration = Duration::from_millis(100);

/// What a worker process last wrote of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    version: u32,
    /// The process.
    pub pid: u32,
    /// Its octarm.
    pub octarm: String,
    /// When it started.
    pub since: Timestamp,
    /// When it wrote this.
    pub written: Timestamp,
    /// When the server last answered it.
    pub last_contact: Option<Timestamp>,
    /// Whether it finishes what runs and takes nothing new.
    pub draining: bool,
    /// Why it takes no work.
    pub takes_no_work: Option<String>,
    /// When it ended, where it did so by itself.
    pub ended: Option<Timestamp>,
    /// What it runs.
    pub deployments: Vec<Current>,
}

/// A deployment that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Which.
    pub deployment: DeploymentId,
    /// Its hand-out.
    pub fence: Fence,
    /// Of which project.
    pub project: Option<String>,
    /// Which release of it.
    pub release: Option<String>,
    /// Id and version of its package.
    pub package: String,
    /// What is being done.
    pub phase: Phase,
    /// When the worker took it.
    pub since: Timestamp,
    /// Since when it is in its phase.
    pub phase_since: Timestamp,
    /// When its lease ends, in milliseconds since the machine started: a clock that nobody sets. None before the first
    /// renewal.
    lease_end_ms: Option<u64>,
}

impl Current {
    /// How long its lease lasts from now on.
    pub fn lease_left(&self) -> Option<Duration> {
        let end = self.lease_end_ms?;
        Some(Duration::from_millis(end.saturating_sub(Moment::now().milliseconds())))
    }
}

/// What is being done for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was taken, nothing is begun.
    Taken,
    /// Its package is on its way here.
    Fetching,
    /// Between two of the others.
    Working,
    /// Its package is checked and repacked.
    Repacking,
    /// AWS is asked what is there.
    Asking,
    /// Its code is on its way to AWS.
    Sending,
    /// Lambda works on it.
    Settling,
    /// Its end is on its way to the server.
    Reporting,
}

impl Phase {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Fetching => "fetching the package",
            Self::Working => "working",
            Self::Repacking => "repacking",
            Self::Asking => "asking AWS what is there",
            Self::Sending => "sending the code",
            Self::Settling => "waiting for Lambda",
            Self::Reporting => "reporting the end",
        }
    }
}

impl From<Progress> for Phase {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Repacking => Self::Repacking,
            Progress::Asking => Self::Asking,
            Progress::Sending { .. } => Self::Sending,
            Progress::Settling => Self::Settling,
            Progress::Idle => Self::Working,
        }
    }
}

/// What one finds out about the worker of a folder.
#[derive(Debug)]
pub struct Observed {
    /// The process that runs, where one does. It is 0 where that is in another container.
    pub pid: Option<u32>,
    /// What that process last wrote; where none runs, what the last one did.
    pub report: Option<Report>,
}

/// Looks at the folder; changes nothing, and no process that starts at this moment is kept out by it.
pub fn observe(folder: &StateFolder) -> Result<Observed, StateError> {
    let pid = folder.process()?;
    let read = match fs_err::read(path(folder.path())) {
        Ok(bytes) => serde_json::from_slice::<Report>(&bytes).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let is_its_own = |report: &Report| match pid {
        // One that has only just started has written nothing yet: what is there is an earlier one's.
        Some(pid) => report.ended.is_none() && (pid == 0 || pid == report.pid),
        None => true,
    };
    Ok(Observed { pid, report: read.filter(|report| report.version == VERSION && is_its_own(report)) })
}

fn path(folder: &Path) -> PathBuf {
    folder.join("status.json")
}

/// What this process does. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Status {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    /// Whether the last of it is written. Held by whoever writes: a write that began before cannot land after it.
    is_over: Arc<Mutex<bool>>,
    live: Live,
    drain: CancellationToken,
}

#[derive(Debug)]
struct State {
    since: Timestamp,
    last_contact: Option<Timestamp>,
    hindrance: Option<String>,
    running: Vec<(Current, Option<Lease>)>,
}

/// A deployment in the status, for as long as this lives.
#[derive(Debug)]
pub(super) struct Shown {
    status: Status,
    deployment: DeploymentId,
    fence: Fence,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let is_it = |(one, _): &(Current, _)| (one.deployment, one.fence) == (self.deployment, self.fence);
        self.status.state().running.retain(|entry| !is_it(entry));
        self.status.changed.notify_one();
    }
}

impl Status {
    /// Of a process with these settings.
    pub(super) fn new(live: Live, drain: CancellationToken) -> Self {
        let state =
            State { since: Timestamp::now(), last_contact: None, hindrance: None, running: Vec::new() };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::default(),
            is_over: Arc::default(),
            live,
            drain,
        }
    }

    /// The server answered.
    pub(super) fn contact(&self) {
        let now = Timestamp::now();
        let last = self.state().last_contact.replace(now);
        // A server that lets no claim wait is asked several times a second.
        if last.is_none_or(|last| now.duration_since(last) >= TICK.try_into().unwrap_or_default()) {
            self.changed.notify_one();
        }
    }

    /// Why no work is taken, or that it is.
    pub(super) fn hindered(&self, why: Option<String>) {
        let mut state = self.state();
        if state.hindrance != why {
            state.hindrance = why;
            self.changed.notify_one();
        }
    }

    /// A deployment was taken.
    pub(super) fn show(&self, assignment: &Assignment) -> Shown {
        let value = |name: &str| {
            let mut found = assignment.variables.iter().filter(|one| one.name.eq_ignore_ascii_case(name));
            found.next_back().filter(|one| !one.sensitive).map(|one| one.value.clone())
        };
        let now = Timestamp::now();
        let current = Current {
            deployment: assignment.deployment,
            fence: assignment.fence,
            project: value("Octopus.Project.Name"),
            release: value("Octopus.Release.Number"),
            package: format!("{} {}", assignment.package.id, assignment.package.version),
            phase: Phase::Taken,
            since: now,
            phase_since: now,
            lease_end_ms: None,
        };
        self.state().running.push((current, None));
        self.changed.notify_one();
        Shown { status: self.clone(), deployment: assignment.deployment, fence: assignment.fence }
    }

    /// Keeps the file for as long as it is polled. A disk that is full or slow hurts nobody: what cannot be written is
    /// not there, rather than there and wrong.
    pub(super) async fn keep(self, folder: PathBuf) {
        let mut is_told = false;
        loop {
            let report = self.report(None);
            let is_busy = !report.deployments.is_empty();
            let is_draining = report.draining;
            let (to, is_over) = (folder.clone(), Arc::clone(&self.is_over));
            // Not on a thread of the runtime, which a disk that hangs would take with it.
            let written = tokio::task::spawn_blocking(move || {
                let is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
                if *is_over { Ok(()) } else { write(&to, &report) }
            });
            let written = written.await;
            if let Ok(Err(error)) = written
                && !std::mem::replace(&mut is_told, true)
            {
                tracing::warn!(error = chain(&error), "the worker's status could not be written");
            }
            tokio::time::sleep(LEAST).await;
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.drain.cancelled(), if !is_draining => {}
                () = tokio::time::sleep(TICK), if is_busy => {}
            }
        }
    }

    /// Writes the last of it.
    pub(super) fn end(&self, folder: &Path) {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *is_over = true;
        // Whether that can be written is nobody's concern any more.
        let _ = write(folder, &self.report(Some(Timestamp::now())));
    }

    fn report(&self, ended: Option<Timestamp>) -> Report {
        let state = self.state();
        let now = Moment::now();
        let deployments: Vec<Current> = state
            .running
            .iter()
            .map(|(current, lease)| {
                let left = lease.as_ref().map(|lease| u64::try_from(lease.left().as_millis()));
                let lease_end_ms =
                    left.map(|left| now.milliseconds().saturating_add(left.unwrap_or(u64::MAX)));
                Current { lease_end_ms, ..current.clone() }
            })
            .collect();
        let draining = self.drain.is_cancelled();
        let places = self.live.now().concurrency.get();
        let takes_no_work = if draining {
            Some("it is draining: it finishes what runs and takes nothing new".to_owned())
        } else if deployments.len() >= places {
            Some(match places {
                1 => "it runs a deployment, and has room for one".to_owned(),
                places => format!("it runs {} deployments, and has room for {places}", deployments.len()),
            })
        } else {
            state.hindrance.clone()
        };
        Report {
            version: VERSION,
            pid: std::process::id(),
            octarm: env!("CARGO_PKG_VERSION").to_owned(),
            since: state.since,
            written: Timestamp::now(),
            last_contact: state.last_contact,
            draining,
            takes_no_work,
            ended,
            deployments,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// What is being done now.
    pub(super) fn phase(&self, phase: Phase) {
        self.change(|(current, _)| {
            if std::mem::replace(&mut current.phase, phase) != phase {
                current.phase_since = Timestamp::now();
            }
        });
    }

    /// By what right.
    pub(super) fn lease(&self, lease: &Lease) {
        self.change(|entry| entry.1 = Some(lease.clone()));
    }

    fn change(&self, change: impl Fn(&mut (Current, Option<Lease>))) {
        let mut state = self.status.state();
        let is_it = |one: &Current| (one.deployment, one.fence) == (self.deployment, self.fence);
        state.running.iter_mut().filter(|(one, _)| is_it(one)).for_each(change);
        self.status.changed.notify_one();
    }
}

fn write(folder: &Path, report: &Report) -> std::io::Result<()> {
    let whole = || {
        let bytes = serde_json::to_vec_pretty(report)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(path(folder)).map_err(|error| error.error)?;
        Ok(())
    };
    let written = whole();
    if written.is_err() {
        // What is there says what was, and this process lives.
        let _ = fs_err::remove_file(path(folder));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_not_there_rather_than_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let status = Status::new(Live::with_room(1), CancellationToken::new());
        write(folder.path(), &status.report(None)).unwrap();
        assert!(path(folder.path()).exists());
        let gone = folder.path().join("gone");
        assert!(write(&gone, &status.report(None)).is_err());
        // A folder in the file's place cannot be replaced by it.
        fs_err::remove_file(path(folder.path())).unwrap();
        fs_err::create_dir(path(folder.path())).unwrap();
        assert!(write(folder.path(), &status.report(None)).is_err());
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn the_end_is_the_last_that_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..200 {
            let status = Status::new(Live::with_room(1), CancellationToken::new());
            let keeping = tokio::spawn(status.clone().keep(folder.path().to_owned()));
            // A write is on its way, on a thread that nobody can stop.
            tokio::task::yield_now().await;
            keeping.abort();
            assert!(keeping.await.is_err());
            status.end(folder.path());
            // Whatever runs there still ends before this does.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            let read = fs_err::read(path(folder.path())).unwrap();
            assert!(serde_json::from_slice::<Report>(&read).unwrap().ended.is_some());
        }
    }

    #[test]
    fn a_status_says_why_no_work_is_taken() {
        let drain = CancellationToken::new();
        let status = Status::new(Live::with_room(2), drain.clone());
        assert_eq!(status.report(None).takes_no_work, None);
        status.hindered(Some("the server is away".to_owned()));
        assert_eq!(status.report(None).takes_no_work.as_deref(), Some("the server is away"));
        status.hindered(None);
        drain.cancel();
        let report = status.report(None);
        assert!(report.draining && report.takes_no_work.unwrap().contains("draining"));
    }

    #[test]
    fn an_earlier_processes_report_is_not_taken_for_that_of_one_that_runs() {
        let path = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(path.path()).unwrap().lock().unwrap();
        let mut report = Status::new(Live::with_room(1), CancellationToken::new()).report(None);
        report.pid = std::process::id() + 1;
        write(folder.path(), &report).unwrap();
        // The lock is this process's own, which it is not told of.
        let observed = observe(&folder).unwrap();
        assert_eq!(observed.pid, None);
        assert_eq!(observed.report, Some(report));
    }
}
