//! `octarm api-key`.

use std::{io::Write as _, path::Path};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde_json::{Value, json};

use super::{
    ApiKeyCommand, CliError, Output,
    connection::{client, field},
    project::lines,
};
use crate::{config::Environment, exit::Exit};

pub(super) async fn run(
    command: ApiKeyCommand,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ApiKeyCommand::Create { server, name, permissions, environments, days, key_file } => {
            let client = client(&server, environment)?;
            // Before the key is made: one that nobody can read would only be in the way.
            let file = key_file.as_deref().map(private).transpose()?;
            let words: Vec<String> = permissions.iter().map(ToString::to_string).collect();
            let body =
                json!({ "Name": name, "Permissions": words, "Environments": environments, "Days": days });
            let made = client.create_api_key(&name, body).await;
            let mut made = match (made, &key_file) {
                (Err(error), Some(path)) => {
                    // Nothing was made: the empty file would keep the next try from its name.
                    let _ = fs_err::remove_file(path);
                    return Err(error.into());
                }
                (made, _) => made?,
            };
            let act = "making an API key";
            let (id, key) = (field(&made, "Id", act)?, field(&made, "ApiKey", act)?);
            let text = format!("made the API key {name} ({id}), which may {}", words.join(", "));
            match (file, &key_file) {
                (Some(mut file), Some(path)) => {
                    writeln!(file, "{key}").and_then(|()| file.sync_all()).map_err(|source| {
                        CliError::Io { act: format!("keeping the API key {id}"), source }
                    })?;
                    if let Some(made) = made.as_object_mut() {
                        made.remove("ApiKey");
                        made.insert("KeyFile".to_owned(), path.display().to_string().into());
                    }
                    output.result(format!("{text}; it is in {}", path.display()), &made);
                }
                _ => output.result(format!("{text}; it is shown this once:\n{key}"), &made),
            }
        }
        ApiKeyCommand::List { server } => {
            let all = client(&server, environment)?.api_keys().await?;
            output
                .result(lines(&shown(&all), &["Id", "Name", "Key", "May", "Environments", "Expires"]), &all);
        }
        ApiKeyCommand::Delete { server, key } => {
            let deleted = client(&server, environment)?.delete_api_key(&key).await?;
            let name = field(&deleted, "Name", "deleting an API key")?;
            output.result(format!("deleted the API key {name}: it stopped working"), &deleted);
        }
    }
    Ok(Exit::Done)
}

/// A new file that only its owner can read.
fn private(path: &Path) -> Result<fs_err::File, CliError> {
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| CliError::Io { act: "making the file for the API key".to_owned(), source })
}

/// The keys as a table shows them.
fn shown(all: &Value) -> Value {
    let joined = |value: &Value| match value.as_array() {
        Some(items) if !items.is_empty() => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Value::from(items.join(","))
        }
        _ => Value::Null,
    };
    let row = |key: &Value| {
        json!({
            "Id": key["Id"], "Name": key["Name"], "Key": format!("{}…", key["Hint"].as_str().unwrap_or_default()),
            "May": joined(&key["Permissions"]), "Environments": joined(&key["Environments"]), "Expires": key["Expires"],
        })
    };
    all.as_array().into_iter().flatten().map(row).collect::<Vec<_>>().into()
}
