//! `octarm server`.

use std::{
    fmt::Write as _,
    io::IsTerminal,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing::info;

use super::{CliError, Output, config, life};
use crate::{
    config::{Environment, Flags, ServerConfig},
    exit::Exit,
    server::{self, BackedUp, BackupError, Restored, Rotated, ServerError, Settings},
    shutdown::Wishes,
    store::{Judged, RESTORED},
    systemd::Unit,
    telemetry,
};

#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Serve until SIGTERM; SIGHUP reads log level and certificate again
    Run {
        #[command(flatten)]
        settings: ServerSettings,
        /// Write the server's URL into this file once it listens
        #[arg(long, value_name = "FILE")]
        address_file: Option<PathBuf>,
    },
    /// Remove what the settings of retention do not keep, and bytes that nothing names. A server that runs does it by
    /// itself; beside one this works where the database has a URL
    #[command(after_help = "Example:\n  octarm server prune --dry-run --releases-keep-count 20")]
    Prune {
        #[command(flatten)]
        settings: ServerSettings,
        /// Show what would go, and why everything else stays; remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Look whether a server could start: settings, folder, database, master key, certificate, address. Changes nothing
    CheckConfig {
        #[command(flatten)]
        settings: ServerSettings,
    },
    /// The server's settings
    #[command(subcommand)]
    Config(ServerConfigCommand),
    /// Write packages, tables and logs into one file, also while the server runs. With PostgreSQL, `pg_dump` the database
    /// first: its tables are not in the file
    #[command(
        after_help = "Example:\n  octarm server backup --data /var/lib/octarm/server --output octarm.backup"
    )]
    Backup {
        #[command(flatten)]
        place: ServerPlace,
        /// The file to write, which does not exist yet; `-` is standard output
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Also take what is secret: the master key, the certificate's key, the first API key. Who has such a file has
        /// everything
        #[arg(long)]
        with_master_key: bool,
    },
    /// Check a backup and put what it holds into an empty data folder
    #[command(after_help = "Example:\n  octarm server restore octarm.backup --data /var/lib/octarm/server")]
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        place: ServerPlace,
    },
    /// Make packages and finished logs this database's own, after a restore: those beside which another copy of it stands,
    /// which is gone for good
    #[command(
        after_help = "Example:\n  octarm server take-over --data /var/lib/octarm/server --blobs s3://packages"
    )]
    TakeOver {
        #[command(flatten)]
        place: ServerPlace,
    },
    /// Seal every sensitive value with a new master key, while no server runs. The old key is kept in the data folder under
    /// another name: backups made before need it
    #[command(after_help = "Example:\n  octarm server rotate-master-key --data /var/lib/octarm/server")]
    RotateMasterKey {
        #[command(flatten)]
        place: ServerPlace,
        /// A file that holds the new key, 64 hexadecimal digits; else one is made
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ServerConfigCommand {
    /// Show every setting with where it comes from: a flag, a variable, the file, or nobody
    Show {
        #[command(flatten)]
        settings: ServerSettings,
    },
}

/// Where the server keeps what it keeps.
#[derive(Debug, Clone, Args)]
pub(super) struct ServerPlace {
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
    /// The bucket that holds packages and finished logs instead of the folder; credentials come from where AWS's own tools
    /// have them
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    blobs: Option<String>,
    /// Where the bucket is answered for, where that is not AWS
    #[arg(long, value_name = "URL")]
    blobs_endpoint: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "REGION")]
    blobs_region: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ServerSettings {
    #[command(flatten)]
    place: ServerPlace,
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
    #[command(flatten)]
    retention: RetentionArgs,
}

/// What is kept of each kind, what either of its two says; everything where neither is given. The current and the last good
/// release of an environment are kept in any case, and what a kept release is made of.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
struct RetentionArgs {
    /// Keep the last so many releases of each environment of each project, and as many that were not deployed yet
    #[arg(long, value_name = "COUNT")]
    releases_keep_count: Option<u32>,
    /// Keep the releases that were made or deployed within so many days
    #[arg(long, value_name = "DAYS")]
    releases_keep_days: Option<u32>,
    /// Keep the so many highest versions of each package
    #[arg(long, value_name = "COUNT")]
    packages_keep_count: Option<u32>,
    /// Keep the packages that were pushed within so many days
    #[arg(long, value_name = "DAYS")]
    packages_keep_days: Option<u32>,
    /// Keep the log of a deployment for so many days after its end
    #[arg(long, value_name = "DAYS")]
    logs_days: Option<u32>,
}

