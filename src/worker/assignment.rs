//! One deployment, from its claim to its report.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{error, info, warn};

use super::{
    LocalLine, LocalLog, Stopping, Worker, chain,
    journal::Journal,
    lease::Keeper,
    log_stream::{LogEnd, LogStream},
};
use crate::{
    client::{Backoff, ClientError, WorkerClient},
    deploy::{self, Event, Guard, Job, Lease, Log, Redactor, Stop},
    model::{Failure, Outcome, Variable},
    protocol::Assignment,
    template::{Variables, render},
};

/// Runs the deployment and reports its end. Whatever happens here ends this deployment, not the worker.
pub(super) async fn run(
    client: &WorkerClient,
    worker: &Arc<Worker>,
    assignment: Assignment,
    stopping: &Stopping,
) {
    let deployment = assignment.deployment;
    info!(%deployment, task = %assignment.task, fence = %assignment.fence, reconcile = assignment.reconcile, package = assignment.package.file_name, "claimed");
    let keeper = Keeper {
        client: client.clone(),
        deployment,
        fence: assignment.fence,
        cancel: stopping.cancel.child_token(),
        lost: CancellationToken::new(),
    };
    keeper.note(assignment.cancel);
    // Nothing is done before the first renewal succeeded: until then the server may think that we never got it.
    let (lease, term) = match keeper.begin().await {
        Ok(begun) => begun,
        Err(refused) => {
            warn!(%deployment, error = chain(&refused), "given back: its lease could not be renewed");
            return;
        }
    };
    let _renewing = AbortOnDropHandle::new(tokio::spawn(keeper.clone().keep(lease.clone(), term)));

    let folder = worker.state.deployment(deployment);
    let prepared = fs_err::create_dir_all(&folder);
    let (lines, log_end) = start_log(&keeper, &lease, &folder, assignment.log_offset);
    let running = Running { worker, client, keeper: &keeper, lease: &lease, assignment: &assignment };
    let outcome = match prepared {
        Ok(()) => running.to_outcome(&folder, lines).await,
        Err(error) => {
            let failure = Failure {
                step: "prepare".to_owned(),
                messages: vec!["preparing the deployment's folder".to_owned(), error.to_string()],
                hint: Some("free some space, or correct the folder's permissions".to_owned()),
            };
            Ok(running.say(lines, failure))
        }
    };
    let end = log_end.await.ok().flatten();
    if let (Ok(outcome), Some(end)) = (outcome, end) {
        report(&keeper, &lease, outcome, end).await;
    } else {
        warn!(%deployment, "its lease is lost: it will be handed out again to find out what was done");
    }
    if !keeper.lost.is_cancelled() && !lease.left().is_zero() {
        // Reported: nothing of it is needed any more.
        if let Err(error) = fs_err::remove_dir_all(&folder) {
            warn!(%deployment, error = %error, "its folder could not be removed");
        }
    }
}

fn start_log(
    keeper: &Keeper,
    lease: &Lease,
    folder: &std::path::Path,
    offset: u64,
) -> (mpsc::UnboundedSender<Vec<u8>>, tokio::task::JoinHandle<Option<LogEnd>>) {
    let (lines, received) = mpsc::unbounded_channel();
    let stream = LogStream::open(folder, keeper.clone(), lease.clone(), offset);
    (lines, tokio::spawn(stream.serve(received)))
}

struct Running<'a> {
    worker: &'a Arc<Worker>,
    client: &'a WorkerClient,
    keeper: &'a Keeper,
    lease: &'a Lease,
    assignment: &'a Assignment,
}

