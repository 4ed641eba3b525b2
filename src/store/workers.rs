//! Workers: registration, sessions, and what `machines` shows of them.

use uuid::Uuid;

use super::{
    Store, StoreError,
    database::{Write, now},
    environments, key, keys, spaces, unsigned, worker_pools,
};
use crate::{
    model::{DeploymentId, MachineId},
    protocol::{RegisterRequest, RegisterResponse, SessionRequest, TOKEN_PREFIX, Token},
};

/// A worker as stored, with what its database row says about now.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct MachineRow {
    /// The number of its id.
    pub id: i64,
    /// Which environment it is bound to.
    pub environment_id: i64,
    /// Its name.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// The version of octarm that it runs.
    pub version: String,
    /// When it was last heard of, in milliseconds since 1970.
    pub last_seen: i64,
    /// How long ago that was by the database's clock.
    pub silent_ms: i64,
    /// Which pool it is in.
    pub worker_pool_id: i64,
    /// Whether it gets nothing to do, as 0 or 1.
    pub disabled: i64,
    /// Why it takes no new work, as it said itself.
    pub refusing: Option<String>,
}

/// What an administrator may change of a worker; what is absent stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineChange {
    /// Whether it gets nothing to do.
    pub disabled: Option<bool>,
    /// The pool it is in.
    pub pool: Option<i64>,
}

/// Who is calling: a worker by its token.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Session {
    /// The number of the worker's id.
    pub id: i64,
    /// Which environment it is bound to.
    pub environment_id: i64,
    /// Its name.
    pub name: String,
    /// The process that holds the session.
    pub instance: Option<String>,
    /// Why it took no new work when it last asked.
    pub refusing: Option<String>,
}

impl Session {
    /// Refuses every process but the one that holds the session.
    pub fn check(&self, instance: Uuid) -> Result<(), StoreError> {
        let current = self.instance.as_deref().and_then(|text| text.parse::<Uuid>().ok());
        if current == Some(instance) {
            return Ok(());
        }
        Err(StoreError::SessionSuperseded { name: self.name.clone() })
    }
}

#[derive(sqlx::FromRow)]
struct Registered {
    id: i64,
    name: String,
    host: String,
    machine_key: String,
    token_hash: String,
}

