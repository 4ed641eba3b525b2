//! What a worker does at the moment, for whoever asks on its machine: also while the server is away.
//!
//! The process writes it into a file of its folder, by renaming, so that a reader never sees half of it. Nothing of the
//! work waits for that or fails with it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Live, StateError, StateFolder,
    health::{Current, Health},
};
use crate::model::chain;

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

/// Writes what this process does. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Status {
    health: Health,
    /// Whether the last of it is written. Held by whoever writes: a write that began before cannot land after it.
    is_over: Arc<Mutex<bool>>,
    live: Live,
    drain: CancellationToken,
}

impl Status {
    /// Of a process with these settings.
    pub(super) fn new(health: Health, live: Live, drain: CancellationToken) -> Self {
        Self { health, is_over: Arc::default(), live, drain }
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
                () = self.health.has_changed() => {}
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
        let deployments = self.health.running();
        let draining = self.drain.is_cancelled() || self.health.is_draining();
        let places = self.live.now().concurrency.get();
        let takes_no_work = if draining {
            Some("it is draining: it finishes what runs and takes nothing new".to_owned())
        } else if deployments.len() >= places {
            Some(match places {
                1 => "it runs a deployment, and has room for one".to_owned(),
                places => format!("it runs {} deployments, and has room for {places}", deployments.len()),
            })
        } else {
            self.health.hindrance()
        };
        Report {
            version: VERSION,
            pid: std::process::id(),
            octarm: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.health.started(),
            written: Timestamp::now(),
            last_contact: self.health.last_contact(),
            draining,
            takes_no_work,
            ended,
            deployments,
        }
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
    use crate::systemd::Unit;

    fn status(places: usize) -> Status {
        Status::new(Health::new(Unit::default()), Live::with_room(places), CancellationToken::new())
    }

    #[test]
    fn what_cannot_be_written_is_not_there_rather_than_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let status = status(1);
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
            let status = status(1);
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
        let status = Status { drain: drain.clone(), ..status(2) };
        assert_eq!(status.report(None).takes_no_work, None);
        status.health.session_stands();
        status.health.refusing(Some("the disk is full".to_owned()));
        assert_eq!(status.report(None).takes_no_work.as_deref(), Some("the disk is full"));
        status.health.leaving_alone();
        let why = status.report(None).takes_no_work.unwrap();
        assert!(why.starts_with("the server does not answer as it should: it is busy"), "{why}");
        status.health.refusing(None);
        status.health.polled(&Ok(()));
        assert_eq!(status.report(None).takes_no_work, None);
        drain.cancel();
        let report = status.report(None);
        assert!(report.draining && report.takes_no_work.unwrap().contains("draining"));
    }

    #[test]
    fn an_earlier_processes_report_is_not_taken_for_that_of_one_that_runs() {
        let path = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(path.path()).unwrap().lock().unwrap();
        let mut report = status(1).report(None);
        report.pid = std::process::id() + 1;
        write(folder.path(), &report).unwrap();
        // The lock is this process's own, which it is not told of.
        let observed = observe(&folder).unwrap();
        assert_eq!(observed.pid, None);
        assert_eq!(observed.report, Some(report));
    }
}
