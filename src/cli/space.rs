//! `octarm space`.

use clap::Subcommand;
use serde_json::json;

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

const KIND: Collection = Collection::Spaces;

#[derive(Debug, Subcommand)]
pub(super) enum SpaceCommand {
    /// Create a space, with a lifecycle, a project group and a worker pool of its own
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
    /// List the spaces that the key reaches
    List,
    /// Show a space
    Show {
        /// Its name, slug or id
        space: String,
    },
    /// Change what people read of a space
    Update {
        /// Its name, slug or id
        space: String,
        /// Its new name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Hand out no more deployments of a space: they wait; what runs goes on
    Stop {
        /// Its name, slug or id
        space: String,
    },
    /// Hand the deployments of a space out again
    Start {
        /// Its name, slug or id
        space: String,
    },
    /// Delete a space that is stopped and has no machines, with all that is in it
    Delete {
        /// Its name, slug or id
        space: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: SpaceCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        SpaceCommand::Create { name, description, ignore_existing } => {
            let body = json!({ "Name": name, "Description": description });
            create(client, KIND, &name, body, ignore_existing, output).await?;
        }
        SpaceCommand::List => {
            list(client, KIND, &["Id", "Name", "IsDefault", "TaskQueueStopped"], output).await?;
        }
        SpaceCommand::Show { space } => {
            let found = find(client, KIND, &space).await?;
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Slug", text(&found, "Slug").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                ("Default", table::cell(&found["IsDefault"])),
                ("Stopped", table::cell(&found["TaskQueueStopped"])),
            ];
            table::card(&fields, &found, output);
        }
        SpaceCommand::Update { space, name, description } => {
            let mut found = find(client, KIND, &space).await?;
            change(&mut found, &[("Name", name), ("Description", description)]);
            saved(client, KIND, found, output).await?;
        }
        SpaceCommand::Stop { space } => stop(client, &space, true, output).await?,
        SpaceCommand::Start { space } => stop(client, &space, false, output).await?,
        SpaceCommand::Delete { space, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &space).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

async fn stop(client: &ServerClient, space: &str, is_stopped: bool, output: Output) -> Result<(), CliError> {
    let mut found = find(client, KIND, space).await?;
    found["TaskQueueStopped"] = is_stopped.into();
    let changed = client.change(KIND, found).await?;
    let does = if is_stopped { "waits: no deployment of it is handed out" } else { "goes on" };
    output.result(format!("space {} {does}", text(&changed, "Name")), &changed);
    Ok(())
}
