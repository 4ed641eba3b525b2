//! What both daemons have: a log for operators, an address for those who watch them, and an end.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::ConfigError;

/// How the daemon writes what its operators read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// For whom the lines are.
    pub format: LogFormat,
    /// A filter as of `tracing`: `info`, `debug`, `octarm=debug,info` …
    pub level: String,
    /// The file that is written instead of standard error.
    pub file: Option<PathBuf>,
    /// When that file is put aside and a new one begun.
    pub rotation: Rotation,
    /// How many MiB the file has when it is put aside for its size.
    pub size_mib: NonZeroU32,
    /// How many files that were put aside are kept.
    pub keep: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            file: None,
            rotation: Rotation::Size,
            size_mib: NonZeroU32::MIN.saturating_add(9),
            keep: 5,
        }
    }
}

impl LogConfig {
    /// Its settings by their names.
    pub(super) fn settings(&self) -> [(&'static str, Value); 6] {
        let Self { format, level, file, rotation, size_mib, keep } = self;
        let format = match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
            LogFormat::Journald => "journald",
        };
        let rotation = match rotation {
            Rotation::Size => "size",
            Rotation::Daily => "daily",
            Rotation::Never => "never",
        };
        [
            ("log.format", json!(format)),
            ("log.level", json!(level)),
            ("log.file", json!(file)),
            ("log.rotation", json!(rotation)),
            ("log.size_mib", json!(size_mib)),
            ("log.keep", json!(keep)),
        ]
    }
}

/// For whom the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; as `Journald` where the journal reads standard error.
    Text,
    /// For programs: a JSON object a line.
    Json,
    /// For systemd's journal, which has the time itself: the priority before each line.
    Journald,
}

/// When a log file is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// When it has grown to its size.
    Size,
    /// When a day of UTC is over.
    Daily,
    /// When somebody else does it and then sends SIGHUP, as logrotate can.
    Never,
}

/// Where the daemon tells how it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// The address; nowhere without one.
    pub listen: Option<SocketAddr>,
    /// Whether it may be one that other machines reach.
    pub allow_remote: bool,
}

impl HealthConfig {
    /// Nobody is asked for a key there, so other machines are let in only in so many words.
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        match self.listen {
            Some(address) if !address.ip().is_loopback() && !self.allow_remote => Err(ConfigError::Wrong {
                origin: None,
                reason: format!(
                    "`health.listen` is `{address}`, which other machines reach without a key: expected an address of this \
                     machine alone such as `127.0.0.1:9464`, or `health.allow_remote = true` beside it"
                ),
            }),
            _ => Ok(self),
        }
    }

    /// Its settings by their names.
    pub(super) fn settings(&self) -> [(&'static str, Value); 2] {
        let Self { listen, allow_remote } = self;
        [("health.listen", json!(listen)), ("health.allow_remote", json!(allow_remote))]
    }
}

/// Where the daemon sends its traces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The collector's address for OTLP over HTTP; nowhere without one.
    pub otlp_endpoint: Option<String>,
}

impl TelemetryConfig {
    /// The address stands in logs and in `config show`, so it holds no password.
    pub(super) fn checked(mut self) -> Result<Self, ConfigError> {
        self.otlp_endpoint = self.otlp_endpoint.filter(|url| !url.is_empty());
        let Some(url) = &self.otlp_endpoint else { return Ok(self) };
        let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let is_odd = |c: char| c.is_whitespace() || "@?#".contains(c);
        if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(is_odd)) {
            return Ok(self);
        }
        let reason = "`telemetry.otlp_endpoint` cannot be used, expected such as `http://127.0.0.1:4318`, without user, query \
                      or fragment";
        Err(ConfigError::Wrong { origin: None, reason: reason.to_owned() })
    }

    /// Its settings by their names.
    pub(super) fn settings(&self) -> [(&'static str, Value); 1] {
        let Self { otlp_endpoint } = self;
        [("telemetry.otlp_endpoint", json!(otlp_endpoint))]
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StopTable {
    drain_deadline_seconds: u32,
}

impl Default for StopTable {
    fn default() -> Self {
        // Five minutes before systemd's patience by the unit ends, so that what runs then is cancelled and not killed.
        Self { drain_deadline_seconds: 25 * 60 }
    }
}

impl StopTable {
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.drain_deadline_seconds.into())
    }
}
