//! `octarm environment`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::{change, create, list, saved},
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Environments;

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
        #[arg(long, value_name = "NUMBER")]
        order: Option<i64>,
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
        EnvironmentCommand::Delete { environment, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &environment).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}
