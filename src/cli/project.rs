//! `octarm project`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, text},
    library,
    package::package_id,
    resource::{change, exists, list, name_by_id, names},
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Projects;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Create a project
    #[command(
        after_help = "Example:\n  octarm project create Orders --package Acme.Orders --lifecycle Careful"
    )]
    Create {
        /// Its name
        name: String,
        /// The package that it deploys; else the one of the project's name
        #[arg(long, value_name = "ID", value_parser = package_id)]
        package: Option<String>,
        /// The lifecycle of its releases, by name or id; else the default one
        #[arg(long, value_name = "NAME")]
        lifecycle: Option<String>,
        /// A library variable set that it includes, by name or id
        #[arg(long = "library", value_name = "NAME")]
        libraries: Vec<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List the projects
    List,
    /// Show a project, the package it deploys and its lifecycle
    Show {
        /// Its name, slug or id
        project: String,
    },
    /// Change a project; what is not given stays
    Update {
        /// Its name, slug or id
        project: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// The lifecycle of its releases, by name or id
        #[arg(long, value_name = "NAME")]
        lifecycle: Option<String>,
        /// The library variable sets that it includes, by name or id, in place of those it included
        #[arg(long = "library", value_name = "NAME")]
        libraries: Vec<String>,
        /// Include no library variable set
        #[arg(long, conflicts_with = "libraries")]
        no_library: bool,
        /// The package that it deploys
        #[arg(long, value_name = "ID", value_parser = package_id)]
        package: Option<String>,
        /// Let nothing of it be deployed
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let it be deployed again
        #[arg(long)]
        enable: bool,
    },
    /// Delete a project with its releases, its variables and the record of its deployments
    Delete {
        /// Its name, slug or id
        project: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: ProjectCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ProjectCommand::Create { name, package, lifecycle, libraries, description, ignore_existing } => {
            let lifecycle = lifecycle_id(client, lifecycle.as_deref()).await?;
            let body = json!({
                "Name": name, "Description": description, "ProjectGroupId": "ProjectGroups-1",
                "LifecycleId": lifecycle.as_deref().unwrap_or("Lifecycles-1"),
                "IncludedLibraryVariableSetIds": library::ids(client, &libraries).await?.unwrap_or_default(),
            });
            let (project, existed) = match client.create(KIND, &name, body).await {
                Err(error) if ignore_existing && exists(&error) => (find(client, KIND, &name).await?, true),
                created => (created?, false),
            };
            if let Some(package) = &package {
                // Also for one that exists: a run before this one may have ended between the two.
                client.set_package(&project, package).await?;
            }
            if existed {
                output.result(format!("project {name} exists"), &project);
                return Ok(Exit::Done);
            }
            let id = text(&project, "Id");
            let deploys = package.as_ref().unwrap_or(&name);
            let text = format!("created project {name} ({id}), which deploys the package {deploys}");
            output.result(text, &project);
        }
        ProjectCommand::List => list(client, KIND, &["Id", "Name", "Slug", "Description"], output).await?,
        ProjectCommand::Show { project } => {
            let found = find(client, KIND, &project).await?;
            let process = client.process(&found).await?;
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Slug", text(&found, "Slug").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                ("Lifecycle", name_by_id(client, Collection::Lifecycles, text(&found, "LifecycleId")).await?),
                ("Libraries", libraries(client, &found).await?.join("\n")),
                ("Deploys", packages(&process, text(&found, "Name")).join("\n")),
                ("Disabled", if found["IsDisabled"] == true { "yes".to_owned() } else { String::new() }),
            ];
            table::card(&fields, &found, output);
        }
        ProjectCommand::Update {
            project,
            name,
            description,
            lifecycle,
            libraries,
            no_library,
            package,
            disable,
            enable,
        } => {
            let mut found = find(client, KIND, &project).await?;
            let lifecycle = lifecycle_id(client, lifecycle.as_deref()).await?;
            change(&mut found, &[("Name", name), ("Description", description), ("LifecycleId", lifecycle)]);
            if let Some(ids) = library::ids(client, &libraries).await? {
                found["IncludedLibraryVariableSetIds"] = ids.into();
            } else if no_library {
                found["IncludedLibraryVariableSetIds"] = json!([]);
            }
            if disable || enable {
                found["IsDisabled"] = disable.into();
            }
            let changed = client.change(KIND, found).await?;
            if let Some(package) = &package {
                client.set_package(&changed, package).await?;
            }
            let (name, id) = (text(&changed, "Name"), text(&changed, "Id"));
            output.result(format!("changed project {name} ({id})"), &changed);
        }
        ProjectCommand::Delete { project, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &project).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

/// The id of a lifecycle that a person named.
pub(super) async fn lifecycle_id(
    client: &ServerClient,
    named: Option<&str>,
) -> Result<Option<String>, CliError> {
    match named {
        None => Ok(None),
        Some(named) => {
            let found = find(client, Collection::Lifecycles, named).await?;
            Ok(Some(text(&found, "Id").to_owned()))
        }
    }
}

/// The names of the library variable sets that a project includes.
async fn libraries(client: &ServerClient, project: &Value) -> Result<Vec<String>, CliError> {
    let included = project["IncludedLibraryVariableSetIds"].as_array();
    let ids: Vec<&str> = included.into_iter().flatten().filter_map(Value::as_str).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let names = names(client, Collection::Libraries).await?;
    Ok(ids.into_iter().map(|id| names.get(id).map_or(id, String::as_str).to_owned()).collect())
}

/// The packages of a process, each with the step that deploys it; without steps it is the one of the project's name.
fn packages(process: &Value, project: &str) -> Vec<String> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    if list(process, "Steps").is_empty() {
        return vec![format!("{project}, as the project is called")];
    }
    let mut all = Vec::new();
    for action in list(process, "Steps").iter().flat_map(|step| list(step, "Actions")) {
        for package in list(&action, "Packages") {
            all.push(format!("{}, in the step {}", text(&package, "PackageId"), text(&action, "Name")));
        }
    }
    all
}
