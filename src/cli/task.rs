//! `octarm task`: what the server does, followed to its end.

use std::{cell::OnceCell, time::Duration};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    CliError, Output,
    channel::project_id,
    connection::field,
    find::{find, text},
    table,
};
use crate::{
    client::{Backoff, ClientError, Collection, Listed, LogPart, ServerClient},
    exit::Exit,
    model::{LogLine, TaskId, chain},
    shutdown::{self, Wishes},
};

/// How long one question for more log waits at the server.
const LOG_WAIT: Duration = Duration::from_secs(20);
/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the last look at a task may take, when the waiting is over before its end.
const LAST_LOOK: Duration = Duration::from_secs(5);

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// List tasks, the newest first
    #[command(after_help = "Example:\n  octarm task list --project Orders --state Executing")]
    List(#[command(flatten)] FilterArgs),
    /// Show a task
    Show {
        /// The task, as ServerTasks-1
        id: TaskId,
    },
    /// Wait until tasks have ended; ends as they ended: with 0 only when each is a success
    #[command(after_help = "Example:\n  octarm task wait ServerTasks-7 --timeout 600")]
    Wait {
        /// The tasks, as ServerTasks-1
        #[arg(required = true)]
        ids: Vec<TaskId>,
        /// Wait at most so many seconds
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Show a task's log; with --follow, ends as the deployment ended
    #[command(visible_alias = "log")]
    Logs {
        /// The task, as ServerTasks-1
        id: TaskId,
        /// Go on as lines come, until the task ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Ask to cancel a task: one that runs stops where it is safe
    Cancel {
        /// The task, as ServerTasks-1
        id: TaskId,
    },
}

/// Which tasks or deployments to list.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Only of this project, by name, slug or id
    #[arg(long)]
    project: Option<String>,
    /// Only to this environment, by name, slug or id
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only in these states: Queued, Executing, Cancelling, Success, Failed, Canceled
    #[arg(long = "state", value_name = "STATE", value_parser = NonEmptyStringValueParser::new())]
    states: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value = "30")]
    pub(super) limit: usize,
}

pub(super) async fn run(
    command: TaskCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        TaskCommand::List(args) => {
            let filters = filters(client, &args, ["project", "environment", "states"]).await?;
            let listed = client.list(Collection::Tasks, None, &filters, args.limit).await?;
            let row = |task: &Value| {
                json!({
                    "Id": task["Id"], "State": task["State"], "Queued": task["QueueTime"],
                    "Description": task["Description"],
                })
            };
            let rows: Vec<Value> = listed.items.iter().map(row).collect();
            table::part(&rows, &["Id", "State", "Queued", "Description"], listed, output);
        }
        TaskCommand::Show { id } => {
            let task = client.task(&id.to_string()).await?;
            output.result(describe(&task), &task);
        }
        TaskCommand::Wait { ids, timeout } => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let waiting = Waiting { ids: &ids, labels: None, timeout, stop: &signals()? };
            let (tasks, exit) = wait_for(client, &waiting, output).await;
            output.result(described(&tasks), &Value::Array(tasks));
            return exit;
        }
        TaskCommand::Logs { id, follow } => {
            let id = id.to_string();
            if follow {
                let task = follow_log(client, &id, Some(""), output).await?;
                output.say(describe(&task));
                return exit_of(&task);
            }
            let mut from = 0;
            loop {
                let part = client.log(&id, from, Duration::ZERO).await?;
                show(&part, "", output);
                from += part.lines.len() as u64;
                if part.lines.is_empty() {
                    break;
                }
            }
        }
        TaskCommand::Cancel { id } => {
            let task = client.cancel(&id.to_string()).await?;
            let text = describe(&task);
            let asked = if task["IsCompleted"] == true {
                text
            } else {
                format!(
                    "asked to cancel {id}: it stops where it is safe, and `octarm task wait {id}` tells when\n{text}"
                )
            };
            output.result(asked, &task);
        }
    }
    Ok(Exit::Done)
}

