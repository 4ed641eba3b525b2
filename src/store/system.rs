//! The variables that only the server gives: which deployment this is, of what, to where, by whom.

use jiff::Timestamp;

use super::{
    Session, StoreError,
    database::Write,
    process::{self, FEED},
};
use crate::model::{
    ChannelId, DeploymentId, EnvironmentId, MachineId, ProjectGroupId, ProjectId, ReleaseId, SpaceId, TaskId,
    Variable, WorkerPoolId,
};

/// The one user, as whom all API keys act, and who a lifecycle acts as.
const USER: (&str, &str) = ("Users-1", "octarm");
const SYSTEM_USER: (&str, &str) = ("users-system", "system");

/// What a deployment's variables are made of.
#[derive(sqlx::FromRow)]
pub(super) struct About {
    id: i64,
    created: i64,
    comments: String,
    created_by: Option<String>,
    automatic: i64,
    release_id: i64,
    release_version: String,
    notes: Option<String>,
    assembled: i64,
    process: String,
    action_name: String,
    package_id: String,
    package_version: String,
    channel_id: i64,
    channel_name: String,
    project_id: i64,
    project_name: String,
    project_slug: String,
    group_id: i64,
    group_name: String,
    environment_id: i64,
    environment_name: String,
    sort_order: i64,
    space_id: i64,
    space_name: String,
}

type Named = Option<(i64, String)>;

/// The server's own variables of a deployment on the machine of this session.
pub(super) async fn variables(
    write: &mut Write,
    deployment: DeploymentId,
    session: &Session,
) -> Result<Vec<Variable>, StoreError> {
    let about: About = sqlx::query_as(
        "select d.id, d.created, d.comments, d.created_by, d.automatic, d.release_id, r.version as release_version, \
         r.notes, r.assembled, r.process, r.action_name, r.package_id, r.package_version, c.id as channel_id, \
         c.name as channel_name, d.project_id, p.name as project_name, p.slug as project_slug, g.id as group_id, \
         g.name as group_name, d.environment_id, e.name as environment_name, e.sort_order, e.space_id, s.name as space_name \
         from deployments d \
         join releases r on r.id = d.release_id join channels c on c.id = r.channel_id \
         join projects p on p.id = d.project_id join project_groups g on g.id = p.project_group_id \
         join environments e on e.id = d.environment_id join spaces s on s.id = e.space_id where d.id = $1",
    )
    .bind(deployment.0)
    .fetch_one(&mut **write)
    .await?;
    let mut variables = Vec::new();
    let mut own = |name: &str, value: String| {
        variables.push(Variable::plain(format!("Octopus.{name}"), value));
    };
    places(&about, &mut own);
    release(&about, &mut own);
    for (name, release) in [
        ("Release.Previous", previous(write, &about).await?),
        ("Release.CurrentForEnvironment", current(write, &about, &mut own).await?),
    ] {
        if let Some((id, number)) = release {
            own(&format!("{name}.Id"), ReleaseId(id).to_string());
            own(&format!("{name}.Number"), number);
        }
    }
    order(&about, &mut own);
    own("Machine.Id", MachineId(session.id).to_string());
    own("Machine.Name", session.name.clone());
    // Machines have no target tags, and steps target none.
    own("Machine.Roles", String::new());
    let pool: Named = sqlx::query_as(
        "select w.id, w.name from machines m join worker_pools w on w.id = m.worker_pool_id where m.id = $1",
    )
    .bind(session.id)
    .fetch_optional(&mut **write)
    .await?;
    if let Some((id, name)) = pool {
        own("WorkerPool.Id", WorkerPoolId(id).to_string());
        own("WorkerPool.Name", name);
    }
    action(&about, &mut own)?;
    Ok(variables)
}

fn places(about: &About, own: &mut impl FnMut(&str, String)) {
    own("Environment.Id", EnvironmentId(about.environment_id).to_string());
    own("Environment.Name", about.environment_name.clone());
    own("Environment.SortOrder", about.sort_order.to_string());
    own("Project.Id", ProjectId(about.project_id).to_string());
    own("Project.Name", about.project_name.clone());
    own("ProjectGroup.Id", ProjectGroupId(about.group_id).to_string());
    own("ProjectGroup.Name", about.group_name.clone());
    own("Space.Id", SpaceId(about.space_id).to_string());
    own("Space.Name", about.space_name.clone());
    // Each goes behind `Web.ServerUri`.
    let page = |rest: String| format!("/app#/{}/{rest}", SpaceId(about.space_id));
    own("Web.ProjectLink", page(format!("projects/{}", about.project_slug)));
    own("Web.ReleaseLink", page(format!("releases/{}", ReleaseId(about.release_id))));
    own("Web.DeploymentLink", page(format!("deployments/{}", DeploymentId(about.id))));
}

