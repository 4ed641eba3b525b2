//! `octarm variable`: the variables of a project or of a library.

mod owner;
mod prompt;
mod scope;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use self::{
    owner::OwnerArgs,
    prompt::{PromptArgs, asked},
    scope::{ScopeArgs, members, place, scope_of},
};
use super::{
    CliError, Output,
    delete::DeleteArgs,
    find::{text, unknown},
    table,
    variables::{parse_pair, read_file, refuse_sensitive, refuse_sensitive_of, refuse_twice},
};
use crate::{client::ServerClient, conventions::Conventions, exit::Exit, model::Variable};

/// The last only where something is asked for.
const COLUMNS: [&str; 4] = ["Name", "Value", "Where", "Asked"];

#[derive(Debug, Subcommand)]
pub(super) enum VariableCommand {
    /// Set variables of a project or library; releases created from then on have them
    #[command(
        after_help = "Example:\n  octarm variable set --project Orders --environment Production Log.Level=warn"
    )]
    Set {
        #[command(flatten)]
        owner: OwnerArgs,
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        prompt: PromptArgs,
        /// Variables; not for sensitive values
        #[arg(value_name = "NAME=VALUE", value_parser = parse_pair)]
        variables: Vec<(String, String)>,
        /// A JSON file of sensitive variables, as of `deploy --variables`; `-` is standard input
        #[arg(long, value_name = "FILE")]
        sensitive: Option<PathBuf>,
    },
    /// List the variables of a project or library; sensitive values are not shown
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Show the values of one variable and where each holds; sensitive values are not shown
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Delete a variable; where it has several values, say by a scope which, or `--all`
    #[command(
        after_help = "Example:\n  octarm variable delete Log.Level --project Orders --environment Production --yes"
    )]
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        owner: OwnerArgs,
        #[command(flatten)]
        scope: ScopeArgs,
        /// The value that holds everywhere
        #[arg(long, conflicts_with_all = ["environments", "machines", "steps", "channels"])]
        unscoped: bool,
        /// Every value of it
        #[arg(long, conflicts_with_all = ["unscoped", "environments", "machines", "steps", "channels"])]
        all: bool,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: VariableCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        VariableCommand::Set { owner, scope, prompt, variables, sensitive } => {
            let conventions = Conventions::load(None)?;
            refuse_sensitive(&variables, &conventions)?;
            let mut all: Vec<Variable> =
                variables.into_iter().map(|(name, value)| Variable::plain(name, value)).collect();
            if let Some(file) = sensitive {
                let read = read_file(&file, &conventions)?;
                all.extend(
                    read.into_iter().map(|variable| Variable::sensitive(variable.name, variable.value)),
                );
            }
            if all.is_empty() {
                return Err(CliError::NothingToSet);
            }
            refuse_twice(all.iter().map(|variable| variable.name.as_str()))?;
            let document = owner.document(client).await?;
            let plain: Vec<_> = all.iter().filter(|variable| !variable.sensitive).collect();
            refuse_sensitive_of(plain.iter().map(|variable| variable.name.as_str()), &document)?;
            let scope = scope_of(&document, scope);
            let saved = client.save_variables(with(document, &all, &scope, &prompt)).await?;
            let names: Vec<&str> = all.iter().map(|variable| variable.name.as_str()).collect();
            output.result(format!("set {} of {}", names.join(", "), owner.name()), &saved);
        }
        VariableCommand::List { owner } => {
            let document = owner.document(client).await?;
            let rows = shown(&document, |_| true);
            table::show(&rows, columns(&rows), &document, output);
        }
        VariableCommand::Show { name, owner } => {
            let document = owner.document(client).await?;
            let found = named(&document, &name)?;
            let rows = shown(&document, |row| found.contains(row));
            table::show(&rows, columns(&rows), &found.into(), output);
        }
        VariableCommand::Delete { name, owner, scope, unscoped, all, delete } => {
            delete.check()?;
            let document = owner.document(client).await?;
            let found = match named(&document, &name) {
                Err(error) if delete.ignores(&error) => {
                    output.result(format!("{error}: nothing to delete"), &json!([]));
                    return Ok(Exit::Done);
                }
                found => found?,
            };
            let scope = scope_of(&document, scope);
            let is_scoped = !members(&scope).is_empty();
            let is_meant = |row: &Value| {
                if is_scoped || unscoped { members(&row["Scope"]) == members(&scope) } else { true }
            };
            let places = |rows: &[Value]| -> Vec<String> {
                let place = rows.iter().map(|row| place(&document, &row["Scope"]));
                place.map(|place| if place.is_empty() { "everywhere".to_owned() } else { place }).collect()
            };
            let meant: Vec<Value> = found.iter().filter(|row| is_meant(row)).cloned().collect();
            if meant.is_empty() || (meant.len() > 1 && !all) {
                return Err(CliError::WhichValue {
                    name: text(&found[0], "Name").to_owned(),
                    places: places(&found),
                });
            }
            let what =
                format!("{} of {}, {}", text(&meant[0], "Name"), owner.name(), places(&meant).join(" and "));
            if !delete.confirm(&what, output)? {
                return Ok(Exit::Declined);
            }
            let mut kept = document.clone();
            if let Some(rows) = kept["Variables"].as_array_mut() {
                rows.retain(|row| !meant.contains(row));
            }
            client.save_variables(kept).await?;
            output.result(format!("deleted {what}"), &meant.into());
        }
    }
    Ok(Exit::Done)
}

