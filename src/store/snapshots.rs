//! What a release copies of variables, how it copies them again, and who is told what it copied.

use serde::Deserialize;

use super::{
    DeploymentRow, ReleaseRow, Store, StoreError, VariableSet,
    database::Write,
    keys, libraries,
    projects::{self, ProjectRow},
    releases, scopes,
    values::{self, Values},
    variables,
};
use crate::model::{LibraryVariableSetId, ProjectId, SetCopy, SetOwner, VariableSetId};

/// A project's variables and those of its libraries, as a release keeps them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) variables: String,
    pub(super) variables_version: i64,
    pub(super) libraries: String,
}

/// Which set was copied, without its values.
#[derive(Deserialize)]
struct Copied {
    id: i64,
    version: i64,
}

impl ReleaseRow {
    /// The id of what it copied of its project's variables.
    pub fn variables_id(&self) -> VariableSetId {
        self.copy_of(SetOwner::Project(ProjectId(self.project_id)), self.variables_version)
    }

    /// The ids of what it copied of library variable sets.
    pub fn library_ids(&self) -> Vec<VariableSetId> {
        let owner = |copied: &Copied| SetOwner::Library(LibraryVariableSetId(copied.id));
        self.copied().iter().map(|copied| self.copy_of(owner(copied), copied.version)).collect()
    }

    fn copy_of(&self, owner: SetOwner, version: i64) -> VariableSetId {
        let copy = SetCopy { version, release: self.id, number: self.snapshot };
        VariableSetId { owner, copy: Some(copy) }
    }

    /// What cannot be read is in nobody's way here: whoever wants the values is told.
    fn copied(&self) -> Vec<Copied> {
        serde_json::from_str(&self.libraries).unwrap_or_default()
    }

    /// The values that it copied.
    pub(super) fn values(&self) -> Result<Values, StoreError> {
        Values::read(ProjectId(self.project_id), &self.variables, &self.libraries)
    }
}

impl DeploymentRow {
    /// The id of the copy of its project's variables that it was made with.
    pub fn variables_id(&self) -> VariableSetId {
        let copy =
            SetCopy { version: self.variables_version, release: self.release_id, number: self.snapshot };
        VariableSetId { owner: SetOwner::Project(ProjectId(self.project_id)), copy: Some(copy) }
    }
}

impl Store {
    /// Copies the variables of the release's project, and of its libraries, again. What was deployed before keeps what
    /// it had.
    pub async fn refresh_variables(&self, named: &str) -> Result<ReleaseRow, StoreError> {
        let row = self.release(named).await?;
        let mut write = self.write().await?;
        keys::refuse_replaced(&mut write, &self.vault).await?;
        let row = refresh(&mut write, &row).await?;
        write.commit().await?;
        Ok(row)
    }

    /// Whether a library was changed, included or left out after the release copied what there was.
    pub async fn has_newer_libraries(
        &self,
        project: &ProjectRow,
        release: &ReleaseRow,
    ) -> Result<bool, StoreError> {
        let mut reader = self.database.reader.acquire().await?;
        let now = libraries::of_project(&mut reader, project).await?;
        let now = now.iter().map(|library| (library.id, library.version));
        Ok(!now.eq(release.copied().iter().map(|copied| (copied.id, copied.version))))
    }

