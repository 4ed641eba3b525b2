//! Spaces: parts of an installation that know nothing of each other. What exists belongs to exactly one.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Store, StoreError, database::Write, environments::checked_name, free_slug, key, meant};
use crate::model::{DeploymentId, SpaceId};

/// A space as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SpaceRow {
    /// The number of its id.
    pub id: i64,
    /// Its name as given.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// For people.
    pub description: String,
    /// Whether its deployments wait, as 0 or 1.
    pub task_queue_stopped: i64,
    pub(super) lifecycle_id: i64,
    pub(super) project_group_id: i64,
    pub(super) worker_pool_id: i64,
}

impl SpaceRow {
    /// Its id.
    pub fn id(&self) -> SpaceId {
        SpaceId(self.id)
    }

    /// Whether it is called so: by id, name or slug.
    pub(super) fn is_named(&self, named: &str) -> bool {
        find(vec![self.clone()], named).is_ok()
    }

    /// Whether it is the one that is always there.
    pub fn is_default(&self) -> bool {
        self.id == SpaceId::DEFAULT.0
    }
}

/// A space as somebody wants it.
#[derive(Debug)]
pub struct NewSpace<'n> {
    /// Its name.
    pub name: &'n str,
    /// For people.
    pub description: &'n str,
    /// Whether its deployments wait.
    pub task_queue_stopped: bool,
}

/// What is to become of a space; what is none stays.
#[derive(Debug, Default)]
pub struct SpaceChange {
    /// Its name.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether its deployments wait.
    pub task_queue_stopped: Option<bool>,
}

macro_rules! columns {
    () => {
        "id, name, slug, description, task_queue_stopped, lifecycle_id, project_group_id, worker_pool_id"
    };
}

/// What stands where a space may be named.
const RESERVED: [&str; 2] = ["all", "default"];

impl Store {
    /// All spaces, the first one first.
    pub async fn spaces(&self) -> Result<Vec<SpaceRow>, StoreError> {
        all(&mut *self.database.reader.acquire().await?).await
    }

    /// The space with this id, name or slug.
    pub async fn space(&self, named: &str) -> Result<SpaceRow, StoreError> {
        find(self.spaces().await?, named)
    }

    /// The space of a deployment and its task, if there is one.
    pub async fn space_of(&self, deployment: DeploymentId) -> Result<Option<SpaceId>, StoreError> {
        let select =
            "select p.space_id from deployments d join projects p on p.id = d.project_id where d.id = $1";
        let found: Option<i64> =
            sqlx::query_scalar(select).bind(deployment.0).fetch_optional(&self.database.reader).await?;
        Ok(found.map(SpaceId))
    }

    /// Makes a space with a lifecycle, a project group and a worker pool of its own.
    pub async fn create_space(&self, new: &NewSpace<'_>) -> Result<SpaceRow, StoreError> {
        let name = checked_name("space", new.name, &RESERVED)?;
        let mut write = self.write().await?;
        // The slug depends on all others.
        write.lock_table("spaces").await?;
        let others = all(&mut write).await?;
        refuse_taken(&others, name, None)?;
        let slugs: Vec<String> = others.into_iter().map(|space| space.slug).collect();
        let space: i64 = sqlx::query_scalar(
            "insert into spaces (name, name_key, slug, description, task_queue_stopped, lifecycle_id, project_group_id, \
             worker_pool_id) values ($1, $2, $3, $4, $5, 0, 0, 0) returning id",
        )
        .bind(name)
        .bind(key(name))
        .bind(free_slug(name, &slugs))
        .bind(new.description)
        .bind(i64::from(new.task_queue_stopped))
        .fetch_one(&mut *write)
        .await?;
        let mut own = Vec::new();
        for text in [
            "insert into lifecycles (name, name_key, description, phases, space_id) \
             values ('Default Lifecycle', 'default lifecycle', '', '[]', $1) returning id",
            "insert into project_groups (name, description, space_id) values ('Default Project Group', '', $1) returning id",
            "insert into worker_pools (name, name_key, slug, description, space_id) \
             values ('Default Worker Pool', 'default worker pool', 'default-worker-pool', '', $1) returning id",
        ] {
            own.push(sqlx::query_scalar::<_, i64>(text).bind(space).fetch_one(&mut *write).await?);
        }
        let mut update = sqlx::query_as(concat!(
            "update spaces set lifecycle_id = $2, project_group_id = $3, worker_pool_id = $4 where id = $1 returning ",
            columns!()
        ))
        .bind(space);
        for id in own {
            update = update.bind(id);
        }
        let made = update.fetch_one(&mut *write).await?;
        write.commit().await?;
        Ok(made)
    }

