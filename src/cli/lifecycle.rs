//! `octarm lifecycle`.

use std::str::FromStr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CliError, Output,
    delete::{DeleteArgs, delete},
    find::{find, ids, text},
    resource::{create, list, names, saved},
    table,
};
use crate::{
    client::{Collection, ServerClient},
    exit::Exit,
};

const KIND: Collection = Collection::Lifecycles;
const PHASES: &str = "A phase is 'NAME=ENVIRONMENT,…', followed by any of
  :min N      so many good deployments let a release go on; else one to each environment
  :optional   a release may pass it by
  :automatic  the server deploys to its environments by itself

Example:
  octarm lifecycle create Careful --phase 'Test=CI,QA:min 1:automatic' --phase Live=Production";

/// One phase as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    name: String,
    environments: Vec<String>,
    minimum: u32,
    is_optional: bool,
    is_automatic: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum LifecycleCommand {
    /// Create a lifecycle of phases in their order
    #[command(after_help = PHASES)]
    Create {
        /// Its name
        name: String,
        /// A phase, as below; without any a release may go anywhere
        #[arg(long = "phase", value_name = "PHASE")]
        phases: Vec<Phase>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Succeed when it is there already
        #[arg(long)]
        ignore_existing: bool,
    },
    /// List the lifecycles
    List,
    /// Show a lifecycle and its phases
    Show {
        /// Its name or id
        lifecycle: String,
    },
    /// Give a lifecycle other phases: those given are then all
    #[command(after_help = PHASES)]
    Update {
        /// Its name or id
        lifecycle: String,
        /// A phase, as below
        #[arg(long = "phase", value_name = "PHASE", required = true)]
        phases: Vec<Phase>,
    },
    /// Delete a lifecycle that no project and no channel follows
    Delete {
        /// Its name or id
        lifecycle: String,
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(
    command: LifecycleCommand,
    client: &ServerClient,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        LifecycleCommand::Create { name, phases, description, ignore_existing } => {
            let phases = documents(client, &phases).await?;
            let body = json!({ "Name": name, "Description": description, "Phases": phases });
            create(client, KIND, &name, body, ignore_existing, output).await?;
        }
        LifecycleCommand::List => list(client, KIND, &["Id", "Name", "Description"], output).await?,
        LifecycleCommand::Show { lifecycle } => {
            let found = find(client, KIND, &lifecycle).await?;
            let environments = names(client, Collection::Environments).await?;
            let named = |phase: &Value, field: &str| -> Vec<String> {
                let ids = phase[field].as_array().into_iter().flatten().filter_map(Value::as_str);
                ids.map(|id| environments.get(id).cloned().unwrap_or_else(|| id.to_owned())).collect()
            };
            let phases = found["Phases"].as_array().into_iter().flatten();
            let phases: Vec<String> = phases.map(|phase| sentence(phase, &named)).collect();
            let fields = [
                ("Id", text(&found, "Id").to_owned()),
                ("Name", text(&found, "Name").to_owned()),
                ("Description", text(&found, "Description").to_owned()),
                ("Phases", if phases.is_empty() { "none".to_owned() } else { phases.join("\n") }),
            ];
            table::card(&fields, &found, output);
        }
        LifecycleCommand::Update { lifecycle, phases } => {
            let mut found = find(client, KIND, &lifecycle).await?;
            found["Phases"] = documents(client, &phases).await?.into();
            saved(client, KIND, found, output).await?;
        }
        LifecycleCommand::Delete { lifecycle, delete: args } => {
            args.check()?;
            return delete(client, KIND, find(client, KIND, &lifecycle).await, &args, false, output).await;
        }
    }
    Ok(Exit::Done)
}

/// The phases as the server takes them.
async fn documents(client: &ServerClient, phases: &[Phase]) -> Result<Vec<Value>, CliError> {
    let mut documents = Vec::with_capacity(phases.len());
    for phase in phases {
        let environments = ids(client, Collection::Environments, &phase.environments).await?;
        let (automatic, optional) =
            if phase.is_automatic { (environments, Vec::new()) } else { (Vec::new(), environments) };
        documents.push(json!({
            "Name": phase.name, "AutomaticDeploymentTargets": automatic, "OptionalDeploymentTargets": optional,
            "MinimumEnvironmentsBeforePromotion": phase.minimum, "IsOptionalPhase": phase.is_optional,
        }));
    }
    Ok(documents)
}

/// A phase as it is typed, with what it means.
fn sentence(phase: &Value, named: &impl Fn(&Value, &str) -> Vec<String>) -> String {
    let automatic = named(phase, "AutomaticDeploymentTargets").into_iter().map(|name| name + " (automatic)");
    let all: Vec<String> = automatic.chain(named(phase, "OptionalDeploymentTargets")).collect();
    let minimum = phase["MinimumEnvironmentsBeforePromotion"].as_u64().unwrap_or(0);
    let minimum = if minimum == 0 { String::new() } else { format!("; min {minimum}") };
    let optional = if phase["IsOptionalPhase"] == true { "; optional" } else { "" };
    format!("{}: {}{minimum}{optional}", text(phase, "Name"), all.join(", "))
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (name, rest) = typed.split_once('=').ok_or("expected NAME=ENVIRONMENT,…")?;
        let mut parts = rest.split(':').map(str::trim);
        let environments = parts.next().unwrap_or_default().split(',').map(str::trim);
        let mut phase = Self {
            name: name.trim().to_owned(),
            environments: environments.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            minimum: 0,
            is_optional: false,
            is_automatic: false,
        };
        if phase.name.is_empty() {
            return Err("a phase has no name: expected NAME=ENVIRONMENT,…".to_owned());
        }
        if phase.environments.is_empty() {
            return Err(format!(
                "the phase `{}` has no environment: expected NAME=ENVIRONMENT,…",
                phase.name
            ));
        }
        for part in parts {
            match part.split_once(char::is_whitespace) {
                None if part == "optional" => phase.is_optional = true,
                None if part == "automatic" => phase.is_automatic = true,
                Some(("min", number)) => {
                    phase.minimum = number.trim().parse().map_err(|_| {
                        format!("`{part}` of the phase `{}` is not a number: expected min N", phase.name)
                    })?;
                }
                _ => {
                    return Err(format!(
                        "`{part}` of the phase `{}` is not known: expected min N, optional or automatic",
                        phase.name
                    ));
                }
            }
        }
        Ok(phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_as_they_are_typed() {
        let phase = |name: &str, environments: &[&str], minimum, is_optional, is_automatic| Phase {
            name: name.to_owned(),
            environments: environments.iter().map(|name| (*name).to_owned()).collect(),
            minimum,
            is_optional,
            is_automatic,
        };
        for (typed, expected) in [
            ("Live=Production", phase("Live", &["Production"], 0, false, false)),
            ("Test = CI, Q A :min 1:automatic", phase("Test", &["CI", "Q A"], 1, false, true)),
            ("A=B:optional", phase("A", &["B"], 0, true, false)),
        ] {
            assert_eq!(typed.parse(), Ok(expected), "{typed}");
        }
        for (typed, expected) in [
            ("Live", "expected NAME=ENVIRONMENT,…"),
            ("=CI", "a phase has no name"),
            ("A=,", "the phase `A` has no environment"),
            ("A=B:min x", "`min x` of the phase `A` is not a number"),
            ("A=B:min", "`min` of the phase `A` is not known"),
            ("A=B:fast", "`fast` of the phase `A` is not known"),
        ] {
            let error = typed.parse::<Phase>().unwrap_err();
            assert!(error.contains(expected), "{typed}: {error}");
        }
    }
}
