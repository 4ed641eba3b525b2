//! Every error of a command, with its exit code.

use std::{io::ErrorKind, path::PathBuf};

use super::ProfileError;
use crate::{
    blobs::BlobError, client::ClientError, config::ConfigError, conventions::ConventionsError,
    deploy::RedactorError, exit::Exit, model::FingerprintError, package::PackageError, server::BackupError,
    server::ServerError, server::TlsError, store::StoreError, telemetry::TelemetryError, template::Unclean,
    worker::StateError, worker::WorkerError,
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
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A local file.
    #[error("{act}")]
    Io {
        act: String,
        #[source]
        source: std::io::Error,
    },
    /// Deployments were asked for, and nobody knows whether they were made.
    #[error(transparent)]
    InDoubt(ClientError),
    /// A signal came while deployments were asked for.
    #[error("stopped by a signal before the server answered: deployments may have been made")]
    Interrupted,
    /// A file that was given to be read.
    #[error("{act}")]
    Reading {
        act: String,
        #[source]
        source: std::io::Error,
    },
    /// No server was named.
    #[error("no server: neither `--server`, OCTARM_SERVER nor a profile says which")]
    NoServer,
    /// An address that cannot be used, and who said it.
    #[error("the server's address comes from {origin}")]
    Address {
        origin: String,
        #[source]
        source: ClientError,
    },
    /// No key was given.
    #[error(
        "no API key for the server from {server}: neither `--api-key-file`, OCTARM_API_KEY_FILE nor OCTARM_API_KEY gives one"
    )]
    NoKey {
        server: String,
        /// The profile that is in use, where it is for another server.
        other: Option<String>,
    },
    /// A fingerprint in the environment that cannot be one.
    #[error("OCTARM_FINGERPRINT cannot be used")]
    Fingerprint {
        #[source]
        source: FingerprintError,
    },
    /// Nothing is called so.
    #[error("the {kind} `{named}` does not exist")]
    Unknown { kind: &'static str, named: String, nearest: Vec<String> },
    /// A name that is empty.
    #[error("which {kind}? its name is empty")]
    NoName { kind: &'static str },
    /// Several are called so.
    #[error("`{named}` names more than one {kind}: {}", ids.join(", "))]
    Several { kind: &'static str, named: String, ids: Vec<String> },
    /// A variable has several values.
    #[error("which value of `{name}`? {}", places.join("; "))]
    WhichValue { name: String, places: Vec<String> },
    /// A version without the project that it is of.
    #[error("`{version}` is not the id of a release, and no project was named")]
    NoProject { version: String },
    /// No release is in the environment that one is to be promoted from.
    #[error(
        "no release of `{project}` was deployed to `{environment}` with success: there is nothing to promote"
    )]
    NothingToPromote { project: String, environment: String },
    /// Nobody said yes.
    #[error("nothing was deleted: there is no terminal to ask on, and `--yes` was not given")]
    NotConfirmed,
    /// A file that stays as it is.
    #[error("`{}` exists already", .0.display())]
    Occupied(PathBuf),
    /// A key that cannot be one.
    #[error("the API key from {origin} is not of the form `API-` and letters A to Z and digits")]
    Key { origin: String },
    /// A registration token that cannot be one.
    #[error("the registration token from {origin} is not of the form `ORT-` and letters A to Z and digits")]
    RegistrationToken { origin: String },
    /// An API key does not say in which environment a worker is to be.
    #[error(
        "in which environment is the worker to be? `--environment` is not given, and there is no registration token"
    )]
    NoEnvironment,
    /// A variables file that cannot be one.
    #[error("the variables of {origin} cannot be read: {reason}")]
    Variables { origin: String, reason: String },
    /// A secret on the command line.
    #[error("`{name}` is sensitive and must not stand on the command line, where others can read it")]
    SensitiveArgument { name: String },
    /// A secret for a variable whose values are shown.
    #[error("`{name}` is not sensitive in the release: a secret that is given for it would stand in logs")]
    ShownVariable { name: String },
    /// One name with two values.
    #[error("variable `{name}` is given twice: on the command line or in the file, expected once")]
    GivenTwice { name: String },
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
    /// A file is made, never a stream.
    #[error(
        "`--output -`: expected a file's name, since nothing is written before all of it is known to be good"
    )]
    NoStream,
    /// A terminal for what it cannot show.
    #[error("standard output is a terminal, which cannot show {what}: expected a file or a pipe")]
    Terminal { what: &'static str },
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
    /// A folder that is not there.
    #[error("the folder `{}` does not exist or is not one", .0.display())]
    NoFolder(PathBuf),
    /// A package that is not there.
    #[error("the package `{}` does not exist or is not a regular file", .0.display())]
    NoPackage(PathBuf),
}

