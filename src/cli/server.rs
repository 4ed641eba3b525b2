//! `octarm server`.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{CliError, Output, RetentionArgs, ServerCommand};
use crate::{
    config::{Environment, ServerConfig},
    exit::Exit,
    server::{self, Settings},
    shutdown,
    store::Judged,
    telemetry,
};

pub(super) async fn run(
    command: ServerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let (given, act) = match command {
        ServerCommand::Run { settings, address_file } => (settings, Act::Run { address_file }),
        ServerCommand::Prune { settings, dry_run } => (settings, Act::Prune { dry_run }),
        ServerCommand::CheckConfig { settings } => (settings, Act::Check),
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
    let RetentionArgs {
        releases_keep_count,
        releases_keep_days,
        packages_keep_count,
        packages_keep_days,
        logs_days,
    } = given.retention;
    let limits = [
        ("retention.releases_keep_count", releases_keep_count),
        ("retention.releases_keep_days", releases_keep_days),
        ("retention.packages_keep_count", packages_keep_count),
        ("retention.packages_keep_days", packages_keep_days),
        ("retention.logs_days", logs_days),
    ];
    flags.extend(limits.into_iter().filter_map(|(name, limit)| Some((name, limit?.to_string()))));
    let config = ServerConfig::read(given.config.as_deref(), environment, flags)?;
    let settings = Settings {
        database: config.database_url,
        master_key: config.master_key,
        blobs: config.blobs,
        lease: config.lease,
        unknown_after: config.unknown_after,
        tls: config.tls,
        retention: config.retention,
        ..Settings::new(config.data, config.listen)
    };
    let address_file = match act {
        Act::Run { address_file } => address_file,
        Act::Prune { dry_run } => {
            show_pruned(&Box::pin(server::prune(&settings, dry_run)).await?, dry_run, output);
            return Ok(Exit::Done);
        }
        Act::Check => {
            for sentence in server::check(&settings).await? {
                output.say(sentence);
            }
            return Ok(Exit::Done);
        }
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

/// What is done with the settings.
enum Act {
    Run { address_file: Option<PathBuf> },
    Prune { dry_run: bool },
    Check,
}

fn show_pruned(things: &[Judged], dry_run: bool, output: Output) {
    let (going, staying): (Vec<&Judged>, Vec<&Judged>) = things.iter().partition(|thing| thing.goes);
    let list = |word: &str, things: &[&Judged]| {
        let line = |thing: &&Judged| format!("{word} {}: {}", thing.name, thing.why);
        things.iter().map(line).collect::<Vec<_>>()
    };
    let bytes: u64 = going.iter().map(|thing| thing.bytes_freed()).sum();
    let (goes, would) = if dry_run { ("would remove", "would go") } else { ("removed", "went") };
    let count = match going.len() {
        0 => "nothing".to_owned(),
        1 => "1 thing".to_owned(),
        count => format!("{count} things"),
    };
    let mut lines = [list(goes, &going), list("keeps", &staying)].concat();
    lines.push(format!("{count} {would}; {bytes} bytes are free by it"));
    let text = lines.join("\n");
    output.result(text, &json!({ "dry_run": dry_run, "things": things, "bytes": bytes }));
}

/// A reader finds the file whole or not at all.
fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source| CliError::Io { act: "writing the server's address".to_owned(), source };
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs_err::write(&temporary, format!("{text}\n")).map_err(failed)?;
    fs_err::rename(&temporary, file).map_err(failed)
}
