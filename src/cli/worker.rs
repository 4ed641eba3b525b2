//! `octarm worker`.

mod deregister;
mod doctor;
mod logs;
mod machine;
mod register;
mod run;
mod status;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use self::{deregister::PATIENCE, logs::LogsArgs, machine::machine, register::RegisterArgs};
use super::{CliError, Output, config};
use crate::{
    aws::FunctionName,
    config::{Environment, Flags, WorkerConfig},
    exit::Exit,
    worker::Leave,
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
    /// Look whether this worker could deploy: folder, disk, network, credential, and every permission of AWS. Nothing is
    /// changed, and no call of AWS is made that could change something
    #[command(after_help = "Example:\n  octarm worker doctor --function CI-Orders")]
    Doctor {
        #[command(flatten)]
        state: StateArgs,
        /// A function that it is to deploy to, by its whole name; may be repeated. Without it permissions are asked for all
        /// that the convention names for the environment
        #[arg(long = "function", value_name = "NAME")]
        functions: Vec<FunctionName>,
    },
    /// The worker's settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what this worker does at the moment, also while the server is away
    #[command(after_help = "Example, in a script:\n  octarm worker status || systemctl start octarm-worker")]
    Status {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Show what this worker's deployments said, from its own copy: also while the server is away
    #[command(after_help = "Example:\n  octarm worker logs --follow --since 10m")]
    Logs {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        args: LogsArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show every setting with where it comes from: a flag, a variable, the file, or nobody
    Show {
        #[command(flatten)]
        state: StateArgs,
    },
}

pub(super) async fn run(
    command: WorkerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        WorkerCommand::Register(args) => register::run(*args, environment, output).await,
        WorkerCommand::Run { state, concurrency, idle_exit, ephemeral } => {
            let concurrency = concurrency.map(|number| ("deployments.concurrency", number.to_string()));
            let known = environment.clone();
            let read = move || read_config_with(&state, &known, concurrency.clone());
            let idle_exit = idle_exit.map(|seconds| Duration::from_secs(seconds.into()));
            run::serve(read, idle_exit, ephemeral, environment, output).await
        }
        WorkerCommand::Deregister { state, force, wait } => {
            let config = read_config(&state, environment)?;
            let patience = wait.map_or(PATIENCE, |seconds| Duration::from_secs(seconds.into()));
            let leave = if force { Leave::Forced } else { Leave::Drained(patience) };
            deregister::run(&config, leave, output).await
        }
        WorkerCommand::Doctor { state, functions } => {
            let config = read_config(&state, environment)?;
            Box::pin(doctor::doctor(&config, functions, environment, output)).await
        }
        WorkerCommand::Config(ConfigCommand::Show { state }) => {
            let flags = flags(&state);
            config::show(&WorkerConfig::traced(state.config.as_deref(), environment, &flags)?, output);
            Ok(Exit::Done)
        }
        WorkerCommand::Status { state } => {
            let config = read_config(&state, environment)?;
            status::status(&config, output)
        }
        WorkerCommand::Logs { state, args } => {
            let config = read_config(&state, environment)?;
            logs::logs(&config, args, output).await
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
    let flags = flags(args).into_iter().chain(flag).collect();
    Ok(WorkerConfig::read(args.config.as_deref(), environment, flags)?)
}

fn flags(args: &StateArgs) -> Flags {
    args.state.as_ref().map(|state| ("state", state.display().to_string())).into_iter().collect()
}
