//! Which server, with which key, and who said so. A key never stands on a command line.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{
    CliError,
    profile::{Profile, Profiles},
};
use crate::{
    client::{ClientError, Registrar, ServerClient, Trust},
    config::Environment,
    model::Fingerprint,
    protocol::REGISTRATION_PREFIX,
};

/// No key file is as long as this.
const KEY_FILE_LIMIT: u64 = 4096;

// No documentation comment: clap would take it for what the commands are about. A flag goes before the environment, and
// that before the profile. A profile that a flag names goes before the environment too, and a profile's key goes to the
// profile's server alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The server's address, such as http://127.0.0.1:8060 \
        [env: OCTARM_SERVER]"
    )]
    server: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A file that holds the API key, `-` is standard input; \
        or set OCTARM_API_KEY [env: OCTARM_API_KEY_FILE]"
    )]
    api_key_file: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "SHA256",
        help = "Take only the certificate with this fingerprint for the \
        server's; the server prints it when it starts [env: OCTARM_FINGERPRINT]"
    )]
    fingerprint: Option<Fingerprint>,
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A PEM file of authorities that vouch for the server, beside \
        those of this system [env: OCTARM_CA_FILE]"
    )]
    ca_file: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        conflicts_with = "server",
        help = "The server and key of this \
        profile; else those of `octarm profile use` [env: OCTARM_PROFILE]"
    )]
    profile: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "The space, by name, slug or id; else the profile's, else \
        the only one that the key reaches, else the first one [env: OCTARM_SPACE]"
    )]
    space: Option<String>,
}

/// A server, and who said so.
pub(super) struct Place {
    pub(super) server: String,
    pub(super) trust: Trust,
    pub(super) space: Option<String>,
    origin: String,
}

/// A server, the key for it, and where each came from.
struct Target {
    place: Place,
    key: SecretString,
    key_origin: String,
}

/// A profile that was chosen.
struct Chosen {
    profile: Profile,
    origin: String,
    /// A flag names it, so that it goes before the environment.
    is_flag: bool,
}

fn chosen(args: &ServerArgs, environment: &Environment) -> Result<Option<Chosen>, CliError> {
    // Who names neither needs no folder for profiles.
    let named = match (&args.profile, set(environment, "OCTARM_PROFILE")) {
        (Some(name), _) => Some((name.clone(), "`--profile`")),
        (None, Some(name)) => Some((name.to_owned(), "OCTARM_PROFILE")),
        (None, None) => None,
    };
    let path = match (Profiles::path(environment), &named) {
        (Err(error), Some(_)) => return Err(error.into()),
        (Err(_), None) => return Ok(None),
        (Ok(path), _) => path,
    };
    let is_whole = |name| set(environment, name).is_some();
    if named.is_none()
        && (args.server.is_some() || is_whole("OCTARM_SERVER"))
        && (args.api_key_file.is_some() || is_whole("OCTARM_API_KEY_FILE") || is_whole("OCTARM_API_KEY"))
    {
        // All is said: a profile could only get in the way of scripts that say all.
        return Ok(None);
    }
    let all = Profiles::read(&path)?;
    let Some((name, origin)) = named.or_else(|| Some((all.in_use.clone()?, "`octarm profile use`"))) else {
        return Ok(None);
    };
    let profile = all.get(&name, origin)?.clone();
    Ok(Some(Chosen { profile, origin: format!("the profile `{name}`"), is_flag: args.profile.is_some() }))
}

/// What the environment holds and is not empty.
fn set<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment.get(name).filter(|value| !value.is_empty())
}

