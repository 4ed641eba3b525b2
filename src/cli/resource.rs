//! What the commands for everything that the server holds have in common.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    CliError, Output,
    find::{find, text},
    table,
};
use crate::client::{ClientError, Collection, ServerClient};

/// Makes one; with `ignore_existing` finds the one that has the name. Answers whether it was made.
pub(super) async fn create(
    client: &ServerClient,
    collection: Collection,
    name: &str,
    body: Value,
    ignore_existing: bool,
    output: Output,
) -> Result<Value, CliError> {
    let kind = collection.one();
    match client.create(collection, name, body).await {
        Err(error) if ignore_existing && exists(&error) => {
            let found = find(client, collection, name).await?;
            output.result(format!("{kind} {name} exists"), &found);
            Ok(found)
        }
        made => {
            let made = made?;
            output.result(format!("created {kind} {name} ({})", text(&made, "Id")), &made);
            Ok(made)
        }
    }
}

/// Shows all of a collection.
pub(super) async fn list(
    client: &ServerClient,
    collection: Collection,
    columns: &[&str],
    output: Output,
) -> Result<(), CliError> {
    let all = client.list(collection, None, &[], usize::MAX).await?.items;
    table::show(&all, columns, &Value::Array(all.clone()), output);
    Ok(())
}

/// Puts what was given into a document.
pub(super) fn change(document: &mut Value, fields: &[(&str, Option<String>)]) {
    for (name, value) in fields {
        if let Some(value) = value {
            document[*name] = value.as_str().into();
        }
    }
}

/// Saves a document that was changed, and shows what became of it.
pub(super) async fn saved(
    client: &ServerClient,
    collection: Collection,
    document: Value,
    output: Output,
) -> Result<(), CliError> {
    let changed = client.change(collection, document).await?;
    let (name, id) = (text(&changed, "Name"), text(&changed, "Id"));
    output.result(format!("changed {} {name} ({id})", collection.one()), &changed);
    Ok(())
}

/// Whether a creation was refused because the name is taken. Octopus itself says that with 400 and in words alone.
pub(super) fn exists(error: &ClientError) -> bool {
    match error.status() {
        Some(409) => true,
        Some(400) => error.to_string().contains("already exists"),
        _ => false,
    }
}

/// What a person calls the one with this id; the id itself where there is none any more.
pub(super) async fn name_by_id(
    client: &ServerClient,
    collection: Collection,
    id: &str,
) -> Result<String, CliError> {
    if id.is_empty() {
        return Ok(String::new());
    }
    let names = names(client, collection).await?;
    Ok(names.get(id).cloned().unwrap_or_else(|| id.to_owned()))
}

/// What people call those of a collection, by their ids.
pub(super) async fn names(
    client: &ServerClient,
    collection: Collection,
) -> Result<BTreeMap<String, String>, CliError> {
    let all = client.list(collection, None, &[], usize::MAX).await?.items;
    let name = |item: &Value| (text(item, "Id").to_owned(), text(item, "Name").to_owned());
    Ok(all.iter().map(name).collect())
}
