//! The loop that asks for deployments while there is room. It alone says that this process is alive, so it waits for
//! nothing without coming round.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{
    Shared, WorkerError, assignment,
    health::{LONGEST_PAUSE, LONGEST_POLL},
};
use crate::{
    client::{Backoff, ClientError, jittered},
    model::chain,
    protocol::{Assignment, ErrorCode},
};

/// How soon a worker that takes no work looks whether it can again. To free some space should be enough.
const SHORT_OF_SPACE: Duration = Duration::from_secs(5);

/// The next end of a deployment; while it is waited for, signs of life of what runs are this loop's.
pub(super) async fn next_end(shared: &Shared, runs: &mut JoinSet<bool>) -> Option<Result<bool, JoinError>> {
    loop {
        tokio::select! {
            ended = runs.join_next() => return ended,
            () = shared.worker.health.prodded() => shared.worker.health.round(),
        }
    }
}

/// Takes deployments while there is room, until it is asked to drain.
pub(super) async fn poll(
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
        // What is asked then says what is so then, not what was so before a busy server was left alone.
        if let Some(time) = shared.client.shut_for() {
            shared.worker.health.leaving_alone();
            stop_or_wait(shared, time).await;
            continue;
        }
        // A claim that is cut off here may have been answered: its lease then runs out unused and the deployment is
        // handed out again.
        let Some(result) = coming_round(shared, turn(shared, session, &mut refusing, worked)).await else {
            break;
        };
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
                if !std::mem::replace(&mut is_away, true) {
                    warn!(error = chain(&error), "trying again until the server answers");
                }
                stop_or_wait(shared, time).await;
            }
        }
    }
    Ok(())
}

/// Waits for a turn, unless it is asked to drain. While deployments run, their signs of life are this loop's, and so is the
/// time for which a busy server is left alone: one of the turn's own calls may meet a gate that was shut just now.
async fn coming_round<T>(shared: &Shared, turn: impl Future<Output = T>) -> Option<T> {
    let health = &shared.worker.health;
    let mut turn = std::pin::pin!(turn);
    loop {
        tokio::select! {
            () = shared.stopping.drain.cancelled() => return None,
            done = &mut turn => return Some(done),
            () = health.prodded() => health.round(),
            () = tokio::time::sleep(LONGEST_PAUSE) => if shared.client.shut_for().is_some() { health.round() },
        }
    }
}

enum Turn {
    Work(Box<Assignment>),
    Pause(Duration),
    /// It was asked to leave.
    Leave,
}

/// A session that stands.
pub(super) struct Session {
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
            () = shared.worker.health.prodded() => {}
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        client::{KeyPair, Trust},
        deploy::Memory,
        model::MachineId,
        protocol::{Machine, RegisterResponse},
        systemd::Unit,
        worker::{Health, Identity, Limits, Live, StateFolder, Stopping, Worker},
    };

    /// A worker of a server that nobody reaches.
    fn shared(folder: &std::path::Path) -> Arc<Shared> {
        let answer = RegisterResponse {
            worker_id: MachineId(1),
            installation: Uuid::nil(),
            name: "ci-1".to_owned(),
            environment: "CI".to_owned(),
            existed: false,
            current: Vec::new(),
        };
        let server = "http://127.0.0.1:9".to_owned();
        let worker = Worker {
            state: StateFolder::open(folder).unwrap().lock().unwrap(),
            identity: Identity::new(server, Trust::default(), &answer, KeyPair::generate().unwrap()),
            machine: Machine { host: "h".to_owned(), id: "m".to_owned() },
            live: Live::with_room(1),
            health: Health::new(Unit::default()),
            door: None,
            memory: Memory::default(),
            idle_exit: None,
            limits: Limits { log: None, cache: 0, minimum_free: 0 },
        };
        Arc::new(Shared::new(worker, Stopping::default()).unwrap())
    }

    /// Ends when the loop came round for a lease that was renewed.
    async fn seen_round(shared: &Shared) {
        let health = &shared.worker.health;
        let renewed = async {
            while health.silence().is_zero() {
                tokio::task::yield_now().await;
            }
            let before = health.silence();
            health.renewed::<()>(&Ok(()));
            while health.silence() >= before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), renewed).await.unwrap();
    }

    #[tokio::test]
    async fn the_loop_comes_round_while_a_busy_server_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let shared = shared(folder.path());
        shared.client.shut(Duration::from_mins(5));
        let (mut runs, mut session) = (JoinSet::new(), None);
        let watching = async {
            seen_round(&shared).await;
            seen_round(&shared).await;
            assert!(shared.client.shut_for().is_some());
            shared.stopping.drain.cancel();
        };
        tokio::join!(poll(&shared, &mut runs, &mut session), watching).0.unwrap();
    }

    #[tokio::test]
    async fn signs_of_life_of_what_runs_are_the_loops_while_it_asks() {
        let folder = tempfile::tempdir().unwrap();
        let shared = shared(folder.path());
        assert!(coming_round(&shared, seen_round(&shared)).await.is_some());
        let drain = async {
            seen_round(&shared).await;
            shared.stopping.drain.cancel();
        };
        let (asked, ()) = tokio::join!(coming_round(&shared, std::future::pending::<()>()), drain);
        assert!(asked.is_none());
    }
}
