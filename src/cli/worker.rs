//! `octarm worker`.

use std::{
    fmt::Write as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use rustix::{fs::Mode, process::umask};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    CliError, Output,
    connection::{self, ServerArgs, Target},
};
use crate::{
    config::{Environment, WorkerConfig},
    conventions::{Conventions, environment_name},
    deploy::Memory,
    exit::Exit,
    model::{DeploymentId, Variable},
    protocol::{CurrentRelease, Machine},
    shutdown, telemetry,
    worker::{
        self, Deregistered, Limits, LocalLine, LogReader, Registered, Registration, StateFolder, Stopping,
        Worker,
    },
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
    Register {
        #[command(flatten)]
        state: StateArgs,
        /// The worker's name
        #[arg(long)]
        name: String,
        /// The environment it deploys to
        #[arg(long)]
        environment: String,
        /// Take the name over from another machine
        #[arg(long)]
        replace: bool,
        /// When the worker is new: deploy the projects' current releases for its environment, those that ended well there
        /// last
        #[arg(long)]
        deploy_current: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
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
    /// Deregister this worker; may be repeated
    Deregister {
        #[command(flatten)]
        state: StateArgs,
        /// Also while it runs a deployment
        #[arg(long)]
        force: bool,
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

/// How often the local log is looked at for new lines.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(
    command: WorkerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Register { server, state, name, environment: to, replace, deploy_current } => {
            let config = read_config(&state, environment)?;
            let Target { server, trust, key, space, .. } = connection::target(&server, environment)?;
            let trust = trust.from_any_folder().map_err(|source| CliError::Io {
                act: "finding the certificates of the authority".to_owned(),
                source,
            })?;
            let folder = StateFolder::open(&config.state)?;
            let machine = machine(&config);
            let registration = Registration {
                server,
                trust,
                name,
                environment: to,
                space,
                machine,
                replace,
                deploy_current,
            };
            let registered = worker::register(&folder, &key, registration).await?;
            show_registered(&registered, deploy_current, &config, output);
            Ok(Exit::Done)
        }
        WorkerCommand::Run { state, concurrency, idle_exit, ephemeral } => {
            let concurrency = concurrency.map(|number| ("deployments.concurrency", number.to_string()));
            let config = read_config_with(&state, environment, concurrency)?;
            let idle_exit = idle_exit.map(|seconds| Duration::from_secs(seconds.into()));
            serve(&config, idle_exit, ephemeral, environment, output).await
        }
        WorkerCommand::Deregister { state, force } => {
            let config = read_config(&state, environment)?;
            let (text, name) = match worker::deregister(&StateFolder::existing(&config.state), force).await? {
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

fn show_registered(registered: &Registered, deploy_current: bool, config: &WorkerConfig, output: Output) {
    let Registered { identity, existed, current } = registered;
    let verb = if *existed { "is registered" } else { "registered" };
    let mut text =
        format!("worker {} {verb} in {} ({})", identity.name, identity.environment, identity.worker_id);
    if deploy_current && *existed {
        text.push_str("\nit was there before: nothing is deployed for it");
    } else if deploy_current && current.is_empty() {
        text.push_str("\nnothing is current there: no deployment ever ended well");
    }
    for CurrentRelease { project, release, message, .. } in current {
        let release = release.as_deref().unwrap_or_default();
        let _ = write!(text, "\n{project} {release}: {message}");
    }
    let value = json!({
        "worker_id": identity.worker_id, "name": identity.name, "environment": identity.environment,
        "server": identity.server, "existed": existed, "state": config.state, "current": current,
    });
    output.result(text, &value);
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
        limits: Limits { log: config.log_limit, cache: config.cache_size, minimum_free: config.minimum_free },
    };
    let stopping = Stopping::default();
    let leave = CancellationToken::new();
    shutdown::listen(stopping.drain.clone(), stopping.cancel.clone(), leave.clone())
        .map_err(|source| CliError::Io { act: "listening for signals".to_owned(), source })?;
    tokio::select! {
        ended = worker::run(worker, stopping) => ended?,
        () = leave.cancelled() => return Ok(Exit::Cancelled),
    }
    if ephemeral {
        // Without force: what could not be reported is found out by whoever takes it over, and this worker is known
        // until then.
        worker::deregister(&StateFolder::existing(&config.state), false).await?;
    }
    Ok(Exit::Done)
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