/// The values of one variable.
fn named(document: &Value, name: &str) -> Result<Vec<Value>, CliError> {
    let rows = || document["Variables"].as_array().into_iter().flatten();
    let found: Vec<Value> =
        rows().filter(|row| text(row, "Name").eq_ignore_ascii_case(name)).cloned().collect();
    if found.is_empty() {
        return Err(unknown("variable", name, rows().map(|row| text(row, "Name"))));
    }
    Ok(found)
}

/// The variables as a table shows them.
fn shown(document: &Value, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let rows = document["Variables"].as_array().into_iter().flatten().filter(|row| is_wanted(row));
    let shown = |row: &Value| {
        let hidden = Value::from("********");
        let value = if row["IsSensitive"] == true { &hidden } else { &row["Value"] };
        json!({
            "Name": row["Name"],
            "Value": value,
            "Where": place(document, &row["Scope"]),
            "Asked": asked(&row["Prompt"]),
        })
    };
    rows.map(shown).collect()
}

fn columns(rows: &[Value]) -> &'static [&'static str] {
    let is_asked = rows.iter().any(|row| row["Asked"] != "");
    if is_asked { &COLUMNS } else { &COLUMNS[..3] }
}

/// The document with these variables, in place of those of the same name and scope, of which all else stays.
fn with(mut document: Value, variables: &[Variable], scope: &Value, prompt: &PromptArgs) -> Value {
    let mut rows = document["Variables"].as_array().cloned().unwrap_or_default();
    for variable in variables {
        let is_replaced = |row: &Value| {
            let same_name =
                row["Name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&variable.name));
            same_name && members(&row["Scope"]) == members(scope)
        };
        // There is one at most: two of the same scope would tie.
        let place = rows.iter().position(is_replaced);
        let before = place.map(|place| rows.remove(place)).unwrap_or_default();
        rows.push(json!({
            "Id": before["Id"],
            "Name": variable.name,
            "Value": variable.value,
            "Description": before["Description"],
            "Type": if variable.sensitive { "Sensitive" } else { "String" },
            "IsSensitive": variable.sensitive,
            "Scope": scope,
            "Prompt": prompt.over(&before["Prompt"]),
        }));
    }
    document["Variables"] = rows.into();
    document
}
