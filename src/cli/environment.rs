//! `octarm environment`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    connection::field,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::{change, create, list, saved},
    table,
    task::{self, Started},
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Environments;
/// What is being done by `deploy-current`.
const CURRENT: &str = "deploying what is current";

#[derive(Debug, Subcommand)]
pub(super) enum EnvironmentCommand {
    /// Create an environment
    #[command(
        after_help = "Example:\n  octarm environment create Production --description 'what customers see'"
    )]
    Create {
        /// Its name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List the environments in their order
    List,
    /// Show an environment and its workers
    Show {
        /// Its name, slug or id
        environment: String,
    },
    /// Change an environment; what is not given stays
    Update {
        /// Its name, slug or id
        environment: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Its place among the others, the lowest first
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        order: Option<i64>,
    },
    /// Deploy the projects' current releases for the environment once more: those that ended well there last
    #[command(
        after_help = "Example:\n  octarm environment deploy-current Production --project Orders --wait"
    )]
    DeployCurrent {
        /// Its name, slug or id
        environment: String,
        /// Only of these projects; else of all that were deployed there
        #[arg(long = "project", value_name = "NAME")]
        projects: Vec<String>,
        /// Show the logs and wait for the ends, also of those that are on their way already
        #[arg(long)]
        wait: bool,
        /// Wait at most so many seconds
        #[arg(long, value_name = "SECONDS", requires = "wait")]
        timeout: Option<u64>,
    },
    /// Delete an environment that no worker and no lifecycle is bound to
    Delete {
        /// Its name, slug or id
        environment: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: EnvironmentCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        EnvironmentCommand::Create { name, description, ignore_existing } => {
            let body = json!({ "Name": name, "Description": description });
            create(client, KIND, &name, body, ignore_existing, output).await?;
        }
        EnvironmentCommand::List => list(client, KIND, &["Id", "Name", "Description"], output).await?,
        EnvironmentCommand::Show { environment } => {
            let found = find(client, KIND, &environment).await?;
            let filter = [("environmentIds", text(&found, "Id").to_owned())];
            let machines = client.list(Collection::Machines, None, &filter, usize::MAX).await?.items;
            let worker = |machine: &Value| format!("{} ({})", text(machine, "Name"), text(machine, "Status"));
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                ("Order", found["SortOrder"].to_string()),
                ("Workers", machines.iter().map(worker).collect::<Vec<_>>().join("\n")),
            ];
            table::card(&fields, &found, output);
        }
        EnvironmentCommand::Update { environment, name, description, order } => {
            let mut found = find(client, KIND, &environment).await?;
            change(&mut found, &[("Name", name), ("Description", description)]);
            if let Some(order) = order {
                found["SortOrder"] = order.into();
            }
            saved(client, KIND, found, output).await?;
        }
        EnvironmentCommand::DeployCurrent { environment, projects, wait, timeout } => {
            let stop = task::signals()?;
            let answer = task::answer(client.deploy_current(&environment, &projects), &stop).await?;
            let found = answer.get("Projects").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let text = if found.is_empty() {
                format!("nothing is current in {environment}: no deployment to it ever ended well")
            } else {
                found.iter().map(describe_current).collect::<Result<Vec<_>, _>>()?.join("\n")
            };
            let is_on_its_way = |one: &&Value| matches!(one["Outcome"].as_str(), Some("Queued" | "Active"));
            let (mut ids, mut labels) = (Vec::new(), Vec::new());
            for one in found.iter().filter(is_on_its_way) {
                ids.push(field(one, "ServerTaskId", CURRENT)?.to_owned());
                labels.push(field(one, "ProjectName", CURRENT)?.to_owned());
            }
            let started = Started { ids: &ids, labels: &labels, text, wait, timeout, stop: &stop };
            return task::show_started(client, started, answer, output).await;
        }
        EnvironmentCommand::Delete { environment, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &environment).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

fn describe_current(one: &Value) -> Result<String, CliError> {
    let (project, message) = (field(one, "ProjectName", CURRENT)?, field(one, "Message", CURRENT)?);
    Ok(match one.get("ReleaseVersion").and_then(Value::as_str) {
        Some(release) => format!("{project} {release}: {message}"),
        None => format!("{project}: {message}"),
    })
}
