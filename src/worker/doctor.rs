//! Looks whether a worker could do its work: folder, disk, server, credential, AWS. It reads and simulates; no call that
//! changes anything at AWS is made, not even to try, and what could not be proven is said to be so.

mod cloud;
mod folder;
mod network;

use serde::Serialize;
use serde_json::Value;

use crate::{
    aws::FunctionName,
    config::{Environment, WorkerConfig},
    conventions::{Conventions, ConventionsError},
    model::{Variable, causes},
    protocol::Machine,
};

/// What to look at. Not to be printed: the environment holds secrets.
pub struct Examination<'e> {
    /// The worker's settings.
    pub config: &'e WorkerConfig,
    /// The machine it runs on.
    pub machine: Machine,
    /// The process's environment.
    pub environment: &'e Environment,
    /// The conventions, or why they cannot be used.
    pub conventions: Result<Conventions, ConventionsError>,
    /// The variables from the worker's own environment.
    pub variables: Vec<Variable>,
    /// Functions that it is to deploy to, by their whole names.
    pub functions: Vec<FunctionName>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Every check, in the order of their making.
    pub checks: Vec<Check>,
    /// The smallest policy that allows what is not allowed yet; none where nothing is known to be missing.
    pub missing_policy: Option<Value>,
    /// The smallest policy that allows everything deployments of this worker need, as far as that is known here.
    pub needed_policy: Option<Value>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something that may become a problem.
    Warning,
    /// Deployments would fail.
    Failed,
    /// Nobody can know from here.
    Unproven,
}

impl Verdict {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Unproven => "unproven",
        }
    }
}

impl Diagnosis {
    /// Whether deployments would fail.
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Verdict::Failed)
    }
}

/// Looks at everything. One thing that is wrong hides as few others as can be.
pub async fn examine(examination: Examination<'_>) -> Diagnosis {
    let Examination { config, machine, environment, conventions, variables, functions } = examination;
    let (mut checks, identity) = folder::examine(&config.state);
    let conventions = match conventions {
        Ok(conventions) => {
            let place =
                config.conventions.as_ref().map(|folder| format!(", `{}` over them", folder.display()));
            checks.push(Check::ok("conventions", format!("the built-in ones{}", place.unwrap_or_default())));
            Some(conventions)
        }
        Err(error) => {
            checks.push(Check::failed("conventions", said(&error)));
            None
        }
    };
    match &identity {
        Some(identity) => checks.extend(network::examine(identity, &machine, environment).await),
        None => checks.push(Check::unproven("server", "not looked for: no worker is registered here")),
    }
    let cloud =
        cloud::Cloud { conventions: conventions.as_ref(), variables: &variables, functions: &functions };
    let found = cloud.examine(identity.as_ref().map(|identity| identity.environment.as_str())).await;
    checks.extend(found.checks);
    Diagnosis { checks, missing_policy: found.missing, needed_policy: found.needed }
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, found: found.into(), hint: None }
    }

    fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found)
    }

    fn warning(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, found)
    }

    fn failed(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, found)
    }

    fn unproven(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Unproven, found)
    }

    fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// An error in one text.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).join(": ")
}
