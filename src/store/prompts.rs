//! Values that are given with a deployment: for which variables they are, and which must be there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ReleaseRow, StoreError,
    database::Write,
    key, scopes,
    values::{Held, Values},
    variables,
    vault::Vault,
};
use crate::model::{ProjectId, Variable};

/// Which variable a value is given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All prompted variables of this name.
    Name(String),
    /// The one with this id.
    Id(String),
}

/// A value that was given, and for which variables.
pub(super) struct Given {
    pub(super) name: String,
    ids: Vec<String>,
    value: String,
    sensitive: bool,
}

impl Given {
    fn is_for(&self, held: &Held<'_>) -> bool {
        held.is_named(&self.name) && (self.is_for_its_name() || self.ids.contains(&held.stored.id))
    }

    fn is_for_its_name(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A given value as stored: sealed, since it may be the value of a sensitive variable.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prompted {
    pub(super) name: String,
    sealed: String,
    sensitive: bool,
    /// The ids of the variables that it is for; one that was stored without ids is for its name.
    #[serde(default)]
    ids: Vec<String>,
}

impl Prompted {
    pub(super) fn is_for(&self, held: &Held<'_>) -> bool {
        held.is_named(&self.name) && (self.is_for_its_name() || self.ids.contains(&held.stored.id))
    }

    pub(super) fn is_for_its_name(&self) -> bool {
        self.ids.is_empty()
    }

    /// The value as it travels to a worker.
    pub(super) fn open(self, vault: &Vault, project: ProjectId) -> Result<Variable, StoreError> {
        let value = vault.open(&seal_owner(project, &self.name), &self.sealed)?;
        Ok(Variable { name: self.name, value, sensitive: self.sensitive })
    }

    /// Seals the value once more: `again` gets what it belongs to and the sealed value.
    pub(super) fn reseal(
        &mut self,
        project: ProjectId,
        again: impl FnOnce(String, &str) -> Result<String, StoreError>,
    ) -> Result<(), StoreError> {
        self.sealed = again(seal_owner(project, &self.name), &self.sealed)?;
        Ok(())
    }
}

/// What a sealed value belongs to.
fn seal_owner(project: ProjectId, name: &str) -> String {
    format!("prompted-{project}/{}", key(name))
}

/// The values as they are stored.
pub(super) fn seal<'g>(
    vault: &Vault,
    project: ProjectId,
    given: impl IntoIterator<Item = &'g Given>,
) -> Result<String, StoreError> {
    let mut prompted = Vec::new();
    for Given { name, ids, value, sensitive } in given {
        let sealed = vault.seal(&seal_owner(project, name), value)?;
        prompted.push(Prompted { name: name.clone(), sealed, sensitive: *sensitive, ids: ids.clone() });
    }
    serde_json::to_string(&prompted).map_err(|error| StoreError::corrupt("the prompted values", error))
}

/// The values that were given with a deployment, to be given again.
pub(super) fn given_before(
    vault: &Vault,
    project: ProjectId,
    stored: &str,
) -> Result<Vec<Given>, StoreError> {
    let stored: Vec<Prompted> = serde_json::from_str(stored)
        .map_err(|error| StoreError::corrupt("the values that were given with a deployment", error))?;
    let given = |prompted: Prompted| {
        let ids = prompted.ids.clone();
        let Variable { name, value, sensitive } = prompted.open(vault, project)?;
        Ok(Given { name, ids, value, sensitive })
    };
    stored.into_iter().map(given).collect()
}

/// The variables that values are given for. What the release does not ask for is refused: a value that is given under
/// a mistyped name must not be left out in silence.
pub(super) fn read(
    release: &str,
    values: &Values,
    given: &[(Asked, String)],
) -> Result<Vec<Given>, StoreError> {
    let mut read: Vec<Given> = Vec::with_capacity(given.len());
    for (asked, value) in given {
        let known: Vec<Held<'_>> = match asked {
            Asked::Name(name) => {
                variables::refuse_name(name)?;
                values.iter().filter(|held| held.is_named(name)).collect()
            }
            Asked::Id(id) => {
                values.iter().filter(|held| held.stored.id.eq_ignore_ascii_case(id.trim())).collect()
            }
        };
        let prompted: Vec<Held<'_>> = known.iter().copied().filter(|held| held.is_prompted()).collect();
        let Some(first) = prompted.first() else { return Err(refused(release, values, asked, &known)) };
        let name = first.stored.name.clone();
        let ids: Vec<String> = prompted.iter().map(|held| held.stored.id.clone()).collect();
        let is_same =
            |other: &Given| key(&other.name) == key(&name) && other.ids.iter().any(|id| ids.contains(id));
        if read.iter().any(is_same) {
            return Err(StoreError::Invalid(format!("variable `{name}` is given twice")));
        }
        let sensitive = prompted.iter().any(|held| held.stored.sensitive);
        if sensitive && value.trim().is_empty() {
            // Clients send back the whole form, in which a hidden value is never shown: the stored one is meant.
            continue;
        }
        if sensitive {
            variables::refuse_short(&name, value)?;
        }
        read.push(Given { name, ids, value: value.clone(), sensitive });
    }
    Ok(read)
}

