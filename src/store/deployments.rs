//! Deployments and their tasks: made together for all environments asked, listed, cancelled, resolved.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::{
    Asked, Store, StoreError,
    database::{Write, now},
    environments, keys, progress, projects, prompts,
    releases::ReleaseRow,
    snapshots, unsigned,
};
use crate::model::{DeploymentId, DeploymentState, ProjectId, TaskState};

/// A deployment and its task.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeploymentRow {
    /// The number of its id and of its task's.
    pub id: i64,
    /// The release's number.
    pub release_id: i64,
    /// The release's version.
    pub release_version: String,
    /// The channel's number.
    pub channel_id: i64,
    /// The project's number.
    pub project_id: i64,
    /// The project's name.
    pub project_name: String,
    /// The environment's number.
    pub environment_id: i64,
    /// The environment's name.
    pub environment_name: String,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// For people.
    pub comments: String,
    /// The stored word of its state.
    pub state: String,
    /// The number of the last hand-out.
    pub fence: i64,
    /// Whether an unknown end keeps its target from further deployments, as 0 or 1.
    pub blocked: i64,
    /// How a person resolved an unknown end.
    pub resolved: Option<String>,
    /// The worker that had it last.
    pub machine_name: Option<String>,
    /// When it was first taken.
    pub started: Option<i64>,
    /// When it ended.
    pub completed: Option<i64>,
    /// Why it did not end well.
    pub error_message: Option<String>,
    /// How many bytes of log there are.
    pub log_length: i64,
    /// The name of the API key that asked for it, where that is known.
    pub created_by: Option<String>,
    pub(super) snapshot: i64,
    pub(super) variables_version: i64,
    /// When its log was removed because it was old, in milliseconds since 1970.
    pub log_removed: Option<i64>,
}

impl DeploymentRow {
    /// Where it stands.
    pub fn state(&self) -> Result<DeploymentState, StoreError> {
        DeploymentState::parse(&self.state).ok_or_else(|| StoreError::Corrupt {
            what: format!("the state of {}: `{}`", DeploymentId(self.id), self.state),
            source: None,
        })
    }

    /// What its task does, in words.
    pub fn description(&self) -> String {
        format!("Deploy {} release {} to {}", self.project_name, self.release_version, self.environment_name)
    }
}

/// Deployments as somebody wants them.
pub struct NewDeployment {
    /// The release.
    pub release: ReleaseRow,
    /// The environments by name, id or slug; one deployment each, all or none.
    pub environments: Vec<String>,
    /// Values that win over stored ones.
    pub prompted: Vec<(Asked, String)>,
    /// For people.
    pub comments: String,
    /// Copy the variables for the release again first.
    pub update_variables: bool,
    /// The name of the API key that asks for them.
    pub created_by: String,
}

impl std::fmt::Debug for NewDeployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Prompted values may be sensitive.
        f.debug_struct("NewDeployment").field("environments", &self.environments).finish_non_exhaustive()
    }
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many to leave out.
    pub skip: u64,
    /// How many to answer at most.
    pub take: u64,
}

/// Which tasks are asked for; what is empty asks for all.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// These deployments.
    pub ids: Option<Vec<i64>>,
    /// In these task states.
    pub states: Vec<TaskState>,
    /// Of these projects.
    pub projects: Vec<i64>,
    /// Of these environments.
    pub environments: Vec<i64>,
    /// Ended ones or ones that have not.
    pub active: Option<bool>,
}

/// What a person found an unknown end to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It did what it should.
    Success,
    /// It did not.
    Failed,
}

