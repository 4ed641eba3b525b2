//! `octarm machine`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::names,
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Machines;

#[derive(Debug, Subcommand)]
pub(super) enum MachineCommand {
    /// List the workers, of all environments or of one
    List {
        /// The environment, by name, slug or id
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
    },
    /// Show a worker: where it is, whether it is there, when it was last heard of
    Show {
        /// Its name, or its id as Machines-1
        machine: String,
    },
    /// Deregister a worker whose machine is gone: its key stops working at once
    Delete {
        /// Its name, or its id as Machines-1
        machine: String,
        /// Also while it runs a deployment
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: MachineCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        MachineCommand::List { environment } => {
            let mut filters = Vec::new();
            if let Some(environment) = environment {
                let found = find(client, Collection::Environments, &environment).await?;
                filters.push(("environmentIds", text(&found, "Id").to_owned()));
            }
            let all = client.list(KIND, None, &filters, usize::MAX).await?.items;
            let environments = names(client, Collection::Environments).await?;
            let row = |machine: &Value| {
                let environment = machine["EnvironmentIds"][0].as_str().unwrap_or_default();
                json!({
                    "Id": machine["Id"], "Name": machine["Name"], "Status": machine["Status"],
                    "Environment": environments.get(environment).map_or(environment, String::as_str),
                    "Summary": machine["StatusSummary"],
                })
            };
            let rows: Vec<Value> = all.iter().map(row).collect();
            table::show(&rows, &["Id", "Name", "Environment", "Status", "Summary"], &all.into(), output);
        }
        MachineCommand::Show { machine } => {
            let found = find(client, KIND, &machine).await?;
            let environments = names(client, Collection::Environments).await?;
            let environment = found["EnvironmentIds"][0].as_str().unwrap_or_default();
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Environment", environments.get(environment).cloned().unwrap_or_default()),
                ("Health", text(&found, "HealthStatus").to_owned()),
                ("Status", text(&found, "Status").to_owned()),
                ("Summary", text(&found, "StatusSummary").to_owned()),
                ("Last seen", text(&found, "LastSeen").to_owned()),
            ];
            table::card(&fields, &found, output);
        }
        MachineCommand::Delete { machine, force, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &machine).await, &args, force, output).await;
        }
    }
    Ok(Exit::Done)
}