impl CliError {
    /// Whether it says that what was named does not exist.
    pub(super) fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::Client(ClientError::Refused { status: 404, .. } | ClientError::Name { .. })
        )
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) | Self::InDoubt(error) | Self::Worker(WorkerError::Client(error)) => {
                match error {
                    ClientError::Unreachable { .. }
                    | ClientError::Damaged { .. }
                    | ClientError::Refused { status: 502..=504, .. } => Exit::Unreachable,
                    ClientError::Refused { .. }
                    | ClientError::Unreadable { .. }
                    | ClientError::Foreign { .. }
                    | ClientError::Process { .. }
                    | ClientError::Name { .. } => Exit::Refused,
                    ClientError::Address { .. } => Exit::Usage,
                    ClientError::NoFile { .. } | ClientError::Content { .. } => Exit::Input,
                    ClientError::File { .. } => Exit::Io,
                }
            }
            Self::Worker(WorkerError::StillThere { .. }) => Exit::TimedOut,
            Self::State(error) | Self::Worker(WorkerError::State(error)) => match error {
                StateError::Io(_) => Exit::Io,
                StateError::NotRegistered(_) => Exit::NotRegistered,
                _ => Exit::Configuration,
            },
            Self::Server(
                ServerError::Locked { .. }
                | ServerError::KeyMissing { .. }
                | ServerError::KeyUnreadable { .. }
                | ServerError::NothingThere(_)
                | ServerError::ForeignBlobs { .. }
                | ServerError::CopiedBlobs { .. }
                | ServerError::BlobsElsewhere { .. }
                | ServerError::NewKeyMissing
                | ServerError::HalfRestored { .. }
                | ServerError::Backup(BackupError::OtherEngine(_))
                | ServerError::Store(StoreError::Unusable(_) | StoreError::WrongKey)
                | ServerError::Blobs(BlobError::BucketName(_) | BlobError::Prefix(_))
                | ServerError::Tls(TlsError::Unreadable { .. } | TlsError::Empty(_) | TlsError::Unfit { .. }),
            ) => Exit::Configuration,
            Self::Server(ServerError::Blobs(BlobError::Bucket(error))) if !error.may_have_acted() => {
                Exit::Configuration
            }
            Self::Server(
                ServerError::Store(StoreError::Unreachable(_)) | ServerError::Blobs(BlobError::Bucket(_)),
            ) => Exit::Unreachable,
            Self::Server(ServerError::Backup(error)) => match error {
                BackupError::Reading(source) => of_reading(source),
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
            Self::Reading { source, .. } => of_reading(source),
            Self::Server(_) | Self::Io { .. } => Exit::Io,
            Self::Profile(error) => error.exit(),
            Self::NoServer
            | Self::NoKey { .. }
            | Self::Address { .. }
            | Self::Fingerprint { .. }
            | Self::WhichValue { .. }
            | Self::NoName { .. }
            | Self::NoProject { .. }
            | Self::NotConfirmed
            | Self::Occupied(_)
            | Self::Key { .. }
            | Self::RegistrationToken { .. }
            | Self::NoEnvironment
            | Self::SensitiveArgument { .. }
            | Self::ShownVariable { .. }
            | Self::GivenTwice { .. }
            | Self::NothingToSet
            | Self::NoStream
            | Self::Terminal { .. }
            | Self::Version { .. } => Exit::Usage,
            Self::Variables { .. } | Self::Template { .. } | Self::NoFolder(_) | Self::NoPackage(_) => {
                Exit::Input
            }
            Self::Answer { .. }
            | Self::Unknown { .. }
            | Self::Several { .. }
            | Self::NothingToPromote { .. } => Exit::Refused,
            Self::Interrupted => Exit::Interrupted,
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
            Self::Telemetry(error) => return error.hint(),
            Self::Partly { source, .. } => return source.hint(),
            Self::Profile(error) => return error.hint(),
            Self::Address { source, .. } => return source.hint(),
            Self::Unknown { nearest, .. } if !nearest.is_empty() => {
                return Some(format!("the nearest names are: {}", nearest.join(", ")));
            }
            Self::InDoubt(_) | Self::Interrupted => {
                "look with `octarm deployment list` before you deploy again: what was asked for may be on its way"
            }
            Self::NoServer => {
                "name it: `--server http://127.0.0.1:8060`, or keep it with `octarm profile add`"
            }
            Self::NoKey { other: Some(other), .. } => {
                return Some(format!(
                    "the key of {other} is for another server, and is not sent to this one"
                ));
            }
            Self::Several { kind: "channel", .. } => {
                "say which by its id, or name the project: `--project NAME`"
            }
            Self::Several { .. } => "say which by its id",
            Self::WhichValue { .. } => {
                "say where the value holds, as `--environment NAME`; `--unscoped` is the one that holds everywhere, `--all` all of them"
            }
            Self::NoProject { .. } => "name the project: `--project NAME`",
            Self::NotConfirmed => "say `--yes` where nobody can be asked",
            Self::Occupied(_) => "say `--force` to replace it, or name another file with `--output`",
            Self::NoKey { .. } => "the server's first key is in `first-api-key` in its data folder",
            Self::SensitiveArgument { .. } => {
                "put it into a file that only you can read: `deploy --variables FILE`, or `variable set` and `release deploy` with `--sensitive FILE` for the server"
            }
            Self::ShownVariable { .. } => {
                "if it is no secret, give it with `--variable`; else make the variable sensitive and create a release"
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

/// What it means that a file cannot be read: that one is not there is the fault of whoever named it.
fn of_reading(error: &std::io::Error) -> Exit {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidData => {
            Exit::Input
        }
        _ => Exit::Io,
    }
}