pub(super) async fn run(
    command: ServerCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ServerCommand::Run { settings, address_file } => {
            let known = environment.clone();
            let read = move || read_config(settings.clone(), &known);
            serve(read, address_file.as_deref(), environment, output).await
        }
        ServerCommand::Prune { settings, dry_run } => {
            let settings = settings_of(read_config(settings, environment)?);
            show_pruned(&Box::pin(server::prune(&settings, dry_run)).await?, dry_run, output);
            Ok(Exit::Done)
        }
        ServerCommand::CheckConfig { settings } => {
            let right = server::check(&settings_of(read_config(settings, environment)?)).await?;
            output.result(right.join("\n"), &json!(right));
            Ok(Exit::Done)
        }
        ServerCommand::Config(ServerConfigCommand::Show { settings }) => {
            let (file, flags) = flags(settings);
            config::show(&ServerConfig::traced(file.as_deref(), environment, &flags)?, output);
            Ok(Exit::Done)
        }
        ServerCommand::Backup { place, output: file, with_master_key } => {
            let settings = settings_of(read_place(place, environment)?);
            if file == Path::new("-") {
                return stream_backup(&settings, with_master_key, output).await;
            }
            let made = server::backup(&settings, &file, with_master_key).await?;
            let (text, value) = told_backup(&file, &made);
            output.result(text, &value);
            Ok(Exit::Done)
        }
        ServerCommand::Restore { file, place } => {
            let settings = settings_of(read_place(place, environment)?);
            let restored = server::restore(&settings, &file).await?;
            tell_restored(&settings.data, &restored, output);
            Ok(Exit::Done)
        }
        ServerCommand::TakeOver { place } => {
            let taken = server::take_over(&settings_of(read_place(place, environment)?)).await?;
            let text = format!(
                "the packages in `{taken}` are this database's; no other copy of it removes any of them"
            );
            output.result(text, &json!({ "place": taken }));
            Ok(Exit::Done)
        }
        ServerCommand::RotateMasterKey { place, new_key } => {
            let settings = settings_of(read_place(place, environment)?);
            let rotated = server::rotate_master_key(&settings, new_key.as_deref()).await?;
            tell_rotated(&rotated, output);
            Ok(Exit::Done)
        }
    }
}

fn read_config(given: ServerSettings, environment: &Environment) -> Result<ServerConfig, CliError> {
    let (file, flags) = flags(given);
    Ok(ServerConfig::read(file.as_deref(), environment, flags)?)
}

fn read_place(place: ServerPlace, environment: &Environment) -> Result<ServerConfig, CliError> {
    let mut flags = Flags::new();
    let file = place.into_flags(&mut flags);
    Ok(ServerConfig::read(file.as_deref(), environment, flags)?)
}

/// The file that was named, and what the command line says.
fn flags(given: ServerSettings) -> (Option<PathBuf>, Flags) {
    let mut flags = Flags::new();
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
    let file = given.place.into_flags(&mut flags);
    (file, flags)
}

impl ServerPlace {
    fn into_flags(self, flags: &mut Flags) -> Option<PathBuf> {
        flags.extend(self.data.map(|data| ("data", data.display().to_string())));
        flags.extend(self.database_url.map(|url| ("database_url", url)));
        flags.extend(self.blobs.map(|url| ("blobs", url)));
        flags.extend(self.blobs_endpoint.map(|url| ("blobs_endpoint", url)));
        flags.extend(self.blobs_region.map(|region| ("blobs_region", region)));
        self.config
    }
}

fn settings_of(config: ServerConfig) -> Settings {
    Settings {
        database: config.database_url,
        master_key: config.master_key,
        public_url: config.public_url,
        blobs: config.blobs,
        lease: config.lease,
        unknown_after: config.unknown_after,
        worker_session: config.worker_session,
        tls: config.tls,
        retention: config.retention,
        ..Settings::new(config.data, config.listen)
    }
}

/// Makes a backup in the folder for temporary files, and writes it to standard output once it is checked.
async fn stream_backup(settings: &Settings, secrets: bool, output: Output) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { act: "keeping the backup until it is checked".to_owned(), source };
    output.refuse_terminal("a backup")?;
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("octarm.backup");
    let made = match server::backup(settings, &file, secrets).await {
        Err(ServerError::Backup(BackupError::Incomplete { troubles, .. })) => {
            output.stream(&file)?;
            return Err(ServerError::Backup(BackupError::Incomplete { file: "-".into(), troubles }).into());
        }
        made => made?,
    };
    output.stream(&file)?;
    let (text, value) = told_backup(Path::new("-"), &made);
    output.result_beside(&text, &value);
    Ok(Exit::Done)
}