impl Resolution {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

const SELECT: &str = "select d.id, d.release_id, r.version as release_version, r.channel_id, d.project_id, \
                      p.name as project_name, d.environment_id, e.name as environment_name, d.created, d.comments, \
                      d.state, d.fence, d.blocked, d.resolved, d.machine_name, d.started, d.completed, \
                      d.error_message, d.log_length, d.log_removed, d.created_by, d.snapshot, coalesce((select s.variables_version \
                      from release_snapshots s where s.release_id = d.release_id and s.number = d.snapshot), \
                      r.variables_version) as variables_version ";
const FROM: &str = "from deployments d join releases r on r.id = d.release_id join projects p on p.id = d.project_id \
                    join environments e on e.id = d.environment_id where true";

impl Store {
    /// Makes one deployment for each environment, all or none, and answers them in the order asked.
    pub async fn create_deployments(&self, new: &NewDeployment) -> Result<Vec<DeploymentId>, StoreError> {
        if new.environments.is_empty() {
            return Err(StoreError::Invalid(
                "no environment is given to deploy to: `EnvironmentNames` is empty".into(),
            ));
        }
        let mut write = self.write().await?;
        if new.update_variables || !new.prompted.is_empty() {
            keys::refuse_replaced(&mut write, &self.vault).await?;
        }
        let release = if new.update_variables {
            &snapshots::refresh(&mut write, &new.release).await?
        } else {
            &new.release
        };
        let project = ProjectId(release.project_id);
        // Whoever deploys once more what is current looks first what is on its way, and must not miss this.
        write.lock_row("projects", project.0).await?;
        let row = projects::by_id(&mut write, project.0).await?;
        projects::refuse_disabled(&row, "deployment")?;
        let progress = progress::of(&mut write, release).await?;
        let title = format!("release {} of project `{}`", release.version, row.name);
        let values = release.values()?;
        let given = prompts::read(&title, &values, &new.prompted)?;
        let mut wanted = HashSet::new();
        let known = environments::all(&mut write).await?;
        let mut made = Vec::new();
        let mut seen = Vec::new();
        for named in &new.environments {
            let environment = environments::find(known.clone(), named)?;
            if seen.contains(&environment.id) {
                return Err(StoreError::Invalid(format!(
                    "environment `{}` is given twice",
                    environment.name
                )));
            }
            seen.push(environment.id);
            progress.refuse(&title, &environment, &known)?;
            let given = prompts::of_environment(&mut write, release, &values, environment.id, &given).await?;
            wanted.extend(given.iter().map(|given| given.name.clone()));
            let prompted = prompts::seal(&self.vault, project, given)?;
            let waits = Waits { comments: &new.comments, created_by: &new.created_by, prompted: &prompted };
            made.push(insert(&mut write, release, environment.id, &waits).await?);
        }
        if let Some(unwanted) = given.iter().find(|given| !wanted.contains(&given.name)) {
            return Err(StoreError::Invalid(format!(
                "variable `{}` of {title} is prompted, but not in {}: nothing would get the value that is given for it",
                unwanted.name,
                new.environments.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )));
        }
        write.commit().await?;
        Ok(made)
    }

    /// The deployments that the filter lets through, the newest first, and how many there are in all.
    pub async fn deployments(
        &self,
        filter: &TaskFilter,
        page: Page,
    ) -> Result<(Vec<DeploymentRow>, u64), StoreError> {
        let narrowed = narrowed(filter, self.space);
        let total: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) {narrowed}")))
            .persistent(false)
            .fetch_one(&self.database.reader)
            .await?;
        let select = AssertSqlSafe(format!("{SELECT} {narrowed} order by d.id desc limit $1 offset $2"));
        let rows = sqlx::query_as(select)
            .bind(super::signed(page.take))
            .bind(super::signed(page.skip))
            .persistent(false)
            .fetch_all(&self.database.reader)
            .await?;
        Ok((rows, unsigned(total)))
    }

    /// All deployments of these releases, the newest first.
    pub async fn deployments_of(&self, releases: &[i64]) -> Result<Vec<DeploymentRow>, StoreError> {
        let select = AssertSqlSafe(format!(
            "{SELECT} {} order by d.id desc",
            [from(self.space), within("d.release_id", releases)].concat()
        ));
        Ok(sqlx::query_as(select).persistent(false).fetch_all(&self.database.reader).await?)
    }

    /// One deployment.
    pub async fn deployment(&self, id: DeploymentId) -> Result<DeploymentRow, StoreError> {
        let filter = TaskFilter { ids: Some(vec![id.0]), ..TaskFilter::default() };
        let (mut rows, _) = self.deployments(&filter, Page { skip: 0, take: 1 }).await?;
        rows.pop().ok_or_else(|| StoreError::NotFound(format!("deployment `{id}` does not exist")))
    }

    /// Asks for a cancel: one that nobody took ends at once, one that runs is told, one that ended stays as it is.
    pub async fn cancel(&self, id: DeploymentId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let environment: Option<i64> = sqlx::query_scalar(concat!(
            "update deployments set cancel_requested = 1, \
             error_message = case state when 'queued' then 'cancelled before a worker took it' end, \
             completed = case state when 'queued' then ",
            now!(),
            " end, state = case state when 'queued' then 'canceled' when 'leased' then 'cancelling' else state end \
             where id = $1 and state in ('queued', 'leased', 'cancelling', 'lost') \
             and project_id in (select id from projects where space_id = coalesce($2, space_id)) \
             returning environment_id"
        ))
        .bind(id.0)
        .bind(self.space)
        .fetch_optional(&mut *write)
        .await?;
        write.announce_ready(environment);
        write.commit().await
    }

    /// Frees the target of a deployment whose end is unknown. Its task stays Failed, for an end is final; what the
    /// person found is kept beside it and told with it.
    pub async fn resolve(&self, id: DeploymentId, found: Resolution) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        if found == Resolution::Success {
            progress::lock_project(&mut write, id).await?;
        }
        let now: i64 = sqlx::query_scalar(concat!("select ", now!())).fetch_one(&mut *write).await?;
        let time = Timestamp::from_millisecond(now).map(|time| time.to_string()).unwrap_or_default();
        let freed: Option<i64> = sqlx::query_scalar(
            "update deployments set blocked = 0, resolved = $2, error_message = coalesce(error_message, '') || $3 \
             where id = $1 and blocked = 1 \
             and project_id in (select id from projects where space_id = coalesce($4, space_id)) returning environment_id",
        )
        .bind(id.0)
        .bind(found.as_str())
        .bind(format!("; resolved as {} at {time}", found.as_str()))
        .bind(self.space)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(environment) = freed {
            if found == Resolution::Success {
                progress::promote(&mut write, id).await?;
            }
            write.announce_ready([environment]);
            return write.commit().await;
        }
        let before: Option<Option<String>> =
            sqlx::query_scalar("select resolved from deployments where id = $1")
                .bind(id.0)
                .fetch_optional(&mut *write)
                .await?;
        match before {
            None => Err(StoreError::NotFound(format!("deployment `{id}` does not exist"))),
            Some(Some(word)) if word == found.as_str() => Ok(()),
            Some(Some(word)) => {
                Err(StoreError::Conflict(format!("deployment `{id}` is resolved already as {word}")))
            }
            Some(None) => Err(StoreError::Conflict(format!(
                "deployment `{id}` does not wait to be resolved: only one whose end is unknown does"
            ))),
        }
    }
}

