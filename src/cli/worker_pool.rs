//! `octarm worker-pool`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::{create, list},
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::WorkerPools;

#[derive(Debug, Subcommand)]
pub(super) enum WorkerPoolCommand {
    /// Create a pool
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
    /// List the pools
    List,
    /// Show a pool and the workers in it
    Show {
        /// Its name, slug or id
        pool: String,
    },
    /// Delete a pool that no worker is in
    Delete {
        /// Its name, slug or id
        pool: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: WorkerPoolCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        WorkerPoolCommand::Create { name, description, ignore_existing } => {
            let body =
                json!({ "Name": name, "Description": description, "WorkerPoolType": "StaticWorkerPool" });
            create(client, KIND, &name, body, ignore_existing, output).await?;
        }
        WorkerPoolCommand::List => {
            list(client, KIND, &["Id", "Name", "IsDefault", "Description"], output).await?;
        }
        WorkerPoolCommand::Show { pool } => {
            let found = find(client, KIND, &pool).await?;
            let filter = [("workerPoolIds", text(&found, "Id").to_owned())];
            let workers = client.list(Collection::Workers, None, &filter, usize::MAX).await?.items;
            let worker = |worker: &Value| format!("{} ({})", text(worker, "Name"), text(worker, "Status"));
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                ("Default", table::cell(&found["IsDefault"])),
                ("Workers", workers.iter().map(worker).collect::<Vec<_>>().join("\n")),
            ];
            table::card(&fields, &found, output);
        }
        WorkerPoolCommand::Delete { pool, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &pool).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}
