//! Who holds a deployment: the row of a hand-out is locked while something is written under its fence.

use std::collections::{BTreeSet, HashMap};

use super::{
    StoreError,
    database::{Write, now},
    signed, unsigned,
};
use crate::model::{DeploymentId, Fence};

/// What a hand-out is told with every answer.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Held {
    cancel_requested: i64,
    pub(super) log_length: i64,
    pub(super) log_offset: i64,
}

impl Held {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel_requested == 1
    }
}

/// Locks the deployment's row for the hand-out, or says that the hand-out is not current.
pub(super) async fn hold(
    write: &mut Write,
    machine: i64,
    deployment: DeploymentId,
    fence: Fence,
) -> Result<Held, StoreError> {
    let held: Option<Held> = sqlx::query_as(write.locking(concat!(
        "select cancel_requested, log_length, log_offset from deployments where id = $1 and machine_id = $2 \
         and fence = $3 and state in ('leased', 'cancelling') and lease_until > ",
        now!()
    )))
    .bind(deployment.0)
    .bind(machine)
    .bind(signed(fence.0))
    .fetch_optional(&mut **write)
    .await?;
    if let Some(held) = held {
        return Ok(held);
    }
    let current: Option<i64> = sqlx::query_scalar("select fence from deployments where id = $1")
        .bind(deployment.0)
        .fetch_optional(&mut **write)
        .await?;
    Err(stale(deployment, fence, current))
}

/// What says that the hand-out is not current; `current` is the number of the last one, where there is the deployment.
fn stale(deployment: DeploymentId, fence: Fence, current: Option<i64>) -> StoreError {
    let Some(current) = current else {
        return StoreError::NotFound(format!("deployment `{deployment}` does not exist"));
    };
    let current = Some(Fence(unsigned(current))).filter(|current| *current != fence);
    StoreError::StaleFence { deployment, fence, current }
}

/// A deployment's row that is locked, and who holds it.
#[derive(sqlx::FromRow)]
pub(super) struct Locked {
    id: i64,
    machine_id: Option<i64>,
    fence: i64,
    is_running: i64,
    #[sqlx(flatten)]
    held: Held,
}

/// Locks the rows of all these deployments, in the order of their numbers.
pub(super) async fn lock_all(
    write: &mut Write,
    deployments: impl Iterator<Item = DeploymentId>,
) -> Result<HashMap<i64, Locked>, StoreError> {
    let ids: BTreeSet<i64> = deployments.map(|deployment| deployment.0).collect();
    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let select = write.locking(&format!(
        "select id, machine_id, fence, cancel_requested, log_length, log_offset, \
         cast(case when state in ('leased', 'cancelling') and lease_until > {} then 1 else 0 end as bigint) as is_running \
         from deployments where id in ({list}) order by id",
        now!(),
    ));
    let rows: Vec<Locked> = sqlx::query_as(select).persistent(false).fetch_all(&mut **write).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The hand-out, of those that [`lock_all`] found; or says that it is not current.
pub(super) fn current(
    locked: &mut HashMap<i64, Locked>,
    machine: i64,
    deployment: DeploymentId,
    fence: Fence,
) -> Result<&mut Held, StoreError> {
    match locked.get_mut(&deployment.0) {
        Some(row)
            if row.machine_id == Some(machine) && row.fence == signed(fence.0) && row.is_running == 1 =>
        {
            Ok(&mut row.held)
        }
        found => Err(stale(deployment, fence, found.map(|row| row.fence))),
    }
}
