//! `octarm environment`, `octarm project` and `octarm machine`.

use serde_json::{Value, json};

use super::{
    CliError, EnvironmentCommand, MachineCommand, Output, ProjectCommand,
    connection::{client, field},
    release,
};
use crate::{client::ClientError, config::Environment, exit::Exit};

pub(super) async fn environment(
    command: EnvironmentCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        EnvironmentCommand::Create { server, name, ignore_existing } => {
            let client = client(&server, environment)?;
            match client.create_environment(&name).await {
                Err(error) if ignore_existing && exists(&error) => {
                    let all = client.environments().await?;
                    existing(&all, &name, "environment", output);
                }
                created => {
                    let created = created?;
                    let id = field(&created, "Id", "creating the environment")?;
                    output.result(format!("created environment {name} ({id})"), &created);
                }
            }
        }
        EnvironmentCommand::List { server } => {
            let all = client(&server, environment)?.environments().await?;
            output.result(lines(&all, &["Id", "Name"]), &all);
        }
        EnvironmentCommand::DeployCurrent { server, name, projects, wait, timeout } => {
            let client = client(&server, environment)?;
            let answer = client.deploy_current(&name, &projects).await?;
            let found = answer.get("Projects").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let text = if found.is_empty() {
                format!("nothing is current in {name}: no deployment to it ever ended well")
            } else {
                found.iter().map(describe_current).collect::<Result<Vec<_>, _>>()?.join("\n")
            };
            if !wait {
                output.result(text, &answer);
                return Ok(Exit::Done);
            }
            output.say(text);
            let is_on_its_way = |one: &&Value| matches!(one["Outcome"].as_str(), Some("Queued" | "Active"));
            let (mut tasks, mut labels) = (Vec::new(), Vec::new());
            for one in found.iter().filter(is_on_its_way) {
                let part = |name| field(one, name, CURRENT).map(str::to_owned);
                tasks.push((part("ServerTaskId")?, part("DeploymentId")?));
                labels.push(part("ProjectName")?);
            }
            return release::wait_at_most(timeout, &client, &tasks, &labels, &answer, output).await;
        }
    }
    Ok(Exit::Done)
}

/// What is being done by `deploy-current`.
const CURRENT: &str = "deploying what is current";

fn describe_current(one: &Value) -> Result<String, CliError> {
    let (project, message) = (field(one, "ProjectName", CURRENT)?, field(one, "Message", CURRENT)?);
    Ok(match one.get("ReleaseVersion").and_then(Value::as_str) {
        Some(release) => format!("{project} {release}: {message}"),
        None => format!("{project}: {message}"),
    })
}

pub(super) async fn project(
    command: ProjectCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let ProjectCommand::Create { server, name, package, ignore_existing } = command;
    let client = client(&server, environment)?;
    let (project, existed) = match client.create_project(&name).await {
        Err(error) if ignore_existing && exists(&error) => (client.project(&name).await?, true),
        created => (created?, false),
    };
    if let Some(package) = &package {
        // Also for one that exists: a run before this one may have ended between the two.
        client.set_package(&project, package).await?;
    }
    if existed {
        existing(&json!([project]), &name, "project", output);
        return Ok(Exit::Done);
    }
    let id = field(&project, "Id", "creating the project")?;
    let deploys = package.as_ref().unwrap_or(&name);
    output.result(format!("created project {name} ({id}), which deploys the package {deploys}"), &project);
    Ok(Exit::Done)
}

pub(super) async fn machine(
    command: MachineCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        MachineCommand::List { server } => {
            let all = client(&server, environment)?.machines().await?;
            output.result(lines(&all, &["Id", "Name", "HealthStatus", "StatusSummary"]), &all);
        }
        MachineCommand::Delete { server, id, force } => {
            client(&server, environment)?.delete_machine(&id.to_string(), force).await?;
            output.result(format!("deregistered {id}"), &json!({ "Id": id, "Deregistered": true }));
        }
    }
    Ok(Exit::Done)
}

/// Whether a creation was refused because the name is taken. Octopus itself says that with 400 and in words alone.
fn exists(error: &ClientError) -> bool {
    match error.status() {
        Some(409) => true,
        Some(400) => error.to_string().contains("already exists"),
        _ => false,
    }
}

fn existing(all: &Value, name: &str, kind: &str, output: Output) {
    let found = all.as_array().into_iter().flatten().find(|item| {
        item.get("Name").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
    });
    output.result(format!("{kind} {name} exists"), found.unwrap_or(&Value::Null));
}

/// A list as text: one line an item, the columns aligned.
pub(super) fn lines(items: &Value, columns: &[&str]) -> String {
    let rows: Vec<Vec<String>> = items
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| columns.iter().map(|column| item.get(column).map(cell).unwrap_or_default()).collect())
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
