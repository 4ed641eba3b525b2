//! How many workers one server bears: thousands that wait for work over real connections, how long a deployment takes
//! to reach one of them, logs that many of them send at once, and what memory the server needs for all that.
//!
//! The server is the `octarm` program as its users run it; one thread of this program is all of its workers.

mod load;
mod process;
mod push;
mod table;
mod wire;

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use load::{Load, PROJECT, Seen};
use process::{Postgres, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use table::{Table, mebibytes, quantile};
use tokio::time::sleep;

/// How much of the package that is pushed the server may hold in memory, in mebibytes.
const PUSH_MEMORY: f64 = 50.0;
/// How much memory the server may take altogether, in mebibytes.
const MEMORY: f64 = 300.0;
/// How long from the request for a deployment until a worker has it, in milliseconds: for half of them, and for all
/// but one of a hundred.
const HALF: f64 = 20.0;
const MOST: f64 = 150.0;

/// Measures the server under many workers.
#[derive(Parser)]
struct Options {
    /// The program that is measured.
    #[arg(long)]
    octarm: PathBuf,
    /// What the server keeps its tables in.
    #[arg(long, value_enum, default_values_t = [Engine::Sqlite, Engine::Postgres])]
    engine: Vec<Engine>,
    #[arg(long, default_value_t = 5000)]
    workers: usize,
    #[arg(long, default_value_t = 250)]
    environments: usize,
    /// Deployments a second.
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// Chunks of log a second.
    #[arg(long, default_value_t = 500)]
    chunks: u32,
    /// How many workers send them.
    #[arg(long, default_value_t = 50)]
    writers: usize,
    /// How long each part takes.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The size of the large package, in mebibytes.
    #[arg(long, default_value_t = 200)]
    package: usize,
    /// Where data folders are made; they must be on the kind of disk that a server uses.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What cargo gives to each bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    // Here and in what is started from here: each worker is a connection.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut missed = 0;
    for engine in &options.engine {
        missed += runtime.block_on(measure(&options, *engine))?;
    }
    writeln!(io::stdout(), "\n{missed} goals missed")?;
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options, engine: Engine) -> Result<usize, Box<dyn Error>> {
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let postgres = if engine == Engine::Postgres { Some(Postgres::start()?) } else { None };
    let url = postgres.as_ref().map(|postgres| postgres.url.as_str());
    let server = Server::start(&options.octarm, folder.path(), url)?;
    let mut table = Table::default();
    let package = push::zip(options.package)?;

    let begun = Instant::now();
    let load = Load::start(server.door.clone(), options.workers, options.environments).await?;
    release(&server).await?;
    note(&format!("{} workers registered in {:.0?}", options.workers, begun.elapsed()))?;
    let time = Duration::from_secs(options.seconds);

    let work = Work::begin(&server);
    sleep(time / 2).await;
    work.tell(&mut table, "while all workers wait", &server);

    let work = Work::begin(&server);
    load.dispatch(0, options.rate, time).await;
    work.tell(&mut table, "while deployments are made", &server);
    dispatched(&mut table, "release to claim", &mut load.settle().await)?;

    let work = Work::begin(&server);
    let long = time + time / 3;
    tokio::join!(load.write(options.writers, options.chunks, long), async {
        sleep(time / 3).await;
        load.dispatch(options.writers, options.rate, time).await;
    });
    work.tell(&mut table, "while logs are sent and deployments made", &server);
    let mut seen = load.settle().await;
    chunks(&mut table, &seen, options.chunks);
    dispatched(&mut table, "release to claim beside logs", &mut seen)?;
    table.below("memory of the server, peak", mebibytes(server.memory()?.1), MEMORY, "MiB");

    pushes(&mut table, &server, &package).await?;
    let failed = load.settle().await.failed;
    complain(&failed)?;
    table.holds("all workers wait still", failed.is_empty());
    let name = if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" };
    let Options { workers, environments, .. } = options;
    Ok(table.print(&format!("{name}: {workers} workers in {environments} environments"))?)
}

/// A release that can be deployed.
async fn release(server: &Server) -> Result<(), Box<dyn Error>> {
    let package = push::zip(1)?;
    push::push(&server.door, &format!("{PROJECT}.1.0.0.zip"), &package, false).await?;
    let mut connection = wire::Connection::open(server.door.address, server.door.key.clone()).await?;
    let body = json!({ "ProjectName": PROJECT, "ReleaseVersion": "1.0.0" });
    Ok(load::post(&mut connection, "releases/create/v1", &body, 201).await?)
}

fn dispatched(table: &mut Table, what: &str, seen: &mut Seen) -> io::Result<()> {
    seen.dispatched.sort_unstable();
    table.say(&format!("{what}, deployments"), seen.dispatched.len().to_string());
    table.below(&format!("{what}, p50"), quantile(&seen.dispatched, 0.5), HALF, "ms");
    table.below(&format!("{what}, p99"), quantile(&seen.dispatched, 0.99), MOST, "ms");
    table.say(&format!("{what}, longest"), format!("{:.1} ms", quantile(&seen.dispatched, 1.0)));
    complain(&seen.failed)?;
    table.holds(&format!("{what}, without a failure"), seen.failed.is_empty());
    Ok(())
}

fn chunks(table: &mut Table, seen: &Seen, goal: u32) {
    let sent = seen.chunks.iter().map(|(sent, _)| *sent);
    if let Some((first, last)) = sent.clone().min().zip(sent.clone().max()) {
        // Without the second in which they begin and that in which they end, one after the other.
        let (from, to) =
            (first + Duration::from_secs(1), last.checked_sub(Duration::from_secs(1)).unwrap_or(last));
        let count = sent.filter(|sent| (from..to).contains(sent)).count();
        #[expect(clippy::cast_precision_loss, reason = "a number of chunks")]
        let rate = count as f64 / to.saturating_duration_since(from).as_secs_f64();
        table.at_least("chunks of log", rate, f64::from(goal) * 0.99, "/s");
    } else {
        table.holds("chunks of log", false);
    }
    let mut took: Vec<Duration> = seen.chunks.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    table.say("  each recorded in, p50", format!("{:.1} ms", quantile(&took, 0.5)));
    table.say("  each recorded in, p99", format!("{:.1} ms", quantile(&took, 0.99)));
}

async fn pushes(table: &mut Table, server: &Server, package: &[u8]) -> Result<(), Box<dyn Error>> {
    let name = "Large.1.0.0.zip";
    for what in ["push cut half way", "push", "the same push again"] {
        let cut = what == "push cut half way";
        server.forget_peak()?;
        let (idle, _) = server.memory()?;
        let pushed = push::push(&server.door, name, package, cut).await?;
        if let Some((answer, took)) = pushed {
            let status = answer.status;
            answer.expect(status.clamp(200, 201))?;
            table.say(&format!("{what}: status, time"), format!("{status}, {took:.1?}"));
        } else {
            let until = Instant::now() + Duration::from_secs(10);
            while server.has_unfinished()? && Instant::now() < until {
                sleep(Duration::from_millis(20)).await;
            }
        }
        table.holds(&format!("{what}: nothing unfinished is left"), !server.has_unfinished()?);
        let above = mebibytes(server.memory()?.1.saturating_sub(idle));
        table.below(&format!("{what}: memory above idle"), above, PUSH_MEMORY, "MiB");
    }
    Ok(())
}

fn complain(failed: &[String]) -> io::Result<()> {
    for failure in failed.iter().take(5) {
        note(failure)?;
    }
    if failed.len() > 5 { note(&format!("and {} more failures", failed.len() - 5)) } else { Ok(()) }
}

fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}

/// How much the processors did for the server and for its load since a moment.
struct Work {
    at: Instant,
    server: Duration,
    own: Duration,
}

impl Work {
    fn begin(server: &Server) -> Self {
        Self { at: Instant::now(), server: server.worked(), own: process::own_work() }
    }

    fn tell(&self, table: &mut Table, when: &str, server: &Server) {
        let share = |now: Duration, then: Duration| {
            100.0 * now.saturating_sub(then).as_secs_f64() / self.at.elapsed().as_secs_f64()
        };
        let (of_server, own) = (share(server.worked(), self.server), share(process::own_work(), self.own));
        table.say(&format!("{when}: CPU of server, of load"), format!("{of_server:.0} %, {own:.0} %"));
    }
}