fn refused(release: &str, values: &Values, asked: &Asked, known: &[Held<'_>]) -> StoreError {
    let word = match (asked, known.first()) {
        (_, Some(held)) => held.stored.name.as_str(),
        (Asked::Name(word) | Asked::Id(word), None) => word,
    };
    let prompted = values.iter().filter(|held| held.is_prompted()).map(|held| held.stored.name.as_str());
    let nearest = match prompted.min_by_key(|name| distance(&key(name), &key(word))) {
        Some(nearest) => format!("the nearest that is asked for is `{nearest}`"),
        None => "it asks for none".to_owned(),
    };
    StoreError::Invalid(match (asked, known) {
        (_, [_, ..]) => format!(
            "variable `{word}` of {release} is not prompted, so no value can be given for it with a deployment: {nearest}"
        ),
        (Asked::Name(_), []) => format!("variable `{word}` is none of {release}: {nearest}"),
        (Asked::Id(_), []) => format!("`{word}` is the id of no variable of {release}: {nearest}"),
    })
}

/// Of the values that are given those that the environment asks for. Refuses it where a required one is missing,
/// whichever of its machines takes the deployment.
pub(super) async fn of_environment<'g>(
    write: &mut Write,
    release: &ReleaseRow,
    values: &Values,
    environment: i64,
    given: &'g [Given],
) -> Result<Vec<&'g Given>, StoreError> {
    let target = scopes::target(release.project_id, environment, release.channel_id, &release.action_name);
    let machines: Vec<i64> = sqlx::query_scalar("select id from machines where environment_id = $1")
        .bind(environment)
        .fetch_all(&mut **write)
        .await?;
    let asked = values.asked(&target, &machines)?;
    for held in asked.iter().filter(|held| held.is_required()) {
        let value = given.iter().find(|given| given.is_for(held)).map(|given| given.value.as_str());
        let is_blank = if let Some(value) = value {
            value.trim().is_empty()
        } else {
            let stored = held.stored.value.as_deref().unwrap_or_default();
            held.stored.sealed.is_none() && stored.trim().is_empty()
        };
        if is_blank {
            let label = held.stored.prompt.as_ref().and_then(|prompt| prompt.get("label"));
            let label = label.and_then(Value::as_str).filter(|label| !label.trim().is_empty());
            let label = label.map(|label| format!(" (`{label}`)")).unwrap_or_default();
            return Err(StoreError::Invalid(format!(
                "variable `{}`{label} must be given a value with each deployment",
                held.stored.name
            )));
        }
    }
    // What is given for a name holds whatever is asked for.
    let is_asked = |given: &&Given| given.is_for_its_name() || asked.iter().any(|held| given.is_for(held));
    Ok(given.iter().filter(is_asked).collect())
}

/// How many characters must be put in, taken out or replaced to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, character) in one.chars().enumerate() {
        let mut above_left = place;
        row[0] = place + 1;
        for column in 1..row.len() {
            let replaced = above_left + usize::from(character != other[column - 1]);
            above_left = row[column];
            row[column] = replaced.min(above_left + 1).min(row[column - 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_without_ids_is_for_its_name() {
        let old: Prompted = serde_json::from_str(r#"{"name":"A","sealed":"x","sensitive":false}"#).unwrap();
        assert!(old.is_for_its_name());
        let new = Prompted { ids: vec!["a".into()], ..old };
        let read: Prompted = serde_json::from_str(&serde_json::to_string(&new).unwrap()).unwrap();
        assert!(!read.is_for_its_name() && read.ids == ["a"]);
    }

    #[test]
    fn distances_count_changed_characters() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("raeson", "reason", 2), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }
}
