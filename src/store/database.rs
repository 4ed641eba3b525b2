//! The database engines: pools, migrations, and the fragments of SQL in which engines differ. All other texts of SQL
//! are in the dialect that both share.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
    raw_sql,
};
use uuid::Uuid;

use super::{Change, StoreError, keys, once, turns::Turns};

/// Milliseconds since 1970 by the database's clock. Tests move it by an offset that the database itself stores, so
/// leases never depend on the clock of a server process.
macro_rules! now {
    () => {
        "(select ms from clock)"
    };
}
pub(super) use now;

/// How long a statement waits for somebody else who holds the database, or a row of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many connections to PostgreSQL one node uses at most, besides the one that listens.
const CONNECTIONS: u32 = 16;
/// The oldest PostgreSQL that all statements work on, as it numbers itself.
const OLDEST: i64 = 14_00_00;

/// What each connection to SQLite begins with. A result that was acknowledged must outlive a power cut.
const SQLITE: &str = "pragma journal_mode = wal; pragma synchronous = full; \
    create temp view clock as select cast(unixepoch('now', 'subsec') * 1000 as integer) \
    + cast(value as integer) as ms from settings where name = 'clock_offset_ms'";
/// What each connection to PostgreSQL begins with: the isolation that the statements are written for, whatever the
/// installation prefers, and an end to the locks of a node that stands still.
const POSTGRES: &str = "set default_transaction_isolation = 'read committed'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '30s'";

/// What stands for itself in the path of a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Place {
    /// SQLite in this file, which exists (it may be empty). One server alone uses it.
    File(PathBuf),
    /// PostgreSQL at this URL, which may hold a password. Any number of servers use it together.
    Postgres(SecretString),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

/// A transaction that may write. Dropped without [`Write::commit`] it changes nothing.
#[derive(Debug)]
pub(super) struct Write {
    open: Open,
    turns: Arc<Turns>,
    /// What others are to know of it.
    announced: Vec<Change>,
    /// The space that it reads and changes; none is all of them.
    pub(super) space: Option<i64>,
}