fn told_backup(file: &Path, made: &BackedUp) -> (String, Value) {
    let mut text =
        format!("backed up {} files into `{}` ({} bytes), checked", made.files, file.display(), made.size);
    if !made.has_database {
        text.push_str(
            "\nthe tables are in PostgreSQL and not in it: keep with it a `pg_dump --format=custom` that was made before it",
        );
    }
    if !made.has_blobs {
        text.push_str("\npackages and finished logs are in the bucket and not in it: keep the bucket's objects as long as it");
    }
    if !made.left_out.is_empty() {
        let _ = write!(
            text,
            "\nnot in it, since they are secret: {}; keep them apart, for without the master key no sensitive value can be \
             read",
            made.left_out.join(", ")
        );
    }
    let value = json!({
        "file": file, "files": made.files, "size": made.size, "has_database": made.has_database,
        "has_blobs": made.has_blobs, "left_out": made.left_out,
    });
    (text, value)
}

fn tell_restored(data: &Path, restored: &Restored, output: Output) {
    let mut text =
        format!("restored {} files of {} into `{}`", restored.files, restored.made, data.display());
    if !restored.has_database {
        text.push_str(
            "\nthe tables are not among them: restore the dump that was made before this backup, with `pg_restore`, into an \
             empty database, and run in it: select setval('deployments_id_seq', nextval('deployments_id_seq') + 10000); so \
             that no number of a deployment means two things; and ",
        );
        text.push_str(&RESTORED.join("; "));
        text.push_str(
            "; the first of these two cancels what was queued when the dump was made, which may have been deployed \
             meanwhile: deploy it again if it is still wanted; the second makes it known as another one than its original",
        );
    }
    if !restored.has_blobs {
        text.push_str(
            "\npackages and finished logs stay where they are, in the bucket: where the original is gone for good, run \
             `octarm server take-over` before the server starts; a copy that shall live beside the original needs a copy of \
             its objects below another prefix, or each of the two deletes what the other has",
        );
    }
    if restored.has_database {
        text.push_str(
            "\nwhat was queued when the backup was made is cancelled: deploy it again if it is still wanted",
        );
    }
    if !restored.left_out.is_empty() {
        let _ = write!(
            text,
            "\nbefore the server starts, put these into the folder from where you keep them: {}",
            restored.left_out.join(", ")
        );
    } else if !restored.has_key {
        text.push_str(
            "\nthe master key was not in the folder: give it as OCTARM_SERVER_MASTER_KEY as before",
        );
    }
    let value = json!({
        "data": data, "files": restored.files, "made": restored.made, "has_database": restored.has_database, "has_blobs": restored.has_blobs,
        "has_master_key": restored.has_key, "left_out": restored.left_out,
    });
    output.result(text, &value);
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
    read: impl Fn() -> Result<ServerConfig, CliError> + Send + 'static,
    address_file: Option<&Path>,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let config = read()?;
    let (telemetry, _traces) = telemetry::start(
        (&config.log, &config.telemetry),
        "octarm-server",
        environment,
        output.has_stderr_colour(),
    )?;
    allow_connections();
    let unit = Unit::of_process(environment);
    let wishes = Wishes::default();
    let stop = wishes.drain.clone();
    // A server's requests end within seconds, or are cut off.
    life::listen(wishes, || None)?;

    let door = life::open_door(config.health.listen).await?;
    let settings = Settings { unit: unit.clone(), ..settings_of(config.clone()) };
    let server = server::start(settings).await?.with_door(door);
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
    let mut reload = life::ServerReload { running: config, certificate: server.certificate_renewal() };
    let _reloading = life::on_hangup(unit.clone(), telemetry, move || reload.take(read()?))?;
    // Last: who has read this line finds the file.
    // With it, workers and clients know this server: `--fingerprint`.
    let fingerprint = server.fingerprint().map(tracing::field::display);
    info!(url, fingerprint, "listening");
    unit.ready();
    unit.status(&format!("serving {url}"));
    server.serve(stop).await?;
    info!("stopped");
    Ok(Exit::Done)
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
