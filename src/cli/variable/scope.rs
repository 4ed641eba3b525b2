//! Scopes of variables as people say them and as the server keeps them.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::Value;

use crate::model::ScopeType;

/// Where the values hold: in one of each list that is given; the more particular value of a name wins.
#[derive(Debug, Args)]
pub(in crate::cli) struct ScopeArgs {
    /// Only in these environments
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// Only on these machines
    #[arg(long = "machine", value_name = "NAME")]
    machines: Vec<String>,
    /// Only in these steps of the process
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// Only for releases of these channels
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
}

/// The scope as Octopus's object of ids.
pub(super) fn scope_of(document: &Value, wanted: ScopeArgs) -> Value {
    let ScopeArgs { environments, machines, steps, channels } = wanted;
    let types = [
        (ScopeType::Environment, environments),
        (ScopeType::Machine, machines),
        (ScopeType::Action, steps),
        (ScopeType::Channel, channels),
    ];
    let filled = types.into_iter().filter(|(_, names)| !names.is_empty());
    filled
        .map(|(kind, names)| {
            let ids: Vec<_> = names.into_iter().map(|name| id_of(document, kind, name)).collect();
            (kind.as_str().to_owned(), Value::from(ids))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn id_of(document: &Value, kind: ScopeType, wanted: String) -> String {
    let mut found = known(document, kind.as_str())
        .filter(|(id, name)| name.eq_ignore_ascii_case(&wanted) || id.eq_ignore_ascii_case(&wanted));
    match (found.next(), found.next()) {
        (Some((id, _)), None) => id.to_owned(),
        // An unknown one goes to the server as it is, and so does one of several: its refusal names those there are.
        _ => wanted,
    }
}

/// A scope in words.
pub(super) fn place(document: &Value, scope: &Value) -> String {
    let types = members(scope).into_iter().map(|(word, ids)| {
        let kind = ScopeType::parse(&word);
        let name = |id: String| {
            let name = known(document, kind.map_or(&word, |kind| kind.as_str()))
                .find(|(known, _)| known.eq_ignore_ascii_case(&id))
                .map(|(_, name)| name.to_owned());
            name.unwrap_or(id)
        };
        let names: Vec<_> = ids.into_iter().map(name).collect();
        let word = kind.map_or(word, |kind| kind.word().to_owned());
        format!("{word} {}", names.join(", "))
    });
    types.collect::<Vec<_>>().join("; ")
}

/// The members of a scope by type, without the types that have none.
pub(super) fn members(scope: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let texts = |ids: &Value| -> BTreeSet<String> {
        ids.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let types = scope.as_object().into_iter().flatten();
    types.map(|(word, ids)| (word.clone(), texts(ids))).filter(|(_, ids)| !ids.is_empty()).collect()
}

/// Id and name of everything of this type among the set's scope values.
fn known<'d>(document: &'d Value, word: &str) -> impl Iterator<Item = (&'d str, &'d str)> {
    let list =
        if word == ScopeType::ProcessOwner.as_str() { "Processes".to_owned() } else { format!("{word}s") };
    let all = document["ScopeValues"].get(list).and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(|item| Some((item.get("Id")?.as_str()?, item.get("Name")?.as_str()?)))
}
