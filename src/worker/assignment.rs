//! One deployment, from its claim to its report.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::ZonedDateTime;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{error, info, warn};

use super::{
    LiveSettings, LocalLine, Shared,
    cache::Taken,
    health::{Phase, Shown},
    journal::Journal,
    lease::{Keeper, is_end},
    log_stream::LogStream,
    spool::{HandOut, Spool},
};
use crate::{
    client::{Backoff, ClientError},
    deploy::{self, Event, Expected, Guard, Job, Lease, Log, Redactor, Stop},
    model::{Failure, Outcome, causes, chain},
    protocol::{Assignment, ErrorCode},
    template::Variables,
};

/// How long a package that cannot be fetched is asked for.
const FETCH_PATIENCE: Duration = Duration::from_mins(5);
/// How often a package that arrives damaged is asked for.
const FETCH_DAMAGED: usize = 3;

/// Runs the deployment and reports its end; answers whether the server has that. Whatever happens here ends this
/// deployment, not the worker.
pub(super) async fn run(shared: &Arc<Shared>, assignment: Assignment, cancel: CancellationToken) -> bool {
    let deployment = assignment.deployment;
    info!(%deployment, task = %assignment.task, fence = %assignment.fence, reconcile = assignment.reconcile, package = assignment.package.file_name, "claimed");
    let health = &shared.worker.health;
    let shown = Arc::new(health.deploying(&assignment));
    // To the end as they are now.
    let settings = shared.worker.live.now();
    let keeper = Keeper {
        client: shared.client.clone(),
        health: health.clone(),
        deployment,
        fence: assignment.fence,
        cancel,
        lost: CancellationToken::new(),
    };
    keeper.note(assignment.cancel);
    // Nothing is done before the first renewal succeeded: until then the server may think that we never got it.
    let (lease, term) = match keeper.begin().await {
        Ok(begun) => begun,
        Err(refused) => {
            warn!(%deployment, error = chain(&refused), "given back: its lease could not be renewed");
            return false;
        }
    };
    shown.lease(&lease);
    let _renewing = AbortOnDropHandle::new(tokio::spawn(keeper.clone().keep(lease.clone(), term)));

    // An earlier hand-out of it that this process lost may still be at its end, in the same folder.
    let _lane = shared.lanes.enter(&deployment.to_string()).await;
    let folder = shared.worker.state.deployment(deployment);
    let prepared = fs_err::create_dir_all(&folder);
    let hand_out = HandOut {
        fence: assignment.fence,
        offset: assignment.log_offset,
        held_since: assignment.held_since,
        created_ms: assignment.created_ms,
        limit: shared.worker.limits.log,
    };
    let spool = Spool::open(&folder, hand_out);
    let stream = LogStream::new(keeper.clone(), lease.clone(), assignment.log_offset, spool.clone());
    let streaming = AbortOnDropHandle::new(tokio::spawn(stream.serve()));

    let engine =
        Engine { shared, settings, keeper: &keeper, lease: &lease, assignment: &assignment, shown: &shown };
    let outcome = engine.to_outcome(&folder, prepared, spool).await;
    let ended = outcome.as_ref().ok().cloned();
    shown.ended(&outcome);
    shown.phase(Phase::Reporting);
    let reported = match (outcome, streaming.await.ok().flatten()) {
        (Ok(outcome), Some(stream)) => report(&keeper, &lease, outcome, stream).await,
        _ => false,
    };
    health.ended(ended.as_ref().filter(|_| reported));
    let removed = if reported {
        fs_err::remove_dir_all(&folder)
    } else {
        warn!(%deployment, "its end is not reported: it will be handed out again to find out what was done");
        // The spool may be needed; the package can be fetched again.
        fs_err::remove_file(folder.join("package"))
    };
    if let Some(error) = removed.err().filter(|error| error.kind() != std::io::ErrorKind::NotFound) {
        warn!(%deployment, error = %error, "its files could not be removed");
    }
    reported
}

struct Engine<'a> {
    shared: &'a Arc<Shared>,
    settings: Arc<LiveSettings>,
    keeper: &'a Keeper,
    lease: &'a Lease,
    assignment: &'a Assignment,
    shown: &'a Arc<Shown>,
}

