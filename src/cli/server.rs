//! `octarm server`.

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{CliError, Output};
use crate::{
    config::{Environment, ServerConfig},
    exit::Exit,
    server::{self, Settings},
    shutdown, telemetry,
};

#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Serve until SIGTERM
    Run {
        #[command(flatten)]
        settings: ServerSettings,
        /// Write the server's URL into this file once it listens
        #[arg(long, value_name = "FILE")]
        address_file: Option<PathBuf>,
    },
    /// Look whether a server could start: settings, folder, database, master key, certificate, address. Changes nothing
    CheckConfig {
        #[command(flatten)]
        settings: ServerSettings,
    },
}

#[derive(Debug, Args)]
pub(super) struct ServerSettings {
    /// The configuration file; else /etc/octarm/server.toml where there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for packages and keys, and for the database where it has no URL; else /var/lib/octarm/server for root,
    /// ~/.local/state/octarm/server for others
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The URL of a PostgreSQL that holds the tables instead of a file in that folder. A password is refused here:
    /// with one the URL goes into the environment or a file
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The address to listen on; else 127.0.0.1:8060
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// `auto`: TLS with a certificate of its own making unless it listens on this machine alone; `self-made`: always; `off`:
    /// plain HTTP, behind a proxy that has TLS
    #[arg(long, value_name = "auto|self-made|off")]
    tls: Option<String>,
    /// The server's certificate, in PEM, followed by those that vouch for it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

pub(super) async fn run(
    command: ServerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let (given, run) = match command {
        ServerCommand::Run { settings, address_file } => (settings, Some(address_file)),
        ServerCommand::CheckConfig { settings } => (settings, None),
    };
    let mut flags = Vec::new();
    flags.extend(given.data.map(|data| ("data", data.display().to_string())));
    flags.extend(given.database_url.map(|url| ("database_url", url)));
    flags.extend(given.listen.map(|listen| ("listen", listen.to_string())));
    flags.extend(given.tls.map(|tls| ("tls", tls)));
    flags.extend(given.tls_cert.map(|file| ("tls_cert", file.display().to_string())));
    flags.extend(given.tls_key.map(|file| ("tls_key", file.display().to_string())));
    let config = ServerConfig::read(given.config.as_deref(), environment, flags)?;
    let settings = Settings {
        database: config.database_url,
        master_key: config.master_key,
        public_url: config.public_url,
        lease: config.lease,
        unknown_after: config.unknown_after,
        tls: config.tls,
        ..Settings::new(config.data, config.listen)
    };
    let Some(address_file) = run else {
        for sentence in server::check(&settings).await? {
            output.say(sentence);
        }
        return Ok(Exit::Done);
    };
    telemetry::start(&config.log, output.has_stderr_colour())?;
    allow_connections();
    let stop = CancellationToken::new();
    shutdown::listen(stop.clone(), CancellationToken::new(), CancellationToken::new())
        .map_err(|source| CliError::Io { act: "listening for signals".to_owned(), source })?;

    let server = server::start(settings).await?;
    if let Some(first) = server.first_key() {
        // On a terminal a person looks; a log would keep it for everybody.
        if std::io::stdout().is_terminal() {
            output.say(format!("the first API key is {}", first.key.expose_secret()));
        }
    }
    let url = server.url();
    if let Some(file) = &address_file {
        write_whole(file, &url)?;
    }
    // Last: who has read this line finds the file.
    // With it, workers and clients know this server: `--fingerprint`.
    let fingerprint = server.fingerprint().map(tracing::field::display);
    info!(url, fingerprint, "listening");
    server.serve(stop).await?;
    info!("stopped");
    Ok(Exit::Done)
}

/// Every worker keeps a connection, and the limit that most systems begin with is for programs that have few.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = limit.current, "the limit of open files cannot be raised");
    }
}

/// A reader finds the file whole or not at all.
fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::Io { act: "writing the server's address".to_owned(), source };
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs_err::write(&temporary, format!("{text}\n")).map_err(failed)?;
    fs_err::rename(&temporary, file).map_err(failed)
}
