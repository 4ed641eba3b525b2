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
mod registration;
mod reload;
mod running;
mod spool;
mod state;
mod status;
mod trace;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{debug, info, warn};

pub use doctor::{Check, Diagnosis, Examination, Verdict, examine};
pub use health::Health;
pub use local_log::{LocalLine, LocalLog, LogReader};
pub use registration::{Deregistered, Leave, Registered, Registration, deregister, register};
pub use reload::{Live, LiveSettings, Renewal};
pub use state::{Identity, StateError, StateFolder};
pub use status::{Current, Observed, Phase, Report, observe};

use self::{
    cache::Cache,
    disk::Disk,
    health::{LONGEST_PAUSE, LONGEST_POLL},
    running::Running,
    status::Status,
};
use crate::{
    aws::Pace,
    client::{Backoff, ClientError, WorkerClient, jittered},
    deploy::{Lanes, Memory},
    health::{Door, Report as HealthReport},
    model::{DeploymentId, chain},
    protocol::{Assignment, ErrorCode, Machine},
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

/// How soon a worker that takes no work looks whether it can again. To free some space should be enough.
const SHORT_OF_SPACE: Duration = Duration::from_secs(5);

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
    let Identity { server, trust, .. } = &worker.identity;
    let client = WorkerClient::new(server, trust, worker.identity.credential(), worker.machine.clone())?;
    worker.state.prune();
    worker.state.remove_packages();
    let disk = Disk::new(worker.state.path(), worker.limits.minimum_free);
    let status = Status::new(worker.live.clone(), stopping.drain.clone());
    let door = worker.door.take();
    let shared = Arc::new(Shared {
        client,
        status: status.clone(),
        local: LocalLog::new(worker.state.path()),
        cache: Cache::open(worker.state.path().join("cache"), worker.limits.cache, disk.clone()),
        disk,
        worker,
        running: Running::default(),
        lanes: Lanes::default(),
        pace: Pace::default(),
        stopping,
    });
    let telling =
        AbortOnDropHandle::new(tokio::spawn(status.clone().keep(shared.worker.state.path().to_owned())));
    let _answering = door.map(|door| {
        let asked = Arc::clone(&shared);
        AbortOnDropHandle::new(tokio::spawn(door.serve(move || std::future::ready(asked.report()))))
    });
    let mut runs = JoinSet::new();
    // Until the last deployment has ended: while the worker drains, a wish to cancel arrives at once as ever.
    let mut session = None;
    let ended = poll(&shared, &mut runs, &mut session).await;
    shared.worker.health.draining();
    // What runs comes to its end, also where the server wants no more of this worker: it then learns that by itself.
    while next_end(&shared, &mut runs).await.is_some() {}
    drop(telling);
    status.end(shared.worker.state.path());
    ended?;
    // Nobody has to wait for a process that is not there any more; who does not hear it finds out.
    if let Err(error) = shared.client.end_session().await {
        debug!(error = chain(&error), "the server was not told of the end");
    }
    info!("drained: stopping");
    Ok(())
}

impl Shared {
    fn report(&self) -> HealthReport {
        self.worker.health.report(&self.worker.live, &self.pace)
    }
}

/// The next end of a deployment; while it is waited for, signs of life of what runs are this loop's.
async fn next_end(shared: &Shared, runs: &mut JoinSet<bool>) -> Option<Result<bool, JoinError>> {
    loop {
        tokio::select! {
            ended = runs.join_next() => return ended,
            () = shared.worker.health.prodded() => shared.worker.health.round(),
        }
    }
}

