//! Which server, with which key. A key never stands on a command line.

use std::io::Read;

use secrecy::SecretString;
use serde_json::Value;

use super::{CliError, ServerArgs};
use crate::{
    client::{ServerClient, Trust},
    config::Environment,
};

/// No key file is as long as this.
const KEY_FILE_LIMIT: u64 = 4096;

/// The server's address and the API key.
pub(super) fn server_and_key(
    args: &ServerArgs,
    environment: &Environment,
) -> Result<(String, SecretString), CliError> {
    let server = args.server.clone().filter(|server| !server.is_empty()).ok_or(CliError::NoServer)?;
    let (key, origin) = match (&args.api_key_file, environment.get("OCTARM_API_KEY")) {
        (Some(file), _) => {
            let mut text = String::new();
            fs_err::File::open(file)
                .and_then(|file| file.take(KEY_FILE_LIMIT).read_to_string(&mut text))
                .map_err(|source| CliError::Io { act: "reading the API key".to_owned(), source })?;
            (text, format!("in `{}`", file.display()))
        }
        (None, Some(key)) if !key.is_empty() => (key.to_owned(), "in OCTARM_API_KEY".to_owned()),
        _ => return Err(CliError::NoKey),
    };
    let key = key.trim();
    let rest = key.strip_prefix("API-").unwrap_or_default();
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return Err(CliError::Key { origin });
    }
    Ok((server, key.to_owned().into()))
}

/// A client for them.
pub(super) fn client(args: &ServerArgs, environment: &Environment) -> Result<ServerClient, CliError> {
    let (server, key) = server_and_key(args, environment)?;
    Ok(ServerClient::new(&server, &trust(args), key)?)
}

/// Whom to take for the server.
pub(super) fn trust(args: &ServerArgs) -> Trust {
    Trust { fingerprint: args.fingerprint, ca_file: args.ca_file.clone() }
}

/// A text field that an answer must have.
pub(super) fn field<'v>(value: &'v Value, field: &'static str, act: &str) -> Result<&'v str, CliError> {
    value.get(field).and_then(Value::as_str).ok_or_else(|| CliError::Answer { act: act.to_owned(), field })
}
