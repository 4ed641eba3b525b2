//! `octarm task` and `octarm deployment`: what the server does, followed to its end.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{
    CliError, DeploymentCommand, Output, Resolution, TaskCommand,
    connection::{client, field},
};
use crate::{
    client::{Backoff, ClientError, LogPart, ServerClient},
    config::Environment,
    exit::Exit,
    model::{LogLine, chain},
};

/// How long one question for more log waits at the server.
const LOG_WAIT: Duration = Duration::from_secs(20);
/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn run(
    command: TaskCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        TaskCommand::Show { server, id } => {
            let task = client(&server, environment)?.task(&id.to_string()).await?;
            output.result(describe(&task)?, &task);
            Ok(Exit::Done)
        }
        TaskCommand::Logs { server, id, follow } => {
            let (client, id) = (client(&server, environment)?, id.to_string());
            if follow {
                let task = follow_log(&client, &id, Some(""), output).await?;
                output.say(describe(&task)?);
                return exit_of(&task);
            }
            let mut from = 0;
            loop {
                let part = client.log(&id, from, Duration::ZERO).await?;
                show(&part, "", output);
                from += part.lines.len() as u64;
                if part.lines.is_empty() {
                    return Ok(Exit::Done);
                }
            }
        }
        TaskCommand::Cancel { server, id } => {
            let task = client(&server, environment)?.cancel(&id.to_string()).await?;
            output.result(describe(&task)?, &task);
            Ok(Exit::Done)
        }
    }
}

pub(super) async fn deployment(
    command: DeploymentCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let DeploymentCommand::Resolve { server, id, found } = command;
    let success = matches!(found, Resolution::Success);
    let answer = client(&server, environment)?.resolve(&id.to_string(), success).await?;
    let word = if success { "success" } else { "failed" };
    output.result(format!("{id} is resolved as {word}: its environment is free again"), &answer);
    Ok(Exit::Done)
}

/// Shows the log as it comes (with a label, when one is given; else only follows it), until the task has ended; answers
/// the task. A server that is away for a while is waited for.
pub(super) async fn follow_log(
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
pub(super) fn describe(task: &Value) -> Result<String, CliError> {
    let act = "reading the task";
    let (id, state) = (field(task, "Id", act)?, field(task, "State", act)?);
    let about = task.get("Description").and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{id}  {state}  {about}");
    if let Some(error) = task.get("ErrorMessage").and_then(Value::as_str).filter(|error| !error.is_empty()) {
        text.push_str("\n  ");
        text.push_str(error);
    }
    Ok(text)
}

/// The exit code that a task's end means; done while it has not ended.
pub(super) fn exit_of(task: &Value) -> Result<Exit, CliError> {
    let error = task.get("ErrorMessage").and_then(Value::as_str).unwrap_or_default();
    Ok(match field(task, "State", "reading the task")? {
        "Failed" if error.starts_with("unknown:") => Exit::Unknown,
        "Failed" | "TimedOut" => Exit::DeploymentFailed,
        "Canceled" => Exit::Cancelled,
        _ => Exit::Done,
    })
}
