//! `octarm registration-token`.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    api_key::NewSecret,
    connection::field,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::names,
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::RegistrationTokens;

#[derive(Debug, Subcommand)]
pub(super) enum RegistrationTokenCommand {
    /// Make a token; it is shown this once. It registers workers in one environment in place of an API key
    #[command(
        after_help = "Example:\n  octarm registration-token create --environment Production --expires-in 30m --token-file register.token\n  \
        octarm worker register --name web-1 --registration-token-file register.token"
    )]
    Create {
        /// The environment of its workers
        #[arg(long, value_name = "NAME")]
        environment: String,
        /// How long it registers any, as 90s, 30m, 12h or 7d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = read_time)]
        expires_in: Duration,
        /// How many workers it registers
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// It may also take a name over, where that is asked for: `worker register --replace`
        #[arg(long)]
        allow_replace: bool,
        /// Write the token into this new file, which only you can read, and do not show it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// List the tokens: what each is good for, never the token
    List,
    /// Delete a token: it registers nobody any more; who was registered by it stays
    Delete {
        /// Its id
        token: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// A time as people write it: a number and its unit.
fn read_time(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a time: expected a number and s, m, h or d, as 90s or 12h");
    let unit = text.chars().last().ok_or_else(refused)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(refused()),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| refused())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refused)
}

pub(super) async fn run(
    command: RegistrationTokenCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        RegistrationTokenCommand::Create { environment, expires_in, uses, allow_replace, token_file } => {
            let secret = NewSecret::prepare("registration token", token_file)?;
            let found = find(client, Collection::Environments, &environment).await;
            let made = match found {
                Ok(found) => {
                    let body = json!({
                        "EnvironmentId": found["Id"], "ExpiresInSeconds": expires_in.as_secs(), "Uses": uses,
                        "AllowReplace": allow_replace,
                    });
                    client.create(KIND, &environment, body).await.map_err(CliError::from)
                }
                Err(error) => Err(error),
            };
            let made = secret.or_withdraw(made)?;
            let act = "making a registration token";
            let id = field(&made, "Id", act)?;
            let many = if uses == 1 { "one worker".to_owned() } else { format!("{uses} workers") };
            let said = format!(
                "made the registration token {id}, which registers {many} in {environment} until {}",
                text(&made, "Expires")
            );
            secret.give(&said, made, "Token", "TokenFile", output)?;
        }
        RegistrationTokenCommand::List => {
            let all = client.list(KIND, None, &[], usize::MAX).await?.items;
            let environments = names(client, Collection::Environments).await?;
            let row = |token: &Value| {
                let environment = text(token, "EnvironmentId");
                json!({
                    "Id": token["Id"], "Token": format!("{}…", text(token, "Hint")), "State": token["State"],
                    "Environment": environments.get(environment).map_or(environment, String::as_str),
                    "Uses": format!("{}/{}", token["Used"], token["Uses"]), "Replaces": token["AllowReplace"],
                    "Expires": token["Expires"],
                })
            };
            let rows: Vec<Value> = all.iter().map(row).collect();
            let columns = ["Id", "Token", "Environment", "State", "Uses", "Replaces", "Expires"];
            table::show(&rows, &columns, &all.into(), output);
        }
        RegistrationTokenCommand::Delete { token, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &token).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(read_time(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "1", "h", "-1h", "1.5h", "1 h", "1w", "1é", "99999999999999999999d"] {
            assert!(read_time(text).unwrap_err().contains("expected a number"), "{text}");
        }
    }
}
