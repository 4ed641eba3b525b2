//! What the daemons tell their operators: tracing, to standard error, to systemd's journal or to a file.

mod file;
mod journal;

use std::{io, path::PathBuf, sync::Arc};

use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    fmt::writer::BoxMakeWriter,
    layer::{Layered, SubscriberExt as _},
    reload,
    util::SubscriberInitExt as _,
};

use self::file::LogFile;
use crate::config::{Environment, LogConfig, LogFormat};

/// The log cannot be written as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log level cannot be understood.
    #[error("`{level}` is not a log level, expected such as `info`, `debug` or `octarm=debug,warn`")]
    Level {
        /// What was given.
        level: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The file cannot be written.
    #[error("opening the log file `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is written, for as long as the process lives.
#[derive(Debug)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    file: Option<Arc<LogFile>>,
}

/// A log level that can be understood.
#[derive(Debug)]
pub struct Level(EnvFilter);

/// Understands a level.
pub fn level(text: &str) -> Result<Level, TelemetryError> {
    let filter = EnvFilter::builder().parse(text);
    filter.map(Level).map_err(|source| TelemetryError::Level { level: text.to_owned(), source })
}

/// Starts writing. Once in a process.
pub fn start(
    config: &LogConfig,
    environment: &Environment,
    colour: bool,
) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(level(&config.level)?.0);
    let file = config.file.as_ref().map(|path| {
        LogFile::open(path.clone(), config)
            .map(Arc::new)
            .map_err(|source| TelemetryError::File { path: path.clone(), source })
    });
    let file = file.transpose()?;
    let writer = match &file {
        Some(file) => BoxMakeWriter::new(Arc::clone(file)),
        None => BoxMakeWriter::new(io::stderr),
    };
    let is_journal = || file.is_none() && journal::reads(io::stderr(), environment.get("JOURNAL_STREAM"));
    let layer = fmt::layer::<Layered<reload::Layer<EnvFilter, Registry>, Registry>>()
        .with_writer(writer)
        .with_target(false)
        .with_ansi(colour && file.is_none());
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in tests that run two daemons in one process, keeps the first.
    let _ = match config.format {
        LogFormat::Text if !is_journal() => registry.with(layer).try_init(),
        LogFormat::Text | LogFormat::Journald => {
            registry.with(layer.with_ansi(false).map_event_format(journal::Prioritised::new)).try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    Ok(Telemetry { filter: handle, file })
}

impl Telemetry {
    /// Writes what is as important as this from now on.
    pub fn set_level(&self, level: Level) {
        if let Err(error) = self.filter.reload(level.0) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }

    /// Goes on in the file that has the name now, where one is written: somebody may have put the other aside.
    pub fn reopen(&self) -> Result<(), TelemetryError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.reopen().map_err(|source| TelemetryError::File { path: file.path().to_owned(), source })
    }
}
