//! `octarm server`.

use std::{fmt::Write as _, io::IsTerminal, path::Path};

use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{CliError, Output, ServerCommand, ServerPlace, ServerSettings};
use crate::{
    config::{Environment, Flags, LogConfig, ServerConfig},
    exit::Exit,
    server::{self, Rotated, Settings},
    shutdown, telemetry,
};

pub(super) async fn run(
    command: ServerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ServerCommand::Run { settings, address_file } => {
            let (settings, log) = read(settings, environment)?;
            serve(settings, &log, address_file.as_deref(), output).await
        }
        ServerCommand::CheckConfig { settings } => {
            for sentence in server::check(&read(settings, environment)?.0).await? {
                output.say(sentence);
            }
            Ok(Exit::Done)
        }
        ServerCommand::RotateMasterKey { place, new_key } => {
            let settings = read_place(place, Vec::new(), environment)?.0;
            let rotated = server::rotate_master_key(&settings, new_key.as_deref()).await?;
            tell_rotated(&rotated, output);
            Ok(Exit::Done)
        }
    }
}

fn read(given: ServerSettings, environment: &Environment) -> Result<(Settings, LogConfig), CliError> {
    let mut flags = Vec::new();
    flags.extend(given.listen.map(|listen| ("listen", listen.to_string())));
    flags.extend(given.tls.map(|tls| ("tls", tls)));
    flags.extend(given.tls_cert.map(|file| ("tls_cert", file.display().to_string())));
    flags.extend(given.tls_key.map(|file| ("tls_key", file.display().to_string())));
    read_place(given.place, flags, environment)
}

fn read_place(
    given: ServerPlace,
    mut flags: Flags,
    environment: &Environment,
) -> Result<(Settings, LogConfig), CliError> {
    flags.extend(given.data.map(|data| ("data", data.display().to_string())));
    flags.extend(given.database_url.map(|url| ("database_url", url)));
    let config = ServerConfig::read(given.config.as_deref(), environment, flags)?;
    let settings = Settings {
        database: config.database_url,
        master_key: config.master_key,
        lease: config.lease,
        unknown_after: config.unknown_after,
        tls: config.tls,
        ..Settings::new(config.data, config.listen)
    };
    Ok((settings, config.log))
}

/// What was done, and what is left to do for whoever asked.
fn tell_rotated(rotated: &Rotated, output: Output) {
    let mut text = match rotated.values {
        None => "the new master key is the database's already".to_owned(),
        Some(1) => "1 sensitive value is sealed with a new master key".to_owned(),
        Some(values) => format!("{values} sensitive values are sealed with a new master key"),
    };
    if let Some(old) = &rotated.old {
        let _ = write!(text, "; the old one, which backups made before need, is in `{}`", old.display());
    }
    if rotated.given {
        text.push_str("; give the new one as OCTARM_SERVER_MASTER_KEY from now on");
    } else if rotated.shared {
        text.push_str("; copy the new one to the data folders of the other servers of this database");
    }
    output.result(text, &json!({ "values": rotated.values, "old_key": rotated.old }));
}

async fn serve(
    settings: Settings,
    log: &LogConfig,
    address_file: Option<&Path>,
    output: Output,
) -> Result<Exit, CliError> {
    telemetry::start(log, output.has_stderr_colour())?;
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
    if let Some(file) = address_file {
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
