//! `octarm release`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use super::{
    CliError, Output,
    channel::project_id,
    connection::field,
    delete::{DeleteArgs, delete},
    find::{find, text, unknown},
    resource::{name_by_id, names},
    table,
    task::{self, Started},
    variables,
};
use crate::{
    client::{Collection, NewRelease, ServerClient},
    conventions::Conventions,
    exit::Exit,
    model::ReleaseId,
};

const KIND: Collection = Collection::Releases;

#[derive(Debug, Subcommand)]
pub(super) enum ReleaseCommand {
    /// Create a release of a project
    #[command(after_help = "Example:\n  octarm release create --project Orders --package Orders:1.4.2")]
    Create {
        /// The project, by name, slug or id
        #[arg(long)]
        project: String,
        /// The release's version; else the package's
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        version: Option<String>,
        /// The package's version; else the newest pushed
        #[arg(long = "package", value_name = "ID:VERSION")]
        packages: Vec<String>,
        /// The channel, by name or id; else the default one
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        channel: Option<String>,
        /// Take a package that the channel's rules do not let in
        #[arg(long)]
        ignore_channel_rules: bool,
        /// Release notes
        #[arg(long)]
        notes: Option<String>,
        /// Succeed with the release that exists
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List releases, the newest first
    List {
        /// Only of this project, by name, slug or id
        #[arg(long)]
        project: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value = "30")]
        limit: usize,
    },
    /// Show a release: its packages, its notes, where it is and where it may go
    Show {
        /// Its version, which needs `--project`, or its id as Releases-1
        release: String,
        /// The project, by name, slug or id
        #[arg(long)]
        project: Option<String>,
    },
    /// Delete a release with the record of its deployments
    Delete {
        /// Its version, which needs `--project`, or its id as Releases-1
        release: String,
        /// The project, by name, slug or id
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// Deploy a release to environments
    #[command(
        after_help = "Example:\n  octarm release deploy --project Orders --version 1.4.2 --environment CI --wait"
    )]
    Deploy {
        /// The project, by name, slug or id
        #[arg(long)]
        project: String,
        /// The release's version
        #[arg(long)]
        version: String,
        /// The environments
        #[arg(long = "environment", value_name = "NAME", required = true)]
        environments: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Deploy to environments the release that was last deployed well to another
    #[command(
        after_help = "Example:\n  octarm release promote --project Orders --from CI --to Production --wait"
    )]
    Promote {
        /// The project, by name, slug or id
        #[arg(long)]
        project: String,
        /// The environment that has the release
        #[arg(long, value_name = "NAME")]
        from: String,
        /// The environments that shall have it
        #[arg(long = "to", value_name = "NAME", required = true)]
        environments: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
}

/// How deployments are started, and whether they are waited for.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// The value of a prompted variable; not for sensitive values
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variables::parse_pair)]
    variables: Vec<(String, String)>,
    /// A JSON file of values of sensitive prompted variables, as of `deploy --variables`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    sensitive: Option<PathBuf>,
    /// Show the log and wait for the end
    #[arg(long)]
    wait: bool,
    /// Wait at most so many seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
}

pub(super) async fn run(
    command: ReleaseCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ReleaseCommand::Create {
            project,
            version,
            packages,
            channel,
            ignore_channel_rules,
            notes,
            ignore_existing,
        } => {
            let release = NewRelease {
                project: project.clone(),
                version,
                packages,
                notes,
                channel,
                ignore_channel_rules,
                ignore_existing,
            };
            let answer = client.create_release(&release).await?;
            let act = "creating a release";
            let (id, version) = (field(&answer, "ReleaseId", act)?, field(&answer, "ReleaseVersion", act)?);
            let text = if answer["Existed"] == true {
                format!("release {version} of {project} exists ({id})")
            } else {
                format!("created release {version} of {project} ({id})")
            };
            output.result(text, &answer);
        }
        ReleaseCommand::List { project, limit } => {
            let project = project_id(client, project.as_deref()).await?;
            let listed = client.list(KIND, project.as_deref(), &[], limit).await?;
            let projects = names(client, Collection::Projects).await?;
            let channels = names(client, Collection::Channels).await?;
            let row = |release: &Value| {
                json!({
                    "Id": release["Id"], "Version": release["Version"], "Assembled": release["Assembled"],
                    "Project": projects.get(text(release, "ProjectId")),
                    "Channel": channels.get(text(release, "ChannelId")),
                })
            };
            let rows: Vec<Value> = listed.items.iter().map(row).collect();
            table::part(&rows, &["Id", "Project", "Version", "Channel", "Assembled"], listed, output);
        }
        ReleaseCommand::Show { release, project } => {
            let found = find_release(client, &release, project.as_deref()).await?;
            show(client, &found, output).await?;
        }
        ReleaseCommand::Delete { release, project, delete: args } => {
            args.check()?;
            let found = find_release(client, &release, project.as_deref()).await;
            return delete(client, KIND, found, &args, false, output).await;
        }
        ReleaseCommand::Deploy { project, version, environments, start } => {
            return deploy(client, &project, &version, &environments, start, output).await;
        }
        ReleaseCommand::Promote { project, from, environments, start } => {
            let found = find(client, Collection::Projects, &project).await?;
            let source = find(client, Collection::Environments, &from).await?;
            let filters = [
                ("projects", text(&found, "Id").to_owned()),
                ("environments", text(&source, "Id").to_owned()),
                ("taskState", "Success".to_owned()),
            ];
            let newest = client.list(Collection::Deployments, None, &filters, 1).await?.items;
            let Some(deployment) = newest.first() else {
                let (project, environment) =
                    (text(&found, "Name").to_owned(), text(&source, "Name").to_owned());
                return Err(CliError::NothingToPromote { project, environment });
            };
            let release = client.read(KIND, text(deployment, "ReleaseId")).await?;
            return deploy(client, &project, text(&release, "Version"), &environments, start, output).await;
        }
    }
    Ok(Exit::Done)
}

