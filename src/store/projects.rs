//! Projects with their process, and the one group of projects.

use sqlx::AnyConnection;

use super::{
    ReleaseRow, Store, StoreError, database::Write, deployments, environments::checked_name, free_slug, key,
    libraries, lifecycles, meant, process, spaces,
};
use crate::model::{LibraryVariableSetId, ProjectGroupId, ProjectId};

/// A project as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ProjectRow {
    /// The number of its id.
    pub id: i64,
    /// Its name as given.
    pub name: String,
    /// Its name in URLs.
    pub slug: String,
    /// For people.
    pub description: String,
    /// The lifecycle's number.
    pub lifecycle_id: i64,
    /// The project group's number.
    pub project_group_id: i64,
    /// The deployment process, Octopus's JSON document as it was sent.
    pub process: String,
    /// Grows by one with each change of the process.
    pub process_version: i64,
    /// Whether it takes no new release and no new deployment, as 0 or 1.
    pub is_disabled: i64,
    /// The number of its space.
    pub space_id: i64,
    pub(super) variables: String,
    pub(super) variables_version: i64,
    pub(super) libraries: String,
}

impl ProjectRow {
    /// The library variable sets that it includes.
    pub fn libraries(&self) -> Vec<LibraryVariableSetId> {
        self.libraries.split(',').filter_map(|id| id.parse().ok()).map(LibraryVariableSetId).collect()
    }

    /// Whether the process was changed after the release was made.
    pub fn has_newer_process(&self, release: &ReleaseRow) -> bool {
        self.process_version != release.process_version
    }

    /// Whether the variables were changed after the release copied them.
    pub fn has_newer_variables(&self, release: &ReleaseRow) -> bool {
        self.variables_version != release.variables_version
    }
}

/// A group of projects.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GroupRow {
    /// The number of its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
}

/// What is to become of a project; what is none stays.
#[derive(Debug, Default)]
pub struct ProjectChange {
    /// Its name.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Its lifecycle, by id or name.
    pub lifecycle: Option<String>,
    /// Whether it takes no new release and no new deployment.
    pub is_disabled: Option<bool>,
    /// The library variable sets that it includes, by id or name.
    pub libraries: Option<Vec<String>>,
}

macro_rules! columns {
    () => {
        "id, name, slug, description, lifecycle_id, project_group_id, process, process_version, is_disabled, variables, \
         variables_version, libraries, space_id"
    };
}

const SELECT: &str = concat!(
    "select ",
    columns!(),
    " from projects where space_id = coalesce($1, space_id) order by name_key"
);

