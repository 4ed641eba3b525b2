//! The daemon in each environment: registers, polls, runs one deployment at a time, drains.
//!
//! One task owns the truth about a deployment; lease, journal and log are tasks of their own that talk to it over
//! channels. The right to change anything is the lease: without it nothing is begun.

mod assignment;
mod journal;
mod lease;
mod local_log;
mod log_stream;
mod registration;
mod spool;
mod state;

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use local_log::{LocalLine, LocalLog, LogReader};
pub use registration::{Deregistered, Registered, Registration, deregister, register};
pub use state::{Identity, StateError, StateFolder};

use crate::{
    client::{Backoff, ClientError, WorkerClient},
    conventions::Conventions,
    deploy::Memory,
    model::{Variable, chain},
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
    /// The conventions.
    pub conventions: Conventions,
    /// The variables from its own environment.
    pub variables: Vec<Variable>,
    /// The packages that it has verified.
    pub memory: Memory,
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
}

impl WorkerError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => match error.code() {
                Some(ErrorCode::Unauthorised) => Some(
                    "the worker was deregistered: register it again with `octarm worker register`".to_owned(),
                ),
                Some(ErrorCode::SessionSuperseded) => {
                    Some("another process of this worker runs: stop one of the two".to_owned())
                }
                _ => error.hint(),
            },
            Self::State(error) => error.hint(),
        }
    }
}

/// Runs until it is asked to stop or cannot go on.
pub async fn run(worker: Worker, stopping: Stopping) -> Result<(), WorkerError> {
    let token = SecretString::from(worker.identity.token.0.clone());
    let client = WorkerClient::new(&worker.identity.server, &worker.identity.trust, token)?;
    let worker = Arc::new(worker);
    worker.state.prune();
    let mut backoff = Backoff::default();
    let mut is_away = false;
    // None until the session stands.
    let mut session = None;
    while !stopping.drain.is_cancelled() {
        let result = tokio::select! {
            // A claim that is cut off here may have been answered: its lease then runs out unused and the
            // deployment is handed out again.
            () = stopping.drain.cancelled() => break,
            result = turn(&client, &worker, &mut session) => result,
        };
        match result {
            Ok(Turn::Work(assignment)) => {
                is_away = false;
                if assignment::run(&client, &worker, *assignment, &stopping).await {
                    backoff.reset();
                } else {
                    stop_or_wait(&stopping, backoff.pause(None)).await;
                }
            }
            Ok(Turn::Pause(time)) => {
                if std::mem::take(&mut is_away) {
                    info!("the server answers again");
                }
                backoff.reset();
                stop_or_wait(&stopping, time).await;
            }
            Err(error) if error.code() == Some(ErrorCode::SessionLive) => {
                let time = error.retry_after().unwrap_or(Duration::from_secs(5));
                info!(
                    seconds = time.as_secs_f32(),
                    "an earlier process of this worker still holds a lease: waiting for its end"
                );
                stop_or_wait(&stopping, time).await;
            }
            Err(error) if is_final(&error) => return Err(error.into()),
            // Also what looks final to a single request: a proxy's page, a full disk, a newer server's answer. A
            // daemon outlives them.
            Err(error) => {
                let time = backoff.pause(error.retry_after());
                if !std::mem::replace(&mut is_away, true) {
                    warn!(error = chain(&error), "trying again until the server answers");
                }
                stop_or_wait(&stopping, time).await;
            }
        }
    }
    info!("drained: stopping");
    Ok(())
}

enum Turn {
    Work(Box<Assignment>),
    Pause(Duration),
}

/// Starts the session if there is none, then asks for work once.
async fn turn(
    client: &WorkerClient,
    worker: &Worker,
    session: &mut Option<Duration>,
) -> Result<Turn, ClientError> {
    let wait = if let Some(wait) = *session {
        wait
    } else {
        let answer = client.start_session(worker.machine.clone()).await?;
        info!(worker = %answer.worker_id, environment = answer.environment, server = worker.identity.server, "polling for deployments");
        *session.insert(Duration::from_millis(answer.poll_wait_ms))
    };
    let answer = client.claim(wait).await?;
    Ok(match answer.assignment {
        Some(assignment) => Turn::Work(assignment),
        None => Turn::Pause(Duration::from_millis(answer.pause_ms)),
    })
}

async fn stop_or_wait(stopping: &Stopping, time: Duration) {
    tokio::select! {
        () = stopping.drain.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Whether this worker is not wanted any more, here or at all.
fn is_final(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::Unauthorised | ErrorCode::SessionSuperseded | ErrorCode::WorkerElsewhere)
    )
}