fn release(about: &About, own: &mut impl FnMut(&str, String)) {
    own("Release.Id", ReleaseId(about.release_id).to_string());
    own("Release.Number", about.release_version.clone());
    own("Release.Notes", about.notes.clone().unwrap_or_default());
    own("Release.Created", time(about.assembled));
    own("Release.Channel.Id", ChannelId(about.channel_id).to_string());
    own("Release.Channel.Name", about.channel_name.clone());
}

/// The order to deploy: what was asked for, when, and by whom.
fn order(about: &About, own: &mut impl FnMut(&str, String)) {
    own("Deployment.Id", DeploymentId(about.id).to_string());
    own("Deployment.Name", format!("Deploy to {}", about.environment_name));
    own("Deployment.Created", time(about.created));
    own("Deployment.Comments", about.comments.clone());
    // A package is fetched by its digest, so there is nothing that could be stale.
    own("Deployment.ForcePackageDownload", "False".into());
    let by = match (&about.created_by, about.automatic) {
        (Some(key), _) => Some((USER, key.as_str())),
        (None, 1) => Some((SYSTEM_USER, SYSTEM_USER.1)),
        // Made by a server that did not keep it.
        (None, _) => None,
    };
    if let Some(((id, user), name)) = by {
        own("Deployment.CreatedBy.Id", id.into());
        own("Deployment.CreatedBy.Username", user.into());
        own("Deployment.CreatedBy.DisplayName", name.into());
    }
    own("Task.Id", TaskId(about.id).to_string());
    let About { project_name, release_version, environment_name, .. } = about;
    own("Task.Name", format!("Deploy {project_name} release {release_version} to {environment_name}"));
    own("Task.QueueTime", time(about.created));
}

fn action(about: &About, own: &mut impl FnMut(&str, String)) -> Result<(), StoreError> {
    let actions = process::actions(&about.project_name, &about.process)?;
    let found = actions.into_iter().find(|action| action.name == about.action_name);
    if let Some(action) = found {
        own("Step.Name", action.step);
        own("Step.Number", action.step_number.to_string());
        own("Action.Id", action.id.unwrap_or_else(|| action.name.clone()));
        own("Action.Number", action.number);
    }
    own("Step.Status.Code", "Running".into());
    own("Action.Name", about.action_name.clone());
    own("Action.TargetRoles", String::new());
    own("Action.Package.PackageId", about.package_id.clone());
    own("Action.Package.PackageVersion", about.package_version.clone());
    own("Action.Package.FeedId", FEED.into());
    Ok(())
}

/// The release of the project before this one.
async fn previous(write: &mut Write, about: &About) -> Result<Named, StoreError> {
    Ok(sqlx::query_as(
        "select id, version from releases where project_id = $1 and id < $2 order by id desc limit 1",
    )
    .bind(about.project_id)
    .bind(about.release_id)
    .fetch_optional(&mut **write)
    .await?)
}

/// The release of the last deployment of the project to the environment that ended well, or was found to. Gives the
/// deployment too.
async fn current(
    write: &mut Write,
    about: &About,
    own: &mut impl FnMut(&str, String),
) -> Result<Named, StoreError> {
    let found: Option<(i64, i64, String)> = sqlx::query_as(
        "select d.id, r.id, r.version from deployments d join releases r on r.id = d.release_id \
         where d.project_id = $1 and d.environment_id = $2 and d.id <> $3 \
         and (d.state = 'success' or d.resolved = 'success') order by d.completed desc, d.id desc limit 1",
    )
    .bind(about.project_id)
    .bind(about.environment_id)
    .bind(about.id)
    .fetch_optional(&mut **write)
    .await?;
    Ok(found.map(|(deployment, release, version)| {
        own("Deployment.PreviousSuccessful.Id", DeploymentId(deployment).to_string());
        (release, version)
    }))
}

fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|time| time.to_string()).unwrap_or_default()
}