/// What was asked for in the words of the server's list, whose words for project, environment and state are these.
pub(super) async fn filters(
    client: &ServerClient,
    args: &FilterArgs,
    words: [&'static str; 3],
) -> Result<Vec<(&'static str, String)>, CliError> {
    let [project, environment, states] = words;
    let mut filters = Vec::new();
    filters.extend(project_id(client, args.project.as_deref()).await?.map(|id| (project, id)));
    if let Some(named) = &args.environment {
        let found = find(client, Collection::Environments, named).await?;
        filters.push((environment, text(&found, "Id").to_owned()));
    }
    if !args.states.is_empty() {
        filters.push((states, args.states.join(",")));
    }
    Ok(filters)
}

/// Tasks that are waited for.
struct Waiting<'w> {
    ids: &'w [String],
    /// What tells their logs apart, where these are shown.
    labels: Option<&'w [String]>,
    timeout: Option<u64>,
    /// Cancelled by a signal.
    stop: &'w CancellationToken,
}

/// Waits until these have ended, side by side, and shows their logs where labels for these are given; answers the tasks
/// and what their ends mean together. However the waiting ends, each task is answered, as it is then: one that cannot be
/// read any more by its id, so that nobody deploys again what is on its way.
async fn wait_for(
    client: &ServerClient,
    waiting: &Waiting<'_>,
    output: Output,
) -> (Vec<Value>, Result<Exit, CliError>) {
    let Waiting { ids, labels, timeout, stop } = waiting;
    let label = |place: usize| match labels {
        // One log needs no label; programs want the ends alone, as one document.
        _ if output.is_json() => None,
        Some(labels) if ids.len() > 1 => labels.get(place).map(String::as_str),
        Some(_) => Some(""),
        None => None,
    };
    let seen: Vec<OnceCell<Value>> = vec![OnceCell::new(); ids.len()];
    let follow = async |(place, id): (usize, &String)| {
        let task = follow_log(client, id, label(place), output).await?;
        let exit = exit_of(&task)?;
        let _ = seen[place].set(task);
        Ok::<_, CliError>(exit)
    };
    let all = try_join_all(ids.iter().enumerate().map(follow));
    let late = async {
        match timeout {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = all => ended.map(|exits| exits.into_iter().fold(Exit::Done, graver)),
        () = late => {
            let seconds = timeout.unwrap_or_default();
            let unit = if seconds == 1 { "second" } else { "seconds" };
            output.aside(&format!("still running after {seconds} {unit}; the deployment goes on"));
            Ok(Exit::TimedOut)
        }
        () = stop.cancelled() => {
            output.aside("stopped by a signal; the deployment goes on, and `octarm task wait` waits for it again");
            Ok(Exit::Interrupted)
        }
    };
    let tasks = ids.iter().zip(seen).map(async |(id, seen)| match seen.into_inner() {
        Some(task) => task,
        None => match tokio::time::timeout(LAST_LOOK, client.task(id)).await {
            Ok(Ok(task)) => task,
            _ => json!({ "Id": id, "State": "Unknown" }),
        },
    });
    (join_all(tasks).await, ended)
}

/// Of two ends the one that asks for more attention.
fn graver(one: Exit, other: Exit) -> Exit {
    let grave = [Exit::Unknown, Exit::DeploymentFailed, Exit::Cancelled];
    grave.into_iter().find(|exit| [one, other].contains(exit)).unwrap_or(Exit::Done)
}

/// Listens for signals: what was started goes on without whoever waits for it, and its ids must still be told.
pub(super) fn signals() -> Result<CancellationToken, CliError> {
    let stop = CancellationToken::new();
    shutdown::listen(Wishes { drain: stop.clone(), ..Wishes::default() }, || None)
        .map_err(|source| CliError::Io { act: "listening for signals".to_owned(), source })?;
    Ok(stop)
}

/// The answer to a request that starts deployments; without one it is said what may have come of it.
pub(super) async fn answer(
    request: impl Future<Output = Result<Value, ClientError>>,
    stop: &CancellationToken,
) -> Result<Value, CliError> {
    match stop.run_until_cancelled(request).await {
        Some(Err(error)) if error.leaves_doubt() => Err(CliError::InDoubt(error)),
        Some(answer) => Ok(answer?),
        None => Err(CliError::Interrupted),
    }
}

/// Deployments that were started, and whether they are waited for.
pub(super) struct Started<'s> {
    /// Their tasks.
    pub(super) ids: &'s [String],
    /// What tells their logs apart.
    pub(super) labels: &'s [String],
    /// What people are told.
    pub(super) text: String,
    pub(super) wait: bool,
    pub(super) timeout: Option<u64>,
    /// Cancelled by a signal.
    pub(super) stop: &'s CancellationToken,
}

