//! `octarm worker`.

mod register;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use rustix::{fs::Mode, process::umask};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use register::RegisterArgs;

use super::{CliError, Output};
use crate::{
    config::{Environment, WorkerConfig},
    conventions::{Conventions, environment_name},
    deploy::Memory,
    exit::Exit,
    model::{DeploymentId, Variable},
    protocol::Machine,
    shutdown, telemetry,
    worker::{self, Deregistered, Leave, LocalLine, LogReader, StateFolder, Stopping, Worker},
};

#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// The configuration file; else /etc/octarm/worker.toml where there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The worker's folder: its registration, its work, its local log; else /var/lib/octarm/worker for root,
    /// ~/.local/state/octarm/worker for others
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum WorkerCommand {
    /// Register this machine as a worker of an environment; may be repeated
    Register(Box<RegisterArgs>),
    /// Poll for deployments and run them, until SIGTERM
    Run {
        #[command(flatten)]
        state: StateArgs,
        /// How many deployments it runs at a time, one of each function; else 1
        #[arg(long, value_name = "N")]
        concurrency: Option<NonZeroUsize>,
        /// End after so many seconds without work
        #[arg(long, value_name = "SECONDS")]
        idle_exit: Option<u32>,
        /// Deregister when it ends by itself or is stopped
        #[arg(long)]
        ephemeral: bool,
    },
    /// Deregister this worker, once it has reported the end of what it runs; may be repeated
    Deregister {
        #[command(flatten)]
        state: StateArgs,
        /// At once, and from any machine that has its key: what it runs is found out by whoever takes it over
        #[arg(long)]
        force: bool,
        /// How long to wait for the end of what it runs; else 30 minutes
        #[arg(long, value_name = "SECONDS", conflicts_with = "force")]
        wait: Option<u32>,
    },
    /// Show what this worker's deployments said, from its own copy
    Logs {
        #[command(flatten)]
        state: StateArgs,
        /// Go on as lines come
        #[arg(long, short)]
        follow: bool,
        /// Only of this deployment
        #[arg(long, value_name = "ID")]
        deployment: Option<DeploymentId>,
    },
}

/// How long the end of a worker that is to leave is waited for.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often the local log is looked at for new lines.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(
    command: WorkerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Register(args) => register::run(*args, environment, output).await,
        WorkerCommand::Run { state, concurrency, idle_exit, ephemeral } => {
            let concurrency = concurrency.map(|number| ("deployments.concurrency", number.to_string()));
            let config = read_config_with(&state, environment, concurrency)?;
            let idle_exit = idle_exit.map(|seconds| Duration::from_secs(seconds.into()));
            serve(&config, idle_exit, ephemeral, environment, output).await
        }
        WorkerCommand::Deregister { state, force, wait } => {
            let config = read_config(&state, environment)?;
            let patience = wait.map_or(PATIENCE, |seconds| Duration::from_secs(seconds.into()));
            let leave = if force { Leave::Forced } else { Leave::Drained(patience) };
            let folder = StateFolder::existing(&config.state);
            let deregistered =
                worker::deregister(&folder, &machine(&config), leave, |text| output.aside(text)).await?;
            let (text, name) = match deregistered {
                Deregistered::Done { name, environment } => {
                    (format!("worker {name} deregistered from {environment}"), Some(name))
                }
                Deregistered::NothingToDo => ("no worker is registered here: nothing to do".to_owned(), None),
            };
            output.result(text, &json!({ "deregistered": name.is_some(), "name": name }));
            Ok(Exit::Done)
        }
        WorkerCommand::Logs { state, follow, deployment } => {
            let config = read_config(&state, environment)?;
            logs(&config.state, follow, deployment, output).await
        }
    }
}

fn read_config(args: &StateArgs, environment: &Environment) -> Result<WorkerConfig, CliError> {
    read_config_with(args, environment, None)
}

