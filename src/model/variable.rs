//! A named value as it travels: from a variable set on the server, through the protocol, to the engine.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named text. `Debug` never shows a sensitive one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// The name as its owner wrote it; names compare without regard to case.
    pub name: String,
    /// The text, not yet rendered.
    pub value: String,
    /// Whether it must never be shown.
    #[serde(default)]
    pub sensitive: bool,
}

impl Variable {
    /// A value that may be shown.
    pub fn plain(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), sensitive: false }
    }

    /// A value that must never be shown.
    pub fn sensitive(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), sensitive: true }
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.sensitive { "***" } else { &self.value };
        write!(f, "{}={shown:?}", self.name)
    }
}
