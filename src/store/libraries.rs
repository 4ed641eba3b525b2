//! Library variable sets: variables that projects share by including them.

use sqlx::AnyConnection;

use super::{
    Store, StoreError,
    database::Write,
    environments::checked_name,
    key,
    projects::{self, ProjectRow},
    scopes, spaces,
    values::{self, LibraryCopy, Stored},
};
use crate::model::{LibraryVariableSetId, SetOwner};

const TABLE: &str = "library_variable_sets";

/// A library variable set as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LibraryRow {
    /// The number of its id.
    pub id: i64,
    /// Its name as given.
    pub name: String,
    /// For people.
    pub description: String,
    pub(super) variables: String,
    pub(super) version: i64,
    pub(super) space_id: i64,
}

impl LibraryRow {
    /// Whose variables they are.
    pub(super) fn owner(&self) -> SetOwner {
        SetOwner::Library(LibraryVariableSetId(self.id))
    }

    pub(super) fn copy(&self) -> Result<LibraryCopy, StoreError> {
        Ok(LibraryCopy {
            id: self.id,
            name: self.name.clone(),
            version: self.version,
            variables: values::parse(&self.variables, self.owner())?,
        })
    }
}

impl Store {
    /// All library variable sets by name.
    pub async fn libraries(&self) -> Result<Vec<LibraryRow>, StoreError> {
        all(&mut *self.database.reader.acquire().await?, self.space).await
    }

    /// The library variable set with this id or name.
    pub async fn library(&self, named: &str) -> Result<LibraryRow, StoreError> {
        find(&self.libraries().await?, named)
    }

    /// Makes a library variable set without variables.
    pub async fn create_library(&self, name: &str, description: &str) -> Result<LibraryRow, StoreError> {
        let name = checked_name("library variable set", name, &["all"])?;
        let mut write = self.write().await?;
        let home = spaces::home(&mut write).await?;
        let made: Option<LibraryRow> = sqlx::query_as(
            "insert into library_variable_sets (space_id, name, name_key, description, variables, version) \
             values ($4, $1, $2, $3, '[]', 0) on conflict (space_id, name_key) do nothing \
             returning id, name, description, variables, version, space_id",
        )
        .bind(name)
        .bind(key(name))
        .bind(description)
        .bind(home)
        .fetch_optional(&mut *write)
        .await?;
        let made = made.ok_or_else(|| taken(name))?;
        write.commit().await?;
        Ok(made)
    }

