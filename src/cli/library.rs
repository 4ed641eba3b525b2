//! `octarm library`: library variable sets.

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

const KIND: Collection = Collection::Libraries;

#[derive(Debug, Subcommand)]
pub(super) enum LibraryCommand {
    /// Create a set; projects include it with `project update --library`
    #[command(
        after_help = "Example:\n  octarm library create Shared\n  octarm variable set --library Shared Log.Level=warn\n  octarm project update Orders --library Shared"
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
    /// List the sets
    List,
    /// Show a set and the projects that include it
    Show {
        /// Its name or id
        library: String,
    },
    /// Change a set; what is not given stays
    Update {
        /// Its name or id
        library: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Delete a set that no project includes
    Delete {
        /// Its name or id
        library: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: LibraryCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        LibraryCommand::Create { name, description, ignore_existing } => {
            let body = json!({ "Name": name, "Description": description, "ContentType": "Variables" });
            create(client, KIND, &name, body, ignore_existing, output).await?;
        }
        LibraryCommand::List => list(client, KIND, &["Id", "Name", "Description"], output).await?,
        LibraryCommand::Show { library } => {
            let found = find(client, KIND, &library).await?;
            let id = found["Id"].clone();
            let includes = |project: &Value| {
                project["IncludedLibraryVariableSetIds"].as_array().is_some_and(|ids| ids.contains(&id))
            };
            let mut projects = client.list(Collection::Projects, None, &[], usize::MAX).await?.items;
            projects.retain(includes);
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                (
                    "Included by",
                    projects.iter().map(|project| text(project, "Name")).collect::<Vec<_>>().join("\n"),
                ),
            ];
            table::card(&fields, &found, output);
        }
        LibraryCommand::Update { library, name, description } => {
            let mut found = find(client, KIND, &library).await?;
            change(&mut found, &[("Name", name), ("Description", description)]);
            saved(client, KIND, found, output).await?;
        }
        LibraryCommand::Delete { library, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &library).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

/// The ids of sets that a person named; none where none was named.
pub(super) async fn ids(client: &ServerClient, named: &[String]) -> Result<Option<Vec<String>>, CliError> {
    let mut ids = Vec::new();
    for name in named {
        ids.push(text(&find(client, KIND, name).await?, "Id").to_owned());
    }
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}