fn read_config_with(
    args: &StateArgs,
    environment: &Environment,
    flag: Option<(&'static str, String)>,
) -> Result<WorkerConfig, CliError> {
    let state = args.state.as_ref().map(|state| ("state", state.display().to_string()));
    let flags = state.into_iter().chain(flag).collect();
    Ok(WorkerConfig::read(args.config.as_deref(), environment, flags)?)
}

async fn serve(
    config: &WorkerConfig,
    idle_exit: Option<Duration>,
    ephemeral: bool,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    // Packages, spools, journals and logs, wherever they are written: for this user alone.
    umask(Mode::RWXG | Mode::RWXO);
    telemetry::start(&config.log, output.has_stderr_colour())?;
    let conventions = Conventions::load(config.conventions.as_deref())?;
    let state = StateFolder::open(&config.state)?;
    let identity = state.registered()?;
    let worker = Worker {
        state: state.lock()?,
        identity,
        machine: machine(config),
        variables: own_variables(config, &conventions, environment),
        conventions,
        memory: Memory::default(),
        concurrency: config.concurrency,
        idle_exit,
    };
    let stopping = Stopping::default();
    let leave = CancellationToken::new();
    shutdown::listen(stopping.drain.clone(), stopping.cancel.clone(), leave.clone())
        .map_err(|source| CliError::Io { act: "listening for signals".to_owned(), source })?;
    let folder = StateFolder::existing(&config.state);
    let work = async {
        worker::run(worker, stopping).await?;
        if ephemeral {
            // Without force: it is known until the lease of what could not be reported has run out, so that nobody
            // begins in between.
            worker::deregister(&folder, &machine(config), Leave::Drained(PATIENCE), |text| info!("{text}"))
                .await?;
            info!("deregistered");
        }
        Ok(Exit::Done)
    };
    tokio::select! {
        ended = work => ended,
        () = leave.cancelled() => Ok(Exit::Cancelled),
    }
}

/// The listed names from this process's environment. They are secrets unless the conventions know better.
fn own_variables(
    config: &WorkerConfig,
    conventions: &Conventions,
    environment: &Environment,
) -> Vec<Variable> {
    let of = |name: &String| {
        let value = environment.get(&environment_name(name))?.to_owned();
        let known = conventions.well_known().iter().find(|known| known.name.eq_ignore_ascii_case(name));
        Some(Variable { name: name.clone(), value, sensitive: known.is_none_or(|known| known.sensitive) })
    };
    config.from_environment.iter().filter_map(of).collect()
}

/// This machine: an id that a clone of its disk does not share, where the system has one.
fn machine(config: &WorkerConfig) -> Machine {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let id = config.machine_id.clone().unwrap_or_else(|| {
        let id = fs_err::read_to_string("/etc/machine-id").unwrap_or_default();
        // The id itself is confidential by systemd's own rule: what leaves the machine is made from it.
        let seed = if id.trim().is_empty() { &host } else { id.trim() };
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("octarm {seed}").as_bytes());
        hex::encode(&digest.as_ref()[..16])
    });
    Machine { host, id }
}

async fn logs(
    state: &Path,
    follow: bool,
    deployment: Option<DeploymentId>,
    output: Output,
) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { act: "reading the worker's log".to_owned(), source };
    if !state.is_dir() {
        return Err(CliError::Io {
            act: "reading the worker's log".to_owned(),
            source: std::io::Error::other(format!("the state folder `{}` does not exist", state.display())),
        });
    }
    let show = |lines: Vec<LocalLine>| {
        for line in lines.into_iter().filter(|line| deployment.is_none_or(|wanted| wanted == line.deployment))
        {
            output.log_line(&line.deployment.to_string(), &line.line);
        }
    };
    let mut reader = LogReader::new(state);
    show(reader.older().map_err(failed)?);
    loop {
        show(reader.next_lines().map_err(failed)?);
        if !follow {
            return Ok(Exit::Done);
        }
        // Ctrl-C ends this as it ends `tail -f`.
        tokio::time::sleep(LOOK).await;
    }
}
