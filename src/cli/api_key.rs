//! `octarm api-key`.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    connection::field,
    delete::{DeleteArgs, delete},
    find::{find, text},
    resource::names,
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
    model::Permission,
};

const KIND: Collection = Collection::ApiKeys;

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Make a key; it is shown this once. With `--space` it reaches that space alone
    #[command(
        after_help = "Example:\n  octarm api-key create build --may publish --days 90 --key-file build.key"
    )]
    Create {
        /// What it is for
        name: String,
        /// What it may do: read, publish (push packages, create releases), deploy, administer
        #[arg(long = "may", value_name = "PERMISSION", required = true)]
        permissions: Vec<Permission>,
        /// Deploy to these environments only
        #[arg(long = "environment", value_name = "NAME")]
        environments: Vec<String>,
        /// Stop working after so many days
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        /// Write the key into this new file, which only you can read, and do not show it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// List the keys: what each may do, never the key
    List,
    /// Show what a key may do, never the key
    Show {
        /// Its id or its name
        key: String,
    },
    /// Delete a key: it stops working at once
    Delete {
        /// Its id or its name
        key: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: ApiKeyCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ApiKeyCommand::Create { name, permissions, environments, days, key_file } => {
            let secret = NewSecret::prepare("API key", key_file)?;
            let words: Vec<String> = permissions.iter().map(ToString::to_string).collect();
            let body = json!({
                "Name": name, "Permissions": words, "Space": client.space(), "Environments": environments, "Days": days,
            });
            let made = secret.or_withdraw(client.create(KIND, &name, body).await.map_err(CliError::from))?;
            let id = field(&made, "Id", "making an API key")?;
            let text = format!("made the API key {name} ({id}), which may {}", words.join(", "));
            secret.give(&text, made, "ApiKey", "KeyFile", output)?;
        }
        ApiKeyCommand::List => {
            let all = client.list(KIND, None, &[], usize::MAX).await?.items;
            let environments = names(client, Collection::Environments).await?;
            let row = |key: &Value| {
                let (may, environments) = limits(key, &environments);
                json!({
                    "Id": key["Id"], "Name": key["Name"], "Key": hint(key), "May": may, "Environments": environments,
                    "Expires": key["Expires"],
                })
            };
            let rows: Vec<Value> = all.iter().map(row).collect();
            table::show(&rows, &["Id", "Name", "Key", "May", "Environments", "Expires"], &all.into(), output);
        }
        ApiKeyCommand::Show { key } => {
            let found = find(client, KIND, &key).await?;
            let (may, environments) = limits(&found, &names(client, Collection::Environments).await?);
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Key", hint(&found)),
                ("May", may),
                ("Environments", environments),
                ("Created", text(&found, "Created").to_owned()),
                ("Expires", text(&found, "Expires").to_owned()),
            ];
            table::card(&fields, &found, output);
        }
        ApiKeyCommand::Delete { key, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &key).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

/// As much of a key as the server keeps.
fn hint(key: &Value) -> String {
    format!("{}…", text(key, "Hint"))
}

/// What a key may do, and the environments it reaches where they are not all.
fn limits(key: &Value, environments: &BTreeMap<String, String>) -> (String, String) {
    let all = |name: &str, shown: &dyn Fn(&str) -> String| {
        let items = key[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.map(shown).collect::<Vec<_>>().join(",")
    };
    let name = |id: &str| environments.get(id).cloned().unwrap_or_else(|| id.to_owned());
    (all("Permissions", &str::to_owned), all("Environments", &name))
}

/// Where a secret goes that is given away once: into a new file that only its owner can read, or to standard output.
pub(super) struct NewSecret {
    kind: &'static str,
    file: Option<(fs_err::File, PathBuf)>,
}

impl NewSecret {
    /// Before the secret is made: one that nobody can read would only be in the way.
    pub(super) fn prepare(kind: &'static str, path: Option<PathBuf>) -> Result<Self, CliError> {
        let file = match path {
            Some(path) => Some((private(kind, &path)?, path)),
            None => None,
        };
        Ok(Self { kind, file })
    }

    /// What was made; where nothing was, the empty file does not keep the next try from its name.
    pub(super) fn or_withdraw(&self, made: Result<Value, CliError>) -> Result<Value, CliError> {
        if let (Err(_), Some((_, path))) = (&made, &self.file) {
            let _ = fs_err::remove_file(path);
        }
        made
    }

    /// Gives away what stands in the `field` of what was made. In its place the answer says in `place` where it is.
    pub(super) fn give(
        self,
        text: &str,
        mut made: Value,
        name: &'static str,
        place: &str,
        output: Output,
    ) -> Result<(), CliError> {
        let secret = field(&made, name, &format!("making the {}", self.kind))?;
        let Some((mut file, path)) = self.file else {
            output.result(format!("{text}; it is shown this once:\n{secret}"), &made);
            return Ok(());
        };
        writeln!(file, "{secret}")
            .and_then(|()| file.sync_all())
            .map_err(|source| CliError::Io { act: format!("keeping the {}", self.kind), source })?;
        if let Some(made) = made.as_object_mut() {
            made.remove(name);
            made.insert(place.to_owned(), path.display().to_string().into());
        }
        output.result(format!("{text}; it is in {}", path.display()), &made);
        Ok(())
    }
}

fn private(kind: &str, path: &Path) -> Result<fs_err::File, CliError> {
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| CliError::Io { act: format!("making the file for the {kind}"), source })
}
