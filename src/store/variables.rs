//! Variable sets: one for each project, replaced as a whole, sensitive values sealed and never given back.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ScopeMember, Store, StoreError,
    database::Write,
    is_deceptive, key, keys,
    projects::{self, ProjectRow},
    scopes,
    vault::Vault,
};
use crate::model::{MachineId, ProjectId, Scope, ScopeType, Target, Variable, scope};

/// The shortest sensitive value: a shorter one cannot be hidden in a log without hiding half of it.
const SHORTEST_SENSITIVE: usize = 4;
/// How many characters of a value a refusal repeats.
const LONGEST_QUOTED: usize = 40;
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
    pub(super) scope: Scope,
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

/// A project's variables.
#[derive(Debug)]
pub struct VariableSet {
    /// Whose they are.
    pub project: ProjectId,
    /// Grows by one with each change.
    pub version: i64,
    /// In the order they were sent.
    pub variables: Vec<ShownVariable>,
    /// What their scopes may name.
    pub members: Vec<ScopeMember>,
}

impl Store {
    /// The variable set of a project.
    pub async fn variables(&self, project: ProjectId) -> Result<VariableSet, StoreError> {
        let row = self.project(&project.to_string()).await?;
        let members = scopes::members(&mut *self.database.reader.acquire().await?, &row).await?;
        Ok(shown(project, row.variables_version, &parse(&row.variables, project)?, members))
    }

    /// Replaces the variable set if `version` is the one that is stored.
    pub async fn put_variables(
        &self,
        project: ProjectId,
        version: i64,
        new: Vec<NewVariable>,
    ) -> Result<VariableSet, StoreError> {
        let mut write = self.database.write().await?;
        keys::refuse_replaced(&mut write, &self.vault).await?;
        // Of two sets that were made from one version the second is to see the first.
        write.lock_row("projects", project.0).await?;
        let row = projects::by_id(&mut write, project.0).await?;
        if row.variables_version != version {
            return Err(StoreError::Conflict(format!(
                "the variables of project `{}` are at version {}, the ones sent were made from version {version}: read \
                 them again and repeat the change",
                row.name, row.variables_version
            )));
        }
        let members = scopes::members(&mut write, &row).await?;
        let before = parse(&row.variables, project)?;
        let before: HashMap<&str, &Stored> =
            before.iter().map(|stored| (stored.id.as_str(), stored)).collect();
        let mut stored: Vec<Stored> = Vec::with_capacity(new.len());
        let mut ids = HashSet::new();
        for variable in new {
            let made = self.stored(project, variable, &members, &before)?;
            if !ids.insert(made.id.clone()) {
                return Err(StoreError::Invalid(format!("the variable id `{}` is used twice", made.id)));
            }
            stored.push(made);
        }
        refuse_ties(&stored, &members)?;
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
        Ok(shown(project, version, &stored, members))
    }

    fn stored(
        &self,
        project: ProjectId,
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
        let scope = scopes::read(members, &new.scope, before.map(|before| &before.scope))
            .map_err(|error| StoreError::Invalid(format!("the scope of variable `{name}`: {error}")))?;
        let (value, sealed) = match (new.sensitive, new.value) {
            (false, value) => (value, None),
            (true, Some(value)) => {
                refuse_short(&name, &value)?;
                (None, Some(self.vault.seal(&owner(project, &id), &value)?))
            }
            (true, None) => {
                let kept = before.filter(|stored| stored.sensitive);
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
            scope,
            prompt: new.prompt,
        })
    }
}

pub(super) fn parse(text: &str, project: ProjectId) -> Result<Vec<Stored>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::corrupt(format!("the variables of {project}"), error))
}

/// The values for the target: one for each name, the one whose scope weighs most.
pub(super) fn applicable<'s>(
    stored: impl IntoIterator<Item = &'s Stored>,
    target: &Target,
) -> Result<Vec<&'s Stored>, StoreError> {
    let mut chosen = Vec::new();
    for values in by_name(stored) {
        let values = values.into_iter().map(|value| (&value.scope, value));
        // Ties are refused when a set is saved and when a release copies it.
        let found = scope::resolve(values, target).map_err(|scope::Tie(one, _)| StoreError::Corrupt {
            what: format!("two values of variable `{}` of equal weight", one.name),
            source: None,
        })?;
        chosen.extend(found);
    }
    Ok(chosen)
}

/// The values that must be given with a deployment to the target, whichever of these machines takes it.
pub(super) fn required<'s>(
    stored: &'s [Stored],
    target: &Target,
    machines: &[i64],
) -> Result<Vec<&'s Stored>, StoreError> {
    let is_asked = |stored: &&Stored| stored.prompt.as_ref().is_some_and(is_required);
    let asked: HashSet<String> = stored.iter().filter(is_asked).map(|stored| key(&stored.name)).collect();
    let values: Vec<&Stored> = stored.iter().filter(|stored| asked.contains(&key(&stored.name))).collect();
    let named: HashSet<&str> =
        values.iter().flat_map(|value| value.scope.members(ScopeType::Machine)).collect();
    // To all machines that no scope names the same values go.
    let mut targets = vec![target.clone()];
    targets.extend(
        machines
            .iter()
            .filter(|machine| named.contains(MachineId(**machine).to_string().as_str()))
            .map(|machine| scopes::on(target, *machine)),
    );
    let mut required = Vec::new();
    for target in targets {
        required.extend(applicable(values.iter().copied(), &target)?.into_iter().filter(is_asked));
    }
    Ok(required)
}

