//! What the daemons tell their operators: tracing, to standard error, to systemd's journal or to a file.

mod file;
mod journal;
mod traces;

use std::{io, path::PathBuf, sync::Arc};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, fmt::writer::BoxMakeWriter, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use self::file::LogFile;
pub use self::traces::Traces;
use crate::config::{Environment, LogConfig, LogFormat, TelemetryConfig};

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
    /// Traces are wished for, and this program cannot send any.
    #[error("`telemetry.otlp_endpoint` is set, but this octarm was built without OpenTelemetry")]
    NotBuilt,
    /// The sender of traces cannot be made.
    #[error("preparing to send traces to `{endpoint}`: {reason}")]
    Traces {
        /// The collector.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
}

impl TelemetryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = "build one that sends traces with `cargo build --release --features otel`, or leave the setting out";
        matches!(self, Self::NotBuilt).then(|| hint.to_owned())
    }
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

/// Starts writing, and sending traces where that is wished. Once in a process.
pub fn start(
    (config, traces): (&LogConfig, &TelemetryConfig),
    service: &'static str,
    environment: &Environment,
    colour: bool,
) -> Result<(Telemetry, Traces), TelemetryError> {
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
    let layer =
        fmt::layer::<Registry>().with_writer(writer).with_target(false).with_ansi(colour && file.is_none());
    // Traces have a filter of their own: who writes warnings alone may send every trace.
    let log = match config.format {
        LogFormat::Text if !is_journal() => layer.with_filter(filter).boxed(),
        LogFormat::Text | LogFormat::Journald => {
            layer.with_ansi(false).map_event_format(journal::Prioritised::new).with_filter(filter).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let (sending, traces) = traces::layer(traces.otlp_endpoint.as_deref(), service)?;
    let layers: Vec<traces::Boxed> = std::iter::once(log).chain(sending).collect();
    // A second start, as in tests that run two daemons in one process, keeps the first.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok((Telemetry { filter: handle, file }, traces))
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
