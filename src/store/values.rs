//! The values that a project has, its own and those of the libraries that it includes, and which of them hold.

use std::{
    collections::{HashMap, HashSet},
    ptr,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ScopeMember, StoreError, key, scopes, vault::Vault};
use crate::model::{
    LibraryVariableSetId, MachineId, ProjectId, Scope, ScopeType, SetOwner, Target, Variable, VariableSetId,
    scope,
};

/// How many characters of a value a refusal repeats.
const LONGEST_QUOTED: usize = 40;

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

/// A library variable set as it was at some time; so a release keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LibraryCopy {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) variables: Vec<Stored>,
}

impl LibraryCopy {
    pub(super) fn owner(&self) -> SetOwner {
        SetOwner::Library(LibraryVariableSetId(self.id))
    }
}

/// A value and the set that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'v> {
    pub(super) owner: SetOwner,
    pub(super) stored: &'v Stored,
}

impl Held<'_> {
    fn is_of_library(self) -> bool {
        matches!(self.owner, SetOwner::Library(_))
    }

    pub(super) fn is_named(self, name: &str) -> bool {
        key(&self.stored.name) == key(name)
    }

    pub(super) fn is_prompted(self) -> bool {
        self.stored.prompt.is_some()
    }

    /// Whether it must be given with each deployment.
    pub(super) fn is_required(self) -> bool {
        self.stored.prompt.as_ref().is_some_and(|prompt| prompt["required"] == true)
    }

    /// The value as it travels to a worker.
    pub(super) fn open(self, vault: &Vault) -> Result<Variable, StoreError> {
        let Self { owner, stored } = self;
        match &stored.sealed {
            Some(sealed) => {
                Ok(Variable::sensitive(&stored.name, vault.open(&seal_owner(owner, &stored.id), sealed)?))
            }
            None => Ok(Variable::plain(&stored.name, stored.value.clone().unwrap_or_default())),
        }
    }
}

/// What a sealed value belongs to.
pub(super) fn seal_owner(owner: SetOwner, variable: &str) -> String {
    format!("{}/{variable}", VariableSetId::of(owner))
}

/// All values of a project, now or as a release copied them.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) project: ProjectId,
    pub(super) own: Vec<Stored>,
    pub(super) libraries: Vec<LibraryCopy>,
}

impl Values {
    /// Those that a release copied.
    pub(super) fn read(project: ProjectId, own: &str, libraries: &str) -> Result<Self, StoreError> {
        let libraries = serde_json::from_str(libraries)
            .map_err(|error| StoreError::corrupt(format!("the library variables of {project}"), error))?;
        Ok(Self { project, own: parse(own, SetOwner::Project(project))?, libraries })
    }

    /// All of them, the project's own first, each set in its order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Held<'_>> {
        let owner = SetOwner::Project(self.project);
        let own = self.own.iter().map(move |stored| Held { owner, stored });
        own.chain(self.libraries.iter().flat_map(|library| {
            library.variables.iter().map(|stored| Held { owner: library.owner(), stored })
        }))
    }

    /// The values for the target: one for each name, the one whose scope weighs most. Of equal weight the project's
    /// own beats a library's.
    pub(super) fn applicable(&self, target: &Target) -> Result<Vec<Held<'_>>, StoreError> {
        applicable(self.iter(), target)
    }

    /// The prompted values that hold on the target, whichever of these machines it is on.
    pub(super) fn asked(&self, target: &Target, machines: &[i64]) -> Result<Vec<Held<'_>>, StoreError> {
        let asked: HashSet<String> =
            self.iter().filter(|held| held.is_prompted()).map(|held| key(&held.stored.name)).collect();
        let values: Vec<Held<'_>> =
            self.iter().filter(|held| asked.contains(&key(&held.stored.name))).collect();
        let named: HashSet<&str> =
            values.iter().flat_map(|held| held.stored.scope.members(ScopeType::Machine)).collect();
        // To all machines that no scope names the same values go.
        let mut targets = vec![target.clone()];
        targets.extend(
            machines
                .iter()
                .filter(|machine| named.contains(MachineId(**machine).to_string().as_str()))
                .map(|machine| scopes::on(target, *machine)),
        );
        let mut found: Vec<Held<'_>> = Vec::new();
        for target in targets {
            for held in applicable(values.iter().copied(), &target)? {
                if held.is_prompted() && !found.iter().any(|other| ptr::eq(other.stored, held.stored)) {
                    found.push(held);
                }
            }
        }
        Ok(found)
    }

    /// Two values of one name that could both apply with the same weight: which one would win is not defined, so
    /// neither may. Only between the project's own and a library's it is.
    pub(super) fn refuse_ties(&self, members: &[ScopeMember]) -> Result<(), StoreError> {
        refuse_ties_within(&self.own, members)?;
        refuse_ties_among(&self.libraries, members)
    }
}

pub(super) fn parse(text: &str, owner: SetOwner) -> Result<Vec<Stored>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::corrupt(format!("the variables of {owner}"), error))
}

