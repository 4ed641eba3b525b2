//! `octarm release`.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::{
    CliError, Output, ReleaseCommand,
    connection::{client, field},
    task, variables,
};
use crate::{
    client::{NewRelease, ServerClient},
    config::Environment,
    conventions::Conventions,
    exit::Exit,
};

pub(super) async fn run(
    command: ReleaseCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ReleaseCommand::Create { server, project, version, packages, notes, ignore_existing } => {
            let release = NewRelease {
                project: project.clone(),
                version,
                packages,
                notes,
                ignore_existing,
                ..NewRelease::default()
            };
            let answer = client(&server, environment)?.create_release(&release).await?;
            let act = "creating a release";
            let (id, version) = (field(&answer, "ReleaseId", act)?, field(&answer, "ReleaseVersion", act)?);
            output.result(format!("created release {version} of {project} ({id})"), &answer);
            Ok(Exit::Done)
        }
        ReleaseCommand::Deploy { server, project, version, environments, variables, wait, timeout } => {
            variables::refuse_sensitive(&variables, &Conventions::load(None)?)?;
            let client = client(&server, environment)?;
            if !variables.is_empty() {
                let known = client.variables(&client.project(&project).await?).await?;
                variables::refuse_sensitive_of(variables.iter().map(|(name, _)| name.as_str()), &known)?;
            }
            let answer = client.deploy(&project, &version, &environments, &variables).await?;
            let tasks = started(&answer)?;
            if !wait {
                let ids: Vec<&str> = tasks.iter().map(|(task, _)| task.as_str()).collect();
                output.result(
                    format!(
                        "deploying {project} {version} to {}: {}",
                        environments.join(", "),
                        ids.join(", ")
                    ),
                    &answer,
                );
                return Ok(Exit::Done);
            }
            wait_at_most(timeout, &client, &tasks, &environments, &answer, output).await
        }
    }
}

/// Waits for the ends of all tasks, which `labels` tell apart, and shows them.
pub(super) async fn wait_at_most(
    seconds: Option<u64>,
    client: &ServerClient,
    tasks: &[(String, String)],
    labels: &[String],
    answer: &Value,
    output: Output,
) -> Result<Exit, CliError> {
    let waiting = wait_for(client, tasks, labels, output);
    let Some(seconds) = seconds else { return show_ends(&waiting.await?, output) };
    let Ok(ended) = tokio::time::timeout(Duration::from_secs(seconds), waiting).await else {
        let text = format!("still running after {seconds} seconds; the deployment goes on");
        output.result(text, answer);
        return Ok(Exit::TimedOut);
    };
    show_ends(&ended?, output)
}

/// The tasks and deployments that were made.
fn started(answer: &Value) -> Result<Vec<(String, String)>, CliError> {
    let act = "deploying a release";
    let list = answer.get("DeploymentServerTasks").and_then(Value::as_array);
    list.ok_or_else(|| CliError::Answer { act: act.to_owned(), field: "DeploymentServerTasks" })?
        .iter()
        .map(|pair| {
            let part = |name| field(pair, name, act).map(str::to_owned);
            Ok((part("ServerTaskId")?, part("DeploymentId")?))
        })
        .collect()
}

/// Follows all tasks, each with the label at its place, side by side; answers them as they ended.
async fn wait_for(
    client: &ServerClient,
    tasks: &[(String, String)],
    labels: &[String],
    output: Output,
) -> Result<Vec<Value>, CliError> {
    let many = tasks.len() > 1;
    try_join_all(tasks.iter().zip(labels).map(async |((id, _), label)| {
        let task = client.task(id).await?;
        output.say(task::describe(&task)?);
        // For programs only the ends are of interest: one document.
        let label = if many { label.as_str() } else { "" };
        task::follow_log(client, id, Some(label).filter(|_| !output.is_json()), output).await
    }))
    .await
}

fn show_ends(tasks: &[Value], output: Output) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    for task in tasks {
        output.say(task::describe(task)?);
        let this = task::exit_of(task)?;
        // Of several ends the one that asks for the most attention decides.
        exit = match (exit, this) {
            (Exit::Unknown, _) | (_, Exit::Unknown) => Exit::Unknown,
            (Exit::DeploymentFailed, _) | (_, Exit::DeploymentFailed) => Exit::DeploymentFailed,
            (Exit::Cancelled, _) | (_, Exit::Cancelled) => Exit::Cancelled,
            _ => Exit::Done,
        };
    }
    if output.is_json() {
        output.result("", &json!({ "Tasks": tasks }));
    }
    Ok(exit)
}
