//! Whether the value of a variable is asked for with each deployment.

use clap::Args;
use serde_json::{Value, json};

/// What stays as it was where nothing is said.
#[derive(Debug, Args)]
pub(in crate::cli) struct PromptArgs {
    /// Ask for the value with each deployment, under this label; the one set here is for those who give none
    #[arg(long = "prompt", value_name = "LABEL")]
    label: Option<String>,
    /// Refuse a deployment for which the value is empty
    #[arg(long, requires = "label")]
    required: bool,
    /// No longer ask for the value
    #[arg(long, conflicts_with = "label")]
    no_prompt: bool,
}

impl PromptArgs {
    /// The prompt of a value that had this one before.
    pub(super) fn over(&self, before: &Value) -> Value {
        match &self.label {
            Some(label) => {
                let mut prompt = if before.is_object() { before.clone() } else { json!({}) };
                prompt["Label"] = label.as_str().into();
                prompt["Required"] = self.required.into();
                prompt
            }
            None if self.no_prompt => Value::Null,
            None => before.clone(),
        }
    }
}

/// Whether and how a value is asked for.
pub(super) fn asked(prompt: &Value) -> String {
    if prompt.is_null() {
        return String::new();
    }
    let label = prompt["Label"].as_str().filter(|label| !label.trim().is_empty());
    let label = label.map(|label| format!(" as `{label}`")).unwrap_or_default();
    let required = if prompt["Required"] == true { ", required" } else { "" };
    format!("asked for{label}{required}")
}
