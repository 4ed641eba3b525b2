//! Registering workers: a name in an environment belongs to one key on one machine until somebody replaces it.

use super::{
    Store, StoreError,
    database::{Write, now},
    environments::{self, EnvironmentRow},
    error::Elsewhere,
    is_deceptive, key, keys,
    registration_tokens::{self, Stored as StoredToken},
    spaces, unsigned,
    workers::refuse_live,
};
use crate::{
    model::{MachineId, RegistrationTokenId},
    protocol::{CurrentRelease, Machine, PublicKey, RegisterRequest, RegisterResponse},
};

/// A host's name has at most 253 characters.
const LONGEST_OF_MACHINE: usize = 255;

/// By which right a worker is registered.
#[derive(Debug, Clone)]
pub enum Registrar {
    /// An API key, by its name.
    Key(String),
    /// A registration token.
    Token {
        /// Its id.
        id: RegistrationTokenId,
    },
}

impl std::fmt::Display for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(name) => f.write_str(name),
            Self::Token { id } => write!(f, "registration token {id}"),
        }
    }
}

#[derive(sqlx::FromRow)]
struct Registered {
    id: i64,
    name: String,
    host: String,
    machine_key: String,
    public_key: Option<String>,
    version: String,
    silent_ms: i64,
}

/// What is to become of the worker of a name that is there.
enum Known {
    /// It is the same one.
    Same,
    /// It gets this key and this machine.
    Taken,
}

impl Store {
    /// Makes or finds the worker of this name in the environment, and deploys what is current there where a new one asks
    /// for it. The same call again changes nothing.
    pub async fn register(
        &self,
        request: &RegisterRequest,
        by: &Registrar,
    ) -> Result<RegisterResponse, StoreError> {
        let name = environments::checked_name("worker", &request.name, &[])?;
        check_machine(&request.machine)?;
        let mut write = self.write().await?;
        let token = match by {
            Registrar::Key(_) => None,
            Registrar::Token { id } => Some(registration_tokens::by_id(&mut write, *id).await?),
        };
        if let Some(token) = &token {
            // Nothing else is in the transaction, whatever the request says.
            write.space = Some(token.space_id);
        }
        if request.deploy_current {
            keys::refuse_replaced(&mut write, &self.vault).await?;
        }
        let environment = wanted(&mut write, request, token.as_ref()).await?;
        // One of two that register under one name at once takes it, the other finds it taken.
        write.lock_row("environments", environment.id).await?;
        let found: Option<Registered> = sqlx::query_as(write.locking(concat!(
            "select id, name, host, machine_key, public_key, version, ",
            now!(),
            " - last_seen as silent_ms from machines where environment_id = $1 and name_key = $2"
        )))
        .bind(environment.id)
        .bind(key(name))
        .fetch_optional(&mut *write)
        .await?;
        refuse_used_key(&mut write, request.public_key, found.as_ref()).await?;
        let (worker, name, current, existed) = if let Some(found) = found {
            let worker = found.id;
            match decide(&mut write, request, &found, &environment, token.as_ref()).await? {
                Known::Same => confirm(&mut write, worker, request).await?,
                Known::Taken => {
                    if let Some(token) = &token {
                        token.take(&mut write).await?;
                    }
                    take_over(&mut write, worker, request).await?;
                }
            }
            (worker, found.name, Vec::new(), true)
        } else {
            if let Some(token) = &token {
                token.take(&mut write).await?;
            }
            let worker = insert(&mut write, request, name, &environment).await?;
            let current = self.queue(&mut write, request, name, &environment, by).await?;
            (worker, name.to_owned(), current, false)
        };
        write.commit().await?;
        Ok(RegisterResponse {
            worker_id: MachineId(worker),
            name,
            environment: environment.name,
            installation: self.installation.id,
            existed,
            current,
        })
    }

    /// With the worker or not at all: a repeat, which finds the worker, has nothing to make up for.
    async fn queue(
        &self,
        write: &mut Write,
        request: &RegisterRequest,
        name: &str,
        environment: &EnvironmentRow,
        by: &Registrar,
    ) -> Result<Vec<CurrentRelease>, StoreError> {
        if !request.deploy_current {
            return Ok(Vec::new());
        }
        let comments = format!("deploy-current: worker `{name}` registered");
        self.queue_current(write, environment, &[], &comments, &by.to_string()).await
    }
}

/// What a machine says of itself is shown to people: it is short, and one line.
pub(super) fn check_machine(machine: &Machine) -> Result<(), StoreError> {
    if machine.id.trim().is_empty() {
        return Err(StoreError::Invalid("the worker's machine has no id: `machine.id` is empty".into()));
    }
    for (name, text) in [("machine.host", &machine.host), ("machine.id", &machine.id)] {
        let length = text.chars().count();
        if length > LONGEST_OF_MACHINE {
            return Err(StoreError::Invalid(format!(
                "`{name}` has {length} characters, expected at most {LONGEST_OF_MACHINE}"
            )));
        }
        if let Some(character) = text.chars().find(|character| is_deceptive(*character)) {
            return Err(StoreError::Invalid(format!(
                "`{name}` holds the character U+{:04X}, which is not shown as what it is",
                u32::from(character)
            )));
        }
    }
    Ok(())
}

