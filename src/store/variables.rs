//! Variable sets, of projects and of libraries: replaced as a whole, sensitive values sealed and never given back.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use sqlx::AnyConnection;

use super::{
    ScopeMember, Store, StoreError, is_deceptive, keys, libraries, projects, scopes,
    values::{self, Stored},
};
use crate::model::{Scope, ScopeType, SetOwner, VariableSetId};

/// The shortest sensitive value: a shorter one cannot be hidden in a log without hiding half of it.
const SHORTEST_SENSITIVE: usize = 4;
/// Names that only the server gives.
const OWN_PREFIX: &str = "octopus.";

/// A variable as it may be shown: the value of a sensitive one is never there.
#[derive(Debug, Clone)]
pub struct ShownVariable {
    /// Its id within the set.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `String`, `Sensitive` …
    pub kind: String,
    /// Whether its value is hidden.
    pub sensitive: bool,
    /// The value of one that may be shown.
    pub value: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it holds.
    pub scope: Scope,
    /// Octopus's description of the prompt, when the value is asked for with each deployment.
    pub prompt: Option<Value>,
}

/// A variable as somebody wants it to be.
pub struct NewVariable {
    /// The id it has; none for a new one.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// `String`, `Sensitive` …
    pub kind: String,
    /// Whether its value is to be hidden.
    pub sensitive: bool,
    /// The value; none keeps the stored one of a sensitive variable.
    pub value: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it is to hold: of each type ids or names.
    pub scope: Vec<(ScopeType, Vec<String>)>,
    /// Octopus's description of the prompt.
    pub prompt: Option<Value>,
}

impl std::fmt::Debug for NewVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewVariable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A variable set.
#[derive(Debug)]
pub struct VariableSet {
    /// Which one.
    pub id: VariableSetId,
    /// Grows by one with each change.
    pub version: i64,
    /// In the order they were sent.
    pub variables: Vec<ShownVariable>,
    /// What their scopes may name.
    pub members: Vec<ScopeMember>,
}

/// A set before its variables are read.
struct Raw {
    title: String,
    version: i64,
    variables: String,
    members: Vec<ScopeMember>,
}

impl Store {
    /// The variable set of this id, or what a release copied of it.
    pub async fn variables(&self, id: VariableSetId) -> Result<VariableSet, StoreError> {
        if let Some(copy) = id.copy {
            return self.copied_variables(id, copy).await;
        }
        let set = raw(&mut *self.database.reader.acquire().await?, id.owner, self.space).await?;
        Ok(shown(id, set.version, &values::parse(&set.variables, id.owner)?, set.members))
    }

    /// Replaces the variable set if `version` is the one that is stored.
    pub async fn put_variables(
        &self,
        owner: SetOwner,
        version: i64,
        new: Vec<NewVariable>,
    ) -> Result<VariableSet, StoreError> {
        let mut write = self.write().await?;
        keys::refuse_replaced(&mut write, &self.vault).await?;
        // Of two sets that were made from one version the second is to see the first.
        match owner {
            SetOwner::Project(id) => write.lock_row("projects", id.0).await?,
            SetOwner::Library(_) => libraries::lock(&mut write).await?,
        }
        let set = raw(&mut write, owner, self.space).await?;
        if set.version != version {
            return Err(StoreError::Conflict(format!(
                "the variables of {} are at version {}, the ones sent were made from version {version}: read them again \
                 and repeat the change",
                set.title, set.version
            )));
        }
        let before = values::parse(&set.variables, owner)?;
        let before: HashMap<&str, &Stored> =
            before.iter().map(|stored| (stored.id.as_str(), stored)).collect();
        let mut stored: Vec<Stored> = Vec::with_capacity(new.len());
        let mut ids = HashSet::new();
        for variable in new {
            let made = self.stored(owner, variable, &set.members, &before)?;
            if !ids.insert(made.id.clone()) {
                return Err(StoreError::Invalid(format!("the variable id `{}` is used twice", made.id)));
            }
            stored.push(made);
        }
        values::refuse_ties_within(&stored, &set.members)?;
        let text =
            serde_json::to_string(&stored).map_err(|error| StoreError::corrupt("the variables", error))?;
        let (update, number) = match owner {
            SetOwner::Project(id) => (
                "update projects set variables = $1, variables_version = variables_version + 1 \
                 where id = $2 and variables_version = $3 returning variables_version",
                id.0,
            ),
            SetOwner::Library(id) => {
                libraries::refuse_ties_with_others(&mut write, id, &stored).await?;
                (
                    "update library_variable_sets set variables = $1, version = version + 1 \
                     where id = $2 and version = $3 returning version",
                    id.0,
                )
            }
        };
        let version: i64 =
            sqlx::query_scalar(update).bind(text).bind(number).bind(version).fetch_one(&mut *write).await?;
        write.commit().await?;
        Ok(shown(VariableSetId::of(owner), version, &stored, set.members))
    }

