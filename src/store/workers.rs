//! Workers: what `machines` shows of them, and what an administrator may change.

use super::{
    Store, StoreError,
    database::{Write, now},
    leaving::refuse_elsewhere,
    unsigned, worker_pools,
};
use crate::{
    model::{DeploymentId, MachineId},
    protocol::{CheckRequest, CheckResponse},
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
    /// When it was asked to leave, in milliseconds since 1970.
    pub leaving_since: Option<i64>,
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

impl Store {
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

    /// What the server knows a worker as that proves its key.
    pub async fn check(&self, request: &CheckRequest) -> Result<CheckResponse, StoreError> {
        let statement = request.statement(self.installation.id);
        let CheckRequest { worker_id, challenge, machine, signature } = request;
        let mut write = self.begin_signed(*worker_id, challenge, &statement, signature).await?;
        refuse_elsewhere(&mut write, *worker_id, machine).await?;
        let (name, environment, disabled): (String, String, i64) = sqlx::query_as(
            "select machines.name, environments.name, disabled from machines \
             join environments on environments.id = environment_id where machines.id = $1",
        )
        .bind(worker_id.0)
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(CheckResponse { worker_id: *worker_id, name, environment, is_disabled: disabled != 0 })
    }

    /// All workers by id.
    pub async fn machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        Ok(sqlx::query_as(concat!(
            "select id, environment_id, name, host, version, last_seen, ",
            now!(),
            " - last_seen as silent_ms, worker_pool_id, disabled, leaving_since, refusing from machines \
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

/// The deployment that the worker holds under a live lease, and the rest of the lease.
pub(super) async fn live_lease(
    write: &mut Write,
    machine: i64,
) -> Result<Option<(DeploymentId, u64)>, StoreError> {
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

/// Refuses while the worker holds a live lease.
pub(super) async fn refuse_live(write: &mut Write, machine: i64, name: &str) -> Result<(), StoreError> {
    match live_lease(write, machine).await? {
        Some((deployment, retry_after_ms)) => {
            Err(StoreError::SessionLive { name: name.to_owned(), deployment, retry_after_ms })
        }
        None => Ok(()),
    }
}
