//! The database engine: pools, migrations, and the fragments of SQL in which engines differ.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::StoreError;

/// Milliseconds since 1970 by the database's clock. Tests move it by an offset that the database itself stores, so
/// leases never depend on the clock of a server process.
macro_rules! now {
    () => {
        "(cast(unixepoch('now', 'subsec') * 1000 as integer) \
         + (select cast(value as integer) from settings where name = 'clock_offset_ms'))"
    };
}
pub(super) use now;

/// A transaction that may write; it holds the one writer connection.
pub(super) type Write = Transaction<'static, Sqlite>;

/// One connection that writes and a pool that reads. SQLite has one writer at a time; waiting for it in our own
/// queue is fair and cannot fail as its busy handler can.
#[derive(Clone, Debug)]
pub(super) struct Database {
    writer: SqlitePool,
    pub(super) reader: SqlitePool,
}

impl Database {
    /// Opens the database in `file`, which exists, and brings its tables up to date.
    pub(super) async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(false)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A result that was acknowledged must outlive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrator().run(&writer).await.map_err(|source| StoreError::Migrate(Box::new(source)))?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.pragma("query_only", "true"))
            .await?;
        Ok(Self { writer, reader })
    }

    /// Begins a transaction that may write; the lock is taken at once, so nothing read in it can become stale.
    pub(super) async fn write(&self) -> Result<Write, StoreError> {
        Ok(self.writer.begin_with("begin immediate").await?)
    }

    /// Waits until both pools are closed and the write-ahead log is folded into the file.
    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn migrator() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sqlx::SqlSafeStr::into_sql_str(sql),
            false,
        )
    };
    Migrator::with_migrations(vec![migration(1, "first", include_str!("migrations/0001_first.sql"))])
}
