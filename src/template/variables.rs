//! A set of variables: names compare without regard to case, the last value set wins.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::OnceLock,
};

use hashbrown::HashTable;

use super::{
    json::Json,
    parser::{ParseError, parse},
    symbol::{fold, folds_to},
    syntax::Body,
    tree::Tree,
};
use crate::model::Variable;

/// Variables by name, in the order in which they were first set: loops run in that order.
#[derive(Clone, Default)]
pub struct Variables {
    entries: Vec<Entry>,
    /// Where in `entries` each name stands; the names themselves are only there.
    places: HashTable<usize>,
    hasher: RandomState,
    /// Made when it is first needed.
    tree: OnceLock<Tree>,
}

#[derive(Clone)]
struct Entry {
    variable: Variable,
    /// Most values are read once or never: what is not kept of them takes no room.
    kept: OnceLock<Box<Kept>>,
}

/// What a value was read as.
#[derive(Clone, Default)]
struct Kept {
    template: OnceLock<Template>,
    json: OnceLock<Option<Json>>,
}

/// A value as a template.
#[derive(Clone)]
pub(super) enum Template {
    /// Text without a token: it is used as it is written.
    Plain,
    /// What cannot be read as a template is used as it is written, too: it may be a password.
    Unreadable,
    /// Parts to evaluate.
    Tokens(Body),
    /// What it means cannot be established.
    TooDeep,
}

impl Template {
    /// Reads a value.
    pub(super) fn of(value: &str) -> Self {
        if !value.contains("#{") {
            return Self::Plain;
        }
        match parse(value) {
            Ok(tokens) => Self::Tokens(tokens),
            Err(ParseError::Unreadable(_)) => Self::Unreadable,
            Err(ParseError::TooDeep) => Self::TooDeep,
        }
    }
}

impl Variables {
    /// Sets a variable, in place of any of the same name.
    pub fn set(&mut self, variable: Variable) {
        self.tree.take();
        let name = fold(&variable.name);
        let hash = self.hasher.hash_one(&name);
        let entry = Entry { variable, kept: OnceLock::new() };
        if let Some(place) = self.find(hash, &name) {
            self.entries[place] = entry;
        } else {
            self.places.insert_unique(hash, self.entries.len(), |place| {
                self.hasher.hash_one(fold(&self.entries[*place].variable.name))
            });
            self.entries.push(entry);
        }
    }

    fn find(&self, hash: u64, folded: &str) -> Option<usize> {
        let is_it = |place: &usize| folds_to(&self.entries[*place].variable.name, folded);
        self.places.find(hash, is_it).copied()
    }

    /// The variable of exactly this name: no path is followed.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.place(name).map(|place| &self.entries[place].variable)
    }

    /// All variables, in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.entries.iter().map(|entry| &entry.variable)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the variable of this name stands.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        let name = fold(name);
        self.find(self.hasher.hash_one(&name), &name)
    }

    /// The name at a place.
    pub(super) fn name(&self, place: usize) -> &str {
        &self.entries[place].variable.name
    }

    /// The value at a place.
    pub(super) fn value(&self, place: usize) -> &str {
        &self.entries[place].variable.value
    }

    /// Whether the value at a place must never be shown.
    pub(super) fn is_sensitive(&self, place: usize) -> bool {
        self.entries[place].variable.sensitive
    }

    /// The value at a place as a template. It is not kept: most values are evaluated once, and what they come to is
    /// remembered.
    pub(super) fn template(&self, place: usize) -> Template {
        let entry = &self.entries[place];
        let kept = entry.kept.get().and_then(|kept| kept.template.get()).cloned();
        kept.unwrap_or_else(|| Template::of(&entry.variable.value))
    }

    /// Keeps what was read of the value at a place: somebody will ask for it again.
    pub(super) fn keep(&self, place: usize, template: Template) {
        self.entries[place].kept.get_or_init(Box::default).template.get_or_init(|| template);
    }

    /// The value at a place as JSON: none when it is not, or when evaluating it, or a part of it, may change it.
    pub(super) fn json(&self, place: usize) -> Option<&Json> {
        let entry = &self.entries[place];
        let value = &entry.variable.value;
        let read = || {
            let is_fixed = !value.contains('#') && !value.contains("\\u");
            if is_fixed { Json::parse(value) } else { None }
        };
        entry.kept.get_or_init(Box::default).json.get_or_init(read).as_ref()
    }

    /// The names as paths.
    pub(super) fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Tree::new(self.entries.iter().map(|entry| entry.variable.name.as_str())))
    }
}

/// The variables alone: what was read of a sensitive value is never shown.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<Variable> for Variables {
    fn from_iter<T: IntoIterator<Item = Variable>>(variables: T) -> Self {
        let mut set = Self::default();
        set.extend(variables);
        set
    }
}

impl Extend<Variable> for Variables {
    fn extend<T: IntoIterator<Item = Variable>>(&mut self, variables: T) {
        let variables = variables.into_iter();
        // A table that grows step by step moves all its names each time.
        let hash = |place: &usize| self.hasher.hash_one(fold(&self.entries[*place].variable.name));
        self.places.reserve(variables.size_hint().0, hash);
        self.entries.reserve(variables.size_hint().0);
        for variable in variables {
            self.set(variable);
        }
    }
}
