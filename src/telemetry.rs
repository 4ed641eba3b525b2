//! What the daemons tell their operators: tracing, to standard error.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};

/// The log level cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{level}` is not a log level, expected such as `info`, `debug` or `octarm=debug,warn`")]
pub struct TelemetryError {
    level: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts writing. Once in a process.
pub fn start(config: &LogConfig, colour: bool) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|source| TelemetryError { level: config.level.clone(), source })?;
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // A second start, as in tests that run two daemons in one process, keeps the first.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(colour).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
