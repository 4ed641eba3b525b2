//! Names that AWS accepts, checked before any call.

use std::{fmt, str::FromStr};

/// The name of a Lambda function in the caller's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionName(String);

/// A name that Lambda would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionNameError {
    /// Nothing.
    #[error("a function name must not be empty")]
    Empty,
    /// A character that is not allowed.
    #[error(
        "the function name `{name}` may hold only ASCII letters, digits, `-` and `_`, but holds `{found}`"
    )]
    Character {
        /// The name.
        name: String,
        /// The first wrong character.
        found: char,
    },
    /// Too long.
    #[error("the function name `{name}` may hold at most {MAX} characters, but holds {}", name.len())]
    TooLong {
        /// The name.
        name: String,
    },
}

const MAX: usize = 64;

impl FunctionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(name: &str) -> Result<Self, FunctionNameError> {
        if name.is_empty() {
            return Err(FunctionNameError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(found) = name.chars().find(|c| !allowed(*c)) {
            return Err(FunctionNameError::Character { name: name.to_owned(), found });
        }
        if name.len() > MAX {
            return Err(FunctionNameError::TooLong { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