fn is_required(prompt: &Value) -> bool {
    prompt.as_object().is_some_and(|fields| {
        fields
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("required") && value.as_bool() == Some(true))
    })
}

/// The project's variables as a release keeps them. The process may have changed since they were saved, and with it
/// which actions they mean.
pub(super) async fn snapshot(write: &mut Write, project: &ProjectRow) -> Result<String, StoreError> {
    let mut stored = parse(&project.variables, ProjectId(project.id))?;
    let members = scopes::members(write, project).await?;
    for variable in &mut stored {
        variable.scope = scopes::with_action_names(&members, &variable.scope);
    }
    refuse_ties(&stored, &members)?;
    serde_json::to_string(&stored).map_err(|error| StoreError::corrupt("the variables", error))
}

/// The values by their names, both in the order in which they are stored.
fn by_name<'s>(stored: impl IntoIterator<Item = &'s Stored>) -> Vec<Vec<&'s Stored>> {
    let mut groups: Vec<Vec<&Stored>> = Vec::new();
    let mut places = HashMap::new();
    for value in stored {
        let place = *places.entry(key(&value.name)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(value),
            None => groups.push(vec![value]),
        }
    }
    groups
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

/// What the sealed value of a variable belongs to.
pub(super) fn owner(project: ProjectId, variable: &str) -> String {
    format!("variableset-{project}/{variable}")
}

fn shown(project: ProjectId, version: i64, stored: &[Stored], members: Vec<ScopeMember>) -> VariableSet {
    let variables = stored
        .iter()
        .map(|stored| ShownVariable {
            id: stored.id.clone(),
            name: stored.name.clone(),
            kind: stored.kind.clone(),
            sensitive: stored.sensitive,
            value: stored.value.clone().filter(|_| !stored.sensitive),
            description: stored.description.clone(),
            scope: stored.scope.clone(),
            prompt: stored.prompt.clone(),
        })
        .collect();
    VariableSet { project, version, variables, members }
}

/// Two values of one name that could both apply with the same weight: which one would win is not defined, so neither
/// may.
fn refuse_ties(stored: &[Stored], members: &[ScopeMember]) -> Result<(), StoreError> {
    for values in by_name(stored) {
        for (place, one) in values.iter().enumerate() {
            let Some(other) = values.iter().skip(place + 1).find(|other| one.scope.may_tie(&other.scope))
            else {
                continue;
            };
            let hidden = one.sensitive || other.sensitive;
            let told = |value: &Stored| {
                format!("{} {}", quoted(value, hidden), scopes::describe(members, &value.scope))
            };
            return Err(StoreError::Invalid(format!(
                "variable `{}` has two values of equal weight: {}, and {}: which one holds would be left to chance",
                one.name,
                told(one),
                told(other)
            )));
        }
    }
    Ok(())
}

/// The beginning of a value that may be shown.
fn quoted(value: &Stored, hidden: bool) -> String {
    let text = value.value.as_deref().unwrap_or_default();
    match text.char_indices().nth(LONGEST_QUOTED) {
        _ if hidden => "a hidden one".to_owned(),
        Some((end, _)) => format!("`{}…`", text[..end].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const TYPES: [ScopeType; 3] = [ScopeType::Machine, ScopeType::Environment, ScopeType::Channel];

    fn sets() -> impl Strategy<Value = Vec<Stored>> {
        let scope = vec(0_usize..4, TYPES.len()).prop_map(|choices| {
            TYPES.into_iter().zip(choices).fold(Scope::default(), |scope, (kind, choice)| {
                let members =
                    ["x", "y"].into_iter().enumerate().filter(move |(bit, _)| choice >> bit & 1 == 1);
                scope.with(kind, members.map(|(_, member)| member))
            })
        });
        let value = (prop::sample::select(vec!["A", "a", "B"]), scope).prop_map(|(name, scope)| Stored {
            id: String::new(),
            name: name.to_owned(),
            kind: "String".to_owned(),
            sensitive: false,
            value: None,
            sealed: None,
            description: None,
            scope,
            prompt: None,
        });
        vec(value, 0..7)
    }

    fn targets() -> Vec<Target> {
        TYPES.into_iter().fold(vec![Target::default()], |targets, kind| {
            let more =
                targets.iter().flat_map(|target| ["x", "y"].map(|member| target.clone().with(kind, member)));
            targets.iter().cloned().chain(more).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_set_is_accepted_exactly_when_no_target_has_a_tie(stored in sets()) {
            let tie = targets().into_iter().find(|target| applicable(&stored, target).is_err());
            prop_assert_eq!(refuse_ties(&stored, &[]).is_err(), tie.is_some(), "{:?} {:?}", stored, tie);
        }
    }
}
