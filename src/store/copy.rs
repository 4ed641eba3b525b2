//! A whole copy of a database in a file, made beside the server that uses it.

use std::{path::Path, str::FromStr as _};

use sqlx::{AnyConnection, Connection as _, any::AnyConnectOptions};

use super::{Place, StoreError, blobs, database, keys};

/// What a copy holds.
#[derive(Debug)]
pub struct DatabaseCopy {
    /// The last step that its tables went through.
    pub schema: i64,
    /// The SHA-256 of all bytes that it names: packages, and logs of deployments that ended.
    pub blobs: Vec<String>,
}

/// What makes a copy a restored one. What was queued when it was made may have been deployed since, and something newer
/// after it: nobody hands it out again without having been asked. And it is another one than its original, which may live
/// on beside the same packages.
pub const RESTORED: [&str; 2] = [
    "update deployments set state = 'canceled', cancel_requested = 1, completed = created, \
     error_message = 'cancelled by a restore: it may have been deployed since the backup' where state = 'queued'",
    keys::ANOTHER_COPY,
];

impl DatabaseCopy {
    /// Copies the database in `file` to `to`, which exists and is empty, as it is at one moment.
    pub async fn make(file: &Path, to: &Path) -> Result<Self, StoreError> {
        let place = to.to_str().ok_or_else(|| StoreError::Unusable("the copy's path is not UTF-8".into()))?;
        let mut connection = open(file).await?;
        sqlx::query("vacuum into $1").bind(place).execute(&mut connection).await?;
        connection.close().await?;
        Self::at(&Place::File(to.to_owned())).await
    }

    /// What the copy here holds, or a database that is in use, at this moment.
    pub async fn at(place: &Place) -> Result<Self, StoreError> {
        let mut connection = connect(place).await?;
        let schema: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations")
            .fetch_one(&mut connection)
            .await?;
        let schema = schema.unwrap_or_default();
        // Before an upgrade, when a backup is wanted most, there are no such logs yet.
        let text = if schema < blobs::SINCE { blobs::NAMED_BEFORE } else { blobs::NAMED };
        let blobs = sqlx::query_scalar(text).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(Self { schema, blobs })
    }

    /// Makes it a restored one. Leaves out the numbers that things may have been given after the copy was made: each means one thing for ever, also
    /// to a worker that still has a deployment of the time that a restore undoes.
    pub async fn make_restored(file: &Path) -> Result<(), StoreError> {
        let mut connection = open(file).await?;
        for text in [
            "insert into sqlite_sequence (name, seq) select 'deployments', 0 \
             where not exists (select 1 from sqlite_sequence where name = 'deployments')",
            "update sqlite_sequence set seq = seq + 10000",
        ]
        .into_iter()
        .chain(RESTORED)
        {
            sqlx::query(text).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// The last step that this version of octarm knows.
    pub fn newest_schema() -> i64 {
        database::newest()
    }
}

async fn open(file: &Path) -> Result<AnyConnection, StoreError> {
    connect(&Place::File(file.to_owned())).await
}

async fn connect(place: &Place) -> Result<AnyConnection, StoreError> {
    sqlx::any::install_default_drivers();
    let url = database::url(place)?
        .ok_or_else(|| StoreError::Unusable(format!("its file `{place}` does not exist")))?;
    Ok(AnyConnection::connect_with(&AnyConnectOptions::from_str(&url)?).await?)
}
