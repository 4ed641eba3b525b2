//! Where a value of a variable holds: what its scope matches, how much it weighs, and which of several values wins.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a value may be scoped by, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScopeType {
    /// A step's action.
    Action,
    /// A worker; Octopus calls the resource a machine.
    Machine,
    /// A tag that machines have and steps target.
    Role,
    /// A tenant.
    Tenant,
    /// A tag that tenants have.
    TenantTag,
    /// An environment.
    Environment,
    /// A channel of the project.
    Channel,
    /// What runs: the project's deployment process, or a runbook.
    ProcessOwner,
    /// A project.
    Project,
}

impl ScopeType {
    /// All of them, the weightiest first.
    pub const ALL: [Self; 9] = [
        Self::Action,
        Self::Machine,
        Self::Role,
        Self::Tenant,
        Self::TenantTag,
        Self::Environment,
        Self::Channel,
        Self::ProcessOwner,
        Self::Project,
    ];

    /// Octopus's name for it, in documents and where it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Action => "Action",
            Self::Machine => "Machine",
            Self::Role => "Role",
            Self::Tenant => "Tenant",
            Self::TenantTag => "TenantTag",
            Self::Environment => "Environment",
            Self::Channel => "Channel",
            Self::ProcessOwner => "ProcessOwner",
            Self::Project => "Project",
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Action => "step",
            Self::Machine => "machine",
            Self::Role => "target tag",
            Self::Tenant => "tenant",
            Self::TenantTag => "tenant tag",
            Self::Environment => "environment",
            Self::Channel => "channel",
            Self::ProcessOwner => "process",
            Self::Project => "project",
        }
    }

    /// The type of this name, without regard to case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether one target may have several members of it.
    fn has_many(self) -> bool {
        matches!(self, Self::Role | Self::TenantTag)
    }

    /// A bit above the sum of all lower ones, so that no number of lighter types outweighs it. The bit above
    /// `Role`'s is that of a tag which the step targets too.
    fn weight(self) -> u16 {
        match self {
            Self::Action => 1 << 9,
            Self::Machine => 1 << 8,
            Self::Role => 1 << 6,
            Self::Tenant => 1 << 5,
            Self::TenantTag => 1 << 4,
            Self::Environment => 1 << 3,
            Self::Channel => 1 << 2,
            Self::ProcessOwner => 1 << 1,
            Self::Project => 1,
        }
    }
}

/// The weight of a scope for a target: the higher one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u16);

/// Where a value holds: for each type some members, compared exactly. A scope without types holds everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<ScopeType, BTreeSet<String>>);

impl Scope {
    /// The scope with these members of a type added; a type without members is none.
    #[must_use]
    pub fn with<M: Into<String>>(mut self, kind: ScopeType, members: impl IntoIterator<Item = M>) -> Self {
        let mut members = members.into_iter().map(Into::into).peekable();
        if members.peek().is_some() {
            self.0.entry(kind).or_default().extend(members);
        }
        self
    }

    /// Its types with their members, the weightiest first.
    pub fn iter(&self) -> impl Iterator<Item = (ScopeType, &BTreeSet<String>)> {
        self.0.iter().map(|(kind, members)| (*kind, members))
    }

    /// Its members of a type; none where it holds for all of them.
    pub fn members(&self, kind: ScopeType) -> impl Iterator<Item = &str> {
        self.0.get(&kind).into_iter().flatten().map(String::as_str)
    }

    /// Whether the target has, of every type of the scope, at least one member.
    pub fn applies(&self, target: &Target) -> bool {
        self.iter().all(|(kind, members)| {
            target.0.get(&kind).is_some_and(|there| members.iter().any(|member| there.contains_key(member)))
        })
    }

    /// How much the scope weighs for a target to which it applies.
    pub fn rank(&self, target: &Target) -> Rank {
        let weight = |kind: ScopeType| {
            let targeted = kind == ScopeType::Role
                && self
                    .members(kind)
                    .any(|tag| target.0.get(&kind).and_then(|there| there.get(tag)) == Some(&true));
            if targeted { kind.weight() << 1 } else { kind.weight() }
        };
        Rank(self.0.keys().map(|kind| weight(*kind)).sum())
    }

    /// Whether there can be a target to which both apply with the same weight: of the same types, and of each type
    /// one target can have a member of both.
    pub fn may_tie(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().all(|(kind, members)| {
                other.0.get(kind).is_some_and(|others| kind.has_many() || !members.is_disjoint(others))
            })
    }

