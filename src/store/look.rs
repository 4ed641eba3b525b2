//! What a database is, found out without changing it.

use std::str::FromStr as _;

use sqlx::{AnyConnection, Connection as _, any::AnyConnectOptions};

use uuid::Uuid;

use super::{Place, StoreError, Vault, database, keys};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No server has used it yet.
    New,
    /// It is a server's.
    Used {
        /// The id that it was given when it was new.
        id: Uuid,
        /// Which copy of it this is; its next start makes an id where there is none.
        incarnation: Option<Uuid>,
    },
}

impl Found {
    /// Looks at the database, and whether the master key is its own, where there is one to try.
    pub async fn at(place: &Place, vault: Option<&Vault>) -> Result<Self, StoreError> {
        let Some(url) = database::url(place)? else { return Ok(Self::New) };
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect_with(&AnyConnectOptions::from_str(&url)?).await?;
        let tables = match place {
            Place::File(_) => "select count(*) from sqlite_master where name = 'settings'",
            Place::Postgres(_) => {
                database::refuse_unsuitable(&mut connection).await?;
                "select count(*) from pg_class where oid = to_regclass('settings')"
            }
        };
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await?;
        let found = if tables > 0 { keys::look(&mut connection, vault).await? } else { None };
        connection.close().await?;
        Ok(found.map_or(Self::New, |(id, incarnation)| Self::Used { id, incarnation }))
    }
}
