//! `octarm worker deregister`.

use std::time::Duration;

use serde_json::json;

use super::machine;
use crate::{
    cli::{CliError, Output},
    config::WorkerConfig,
    exit::Exit,
    worker::{self, Deregistered, Leave, StateFolder},
};

/// How long the end of a worker that is to leave is waited for.
pub(super) const PATIENCE: Duration = Duration::from_mins(30);

pub(super) async fn run(config: &WorkerConfig, leave: Leave, output: Output) -> Result<Exit, CliError> {
    let folder = StateFolder::existing(&config.state);
    let deregistered =
        worker::deregister(&folder, &machine(config), leave, |text| output.aside(text)).await?;
    let (text, name) = match deregistered {
        Deregistered::Done { name, environment } => {
            (format!("worker {name} deregistered from {environment}"), Some(name))
        }
        Deregistered::NothingToDo => ("no worker is registered here: nothing to do".to_owned(), None),
    };
    output.result(text, &json!({ "deregistered": name.is_some(), "name": name }));
    Ok(Exit::Done)
}
