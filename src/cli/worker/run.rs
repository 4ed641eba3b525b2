//! `octarm worker run`.

use std::time::Duration;

use rustix::{fs::Mode, process::umask};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{CliError, Output, deregister::PATIENCE, machine};
use crate::{
    config::{Environment, WorkerConfig},
    conventions::{Conventions, environment_name},
    deploy::Memory,
    exit::Exit,
    model::Variable,
    shutdown, telemetry,
    worker::{self, Leave, StateFolder, Stopping, Worker},
};

pub(super) async fn serve(
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
pub(super) fn own_variables(
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
