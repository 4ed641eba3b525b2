//! One PostgreSQL for the whole test binary: begun by the first test that wants it, without a port, ended with the
//! binary however that ends. Each test gets a database of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use octarm::store::{Database, Place};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

/// Makes the cluster, says where its socket is, and waits for the end of its input, which comes with the end of
/// whoever holds the other end, even by a kill. The cluster ends and its folder is deleted then.
const KEEPER: &str = r#"
set -eu
folder=$(mktemp -d /tmp/octarm-postgres.XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$1/initdb" --pgdata="$folder/data" --auth=trust --username=postgres --encoding=UTF8 --no-locale --no-sync >log 2>&1 || {
    cat log >&2
    exit 1
}
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off -c max_connections=500 \
    -c shared_buffers=64MB -c autovacuum=off </dev/null >log 2>&1 &
postgres=$!
trap 'kill -QUIT $postgres; wait $postgres || true; rm -rf "$folder"' EXIT
until grep -q 'ready to accept connections' log; do
    kill -0 $postgres || { cat log >&2; exit 1; }
    sleep 0.05
done
echo "$folder"
cat >/dev/null
"#;

struct Cluster {
    folder: PathBuf,
    /// While its input is open it waits.
    _keeper: Child,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// Which database belongs to which folder.
static DATABASES: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The URL of the database that belongs to the folder, which is made with all tables at first. It goes some time
/// after the folder has gone.
pub(crate) async fn database_of(folder: &Path) -> String {
    let known = |databases: &[(PathBuf, String)]| {
        databases.iter().find(|(owner, _)| owner == folder).map(|(_, name)| name.clone())
    };
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    if let Some(name) = known(&DATABASES.lock().unwrap()) {
        return cluster.url(&name);
    }
    let gone: Vec<_> = DATABASES.lock().unwrap().extract_if(.., |(owner, _)| !owner.exists()).collect();
    for (_, name) in gone {
        cluster.run(&format!("drop database {name} with (force)")).await;
    }
    let name = new_name();
    cluster.run(&format!("create database {name} template octarm")).await;
    let url = cluster.url(&name);
    DATABASES.lock().unwrap().push((folder.to_owned(), name));
    url
}

/// The URL of a database without anything, made with these options.
pub(crate) async fn empty_database(options: &str) -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = new_name();
    cluster.run(&format!("create database {name} {options}")).await;
    cluster.url(&name)
}

/// Runs this outside of all databases of tests.
pub(crate) async fn administer(text: &str) {
    CLUSTER.get_or_init(Cluster::start).await.run(text).await;
}

/// What a standby has of the database at this moment. Whoever is connected must connect again.
pub(crate) async fn replicate(url: &str) {
    let name = name_of(url);
    close(&name).await;
    administer(&format!("create database {name}_standby template {name}")).await;
    administer(&format!("alter database {name} allow_connections true")).await;
}

/// The standby takes the database's place: what was committed since it was made is lost.
pub(crate) async fn fail_over(url: &str) {
    let name = name_of(url);
    close(&name).await;
    administer(&format!("drop database {name} with (force)")).await;
    administer(&format!("alter database {name}_standby rename to {name}")).await;
}

/// Ends all connections, and takes none until this is undone.
async fn close(name: &str) {
    administer(&format!("alter database {name} allow_connections false")).await;
    administer(&format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"))
        .await;
}

fn name_of(url: &str) -> String {
    url.split(['/', '?']).nth(3).unwrap().to_owned()
}

/// All rows of all tables, as text.
pub(crate) async fn dump(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = AssertSqlSafe(format!("select row::text from {table} as row"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    connection.close().await.unwrap();
    all
}

fn new_name() -> String {
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    async fn start() -> Self {
        let binaries = binaries();
        let mut command = if rustix::process::geteuid().is_root() {
            // PostgreSQL does not run as root.
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut keeper = command
            .args(["-c", KEEPER, "keeper"])
            .arg(binaries)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        assert!(!folder.is_empty(), "PostgreSQL did not start; why is told above");
        let cluster = Self { folder: folder.trim().into(), _keeper: keeper };
        cluster.run("create database octarm").await;
        let place = Place::Postgres(cluster.url("octarm").into());
        let template = Database::open(&place).await.unwrap();
        template.close().await;
        cluster
    }

    async fn run(&self, text: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }
}

/// The folder with `initdb` and `postgres`. Debian keeps them out of `PATH`.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs_err::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    let has_both = |folder: &Path| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
    std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|folder| has_both(folder))
        .expect("the tests need PostgreSQL: apt-get install --yes postgresql")
}