impl Engine<'_> {
    /// Runs the engine with everything around it; all lines are passed on before this returns.
    async fn to_outcome(
        &self,
        folder: &Path,
        prepared: std::io::Result<()>,
        spool: Spool,
    ) -> Result<Outcome, Stop> {
        let (events, mut received) = mpsc::unbounded_channel();
        let shared = Arc::clone(self.shared);
        let (deployment, shown) = (self.assignment.deployment, Arc::clone(self.shown));
        let written = spool.clone();
        let passing_on = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(event) = received.recv().await {
                match event {
                    Event::Line(line) => {
                        // The disk has it before the server is asked, which may be away for long.
                        written.append(&line.to_bytes());
                        shared.local.append(&LocalLine { deployment, line });
                    }
                    Event::Progress(progress) => shown.phase(progress.into()),
                }
            }
        }));
        let (variables, started) = (self.variables(), ZonedDateTime::now());
        let outcome = match (prepared, Redactor::of(&variables, &started)) {
            (Ok(()), Ok(redactor)) => {
                self.engine(folder, variables, started, Log::new(events, redactor)).await
            }
            (Err(error), _) => {
                let messages = vec!["preparing the deployment's folder".to_owned(), error.to_string()];
                let hint = "free some space, or correct the folder's permissions";
                Ok(self.early(
                    &Log::new(events, Redactor::default()),
                    "prepare",
                    &messages,
                    Some(hint.to_owned()),
                ))
            }
            (Ok(()), Err(error)) => {
                let mut messages = causes(&error);
                messages.push("no log can be written safely, so nothing is deployed".to_owned());
                Ok(self.early(&Log::new(events, Redactor::default()), "prepare", &messages, None))
            }
        };
        // All senders are gone: the last lines are passed on before the log is closed.
        let _ = passing_on.await;
        spool.close();
        outcome
    }

    async fn engine(
        &self,
        folder: &Path,
        variables: Variables,
        started: ZonedDateTime,
        log: Log,
    ) -> Result<Outcome, Stop> {
        let assignment = self.assignment;
        let package = &assignment.package;
        log.info(format!(
            "worker {} of {} took {} (fence {})",
            self.shared.worker.identity.name,
            self.shared.worker.identity.environment,
            assignment.deployment,
            assignment.fence
        ));
        if assignment.reconcile {
            log.warning("an earlier attempt did not report its end: finding out what it did");
        }
        let (guard, _keeping) = self.guard(folder);
        let path = folder.join("package");
        self.shown.phase(Phase::Fetching);
        match self.fetch(&path, &guard, &log).await {
            Ok(()) => {}
            Err(NotFetched::Stop(Stop::Cancelled)) => {
                let summary = "cancelled: the function was left as it was".to_owned();
                log.warning(&summary);
                return Ok(Outcome::Cancelled { summary });
            }
            Err(NotFetched::Stop(stop)) => return Err(stop),
            Err(NotFetched::Error(error)) => {
                return Ok(self.early(&log, "fetch package", &causes(&error), error.hint()));
            }
        }
        let job = Job {
            package: path,
            file_name: package.file_name.clone(),
            expected: Some(Expected { id: package.id.clone(), version: package.version.clone() }),
            variables,
            work: folder.to_owned(),
            journal: assignment.journal.iter().map(|entry| entry.record.clone()).collect(),
            started,
            known: Some(self.shared.worker.memory.of(&package.sha256)),
            pace: self.shared.pace.clone(),
            dry_run: false,
        };
        let (settings, engine_log) = (Arc::clone(&self.settings), log.clone());
        let engine =
            tokio::spawn(async move { deploy::run(job, &settings.conventions, &engine_log, &guard).await });
        let mut engine = AbortOnDropHandle::new(engine);
        let result = tokio::select! {
            result = &mut engine => result,
            // A read or a wait must not hold a worker that has lost its lease; a change that was begun is left to
            // whoever reconciles.
            () = self.keeper.lost.cancelled() => return Err(Stop::LeaseLost),
        };
        match result {
            Ok(ran) => Ok(ran?.outcome),
            // A panic in it is a failed deployment, not a dead worker.
            Err(panic) => {
                error!(deployment = %assignment.deployment, error = %panic, "the deployment ended in a panic");
                let failure = Failure {
                    step: "update code".to_owned(),
                    messages: vec!["octarm met a bug in itself; the worker's own log has more".to_owned()],
                    hint: Some("look at the function, then resolve the deployment".to_owned()),
                };
                log.failure(&failure);
                Ok(Outcome::Unknown { failure })
            }
        }
    }

    fn guard(&self, folder: &Path) -> (Guard, AbortOnDropHandle<()>) {
        let (journal, writes) = mpsc::channel(1);
        let keeping = Journal {
            keeper: self.keeper.clone(),
            lease: self.lease.clone(),
            path: folder.join("journal.jsonl"),
            next: u32::try_from(self.assignment.journal.len()).unwrap_or(u32::MAX),
        };
        let guard = Guard::Leased {
            lease: self.lease.clone(),
            journal,
            cancel: self.keeper.cancel.clone(),
            lanes: self.shared.lanes.clone(),
        };
        (guard, AbortOnDropHandle::new(tokio::spawn(keeping.serve(writes))))
    }

    /// A failure before the engine began. Where an earlier attempt may have changed something, nobody knows what.
    fn early(&self, log: &Log, step: &str, messages: &[String], hint: Option<String>) -> Outcome {
        let messages = messages.iter().map(|message| log.redact(message)).collect();
        let failure = Failure { step: step.to_owned(), messages, hint };
        log.failure(&failure);
        if self.may_have_changed() { Outcome::Unknown { failure } } else { Outcome::Failed { failure } }
    }

    /// Whether an earlier attempt may have changed the function.
    fn may_have_changed(&self) -> bool {
        self.assignment.journal.iter().any(|entry| entry.record.is_about_function())
    }

    /// Fetches the package; again, when that may help.
    async fn fetch(&self, path: &Path, guard: &Guard, log: &Log) -> Result<(), NotFetched> {
        let mut backoff = Backoff::default();
        let mut damaged = 0;
        let began = Instant::now();
        // What an earlier attempt may have changed is established before a cancel counts.
        let cancel =
            if self.may_have_changed() { CancellationToken::new() } else { self.keeper.cancel.clone() };
        loop {
            let error = tokio::select! {
                fetched = self.obtain(path, log) => match fetched {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                () = cancel.cancelled() => return Err(NotFetched::Stop(Stop::Cancelled)),
                () = self.keeper.lost.cancelled() => return Err(NotFetched::Stop(Stop::LeaseLost)),
            };
            if is_end(&error) {
                self.keeper.note_error(self.lease, &error);
                return Err(NotFetched::Stop(Stop::LeaseLost));
            }
            damaged += usize::from(matches!(error, ClientError::Damaged { .. }));
            if !error.is_retryable() || damaged == FETCH_DAMAGED || began.elapsed() > FETCH_PATIENCE {
                return Err(NotFetched::Error(error));
            }
            log.warning(format!("{}; trying again", chain(&error)));
            tokio::select! {
                () = tokio::time::sleep(backoff.pause(error.retry_after())) => {}
                () = cancel.cancelled() => return Err(NotFetched::Stop(Stop::Cancelled)),
                () = self.keeper.lost.cancelled() => {}
            }
            if let Err(Stop::LeaseLost) = guard.check() {
                return Err(NotFetched::Stop(Stop::LeaseLost));
            }
        }
    }

    /// The package from the cache or from the server. One fetches it for all that need it: if it fails, the next one tries.
    async fn obtain(&self, path: &Path, log: &Log) -> Result<(), ClientError> {
        let (cache, package) = (&self.shared.cache, &self.assignment.package);
        let named = format!("package {} {}", package.id, package.version);
        let _lane = if let Some(lane) = cache.try_enter(package) {
            lane
        } else {
            log.verbose(format!("another deployment is fetching {named}: waiting for it"));
            cache.enter(package).await
        };
        match cache.take(package, path).await {
            Taken::Whole => {
                log.info(format!("{named} comes from the worker's cache, {}", deploy::bytes(package.size)));
                return Ok(());
            }
            Taken::Damaged => {
                log.warning(format!("the copy of {named} in the worker's cache was damaged: it is removed"));
            }
            Taken::Absent => {}
        }
        cache.make_room(package.size);
        log.info(format!("fetching {named}, {}", deploy::bytes(package.size)));
        let (deployment, fence) = (self.assignment.deployment, self.assignment.fence);
        self.shared.client.fetch(deployment, fence, package, path).await?;
        cache.keep(package, path);
        Ok(())
    }

    /// The worker's own variables, and the server's over them.
    fn variables(&self) -> Variables {
        let mut variables: Variables = self.settings.variables.iter().cloned().collect();
        let conventions = &self.settings.conventions;
        variables.extend(self.assignment.variables.iter().cloned().map(|mut variable| {
            // What the conventions call sensitive is hidden though its owner did not say so.
            variable.sensitive |= conventions.is_sensitive(&variable.name);
            variable
        }));
        variables
    }
}

