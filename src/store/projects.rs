//! Projects with their process and channels, and the one lifecycle and project group of this version.

use super::{Store, StoreError, database::Write, environments::checked_name, free_slug, key};
use crate::model::ProjectId;

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
    pub(super) variables: String,
    pub(super) variables_version: i64,
}

/// A row that has no more than a name: a lifecycle or a project group.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct NamedRow {
    /// The number of its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
}

/// A channel of a project.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ChannelRow {
    /// The number of its id.
    pub id: i64,
    /// Whose channel it is.
    pub project_id: i64,
    /// Its name.
    pub name: String,
}

const COLUMNS: &str = "select id, name, slug, description, lifecycle_id, project_group_id, process, \
                       process_version, variables, variables_version from projects order by name_key";

impl Store {
    /// All projects by name.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        Ok(sqlx::query_as(COLUMNS).fetch_all(&self.database.reader).await?)
    }

    /// The project with this id, name or slug.
    pub async fn project(&self, named: &str) -> Result<ProjectRow, StoreError> {
        find(self.projects().await?, named)
    }

    /// Makes a project with an empty process, no variables and its default channel.
    pub async fn create_project(&self, name: &str, description: &str) -> Result<ProjectRow, StoreError> {
        let name = checked_name("project", name, &["all"])?;
        let mut write = self.database.write().await?;
        // The slug depends on all others.
        write.lock_table("projects").await?;
        let taken: Vec<String> =
            sqlx::query_scalar("select slug from projects").fetch_all(&mut *write).await?;
        let made: Option<ProjectRow> = sqlx::query_as(
            "insert into projects (name, name_key, slug, description, lifecycle_id, project_group_id, process, \
             process_version, variables, variables_version) values ($1, $2, $3, $4, 1, 1, '{\"Steps\":[]}', 0, '[]', 0) \
             on conflict (name_key) do nothing returning id, name, slug, description, lifecycle_id, project_group_id, process, \
             process_version, variables, variables_version",
        )
        .bind(name)
        .bind(key(name))
        .bind(free_slug(name, &taken))
        .bind(description)
        .fetch_optional(&mut *write)
        .await?;
        let made = made.ok_or_else(|| StoreError::Conflict(format!("a project `{name}` exists already")))?;
        sqlx::query("insert into channels (project_id, name, is_default) values ($1, 'Default', 1)")
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
        let mut write = self.database.write().await?;
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

    /// All lifecycles.
    pub async fn lifecycles(&self) -> Result<Vec<NamedRow>, StoreError> {
        Ok(sqlx::query_as("select id, name, description from lifecycles order by id")
            .fetch_all(&self.database.reader)
            .await?)
    }

    /// All project groups.
    pub async fn project_groups(&self) -> Result<Vec<NamedRow>, StoreError> {
        Ok(sqlx::query_as("select id, name, description from project_groups order by id")
            .fetch_all(&self.database.reader)
            .await?)
    }

    /// All channels.
    pub async fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        Ok(sqlx::query_as("select id, project_id, name from channels order by id")
            .fetch_all(&self.database.reader)
            .await?)
    }
}

/// The project of this number, inside a transaction.
pub(super) async fn by_id(write: &mut Write, id: i64) -> Result<ProjectRow, StoreError> {
    let rows: Vec<ProjectRow> = sqlx::query_as(COLUMNS).fetch_all(&mut **write).await?;
    rows.into_iter()
        .find(|row| row.id == id)
        .ok_or_else(|| StoreError::NotFound(format!("project `{}` does not exist", ProjectId(id))))
}

/// The one that is meant by an id, a name or a slug, in this order: the slug of one may be the name of another.
fn find(rows: Vec<ProjectRow>, named: &str) -> Result<ProjectRow, StoreError> {
    let wanted = key(named);
    let id = named.trim().parse::<ProjectId>().ok();
    let place = id
        .and_then(|id| rows.iter().position(|row| row.id == id.0))
        .or_else(|| rows.iter().position(|row| key(&row.name) == wanted))
        .or_else(|| rows.iter().position(|row| row.slug == wanted));
    place
        .and_then(|place| rows.into_iter().nth(place))
        .ok_or_else(|| StoreError::NotFound(format!("project `{named}` does not exist")))
}
