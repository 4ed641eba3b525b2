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
    let (config, data, database_url, listen, run) = match command {
        ServerCommand::Run { config, data, database_url, listen, address_file } => {
            (config, data, database_url, listen, Some(address_file))
        }
        ServerCommand::CheckConfig { config, data, database_url, listen } => {
            (config, data, database_url, listen, None)
        }
    };
    let mut flags = Vec::new();
    flags.extend(data.map(|data| ("data", data.display().to_string())));
    flags.extend(database_url.map(|url| ("database_url", url)));
    flags.extend(listen.map(|listen| ("listen", listen.to_string())));
    let config = ServerConfig::read(config.as_deref(), environment, flags)?;
    let settings = Settings {
        database: config.database_url,
        master_key: config.master_key,
        lease: config.lease,
        unknown_after: config.unknown_after,
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
    let url = format!("http://{}", server.address());
    if let Some(file) = &address_file {
        write_whole(file, &url)?;
    }
    // Last: who has read this line finds the file.
    info!(url, "listening");
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
