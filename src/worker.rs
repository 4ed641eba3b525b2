//! The daemon in each environment: registers, polls, runs so many deployments at a time, drains.
//!
//! One task owns the truth about each deployment; lease, journal and log are tasks of their own that talk to it over
//! channels. The right to change anything is the lease: without it nothing is begun.

mod assignment;
mod cache;
mod disk;
mod doctor;
mod health;
mod journal;
mod lease;
mod local_log;
mod log_stream;
mod poll;
mod registration;
mod reload;
mod running;
mod spool;
mod state;
mod status;
mod trace;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, info};

pub use doctor::{Check, Diagnosis, Examination, Verdict, examine};
pub use health::{Current, Health, Phase};
pub use local_log::{LocalLine, LocalLog, LogReader};
pub use registration::{Deregistered, Leave, Registered, Registration, deregister, register};
pub use reload::{Live, LiveSettings, Renewal};
pub use state::{Identity, StateError, StateFolder};
pub use status::{Observed, Report, observe};

use self::{
    cache::Cache,
    disk::Disk,
    poll::{next_end, poll},
    running::Running,
    status::Status,
};
use crate::{
    aws::Pace,
    client::{ClientError, WorkerClient},
    deploy::{Lanes, Memory},
    health::{Door, Report as HealthReport},
    model::{DeploymentId, chain},
    protocol::{ErrorCode, Machine},
};

/// What a worker needs to run.
#[derive(Debug)]
pub struct Worker {
    /// Its folder, locked by this process.
    pub state: StateFolder,
    /// Who it is.
    pub identity: Identity,
    /// The machine it runs on.
    pub machine: Machine,
    /// The settings that may change while it runs.
    pub live: Live,
    /// How it is.
    pub health: Health,
    /// Where it tells that to those who ask.
    pub door: Option<Door>,
    /// The packages that it has verified.
    pub memory: Memory,
    /// After how long without work it ends by itself.
    pub idle_exit: Option<Duration>,
    /// What it may use of its disk.
    pub limits: Limits,
}

/// What a worker may use of its disk.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes of a deployment's log are sent; none is no limit.
    pub log: Option<u64>,
    /// How many bytes of packages are kept for later deployments.
    pub cache: u64,
    /// With less than this free it takes no new work.
    pub minimum_free: u64,
}

/// How a worker is asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Cancel what runs.
    pub cancel: CancellationToken,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The server does not want it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// It was asked to leave, and is not gone in time.
    #[error("worker `{name}` is leaving and still there{}", of(running))]
    StillThere {
        /// Its name.
        name: String,
        /// What it runs.
        running: Vec<DeploymentId>,
    },
}

fn of(running: &[DeploymentId]) -> String {
    let running: Vec<String> = running.iter().map(ToString::to_string).collect();
    if running.is_empty() { String::new() } else { format!(": it runs {}", running.join(", ")) }
}

impl WorkerError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => match error.code() {
                Some(ErrorCode::Unauthorised) => Some(
                    "the worker was deregistered, or replaced by another machine: register it again with `octarm worker register`"
                        .to_owned(),
                ),
                Some(ErrorCode::SessionSuperseded) => {
                    Some("another process of this worker runs: stop one of the two".to_owned())
                }
                _ => error.hint(),
            },
            Self::State(error) => error.hint(),
            Self::StillThere { .. } => Some(
                "it gets nothing new: repeat this to wait on, with a longer `--wait`, or say `--force`".to_owned(),
            ),
        }
    }
}

/// What all deployments of this process share.
#[derive(Debug)]
struct Shared {
    client: WorkerClient,
    worker: Worker,
    local: LocalLog,
    cache: Cache,
    disk: Disk,
    running: Running,
    status: Status,
    /// For one deployment and for one function at a time one hand-out.
    lanes: Lanes,
    pace: Pace,
    stopping: Stopping,
}

/// Runs until it is asked to stop or cannot go on.
pub async fn run(mut worker: Worker, stopping: Stopping) -> Result<(), WorkerError> {
    let door = worker.door.take();
    let shared = Arc::new(Shared::new(worker, stopping)?);
    shared.worker.state.prune();
    shared.worker.state.remove_packages();
    let telling = AbortOnDropHandle::new(tokio::spawn(
        shared.status.clone().keep(shared.worker.state.path().to_owned()),
    ));
    let _answering = door.map(|door| {
        let asked = Arc::clone(&shared);
        AbortOnDropHandle::new(tokio::spawn(door.serve(move || std::future::ready(asked.report()))))
    });
    let mut runs = JoinSet::new();
    // Until the last deployment has ended: while the worker drains, a wish to cancel arrives at once as ever.
    let mut session = None;
    let ended = poll(&shared, &mut runs, &mut session).await;
    let health = &shared.worker.health;
    health.draining();
    // Nobody asked a worker that leaves to be done by a time, and what it still runs may take its own.
    let is_asked = shared.stopping.drain.is_cancelled();
    if is_asked {
        health.stopping();
    }
    // What runs comes to its end, also where the server wants no more of this worker: it then learns that by itself.
    while next_end(&shared, &mut runs).await.is_some() {}
    if !is_asked {
        health.stopping();
    }
    drop(telling);
    shared.status.end(shared.worker.state.path());
    ended?;
    // Nobody has to wait for a process that is not there any more; who does not hear it finds out.
    if let Err(error) = shared.client.end_session().await {
        debug!(error = chain(&error), "the server was not told of the end");
    }
    info!("drained: stopping");
    Ok(())
}

impl Shared {
    fn new(worker: Worker, stopping: Stopping) -> Result<Self, WorkerError> {
        let Identity { server, trust, .. } = &worker.identity;
        let client = WorkerClient::new(server, trust, worker.identity.credential(), worker.machine.clone())?;
        let disk = Disk::new(worker.state.path(), worker.limits.minimum_free);
        Ok(Self {
            client,
            status: Status::new(worker.health.clone(), worker.live.clone(), stopping.drain.clone()),
            local: LocalLog::new(worker.state.path()),
            cache: Cache::open(worker.state.path().join("cache"), worker.limits.cache, disk.clone()),
            disk,
            worker,
            running: Running::default(),
            lanes: Lanes::default(),
            pace: Pace::default(),
            stopping,
        })
    }

    fn report(&self) -> HealthReport {
        self.worker.health.report(&self.worker.live, &self.pace)
    }
}