#[derive(Debug)]
enum Open {
    /// It holds the one writer connection, which is cleaned before anybody else gets it. Begin and commit are
    /// statements like any other: the library's own transactions count their depth beside SQLite, and SQLite ends a
    /// transaction by itself when the disk is full: the count would never be right again.
    Sqlite(PoolConnection<Any>),
    /// It runs beside others, of this node and of others, and sees with each statement what they have committed: what
    /// must not change between two statements is to be locked. Locks are taken in the order master key, space, lifecycle,
    /// library, environment, project, machine, registration token, deployment, release, so that no two transactions wait
    /// for each other.
    Postgres { transaction: Transaction<'static, Any>, node: Uuid },
}

impl Write {
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        once::note(&mut self).await?;
        self.announced.dedup();
        match self.open {
            Open::Sqlite(mut connection) => {
                raw_sql("commit").execute(&mut *connection).await?;
            }
            Open::Postgres { mut transaction, node } => {
                for change in &self.announced {
                    let text = AssertSqlSafe(format!("notify {}, '{change} {node}'", Change::CHANNEL));
                    raw_sql(text).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
        for change in self.announced {
            self.turns.wake(change);
        }
        Ok(())
    }

    /// Keeps all others from changing any row of the table until the end, for what depends on all rows together. On
    /// SQLite a transaction that may write is alone anyway; so it is with the locks below.
    pub(super) async fn lock_table(&mut self, table: &'static str) -> Result<(), StoreError> {
        if let Open::Postgres { transaction, .. } = &mut self.open {
            let lock = AssertSqlSafe(format!("lock table {table} in share row exclusive mode"));
            raw_sql(lock).execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Keeps all others from changing the row until the end.
    pub(super) async fn lock_row(&mut self, table: &'static str, id: i64) -> Result<(), StoreError> {
        if let Open::Postgres { transaction, .. } = &mut self.open {
            let lock = AssertSqlSafe(format!("select id from {table} where id = $1 for no key update"));
            sqlx::query(lock).bind(id).fetch_optional(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Keeps all others from changing the row until the end, and from making anything that refers to it: for one that is
    /// to be deleted.
    pub(super) async fn lock_to_delete(&mut self, table: &'static str, id: i64) -> Result<(), StoreError> {
        if let Open::Postgres { transaction, .. } = &mut self.open {
            let lock = AssertSqlSafe(format!("select id from {table} where id = $1 for update"));
            sqlx::query(lock).bind(id).fetch_optional(&mut **transaction).await?;
        }
        Ok(())
    }

    /// The text `select`, which also locks the rows that it finds.
    pub(super) fn locking(&self, select: &str) -> AssertSqlSafe<String> {
        let lock = match self.open {
            Open::Sqlite(_) => "",
            Open::Postgres { .. } => " for no key update",
        };
        AssertSqlSafe(format!("{select}{lock}"))
    }

    /// The text `select`, which also keeps the rows that it finds from being changed, by many at once.
    pub(super) fn sharing(&self, select: &str) -> AssertSqlSafe<String> {
        let lock = match self.open {
            Open::Sqlite(_) => "",
            Open::Postgres { .. } => " for share",
        };
        AssertSqlSafe(format!("{select}{lock}"))
    }

    /// The text `select`, which also keeps all others from changing the rows that it finds and from referring to them.
    pub(super) fn deleting(&self, select: &str) -> AssertSqlSafe<String> {
        let lock = match self.open {
            Open::Sqlite(_) => "",
            Open::Postgres { .. } => " for update",
        };
        AssertSqlSafe(format!("{select}{lock}"))
    }

    /// What a select ends with that locks the rows that it finds and passes over those that others hold.
    pub(super) fn skip_locked(&self) -> &'static str {
        match self.open {
            Open::Sqlite(_) => "",
            Open::Postgres { .. } => " for no key update skip locked",
        }
    }

    /// Tells those who wait, here and at other nodes, that something may have become ready to be claimed in these
    /// environments; if and when this commits.
    pub(super) fn announce_ready(&mut self, environments: impl IntoIterator<Item = i64>) {
        self.announced.extend(environments.into_iter().map(Change::Environment));
    }

    /// Tells the claim of this worker, wherever it waits, that there is something to look at; if and when this commits.
    pub(super) fn announce_leaving(&mut self, machine: i64) {
        self.announced.push(Change::Leaving(machine));
    }

    /// Tells those who watch deployments at other nodes, if and when this commits.
    pub(super) fn announce_state(&mut self) {
        self.announced.push(Change::State);
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match &self.open {
            Open::Sqlite(connection) => connection,
            Open::Postgres { transaction, .. } => transaction,
        }
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match &mut self.open {
            Open::Sqlite(connection) => connection,
            Open::Postgres { transaction, .. } => transaction,
        }
    }
}

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    pub(super) reader: AnyPool,
    pub(super) turns: Arc<Turns>,
}

#[derive(Clone, Debug)]
enum Engine {
    /// One connection that writes, beside the pool that reads. SQLite has one writer at a time; waiting for it in
    /// our own queue is fair and cannot fail as its busy handler can.
    Sqlite { writer: AnyPool },
    /// `node` is what this process is called among those that use the database.
    Postgres { url: SecretString, node: Uuid },
}

impl Database {
    /// Opens the database and brings its tables up to date.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        install_default_drivers();
        match place {
            Place::File(file) => Self::sqlite(file).await,
            Place::Postgres(url) => Self::postgres(url).await,
        }
    }

    async fn sqlite(file: &Path) -> Result<Self, StoreError> {
        let options = AnyConnectOptions::from_str(&file_url(file)?)?;
        let writer = AnyPoolOptions::new()
            .max_connections(1)
            .after_connect(|connection, _| Box::pin(begin_with(connection, SQLITE)))
            .after_release(|connection, _| Box::pin(async { Ok(clean(connection).await) }))
            .connect_with(options.clone())
            .await?;
        migrate(&writer).await?;
        let reader = AnyPoolOptions::new()
            .max_connections(4)
            .after_connect(|connection, _| {
                Box::pin(async {
                    begin_with(connection, SQLITE).await?;
                    begin_with(connection, "pragma query_only = true").await
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self { engine: Engine::Sqlite { writer }, reader, turns: Arc::default() })
    }

    async fn postgres(url: &SecretString) -> Result<Self, StoreError> {
        let options = AnyConnectOptions::from_str(url.expose_secret())?;
        // Without the limits of the other connections: a step may take long, and nodes wait here for each other.
        let mut first = AnyConnection::connect_with(&options).await?;
        refuse_unsuitable(&mut first).await?;
        migrator(POSTGRES_STEPS)
            .run(&mut first)
            .await
            .map_err(|source| StoreError::Migrate(Box::new(source)))?;
        first.close().await?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(begin_with(connection, POSTGRES)))
            .connect_with(options)
            .await?;
        let engine = Engine::Postgres { url: url.clone(), node: Uuid::now_v7() };
        Ok(Self { engine, reader: pool, turns: Arc::default() })
    }

    /// Whether no server has used it yet.
    pub async fn is_new(&self) -> Result<bool, StoreError> {
        keys::is_new(self).await
    }

    /// Begins a transaction that may write. On SQLite the lock is taken at once, so nothing read in it can become
    /// stale.
    pub(super) async fn write(&self) -> Result<Write, StoreError> {
        let open = match &self.engine {
            Engine::Sqlite { writer } => {
                let mut connection = writer.acquire().await?;
                raw_sql("begin immediate").execute(&mut *connection).await?;
                Open::Sqlite(connection)
            }
            Engine::Postgres { node, .. } => {
                Open::Postgres { transaction: self.reader.begin().await?, node: *node }
            }
        };
        Ok(Write { open, turns: self.turns.clone(), announced: Vec::new(), space: None })
    }

    /// Where to hear what other nodes change, and what this one is called; none where there are no others.
    pub(super) fn others(&self) -> Option<(&SecretString, Uuid)> {
        match &self.engine {
            Engine::Sqlite { .. } => None,
            Engine::Postgres { url, node } => Some((url, *node)),
        }
    }

    /// Waits until all connections are closed; SQLite's write-ahead log is then folded into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        if let Engine::Sqlite { writer } = &self.engine {
            writer.close().await;
        }
    }
}

/// Brings the tables of SQLite up to date. A step may make a table anew that others refer to: meanwhile they refer to
/// nothing, so references are not looked after until the end, and then all of them are.
async fn migrate(writer: &AnyPool) -> Result<(), StoreError> {
    raw_sql("pragma foreign_keys = off").execute(writer).await?;
    migrator(SQLITE_STEPS).run(writer).await.map_err(|source| StoreError::Migrate(Box::new(source)))?;
    let broken: i64 =
        sqlx::query_scalar("select count(*) from pragma_foreign_key_check").fetch_one(writer).await?;
    if broken > 0 {
        return Err(StoreError::Corrupt {
            what: format!("the database: {broken} rows refer to rows that do not exist"),
            source: None,
        });
    }
    raw_sql("pragma foreign_keys = on").execute(writer).await?;
    Ok(())
}

/// The URL of the database; none where its file does not exist.
pub(super) fn url(place: &Place) -> Result<Option<String>, StoreError> {
    match place {
        Place::File(file) if !file.exists() => Ok(None),
        Place::File(file) => file_url(file).map(Some),
        Place::Postgres(url) => Ok(Some(url.expose_secret().to_owned())),
    }
}

fn file_url(file: &Path) -> Result<String, StoreError> {
    let unusable = |error| StoreError::Unusable(format!("its file cannot be opened: {error}"));
    let path = fs_err::canonicalize(file).map_err(unusable)?;
    let path = path.to_str().ok_or_else(|| StoreError::Unusable("its path is not UTF-8".into()))?;
    Ok(format!("sqlite://{}?mode=rw", utf8_percent_encode(path, PATH)))
}

async fn begin_with(connection: &mut AnyConnection, text: &'static str) -> Result<(), sqlx::Error> {
    raw_sql(text).execute(connection).await.map(drop)
}

/// Ends what a transaction left open. A connection that cannot begin another one afterwards is to be closed.
async fn clean(connection: &mut AnyConnection) -> bool {
    // Fails where nothing is open, which is the usual case.
    let _ = raw_sql("rollback").execute(&mut *connection).await;
    raw_sql("begin; rollback").execute(connection).await.is_ok()
}

/// Refuses a PostgreSQL that would fail later, and less clearly.
pub(super) async fn refuse_unsuitable(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let (version, encoding, read_only): (i64, String, String) = sqlx::query_as(
        "select cast(current_setting('server_version_num') as bigint), current_setting('server_encoding'), \
         current_setting('transaction_read_only')",
    )
    .fetch_one(connection)
    .await?;
    if version < OLDEST {
        return Err(StoreError::Unusable(format!(
            "it is PostgreSQL {}, expected {} or newer",
            version / 10_000,
            OLDEST / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Unusable(format!("its encoding is {encoding}, expected UTF8")));
    }
    if read_only == "on" {
        return Err(StoreError::Unusable("it can only be read: it may be a standby".into()));
    }
    Ok(())
}

/// The steps by which the tables came to be what they are.
type Steps = &'static [(i64, &'static str, &'static str)];

const SQLITE_STEPS: Steps = &[
    (1, "first", include_str!("migrations/0001_first.sql")),
    (2, "scopes", include_str!("migrations/0002_scopes.sql")),
    (3, "api keys", include_str!("migrations/0003_api_keys.sql")),
    (4, "lifecycles", include_str!("migrations/0004_lifecycles.sql")),
    (5, "clients", include_str!("migrations/0005_clients.sql")),
    (6, "library", include_str!("migrations/0006_library.sql")),
    (7, "retention", include_str!("migrations/0007_retention.sql")),
    (8, "ops", include_str!("migrations/0008_ops.sql")),
    (9, "spaces", include_str!("migrations/0009_spaces.sql")),
    (10, "registration", include_str!("migrations/0010_registration.sql")),
    (11, "refusing", include_str!("migrations/0011_refusing.sql")),
];
const POSTGRES_STEPS: Steps = &[
    (1, "first", include_str!("migrations/postgres/0001_first.sql")),
    (4, "lifecycles", include_str!("migrations/postgres/0004_lifecycles.sql")),
    (5, "clients", include_str!("migrations/postgres/0005_clients.sql")),
    (6, "library", include_str!("migrations/postgres/0006_library.sql")),
    (7, "retention", include_str!("migrations/postgres/0007_retention.sql")),
    (8, "ops", include_str!("migrations/postgres/0008_ops.sql")),
    (9, "spaces", include_str!("migrations/postgres/0009_spaces.sql")),
    (10, "registration", include_str!("migrations/postgres/0010_registration.sql")),
    (11, "refusing", include_str!("migrations/postgres/0011_refusing.sql")),
];

/// The number of the last step on SQLite.
pub(super) fn newest() -> i64 {
    SQLITE_STEPS.last().map_or(0, |(number, ..)| *number)
}

/// On PostgreSQL it holds a lock while it runs, so that nodes that start together do not meet.
fn migrator(steps: Steps) -> Migrator {
    let migration = |(version, description, sql): &(i64, &'static str, &'static str)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(*sql);
        Migration::new(*version, (*description).into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(steps.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    async fn fresh() -> (TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        fs_err::write(&file, "").unwrap();
        let database = Database::open(&Place::File(file)).await.unwrap();
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
        let pragma = AssertSqlSafe(format!("pragma max_page_count = {pages}"));
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
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let before = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let mut first = migrator(SQLITE_STEPS);
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
        let database = Database::open(&Place::File(file)).await.unwrap();
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

    #[tokio::test]
    async fn what_was_there_before_spaces_is_whole_in_the_first_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let before = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let mut eight = migrator(SQLITE_STEPS);
        eight.migrations.to_mut().truncate(8);
        eight.run(&before).await.unwrap();
        raw_sql(
            "insert into environments (id, name, name_key, slug, description, sort_order) values \
             (3, 'Dev', 'dev', 'dev', 'd', 0), (9, 'Gone', 'gone', 'gone', '', 1); \
             delete from environments where id = 9; \
             insert into projects (id, name, name_key, slug, description, lifecycle_id, project_group_id, process, \
             process_version, variables, variables_version, is_disabled, libraries) \
             values (4, 'P', 'p', 'p-slug', 'd', 1, 1, '{}', 5, '[]', 6, 1, '2'); \
             insert into channels (id, project_id, name, name_key, is_default) values (5, 4, 'C', 'c', 1); \
             insert into packages (id, package_id, package_key, version, version_key, extension, file_name, sha256, \
             size, published) values (6, 'Q', 'q', '1', '1.0.0', '.zip', 'Q.1.zip', 'sha', 7, 8); \
             insert into releases (id, project_id, channel_id, version, version_key, assembled, process, \
             process_version, variables, variables_version, action_name, package_id, package_version, package_file, \
             package_sha256, package_size) values (7, 4, 5, '1', '1', 0, '{}', 0, '[]', 0, 'a', 'Q', '1', 'f', 'sha', 7); \
             insert into release_snapshots values (7, 0, '[]', 0, '[]'); \
             insert into machines (id, environment_id, name, name_key, host, machine_key, token_hash, version, created, \
             last_seen, worker_pool_id) values (8, 3, 'm', 'm', 'h', 'k', 't', '', 0, 0, 2); \
             insert into worker_pools (id, name, name_key, slug, description) values (2, 'W', 'w', 'w', 'd'); \
             insert into library_variable_sets (id, name, name_key, description, variables, version) \
             values (2, 'L', 'l', 'd', '[]', 3); \
             insert into build_information (id, package_id, package_key, version, version_key, document, created) \
             values (11, 'Q', 'q', '1', '1.0.0', '{}', 1); \
             insert into deployments (id, release_id, project_id, environment_id, created, comments, prompted, state, \
             fence, cancel_requested, blocked, log_offset, log_length) \
             values (12, 7, 4, 3, 0, '', '[]', 'leased', 1, 0, 0, 0, 1); \
             insert into journal values (12, 1, 1, '{}'); insert into log_chunks values (12, 0, x'61'); \
             insert into api_keys (id, name, name_key, hash, hint, permissions, environments, created) \
             values (13, 'k', 'k', 'h', 'API-', '[]', '[]', 0)",
        )
        .execute(&before)
        .await
        .unwrap();
        before.close().await;
        let database = Database::open(&Place::File(file)).await.unwrap();
        let ids = |text: &'static str| {
            let reader = database.reader.clone();
            async move { sqlx::query_scalar::<_, i64>(text).fetch_all(&reader).await.unwrap() }
        };
        for (text, expected) in [
            (
                "select id from environments where space_id = 1 and slug = 'dev' and description = 'd'",
                vec![3],
            ),
            (
                "select id from projects where space_id = 1 and slug = 'p-slug' and variables_version = 6 \
              and is_disabled = 1 and libraries = '2'",
                vec![4],
            ),
            ("select c.id from channels c join projects p on p.id = c.project_id", vec![5]),
            ("select id from packages where space_id = 1 and sha256 = 'sha' and published = 8", vec![6]),
            ("select r.id from releases r join release_snapshots s on s.release_id = r.id", vec![7]),
            (
                "select m.id from machines m join worker_pools w on w.id = m.worker_pool_id \
              join environments e on e.id = m.environment_id",
                vec![8],
            ),
            ("select id from worker_pools where space_id = 1 order by id", vec![1, 2]),
            ("select id from library_variable_sets where space_id = 1 and version = 3", vec![2]),
            ("select id from build_information where space_id = 1", vec![11]),
            ("select id from lifecycles where space_id = 1", vec![1]),
            ("select id from project_groups where space_id = 1", vec![1]),
            (
                "select d.id from deployments d join journal j on j.deployment_id = d.id \
              join log_chunks l on l.deployment_id = d.id join environments e on e.id = d.environment_id",
                vec![12],
            ),
            ("select id from api_keys where space_id is null", vec![13]),
            ("select count(*) from pragma_foreign_key_check", vec![0]),
            ("select count(*) from sqlite_sequence where name like '%in_spaces'", vec![0]),
            ("select count(*) from sqlite_sequence where name = 'projects' and seq = 4", vec![1]),
            // An id that was given once is not given again.
            ("select seq from sqlite_sequence where name = 'environments'", vec![9]),
        ] {
            assert_eq!(ids(text).await, expected, "{text}");
        }
        // What referred to the tables that were made anew still does.
        let mut write = database.write().await.unwrap();
        assert!(raw_sql("delete from environments where id = 3").execute(&mut *write).await.is_err());
        drop(write);
        database.close().await;
    }
}
