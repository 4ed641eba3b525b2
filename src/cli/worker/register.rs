//! `octarm worker register` and `deregister`: what set-up scripts call.

use std::fmt::Write as _;

use serde_json::json;

use super::{CliError, Output};
use crate::{
    config::WorkerConfig,
    exit::Exit,
    protocol::CurrentRelease,
    worker::{self, Deregistered, Registered, StateFolder},
};

pub(super) fn show_registered(
    registered: &Registered,
    deploy_current: bool,
    config: &WorkerConfig,
    output: Output,
) {
    let Registered { identity, existed, current } = registered;
    let verb = if *existed { "is registered" } else { "registered" };
    let mut text =
        format!("worker {} {verb} in {} ({})", identity.name, identity.environment, identity.worker_id);
    if deploy_current && *existed {
        text.push_str("\nit was there before: nothing is deployed for it");
    } else if deploy_current && current.is_empty() {
        text.push_str("\nnothing is current there: no deployment ever ended well");
    }
    for CurrentRelease { project, release, message, .. } in current {
        let release = release.as_deref().unwrap_or_default();
        let _ = write!(text, "\n{project} {release}: {message}");
    }
    let value = json!({
        "worker_id": identity.worker_id, "name": identity.name, "environment": identity.environment,
        "server": identity.server, "existed": existed, "state": config.state, "current": current,
    });
    output.result(text, &value);
}

pub(super) async fn deregister(config: &WorkerConfig, force: bool, output: Output) -> Result<Exit, CliError> {
    let (text, name) = match worker::deregister(&StateFolder::existing(&config.state), force).await? {
        Deregistered::Done { name, environment } => {
            (format!("worker {name} deregistered from {environment}"), Some(name))
        }
        Deregistered::NothingToDo => ("no worker is registered here: nothing to do".to_owned(), None),
    };
    output.result(text, &json!({ "deregistered": name.is_some(), "name": name }));
    Ok(Exit::Done)
}
