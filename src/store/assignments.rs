//! What a worker is handed: the pinned package, the journal so far, and all variables.

use jiff::Timestamp;

use super::{
    Session, Store, StoreError,
    database::Write,
    deployments::{Prompted, prompt_owner},
    key,
    process::FEED,
    scopes, unsigned, variables,
};
use crate::{
    model::{
        DeploymentId, EnvironmentId, Fence, JournalEntry, MachineId, ProjectId, ReleaseId, SpaceId, TaskId,
        Variable,
    },
    protocol::{Assignment, PackageReference},
};

#[derive(sqlx::FromRow)]
struct Row {
    fence: i64,
    held_since: i64,
    cancel_requested: i64,
    log_length: i64,
    created: i64,
    comments: String,
    prompted: String,
    release_id: i64,
    release_version: String,
    notes: Option<String>,
    assembled: i64,
    variables: String,
    action_name: String,
    package_id: String,
    package_version: String,
    package_file: String,
    package_sha256: String,
    package_size: i64,
    channel_id: i64,
    channel_name: String,
    project_id: i64,
    project_name: String,
    group_id: i64,
    group_name: String,
    environment_id: i64,
    environment_name: String,
    sort_order: i64,
}

type Named = Option<(i64, String)>;

impl Store {
    /// The assignment for a deployment whose hand-out is in this transaction.
    pub(super) async fn assignment(
        &self,
        write: &mut Write,
        deployment: DeploymentId,
        session: &Session,
        reconcile: bool,
    ) -> Result<Assignment, StoreError> {
        let row: Row = sqlx::query_as(
            "select d.fence, d.held_since, d.cancel_requested, d.log_length, d.created, d.comments, d.prompted, d.release_id, \
             r.version as release_version, r.notes, r.assembled, r.variables, r.action_name, r.package_id, \
             r.package_version, r.package_file, r.package_sha256, r.package_size, c.id as channel_id, c.name as channel_name, \
             d.project_id, p.name as project_name, g.id as group_id, g.name as group_name, d.environment_id, \
             e.name as environment_name, e.sort_order from deployments d join releases r on r.id = d.release_id \
             join channels c on c.id = r.channel_id join projects p on p.id = d.project_id \
             join project_groups g on g.id = p.project_group_id join environments e on e.id = d.environment_id \
             where d.id = $1",
        )
        .bind(deployment.0)
        .fetch_one(&mut **write)
        .await?;
        let variables = self.assigned_variables(write, deployment, session, &row).await?;
        Ok(Assignment {
            deployment,
            task: TaskId(deployment.0),
            fence: Fence(unsigned(row.fence)),
            held_since: Fence(unsigned(row.held_since)),
            reconcile,
            cancel: row.cancel_requested == 1,
            log_offset: unsigned(row.log_length),
            journal: journal(write, deployment).await?,
            package: PackageReference {
                id: row.package_id,
                version: row.package_version,
                file_name: row.package_file,
                sha256: row.package_sha256,
                size: unsigned(row.package_size),
            },
            variables,
        })
    }

