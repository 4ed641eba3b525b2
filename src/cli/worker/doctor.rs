//! `octarm worker doctor`.

use serde_json::{Value, json};

use super::{CliError, Output, machine};
use crate::{
    aws::FunctionName,
    cli::life::own_variables,
    config::{Environment, WorkerConfig},
    conventions::Conventions,
    exit::Exit,
    worker::{Diagnosis, Examination, Verdict, examine},
};

pub(super) async fn doctor(
    config: &WorkerConfig,
    functions: Vec<FunctionName>,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let conventions = Conventions::load(config.conventions.as_deref());
    let variables = match &conventions {
        Ok(conventions) => own_variables(config, conventions, environment),
        // Which of the variables are secret the built-in ones say too.
        Err(_) => own_variables(config, &Conventions::load(None)?, environment),
    };
    let found = examine(Examination {
        config,
        machine: machine(config),
        environment,
        conventions,
        variables,
        functions,
    })
    .await;
    let exit = if found.has_failed() { Exit::Unfit } else { Exit::Done };
    let value = json!({
        "ok": exit == Exit::Done,
        "checks": found.checks,
        "missing_policy": found.missing_policy,
        "needed_policy": found.needed_policy,
    });
    output.result(text(&found), &value);
    Ok(exit)
}

fn text(found: &Diagnosis) -> String {
    let mut lines = Vec::new();
    let width = found.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in &found.checks {
        lines.push(format!("{:8}  {:width$}  {}", check.verdict.word(), check.name, check.found));
        if let Some(hint) = &check.hint {
            lines.push(format!("{:8}  {:width$}  hint: {hint}", "", ""));
        }
    }
    let count = |verdict| found.checks.iter().filter(|check| check.verdict == verdict).count();
    lines.push(format!(
        "\n{} checks: {} ok, {} warnings, {} failed, {} unproven",
        found.checks.len(),
        count(Verdict::Ok),
        count(Verdict::Warning),
        count(Verdict::Failed),
        count(Verdict::Unproven)
    ));
    let pretty = |policy: &Value| format!("{policy:#}");
    match (&found.missing_policy, &found.needed_policy) {
        (Some(missing), _) => {
            lines.push(format!("\nThe smallest policy that is missing:\n{}", pretty(missing)));
        }
        // Where nobody could say what is missing, a person can compare.
        (None, Some(needed)) if found.checks.iter().any(|check| check.name == "AWS permissions") => {
            lines.push(format!("\nThe smallest policy that is needed:\n{}", pretty(needed)));
        }
        _ => {}
    }
    lines.join("\n")
}