/// A release by its id, or by its version in a project.
async fn find_release(client: &ServerClient, named: &str, project: Option<&str>) -> Result<Value, CliError> {
    let Some(project) = project_id(client, project).await? else {
        if named.parse::<ReleaseId>().is_err() {
            return Err(CliError::NoProject { version: named.to_owned() });
        }
        return Ok(client.read(KIND, named).await?);
    };
    match client.release(&project, named).await {
        Err(error) if error.status() == Some(404) => {
            let all = client.list(KIND, Some(&project), &[], usize::MAX).await?.items;
            let same = all.iter().find(|release| text(release, "Id").eq_ignore_ascii_case(named)).cloned();
            same.ok_or_else(|| unknown(KIND.one(), named, all.iter().map(|one| text(one, "Version"))))
        }
        found => Ok(found?),
    }
}

async fn show(client: &ServerClient, release: &Value, output: Output) -> Result<(), CliError> {
    let progression = client.release_progression(text(release, "Id")).await?;
    let environments = names(client, Collection::Environments).await?;
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let packages = list(release, "SelectedPackages");
    let package = |package: &Value| format!("{} {}", text(package, "PackageId"), text(package, "Version"));
    let name = |id: &str| environments.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let next = list(&progression, "NextDeployments");
    let mut made = BTreeSet::new();
    for phase in list(&progression, "Phases") {
        for one in list(&phase, "Deployments") {
            let environment = name(text(&one["Deployment"], "EnvironmentId"));
            made.insert(format!("{environment}: {}", text(&one["Task"], "State")));
        }
    }
    let fields = [
        ("Id", text(release, "Id").to_owned()),
        ("Version", text(release, "Version").to_owned()),
        ("Project", name_by_id(client, Collection::Projects, text(release, "ProjectId")).await?),
        ("Channel", name_by_id(client, Collection::Channels, text(release, "ChannelId")).await?),
        ("Assembled", text(release, "Assembled").to_owned()),
        ("Packages", packages.iter().map(package).collect::<Vec<_>>().join("\n")),
        ("Notes", text(release, "ReleaseNotes").to_owned()),
        ("Deployed", made.into_iter().collect::<Vec<_>>().join("\n")),
        ("May go to", next.iter().filter_map(Value::as_str).map(name).collect::<Vec<_>>().join(", ")),
    ];
    table::card(&fields, release, output);
    Ok(())
}

/// The values that were given, none of them where it could be read by others.
async fn given(
    client: &ServerClient,
    project: &str,
    version: &str,
    mut variables: Vec<(String, String)>,
    sensitive: Option<&Path>,
) -> Result<Vec<(String, String)>, CliError> {
    let conventions = Conventions::load(None)?;
    variables::refuse_sensitive(&variables, &conventions)?;
    if !variables.is_empty() {
        let row = client.project(project).await?;
        let mut known = vec![client.variables(&row).await?];
        known.extend(client.library_variables(&row).await?);
        for known in &known {
            variables::refuse_sensitive_of(variables.iter().map(|(name, _)| name.as_str()), known)?;
        }
    }
    if let Some(file) = sensitive {
        let read = variables::read_file(file, &conventions)?;
        let copied = client.release_variables(project, version).await?;
        variables::refuse_shown(read.iter().map(|variable| variable.name.as_str()), &copied)?;
        variables.extend(read.into_iter().map(|variable| (variable.name, variable.value)));
    }
    variables::refuse_twice(variables.iter().map(|(name, _)| name.as_str()))?;
    Ok(variables)
}

/// Starts the deployments.
async fn deploy(
    client: &ServerClient,
    project: &str,
    version: &str,
    environments: &[String],
    start: StartArgs,
    output: Output,
) -> Result<Exit, CliError> {
    let StartArgs { variables, sensitive, wait, timeout } = start;
    let variables = given(client, project, version, variables, sensitive.as_deref()).await?;
    let stop = task::signals()?;
    let answer = task::answer(client.deploy(project, version, environments, &variables), &stop).await?;
    let act = "deploying a release";
    let made = answer["DeploymentServerTasks"].as_array();
    let made =
        made.ok_or_else(|| CliError::Answer { act: act.to_owned(), field: "DeploymentServerTasks" })?;
    let ids = made.iter().map(|pair| field(pair, "ServerTaskId", act).map(str::to_owned));
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    let told = made.iter().zip(&ids).map(|(pair, id)| format!("{id} ({})", text(pair, "DeploymentId")));
    let told = told.collect::<Vec<_>>().join(", ");
    let text = format!("deploying {project} {version} to {}: {told}", environments.join(", "));
    let started = Started { ids: &ids, labels: environments, text, wait, timeout, stop: &stop };
    task::show_started(client, started, answer, output).await
}
