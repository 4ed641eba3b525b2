//! The words of the domain: ids, variables, deployments, log lines. No I/O, no clock, no async.

pub mod causes;
pub mod deployment;
pub mod fingerprint;
pub mod ids;
pub mod journal;
pub mod letters;
pub mod log;
pub mod outcome;
pub mod permission;
pub mod scope;
pub mod variable;
pub mod variable_set;

pub use causes::{causes, chain};
pub use deployment::{DeploymentEvent, DeploymentState, TaskState};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use ids::{
    ApiKeyId, BuildInformationId, ChannelId, DeploymentId, EnvironmentId, Fence, LibraryVariableSetId,
    LifecycleId, MachineId, ProjectGroupId, ProjectId, RegistrationTokenId, ReleaseId, SpaceId, TaskId,
    WorkerId, WorkerPoolId,
};
pub use journal::{JournalEntry, JournalRecord};
pub use log::{Level, LogLine};
pub use outcome::{Failure, Outcome};
pub use permission::{Permission, PermissionError};
pub use scope::{Scope, ScopeType, Target};
pub use variable::Variable;
pub use variable_set::{SetCopy, SetOwner, VariableSetId, VariableSetIdError};