    /// Changes what is given. Deployments that waited for a stopped space are handed out again once it is not.
    pub async fn change_space(&self, named: &str, change: &SpaceChange) -> Result<SpaceRow, StoreError> {
        let mut write = self.write().await?;
        write.lock_table("spaces").await?;
        let rows = all(&mut write).await?;
        let row = find(rows.clone(), named)?;
        let name = match &change.name {
            // The first one may stay what it is called.
            Some(name) if key(name) != key(&row.name) => checked_name("space", name, &RESERVED)?,
            Some(name) => name.trim(),
            None => &row.name,
        };
        refuse_taken(&rows, name, Some(row.id))?;
        let stopped = change.task_queue_stopped.map_or(row.task_queue_stopped, i64::from);
        let changed = sqlx::query_as(concat!(
            "update spaces set name = $2, name_key = $3, description = coalesce($4, description), \
             task_queue_stopped = $5 where id = $1 returning ",
            columns!()
        ))
        .bind(row.id)
        .bind(name)
        .bind(key(name))
        .bind(&change.description)
        .bind(stopped)
        .fetch_one(&mut *write)
        .await?;
        if stopped == 0 && row.task_queue_stopped == 1 {
            let waiting: Vec<i64> = sqlx::query_scalar("select id from environments where space_id = $1")
                .bind(row.id)
                .fetch_all(&mut *write)
                .await?;
            write.announce_ready(waiting);
        }
        write.commit().await?;
        Ok(changed)
    }

    /// Removes a space and all that is in it. It must be stopped and have no machines and nothing under way.
    pub async fn delete_space(&self, named: &str) -> Result<SpaceRow, StoreError> {
        let mut write = self.write().await?;
        write.lock_table("spaces").await?;
        let row = find(all(&mut write).await?, named)?;
        let refused =
            |why: String| Err(StoreError::Invalid(format!("space `{}` cannot be deleted: {why}", row.name)));
        if row.is_default() {
            return refused("it is the one that is always there".to_owned());
        }
        // From here on nothing is made in it, nor of what is in it: neither a release nor a deployment.
        write.lock_to_delete("spaces", row.id).await?;
        for text in [
            "select id from environments where space_id = $1 order by id",
            "select id from projects where space_id = $1 order by id",
            "select id from releases where project_id in (select id from projects where space_id = $1) order by id",
        ] {
            let text = write.deleting(text);
            sqlx::query(text).bind(row.id).fetch_all(&mut *write).await?;
        }
        let row_now = all(&mut write).await?.into_iter().find(|other| other.id == row.id);
        if row_now.is_none_or(|row| row.task_queue_stopped == 0) {
            return refused("its tasks are not stopped: set `TaskQueueStopped` first".to_owned());
        }
        let machines: Vec<(String, String)> = sqlx::query_as(
            "select m.name, e.name from machines m join environments e on e.id = m.environment_id where e.space_id = $1 \
             order by m.id",
        )
        .bind(row.id)
        .fetch_all(&mut *write)
        .await?;
        if !machines.is_empty() {
            let machines: Vec<String> = machines
                .into_iter()
                .map(|(name, environment)| format!("`{name}` in `{environment}`"))
                .collect();
            return refused(format!("these machines are in it: {}", machines.join(", ")));
        }
        let open: Vec<i64> = sqlx::query_scalar(
            "select d.id from deployments d join environments e on e.id = d.environment_id where e.space_id = $1 \
             and (d.blocked = 1 or d.state in ('queued', 'leased', 'cancelling', 'lost')) order by d.id",
        )
        .bind(row.id)
        .fetch_all(&mut *write)
        .await?;
        if !open.is_empty() {
            let open: Vec<String> = open.into_iter().map(|id| DeploymentId(id).to_string()).collect();
            return refused(format!("these deployments have not ended: {}", open.join(", ")));
        }
        empty(&mut write, row.id).await?;
        write.commit().await?;
        Ok(row)
    }
}