/// What is said about a deployment that is made.
pub(super) struct Waits<'n> {
    pub(super) comments: &'n str,
    pub(super) created_by: &'n str,
    /// The values that are given with it, as they are stored.
    pub(super) prompted: &'n str,
}

/// Makes a deployment that waits for a worker, with the variables that the release has copied last.
pub(super) async fn insert(
    write: &mut Write,
    release: &ReleaseRow,
    environment: i64,
    waits: &Waits<'_>,
) -> Result<DeploymentId, StoreError> {
    let id: i64 = sqlx::query_scalar(concat!(
        "insert into deployments (release_id, project_id, environment_id, created, comments, prompted, state, fence, \
         cancel_requested, blocked, log_offset, log_length, snapshot, created_by) values ($1, $2, $3, ",
        now!(),
        ", $4, $5, 'queued', 0, 0, 0, 0, 0, $6, $7) returning id"
    ))
    .bind(release.id)
    .bind(release.project_id)
    .bind(environment)
    .bind(waits.comments)
    .bind(waits.prompted)
    .bind(release.snapshot)
    .bind(waits.created_by)
    .fetch_one(&mut **write)
    .await?;
    write.announce_ready([environment]);
    Ok(DeploymentId(id))
}

/// Refuses to delete `what` while a deployment of it has not ended, or ended nobody knows how. `column` says which
/// deployments are meant.
pub(super) async fn refuse_open(
    write: &mut Write,
    column: &'static str,
    id: i64,
    what: &str,
) -> Result<(), StoreError> {
    let open: Option<(i64, String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "select d.id, e.name, d.blocked from deployments d join environments e on e.id = d.environment_id \
         where d.{column} = $1 and (d.state in ('queued', 'leased', 'cancelling', 'lost') or d.blocked = 1) \
         order by d.id limit 1"
    )))
    .bind(id)
    .fetch_optional(&mut **write)
    .await?;
    let Some((open, environment, blocked)) = open else { return Ok(()) };
    let why = if blocked == 1 { "waits to be resolved" } else { "has not ended" };
    Err(StoreError::Conflict(format!(
        "{what} cannot be deleted: {} to environment `{environment}` {why}",
        DeploymentId(open)
    )))
}

/// Deletes deployments with their logs and journals; `column` says which ones are meant.
pub(super) async fn delete(write: &mut Write, column: &'static str, id: i64) -> Result<(), StoreError> {
    for text in [
        format!(
            "delete from journal where deployment_id in (select id from deployments where {column} = $1)"
        ),
        format!(
            "delete from log_chunks where deployment_id in (select id from deployments where {column} = $1)"
        ),
        format!("delete from deployments where {column} = $1"),
    ] {
        sqlx::query(AssertSqlSafe(text)).bind(id).execute(&mut **write).await?;
    }
    Ok(())
}

/// All deployments of a space.
fn from(space: Option<i64>) -> String {
    let space = space.map(|space| format!(" and p.space_id = {space}"));
    format!("{FROM}{}", space.unwrap_or_default())
}

pub(super) fn within(column: &str, ids: &[i64]) -> String {
    let list: Vec<String> = ids.iter().map(i64::to_string).collect();
    // An empty list is no SQL; no id is below zero.
    format!(" and {column} in ({})", if list.is_empty() { "-1".to_owned() } else { list.join(", ") })
}

/// The deployments that the filter lets through. All that it names is numbers, or words of ours: no text of anybody
/// else gets into the statement.
fn narrowed(filter: &TaskFilter, space: Option<i64>) -> String {
    let some = |column, ids: &Vec<i64>| (!ids.is_empty()).then(|| within(column, ids));
    let states = DeploymentState::ALL.into_iter().filter(|state| {
        (filter.states.is_empty() || filter.states.contains(&state.task_state()))
            && filter.active.is_none_or(|active| active != state.is_ended())
    });
    let states: Vec<&str> = states.map(DeploymentState::as_str).collect();
    [
        Some(from(space)),
        filter.ids.as_ref().map(|ids| within("d.id", ids)),
        some("d.project_id", &filter.projects),
        some("d.environment_id", &filter.environments),
        Some(format!(" and d.state in ('{}')", states.join("', '"))),
    ]
    .into_iter()
    .flatten()
    .collect()
}
