//! The life of a hand-out: claim, renew, journal, finish, and what happens to a lease that ran out.
//!
//! Each write names the deployment, the worker and the fence, and counts only while the lease lasts by the
//! database's clock, decided in the statement itself: whether the sweeper has run yet makes no difference.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::{
    Look, Own, Session, Store, StoreError,
    database::{Write, now},
    held::hold,
    keys, logs, milliseconds, once, progress,
    sessions::ousted,
    signed, unsigned,
};
use crate::{
    model::{DeploymentId, DeploymentState, Fence, JournalEntry, Outcome, chain},
    protocol::{Assignment, FinishRequest, Recorded},
};

/// What a sweep changed, and when the next one is due.
#[derive(Debug)]
pub struct Swept {
    /// Deployments whose lease ran out or that were given up.
    pub changed: u64,
    /// How long until the next lease or the next patience ends, if any is running.
    pub next: Option<Duration>,
}

#[derive(sqlx::FromRow)]
struct Ended {
    state: String,
    fence: i64,
    finish_digest: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Silent {
    id: i64,
    environment_id: i64,
    machine_name: Option<String>,
    machine_host: Option<String>,
    last_contact: Option<i64>,
    begun: i64,
}

/// A deployment that was lost as often as this is not handed out again: it may be what its workers die of.
const HAND_OUTS: i64 = 10;

/// That the space of environment `$1` hands out what waits.
macro_rules! running {
    () => {
        "(select task_queue_stopped from spaces where id = (select space_id from environments where id = $1)) = 0"
    };
}

/// That the worker of number `$2` may be given what it does not hold yet.
macro_rules! enabled {
    () => {
        "(select disabled from machines where id = $2 and leaving_since is null) = 0"
    };
}

impl Store {
    /// What a claim of this worker would find. A cheap look before the writer is taken. `own` as of [`Self::claim`].
    pub async fn look(&self, session: &Session, own: Own<'_>) -> Result<Look, StoreError> {
        let found: Option<(i64, i64, Option<String>)> = sqlx::query_as(AssertSqlSafe(format!(
            "select case when leaving_since is null then disabled else 2 end, case when exists (select 1 \
             from deployments d where environment_id = $1 and ((state = 'lost' and fence < $4 and (machine_id = $2 or {enabled})) or (state in ('leased', \
             'cancelling') and ((machine_id = $2 and $3 = 1{besides}) or lease_until <= {now})) or (state = 'queued'{besides} \
             and {enabled} and {running} and not exists (select 1 from deployments o where o.environment_id = d.environment_id and \
             o.project_id = d.project_id and (o.state in ('leased', 'cancelling', 'lost') or o.blocked = 1))))) \
             then 1 else 0 end, instance from machines where id = $2",
            now = now!(),
            enabled = enabled!(),
            running = running!(),
            besides = own.besides(),
        )))
        .bind(session.environment_id)
        .bind(session.id)
        .bind(own.is_wanted())
        .bind(HAND_OUTS)
        .fetch_optional(&self.database.reader)
        .await?;
        match found {
            // Whoever took over did so while this claim waited.
            Some((.., instance)) if instance != session.instance => {
                Err(ousted(&mut *self.database.reader.acquire().await?, session).await)
            }
            Some((_, 1, _)) => Ok(Look::Work),
            Some((0, ..)) => Ok(Look::Nothing),
            Some((1, ..)) => Ok(Look::Disabled),
            Some(_) => Ok(Look::Leaving),
            None => Err(StoreError::Unauthorised),
        }
    }