/// The environment that is meant. A token's is its own, whatever else there is: it tells of no other.
async fn wanted(
    write: &mut Write,
    request: &RegisterRequest,
    token: Option<&StoredToken>,
) -> Result<EnvironmentRow, StoreError> {
    let named = request.environment.as_deref().filter(|named| !named.trim().is_empty());
    let all = environments::all(write).await?;
    let Some(token) = token else {
        let named = named.ok_or_else(|| {
            StoreError::Invalid("in which environment the worker is to be is missing: `environment`".into())
        })?;
        return environments::find(all, named);
    };
    let own = all.into_iter().find(|row| row.id == token.environment_id);
    let own = own.ok_or(StoreError::Unauthorised)?;
    if let Some(named) = request.space.as_deref().filter(|named| !named.trim().is_empty()) {
        let space = spaces::by_id(write, own.space_id).await?;
        if !space.is_named(named) {
            return Err(StoreError::Forbidden(format!(
                "the registration token {} is for space `{}`, not for `{named}`",
                token.id(),
                space.name
            )));
        }
    }
    match named {
        Some(named) => environments::find(vec![own.clone()], named).map_err(|_| {
            StoreError::Forbidden(format!(
                "the registration token {} is for environment `{}`, not for `{named}`",
                token.id(),
                own.name
            ))
        }),
        None => Ok(own),
    }
}

/// A key is of one worker: two with one key could take each other's place.
async fn refuse_used_key(
    write: &mut Write,
    public_key: PublicKey,
    found: Option<&Registered>,
) -> Result<(), StoreError> {
    let held: Option<(i64, String, String)> = sqlx::query_as(
        "select m.id, m.name, e.name from machines m join environments e on e.id = m.environment_id \
         where m.public_key = $1",
    )
    .bind(public_key.to_string())
    .fetch_optional(&mut **write)
    .await?;
    match held.filter(|(id, ..)| found.is_none_or(|found| found.id != *id)) {
        Some((_, name, environment)) => Err(StoreError::Conflict(format!(
            "the key sent is that of worker `{name}` in `{environment}`: deregister that one first, or register this \
             one from a state folder of its own"
        ))),
        None => Ok(()),
    }
}

async fn decide(
    write: &mut Write,
    request: &RegisterRequest,
    found: &Registered,
    environment: &EnvironmentRow,
    token: Option<&StoredToken>,
) -> Result<Known, StoreError> {
    let is_same_machine = found.machine_key == request.machine.id;
    let is_same_key = found.public_key.as_deref() == Some(request.public_key.to_string().as_str());
    if is_same_machine && is_same_key {
        return Ok(Known::Same);
    }
    // From before workers had keys: there is none that it could have lost or that would have to be revoked.
    if is_same_machine && found.public_key.is_none() {
        refuse_live(write, found.id, &found.name).await?;
        return Ok(Known::Taken);
    }
    if !request.replace {
        return Err(StoreError::WorkerElsewhere {
            name: found.name.clone(),
            environment: environment.name.clone(),
            host: found.host.clone(),
            why: if is_same_machine { Elsewhere::Key } else { Elsewhere::Machine },
            silent_ms: (!found.version.is_empty()).then(|| unsigned(found.silent_ms)),
        });
    }
    if let Some(token) = token.filter(|token| token.allow_replace == 0) {
        return Err(StoreError::Forbidden(format!(
            "the registration token {} may not replace worker `{}` of host `{}`: it was not made with `AllowReplace`",
            token.id(),
            found.name,
            found.host
        )));
    }
    Ok(Known::Taken)
}

/// The same worker once more: whoever registers it wants it to stay.
async fn confirm(write: &mut Write, worker: i64, request: &RegisterRequest) -> Result<(), StoreError> {
    sqlx::query("update machines set host = $2, leaving_since = null where id = $1")
        .bind(worker)
        .bind(&request.machine.host)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Does not wait: the old key and its sessions stop working now, and what the old worker was running is handed out again
/// when its lease has run out.
async fn take_over(write: &mut Write, worker: i64, request: &RegisterRequest) -> Result<(), StoreError> {
    sqlx::query(
        "update machines set host = $2, machine_key = $3, public_key = $4, instance = null, leaving_since = null \
         where id = $1",
    )
    .bind(worker)
    .bind(&request.machine.host)
    .bind(&request.machine.id)
    .bind(request.public_key.to_string())
    .execute(&mut **write)
    .await?;
    sqlx::query("delete from worker_sessions where machine_id = $1")
        .bind(worker)
        .execute(&mut **write)
        .await?;
    write.announce_leaving(worker);
    // What the folder of before holds of a log is not this one's.
    sqlx::query(
        "update deployments set held_since = fence + 1 where machine_id = $1 and state in ('leased', 'cancelling', \
         'lost')",
    )
    .bind(worker)
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn insert(
    write: &mut Write,
    request: &RegisterRequest,
    name: &str,
    environment: &EnvironmentRow,
) -> Result<i64, StoreError> {
    let pool = spaces::by_id(write, environment.space_id).await?.worker_pool_id;
    Ok(sqlx::query_scalar(concat!(
        "insert into machines (environment_id, name, name_key, host, machine_key, public_key, version, created, last_seen, \
         worker_pool_id) values ($1, $2, $3, $4, $5, $6, '', ",
        now!(),
        ", ",
        now!(),
        ", $7) returning id"
    ))
    .bind(environment.id)
    .bind(name)
    .bind(key(name))
    .bind(&request.machine.host)
    .bind(&request.machine.id)
    .bind(request.public_key.to_string())
    .bind(pool)
    .fetch_one(&mut **write)
    .await?)
}