/// Takes deployments while there is room, until it is asked to drain.
async fn poll(
    shared: &Arc<Shared>,
    runs: &mut JoinSet<bool>,
    session: &mut Option<Session>,
) -> Result<(), WorkerError> {
    let drain = &shared.stopping.drain;
    let mut live = shared.worker.live.clone();
    let mut backoff = Backoff::default();
    let mut is_away = false;
    let mut worked = Instant::now();
    let mut refusing = None;
    while !drain.is_cancelled() {
        shared.worker.health.round();
        let mut ended = runs.try_join_next();
        if ended.is_none() && runs.len() >= live.now().concurrency.get() {
            ended = tokio::select! {
                () = drain.cancelled() => break,
                // There may be more room now.
                () = live.changed() => continue,
                ended = next_end(shared, runs) => ended,
            };
        }
        if ended.is_some() {
            worked = Instant::now();
        }
        match ended {
            Some(Ok(true)) => {
                backoff.reset();
                continue;
            }
            // Its end could not be reported: it would come back at once.
            Some(_) => {
                stop_or_wait(shared, backoff.pause(None)).await;
                continue;
            }
            None => {}
        }
        let result = tokio::select! {
            // A claim that is cut off here may have been answered: its lease then runs out unused and the
            // deployment is handed out again.
            () = drain.cancelled() => break,
            result = turn(shared, session, &mut refusing, worked) => result,
        };
        if result.is_ok() {
            shared.status.contact();
            shared.status.hindered(refusing.clone());
        }
        // Who is not wanted has no start to be done with.
        if !result.as_ref().is_err_and(is_final) {
            shared.worker.health.polled(&result);
        }
        match result {
            Ok(Turn::Work(assignment)) => {
                is_away = false;
                let (shared, cancel) = (Arc::clone(shared), shared.stopping.cancel.child_token());
                // Before the next claim, which says what is held: else this one would be handed out again.
                let entry = shared.running.enter(assignment.deployment, assignment.fence, cancel.clone());
                runs.spawn(async move {
                    let _entry = entry;
                    assignment::run(&shared, *assignment, cancel).await
                });
            }
            Ok(Turn::Pause(time)) => {
                if std::mem::take(&mut is_away) {
                    info!("the server answers again");
                }
                backoff.reset();
                // Only after an answer that there is nothing: no deployment is on its way then.
                if runs.is_empty() && shared.worker.idle_exit.is_some_and(|idle| worked.elapsed() >= idle) {
                    info!("idle for long enough: stopping");
                    break;
                }
                stop_or_wait(shared, jittered(time)).await;
            }
            Ok(Turn::Leave) => {
                info!("the worker is being deregistered: no more work will come");
                break;
            }
            Err(error) if error.code() == Some(ErrorCode::SessionLive) => {
                let time = error.retry_after().unwrap_or(Duration::from_secs(5));
                shared.status.contact();
                shared.status.hindered(Some(
                    "an earlier process of it still holds a lease, and its end is waited for".to_owned(),
                ));
                info!(
                    seconds = time.as_secs_f32(),
                    "an earlier process of this worker still holds a lease: waiting for its end"
                );
                stop_or_wait(shared, time).await;
            }
            Err(error) if is_final(&error) => return Err(error.into()),
            // Also what looks final to a single request: a proxy's page, a full disk, a newer server's answer. A
            // daemon outlives them.
            Err(error) => {
                let time = backoff.pause(error.retry_after());
                shared
                    .status
                    .hindered(Some(format!("the server does not answer as it should: {}", chain(&error))));
                if !std::mem::replace(&mut is_away, true) {
                    warn!(error = chain(&error), "trying again until the server answers");
                }
                stop_or_wait(shared, time).await;
            }
        }
    }
    Ok(())
}

enum Turn {
    Work(Box<Assignment>),
    Pause(Duration),
    /// It was asked to leave.
    Leave,
}

/// A session that stands.
struct Session {
    wait: Duration,
    _watching: AbortOnDropHandle<()>,
}

/// Starts the session if there is none, then asks for work once.
async fn turn(
    shared: &Arc<Shared>,
    session: &mut Option<Session>,
    refusing: &mut Option<String>,
    worked: Instant,
) -> Result<Turn, ClientError> {
    let Shared { client, worker, running, .. } = &**shared;
    let health = &worker.health;
    let wait = if let Some(session) = session {
        session.wait
    } else {
        let answer = client.start_session().await?;
        info!(worker = %answer.worker_id, environment = answer.environment, server = worker.identity.server, "polling for deployments");
        health.session_stands();
        let wait = Duration::from_millis(answer.poll_wait_ms).min(LONGEST_POLL);
        let watching = tokio::spawn(running.clone().watch(client.clone(), health.clone(), wait));
        session.insert(Session { wait, _watching: AbortOnDropHandle::new(watching) }).wait
    };
    // A poll is not to outlast the time after which this process ends for want of work.
    let holding = running.deployments();
    let idle_exit = worker.idle_exit.filter(|_| holding.is_empty());
    let wait = idle_exit.map_or(wait, |idle| wait.min(idle.saturating_sub(worked.elapsed())));
    let refusal = refusal(shared).await;
    if refusal.is_some() != refusing.is_some() {
        if let Some(reason) = &refusal {
            warn!(reason, "taking no new work");
        } else {
            info!("taking work again: there is space enough");
        }
    }
    refusing.clone_from(&refusal);
    health.refusing(refusal.clone());
    let wait = if refusal.is_some() { wait.min(SHORT_OF_SPACE) } else { wait };
    let answer = client.claim(wait, holding, refusal).await?;
    Ok(match answer.assignment {
        Some(assignment) => Turn::Work(assignment),
        None if answer.leaving => Turn::Leave,
        None => Turn::Pause(Duration::from_millis(answer.pause_ms)),
    })
}

/// Why no new work may be taken just now. Off the runtime's threads: a disk may take its time.
async fn refusal(shared: &Arc<Shared>) -> Option<String> {
    let shared = Arc::clone(shared);
    let looking =
        tokio::task::spawn_blocking(move || shared.disk.refusal(&shared.cache, &shared.worker.state));
    looking.await.ok().flatten()
}

/// Waits, but not without coming round: a server may ask for a long pause.
async fn stop_or_wait(shared: &Shared, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::select! {
            () = shared.stopping.drain.cancelled() => return,
            () = tokio::time::sleep_until(end.min(Instant::now() + LONGEST_PAUSE)) => {}
        }
        shared.worker.health.round();
    }
}

/// Whether this worker is not wanted any more, here or at all.
fn is_final(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::Unauthorised | ErrorCode::SessionSuperseded | ErrorCode::WorkerElsewhere)
    )
}
