//! Why the store refused or failed.

use std::error::Error;

use crate::model::{DeploymentId, Fence};

/// Why a verb of the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A value is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// Something else is there already, or somebody else was faster.
    #[error("{0}")]
    Conflict(String),
    /// The credential is unknown.
    #[error("the credential is not known to this server, or was withdrawn")]
    Unauthorised,
    /// The worker's name belongs to another machine.
    #[error("worker `{name}` of environment `{environment}` runs on host `{host}`, which is another machine")]
    WorkerElsewhere {
        /// The worker.
        name: String,
        /// Its environment.
        environment: String,
        /// The machine that has the name.
        host: String,
    },
    /// An earlier process still holds a lease.
    #[error("an earlier process of worker `{name}` still holds the lease of {deployment}")]
    SessionLive {
        /// The worker.
        name: String,
        /// What it runs.
        deployment: DeploymentId,
        /// The rest of the lease in milliseconds.
        retry_after_ms: u64,
    },
    /// Another process of the worker took over.
    #[error("another process of worker `{name}` has taken over")]
    SessionSuperseded {
        /// The worker.
        name: String,
    },
    /// The hand-out is not current.
    #[error("hand-out {fence} of {deployment} is no longer current{}", current.map(|now| format!(": the current one is {now}")).unwrap_or_default())]
    StaleFence {
        /// The deployment.
        deployment: DeploymentId,
        /// The number that was sent.
        fence: Fence,
        /// The highest number given out, where it is another.
        current: Option<Fence>,
    },
    /// The chunk does not begin where the log ends.
    #[error("the log holds {length} bytes, the request says {found}")]
    LogOffset {
        /// What the store holds.
        length: u64,
        /// What the request said.
        found: u64,
    },
    /// The log's digest differs.
    #[error("the log from byte {length} on does not have the digest that the request names")]
    LogDigest {
        /// Where to continue.
        length: u64,
    },
    /// The worker holds a lease.
    #[error("worker `{name}` is running {deployment}")]
    WorkerBusy {
        /// The worker.
        name: String,
        /// What it runs.
        deployment: DeploymentId,
    },
    /// There is no space left for the database.
    #[error("the disk that holds the server's data is full")]
    DiskFull(#[source] Box<dyn Error + Send + Sync>),
    /// Somebody else held the database for too long.
    #[error("the server's database is in use by another process")]
    Busy(#[source] Box<dyn Error + Send + Sync>),
    /// The database failed.
    #[error("a statement on the database failed")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// The tables could not be brought up to date.
    #[error("bringing the database's tables up to date failed")]
    Migrate(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored cannot be read.
    #[error("what is stored as {what} cannot be read")]
    Corrupt {
        /// Which thing.
        what: String,
        /// Why, where there is more to say.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl StoreError {
    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WorkerElsewhere { .. } => Some(
                "register with `replace` to take the name over; the other worker's token then stops working"
                    .into(),
            ),
            Self::SessionLive { .. } => Some("wait until the lease has run out, then try again".into()),
            Self::WorkerBusy { .. } => Some("wait for the deployment's end, or force it".into()),
            _ => None,
        }
    }

    pub(super) fn corrupt(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt { what: what.into(), source: Some(source.into()) }
    }
}

/// SQLite's result codes for a database that is held by another process, or by another connection of this one.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
/// The one for a full disk.
const FULL: i32 = 13;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(Box::new(error));
        }
        let code: Option<i32> = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse().ok());
        // The higher bits tell kinds of the same trouble apart.
        match code.map(|code| code & 0xff) {
            Some(FULL) => Self::DiskFull(Box::new(error)),
            Some(BUSY | LOCKED) => Self::Busy(Box::new(error)),
            _ => Self::Database(Box::new(error)),
        }
    }
}