    /// Takes the next deployment of the worker's environment under a new fence: one that this worker holds without
    /// knowing it (the answer to its claim was lost), else one whose lease ran out, else the first that is queued
    /// and whose target is free.
    ///
    /// `own` says what of that which this worker holds may be handed out again.
    pub async fn claim(&self, session: &Session, own: Own<'_>) -> Result<Option<Assignment>, StoreError> {
        let mut write = self.write().await?;
        // Until this ends no other process of the worker begins a session, and no other machine takes its name over.
        let current: Option<(String, String, Option<String>)> =
            sqlx::query_as(write.locking("select name, host, instance from machines where id = $1"))
                .bind(session.id)
                .fetch_optional(&mut *write)
                .await?;
        let (name, host, instance) = current.ok_or(StoreError::Unauthorised)?;
        if instance != session.instance {
            return Err(ousted(&mut write, session).await);
        }
        expire(&mut write).await?;
        // One statement, so that no two claims get the same one. What somebody else holds just now is passed over; the
        // next of its target is not, since only the first that is queued counts. A cancel that was asked for while
        // nobody held the lease is still to be heard: claim, then cancel.
        let next: Option<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "update deployments set state = case cancel_requested when 1 then 'cancelling' else 'leased' end, \
             fence = fence + 1, held_since = case when machine_id = $2 then held_since else fence + 1 end, \
             lease_until = {now} + $5, lost_since = null, last_contact = {now}, machine_id = $2, machine_name = $6, \
             machine_host = $7, started = coalesce(started, {now}), log_offset = log_length where id = \
             (select id from deployments d where environment_id = $1 and ((state = 'lost' and fence < $4 and \
             (machine_id = $2 or {enabled})) or (state in ('leased', 'cancelling') and machine_id = $2 and $3 = 1{besides}) \
             or (state = 'queued'{besides} and {enabled} and {running} and not exists (select 1 from deployments o where o.environment_id = \
             d.environment_id and o.project_id = d.project_id and (o.state in ('leased', 'cancelling', 'lost') or \
             o.blocked = 1 or (o.state = 'queued' and o.id < d.id))))) \
             order by case state when 'lost' then 1 when 'queued' then 2 else 0 end, id limit 1{skip_locked}) \
             returning id, fence",
            now = now!(),
            enabled = enabled!(),
            running = running!(),
            besides = own.besides(),
            skip_locked = write.skip_locked(),
        )))
        .bind(session.environment_id)
        .bind(session.id)
        .bind(own.is_wanted())
        .bind(HAND_OUTS)
        .bind(milliseconds(self.lease))
        .bind(name)
        .bind(host)
        .fetch_optional(&mut *write)
        .await?;
        let Some((id, fence)) = next else {
            write.commit().await?;
            return Ok(None);
        };
        // Only the first hand-out is of one that was queued.
        let reconcile = fence > 1;
        let assignment = match self.assignment(&mut write, DeploymentId(id), session, reconcile).await {
            Ok(assignment) => Some(assignment),
            // Not the deployment's fault: another key has come, and a server that has it hands the deployment out.
            Err(StoreError::Corrupt { .. })
                if matches!(
                    keys::refuse_replaced(&mut write, &self.vault).await,
                    Err(StoreError::WrongKey)
                ) =>
            {
                return Err(StoreError::WrongKey);
            }
            // One that cannot be read must not keep all that come after it waiting.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(deployment = %DeploymentId(id), error = chain(&error), "failed: it cannot be handed out");
                sqlx::query(concat!(
                    "update deployments set state = 'failed', error_message = $2, lease_until = null, blocked = case \
                     when exists (select 1 from journal where deployment_id = $1) then 1 else 0 end, completed = ",
                    now!(),
                    " where id = $1"
                ))
                .bind(id)
                .bind(format!("it cannot be handed out: {error}"))
                .execute(&mut *write)
                .await?;
                None
            }
            Err(error) => return Err(error),
        };
        match assignment {
            Some(_) => write.announce_state(),
            None => write.announce_ready([session.environment_id]),
        }
        write.commit().await?;
        Ok(assignment)
    }

    /// Renews the lease; answers whether cancelling was asked for.
    pub async fn renew(
        &self,
        machine: i64,
        deployment: DeploymentId,
        fence: Fence,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        // In the order in which a claim locks them.
        sqlx::query(concat!("update machines set last_seen = ", now!(), " where id = $1"))
            .bind(machine)
            .execute(&mut *write)
            .await?;
        let held = hold(&mut write, machine, deployment, fence).await?;
        sqlx::query(concat!(
            "update deployments set lease_until = ",
            now!(),
            " + $2, last_contact = ",
            now!(),
            " where id = $1"
        ))
        .bind(deployment.0)
        .bind(milliseconds(self.lease))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(held.is_cancelled())
    }

    /// Refuses all but the current hand-out; for what a hand-out may read.
    pub async fn check_fence(
        &self,
        machine: i64,
        deployment: DeploymentId,
        fence: Fence,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, machine, deployment, fence).await?;
        write.commit().await
    }

    /// Records a fact of the deployment: the same again is success, another one at its place is a conflict.
    pub async fn append_journal(
        &self,
        machine: i64,
        deployment: DeploymentId,
        fence: Fence,
        entry: &JournalEntry,
    ) -> Result<Recorded, StoreError> {
        let mut write = self.write().await?;
        let held = hold(&mut write, machine, deployment, fence).await?;
        let record = serde_json::to_string(&entry.record)
            .map_err(|error| StoreError::corrupt("the journal entry", error))?;
        let entries: i64 = sqlx::query_scalar("select count(*) from journal where deployment_id = $1")
            .bind(deployment.0)
            .fetch_one(&mut *write)
            .await?;
        let sequence = i64::from(entry.sequence);
        if sequence > entries {
            return Err(StoreError::Invalid(format!(
                "journal entry {sequence} of {deployment} leaves a gap: the next one is {entries}"
            )));
        }
        if sequence < entries {
            let stored: String =
                sqlx::query_scalar("select record from journal where deployment_id = $1 and sequence = $2")
                    .bind(deployment.0)
                    .bind(sequence)
                    .fetch_one(&mut *write)
                    .await?;
            if stored != record {
                return Err(StoreError::Conflict(format!(
                    "journal entry {sequence} of {deployment} is recorded already and says something else"
                )));
            }
        } else {
            sqlx::query(
                "insert into journal (deployment_id, sequence, fence, record) values ($1, $2, $3, $4)",
            )
            .bind(deployment.0)
            .bind(sequence)
            .bind(signed(fence.0))
            .bind(record)
            .execute(&mut *write)
            .await?;
        }
        write.commit().await?;
        Ok(Recorded { length: unsigned(entries.max(sequence + 1)), cancel: held.is_cancelled() })
    }

    /// Records the end, exactly once: the same request again is success, a different one is a conflict.
    pub async fn finish(
        &self,
        machine: i64,
        deployment: DeploymentId,
        request: &FinishRequest,
    ) -> Result<(), StoreError> {
        let body =
            serde_json::to_vec(request).map_err(|error| StoreError::corrupt("the end's report", error))?;
        let digest = hex::encode(digest::digest(&digest::SHA256, &body));
        let mut write = self.write().await?;
        if matches!(request.outcome, Outcome::Success { .. }) {
            progress::lock_project(&mut write, deployment).await?;
        }
        // Who waits for it to leave waits for its next claim. In the order in which a claim locks them.
        sqlx::query(concat!("update machines set last_seen = ", now!(), " where id = $1"))
            .bind(machine)
            .execute(&mut *write)
            .await?;
        // Locked, so that a report that is sent again while the first is being recorded finds it recorded.
        let before: Option<Ended> = sqlx::query_as(write.locking(
            "select state, fence, finish_digest from deployments where id = $1 and machine_id = $2",
        ))
        .bind(deployment.0)
        .bind(machine)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(Ended { state, fence, finish_digest: Some(stored) }) = before
            && fence == signed(request.fence.0)
        {
            if stored == digest {
                return Ok(());
            }
            return Err(StoreError::Conflict(format!(
                "the end of {deployment} is recorded already as {state}, in other words than these"
            )));
        }
        let held = hold(&mut write, machine, deployment, request.fence).await?;
        let length = signed(request.log_length);
        if length > held.log_length {
            return Err(StoreError::LogOffset {
                length: unsigned(held.log_length),
                found: request.log_length,
            });
        }
        if length < held.log_length
            || logs::digest_from(&mut write, deployment, held.log_offset).await? != request.log_sha256
        {
            // What this hand-out sent is not what it meant to send: its whole log is wanted again.
            logs::cut(&mut write, deployment, held.log_offset).await?;
            write.commit().await?;
            return Err(StoreError::LogDigest { length: unsigned(held.log_offset) });
        }
        let state = match &request.outcome {
            Outcome::Success { .. } => DeploymentState::Success,
            Outcome::Failed { .. } | Outcome::Unknown { .. } => DeploymentState::Failed,
            Outcome::Cancelled { .. } => DeploymentState::Canceled,
        };
        let environment: Option<i64> = sqlx::query_scalar(concat!(
            "update deployments set state = $2, error_message = $3, blocked = $4, finish_digest = $5, \
             lease_until = null, completed = ",
            now!(),
            ", last_contact = ",
            now!(),
            " where id = $1 and fence = $6 and state in ('leased', 'cancelling') returning environment_id"
        ))
        .bind(deployment.0)
        .bind(state.as_str())
        .bind(request.outcome.error_message())
        .bind(i64::from(matches!(request.outcome, Outcome::Unknown { .. })))
        .bind(digest)
        .bind(signed(request.fence.0))
        .fetch_optional(&mut *write)
        .await?;
        if state == DeploymentState::Success {
            progress::promote(&mut write, deployment).await?;
        }
        write.announce_ready(environment);
        write.commit().await
    }

    /// Marks leases that ran out as lost and gives up those that were lost for longer than `patience`. Changes
    /// nothing when there is nothing due; any number of callers may run it.
    pub async fn sweep(&self, patience: Duration) -> Result<Swept, StoreError> {
        let mut write = self.write().await?;
        once::forget_old(&mut write).await?;
        let mut changed = expire(&mut write).await?;
        let silent: Vec<Silent> = sqlx::query_as(AssertSqlSafe(format!(
            "select id, environment_id, machine_name, machine_host, last_contact, \
             case when exists (select 1 from journal where deployment_id = d.id) then 1 else 0 end as begun \
             from deployments d where state = 'lost' and (fence >= $2 or lost_since + $1 <= {}) order by id{}",
            now!(),
            write.skip_locked(),
        )))
        .bind(milliseconds(patience))
        .bind(HAND_OUTS)
        .fetch_all(&mut *write)
        .await?;
        for Silent { id, environment_id, machine_name: name, machine_host: host, last_contact, begun } in
            silent
        {
            write.announce_ready([environment_id]);
            let since = last_contact.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let mut message = format!(
                "worker {} on {} has been silent since {}",
                name.unwrap_or_default(),
                host.unwrap_or_default(),
                since.map(|time| time.to_string()).unwrap_or_default(),
            );
            // Without a record of its intent a worker changes nothing, and a late record is refused.
            if begun == 1 {
                let id = DeploymentId(id);
                message = format!(
                    "unknown: {message}; what it did is not known: look at the function, then resolve {id} as \
                     success or failed"
                );
            } else {
                message.push_str("; it had not begun to change anything");
            }
            changed += sqlx::query(concat!(
                "update deployments set state = 'failed', blocked = $3, error_message = $2, completed = ",
                now!(),
                " where id = $1 and state = 'lost'"
            ))
            .bind(id)
            .bind(message)
            .bind(begun)
            .execute(&mut *write)
            .await?
            .rows_affected();
        }
        let next: Option<i64> = sqlx::query_scalar(concat!(
            "select min(case state when 'lost' then lost_since + $1 else lease_until end) - ",
            now!(),
            " from deployments where state in ('leased', 'cancelling', 'lost')"
        ))
        .bind(milliseconds(patience))
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Swept { changed, next: next.map(|ms| Duration::from_millis(unsigned(ms))) })
    }
}

/// Marks every lease that has run out as lost, for whoever waits to take it over. One that somebody else holds just now is left to the next call: two
/// that wait for each other's rows would wait for ever.
async fn expire(write: &mut Write) -> Result<u64, StoreError> {
    let text = AssertSqlSafe(format!(
        "update deployments set state = 'lost', lost_since = lease_until, lease_until = null where id in \
         (select id from deployments where state in ('leased', 'cancelling') and lease_until <= {} order by id{}) \
         returning environment_id",
        now!(),
        write.skip_locked(),
    ));
    let environments: Vec<i64> = sqlx::query_scalar(text).fetch_all(&mut **write).await?;
    let lost = environments.len() as u64;
    write.announce_ready(environments);
    Ok(lost)
}
