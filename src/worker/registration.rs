//! Registering and deregistering: what environment set-up scripts call. Both may be repeated.

use secrecy::SecretString;

use super::{Identity, StateError, StateFolder, WorkerError};
use crate::{
    client::{ClientError, Trust, WorkerClient},
    protocol::{CurrentRelease, Machine, RegisterRequest},
};

/// What to register.
#[derive(Debug)]
pub struct Registration {
    /// The server's address.
    pub server: String,
    /// Whom to take for it.
    pub trust: Trust,
    /// The worker's name.
    pub name: String,
    /// The environment, by name or id.
    pub environment: String,
    /// Its space, by name or id; else the key's own, else the first one.
    pub space: Option<String>,
    /// The machine it runs on.
    pub machine: Machine,
    /// Take the name over from another machine.
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

/// Registers the worker and keeps its token in the folder.
pub async fn register(
    folder: &StateFolder,
    key: &SecretString,
    registration: Registration,
) -> Result<Registered, WorkerError> {
    let kept = folder.identity()?;
    if let Some(kept) = &kept {
        let same = kept.name.eq_ignore_ascii_case(&registration.name)
            && kept.server.trim_end_matches('/') == registration.server.trim_end_matches('/');
        if !same {
            return Err(taken(folder, kept).into());
        }
    }
    let request = RegisterRequest {
        name: registration.name,
        environment: registration.environment,
        space: registration.space,
        machine: registration.machine,
        replace: registration.replace,
        token: kept.as_ref().map(|kept| kept.token.clone()),
        deploy_current: registration.deploy_current,
    };
    let answer = WorkerClient::register(&registration.server, &registration.trust, key, &request).await?;
    let Some(token) = answer.token.or_else(|| kept.map(|kept| kept.token)) else {
        return Err(ClientError::Damaged {
            act: "registering the worker".to_owned(),
            found: "no token".to_owned(),
            expected: "a token, as this machine has none".to_owned(),
        }
        .into());
    };
    let identity = Identity::new(
        registration.server,
        registration.trust,
        answer.name,
        answer.environment,
        answer.worker_id,
        token,
    );
    folder.save(&identity)?;
    Ok(Registered { identity, existed: answer.existed, current: answer.current })
}

/// Deregisters the worker and forgets it. Repeating it is success.
pub async fn deregister(folder: &StateFolder, force: bool) -> Result<Deregistered, WorkerError> {
    let Some(identity) = folder.identity()? else { return Ok(Deregistered::NothingToDo) };
    WorkerClient::new(&identity.server, &identity.trust, identity.token.0.into())?.deregister(force).await?;
    folder.forget()?;
    Ok(Deregistered::Done { name: identity.name, environment: identity.environment })
}

fn taken(folder: &StateFolder, kept: &Identity) -> StateError {
    StateError::Taken {
        path: folder.path().to_owned(),
        name: kept.name.clone(),
        environment: kept.environment.clone(),
        server: kept.server.clone(),
    }
}