impl Store {
    /// Makes or finds the worker of this name in the environment, and deploys what is current there where a new one asks
    /// for it. The same call again changes nothing. `created_by` is the name of the API key that asks.
    pub async fn register(
        &self,
        request: &RegisterRequest,
        created_by: &str,
    ) -> Result<RegisterResponse, StoreError> {
        let name = environments::checked_name("worker", &request.name, &[])?;
        if request.machine.id.trim().is_empty() {
            return Err(StoreError::Invalid("the worker's machine has no id: `machine.id` is empty".into()));
        }
        let mut write = self.write().await?;
        if request.deploy_current {
            keys::refuse_replaced(&mut write, &self.vault).await?;
        }
        let environment = environments::find(environments::all(&mut write).await?, &request.environment)?;
        // One of two that register under one name at once takes it, the other finds it taken.
        write.lock_row("environments", environment.id).await?;
        let found: Option<Registered> = sqlx::query_as(write.locking(
            "select id, name, host, machine_key, token_hash from machines where environment_id = $1 and name_key = $2",
        ))
        .bind(environment.id)
        .bind(key(name))
        .fetch_optional(&mut *write)
        .await?;
        // A machine that registers a worker under another's token would leave that other one without.
        if let Some(token) = &request.token {
            let held: Option<(i64, String, String)> = sqlx::query_as(
                "select m.id, m.name, e.name from machines m join environments e on e.id = m.environment_id \
                 where m.token_hash = $1",
            )
            .bind(keys::hash(&token.0))
            .fetch_optional(&mut *write)
            .await?;
            if let Some((_, name, environment)) =
                held.filter(|(id, ..)| found.as_ref().is_none_or(|found| found.id != *id))
            {
                return Err(StoreError::Conflict(format!(
                    "the token sent is that of worker `{name}` in `{environment}`: deregister that one first, or \
                     register this one from a state folder of its own"
                )));
            }
        }
        let existed = found.is_some();
        let Some(found) = found else {
            let token = new_token()?;
            let pool = spaces::by_id(&mut write, environment.space_id).await?.worker_pool_id;
            let id: i64 = sqlx::query_scalar(concat!(
                "insert into machines (environment_id, name, name_key, host, machine_key, token_hash, version, created, \
                 last_seen, worker_pool_id) values ($1, $2, $3, $4, $5, $6, '', ",
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
            .bind(keys::hash(&token.0))
            .bind(pool)
            .fetch_one(&mut *write)
            .await?;
            // With the worker or not at all: a repeat, which finds the worker, has nothing to make up for.
            let current = if request.deploy_current {
                let comments = format!("deploy-current: worker `{name}` registered");
                self.queue_current(&mut write, &environment, &[], &comments, created_by).await?
            } else {
                Vec::new()
            };
            write.commit().await?;
            return Ok(RegisterResponse {
                worker_id: MachineId(id),
                name: name.to_owned(),
                environment: environment.name,
                token: Some(token),
                existed,
                current,
            });
        };
        let same_machine = found.machine_key == request.machine.id;
        if !same_machine && !request.replace {
            return Err(StoreError::WorkerElsewhere {
                name: found.name,
                environment: environment.name,
                host: found.host,
            });
        }
        let good_token = request.token.as_ref().is_some_and(|token| keys::hash(&token.0) == found.token_hash);
        let token = if same_machine && good_token {
            sqlx::query("update machines set host = $2 where id = $1")
                .bind(found.id)
                .bind(&request.machine.host)
                .execute(&mut *write)
                .await?;
            None
        } else {
            // A takeover from another machine does not wait: the old token stops working now, and what the old
            // worker was running is handed out again when its lease has run out.
            if same_machine {
                refuse_live(&mut write, found.id, &found.name).await?;
            }
            let token = new_token()?;
            sqlx::query(
                "update machines set host = $2, machine_key = $3, token_hash = $4, instance = null where id = $1",
            )
            .bind(found.id)
            .bind(&request.machine.host)
            .bind(&request.machine.id)
            .bind(keys::hash(&token.0))
            .execute(&mut *write)
            .await?;
            // What the folder of the machine before holds of a log is not this machine's.
            sqlx::query(
                "update deployments set held_since = fence + 1 where machine_id = $1 and state in ('leased', \
                 'cancelling', 'lost')",
            )
            .bind(found.id)
            .execute(&mut *write)
            .await?;
            Some(token)
        };
        write.commit().await?;
        Ok(RegisterResponse {
            worker_id: MachineId(found.id),
            name: found.name,
            environment: environment.name,
            token,
            existed,
            current: Vec::new(),
        })
    }

    /// Who has this token.
    pub async fn session_of(&self, token: &str) -> Result<Session, StoreError> {
        sqlx::query_as(
            "select id, environment_id, name, instance, refusing from machines where token_hash = $1",
        )
        .bind(keys::hash(token))
        .fetch_optional(&self.database.reader)
        .await?
        .ok_or(StoreError::Unauthorised)
    }

    /// Gives the session to the process that asks, unless an earlier one still holds a lease. Answers the name of
    /// the environment that the worker is bound to.
    pub async fn start_session(&self, machine: i64, request: &SessionRequest) -> Result<String, StoreError> {
        let mut write = self.write().await?;
        // A claim locks it too: what the earlier process gets meanwhile is seen below.
        write.lock_row("machines", machine).await?;
        let row: Option<(String, String, String, Option<String>, String)> = sqlx::query_as(
            "select machines.name, host, machine_key, instance, environments.name from machines \
             join environments on environments.id = environment_id where machines.id = $1",
        )
        .bind(machine)
        .fetch_optional(&mut *write)
        .await?;
        let (name, host, machine_key, instance, environment) = row.ok_or(StoreError::Unauthorised)?;
        if machine_key != request.machine.id {
            return Err(StoreError::WorkerElsewhere { name, environment, host });
        }
        if instance.as_deref() != Some(request.instance.to_string().as_str()) {
            refuse_live(&mut write, machine, &name).await?;
        }
        sqlx::query(concat!(
            "update machines set instance = $2, version = $3, host = $4, refusing = null, last_seen = ",
            now!(),
            " where id = $1"
        ))
        .bind(machine)
        .bind(request.instance.to_string())
        .bind(&request.version)
        .bind(&request.machine.host)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(environment)
    }

    /// Forgets the worker; its token stops working. What it was running keeps its lease until that runs out, so
    /// nobody starts on it while the old worker may still be at it.
    pub async fn deregister(&self, machine: i64, force: bool) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let name: Option<String> =
            sqlx::query_scalar(write.locking("select name from machines where id = $1"))
                .bind(machine)
                .fetch_optional(&mut *write)
                .await?;
        let name = name.ok_or_else(|| {
            StoreError::NotFound(format!("machine `{}` does not exist", MachineId(machine)))
        })?;
        if let Some((deployment, _)) = live_lease(&mut write, machine).await?
            && !force
        {
            return Err(StoreError::WorkerBusy { name, deployment });
        }
        sqlx::query("delete from machines where id = $1").bind(machine).execute(&mut *write).await?;
        write.commit().await
    }

    /// Disables the worker or enables it again, and moves it to a pool. One that is disabled ends what it runs.
    pub async fn change_machine(&self, machine: i64, change: MachineChange) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        if let Some(pool) = change.pool {
            worker_pools::lock(&mut write, pool).await?;
        }
        let environment: Option<i64> = sqlx::query_scalar(
            "update machines set disabled = coalesce($2, disabled), worker_pool_id = coalesce($3, worker_pool_id) \
             where id = $1 returning environment_id",
        )
        .bind(machine)
        .bind(change.disabled.map(i64::from))
        .bind(change.pool)
        .fetch_optional(&mut *write)
        .await?;
        // Its turn may have come.
        write.announce_ready(environment);
        write.commit().await
    }