/// A server, and what a worker is to be registered there by. A registration token goes before a key, which other commands of
/// the same script may need: it allows less. What stands on the command line goes before all of the environment.
pub(super) fn registrar(
    args: &ServerArgs,
    token_file: Option<&Path>,
    environment: &Environment,
) -> Result<(Place, Registrar), CliError> {
    let names_key = args.api_key_file.is_some() || args.profile.is_some();
    let named = |name| set(environment, name).filter(|_| !names_key);
    let (token, origin) = if let Some(file) = token_file {
        read_secret(file, "registration token")?
    } else if let Some(file) = named("OCTARM_REGISTRATION_TOKEN_FILE") {
        read_secret(Path::new(file), "registration token")?
    } else if let Some(token) = named("OCTARM_REGISTRATION_TOKEN") {
        (token.to_owned().into(), "OCTARM_REGISTRATION_TOKEN".to_owned())
    } else {
        let Target { place, key, .. } = target(args, environment)?;
        return Ok((place, Registrar::Key(key)));
    };
    let token = formed(&token, REGISTRATION_PREFIX).ok_or(CliError::RegistrationToken { origin })?;
    Ok((resolve(args, environment)?.0, Registrar::Token(token)))
}

/// The server's address and the API key.
fn target(args: &ServerArgs, environment: &Environment) -> Result<Target, CliError> {
    let (place, key) = resolve(args, environment)?;
    let (key, key_origin) = key?;
    Ok(Target { place, key, key_origin })
}

/// A key, and who said so.
type Key = (SecretString, String);

/// The server's address, and the API key, where there is one that can be read.
fn resolve(args: &ServerArgs, environment: &Environment) -> Result<(Place, Result<Key, CliError>), CliError> {
    let chosen = chosen(args, environment)?;
    let of_flag = chosen.as_ref().filter(|chosen| chosen.is_flag);
    let address = |chosen: &Chosen| (chosen.profile.server.clone(), chosen.origin.clone());
    let given = args.server.clone().filter(|server| !server.is_empty());
    let (server, server_origin) = given
        .map(|server| (server, "`--server`".to_owned()))
        .or_else(|| of_flag.map(address))
        .or_else(|| Some((set(environment, "OCTARM_SERVER")?.to_owned(), "OCTARM_SERVER".to_owned())))
        .or_else(|| chosen.as_ref().map(address))
        .ok_or(CliError::NoServer)?;
    // A key is for one server: what was kept for another is not sent to this one.
    let bound = chosen
        .as_ref()
        .filter(|chosen| chosen.profile.server.trim_end_matches('/') == server.trim_end_matches('/'));
    let kept =
        |chosen: &Chosen| Some((SecretString::from(chosen.profile.api_key.clone()?), chosen.origin.clone()));
    let by_flag = bound.filter(|chosen| chosen.is_flag);
    // So is one of the environment that names its server, when a flag asks for the profile of another.
    let is_of_another = server_origin != "`--server`"
        && set(environment, "OCTARM_SERVER")
            .is_some_and(|own| own.trim_end_matches('/') != server.trim_end_matches('/'));
    let set_key = |name| set(environment, name).filter(|_| !is_of_another);
    let key = if let Some(file) = &args.api_key_file {
        read_secret(file, "API key")
    } else if let Some(kept) = by_flag.and_then(kept) {
        Ok(kept)
    } else if let Some(file) = set_key("OCTARM_API_KEY_FILE") {
        read_secret(Path::new(file), "API key")
    } else if let Some(key) = set_key("OCTARM_API_KEY") {
        Ok((key.to_owned().into(), "OCTARM_API_KEY".to_owned()))
    } else {
        let other = chosen.as_ref().filter(|chosen| bound.is_none() && chosen.profile.api_key.is_some());
        let other = other.map(|chosen| chosen.origin.clone());
        bound.and_then(kept).ok_or(CliError::NoKey { server: server_origin.clone(), other })
    };
    let key = key.and_then(|(key, origin)| Ok((checked(&key, &origin)?, origin)));

    let pinned = by_flag.and_then(|chosen| chosen.profile.fingerprint);
    let fingerprint = match (args.fingerprint.or(pinned), set(environment, "OCTARM_FINGERPRINT")) {
        (Some(fingerprint), _) => Some(fingerprint),
        (None, Some(text)) => Some(text.parse().map_err(|source| CliError::Fingerprint { source })?),
        (None, None) => bound.and_then(|chosen| chosen.profile.fingerprint),
    };
    let vouched = by_flag.and_then(|chosen| chosen.profile.ca_file.clone());
    let ca_file = args
        .ca_file
        .clone()
        .or(vouched)
        .or_else(|| set(environment, "OCTARM_CA_FILE").map(PathBuf::from))
        .or_else(|| bound.and_then(|chosen| chosen.profile.ca_file.clone()));
    let space = args
        .space
        .clone()
        .or_else(|| by_flag.and_then(|chosen| chosen.profile.space.clone()))
        .or_else(|| set(environment, "OCTARM_SPACE").map(str::to_owned))
        .or_else(|| bound.and_then(|chosen| chosen.profile.space.clone()))
        .filter(|space| !space.trim().is_empty());
    Ok((Place { server, trust: Trust { fingerprint, ca_file }, space, origin: server_origin }, key))
}

