//! `octarm channel`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, find_in, text},
    project::lifecycle_id,
    resource::{exists, name_by_id, names},
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Channels;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// Create a channel of a project
    #[command(
        after_help = "Example:\n  octarm channel create Hotfix --project Orders --versions '[1.4,1.5)' --tag '^hotfix'"
    )]
    Create {
        /// Its name
        name: String,
        /// The project, by name, slug or id
        #[arg(long)]
        project: String,
        /// The lifecycle of its releases, by name or id; else the project's
        #[arg(long, value_name = "NAME")]
        lifecycle: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Let it be the one of releases that name none
        #[arg(long)]
        default: bool,
        /// Take only packages of versions in this range, as [1.0,2.0)
        #[arg(long, value_name = "RANGE")]
        versions: Option<String>,
        /// Take only packages whose pre-release part this regular expression fits; ^$ is those that have none
        #[arg(long, value_name = "REGEX")]
        tag: Option<String>,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List the channels, of all projects or of one
    List {
        /// The project, by name, slug or id
        #[arg(long)]
        project: Option<String>,
    },
    /// Show a channel and its rules
    Show {
        /// Its name or id
        channel: String,
        /// The project, by name, slug or id, where several have a channel of this name
        #[arg(long)]
        project: Option<String>,
    },
    /// Delete a channel that has no releases
    Delete {
        /// Its name or id
        channel: String,
        /// The project, by name, slug or id, where several have a channel of this name
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: ChannelCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ChannelCommand::Create {
            name,
            project,
            lifecycle,
            description,
            default,
            versions,
            tag,
            ignore_existing,
        } => {
            let project = find(client, Collection::Projects, &project).await?;
            let id = text(&project, "Id");
            // A rule that names no package is for all of them.
            let rule = json!({ "VersionRange": versions, "Tag": tag });
            let rules: Vec<Value> =
                (versions.is_some() || tag.is_some()).then_some(rule).into_iter().collect();
            let body = json!({
                "Name": name, "Description": description, "ProjectId": id, "IsDefault": default, "Rules": rules,
                "LifecycleId": lifecycle_id(client, lifecycle.as_deref()).await?,
            });
            let of = text(&project, "Name");
            match client.create(KIND, &name, body).await {
                Err(error) if ignore_existing && exists(&error) => {
                    let found = find_in(client, KIND, id, &name).await?;
                    output.result(format!("channel {name} of {of} exists"), &found);
                }
                made => {
                    let made = made?;
                    output.result(format!("created channel {name} of {of} ({})", text(&made, "Id")), &made);
                }
            }
        }
        ChannelCommand::List { project } => {
            let project = project_id(client, project.as_deref()).await?;
            let all = client.list(KIND, project.as_deref(), &[], usize::MAX).await?.items;
            let projects = names(client, Collection::Projects).await?;
            let row = |channel: &Value| {
                let project = text(channel, "ProjectId");
                json!({
                    "Id": channel["Id"], "Name": channel["Name"], "Default": channel["IsDefault"],
                    "Project": projects.get(project).map_or(project, String::as_str),
                })
            };
            let rows: Vec<Value> = all.iter().map(row).collect();
            table::show(&rows, &["Id", "Project", "Name", "Default"], &all.into(), output);
        }
        ChannelCommand::Show { channel, project } => {
            let found = channel_of(client, &channel, project.as_deref()).await?;
            let rules = found["Rules"].as_array().into_iter().flatten();
            let rule = |rule: &Value| {
                let part = |name: &str, word: &str| match text(rule, name) {
                    "" => None,
                    value => Some(format!("{word} {value}")),
                };
                let parts = [part("VersionRange", "versions"), part("Tag", "pre-release")];
                parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
            };
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Project", name_by_id(client, Collection::Projects, text(&found, "ProjectId")).await?),
                ("Lifecycle", name_by_id(client, Collection::Lifecycles, text(&found, "LifecycleId")).await?),
                ("Description", text(&found, "Description").to_owned()),
                ("Default", table::cell(&found["IsDefault"])),
                ("Rules", rules.map(rule).collect::<Vec<_>>().join("\n")),
            ];
            table::card(&fields, &found, output);
        }
        ChannelCommand::Delete { channel, project, delete: args } => {
            args.check()?;
            let found = channel_of(client, &channel, project.as_deref()).await;
            return delete(client, KIND, found, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

/// The channel that is called so, of one project or of any.
pub(super) async fn channel_of(
    client: &ServerClient,
    channel: &str,
    project: Option<&str>,
) -> Result<Value, CliError> {
    match project_id(client, project).await? {
        Some(project) => find_in(client, KIND, &project, channel).await,
        None => find(client, KIND, channel).await,
    }
}

/// The id of a project that a person named.
pub(super) async fn project_id(
    client: &ServerClient,
    named: Option<&str>,
) -> Result<Option<String>, CliError> {
    match named {
        None => Ok(None),
        Some(named) => {
            let found = find(client, Collection::Projects, named).await?;
            Ok(Some(text(&found, "Id").to_owned()))
        }
    }
}