/// Waits for the ends where that is asked for, and puts the tasks to the answer. What programs see has the same members
/// whether they are waited for or not.
pub(super) async fn show_started(
    client: &ServerClient,
    started: Started<'_>,
    mut answer: Value,
    output: Output,
) -> Result<Exit, CliError> {
    let Started { ids, labels, text, wait, timeout, stop } = started;
    let (tasks, exit, text) = if ids.is_empty() {
        (Vec::new(), Ok(Exit::Done), text)
    } else if wait {
        // At once: whoever is killed while they wait has been told.
        if output.is_json() {
            output.aside(&text);
        } else {
            output.say(text);
        }
        let waiting = Waiting { ids, labels: Some(labels), timeout, stop };
        let (tasks, exit) = wait_for(client, &waiting, output).await;
        let text = described(&tasks);
        (tasks, exit, text)
    } else if output.is_json() {
        let filter = [("ids", ids.join(","))];
        // The deployments are made: whoever was told of an error here would make them again.
        let tasks = client.list(Collection::Tasks, None, &filter, usize::MAX).await.unwrap_or_else(|error| {
            output.aside(&format!("the deployments are made, but not their tasks read: {}", chain(&error)));
            Listed::default()
        });
        (tasks.items, Ok(Exit::Done), text)
    } else {
        (Vec::new(), Ok(Exit::Done), text)
    };
    answer["Tasks"] = tasks.into();
    output.result(text, &answer);
    exit
}

/// Each task in its line.
fn described(tasks: &[Value]) -> String {
    tasks.iter().map(describe).collect::<Vec<_>>().join("\n")
}

/// Shows the log as it comes (with a label, when one is given; else only follows it), until the task has ended; answers
/// the task. A server that is away for a while is waited for.
async fn follow_log(
    client: &ServerClient,
    id: &str,
    label: Option<&str>,
    output: Output,
) -> Result<Value, CliError> {
    let mut from = 0;
    let mut wait = Patience::default();
    loop {
        let Some(part) = wait.attempt(client.log(id, from, LOG_WAIT).await, output).await? else { continue };
        if let Some(label) = label {
            show(&part, label, output);
        }
        from += part.lines.len() as u64;
        // The log's long poll tells the end at once.
        if part.ended
            && let Some(task) = wait.attempt(client.task(id).await, output).await?
        {
            return Ok(task);
        }
    }
}

/// Bears a server that does not answer, for a while.
#[derive(Default)]
struct Patience {
    backoff: Backoff,
    since: Option<Instant>,
}

impl Patience {
    /// The answer; `None` after a pause when it is worth asking again.
    async fn attempt<T>(
        &mut self,
        answer: Result<T, ClientError>,
        output: Output,
    ) -> Result<Option<T>, CliError> {
        match answer {
            Ok(answer) => {
                self.since = None;
                self.backoff.reset();
                Ok(Some(answer))
            }
            Err(error) => {
                if self.since.is_none() && error.is_retryable() {
                    output.aside(&format!(
                        "{}; trying again for {} minutes",
                        chain(&error),
                        PATIENCE.as_secs() / 60
                    ));
                }
                let since = *self.since.get_or_insert_with(Instant::now);
                if !error.is_retryable() || since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
                tokio::time::sleep(self.backoff.pause(error.retry_after())).await;
                Ok(None)
            }
        }
    }
}

fn show(part: &LogPart, label: &str, output: Output) {
    for line in LogLine::parse_all(&part.lines) {
        output.log_line(label, &line);
    }
}

/// A task in one line, with its error if it has one.
fn describe(task: &Value) -> String {
    let (id, state, about) = (text(task, "Id"), text(task, "State"), text(task, "Description"));
    let mut line = format!("{id}  {state}  {about}").trim_end().to_owned();
    let error = text(task, "ErrorMessage");
    if !error.is_empty() {
        line.push_str("\n  ");
        line.push_str(error);
    }
    line
}

/// The exit code that a task's end means: nothing but a success is one.
fn exit_of(task: &Value) -> Result<Exit, CliError> {
    let error = task.get("ErrorMessage").and_then(Value::as_str).unwrap_or_default();
    Ok(match field(task, "State", "reading the task")? {
        "Success" => Exit::Done,
        "Canceled" => Exit::Cancelled,
        "Failed" if error.starts_with("unknown:") => Exit::Unknown,
        _ => Exit::DeploymentFailed,
    })
}
