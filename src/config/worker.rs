//! The worker's settings.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ConfigError, Environment, Flags, LogConfig, Setting,
    daemon::{HealthConfig, StopTable, TelemetryConfig},
    default_folder,
    origin::traced,
    read,
    size::Size,
};

/// Each deployment needs room for a package and its zip.
const MOST: usize = 100;
/// What the names of variables begin with.
const PREFIX: &str = "OCTARM_WORKER";
/// A log that is cut shorter would not hold what a failure has to say.
const SHORTEST_LOG: u64 = 64 << 10;

/// The worker's settings, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Where the worker keeps its registration, its work and its local log.
    pub state: PathBuf,
    /// A folder whose conventions lie over the built-in ones.
    pub conventions: Option<PathBuf>,
    /// Which machine this is, where `/etc/machine-id` does not tell it apart, as in containers of one image.
    pub machine_id: Option<String>,
    /// The variables that the worker takes from its own environment: a place for values the server never sees.
    pub from_environment: Vec<String>,
    /// How many deployments it runs at a time.
    pub concurrency: NonZeroUsize,
    /// How many bytes of a deployment's log are sent; what is beyond that is left out of its middle. None is no limit.
    pub log_limit: Option<u64>,
    /// How many bytes of packages are kept for later deployments; 0 keeps none.
    pub cache_size: u64,
    /// How many bytes of its disk the worker leaves free: with less it takes no new work. 0 takes it all.
    pub minimum_free: u64,
    /// How long a worker that drains waits for what runs before it cancels it.
    pub drain_deadline: Duration,
    /// Where it tells how it is.
    pub health: HealthConfig,
    /// What operators read.
    pub log: LogConfig,
    /// Where its traces go.
    pub telemetry: TelemetryConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state: Option<PathBuf>,
    conventions: Option<PathBuf>,
    machine_id: Option<String>,
    #[serde(default)]
    variables: VariablesTable,
    #[serde(default)]
    deployments: DeploymentsTable,
    #[serde(default)]
    cache: CacheTable,
    #[serde(default)]
    disk: DiskTable,
    #[serde(default)]
    stop: StopTable,
    #[serde(default)]
    health: HealthConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    telemetry: TelemetryConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VariablesTable {
    from_environment: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeploymentsTable {
    concurrency: NonZeroUsize,
    log_limit: Size,
}

impl Default for DeploymentsTable {
    fn default() -> Self {
        Self { concurrency: NonZeroUsize::MIN, log_limit: Size::mib(32) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CacheTable {
    max_size: Size,
}

impl Default for CacheTable {
    fn default() -> Self {
        Self { max_size: Size::mib(1024) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiskTable {
    minimum_free: Size,
}

impl Default for DiskTable {
    fn default() -> Self {
        Self { minimum_free: Size::mib(512) }
    }
}

impl Default for VariablesTable {
    fn default() -> Self {
        let names = ["AWS.Deployment.Key", "AWS.Deployment.Secret", "AWS.Deployment.Region"];
        Self { from_environment: names.map(str::to_owned).to_vec() }
    }
}

impl WorkerConfig {
    /// The file that is read when none is named.
    pub const FILE: &str = "/etc/octarm/worker.toml";

    /// Reads file, environment (`OCTARM_WORKER_STATE`, `OCTARM_WORKER_LOG__LEVEL` …) and flags.
    pub fn read(file: Option<&Path>, environment: &Environment, flags: Flags) -> Result<Self, ConfigError> {
        let file: File = read(file, Path::new(Self::FILE), PREFIX, environment, flags)?;
        if let Some(name) = file.variables.from_environment.iter().find(|name| is_reserved(name)) {
            return Err(ConfigError::Wrong {
                origin: None,
                reason: format!(
                    "`variables.from_environment` lists `{name}`, but what says which deployment this is comes from the server alone"
                ),
            });
        }
        Ok(Self {
            state: file.state.map_or_else(|| default_folder("state", "worker", environment), Ok)?,
            conventions: file.conventions,
            machine_id: file.machine_id.filter(|id| !id.is_empty()),
            from_environment: file.variables.from_environment,
            concurrency: at_most(file.deployments.concurrency)?,
            log_limit: log_limit(file.deployments.log_limit)?,
            cache_size: file.cache.max_size.0,
            minimum_free: file.disk.minimum_free.0,
            drain_deadline: file.stop.deadline(),
            health: file.health.checked()?,
            log: file.log,
            telemetry: file.telemetry.checked()?,
        })
    }
}

impl WorkerConfig {
    /// The same, each with its origin.
    pub fn traced(
        file: Option<&Path>,
        environment: &Environment,
        flags: &Flags,
    ) -> Result<Vec<Setting>, ConfigError> {
        let settings = Self::read(file, environment, flags.clone())?.settings();
        traced(settings, file, Path::new(Self::FILE), PREFIX, environment, flags)
    }

    /// By their names in the file, in its order.
    fn settings(self) -> Vec<(&'static str, Value)> {
        let Self {
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
        } = self;
        let mut settings = vec![
            ("state", json!(state)),
            ("conventions", json!(conventions)),
            ("machine_id", json!(machine_id)),
            ("deployments.concurrency", json!(concurrency)),
            ("deployments.log_limit", json!(log_limit.unwrap_or(0))),
            ("cache.max_size", json!(cache_size)),
            ("disk.minimum_free", json!(minimum_free)),
            ("variables.from_environment", json!(from_environment)),
            ("stop.drain_deadline_seconds", json!(drain_deadline.as_secs())),
        ];
        settings.extend(log.settings());
        settings.extend(health.settings());
        settings.extend(telemetry.settings());
        settings
    }
}

fn at_most(concurrency: NonZeroUsize) -> Result<NonZeroUsize, ConfigError> {
    if concurrency.get() <= MOST {
        return Ok(concurrency);
    }
    Err(ConfigError::Wrong {
        origin: None,
        reason: format!("`deployments.concurrency` is {concurrency}, expected a number from 1 to {MOST}"),
    })
}

fn log_limit(Size(bytes): Size) -> Result<Option<u64>, ConfigError> {
    if bytes == 0 || bytes >= SHORTEST_LOG {
        return Ok(Some(bytes).filter(|bytes| *bytes > 0));
    }
    let reason =
        format!("`deployments.log_limit` is {bytes} bytes, expected at least `64 KiB`, or 0 for no limit");
    Err(ConfigError::Wrong { origin: None, reason })
}

fn is_reserved(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Octopus."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octopus_names_never_come_from_the_workers_environment() {
        let environment =
            [("OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT".to_owned(), "octopus.Environment.Name".to_owned())]
                .into_iter()
                .collect();
        let error = WorkerConfig::read(None, &environment, vec![("state", "/s".to_owned())]).unwrap_err();
        assert!(error.to_string().contains("comes from the server alone"), "{error}");
    }

    #[test]
    fn sizes_are_read_from_file_and_environment() {
        let read = |pairs: &[(&str, &str)]| {
            let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            WorkerConfig::read(None, &environment.collect(), vec![("state", "/s".to_owned())])
                .map_err(|error| error.to_string())
        };
        let usual = read(&[]).unwrap();
        assert_eq!(
            (usual.log_limit, usual.cache_size, usual.minimum_free),
            (Some(32 << 20), 1 << 30, 512 << 20)
        );
        let given = read(&[
            ("OCTARM_WORKER_DEPLOYMENTS__LOG_LIMIT", "0"),
            ("OCTARM_WORKER_CACHE__MAX_SIZE", "20 MiB"),
            ("OCTARM_WORKER_DISK__MINIMUM_FREE", "1000"),
        ])
        .unwrap();
        assert_eq!((given.log_limit, given.cache_size, given.minimum_free), (None, 20 << 20, 1000));
        let error = read(&[("OCTARM_WORKER_DEPLOYMENTS__LOG_LIMIT", "1 KiB")]).unwrap_err();
        assert!(
            error.contains("`deployments.log_limit` is 1024 bytes, expected at least `64 KiB`"),
            "{error}"
        );
        let error = read(&[("OCTARM_WORKER_CACHE__MAX_SIZE", "20 M")]).unwrap_err();
        assert!(error.contains("`20 M` is not a size"), "{error}");
    }
}