fn applicable<'v>(
    values: impl Iterator<Item = Held<'v>>,
    target: &Target,
) -> Result<Vec<Held<'v>>, StoreError> {
    let mut chosen = Vec::new();
    for values in by_name(values, |held| &held.stored.name) {
        let (libraries, own): (Vec<Held<'_>>, Vec<Held<'_>>) =
            values.into_iter().partition(|held| held.is_of_library());
        let own = heaviest(own, target)?;
        let library = heaviest(libraries, target)?;
        chosen.extend(match (own, library) {
            (Some(own), Some(library))
                if library.stored.scope.rank(target) > own.stored.scope.rank(target) =>
            {
                Some(library)
            }
            (own, library) => own.or(library),
        });
    }
    Ok(chosen)
}

fn heaviest<'v>(values: Vec<Held<'v>>, target: &Target) -> Result<Option<Held<'v>>, StoreError> {
    let values = values.into_iter().map(|held| (&held.stored.scope, held));
    // Ties are refused when a set is saved or included and when a release copies it.
    scope::resolve(values, target).map_err(|scope::Tie(one, _)| StoreError::Corrupt {
        what: format!("two values of variable `{}` of equal weight", one.stored.name),
        source: None,
    })
}

/// The values by their names, both in the order in which they come.
fn by_name<T>(values: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut places = HashMap::new();
    for value in values {
        let place = *places.entry(key(name(&value))).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(value),
            None => groups.push(vec![value]),
        }
    }
    groups
}

/// Refuses ties among the values of one set.
pub(super) fn refuse_ties_within(stored: &[Stored], members: &[ScopeMember]) -> Result<(), StoreError> {
    refuse_ties(stored.iter().map(|stored| (None, stored)), members)
}

/// Refuses ties among the values of libraries that one project includes.
pub(super) fn refuse_ties_among(
    libraries: &[LibraryCopy],
    members: &[ScopeMember],
) -> Result<(), StoreError> {
    let values = libraries
        .iter()
        .flat_map(|library| library.variables.iter().map(|stored| (Some(library.name.as_str()), stored)));
    refuse_ties(values, members)
}

/// Refuses ties among values, each with the name of its library where it has one.
fn refuse_ties<'v>(
    values: impl Iterator<Item = (Option<&'v str>, &'v Stored)>,
    members: &[ScopeMember],
) -> Result<(), StoreError> {
    for values in by_name(values, |(_, stored)| &stored.name) {
        for (place, one) in values.iter().enumerate() {
            let Some(other) = values.iter().skip(place + 1).find(|other| one.1.scope.may_tie(&other.1.scope))
            else {
                continue;
            };
            let hidden = one.1.sensitive || other.1.sensitive;
            let told = |(library, value): &(Option<&str>, &Stored)| {
                let place =
                    library.map(|name| format!(" in library variable set `{name}`")).unwrap_or_default();
                format!("{} {}{place}", quoted(value, hidden), scopes::describe(members, &value.scope))
            };
            return Err(StoreError::Invalid(format!(
                "variable `{}` has two values of equal weight: {}, and {}: which one holds would be left to chance",
                one.1.name,
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

    /// Values in the project's own set or in one of two libraries.
    fn values() -> impl Strategy<Value = Values> {
        let scope = vec(0_usize..4, TYPES.len()).prop_map(|choices| {
            TYPES.into_iter().zip(choices).fold(Scope::default(), |scope, (kind, choice)| {
                let members =
                    ["x", "y"].into_iter().enumerate().filter(move |(bit, _)| choice >> bit & 1 == 1);
                scope.with(kind, members.map(|(_, member)| member))
            })
        });
        let value = (prop::sample::select(vec!["A", "a", "B"]), scope, 0_i64..3).prop_map(
            |(name, scope, library)| {
                let stored = Stored {
                    id: String::new(),
                    name: name.to_owned(),
                    kind: "String".to_owned(),
                    sensitive: false,
                    value: None,
                    sealed: None,
                    description: None,
                    scope,
                    prompt: None,
                };
                (library, stored)
            },
        );
        vec(value, 0..7).prop_map(|values| {
            let of = |place| {
                values.iter().filter(|(of, _)| *of == place).map(|(_, value)| value.clone()).collect()
            };
            let library = |id| LibraryCopy { id, name: id.to_string(), version: 0, variables: of(id) };
            Values { project: ProjectId(1), own: of(0), libraries: vec![library(1), library(2)] }
        })
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
        fn values_are_accepted_exactly_when_no_target_has_a_tie(values in values()) {
            let tie = targets().into_iter().find(|target| values.applicable(target).is_err());
            prop_assert_eq!(values.refuse_ties(&[]).is_err(), tie.is_some(), "{:?} {:?}", values, tie);
        }

        #[test]
        fn what_holds_weighs_most_and_is_the_projects_where_both_weigh_the_same(values in values()) {
            for target in targets() {
                let Ok(held) = values.applicable(&target) else { continue };
                let candidates = values.iter().filter(|one| one.stored.scope.applies(&target));
                for one in candidates {
                    let held: Vec<_> = held.iter().filter(|held| held.is_named(&one.stored.name)).collect();
                    prop_assert_eq!(held.len(), 1);
                    let weight = |held: &Held<'_>| (held.stored.scope.rank(&target), !held.is_of_library());
                    prop_assert!(weight(held[0]) >= weight(&one));
                }
            }
        }
    }
}
