//! The life of a daemon between its start and its end: signals, settings that are read again, the door of its health page.

use std::{net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use super::CliError;
use crate::{
    config::{Environment, LogConfig, ServerConfig, Tls, WorkerConfig},
    conventions::{Conventions, environment_name},
    health::Door,
    model::{Variable, chain},
    server::{CertificateRenewal, ServerError},
    shutdown::{self, Hangups, Wishes},
    systemd::Unit,
    telemetry::{self, Level, Telemetry},
    worker::{Live, LiveSettings, Renewal},
};

/// Signals become wishes.
pub(super) fn listen(
    wishes: Wishes,
    deadline: impl Fn() -> Option<Duration> + Send + Sync + 'static,
) -> Result<(), CliError> {
    shutdown::listen(wishes, deadline).map_err(unheard)
}

fn unheard(source: std::io::Error) -> CliError {
    CliError::Io { act: "listening for signals".to_owned(), source }
}

/// Opens the address where the daemon tells how it is, if there is to be one.
pub(super) async fn open_door(address: Option<SocketAddr>) -> Result<Option<Door>, CliError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |source| CliError::Io { act: format!("listening on {address} for `[health]`"), source };
    let door = Door::open(address).await.map_err(failed)?;
    let url = format!("http://{}", door.address().map_err(failed)?);
    info!(url, "telling how it is: /health, /ready, /metrics");
    Ok(Some(door))
}

/// What came of settings that were read again.
#[derive(Debug)]
pub(super) struct Reloaded {
    level: Level,
    changed: Vec<&'static str>,
    needs_restart: Vec<&'static str>,
}

impl Reloaded {
    /// Begins with what all daemons have.
    pub(super) fn of_log(running: &LogConfig, new: &LogConfig) -> Result<Self, CliError> {
        let LogConfig { format, level, file, rotation, size_mib, keep } = new;
        let level_read = telemetry::level(level)?;
        let mut reloaded = Self { level: level_read, changed: Vec::new(), needs_restart: Vec::new() };
        reloaded.live("log.level", *level != running.level);
        reloaded.later("log.format", *format != running.format);
        reloaded.later("log.file", *file != running.file);
        reloaded.later("log.rotation", *rotation != running.rotation);
        reloaded.later("log.size_mib", *size_mib != running.size_mib);
        reloaded.later("log.keep", *keep != running.keep);
        Ok(reloaded)
    }

    /// Notes a setting that holds from now on.
    pub(super) fn live(&mut self, name: &'static str, is_new: bool) {
        self.changed.extend(is_new.then_some(name));
    }

    /// Notes a setting that holds from the next start on.
    pub(super) fn later(&mut self, name: &'static str, is_new: bool) {
        self.needs_restart.extend(is_new.then_some(name));
    }
}

/// Reads the settings again at each SIGHUP, for as long as the handle lives. `reload` takes all of them over or none.
pub(super) fn on_hangup(
    unit: Unit,
    telemetry: Telemetry,
    mut reload: impl FnMut() -> Result<Reloaded, CliError> + Send + 'static,
) -> Result<AbortOnDropHandle<()>, CliError> {
    let mut hangups = Hangups::listen().map_err(unheard)?;
    let reloading = async move {
        loop {
            hangups.next().await;
            unit.reloading();
            // Whoever put the log file aside waits for this, whatever the settings are.
            if let Err(error) = telemetry.reopen() {
                error!(error = chain(&error), "the log goes on in the file that was open");
            }
            match reload() {
                Ok(Reloaded { level, changed, needs_restart }) => {
                    telemetry.set_level(level);
                    let list = |names: Vec<&str>| {
                        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
                    };
                    let (changed, needs_restart) = (list(changed), list(needs_restart));
                    info!(changed, needs_restart, "read the settings again");
                }
                Err(error) => {
                    error!(error = chain(&error), "the settings stay as they are: they cannot be read again");
                }
            }
            unit.reloaded();
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(reloading)))
}

/// The settings of a worker that are read again.
pub(super) struct WorkerReload {
    /// Those that hold.
    pub(super) running: WorkerConfig,
    /// The environment, which stays what it was at the start.
    pub(super) environment: Environment,
    /// Who is told.
    pub(super) renewal: Renewal,
    /// What the worker has.
    pub(super) live: Live,
}