    /// In words, with the names that `name` gives to members.
    pub fn describe(&self, name: impl Fn(ScopeType, &str) -> String) -> String {
        let types: Vec<String> = self
            .iter()
            .map(|(kind, members)| {
                let names: Vec<_> =
                    members.iter().map(|member| format!("`{}`", name(kind, member))).collect();
                format!("{} {}", kind.word(), names.join(" or "))
            })
            .collect();
        if types.is_empty() { "everywhere".to_owned() } else { format!("for {}", types.join(" and ")) }
    }
}

/// What a value is wanted for: the members of each type, and of tags whether the step targets them too.
#[derive(Debug, Clone, Default)]
pub struct Target(BTreeMap<ScopeType, BTreeMap<String, bool>>);

impl Target {
    /// The target with one more member.
    #[must_use]
    pub fn with(mut self, kind: ScopeType, member: impl Into<String>) -> Self {
        self.0.entry(kind).or_default().entry(member.into()).or_default();
        self
    }

    /// The target with one more tag of its machine, which the step targets too.
    #[must_use]
    pub fn with_targeted_role(mut self, tag: impl Into<String>) -> Self {
        self.0.entry(ScopeType::Role).or_default().insert(tag.into(), true);
        self
    }
}

/// Two values that apply with the same weight, and none with more: which one holds is not defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie<T>(pub T, pub T);

