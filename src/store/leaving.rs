//! Workers that leave: one that is asked to gets nothing new, and is gone once it has reported the end of what it runs and
//! its process has ended.

use std::time::Duration;

use super::{
    Look, Session, Store, StoreError,
    database::{Write, now},
    error::Elsewhere,
    milliseconds,
    sessions::ousted,
    unsigned,
    workers::live_lease,
};
use crate::{
    model::{DeploymentId, MachineId},
    protocol::{DeregisterRequest, DeregisterResponse, Machine},
};

/// For how long the process of a worker that was asked to leave is waited for, from when it was last heard of: one that
/// polls hears it at once.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(sqlx::FromRow)]
struct Leaver {
    name: String,
    instance: Option<String>,
    leaving_since: Option<i64>,
    /// For how long it was not heard of.
    silent_ms: i64,
    now: i64,
}

impl Leaver {
    fn process_may_be_there(&self) -> bool {
        let asked_ms = self.now - self.leaving_since.unwrap_or(self.now);
        self.instance.is_some() && self.silent_ms.min(asked_ms) < milliseconds(PATIENCE)
    }
}

impl Store {
    /// Asks the worker to leave, as it signed itself; with `force` it is gone at once. What it was running keeps its lease
    /// until that runs out, so nobody starts on it while the old worker may still be at it.
    pub async fn ask_to_leave(&self, request: &DeregisterRequest) -> Result<(), StoreError> {
        let statement = request.statement(self.installation.id);
        let DeregisterRequest { worker_id, challenge, signature, .. } = request;
        let mut write = self.begin_signed(*worker_id, challenge, &statement, signature).await?;
        if request.force {
            sqlx::query("delete from machines where id = $1").bind(worker_id.0).execute(&mut *write).await?;
        } else {
            refuse_elsewhere(&mut write, *worker_id, &request.machine).await?;
            sqlx::query(concat!(
                "update machines set leaving_since = coalesce(leaving_since, ",
                now!(),
                ") where id = $1"
            ))
            .bind(worker_id.0)
            .execute(&mut *write)
            .await?;
        }
        write.announce_leaving(worker_id.0);
        write.commit().await
    }

    /// What a claim would find of a worker that takes no new work: it is to hear at once that it shall leave, as any other.
    pub async fn look_resting(&self, session: &Session) -> Result<Look, StoreError> {
        let found: Option<(i64, Option<String>)> = sqlx::query_as(
            "select case when leaving_since is null then 0 else 1 end, instance from machines where id = $1",
        )
        .bind(session.id)
        .fetch_optional(&self.database.reader)
        .await?;
        match found {
            Some((_, instance)) if instance != session.instance => {
                Err(ousted(&mut *self.database.reader.acquire().await?, session).await)
            }
            Some((0, _)) => Ok(Look::Disabled),
            Some(_) => Ok(Look::Leaving),
            None => Err(StoreError::Unauthorised),
        }
    }

    /// Forgets a worker that was asked to leave, if it holds nothing and its process is not there; answers what it is
    /// waited for.
    pub async fn let_go(&self, worker: MachineId) -> Result<DeregisterResponse, StoreError> {
        let gone = DeregisterResponse { gone: true, running: Vec::new() };
        let mut write = self.write().await?;
        let leaver: Option<Leaver> = sqlx::query_as(write.locking(concat!(
            "select name, instance, leaving_since, ",
            now!(),
            " - last_seen as silent_ms, ",
            now!(),
            " as now from machines where id = $1"
        )))
        .bind(worker.0)
        .fetch_optional(&mut *write)
        .await?;
        let Some(leaver) = leaver else { return Ok(gone) };
        if leaver.leaving_since.is_none() {
            return Err(StoreError::Conflict(format!(
                "worker `{}` was registered again while it was leaving: it stays",
                leaver.name
            )));
        }
        let is_there = leaver.process_may_be_there();
        let running = running(&mut write, worker.0, is_there).await?;
        if is_there || !running.is_empty() {
            return Ok(DeregisterResponse { gone: false, running });
        }
        sqlx::query("delete from machines where id = $1").bind(worker.0).execute(&mut *write).await?;
        write.commit().await?;
        Ok(gone)
    }

    /// Forgets the worker, as an administrator wants it; its key stops working.
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
        write.announce_leaving(machine);
        write.commit().await
    }
}

/// Refuses what a clone of the worker's disk asks for on another machine.
pub(super) async fn refuse_elsewhere(
    write: &mut Write,
    worker: MachineId,
    asking: &Machine,
) -> Result<(), StoreError> {
    let found: Option<(String, String, String, String, i64)> = sqlx::query_as(concat!(
        "select m.name, e.name, host, machine_key, ",
        now!(),
        " - last_seen from machines m join environments e on e.id = m.environment_id where m.id = $1"
    ))
    .bind(worker.0)
    .fetch_optional(&mut **write)
    .await?;
    let (name, environment, host, machine, silent_ms) = found.ok_or(StoreError::Unauthorised)?;
    if machine == asking.id {
        return Ok(());
    }
    let silent_ms = Some(unsigned(silent_ms));
    Err(StoreError::WorkerElsewhere { name, environment, host, why: Elsewhere::Machine, silent_ms })
}

/// What the worker holds: under a lease, or without one where its process may come back to it.
async fn running(write: &mut Write, worker: i64, is_there: bool) -> Result<Vec<DeploymentId>, StoreError> {
    let found: Vec<i64> = sqlx::query_scalar(concat!(
        "select id from deployments where machine_id = $1 and state in ('leased', 'cancelling', 'lost') \
         and ($2 = 1 or lease_until > ",
        now!(),
        ") order by id"
    ))
    .bind(worker)
    .bind(i64::from(is_there))
    .fetch_all(&mut **write)
    .await?;
    Ok(found.into_iter().map(DeploymentId).collect())
}
