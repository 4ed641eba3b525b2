//! The database engine: pools, migrations, and the fragments of SQL in which engines differ.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use sqlx::{
    Sqlite, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
    raw_sql,
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

/// How long a statement waits for another process that holds the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// A transaction that may write; it holds the one writer connection. Dropped without [`Write::commit`] it changes
/// nothing: the connection is cleaned before anybody else gets it.
///
/// Begin and commit are statements like any other. The library's own transactions count their depth beside SQLite,
/// and SQLite ends a transaction by itself when the disk is full: the count would never be right again.
pub(super) struct Write(PoolConnection<Sqlite>);

impl Write {
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        raw_sql("commit").execute(&mut *self.0).await?;
        Ok(())
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

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
            .busy_timeout(PATIENCE);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .after_release(|connection, _| Box::pin(async { Ok(clean(connection).await) }))
            .connect_with(options.clone())
            .await?;
        migrator().run(&writer).await.map_err(|source| StoreError::Migrate(Box::new(source)))?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.pragma("query_only", "true"))
            .await?;
        Ok(Self { writer, reader })
    }

    /// Begins a transaction that may write; the lock is taken at once, so nothing read in it can become stale.
    pub(super) async fn write(&self) -> Result<Write, StoreError> {
        let mut write = Write(self.writer.acquire().await?);
        raw_sql("begin immediate").execute(&mut *write).await?;
        Ok(write)
    }

    /// Waits until both pools are closed and the write-ahead log is folded into the file.
    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Ends what a transaction left open. A connection that cannot begin another one afterwards is to be closed.
async fn clean(connection: &mut SqliteConnection) -> bool {
    // Fails where nothing is open, which is the usual case.
    let _ = raw_sql("rollback").execute(&mut *connection).await;
    raw_sql("begin; rollback").execute(connection).await.is_ok()
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
    Migrator::with_migrations(vec![
        migration(1, "first", include_str!("migrations/0001_first.sql")),
        migration(2, "scopes", include_str!("migrations/0002_scopes.sql")),
        migration(3, "api keys", include_str!("migrations/0003_api_keys.sql")),
    ])
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    async fn fresh() -> (TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        fs_err::write(&file, "").unwrap();
        let database = Database::open(&file).await.unwrap();
        (folder, database)
    }

    async fn insert(write: &mut Write, name: &str, bytes: i64) -> Result<(), StoreError> {
        sqlx::query("insert into settings (name, value) values ($1, hex(zeroblob($2)))")
            .bind(name)
            .bind(bytes)
            .execute(&mut **write)
            .await?;
        Ok(())
    }

    async fn limit(database: &Database, pages: u32) {
        let mut write = database.write().await.unwrap();
        let pragma = sqlx::AssertSqlSafe(format!("pragma max_page_count = {pages}"));
        raw_sql(pragma).execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_stops_no_later_write() {
        let (_folder, database) = fresh().await;
        // No less than there are: not one page more.
        limit(&database, 1).await;
        for _ in 0..2 {
            let mut write = database.write().await.unwrap();
            let error = insert(&mut write, "large", 1_000_000).await.unwrap_err();
            assert!(matches!(error, StoreError::DiskFull(_)), "{error:?}");
        }
        limit(&database, 1_000_000).await;
        let mut write = database.write().await.unwrap();
        insert(&mut write, "large", 1_000_000).await.unwrap();
        write.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_committed_is_gone() {
        let (_folder, database) = fresh().await;
        let mut write = database.write().await.unwrap();
        insert(&mut write, "one", 1).await.unwrap();
        drop(write);
        let mut write = database.write().await.unwrap();
        // Would be refused if the first one were there.
        insert(&mut write, "one", 2).await.unwrap();
        write.commit().await.unwrap();
        let value: String = sqlx::query_scalar("select value from settings where name = 'one'")
            .fetch_one(&database.reader)
            .await
            .unwrap();
        assert_eq!(value, "0000");
    }

    #[tokio::test]
    async fn a_list_of_environments_becomes_a_scope_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let before = SqlitePool::connect_with(options).await.unwrap();
        let mut first = migrator();
        first.migrations.to_mut().truncate(1);
        first.run(&before).await.unwrap();
        let variable = |id: &str, place: &str| {
            format!(
                r#"{{"id":"{id}","name":"A","kind":"String","sensitive":false,"value":"\"\\ é\u0001 [1]","sealed":null,"description":null,{place},"prompt":{{"label":"","order":1.50}}}}"#
            )
        };
        let stored = |places: [&str; 3]| {
            let all: Vec<_> =
                ["z", "b", "a"].into_iter().zip(places).map(|(id, place)| variable(id, place)).collect();
            format!("[{}]", all.join(","))
        };
        let old = stored([r#""environments":[]"#, r#""environments":[12,3]"#, r#""environments":[1]"#]);
        let insert = "insert into projects (name, name_key, slug, description, lifecycle_id, project_group_id, process, \
             process_version, variables, variables_version) values ($1, $1, $1, '', 1, 1, '{}', 0, $2, 7)";
        for (name, variables) in [("full", old.as_str()), ("empty", "[]")] {
            sqlx::query(insert).bind(name).bind(variables).execute(&before).await.unwrap();
        }
        raw_sql("insert into channels (project_id, name, is_default) values (1, 'Default', 1)")
            .execute(&before)
            .await
            .unwrap();
        sqlx::query(
            "insert into releases (project_id, channel_id, version, version_key, assembled, process, process_version, \
             variables, variables_version, action_name, package_id, package_version, package_file, package_sha256, \
             package_size) values (1, 1, '1', '1', 0, '{}', 0, $1, 0, 'a', 'p', '1', 'f', 's', 0)",
        )
        .bind(&old)
        .execute(&before)
        .await
        .unwrap();
        before.close().await;
        let database = Database::open(&file).await.unwrap();
        let after: Vec<String> =
            sqlx::query_scalar("select variables from projects union all select variables from releases")
                .fetch_all(&database.reader)
                .await
                .unwrap();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let expected = stored([
            r#""scope":{}"#,
            r#""scope":{"Environment":["Environments-12","Environments-3"]}"#,
            r#""scope":{"Environment":["Environments-1"]}"#,
        ]);
        assert_eq!(
            after.iter().map(|text| read(text)).collect::<Vec<_>>(),
            [read(&expected), read("[]"), read(&expected)]
        );
        database.close().await;
    }
}
