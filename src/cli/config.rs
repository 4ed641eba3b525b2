//! `config show` of both daemons.

use serde_json::{Value, json};

use super::{Output, table};
use crate::config::{Origin, Setting};

/// Shows every setting with its origin.
pub(super) fn show(settings: &[Setting], output: Output) {
    let rows: Vec<Value> = settings
        .iter()
        .map(|one| {
            let value = match &one.value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            json!({ "SETTING": one.key, "VALUE": value, "ORIGIN": one.origin.to_string() })
        })
        .collect();
    let documents: Vec<Value> = settings.iter().map(document).collect();
    table::show(&rows, &["SETTING", "VALUE", "ORIGIN"], &documents.into(), output);
}

fn document(setting: &Setting) -> Value {
    let origin = match &setting.origin {
        Origin::Flag(name) => json!({ "kind": "flag", "name": name }),
        Origin::Variable(name) => json!({ "kind": "environment", "name": name }),
        Origin::File { path, line } => json!({ "kind": "file", "path": path, "line": line }),
        Origin::Default => json!({ "kind": "default" }),
    };
    json!({ "key": setting.key, "value": setting.value, "origin": origin })
}
