//! Every error of a command, with its exit code.

use std::path::PathBuf;

use crate::{
    client::ClientError, config::ConfigError, conventions::ConventionsError, deploy::RedactorError,
    exit::Exit, package::PackageError, server::BackupError, server::ServerError, server::TlsError,
    store::StoreError, telemetry::TelemetryError, template::Unclean, worker::StateError, worker::WorkerError,
};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant passes on what its room says")]
pub enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Conventions(#[from] ConventionsError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Redactor(#[from] RedactorError),
    /// A local file.
    #[error("{act}")]
    Io {
        act: String,
        #[source]
        source: std::io::Error,
    },
    /// No server was named.
    #[error("no server: neither `--server` nor OCTARM_SERVER says which")]
    NoServer,
    /// No key was given.
    #[error("no API key: neither `--api-key-file`, OCTARM_API_KEY_FILE nor OCTARM_API_KEY gives one")]
    NoKey,
    /// A key that cannot be one.
    #[error("the API key {origin} is not of the form `API-` and letters A to Z and digits")]
    Key { origin: String },
    /// A variables file that cannot be one.
    #[error("the variables of {origin} cannot be read: {reason}")]
    Variables { origin: String, reason: String },
    /// A secret on the command line.
    #[error("`{name}` is sensitive and must not stand on the command line, where others can read it")]
    SensitiveArgument { name: String },
    /// Two sources say different things about which deployment this is.
    #[error("`{name}` is `{file}` in the variables file but `{environment}` in the environment ({variable})")]
    Disagreement { name: String, file: String, environment: String, variable: String },
    /// An answer without something it must have.
    #[error("{act}: the server's answer has no `{field}`")]
    Answer { act: String, field: &'static str },
    /// A version that cannot be one.
    #[error("`{given}` is not a version")]
    Version {
        given: String,
        #[source]
        source: crate::version::VersionError,
    },
    /// Nothing was given to do.
    #[error("nothing to set: give NAME=VALUE or `--sensitive FILE`")]
    NothingToSet,
    /// Packages that could not be pushed after others were.
    #[error("{pushed} of {total} packages were pushed")]
    Partly {
        pushed: usize,
        total: usize,
        #[source]
        source: Box<CliError>,
    },
    /// A text that does not come out whole.
    #[error("rendering the text")]
    Template {
        #[source]
        source: Unclean,
    },
    /// A package that is not there.
    #[error("the package `{}` does not exist or is not a regular file", .0.display())]
    NoPackage(PathBuf),
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) | Self::Worker(WorkerError::Client(error)) => match error {
                ClientError::Unreachable { .. }
                | ClientError::Damaged { .. }
                | ClientError::Refused { status: 502..=504, .. } => Exit::Unreachable,
                ClientError::Refused { .. } | ClientError::Unreadable { .. } => Exit::Refused,
                ClientError::Address { .. } => Exit::Usage,
                ClientError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                    Exit::Input
                }
                ClientError::File { .. } => Exit::Io,
            },
            Self::State(error) | Self::Worker(WorkerError::State(error)) => match error {
                StateError::Io(_) => Exit::Io,
                _ => Exit::Configuration,
            },
            Self::Server(
                ServerError::Locked { .. }
                | ServerError::KeyMissing { .. }
                | ServerError::KeyUnreadable { .. }
                | ServerError::NothingThere(_)
                | ServerError::NewKeyMissing
                | ServerError::HalfRestored { .. }
                | ServerError::Backup(BackupError::OtherEngine(_))
                | ServerError::Store(StoreError::Unusable(_) | StoreError::WrongKey)
                | ServerError::Tls(TlsError::Unreadable { .. } | TlsError::Empty(_) | TlsError::Unfit { .. }),
            ) => Exit::Configuration,
            Self::Server(ServerError::Store(StoreError::Unreachable(_))) => Exit::Unreachable,
            Self::Server(ServerError::Backup(error)) => match error {
                BackupError::Damaged { .. } | BackupError::Newer { .. } => Exit::Input,
                BackupError::Occupied(_) | BackupError::FolderOccupied { .. } => Exit::Usage,
                _ => Exit::Io,
            },
            Self::Config(_) | Self::Conventions(_) | Self::Telemetry(_) | Self::Disagreement { .. } => {
                Exit::Configuration
            }
            Self::Package(error) => match error {
                PackageError::Io { .. } => Exit::Io,
                PackageError::Occupied { .. } => Exit::Usage,
                _ => Exit::Input,
            },
            Self::Server(_) | Self::Io { .. } => Exit::Io,
            Self::NoServer
            | Self::NoKey
            | Self::Key { .. }
            | Self::SensitiveArgument { .. }
            | Self::NothingToSet
            | Self::Version { .. } => Exit::Usage,
            Self::Variables { .. } | Self::Template { .. } | Self::NoPackage(_) => Exit::Input,
            Self::Answer { .. } => Exit::Refused,
            Self::Redactor(_) => Exit::Bug,
            Self::Partly { source, .. } => source.exit(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Client(error) => return error.hint(),
            Self::Worker(error) => return error.hint(),
            Self::State(error) => return error.hint(),
            Self::Server(error) => return error.hint(),
            Self::Package(error) => return error.hint(),
            Self::Partly { source, .. } => return source.hint(),
            Self::NoServer => "name it: `--server http://127.0.0.1:8060`",
            Self::NoKey => "the server's first key is in `first-api-key` in its data folder",
            Self::SensitiveArgument { .. } => {
                "put it into a file that only you can read: `deploy --variables FILE`, or `variable set --sensitive FILE` for the server"
            }
            Self::Disagreement { .. } => "remove one of the two, or say it with the command's own option",
            Self::Variables { .. } => {
                r#"expected {"Name": "value", ...} or [{"k": "Name", "v": "value", "s": true}, ...]"#
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