    fn stored(
        &self,
        owner: SetOwner,
        new: NewVariable,
        members: &[ScopeMember],
        before: &HashMap<&str, &Stored>,
    ) -> Result<Stored, StoreError> {
        let name = new.name.trim().to_owned();
        if name.is_empty() {
            return Err(StoreError::Invalid("a variable needs a name: `Name` is empty".into()));
        }
        refuse_name(&name)?;
        let id = match new.id.filter(|id| !id.trim().is_empty()) {
            Some(id) => id,
            None => keys::random_word(20)?.to_lowercase(),
        };
        let before = before.get(id.as_str()).copied();
        let scope = scopes::read(owner, members, &new.scope, before.map(|before| &before.scope))
            .map_err(|error| StoreError::Invalid(format!("the scope of variable `{name}`: {error}")))?;
        let (value, sealed) = match (new.sensitive, new.value) {
            (false, value) => (value, None),
            // What is asked for need not have a value before.
            (true, Some(value)) if new.prompt.is_some() && value.trim().is_empty() => (None, None),
            (true, Some(value)) => {
                refuse_short(&name, &value)?;
                (None, Some(self.vault.seal(&values::seal_owner(owner, &id), &value)?))
            }
            (true, None) => {
                let kept = before.filter(|stored| stored.sensitive);
                let sealed = kept.and_then(|stored| stored.sealed.clone());
                if sealed.is_none() && new.prompt.is_none() {
                    return Err(StoreError::Invalid(format!(
                        "sensitive variable `{name}` has no value: none was sent and none is stored under its id"
                    )));
                }
                (None, sealed)
            }
        };
        let kind = if new.sensitive { "Sensitive".to_owned() } else { new.kind };
        Ok(Stored {
            id,
            name,
            kind,
            sensitive: new.sensitive,
            value,
            sealed,
            description: new.description,
            scope,
            prompt: new.prompt,
        })
    }
}

async fn raw(connection: &mut AnyConnection, owner: SetOwner, space: Option<i64>) -> Result<Raw, StoreError> {
    match owner {
        SetOwner::Project(id) => {
            let row = projects::in_space(connection, space, id.0).await?;
            let members = scopes::members(connection, &row).await?;
            let title = format!("project `{}`", row.name);
            Ok(Raw { title, version: row.variables_version, variables: row.variables, members })
        }
        SetOwner::Library(id) => {
            let row = libraries::in_space(connection, space, id.0).await?;
            let members = scopes::shared_members(connection, row.space_id).await?;
            let title = format!("library variable set `{}`", row.name);
            Ok(Raw { title, version: row.version, variables: row.variables, members })
        }
    }
}

/// Refuses a name that only the server gives, and one that would deceive whoever reads it in a terminal or a log.
pub(super) fn refuse_name(name: &str) -> Result<(), StoreError> {
    if let Some(character) = name.chars().find(|character| is_deceptive(*character)) {
        return Err(StoreError::Invalid(format!(
            "the variable name `{}` holds the character {}: names hold what can be seen only",
            name.escape_debug(),
            character.escape_unicode()
        )));
    }
    if name.trim().to_lowercase().starts_with(OWN_PREFIX) {
        return Err(StoreError::Invalid(format!(
            "variable `{name}` cannot be set: names that begin with `Octopus.` come from the server alone"
        )));
    }
    Ok(())
}

/// Refuses a sensitive value that is too short to be hidden.
pub(super) fn refuse_short(name: &str, value: &str) -> Result<(), StoreError> {
    if value.trim().chars().count() < SHORTEST_SENSITIVE {
        return Err(StoreError::Invalid(format!(
            "the value of sensitive variable `{name}` is shorter than {SHORTEST_SENSITIVE} characters and could not be \
             hidden in logs"
        )));
    }
    Ok(())
}

pub(super) fn shown(
    id: VariableSetId,
    version: i64,
    stored: &[Stored],
    members: Vec<ScopeMember>,
) -> VariableSet {
    VariableSet { id, version, variables: stored.iter().map(show).collect(), members }
}

/// The variable without what is hidden of it.
pub(super) fn show(stored: &Stored) -> ShownVariable {
    ShownVariable {
        id: stored.id.clone(),
        name: stored.name.clone(),
        kind: stored.kind.clone(),
        sensitive: stored.sensitive,
        value: stored.value.clone().filter(|_| !stored.sensitive),
        description: stored.description.clone(),
        scope: stored.scope.clone(),
        prompt: stored.prompt.clone(),
    }
}