    /// Changes what people read of it; what is absent stays.
    pub async fn change_library(
        &self,
        named: &str,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<LibraryRow, StoreError> {
        let mut write = self.write().await?;
        lock(&mut write).await?;
        let rows = within(&mut write).await?;
        let row = find(&rows, named)?;
        let name = match name {
            Some(name) => checked_name("library variable set", name, &["all"])?,
            None => &row.name,
        };
        if rows.iter().any(|other| other.id != row.id && key(&other.name) == key(name)) {
            return Err(taken(name));
        }
        let changed = sqlx::query_as(
            "update library_variable_sets set name = $2, name_key = $3, description = coalesce($4, description) \
             where id = $1 returning id, name, description, variables, version, space_id",
        )
        .bind(row.id)
        .bind(name)
        .bind(key(name))
        .bind(description)
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(changed)
    }

    /// Removes a set that no project includes. Releases keep what they copied of it.
    pub async fn delete_library(&self, named: &str) -> Result<LibraryRow, StoreError> {
        let mut write = self.write().await?;
        lock(&mut write).await?;
        let row = find(&within(&mut write).await?, named)?;
        let users: Vec<String> = including(&mut write, row.id)
            .await?
            .into_iter()
            .map(|project| format!("project `{}`", project.name))
            .collect();
        if !users.is_empty() {
            return Err(StoreError::Conflict(format!(
                "library variable set `{}` cannot be deleted: it is included by {}",
                row.name,
                users.join(", ")
            )));
        }
        sqlx::query("delete from library_variable_sets where id = $1")
            .bind(row.id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(row)
    }
}

fn taken(name: &str) -> StoreError {
    StoreError::Conflict(format!("a library variable set `{name}` exists already"))
}

/// Keeps all others from changing a set, and from including one, until the end: whether values tie depends on all the
/// sets of a project together.
pub(super) async fn lock(write: &mut Write) -> Result<(), StoreError> {
    write.lock_table(TABLE).await
}

pub(super) async fn all(
    connection: &mut AnyConnection,
    space: Option<i64>,
) -> Result<Vec<LibraryRow>, StoreError> {
    Ok(sqlx::query_as(
        "select id, name, description, variables, version, space_id from library_variable_sets \
         where space_id = coalesce($1, space_id) order by name_key",
    )
    .bind(space)
    .fetch_all(connection)
    .await?)
}

/// All of the transaction's own space.
async fn within(write: &mut Write) -> Result<Vec<LibraryRow>, StoreError> {
    let space = write.space;
    all(write, space).await
}

/// The set of this number if it is in the space, inside a transaction.
pub(super) async fn in_space(
    connection: &mut AnyConnection,
    space: Option<i64>,
    id: i64,
) -> Result<LibraryRow, StoreError> {
    find(&all(connection, space).await?, &LibraryVariableSetId(id).to_string())
}

fn find(rows: &[LibraryRow], named: &str) -> Result<LibraryRow, StoreError> {
    let wanted = key(named);
    let id = named.trim().parse::<LibraryVariableSetId>().ok();
    let found = rows.iter().find(|row| id.map_or(key(&row.name) == wanted, |id| row.id == id.0));
    found
        .cloned()
        .ok_or_else(|| StoreError::NotFound(format!("library variable set `{named}` does not exist")))
}

/// The numbers of the sets as a project's row holds them.
pub(super) fn written(libraries: &[LibraryRow]) -> String {
    libraries.iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(",")
}

/// The sets that are named to be included, inside a transaction that holds the lock.
pub(super) async fn to_include(
    write: &mut Write,
    project: &str,
    named: &[String],
) -> Result<Vec<LibraryRow>, StoreError> {
    let rows = within(write).await?;
    let mut found: Vec<LibraryRow> = Vec::with_capacity(named.len());
    for named in named {
        let row = find(&rows, named).map_err(|error| StoreError::Invalid(error.to_string()))?;
        if found.iter().any(|other| other.id == row.id) {
            return Err(StoreError::Invalid(format!(
                "library variable set `{}` is included twice",
                row.name
            )));
        }
        found.push(row);
    }
    let libraries: Vec<LibraryCopy> = found.iter().map(LibraryRow::copy).collect::<Result<_, _>>()?;
    let home = spaces::home(write).await?;
    refuse_ties(write, project, home, &libraries).await?;
    Ok(found)
}

/// Refuses libraries of which two values could hold with equal weight in the project.
async fn refuse_ties(
    write: &mut Write,
    project: &str,
    space: i64,
    libraries: &[LibraryCopy],
) -> Result<(), StoreError> {
    let members = scopes::shared_members(write, space).await?;
    values::refuse_ties_among(libraries, &members)
        .map_err(|error| StoreError::Invalid(format!("in project `{project}` {error}")))
}

/// The sets that the project includes, as they are.
pub(super) async fn of_project(
    connection: &mut AnyConnection,
    project: &ProjectRow,
) -> Result<Vec<LibraryCopy>, StoreError> {
    let rows = all(connection, Some(project.space_id)).await?;
    let included = project.libraries().into_iter().filter_map(|id| rows.iter().find(|row| row.id == id.0));
    included.map(LibraryRow::copy).collect()
}

/// The projects that include the set of this number.
async fn including(connection: &mut AnyConnection, id: i64) -> Result<Vec<ProjectRow>, StoreError> {
    let mut projects = projects::all(connection, None).await?;
    projects.retain(|project| project.libraries().contains(&LibraryVariableSetId(id)));
    Ok(projects)
}

/// Refuses to save a set that would tie with another one in a project that includes both.
pub(super) async fn refuse_ties_with_others(
    write: &mut Write,
    changed: LibraryVariableSetId,
    variables: &[Stored],
) -> Result<(), StoreError> {
    for project in including(write, changed.0).await? {
        let mut libraries = of_project(write, &project).await?;
        for library in libraries.iter_mut().filter(|library| library.id == changed.0) {
            library.variables = variables.to_vec();
        }
        refuse_ties(write, &project.name, project.space_id, &libraries).await?;
    }
    Ok(())
}
