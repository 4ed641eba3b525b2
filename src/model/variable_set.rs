//! The ids of variable sets: a project's, a library's, and what a release copied of either.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::{LibraryVariableSetId, ProjectId};

const PREFIX: &str = "variableset-";
/// Stands between a set and which copy of it is meant.
const COPY: &str = "-s-";

/// Whose variables they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetOwner {
    /// One project's.
    Project(ProjectId),
    /// Every project's that includes them.
    Library(LibraryVariableSetId),
}

impl fmt::Display for SetOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => id.fmt(f),
            Self::Library(id) => id.fmt(f),
        }
    }
}

impl Serialize for SetOwner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which copy of a set: the version that was copied, by which release, and the how manyth copy of this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCopy {
    /// The version that the set had.
    pub version: i64,
    /// The number of the release.
    pub release: i64,
    /// 0 is what the release was made with; each refresh counts one up.
    pub number: i64,
}

/// The id of a variable set, `variableset-Projects-1`, or of a copy, `variableset-Projects-1-s-3-12X1`: of version 3
/// by release 12, its second one. The first has no `X0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariableSetId {
    /// Whose set.
    pub owner: SetOwner,
    /// The copy, where one is meant.
    pub copy: Option<SetCopy>,
}

impl VariableSetId {
    /// The set itself.
    pub fn of(owner: SetOwner) -> Self {
        Self { owner, copy: None }
    }
}

impl fmt::Display for VariableSetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.owner)?;
        let Some(SetCopy { version, release, number }) = self.copy else { return Ok(()) };
        write!(f, "{COPY}{version}-{release}")?;
        if number > 0 { write!(f, "X{number}") } else { Ok(()) }
    }
}

impl Serialize for VariableSetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not the id of a variable set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the id of a variable set: expected `variableset-Projects-<number>`, \
     `variableset-LibraryVariableSets-<number>`, or one that a release names"
)]
pub struct VariableSetIdError(String);

impl FromStr for VariableSetId {
    type Err = VariableSetIdError;

    /// Read without regard to case, as all ids are.
    fn from_str(text: &str) -> Result<Self, VariableSetIdError> {
        let refused = || VariableSetIdError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let rest = lower.strip_prefix(PREFIX).ok_or_else(refused)?;
        let (owner, copy) = match rest.split_once(COPY) {
            Some((owner, copy)) => (owner, Some(read_copy(copy).ok_or_else(refused)?)),
            None => (rest, None),
        };
        let owner = match (owner.parse(), owner.parse()) {
            (Ok(id), _) => SetOwner::Project(id),
            (_, Ok(id)) => SetOwner::Library(id),
            _ => return Err(refused()),
        };
        Ok(Self { owner, copy })
    }
}

fn read_copy(text: &str) -> Option<SetCopy> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    let (version, rest) = text.split_once('-')?;
    let (release, count) = match rest.split_once('x') {
        Some((release, count)) => (release, number(count).filter(|count| *count > 0)?),
        None => (rest, 0),
    };
    Some(SetCopy { version: number(version)?, release: number(release)?, number: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_in_any_case() {
        for text in [
            "variableset-Projects-1",
            "variableset-LibraryVariableSets-12",
            "variableset-Projects-1-s-0-7",
            "variableset-LibraryVariableSets-2-s-3-12X1",
        ] {
            let id: VariableSetId = text.to_uppercase().parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "Projects-1",
            "variableset-Releases-1",
            "variableset-Projects-1-s-",
            "variableset-Projects-1-s-1",
            "variableset-Projects-1-s-1-2X0",
            "variableset-Projects-1-s-1-2X",
            "variableset-Projects-1-s-+1-2",
        ] {
            assert!(text.parse::<VariableSetId>().is_err(), "{text}");
        }
    }
}