/// Removes all that is in a space, and the space. What refers goes before what it refers to.
async fn empty(write: &mut Write, space: i64) -> Result<(), StoreError> {
    const PROJECTS: &str = "(select id from projects where space_id = $1)";
    const DEPLOYMENTS: &str =
        "(select id from deployments where project_id in (select id from projects where space_id = $1))";
    const RELEASES: &str =
        "(select id from releases where project_id in (select id from projects where space_id = $1))";
    const ENVIRONMENTS: &str = "(select id from environments where space_id = $1)";
    for (table, column, of) in [
        // First, as for those who lock it and then projects.
        ("library_variable_sets", "space_id", "($1)"),
        ("journal", "deployment_id", DEPLOYMENTS),
        ("log_chunks", "deployment_id", DEPLOYMENTS),
        ("deployments", "project_id", PROJECTS),
        ("release_snapshots", "release_id", RELEASES),
        ("releases", "project_id", PROJECTS),
        ("channels", "project_id", PROJECTS),
        ("projects", "space_id", "($1)"),
        ("lifecycles", "space_id", "($1)"),
        ("project_groups", "space_id", "($1)"),
        ("worker_pools", "space_id", "($1)"),
        ("packages", "space_id", "($1)"),
        ("build_information", "space_id", "($1)"),
        ("registration_tokens", "environment_id", ENVIRONMENTS),
        ("environments", "space_id", "($1)"),
        ("api_keys", "space_id", "($1)"),
        ("spaces", "id", "($1)"),
    ] {
        let text = AssertSqlSafe(format!("delete from {table} where {column} in {of}"));
        sqlx::query(text).bind(space).execute(&mut **write).await?;
    }
    Ok(())
}

/// All spaces, inside a transaction.
pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<SpaceRow>, StoreError> {
    Ok(sqlx::query_as(concat!("select ", columns!(), " from spaces order by id"))
        .fetch_all(connection)
        .await?)
}

/// The space of this number, inside a transaction.
pub(super) async fn by_id(connection: &mut AnyConnection, id: i64) -> Result<SpaceRow, StoreError> {
    find(all(connection).await?, &SpaceId(id).to_string())
}

/// The space that something new belongs to; nobody deletes it until the end. To be asked before any table is locked.
pub(super) async fn home(write: &mut Write) -> Result<i64, StoreError> {
    let space = write
        .space
        .ok_or_else(|| StoreError::Invalid("it must be said in which space this is to be".to_owned()))?;
    let kept: Option<i64> = sqlx::query_scalar(write.sharing("select id from spaces where id = $1"))
        .bind(space)
        .fetch_optional(&mut **write)
        .await?;
    kept.ok_or_else(|| StoreError::NotFound(format!("space `{}` does not exist", SpaceId(space))))
}

fn refuse_taken(rows: &[SpaceRow], name: &str, own: Option<i64>) -> Result<(), StoreError> {
    match rows.iter().find(|other| Some(other.id) != own && key(&other.name) == key(name)) {
        Some(other) => {
            Err(StoreError::Conflict(format!("space `{}` exists already ({})", other.name, other.id())))
        }
        None => Ok(()),
    }
}

/// The one that is meant by an id, a name or a slug.
fn find(rows: Vec<SpaceRow>, named: &str) -> Result<SpaceRow, StoreError> {
    let id = named.trim().parse::<SpaceId>().ok().map(|id| id.0);
    let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let missing =
        StoreError::NotFound(format!("space `{named}` does not exist; known are: {}", known.join(", ")));
    meant(rows, named, id, |row| (row.id, &row.name, &row.slug)).ok_or(missing)
}