enum NotFetched {
    Stop(Stop),
    Error(ClientError),
}

/// Reports the end until the server has it or the lease is over; answers whether the server has it.
async fn report(keeper: &Keeper, lease: &Lease, outcome: Outcome, mut log: LogStream) -> bool {
    let (deployment, fence) = (keeper.deployment, keeper.fence);
    let mut backoff = Backoff::default();
    loop {
        let over = lease.left().is_zero();
        let end = log.end();
        let answer = keeper.client.finish(deployment, fence, outcome.clone(), (end.length, end.sha256)).await;
        match answer {
            Ok(_) => {
                info!(%deployment, outcome = outcome.summary(), state = %outcome.task_state(), "reported");
                return true;
            }
            Err(ClientError::Refused { code: Some(ErrorCode::LogDigest), length: Some(length), .. })
                if !over =>
            {
                warn!(%deployment, "the server's copy of the log was damaged: sending it again");
                if log.send_again(length).await.is_none() {
                    return false;
                }
            }
            // Also once more after the lease: an answer that was lost may have been a yes.
            Err(error) if error.is_retryable() && !over => {
                tokio::time::sleep(backoff.pause(error.retry_after()).min(Duration::from_secs(2))).await;
            }
            Err(error) => {
                warn!(%deployment, error = chain(&error), "its end could not be reported");
                return false;
            }
        }
    }
}
