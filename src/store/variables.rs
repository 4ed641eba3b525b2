//! Variable sets: one for each project, replaced as a whole, sensitive values sealed and never given back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Store, StoreError, environments, is_deceptive, key, keys, projects, vault::Vault};
use crate::model::{EnvironmentId, ProjectId, Variable};

/// The shortest sensitive value: a shorter one cannot be hidden in a log without hiding half of it.
const SHORTEST_SENSITIVE: usize = 4;
/// Names that only the server gives.
const OWN_PREFIX: &str = "octopus.";

/// A variable as it is stored; `sealed` holds the value of a sensitive one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) sensitive: bool,
    pub(super) value: Option<String>,
    pub(super) sealed: Option<String>,
    pub(super) description: Option<String>,
    pub(super) environments: Vec<i64>,
    pub(super) prompt: Option<Value>,
}

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
    /// The environments it is for; all when empty.
    pub environments: Vec<EnvironmentId>,
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
    /// The environments it is for, by id or name; all when empty.
    pub environments: Vec<String>,
    /// Octopus's description of the prompt.
    pub prompt: Option<Value>,
}

impl std::fmt::Debug for NewVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewVariable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A project's variables.
#[derive(Debug)]
pub struct VariableSet {
    /// Whose they are.
    pub project: ProjectId,
    /// Grows by one with each change.
    pub version: i64,
    /// In the order they were sent.
    pub variables: Vec<ShownVariable>,
}

impl Store {
    /// The variable set of a project.
    pub async fn variables(&self, project: ProjectId) -> Result<VariableSet, StoreError> {
        let row = self.project(&project.to_string()).await?;
        Ok(shown(project, row.variables_version, &parse(&row.variables, project)?))
    }

    /// Replaces the variable set if `version` is the one that is stored.
    pub async fn put_variables(
        &self,
        project: ProjectId,
        version: i64,
        new: Vec<NewVariable>,
    ) -> Result<VariableSet, StoreError> {
        let mut write = self.database.write().await?;
        let row = projects::by_id(&mut write, project.0).await?;
        if row.variables_version != version {
            return Err(StoreError::Conflict(format!(
                "the variables of project `{}` are at version {}, the ones sent were made from version {version}: read \
                 them again and repeat the change",
                row.name, row.variables_version
            )));
        }
        let known = environments::all(&mut write).await?;
        let before = parse(&row.variables, project)?;
        let mut stored = Vec::with_capacity(new.len());
        for variable in new {
            let mut ids = Vec::new();
            for named in &variable.environments {
                let environment = environments::find(known.clone(), named).map_err(|error| {
                    StoreError::Invalid(format!("the scope of variable `{}`: {error}", variable.name))
                })?;
                ids.push(environment.id);
            }
            let made = self.stored(project, variable, ids, &before)?;
            if stored.iter().any(|other: &Stored| other.id == made.id) {
                return Err(StoreError::Invalid(format!("the variable id `{}` is used twice", made.id)));
            }
            stored.push(made);
        }
        refuse_ties(&stored, &known)?;
        let text =
            serde_json::to_string(&stored).map_err(|error| StoreError::corrupt("the variables", error))?;
        let version: i64 = sqlx::query_scalar(
            "update projects set variables = $1, variables_version = variables_version + 1 \
             where id = $2 and variables_version = $3 returning variables_version",
        )
        .bind(text)
        .bind(project.0)
        .bind(version)
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(shown(project, version, &stored))
    }

    fn stored(
        &self,
        project: ProjectId,
        new: NewVariable,
        environments: Vec<i64>,
        before: &[Stored],
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
        let (value, sealed) = match (new.sensitive, new.value) {
            (false, value) => (value, None),
            (true, Some(value)) => {
                refuse_short(&name, &value)?;
                (None, Some(self.vault.seal(&owner(project, &id), &value)?))
            }
            (true, None) => {
                let kept = before.iter().find(|stored| stored.id == id && stored.sensitive);
                let sealed = kept.and_then(|stored| stored.sealed.clone()).ok_or_else(|| {
                    StoreError::Invalid(format!(
                        "sensitive variable `{name}` has no value: none was sent and none is stored under its id"
                    ))
                })?;
                (None, Some(sealed))
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
            environments,
            prompt: new.prompt,
        })
    }
}

pub(super) fn parse(text: &str, project: ProjectId) -> Result<Vec<Stored>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::corrupt(format!("the variables of {project}"), error))
}

/// The values that apply in `environment`: one for each name, the scoped before the unscoped.
pub(super) fn applicable(stored: &[Stored], environment: i64) -> Vec<&Stored> {
    let mut chosen: Vec<&Stored> = Vec::new();
    for variable in stored {
        if !variable.environments.is_empty() && !variable.environments.contains(&environment) {
            continue;
        }
        match chosen.iter_mut().find(|other| key(&other.name) == key(&variable.name)) {
            Some(other) if other.environments.is_empty() => *other = variable,
            Some(_) => {}
            None => chosen.push(variable),
        }
    }
    chosen
}

/// The variable as it travels to a worker.
pub(super) fn open(vault: &Vault, project: ProjectId, stored: &Stored) -> Result<Variable, StoreError> {
    match &stored.sealed {
        Some(sealed) => {
            Ok(Variable::sensitive(&stored.name, vault.open(&owner(project, &stored.id), sealed)?))
        }
        None => Ok(Variable::plain(&stored.name, stored.value.clone().unwrap_or_default())),
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

fn owner(project: ProjectId, variable: &str) -> String {
    format!("variableset-{project}/{variable}")
}

fn shown(project: ProjectId, version: i64, stored: &[Stored]) -> VariableSet {
    let variables = stored
        .iter()
        .map(|stored| ShownVariable {
            id: stored.id.clone(),
            name: stored.name.clone(),
            kind: stored.kind.clone(),
            sensitive: stored.sensitive,
            value: stored.value.clone().filter(|_| !stored.sensitive),
            description: stored.description.clone(),
            environments: stored.environments.iter().copied().map(EnvironmentId).collect(),
            prompt: stored.prompt.clone(),
        })
        .collect();
    VariableSet { project, version, variables }
}

/// Two values of one name for one environment, or two for all: which one would win is not defined, so neither may.
fn refuse_ties(stored: &[Stored], known: &[environments::EnvironmentRow]) -> Result<(), StoreError> {
    for (place, one) in stored.iter().enumerate() {
        for other in stored.iter().skip(place + 1).filter(|other| key(&other.name) == key(&one.name)) {
            if one.environments.is_empty() && other.environments.is_empty() {
                return Err(StoreError::Invalid(format!(
                    "variable `{}` has two values without a scope",
                    one.name
                )));
            }
            if let Some(shared) = one.environments.iter().find(|id| other.environments.contains(id)) {
                let name = known.iter().find(|row| row.id == *shared).map_or("", |row| row.name.as_str());
                return Err(StoreError::Invalid(format!(
                    "variable `{}` has two values for environment `{name}`",
                    one.name
                )));
            }
        }
    }
    Ok(())
}