impl Store {
    /// All projects by name.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        all(&mut *self.database.reader.acquire().await?, self.space).await
    }

    /// The project with this id, name or slug.
    pub async fn project(&self, named: &str) -> Result<ProjectRow, StoreError> {
        find(self.projects().await?, named)
    }

    /// Makes a project with an empty process, no variables and its default channel.
    pub async fn create_project(
        &self,
        name: &str,
        description: &str,
        lifecycle: Option<&str>,
        libraries: &[String],
    ) -> Result<ProjectRow, StoreError> {
        let name = checked_name("project", name, &["all"])?;
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        if !libraries.is_empty() {
            libraries::lock(&mut write).await?;
        }
        let libraries = libraries::to_include(&mut write, name, libraries).await?;
        let space = spaces::by_id(&mut write, home).await?;
        // The slug depends on all others.
        write.lock_table("projects").await?;
        let lifecycle = match lifecycle {
            Some(named) => lifecycles::named(&mut write, named).await?.id,
            None => space.lifecycle_id,
        };
        let taken: Vec<String> = sqlx::query_scalar("select slug from projects where space_id = $1")
            .bind(home)
            .fetch_all(&mut *write)
            .await?;
        let made: Option<ProjectRow> = sqlx::query_as(concat!(
            "insert into projects (name, name_key, slug, description, lifecycle_id, project_group_id, process, \
             process_version, variables, variables_version, libraries, space_id) \
             values ($1, $2, $3, $4, $5, $7, '{\"Steps\":[]}', 0, '[]', 0, $6, $8) \
             on conflict (space_id, name_key) do nothing returning ",
            columns!()
        ))
        .bind(name)
        .bind(key(name))
        .bind(free_slug(name, &taken))
        .bind(description)
        .bind(lifecycle)
        .bind(libraries::written(&libraries))
        .bind(space.project_group_id)
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let made = made.ok_or_else(|| StoreError::Conflict(format!("a project `{name}` exists already")))?;
        sqlx::query("insert into channels (project_id, name, name_key, is_default) values ($1, 'Default', 'default', 1)")
            .bind(made.id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(made)
    }

    /// Replaces the process if `version` is the one that is stored; answers the project as it is then.
    pub async fn put_process(
        &self,
        project: i64,
        process: &str,
        version: i64,
    ) -> Result<ProjectRow, StoreError> {
        let mut write = self.write().await?;
        let changed = sqlx::query(
            "update projects set process = $1, process_version = process_version + 1 \
             where id = $2 and process_version = $3",
        )
        .bind(process)
        .bind(project)
        .bind(version)
        .execute(&mut *write)
        .await?
        .rows_affected();
        let row = by_id(&mut write, project).await?;
        process::refuse_package_ids(&row.name, process)?;
        if changed == 0 {
            return Err(StoreError::Conflict(format!(
                "the deployment process of project `{}` is at version {}, the one sent was made from version {version}: \
                 read it again and repeat the change",
                row.name, row.process_version
            )));
        }
        write.commit().await?;
        Ok(row)
    }

    /// Changes what is given.
    pub async fn change_project(
        &self,
        named: &str,
        change: &ProjectChange,
    ) -> Result<ProjectRow, StoreError> {
        let mut write = self.write().await?;
        if change.libraries.is_some() {
            libraries::lock(&mut write).await?;
        }
        let rows = within(&mut write).await?;
        let row = find(rows.clone(), named)?;
        write.lock_row("projects", row.id).await?;
        let row = by_id(&mut write, row.id).await?;
        let name = match &change.name {
            Some(name) => checked_name("project", name, &["all"])?,
            None => &row.name,
        };
        if rows.iter().any(|other| other.id != row.id && key(&other.name) == key(name)) {
            return Err(StoreError::Conflict(format!("a project `{name}` exists already")));
        }
        let lifecycle = match &change.lifecycle {
            Some(named) => lifecycles::named(&mut write, named).await?.id,
            None => row.lifecycle_id,
        };
        let libraries = match &change.libraries {
            Some(named) => libraries::written(&libraries::to_include(&mut write, name, named).await?),
            None => row.libraries.clone(),
        };
        sqlx::query(
            "update projects set name = $2, name_key = $3, description = $4, lifecycle_id = $5, is_disabled = $6, \
             libraries = $7 where id = $1",
        )
        .bind(row.id)
        .bind(name)
        .bind(key(name))
        .bind(change.description.as_ref().unwrap_or(&row.description))
        .bind(lifecycle)
        .bind(change.is_disabled.map_or(row.is_disabled, i64::from))
        .bind(libraries)
        .execute(&mut *write)
        .await?;
        let changed = by_id(&mut write, row.id).await?;
        write.commit().await?;
        Ok(changed)
    }

    /// Removes a project and all that is on record of it: releases, deployments and their logs.
    pub async fn delete_project(&self, named: &str) -> Result<ProjectRow, StoreError> {
        let mut write = self.write().await?;
        let row = find(within(&mut write).await?, named)?;
        write.lock_to_delete("projects", row.id).await?;
        deployments::refuse_open(&mut write, "project_id", row.id, &format!("project `{}`", row.name))
            .await?;
        deployments::delete(&mut write, "project_id", row.id).await?;
        for text in [
            "delete from release_snapshots where release_id in (select id from releases where project_id = $1)",
            "delete from releases where project_id = $1",
            "delete from channels where project_id = $1",
            "delete from projects where id = $1",
        ] {
            sqlx::query(text).bind(row.id).execute(&mut *write).await?;
        }
        write.commit().await?;
        Ok(row)
    }

    /// All project groups.
    pub async fn project_groups(&self) -> Result<Vec<GroupRow>, StoreError> {
        let select = "select id, name, description from project_groups where space_id = coalesce($1, space_id) order by id";
        Ok(sqlx::query_as(select).bind(self.space).fetch_all(&self.database.reader).await?)
    }

    /// The project group with this id or name.
    pub async fn project_group(&self, named: &str) -> Result<GroupRow, StoreError> {
        let id = named.trim().parse::<ProjectGroupId>().ok();
        let is_meant = |row: &GroupRow| id.map_or(key(&row.name) == key(named), |id| row.id == id.0);
        let found = self.project_groups().await?.into_iter().find(is_meant);
        found.ok_or_else(|| StoreError::NotFound(format!("project group `{named}` does not exist")))
    }
}

/// All projects of a space by name, inside a transaction.
pub(super) async fn all(
    connection: &mut AnyConnection,
    space: Option<i64>,
) -> Result<Vec<ProjectRow>, StoreError> {
    Ok(sqlx::query_as(SELECT).bind(space).fetch_all(connection).await?)
}

/// All of the transaction's own space.
async fn within(write: &mut Write) -> Result<Vec<ProjectRow>, StoreError> {
    let space = write.space;
    all(write, space).await
}

/// The project of this number in any space, inside a transaction.
pub(super) async fn by_id(connection: &mut AnyConnection, id: i64) -> Result<ProjectRow, StoreError> {
    in_space(connection, None, id).await
}

/// The project of this number if it is in the space, inside a transaction.
pub(super) async fn in_space(
    connection: &mut AnyConnection,
    space: Option<i64>,
    id: i64,
) -> Result<ProjectRow, StoreError> {
    all(connection, space)
        .await?
        .into_iter()
        .find(|row| row.id == id)
        .ok_or_else(|| StoreError::NotFound(format!("project `{}` does not exist", ProjectId(id))))
}

/// The one that is meant by an id, a name or a slug.
fn find(rows: Vec<ProjectRow>, named: &str) -> Result<ProjectRow, StoreError> {
    let id = named.trim().parse::<ProjectId>().ok().map(|id| id.0);
    meant(rows, named, id, |row| (row.id, &row.name, &row.slug))
        .ok_or_else(|| StoreError::NotFound(format!("project `{named}` does not exist")))
}

/// Refuses a project that was switched off.
pub(super) fn refuse_disabled(project: &ProjectRow, what: &str) -> Result<(), StoreError> {
    if project.is_disabled == 0 {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("project `{}` is disabled: it takes no new {what}", project.name)))
}