    async fn assigned_variables(
        &self,
        write: &mut Write,
        deployment: DeploymentId,
        session: &Session,
        row: &Row,
    ) -> Result<Vec<Variable>, StoreError> {
        let project = ProjectId(row.project_id);
        let stored = variables::parse(&row.variables, project)?;
        let prompted: Vec<Prompted> = serde_json::from_str(&row.prompted)
            .map_err(|error| StoreError::corrupt(format!("the prompted values of {deployment}"), error))?;
        let mut variables = Vec::new();
        let target = scopes::target(row.project_id, row.environment_id, row.channel_id, &row.action_name);
        for stored in variables::applicable(&stored, &scopes::on(&target, session.id))? {
            if !prompted.iter().any(|prompted| key(&prompted.name) == key(&stored.name)) {
                variables.push(variables::open(&self.vault, project, stored)?);
            }
        }
        for Prompted { name, sealed, sensitive } in prompted {
            let value = self.vault.open(&prompt_owner(project, &name), &sealed)?;
            variables.push(Variable { name, value, sensitive });
        }
        let (successful, current): (Option<DeploymentId>, Named) = last_success(write, deployment, row)
            .await?
            .map(|(id, release, version)| (DeploymentId(id), (release, version)))
            .unzip();
        let previous: Named = sqlx::query_as(
            "select id, version from releases where project_id = $1 and id < $2 order by id desc limit 1",
        )
        .bind(row.project_id)
        .bind(row.release_id)
        .fetch_optional(&mut **write)
        .await?;
        let mut own =
            |name: &str, value: String| variables.push(Variable::plain(format!("Octopus.{name}"), value));
        own("Environment.Id", EnvironmentId(row.environment_id).to_string());
        own("Environment.Name", row.environment_name.clone());
        own("Environment.SortOrder", row.sort_order.to_string());
        own("Project.Id", project.to_string());
        own("Project.Name", row.project_name.clone());
        own("ProjectGroup.Id", format!("ProjectGroups-{}", row.group_id));
        own("ProjectGroup.Name", row.group_name.clone());
        own("Space.Id", SpaceId(1).to_string());
        own("Space.Name", "Default".into());
        own("Release.Id", ReleaseId(row.release_id).to_string());
        own("Release.Number", row.release_version.clone());
        own("Release.Notes", row.notes.clone().unwrap_or_default());
        own("Release.Created", time(row.assembled));
        own("Release.Channel.Name", row.channel_name.clone());
        for (name, release) in [("Previous", previous), ("CurrentForEnvironment", current)] {
            if let Some((id, number)) = release {
                own(&format!("Release.{name}.Id"), ReleaseId(id).to_string());
                own(&format!("Release.{name}.Number"), number);
            }
        }
        own("Deployment.Id", deployment.to_string());
        own("Deployment.Name", format!("Deploy to {}", row.environment_name));
        own("Deployment.Created", time(row.created));
        own("Deployment.Comments", row.comments.clone());
        if let Some(successful) = successful {
            own("Deployment.PreviousSuccessful.Id", successful.to_string());
        }
        own("Task.Id", TaskId(deployment.0).to_string());
        own(
            "Task.Name",
            format!(
                "Deploy {} release {} to {}",
                row.project_name, row.release_version, row.environment_name
            ),
        );
        own("Task.QueueTime", time(row.created));
        own("Machine.Id", MachineId(session.id).to_string());
        own("Machine.Name", session.name.clone());
        own("Step.Name", row.action_name.clone());
        own("Step.Number", "1".into());
        own("Action.Name", row.action_name.clone());
        own("Action.Number", "1".into());
        own("Action.Package.PackageId", row.package_id.clone());
        own("Action.Package.PackageVersion", row.package_version.clone());
        own("Action.Package.FeedId", FEED.into());
        Ok(variables)
    }
}

/// The last deployment of the project to the environment that ended well, or was found to: its number, its
/// release's number and version.
async fn last_success(
    write: &mut Write,
    deployment: DeploymentId,
    row: &Row,
) -> Result<Option<(i64, i64, String)>, StoreError> {
    Ok(sqlx::query_as(
        "select d.id, r.id, r.version from deployments d join releases r on r.id = d.release_id \
         where d.project_id = $1 and d.environment_id = $2 and d.id <> $3 \
         and (d.state = 'success' or d.resolved = 'success') order by d.completed desc, d.id desc limit 1",
    )
    .bind(row.project_id)
    .bind(row.environment_id)
    .bind(deployment.0)
    .fetch_optional(&mut **write)
    .await?)
}

async fn journal(write: &mut Write, deployment: DeploymentId) -> Result<Vec<JournalEntry>, StoreError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select sequence, record from journal where deployment_id = $1 order by sequence")
            .bind(deployment.0)
            .fetch_all(&mut **write)
            .await?;
    rows.into_iter()
        .map(|(sequence, record)| {
            let place = || format!("journal entry {sequence} of {deployment}");
            Ok(JournalEntry {
                sequence: u32::try_from(sequence).map_err(|error| StoreError::corrupt(place(), error))?,
                record: serde_json::from_str(&record).map_err(|error| StoreError::corrupt(place(), error))?,
            })
        })
        .collect()
}

fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|time| time.to_string()).unwrap_or_default()
}
