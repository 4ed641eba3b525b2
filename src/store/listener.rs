//! What one node tells the others: that there is something to look at, never what. Whoever hears nothing looks by
//! itself after a while, so a message that is lost costs time and nothing else.

use std::{fmt, str::FromStr as _};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::{Store, StoreError, rotation::PRESENCE};

/// What another node changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something may have become ready to be claimed, nobody knows where.
    Queue,
    /// Something may have become ready to be claimed in the environment of this number.
    Environment(i64),
    /// The worker of this number was asked to leave, is gone, or has another process: a claim of it that waits looks.
    Leaving(i64),
    /// A deployment is in another state, and nothing became ready by it.
    State,
}

impl Change {
    /// What nodes listen to.
    pub(super) const CHANNEL: &str = "octarm";

    /// What is not understood, as by an older node, counts as [`Self::Queue`].
    fn parse(word: &str) -> Self {
        match word.split_once('-') {
            None if word == "state" => Self::State,
            Some(("leaving", number)) => number.parse().map_or(Self::Queue, Self::Leaving),
            Some(("environments", number)) => number.parse().map_or(Self::Queue, Self::Environment),
            _ => Self::Queue,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.write_str("queue"),
            Self::Environment(number) => write!(f, "environments-{number}"),
            Self::Leaving(number) => write!(f, "leaving-{number}"),
            Self::State => f.write_str("state"),
        }
    }
}

/// A connection that hears what other nodes change.
pub struct Listener {
    url: SecretString,
    node: String,
    connection: Option<PgListener>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Store {
    /// Whether other servers may change what this one shows.
    pub fn has_other_nodes(&self) -> bool {
        self.database.others().is_some()
    }

    /// Who hears what other nodes change; none where there can be no others.
    pub fn listener(&self) -> Option<Listener> {
        let (url, node) = self.database.others()?;
        Some(Listener { url: url.clone(), node: node.to_string(), connection: None })
    }
}

impl Listener {
    /// Waits for the next change that another node made. After a time without a connection that is
    /// [`Change::Queue`], since what was said meanwhile is lost.
    pub async fn next(&mut self) -> Result<Change, StoreError> {
        let Some(connection) = &mut self.connection else {
            self.connection = Some(self.connect().await?);
            return Ok(Change::Queue);
        };
        loop {
            match connection.try_recv().await {
                Ok(Some(said)) => match said.payload().split_once(' ') {
                    Some((_, node)) if node == self.node => {}
                    Some((word, _)) => return Ok(Change::parse(word)),
                    None => return Ok(Change::Queue),
                },
                // It was lost, and with it what shows that this node is there.
                Ok(None) => {
                    self.connection = None;
                    return Ok(Change::Queue);
                }
                Err(error) => {
                    self.connection = None;
                    return Err(error.into());
                }
            }
        }
    }

    /// The pool is for this connection alone: those that run statements must never be kept from it.
    async fn connect(&self) -> Result<PgListener, StoreError> {
        let options = PgConnectOptions::from_str(self.url.expose_secret())?;
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut connection = PgListener::connect_with(&pool.connect_with(options).await?).await?;
        // As long as this connection lives, who must be alone with the database is not.
        sqlx::query("select pg_advisory_lock_shared($1)").bind(PRESENCE).execute(&mut connection).await?;
        connection.listen(Change::CHANNEL).await?;
        Ok(connection)
    }
}
