//! `octarm server`.

use std::{io::IsTerminal, path::Path};

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{CliError, Output, ServerCommand};
use crate::{
    config::{Environment, ServerConfig},
    exit::Exit,
    server::{self, Settings},
    shutdown, telemetry,
};

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
    flags.extend(given.blobs.map(|url| ("blobs", url)));
    flags.extend(given.blobs_endpoint.map(|url| ("blobs_endpoint", url)));
    flags.extend(given.blobs_region.map(|region| ("blobs_region", region)));
    flags.extend(given.listen.map(|listen| ("listen", listen.to_string())));
    flags.extend(given.tls.map(|tls| ("tls", tls)));
    flags.extend(given.tls_cert.map(|file| ("tls_cert", file.display().to_string())));
    flags.extend(given.tls_key.map(|file| ("tls_key", file.display().to_string())));
    let config = ServerConfig::read(given.config.as_deref(), environment, flags)?;
    let settings = Settings {
        database: config.database_url,
        master_key: config.master_key,
        blobs: config.blobs,
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

/// A reader finds the file whole or not at all.
fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::Io { act: "writing the server's address".to_owned(), source };
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs_err::write(&temporary, format!("{text}\n")).map_err(failed)?;
    fs_err::rename(&temporary, file).map_err(failed)
}
