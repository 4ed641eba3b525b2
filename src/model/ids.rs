//! Typed ids in Octopus's spelling (`Deployments-12`), and the fence number of a hand-out.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An id was not of the form `Kind-<number>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not an id of this kind: expected `{kind}-<number>`")]
pub struct IdError {
    kind: &'static str,
    found: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// The kind is compared without regard to case, as Octopus does in its URLs.
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($kind, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $kind, "-[0-9]+$") })
            }
        }
    };
}

id!(
    /// A part of the server that knows nothing of the others.
    SpaceId,
    "Spaces"
);

impl SpaceId {
    /// The one that is always there.
    pub const DEFAULT: Self = Self(1);
}

id!(
    /// A stage that releases are deployed to.
    EnvironmentId,
    "Environments"
);
id!(
    /// What is released.
    ProjectId,
    "Projects"
);
id!(
    /// A version of a project with pinned packages and a variable snapshot.
    ReleaseId,
    "Releases"
);
id!(
    /// One release to one environment.
    DeploymentId,
    "Deployments"
);
id!(
    /// The server task that runs a deployment; exactly one for each deployment.
    TaskId,
    "ServerTasks"
);
id!(
    /// In which phases releases go from environment to environment.
    LifecycleId,
    "Lifecycles"
);
id!(
    /// A line of releases of a project, with rules for their packages.
    ChannelId,
    "Channels"
);
id!(
    /// Where projects belong together; there is one.
    ProjectGroupId,
    "ProjectGroups"
);
id!(
    /// Variables that projects share.
    LibraryVariableSetId,
    "LibraryVariableSets"
);
id!(
    /// A credential of a person or a pipeline.
    ApiKeyId,
    "ApiKeys"
);
id!(
    /// A worker registered in an environment; Octopus calls the resource a machine.
    MachineId,
    "Machines"
);

id!(
    /// The same worker as a member of a worker pool; Octopus tells the two apart by this kind of id.
    WorkerId,
    "Workers"
);
id!(
    /// Workers that belong together.
    WorkerPoolId,
    "WorkerPools"
);
id!(
    /// What registers workers in one environment, so many times and for a while.
    RegistrationTokenId,
    "WorkerRegistrationTokens"
);
id!(
    /// What a build says of a package version.
    BuildInformationId,
    "BuildInformation"
);

fn parse(kind: &'static str, text: &str) -> Result<i64, IdError> {
    let refused = || IdError { kind, found: text.to_owned() };
    let (found, number) = text.rsplit_once('-').ok_or_else(refused)?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !found.eq_ignore_ascii_case(kind) || !plain {
        return Err(refused());
    }
    number.parse().map_err(|_| refused())
}

/// The number of a hand-out. Each claim of a deployment gets a higher one; a write with any but the current
/// one is refused, so a worker that lost its lease cannot change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_ignore_case() {
        assert_eq!("deployments-7".parse(), Ok(DeploymentId(7)));
        assert_eq!(DeploymentId(7).to_string(), "Deployments-7");
    }

    #[test]
    fn other_kinds_and_odd_numbers_are_refused() {
        for text in [
            "Projects-7",
            "Deployments-",
            "Deployments-+7",
            "Deployments",
            "",
            "Deployments-99999999999999999999",
        ] {
            let error = text.parse::<DeploymentId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not an id of this kind: expected `Deployments-<number>`")
            );
        }
    }
}
