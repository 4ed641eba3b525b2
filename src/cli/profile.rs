//! `octarm profile`: servers by a name, each with its key, so that no command needs to be told both.

mod file;

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub use file::ProfileError;
pub(super) use file::{Profile, Profiles};

use super::{CliError, Output, connection, table};
use crate::{config::Environment, exit::Exit, model::Fingerprint};

/// Where they are, for those who look after what is kept on this machine.
pub(super) const PLACE: &str = "Profiles are kept in $XDG_CONFIG_HOME/octarm/profiles.toml, else in ~/.config/octarm/profiles.toml, for you alone.";

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// Keep a server, and the key for it, under a name; the first one is the one in use
    #[command(
        after_help = "Example:\n  octarm profile add production --server https://octarm.example.com --key-file key"
    )]
    Add {
        /// The profile's name
        name: String,
        /// The server's address, such as <https://octarm.example.com>
        #[arg(long, value_name = "URL")]
        server: String,
        /// Take only the certificate with this fingerprint for the server's
        #[arg(long, value_name = "SHA256")]
        fingerprint: Option<Fingerprint>,
        /// A PEM file of authorities that vouch for the server
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// Read the API key from this file, `-` is standard input, and keep a copy; else `OCTARM_API_KEY` where it is set
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// The space where commands name none, by name, slug or id
        #[arg(long, value_name = "NAME")]
        space: Option<String>,
        /// Put it in the place of the one that has this name
        #[arg(long)]
        replace: bool,
    },
    /// List the profiles, never the keys
    List,
    /// Take this profile where none is named
    Use {
        /// The profile's name
        name: String,
    },
    /// Forget a profile and its key
    Remove {
        /// The profile's name
        name: String,
    },
}

pub(super) fn run(
    command: ProfileCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let path = Profiles::path(environment)?;
    let _lock = match command {
        ProfileCommand::List => None,
        _ => Some(Profiles::lock(&path)?),
    };
    let mut all = Profiles::read(&path)?;
    match command {
        ProfileCommand::Add { name, server, fingerprint, ca_file, key_file, space, replace } => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(ProfileError::Name(name).into());
            }
            if all.profiles.contains_key(&name) && !replace {
                return Err(ProfileError::Exists(name).into());
            }
            let key = connection::key_to_keep(key_file.as_deref(), environment)?;
            let ca_file = ca_file.map(|file| std::path::absolute(&file)).transpose().map_err(|source| {
                CliError::Io { act: "finding the file of authorities".to_owned(), source }
            })?;
            let api_key = key.as_ref().map(|key| key.expose_secret().to_owned());
            let profile = Profile { server, fingerprint, ca_file, api_key, space };
            connection::check(&profile)?;
            let is_first = all.profiles.is_empty();
            let shown = shown(&name, &profile, is_first || all.in_use.as_ref() == Some(&name));
            all.profiles.insert(name.clone(), profile);
            if is_first {
                all.in_use = Some(name.clone());
            }
            all.keep(&path)?;
            let with = if key.is_some() { "its API key" } else { "no API key: OCTARM_API_KEY gives it" };
            let first = if is_first { "; it is the one in use" } else { "" };
            output.result(format!("profile {name} is in {}, with {with}{first}", path.display()), &shown);
        }
        ProfileCommand::List => {
            let rows = all.profiles.iter();
            let rows: Vec<Value> =
                rows.map(|(name, profile)| shown(name, profile, all.in_use.as_ref() == Some(name))).collect();
            table::show(&rows, &["Name", "Server", "Key", "InUse"], &rows.clone().into(), output);
        }
        ProfileCommand::Use { name } => {
            let shown = shown(&name, all.get(&name, "the command line")?, true);
            all.in_use = Some(name.clone());
            all.keep(&path)?;
            output.result(format!("profile {name} is the one in use"), &shown);
        }
        ProfileCommand::Remove { name } => {
            let shown = shown(&name, all.get(&name, "the command line")?, false);
            all.profiles.remove(&name);
            let was_in_use = all.in_use.as_ref() == Some(&name);
            if was_in_use {
                all.in_use = None;
            }
            all.keep(&path)?;
            let more = if was_in_use { "; now none is in use" } else { "" };
            output.result(format!("removed the profile {name} and its key{more}"), &shown);
        }
    }
    Ok(Exit::Done)
}

/// A profile without its key: as much of it as the server shows too.
fn shown(name: &str, profile: &Profile, in_use: bool) -> Value {
    let hint = profile.api_key.as_ref().map(|key| format!("{}…", key.chars().take(8).collect::<String>()));
    json!({
        "Name": name, "Server": profile.server, "Fingerprint": profile.fingerprint, "CaFile": profile.ca_file,
        "Key": hint, "Space": profile.space, "InUse": in_use,
    })
}
