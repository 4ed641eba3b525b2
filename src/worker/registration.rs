//! Registering and deregistering: what environment set-up scripts call. Both may be repeated.

use std::time::Duration;

use tokio::time::Instant;

use super::{Identity, StateError, StateFolder, WorkerError};
use crate::{
    client::{Backoff, Registrar, Trust, WorkerClient},
    model::DeploymentId,
    protocol::{CurrentRelease, DeregisterResponse, Machine, RegisterRequest},
};

/// How long one question for the end of a worker that leaves waits at the server.
const POLL: Duration = Duration::from_secs(20);

/// What to register.
#[derive(Debug)]
pub struct Registration {
    /// The server's address.
    pub server: String,
    /// Whom to take for it.
    pub trust: Trust,
    /// The worker's name.
    pub name: String,
    /// The environment, by name or id; a registration token knows its own.
    pub environment: Option<String>,
    /// Its space, by name or id; else the key's or the token's own, else the first one.
    pub space: Option<String>,
    /// The machine it runs on.
    pub machine: Machine,
    /// Take the name over from another machine or key.
    pub replace: bool,
    /// When the worker is new: deploy what is current in its environment.
    pub deploy_current: bool,
}

/// What registering came to.
#[derive(Debug)]
pub struct Registered {
    /// Who the worker is now.
    pub identity: Identity,
    /// Whether it was there before.
    pub existed: bool,
    /// What became of the current releases of its environment.
    pub current: Vec<CurrentRelease>,
}

/// How a worker is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Once it has reported the end of what it runs; for so long that is waited for.
    Drained(Duration),
    /// At once: what it runs is found out by whoever takes it over.
    Forced,
}

/// What deregistering found.
#[derive(Debug, PartialEq, Eq)]
pub enum Deregistered {
    /// It was registered, and is no more.
    Done {
        /// Its name.
        name: String,
        /// Its environment.
        environment: String,
    },
    /// It was not registered.
    NothingToDo,
}

/// Registers the worker and keeps its key in the folder.
pub async fn register(
    folder: &StateFolder,
    by: &Registrar,
    registration: Registration,
) -> Result<Registered, WorkerError> {
    // Of two that register here at once the second finds what the first did.
    let _alone = folder.registering()?;
    let kept = match folder.identity() {
        // Its token is worth nothing any more, and this is what was to be done about it.
        Err(StateError::Outdated(_)) => None,
        kept => kept?,
    };
    if let Some(kept) = &kept {
        let same = kept.name.eq_ignore_ascii_case(&registration.name)
            && kept.server.trim_end_matches('/') == registration.server.trim_end_matches('/');
        if !same {
            return Err(taken(folder, kept).into());
        }
    }
    // On the disk before it is sent: the repeat of a call whose answer was lost is to be known as the same worker.
    let key = match kept {
        Some(kept) => kept.key,
        None => folder.new_key()?,
    };
    let request = RegisterRequest {
        name: registration.name,
        environment: registration.environment,
        space: registration.space,
        machine: registration.machine,
        public_key: key.public(),
        replace: registration.replace,
        deploy_current: registration.deploy_current,
    };
    let answer = WorkerClient::register(&registration.server, &registration.trust, by, &request).await?;
    let identity = Identity::new(registration.server, registration.trust, &answer, key);
    folder.save(&identity)?;
    Ok(Registered { identity, existed: answer.existed, current: answer.current })
}

/// Deregisters the worker and forgets it. Repeating it is success, and goes on where it was broken off. `tell` hears what
/// it waits for.
pub async fn deregister(
    folder: &StateFolder,
    machine: &Machine,
    leave: Leave,
    mut tell: impl FnMut(&str),
) -> Result<Deregistered, WorkerError> {
    let Some(identity) = folder.identity()? else { return Ok(Deregistered::NothingToDo) };
    let (force, patience) = match leave {
        Leave::Drained(patience) => (false, patience),
        Leave::Forced => (true, Duration::ZERO),
    };
    let credential = identity.credential();
    let deadline = Instant::now() + patience;
    let mut backoff = Backoff::default();
    let mut told = None;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        // The first question does not wait, so that it is told at once what is waited for.
        let wait = if told.is_none() { Duration::ZERO } else { rest.min(POLL) };
        let Identity { server, trust, .. } = &identity;
        let asked = WorkerClient::deregister(server, trust, &credential, machine, force, wait).await;
        match asked {
            Ok(DeregisterResponse { gone: true, .. }) => break,
            Ok(DeregisterResponse { running, .. }) => {
                backoff.reset();
                if rest.is_zero() {
                    return Err(WorkerError::StillThere { name: identity.name, running });
                }
                if told.as_ref() != Some(&running) {
                    tell(&words(&identity.name, &running));
                    told = Some(running);
                }
            }
            // Once it is leaving. Where nobody has answered yet, whoever asks hears it at once.
            Err(error) if told.is_some() && error.is_retryable() && !rest.is_zero() => {
                tokio::time::sleep(backoff.pause(error.retry_after()).min(rest)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    folder.forget()?;
    Ok(Deregistered::Done { name: identity.name, environment: identity.environment })
}

fn words(name: &str, running: &[DeploymentId]) -> String {
    if running.is_empty() {
        return format!("worker {name} is leaving: waiting for its process to end");
    }
    let running: Vec<String> = running.iter().map(ToString::to_string).collect();
    format!("worker {name} is leaving: waiting for the end of {}", running.join(", "))
}

fn taken(folder: &StateFolder, kept: &Identity) -> StateError {
    StateError::Taken {
        path: folder.path().to_owned(),
        name: kept.name.clone(),
        environment: kept.environment.clone(),
        server: kept.server.clone(),
    }
}