    /// The variables that a release copied.
    pub(super) async fn copied_variables(
        &self,
        id: VariableSetId,
        copy: SetCopy,
    ) -> Result<VariableSet, StoreError> {
        let missing = || StoreError::NotFound(format!("variable set `{id}` does not exist"));
        let mut reader = self.database.reader.acquire().await?;
        let found: Option<(i64, String, String, i64, String)> = sqlx::query_as(
            "select project_id, process, variables, variables_version, libraries from releases \
             where id = $1 and snapshot = $2 \
             union all select r.project_id, r.process, s.variables, s.variables_version, s.libraries \
             from release_snapshots s join releases r on r.id = s.release_id where s.release_id = $1 and s.number = $2",
        )
        .bind(copy.release)
        .bind(copy.number)
        .fetch_optional(&mut *reader)
        .await?;
        let (project, process, own, version, libraries) = found.ok_or_else(missing)?;
        let values = Values::read(ProjectId(project), &own, &libraries)?;
        let (version, stored, members) = match id.owner {
            SetOwner::Project(owner) if owner.0 == project => {
                let row = projects::in_space(&mut reader, self.space, project).await?;
                // Its actions are those of the process that was copied with it.
                let members = scopes::members(&mut reader, &ProjectRow { process, ..row }).await?;
                let mut own = values.own;
                for variable in &mut own {
                    variable.scope = scopes::with_action_ids(&members, &variable.scope);
                }
                (version, own, members)
            }
            SetOwner::Project(_) => return Err(missing()),
            SetOwner::Library(owner) => {
                let mut libraries = values.libraries.into_iter();
                let library = libraries.find(|library| library.id == owner.0).ok_or_else(missing)?;
                let project = projects::in_space(&mut reader, self.space, project).await?;
                let members = scopes::shared_members(&mut reader, project.space_id).await?;
                (library.version, library.variables, members)
            }
        };
        if version != copy.version {
            return Err(missing());
        }
        Ok(variables::shown(id, version, &stored, members))
    }
}

/// The project's variables as a release with this process keeps them. The process may have changed since they were
/// saved, and with it which actions they mean.
pub(super) async fn take(
    write: &mut Write,
    project: &ProjectRow,
    process: &str,
) -> Result<Snapshot, StoreError> {
    let project = ProjectRow { process: process.to_owned(), ..project.clone() };
    let id = ProjectId(project.id);
    let mut own = values::parse(&project.variables, SetOwner::Project(id))?;
    let members = scopes::members(write, &project).await?;
    for variable in &mut own {
        variable.scope = scopes::with_action_names(&members, &variable.scope);
    }
    let values = Values { project: id, own, libraries: libraries::of_project(write, &project).await? };
    values.refuse_ties(&members)?;
    let corrupt = |error| StoreError::corrupt("the variables", error);
    Ok(Snapshot {
        variables: serde_json::to_string(&values.own).map_err(corrupt)?,
        variables_version: project.variables_version,
        libraries: serde_json::to_string(&values.libraries).map_err(corrupt)?,
    })
}

/// Copies the variables for the release again, if there is anything new in them, and keeps what it had for those
/// deployments that were made with it. For a transaction in which [`keys::refuse_replaced`] was asked.
pub(super) async fn refresh(write: &mut Write, release: &ReleaseRow) -> Result<ReleaseRow, StoreError> {
    // The project too: whoever deletes it locks it before its releases.
    write.lock_row("projects", release.project_id).await?;
    write.lock_row("releases", release.id).await?;
    let row = releases::by_id(write, release.id).await?;
    let project = projects::by_id(write, row.project_id).await?;
    let snapshot = take(write, &project, &row.process).await?;
    let before = Snapshot {
        variables: row.variables.clone(),
        variables_version: row.variables_version,
        libraries: row.libraries.clone(),
    };
    if snapshot == before {
        return Ok(row);
    }
    sqlx::query(
        "insert into release_snapshots (release_id, number, variables, variables_version, libraries) \
         select id, snapshot, variables, variables_version, libraries from releases where id = $1",
    )
    .bind(row.id)
    .execute(&mut **write)
    .await?;
    sqlx::query(
        "update releases set snapshot = snapshot + 1, variables = $2, variables_version = $3, libraries = $4 \
         where id = $1",
    )
    .bind(row.id)
    .bind(snapshot.variables)
    .bind(snapshot.variables_version)
    .bind(snapshot.libraries)
    .execute(&mut **write)
    .await?;
    releases::by_id(write, row.id).await
}
