//! `octarm worker run`.

use std::time::Duration;

use rustix::{fs::Mode, process::umask};
use tracing::info;

use super::{CliError, Output, deregister::PATIENCE, machine};
use crate::{
    cli::life,
    config::{Environment, WorkerConfig},
    deploy::Memory,
    exit::Exit,
    shutdown::Wishes,
    systemd::Unit,
    telemetry,
    worker::{self, Health, Leave, Limits, Live, StateFolder, Stopping, Worker},
};

pub(super) async fn serve(
    read: impl Fn() -> Result<WorkerConfig, CliError> + Send + 'static,
    idle_exit: Option<Duration>,
    ephemeral: bool,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let config = read()?;
    // Packages, spools, journals and logs, wherever they are written: for this user alone.
    umask(Mode::RWXG | Mode::RWXO);
    let (telemetry, _traces) = telemetry::start(
        (&config.log, &config.telemetry),
        "octarm-worker",
        environment,
        output.has_stderr_colour(),
    )?;
    let unit = Unit::of_process(environment);
    let (live, renewal) = Live::new(life::live_settings(&config, environment)?);
    // Before anything is made or changed there.
    let identity = StateFolder::existing(&config.state).registered()?;
    let state = StateFolder::open(&config.state)?;
    let machine = machine(&config);
    let worker = Worker {
        state: state.lock()?,
        identity,
        machine: machine.clone(),
        live: live.clone(),
        health: Health::new(unit.clone()),
        door: life::open_door(config.health.listen).await?,
        memory: Memory::default(),
        idle_exit,
        limits: Limits { log: config.log_limit, cache: config.cache_size, minimum_free: config.minimum_free },
    };
    let wishes = Wishes::default();
    let stopping = Stopping { drain: wishes.drain.clone(), cancel: wishes.cancel.clone() };
    let leave = wishes.leave.clone();
    let until = live.clone();
    life::listen(wishes, move || Some(until.now().drain_deadline))?;
    let folder = StateFolder::existing(&config.state);
    let mut reload = life::WorkerReload { running: config, environment: environment.clone(), renewal, live };
    let _reloading = life::on_hangup(unit, telemetry, move || reload.take(read()?))?;
    let work = async {
        worker::run(worker, stopping).await?;
        if ephemeral {
            // Without force: it is known until the lease of what could not be reported has run out, so that nobody
            // begins in between.
            worker::deregister(&folder, &machine, Leave::Drained(PATIENCE), |text| info!("{text}")).await?;
            info!("deregistered");
        }
        Ok(Exit::Done)
    };
    tokio::select! {
        ended = work => ended,
        () = leave.cancelled() => Ok(Exit::Cancelled),
    }
}
