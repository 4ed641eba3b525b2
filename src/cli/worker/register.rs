//! `octarm worker register`.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use serde_json::json;

use super::{StateArgs, machine, read_config};
use crate::{
    cli::{
        CliError, Output,
        connection::{self, Place, ServerArgs},
    },
    client::Registrar,
    config::{Environment, WorkerConfig},
    exit::Exit,
    protocol::CurrentRelease,
    worker::{self, Registered, Registration, StateFolder},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct RegisterArgs {
    #[command(flatten)]
    state: StateArgs,
    /// The worker's name
    #[arg(long)]
    name: String,
    /// The environment it deploys to; a registration token knows it
    #[arg(long)]
    environment: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "api_key_file",
        help = "A file that holds a registration token, which takes the place of an API key, `-` is standard input; or set \
        OCTARM_REGISTRATION_TOKEN [env: OCTARM_REGISTRATION_TOKEN_FILE]"
    )]
    registration_token_file: Option<PathBuf>,
    /// Take the name over from another machine, or from a worker whose key is lost: the key of before stops working
    #[arg(long)]
    replace: bool,
    /// When the worker is new: deploy the projects' current releases for its environment, those that ended well there
    /// last
    #[arg(long)]
    deploy_current: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(
    args: RegisterArgs,
    environment: &Environment,
    output: Output,
) -> Result<Exit, CliError> {
    let config = read_config(&args.state, environment)?;
    let token = args.registration_token_file.as_deref();
    let (place, by) = connection::registrar(&args.server, token, environment)?;
    let to = args.environment.filter(|named| !named.trim().is_empty());
    if to.is_none() && matches!(by, Registrar::Key(_)) {
        return Err(CliError::NoEnvironment);
    }
    let folder = StateFolder::open(&config.state)?;
    let Place { server, trust, space, .. } = place;
    let trust = trust.from_any_folder().map_err(|source| CliError::Io {
        act: "finding the certificates of the authority".to_owned(),
        source,
    })?;
    let registration = Registration {
        server,
        trust,
        name: args.name,
        environment: to,
        space,
        machine: machine(&config),
        replace: args.replace,
        deploy_current: args.deploy_current,
    };
    let registered = worker::register(&folder, &by, registration).await?;
    show(&registered, args.deploy_current, &config, output);
    Ok(Exit::Done)
}

fn show(registered: &Registered, deploy_current: bool, config: &WorkerConfig, output: Output) {
    let Registered { identity, existed, current } = registered;
    let verb = if *existed { "is registered" } else { "registered" };
    let mut text =
        format!("worker {} {verb} in {} ({})", identity.name, identity.environment, identity.worker_id);
    if deploy_current && *existed {
        text.push_str("\nit was there before: nothing is deployed for it");
    } else if deploy_current && current.is_empty() {
        text.push_str("\nnothing is current there: no deployment ever ended well");
    }
    if let Some(fingerprint) = identity.trust.fingerprint {
        let _ = write!(text, "\nthe server is known by its certificate {fingerprint}");
    }
    for CurrentRelease { project, release, message, .. } in current {
        let release = release.as_deref().unwrap_or_default();
        let _ = write!(text, "\n{project} {release}: {message}");
    }
    let value = json!({
        "worker_id": identity.worker_id, "name": identity.name, "environment": identity.environment,
        "server": identity.server, "fingerprint": identity.trust.fingerprint,
        "public_key": identity.key.public(), "existed": existed, "state": config.state, "current": current,
    });
    output.result(text, &value);
}
