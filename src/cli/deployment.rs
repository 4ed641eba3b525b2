//! `octarm deployment`.

use std::collections::HashMap;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    CliError, Output,
    find::text,
    table,
    task::{FilterArgs, filters},
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
    model::DeploymentId,
};

const KIND: Collection = Collection::Deployments;
/// How many tasks are asked for at once: their ids stand in the address.
const TASKS: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum DeploymentCommand {
    /// List deployments, the newest first
    #[command(after_help = "Example:\n  octarm deployment list --environment Production --state Failed")]
    List(#[command(flatten)] FilterArgs),
    /// Show a deployment and how it ended
    Show {
        /// The deployment, as Deployments-1
        id: DeploymentId,
    },
    /// Say what a deployment of unknown end came to, so that its target is free again
    Resolve {
        /// The deployment, as Deployments-1
        id: DeploymentId,
        /// What you found
        #[arg(long = "as", value_enum)]
        found: Resolution,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Resolution {
    /// The function holds this deployment's code
    Success,
    /// It does not
    Failed,
}

pub(super) async fn run(
    command: DeploymentCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        DeploymentCommand::List(args) => {
            let filters = filters(client, &args, ["projects", "environments", "taskState"]).await?;
            let mut listed = client.list(KIND, None, &filters, args.limit).await?;
            add_tasks(client, &mut listed.items).await?;
            let row = |deployment: &Value| {
                let task = &deployment["Task"];
                json!({
                    "Id": deployment["Id"], "Task": deployment["TaskId"], "State": task["State"],
                    "Created": deployment["Created"], "Description": task["Description"],
                })
            };
            let rows: Vec<Value> = listed.items.iter().map(row).collect();
            table::part(&rows, &["Id", "Task", "State", "Created", "Description"], listed, output);
        }
        DeploymentCommand::Show { id } => {
            let mut found = vec![client.read(KIND, &id.to_string()).await?];
            add_tasks(client, &mut found).await?;
            for deployment in &found {
                let task = &deployment["Task"];
                let field = |name: &str| text(task, name).to_owned();
                let blocks = if deployment["IsBlocking"] == true {
                    format!("yes: look, then `octarm deployment resolve {id} --as success|failed`")
                } else {
                    String::new()
                };
                let fields = [
                    ("Id", text(deployment, "Id").to_owned()),
                    ("Task", field("Id")),
                    ("Description", field("Description")),
                    ("State", field("State")),
                    ("Created", text(deployment, "Created").to_owned()),
                    ("Started", field("StartTime")),
                    ("Completed", field("CompletedTime")),
                    ("Worker", field("ServerNode")),
                    ("Waiting", field("WaitingReason")),
                    ("Error", field("ErrorMessage")),
                    ("Blocking", blocks),
                    ("Resolved", text(deployment, "ResolvedAs").to_owned()),
                    ("Comments", text(deployment, "Comments").to_owned()),
                ];
                table::card(&fields, deployment, output);
            }
        }
        DeploymentCommand::Resolve { id, found } => {
            let success = matches!(found, Resolution::Success);
            let answer = client.resolve(&id.to_string(), success).await?;
            let word = if success { "success" } else { "failed" };
            output.result(format!("{id} is resolved as {word}: its environment is free again"), &answer);
        }
    }
    Ok(Exit::Done)
}

/// Puts into each deployment its task, which knows the state.
async fn add_tasks(client: &ServerClient, deployments: &mut [Value]) -> Result<(), CliError> {
    for some in deployments.chunks_mut(TASKS) {
        let ids: Vec<&str> = some.iter().map(|deployment| text(deployment, "TaskId")).collect();
        let filter = [("ids", ids.join(","))];
        let tasks = client.list(Collection::Tasks, None, &filter, usize::MAX).await?.items;
        let mut tasks: HashMap<String, Value> =
            tasks.into_iter().map(|task| (text(&task, "Id").to_owned(), task)).collect();
        for deployment in some {
            let task = tasks.remove(text(deployment, "TaskId"));
            deployment["Task"] = task.unwrap_or_default();
        }
    }
    Ok(())
}
