//! Which values of a project would hold, for those who ask before they release or deploy.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use super::{
    ProjectRow, ScopeMember, ShownVariable, Store, StoreError, key, libraries, projects, scopes,
    values::{self, Held, Values},
    variables,
};
use crate::model::{ProjectId, ScopeType, SetOwner, Target};

/// The values that hold.
#[derive(Debug)]
pub struct Resolved {
    /// Each with the set that it is in.
    pub variables: Vec<(SetOwner, ShownVariable)>,
    /// What scopes may name.
    pub members: Vec<ScopeMember>,
}

impl Store {
    /// The values of the project that would hold where all of these are, each an id or a name. What is scoped to
    /// something of which nothing is given does not hold.
    pub async fn resolved(
        &self,
        project: &ProjectRow,
        wanted: &[(ScopeType, Vec<String>)],
    ) -> Result<Resolved, StoreError> {
        let mut reader = self.database.reader.acquire().await?;
        let id = ProjectId(project.id);
        let members = scopes::members(&mut reader, project).await?;
        let scope = scopes::read(SetOwner::Project(id), &members, wanted, None)?;
        let target = Target::default().with(ScopeType::ProcessOwner, id.to_string());
        let target = scope
            .iter()
            .fold(target, |target, (kind, ids)| ids.iter().fold(target, |target, id| target.with(kind, id)));
        let values = now(&mut reader, project).await?;
        let held = values.applicable(&target)?;
        let variables =
            held.into_iter().map(|Held { owner, stored }| (owner, variables::show(stored))).collect();
        Ok(Resolved { variables, members })
    }

    /// The names of a project's variables and of its libraries', or of all there are, in their order.
    pub async fn variable_names(&self, project: Option<&ProjectRow>) -> Result<Vec<String>, StoreError> {
        let mut reader = self.database.reader.acquire().await?;
        let projects = match project {
            Some(project) => vec![project.clone()],
            None => projects::all(&mut reader, self.space).await?,
        };
        let mut names = BTreeMap::new();
        let mut add = |name: &str| {
            names.entry(key(name)).or_insert_with(|| name.to_owned());
        };
        for project in &projects {
            now(&mut reader, project).await?.iter().for_each(|held| add(&held.stored.name));
        }
        if project.is_none() {
            for row in libraries::all(&mut reader, self.space).await? {
                row.copy()?.variables.iter().for_each(|stored| add(&stored.name));
            }
        }
        Ok(names.into_values().collect())
    }
}

async fn now(connection: &mut AnyConnection, project: &ProjectRow) -> Result<Values, StoreError> {
    let id = ProjectId(project.id);
    let own = values::parse(&project.variables, SetOwner::Project(id))?;
    Ok(Values { project: id, own, libraries: libraries::of_project(connection, project).await? })
}
