//! The server's settings.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{ConfigError, Environment, Flags, LogConfig, default_folder, read};

/// How connections are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Plain HTTP for this machine alone, a certificate of our own making for everybody else.
    #[default]
    Automatic,
    /// Plain HTTP, whoever listens: a proxy in front of the server has TLS.
    Off,
    /// A certificate of our own making.
    SelfMade,
    /// These files: a chain of certificates and its key, in PEM.
    Files {
        /// The server's certificate, then those that vouch for it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

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
    /// How connections are protected.
    pub tls: Tls,
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
    tls: Option<Choice>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    log: LogConfig,
}

/// What can be chosen in a word.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Auto,
    SelfMade,
    Off,
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
        let tls = match (file.tls, file.tls_cert, file.tls_key) {
            (None | Some(Choice::Auto), Some(certificate), Some(key)) => Tls::Files { certificate, key },
            (None | Some(Choice::Auto), None, None) => Tls::Automatic,
            (Some(Choice::SelfMade), None, None) => Tls::SelfMade,
            (Some(Choice::Off), None, None) => Tls::Off,
            (Some(_), ..) => {
                return Err(ConfigError::Wrong {
                    origin: None,
                    reason:
                        "`tls` says one thing and `tls_cert` and `tls_key` another: leave one of the two out"
                            .to_owned(),
                });
            }
            (None, ..) => {
                return Err(ConfigError::Wrong {
                    origin: None,
                    reason: "of `tls_cert` and `tls_key` only one is set, expected both".to_owned(),
                });
            }
        };
        Ok(Self {
            tls,
            data: file.data.map_or_else(|| default_folder("data", "server", environment), Ok)?,
            listen: file.listen,
            lease: Duration::from_secs(file.lease_seconds.into()),
            unknown_after: Duration::from_secs(file.unknown_after_seconds.into()),
            log: file.log,
        })
    }
}