/// A client for them.
pub(super) fn client(args: &ServerArgs, environment: &Environment) -> Result<ServerClient, CliError> {
    target(args, environment)?.client()
}

impl Target {
    fn client(self) -> Result<ServerClient, CliError> {
        let Self { place: Place { server, trust, space, origin }, key, key_origin } = self;
        let client = ServerClient::new(&server, &trust, key).map_err(|error| match error {
            source @ ClientError::Address { .. } => CliError::Address { origin: origin.clone(), source },
            error => error.into(),
        })?;
        Ok(client.in_space(space).told_by(&origin, &key_origin))
    }
}

/// The key that a profile is to keep.
pub(super) fn key_to_keep(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<Option<SecretString>, CliError> {
    let (key, origin) = match (file, set(environment, "OCTARM_API_KEY")) {
        (Some(file), _) => read_secret(file, "API key")?,
        (None, Some(key)) => (key.to_owned().into(), "OCTARM_API_KEY".to_owned()),
        (None, None) => return Ok(None),
    };
    checked(&key, &origin).map(Some)
}

/// Refuses a profile that no client could be made of.
pub(super) fn check(profile: &Profile) -> Result<(), CliError> {
    let trust = Trust { fingerprint: profile.fingerprint, ca_file: profile.ca_file.clone() };
    ServerClient::new(&profile.server, &trust, SecretString::default())?;
    Ok(())
}

/// A secret from a file, or from standard input.
fn read_secret(file: &Path, what: &str) -> Result<Key, CliError> {
    let failed = |source| CliError::Reading { act: format!("reading the {what}"), source };
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(KEY_FILE_LIMIT).read_to_string(&mut text).map_err(failed)?;
        return Ok((text.into(), "standard input".to_owned()));
    }
    fs_err::File::open(file)
        .and_then(|file| file.take(KEY_FILE_LIMIT).read_to_string(&mut text))
        .map_err(failed)?;
    Ok((text.into(), format!("`{}`", file.display())))
}

fn checked(key: &SecretString, origin: &str) -> Result<SecretString, CliError> {
    formed(key, "API-").ok_or_else(|| CliError::Key { origin: origin.to_owned() })
}

/// The secret without what stands around it, if it begins so and goes on with letters A to Z and digits.
fn formed(secret: &SecretString, prefix: &str) -> Option<SecretString> {
    let secret = secret.expose_secret().trim();
    let rest = secret.strip_prefix(prefix)?;
    let is_formed =
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_formed.then(|| secret.to_owned().into())
}

/// A text field that an answer must have.
pub(super) fn field<'v>(value: &'v Value, field: &'static str, act: &str) -> Result<&'v str, CliError> {
    value.get(field).and_then(Value::as_str).ok_or_else(|| CliError::Answer { act: act.to_owned(), field })
}
