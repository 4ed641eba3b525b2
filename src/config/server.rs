//! The server's settings.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{ConfigError, Environment, Flags, LogConfig, default_folder, read};

/// The server's settings, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where database, packages and keys are.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long a worker's lease lasts.
    pub lease: Duration,
    /// How long a silent worker's deployment waits for somebody to come back before it is `unknown`.
    pub unknown_after: Duration,
    /// What operators read.
    pub log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    #[serde(default = "default_lease")]
    lease_seconds: u32,
    #[serde(default = "default_unknown_after")]
    unknown_after_seconds: u32,
    #[serde(default)]
    log: LogConfig,
}

fn default_listen() -> SocketAddr {
    ([127, 0, 0, 1], 8060).into()
}

fn default_lease() -> u32 {
    60
}

fn default_unknown_after() -> u32 {
    15 * 60
}

impl ServerConfig {
    /// The file that is read when none is named.
    pub const FILE: &str = "/etc/octarm/server.toml";

    /// Reads file, environment (`OCTARM_SERVER_DATA`, `OCTARM_SERVER_LISTEN` …) and flags.
    pub fn read(file: Option<&Path>, environment: &Environment, flags: Flags) -> Result<Self, ConfigError> {
        let file: File = read(file, Path::new(Self::FILE), "OCTARM_SERVER", environment, flags)?;
        if file.lease_seconds == 0 {
            return Err(ConfigError::Wrong {
                origin: None,
                reason: "`lease_seconds` is 0, expected at least 1".to_owned(),
            });
        }
        Ok(Self {
            data: file.data.map_or_else(|| default_folder("data", "server", environment), Ok)?,
            listen: file.listen,
            lease: Duration::from_secs(file.lease_seconds.into()),
            unknown_after: Duration::from_secs(file.unknown_after_seconds.into()),
            log: file.log,
        })
    }
}