/// The value that holds for the target: of those that apply the one that weighs most.
pub fn resolve<'a, T>(
    values: impl IntoIterator<Item = (&'a Scope, T)>,
    target: &Target,
) -> Result<Option<T>, Tie<T>> {
    let mut best: Option<(Rank, T)> = None;
    let mut rival: Option<T> = None;
    for (scope, value) in values {
        if !scope.applies(target) {
            continue;
        }
        let rank = scope.rank(target);
        match &best {
            Some((highest, _)) if rank < *highest => {}
            Some((highest, _)) if rank == *highest => rival = Some(value),
            _ => (best, rival) = (Some((rank, value)), None),
        }
    }
    match (best, rival) {
        (Some((_, one)), Some(other)) => Err(Tie(one, other)),
        (best, _) => Ok(best.map(|(_, value)| value)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use ScopeType::{Action, Channel, Environment, Machine, ProcessOwner, Project, Role, Tenant, TenantTag};

    fn scope(parts: &[(ScopeType, &[&str])]) -> Scope {
        parts
            .iter()
            .fold(Scope::default(), |scope, (kind, members)| scope.with(*kind, members.iter().copied()))
    }

    fn target(parts: &[(ScopeType, &str)]) -> Target {
        parts.iter().fold(Target::default(), |target, (kind, member)| target.with(*kind, *member))
    }

    #[test]
    fn one_member_of_each_type_is_enough_and_needed() {
        let both = scope(&[(Environment, &["dev", "test"]), (Machine, &["m1"])]);
        assert!(both.applies(&target(&[(Environment, "test"), (Machine, "m1")])));
        assert!(!both.applies(&target(&[(Environment, "test"), (Machine, "m2")])));
        assert!(!both.applies(&target(&[(Environment, "test")])));
        assert!(!both.applies(&target(&[(Environment, "prod"), (Machine, "m1")])));
        assert!(Scope::default().applies(&Target::default()));
    }

    #[test]
    fn a_type_outweighs_all_lighter_ones_together() {
        let everything =
            ScopeType::ALL.into_iter().fold(Target::default(), |target, kind| target.with(kind, "x"));
        for (place, kind) in ScopeType::ALL.into_iter().enumerate() {
            let heavy = scope(&[(kind, &["x"])]);
            let lighter = ScopeType::ALL
                .into_iter()
                .skip(place + 1)
                .fold(Scope::default(), |scope, kind| scope.with(kind, ["x"]));
            assert!(heavy.rank(&everything) > lighter.rank(&everything), "{kind:?}");
            // One type more makes it heavier still.
            assert!(
                lighter.clone().with(kind, ["x"]).rank(&everything) > heavy.rank(&everything) || place == 8
            );
        }
    }

    #[test]
    fn a_tag_that_the_step_targets_outweighs_other_tags_but_not_a_machine() {
        let machine = target(&[(Machine, "m"), (Role, "other"), (Tenant, "t")]).with_targeted_role("web");
        let values = [
            (scope(&[(Role, &["other"]), (Tenant, &["t"])]), "other"),
            (scope(&[(Role, &["web", "db"])]), "targeted"),
        ];
        let of = |values: &[(Scope, &'static str)]| {
            resolve(values.iter().map(|(scope, value)| (scope, *value)), &machine).unwrap().unwrap()
        };
        assert_eq!(of(&values), "targeted");
        let [one, other] = values;
        assert_eq!(of(&[one, other, (scope(&[(Machine, &["m"])]), "machine")]), "machine");
    }

    #[test]
    fn a_tie_names_both() {
        let (one, other) = (scope(&[(Environment, &["dev"])]), scope(&[(Environment, &["dev", "test"])]));
        let dev = target(&[(Environment, "dev")]);
        assert_eq!(resolve([(&Scope::default(), 0), (&one, 1), (&other, 2)], &dev), Err(Tie(1, 2)));
        assert_eq!(resolve([(&one, 1), (&other, 2)], &target(&[(Environment, "test")])), Ok(Some(2)));
        assert_eq!(resolve([(&one, 1)], &Target::default()), Ok(None));
    }

    #[test]
    fn a_scope_has_words_and_is_stored_by_octopuss_names() {
        let both = scope(&[(Environment, &["b", "a", "a"]), (Action, &["s"]), (Channel, &[])]);
        assert_eq!(both.describe(|_, member| member.to_owned()), "for step `s` and environment `a` or `b`");
        assert_eq!(Scope::default().describe(|_, member| member.to_owned()), "everywhere");
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(text, r#"{"Action":["s"],"Environment":["a","b"]}"#);
        assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), both);
        for kind in ScopeType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(ScopeType::parse(&kind.as_str().to_uppercase()), Some(kind));
        }
        assert_eq!(ScopeType::parse("Trigger"), None);
        assert_eq!(ProcessOwner.word(), "process");
        assert_eq!(Project.word(), "project");
    }

    /// Types of each sort, two members of each.
    const TYPES: [ScopeType; 5] = [Action, Role, TenantTag, Environment, Channel];
    const MEMBERS: [&str; 2] = ["x", "y"];

    fn scopes() -> impl Strategy<Value = Scope> {
        vec(0_usize..4, TYPES.len()).prop_map(|choices| {
            TYPES.into_iter().zip(choices).fold(Scope::default(), |scope, (kind, choice)| {
                let chosen = MEMBERS.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
                scope.with(kind, chosen.map(|(_, member)| *member))
            })
        })
    }

    /// Every target there can be: of a type one member or none, of tags any number, targeted or not.
    fn targets() -> Vec<Target> {
        let mut all = vec![Target::default()];
        for kind in TYPES {
            let mut more = Vec::new();
            for target in &all {
                let (x, y) = (target.clone().with(kind, "x"), target.clone().with(kind, "y"));
                if kind.has_many() {
                    more.push(x.clone().with(kind, "y"));
                }
                if kind == Role {
                    more.push(x.clone().with_targeted_role("y"));
                    more.push(y.clone().with_targeted_role("x"));
                    more.push(target.clone().with_targeted_role("x"));
                    more.push(target.clone().with_targeted_role("y"));
                    more.push(target.clone().with_targeted_role("x").with_targeted_role("y"));
                }
                more.extend([x, y]);
            }
            all.extend(more);
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_may_tie_exactly_when_some_target_has_a_tie(values in vec(scopes(), 0..6)) {
            let pairs = values.iter().enumerate().flat_map(|(at, one)| values[at + 1..].iter().map(move |other| (one, other)));
            let refused = pairs.into_iter().any(|(one, other)| one.may_tie(other));
            let numbered = || values.iter().enumerate().map(|(number, scope)| (scope, number));
            let tie = targets().into_iter().find(|target| resolve(numbered(), target).is_err());
            prop_assert_eq!(refused, tie.is_some(), "{:?} {:?}", values, tie);
        }

        #[test]
        fn the_order_of_the_values_decides_nothing(values in vec(scopes(), 0..6)) {
            let numbered = || values.iter().enumerate().map(|(number, scope)| (scope, number));
            for target in targets() {
                let forth = resolve(numbered(), &target);
                let back = resolve(numbered().rev(), &target);
                match (forth, back) {
                    (Ok(forth), Ok(back)) => {
                        prop_assert_eq!(forth, back);
                        let heaviest = values.iter().filter(|scope| scope.applies(&target)).map(|scope| scope.rank(&target)).max();
                        prop_assert_eq!(forth.map(|number| values[number].rank(&target)), heaviest);
                    }
                    (forth, back) => prop_assert_eq!(forth.is_err(), back.is_err()),
                }
            }
        }
    }
}