impl WorkerReload {
    /// Takes over what may change in a worker that runs.
    pub(super) fn take(&mut self, new: WorkerConfig) -> Result<Reloaded, CliError> {
        let settings = live_settings(&new, &self.environment)?;
        let running = &mut self.running;
        let mut reloaded = Reloaded::of_log(&running.log, &new.log)?;
        // Each one by its name: a setting that is added is not forgotten here.
        let WorkerConfig {
            state,
            conventions,
            machine_id,
            from_environment,
            concurrency,
            log_limit,
            cache_size,
            minimum_free,
            drain_deadline,
            health,
            log,
            telemetry,
        } = new;
        let is_other = settings.conventions != self.live.now().conventions;
        reloaded.live("conventions", is_other || conventions != running.conventions);
        reloaded.live("variables.from_environment", from_environment != running.from_environment);
        reloaded.live("deployments.concurrency", concurrency != running.concurrency);
        reloaded.live("stop.drain_deadline_seconds", drain_deadline != running.drain_deadline);
        reloaded.later("state", state != running.state);
        reloaded.later("machine_id", machine_id != running.machine_id);
        reloaded.later("health", health != running.health);
        reloaded.later("telemetry", telemetry != running.telemetry);
        reloaded.later("deployments.log_limit", log_limit != running.log_limit);
        reloaded.later("cache.max_size", cache_size != running.cache_size);
        reloaded.later("disk.minimum_free", minimum_free != running.minimum_free);
        (running.conventions, running.from_environment) = (conventions, from_environment);
        (running.concurrency, running.drain_deadline) = (concurrency, drain_deadline);
        running.log.level = log.level;
        self.renewal.set(settings);
        Ok(reloaded)
    }
}

/// The settings of a server that are read again.
#[derive(Debug)]
pub(super) struct ServerReload {
    /// Those that hold.
    pub(super) running: ServerConfig,
    /// The certificate, where there is one.
    pub(super) certificate: Option<CertificateRenewal>,
}

impl ServerReload {
    /// Takes over what may change in a server that runs.
    pub(super) fn take(&mut self, new: ServerConfig) -> Result<Reloaded, CliError> {
        let running = &mut self.running;
        let mut reloaded = Reloaded::of_log(&running.log, &new.log)?;
        // Each one by its name: a setting that is added is not forgotten here.
        let ServerConfig {
            data,
            database_url,
            master_key,
            blobs,
            listen,
            public_url,
            lease,
            unknown_after,
            worker_session,
            tls,
            retention,
            health,
            log,
            telemetry,
        } = new;
        let is_other = |new: &Option<SecretString>, old: &Option<SecretString>| {
            new.as_ref().map(ExposeSecret::expose_secret) != old.as_ref().map(ExposeSecret::expose_secret)
        };
        reloaded.later("data", data != running.data);
        reloaded.later("database_url", is_other(&database_url, &running.database_url));
        reloaded.later("master_key", is_other(&master_key, &running.master_key));
        reloaded.later("blobs", blobs != running.blobs);
        reloaded.later("listen", listen != running.listen);
        reloaded.later("public_url", public_url != running.public_url);
        reloaded.later("lease_seconds", lease != running.lease);
        reloaded.later("unknown_after_seconds", unknown_after != running.unknown_after);
        reloaded.later("worker_session_seconds", worker_session != running.worker_session);
        reloaded.later("retention", retention != running.retention);
        reloaded.later("health", health != running.health);
        reloaded.later("telemetry", telemetry != running.telemetry);
        let is_files = |tls: &Tls| matches!(tls, Tls::Files { .. });
        if is_files(&tls) && is_files(&running.tls) {
            let renewed = self.certificate.as_mut().map(|certificate| certificate.renew(&tls));
            if let Some(fingerprint) = renewed.transpose().map_err(ServerError::Tls)?.flatten() {
                info!(%fingerprint, "new connections get a new certificate");
                reloaded.live("certificate", true);
            }
            running.tls = tls;
        } else {
            reloaded.later("tls", tls != running.tls);
        }
        running.log.level = log.level;
        Ok(reloaded)
    }
}

/// What of a worker's settings may change while it runs.
pub(super) fn live_settings(
    config: &WorkerConfig,
    environment: &Environment,
) -> Result<LiveSettings, CliError> {
    let conventions = Conventions::load(config.conventions.as_deref())?;
    Ok(LiveSettings {
        variables: own_variables(config, &conventions, environment),
        conventions,
        concurrency: config.concurrency,
        drain_deadline: config.drain_deadline,
    })
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