    /// Notes why the worker takes no new work, or that it takes some again.
    pub async fn note_refusing(&self, machine: i64, reason: Option<&str>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update machines set refusing = $2 where id = $1")
            .bind(machine)
            .bind(reason)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// All workers by id.
    pub async fn machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        Ok(sqlx::query_as(concat!(
            "select id, environment_id, name, host, version, last_seen, ",
            now!(),
            " - last_seen as silent_ms, worker_pool_id, disabled, refusing from machines \
             where environment_id in (select id from environments where space_id = coalesce($1, space_id)) order by id"
        ))
        .bind(self.space)
        .fetch_all(&self.database.reader)
        .await?)
    }

    /// One worker.
    pub async fn machine(&self, named: &str) -> Result<MachineRow, StoreError> {
        let id = named.parse::<MachineId>().ok();
        self.machines()
            .await?
            .into_iter()
            .find(|row| Some(row.id) == id.map(|id| id.0))
            .ok_or_else(|| StoreError::NotFound(format!("machine `{named}` does not exist")))
    }
}

fn new_token() -> Result<Token, StoreError> {
    Ok(Token(format!("{TOKEN_PREFIX}{}", keys::random_word(40)?)))
}

/// The deployment that the worker holds under a live lease, and the rest of the lease.
async fn live_lease(write: &mut Write, machine: i64) -> Result<Option<(DeploymentId, u64)>, StoreError> {
    let found: Option<(i64, i64)> = sqlx::query_as(concat!(
        "select id, lease_until - ",
        now!(),
        " from deployments where machine_id = $1 and state in ('leased', 'cancelling') and lease_until > ",
        now!(),
        " order by lease_until desc limit 1"
    ))
    .bind(machine)
    .fetch_optional(&mut **write)
    .await?;
    Ok(found.map(|(id, rest)| (DeploymentId(id), unsigned(rest))))
}

async fn refuse_live(write: &mut Write, machine: i64, name: &str) -> Result<(), StoreError> {
    match live_lease(write, machine).await? {
        Some((deployment, retry_after_ms)) => {
            Err(StoreError::SessionLive { name: name.to_owned(), deployment, retry_after_ms })
        }
        None => Ok(()),
    }
}