impl Running<'_> {
    /// Runs the engine; a panic in it is a failed deployment, not a dead worker.
    async fn to_outcome(
        &self,
        folder: &std::path::Path,
        lines: mpsc::UnboundedSender<Vec<u8>>,
    ) -> Result<Outcome, Stop> {
        let (events, mut received) = mpsc::unbounded_channel();
        let local = LocalLog::new(self.worker.state.path());
        let deployment = self.assignment.deployment;
        let passing_on = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(event) = received.recv().await {
                if let Event::Line(line) = event {
                    let _ = lines.send(line.to_bytes());
                    local.append(&LocalLine { deployment, line });
                }
            }
        }));
        let (journal, writes) = mpsc::channel(1);
        let keeping = Journal {
            keeper: self.keeper.clone(),
            lease: self.lease.clone(),
            path: folder.join("journal.jsonl"),
            next: u32::try_from(self.assignment.journal.len()).unwrap_or(u32::MAX),
        };
        let _keeping = AbortOnDropHandle::new(tokio::spawn(keeping.serve(writes)));
        let guard = Guard::Leased { lease: self.lease.clone(), journal, cancel: self.keeper.cancel.clone() };

        let variables = self.variables();
        let outcome = match redactor(&variables) {
            Ok(redactor) => {
                let log = Log::new(events, redactor);
                self.engine(folder, variables, log, guard).await
            }
            Err(failure) => {
                let log = Log::new(events, Redactor::default());
                for message in &failure.messages {
                    log.error(message);
                }
                Ok(Outcome::Failed { failure })
            }
        };
        // All senders are gone: the last lines are passed on before the log is closed.
        let _ = passing_on.await;
        outcome
    }

    async fn engine(
        &self,
        folder: &std::path::Path,
        variables: Variables,
        log: Log,
        guard: Guard,
    ) -> Result<Outcome, Stop> {
        let assignment = self.assignment;
        let package = &assignment.package;
        log.info(format!(
            "worker {} of {} took {} (fence {})",
            self.worker.identity.name,
            self.worker.identity.environment,
            assignment.deployment,
            assignment.fence
        ));
        if assignment.reconcile {
            log.warning("an earlier attempt did not report its end: finding out what it did");
        }
        let path = folder.join("package");
        log.info(format!(
            "fetching package {} {}, {}",
            package.id,
            package.version,
            deploy::bytes(package.size)
        ));
        let fetched = match self.fetch(&path, &guard).await {
            Ok(fetched) => fetched,
            Err(Stop::Cancelled) => {
                let summary = "cancelled before anything was changed".to_owned();
                log.warning(&summary);
                return Ok(Outcome::Cancelled { summary });
            }
            Err(Stop::LeaseLost) => return Err(Stop::LeaseLost),
        };
        if let Err(error) = fetched {
            let failure = Failure {
                step: "fetch package".to_owned(),
                messages: chain(&error).split(": ").map(str::to_owned).collect(),
                hint: error.hint(),
            };
            log.error(failure.messages.join(": "));
            return Ok(Outcome::Failed { failure });
        }
        let job = Job {
            package: path,
            file_name: package.file_name.clone(),
            variables,
            work: folder.to_owned(),
            journal: assignment.journal.iter().map(|entry| entry.record.clone()).collect(),
            dry_run: false,
        };
        let worker = Arc::clone(self.worker);
        let engine = tokio::spawn(async move { deploy::run(job, &worker.conventions, &log, &guard).await });
        let mut engine = AbortOnDropHandle::new(engine);
        let result = tokio::select! {
            result = &mut engine => result,
            // A read or a wait must not hold a worker that has lost its lease; a change that was begun is left to
            // whoever reconciles.
            () = self.keeper.lost.cancelled() => return Err(Stop::LeaseLost),
        };
        match result {
            Ok(ran) => Ok(ran?.outcome),
            Err(panic) => {
                error!(deployment = %assignment.deployment, error = %panic, "the deployment ended in a panic");
                let failure = Failure {
                    step: "update code".to_owned(),
                    messages: vec!["octarm met a bug in itself; the worker's own log has more".to_owned()],
                    hint: Some("look at the function, then resolve the deployment".to_owned()),
                };
                Ok(Outcome::Unknown { failure })
            }
        }
    }

    /// Fetches the package; again, while the server does not answer and the lease lasts.
    async fn fetch(&self, path: &std::path::Path, guard: &Guard) -> Result<Result<(), ClientError>, Stop> {
        let mut backoff = Backoff::default();
        loop {
            let assignment = self.assignment;
            let fetched =
                self.client.fetch(assignment.deployment, assignment.fence, &assignment.package, path).await;
            match fetched {
                Err(error) if error.is_retryable() => {
                    warn!(deployment = %assignment.deployment, error = chain(&error), "fetching the package again");
                    guard.pause(backoff.pause(error.retry_after())).await?;
                }
                Err(error) if super::lease::is_end(&error) => {
                    self.keeper.note_error(self.lease, &error);
                    return Err(Stop::LeaseLost);
                }
                done => return Ok(done),
            }
        }
    }

    /// The worker's own variables, and the server's over them.
    fn variables(&self) -> Variables {
        let mut variables: Variables = self.worker.variables.iter().cloned().collect();
        let conventions = &self.worker.conventions;
        variables.extend(self.assignment.variables.iter().cloned().map(|mut variable| {
            // What the conventions call sensitive is hidden though its owner did not say so.
            variable.sensitive |= conventions.is_sensitive(&variable.name);
            variable
        }));
        variables
    }

    /// Puts a failure that came before the engine into the log.
    fn say(&self, lines: mpsc::UnboundedSender<Vec<u8>>, failure: Failure) -> Outcome {
        let line = crate::model::LogLine {
            time: jiff::Timestamp::now(),
            level: crate::model::Level::Error,
            text: failure.to_line(),
        };
        error!(deployment = %self.assignment.deployment, error = line.text, "failed");
        let _ = lines.send(line.to_bytes());
        // The log is closed when its last sender is gone.
        drop(lines);
        Outcome::Failed { failure }
    }
}

/// Hides every sensitive value, as written and as rendered.
fn redactor(variables: &Variables) -> Result<Redactor, Failure> {
    let sensitive: Vec<&Variable> = variables.iter().filter(|variable| variable.sensitive).collect();
    let rendered: Vec<String> =
        sensitive.iter().map(|variable| render(&variable.value, variables).value).collect();
    let values =
        sensitive.iter().map(|variable| variable.value.as_str()).chain(rendered.iter().map(String::as_str));
    Redactor::new(values).map_err(|error| Failure {
        step: "prepare".to_owned(),
        messages: vec![error.to_string(), "no log can be written safely, so nothing is deployed".to_owned()],
        hint: None,
    })
}

/// Reports the end until the server has it or the lease is over.
async fn report(keeper: &Keeper, lease: &Lease, outcome: Outcome, end: LogEnd) {
    let (deployment, fence) = (keeper.deployment, keeper.fence);
    let mut backoff = Backoff::default();
    loop {
        let log = (end.length, end.sha256.clone());
        match keeper.client.finish(deployment, fence, outcome.clone(), log).await {
            Ok(_) => {
                info!(%deployment, outcome = outcome.summary(), state = %outcome.task_state(), "reported");
                return;
            }
            Err(error) if error.is_retryable() && !lease.left().is_zero() => {
                tokio::time::sleep(backoff.pause(error.retry_after()).min(Duration::from_secs(2))).await;
            }
            Err(error) => {
                warn!(%deployment, error = chain(&error), "its end could not be reported: it will be handed out again to find out what was done");
                lease.lose();
                keeper.lost.cancel();
                return;
            }
        }
    }
}
