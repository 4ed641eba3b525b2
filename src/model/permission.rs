//! What a credential allows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an API key allows. Every key may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// See everything but sensitive values.
    Read,
    /// Push packages and create releases: what a build does.
    Publish,
    /// Deploy releases, cancel and resolve: what changes an environment.
    Deploy,
    /// Everything, keys included.
    Administer,
}

impl Permission {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Publish, Self::Deploy, Self::Administer];

    /// Whether having this one is enough where `needed` is asked for. Publishing and deploying are apart: a build
    /// that may push must not be able to change Production by that alone.
    pub fn allows(self, needed: Self) -> bool {
        self == needed || self == Self::Administer || needed == Self::Read
    }

    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Deploy => "deploy",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word is not a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission: expected read, publish, deploy or administer")]
pub struct PermissionError(String);

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let wanted = text.trim();
        Self::ALL
            .into_iter()
            .find(|permission| permission.word().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| PermissionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_and_deploying_are_apart() {
        use Permission::{Administer, Deploy, Publish, Read};
        let table = Permission::ALL.map(|has| Permission::ALL.map(|needed| has.allows(needed)));
        assert_eq!(
            table,
            [
                [true, false, false, false],
                [true, true, false, false],
                [true, false, true, false],
                [true, true, true, true]
            ],
            "{Read} {Publish} {Deploy} {Administer}"
        );
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(" Deploy".parse(), Ok(Permission::Deploy));
        assert_eq!(
            "root".parse::<Permission>().unwrap_err().to_string(),
            "`root` is not a permission: expected read, publish, deploy or administer"
        );
    }
}
