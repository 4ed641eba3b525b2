//! Why the store refused or failed.

use std::{error::Error, fmt};

use sqlx::postgres::PgDatabaseError;

use crate::model::{DeploymentId, Fence, chain};

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
    /// The credential is known and does not allow this.
    #[error("{0}")]
    Forbidden(String),
    /// What a worker signed cannot be used, or no more.
    #[error("the challenge was used, is over, or was given to another worker or by another server")]
    ChallengeOver,
    /// The worker's name belongs to another machine or another key.
    #[error(
        "worker `{name}` of environment `{environment}` {why} on host `{host}`, {}",
        silent_ms.map_or_else(|| "which never ran it".to_owned(), |ms| format!("last seen {} ago", span(ms)))
    )]
    WorkerElsewhere {
        /// The worker.
        name: String,
        /// Its environment.
        environment: String,
        /// The machine that has the name.
        host: String,
        /// What is not the same.
        why: Elsewhere,
        /// For how long it was not heard of; none when it never was.
        silent_ms: Option<u64>,
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
    /// There is no connection to the database, or none is free.
    #[error("the server has no connection to its database")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// Somebody else changed the same thing at the same moment; nothing was stored.
    #[error("somebody else changed the same thing at the same moment")]
    Raced(#[source] Box<dyn Error + Send + Sync>),
    /// The same bytes are being deleted, since nothing had named them for long.
    #[error("the bytes with SHA-256 {sha256} are being deleted just now")]
    BlobGoing {
        /// Their digest.
        sha256: String,
    },
    /// The database is not one that the server can use.
    #[error("the server's database cannot be used: {0}")]
    Unusable(String),
    /// The master key is another one than the database's.
    #[error("the master key does not open the sensitive values in the server's database")]
    WrongKey,
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

/// In what a worker differs from the one that has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is on another machine.
    Machine,
    /// It has another key.
    Key,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "is registered from another machine,",
            Self::Key => "is registered with another key,",
        })
    }
}

/// A time in words, as exact as a person wants it.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl StoreError {
    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WorkerElsewhere { .. } => Some(
                "register with `replace` to take the name over; the key of the other one then stops working".into(),
            ),
            Self::SessionLive { .. } => Some("wait until the lease has run out, then try again".into()),
            Self::WorkerBusy { .. } => Some("wait for the deployment's end, or force it".into()),
            Self::Unreachable(_) => Some(
                "see whether the database is running and takes more connections, and whether the URL's host, port, \
                 database, user and password are right"
                    .into(),
            ),
            Self::WrongKey => Some(
                "all servers of one database need the same master key: copy it from the data folder of the first one, \
                 or give it as OCTARM_SERVER_MASTER_KEY"
                    .into(),
            ),
            _ => None,
        }
    }

    /// Whether the same request may well succeed in a moment: nothing was stored, and the reason passes.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unreachable(_) | Self::Raced(_) | Self::BlobGoing { .. })
    }

    /// The same trouble of the database, for another one whose request it ended.
    pub(super) fn for_another(&self) -> Self {
        let kind: fn(Box<dyn Error + Send + Sync>) -> Self = match self {
            Self::DiskFull(_) => Self::DiskFull,
            Self::Busy(_) => Self::Busy,
            Self::Unreachable(_) => Self::Unreachable,
            Self::Raced(_) => Self::Raced,
            _ => Self::Database,
        };
        kind(chain(self).into())
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
/// The one, with its higher bits, for what refers to something that went away in between.
const FOREIGN_KEY: i32 = 787;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        if let E::Configuration(reason) = &error {
            return Self::Unusable(format!("its URL cannot be read: {reason}"));
        }
        let database = error.as_database_error();
        let kind: fn(Box<dyn Error + Send + Sync>) -> Self =
            if let Some(postgres) = database.and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
                of_postgres(postgres.code())
            } else {
                let code: Option<i32> =
                    database.and_then(sqlx::error::DatabaseError::code).and_then(|code| code.parse().ok());
                // The higher bits tell kinds of the same trouble apart.
                match (code.map(|code| if code == FOREIGN_KEY { code } else { code & 0xff }), &error) {
                    (Some(FOREIGN_KEY), _) => Self::Raced,
                    (Some(FULL), _) => Self::DiskFull,
                    (Some(BUSY | LOCKED), _) => Self::Busy,
                    (_, E::PoolTimedOut | E::PoolClosed | E::Io(_) | E::Tls(_)) => Self::Unreachable,
                    _ => Self::Database,
                }
            };
        kind(Box::new(error))
    }
}

/// What PostgreSQL's conditions mean, by their codes, of which the first two characters are the class.
fn of_postgres(code: &str) -> fn(Box<dyn Error + Send + Sync>) -> StoreError {
    match code {
        "53100" => StoreError::DiskFull,
        // Locks that were not had in time, and statements that somebody ended.
        "55P03" | "57014" => StoreError::Busy,
        // Unique and foreign keys: what a verb looks for itself it refuses in words, so this came in between.
        "23505" | "23503" | "40001" | "40P01" => StoreError::Raced,
        "22021" => {
            |_| StoreError::Invalid("a text holds the character U+0000, which cannot be stored".into())
        }
        // Too many connections, starting, stopping, ended while idle, no such database, closed to connections, and what
        // was the primary before another one took over.
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "3D000" | "55000" | "25006" => {
            StoreError::Unreachable
        }
        // The connection itself, and every way in which a user is not let in.
        _ if code.starts_with("08") || code.starts_with("28") => StoreError::Unreachable,
        _ => StoreError::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_postgresql_become_ours() {
        let kind = |code: &str| of_postgres(code)("why".into());
        assert!(matches!(kind("53100"), StoreError::DiskFull(_)));
        for code in ["55P03", "57014", "40001", "40P01", "23505", "53300", "57P01", "08006", "28P01"] {
            assert!(kind(code).is_retryable(), "{code}");
        }
        for code in ["42601", "53100", "22021", "XX000"] {
            assert!(!kind(code).is_retryable(), "{code}");
        }
    }
}
