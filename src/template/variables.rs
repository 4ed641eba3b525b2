//! A set of variables: names compare without regard to case, the last value set wins.

use std::collections::BTreeMap;

use crate::model::Variable;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    by_name: BTreeMap<String, Variable>,
}

impl Variables {
    /// Sets a variable, in place of any of the same name.
    pub fn set(&mut self, variable: Variable) {
        self.by_name.insert(key(&variable.name), variable);
    }

    /// The variable of this name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.by_name.get(&key(name))
    }

    /// All variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.by_name.values()
    }
}

fn key(name: &str) -> String {
    name.trim().to_lowercase()
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
        for variable in variables {
            self.set(variable);
        }
    }
}
