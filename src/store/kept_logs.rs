//! Logs of deployments that ended, kept as blobs; and whose turn it is to do such work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, blobs, database::now, milliseconds, signed, unsigned};
use crate::{blobs::Blob, model::DeploymentId};

/// A block of a log: its lines are compressed for themselves, so that reading may begin here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBlock {
    /// The byte of the log that it begins with.
    pub from: u64,
    /// Where it begins in the blob.
    pub at: u64,
}

/// A log in a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLog {
    /// The blob.
    pub blob: Blob,
    /// Its blocks, in order.
    pub blocks: Vec<LogBlock>,
    /// How many bytes of log there are.
    pub length: u64,
}

/// That the deployment `deployments` has ended with its log still in chunks.
macro_rules! ended {
    () => {
        "state in ('success', 'failed', 'canceled') and log_sha256 is null and log_removed is null"
    };
}

impl Store {
    /// At most `most` deployments that ended and whose logs are not blobs yet, with the lengths of these, in the order of
    /// their numbers from `after` on.
    pub async fn logs_to_keep(
        &self,
        after: DeploymentId,
        most: u32,
    ) -> Result<Vec<(DeploymentId, u64)>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(concat!(
            "select id, log_length from deployments where ",
            ended!(),
            " and log_length > 0 and id > $1 order by id limit $2"
        ))
        .bind(after.0)
        .bind(i64::from(most))
        .fetch_all(&self.database.reader)
        .await?;
        Ok(rows.into_iter().map(|(id, length)| (DeploymentId(id), unsigned(length))).collect())
    }

    /// The log is a blob from now on; its chunks go. Answers whether it was this call that did it.
    pub async fn keep_log(&self, deployment: DeploymentId, log: &KeptLog) -> Result<bool, StoreError> {
        let index = serde_json::to_string(&log.blocks)
            .map_err(|error| StoreError::corrupt("the index of a log", error))?;
        let mut write = self.write().await?;
        let changed = sqlx::query(concat!(
            "update deployments set log_sha256 = $2, log_index = $3 where id = $1 and log_length = $4 and ",
            ended!()
        ))
        .bind(deployment.0)
        .bind(&log.blob.sha256)
        .bind(index)
        .bind(signed(log.length))
        .execute(&mut *write)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        blobs::name(&mut write, &log.blob.sha256).await?;
        sqlx::query("delete from log_chunks where deployment_id = $1")
            .bind(deployment.0)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(true)
    }

    /// The deployment's log, where it is a blob.
    pub async fn kept_log(&self, deployment: DeploymentId) -> Result<Option<KeptLog>, StoreError> {
        let row: Option<(String, i64, String, i64)> = sqlx::query_as(
            "select b.sha256, b.size, d.log_index, d.log_length from deployments d \
             join blobs b on b.sha256 = d.log_sha256 where d.id = $1",
        )
        .bind(deployment.0)
        .fetch_optional(&self.database.reader)
        .await?;
        let Some((sha256, size, index, length)) = row else { return Ok(None) };
        let blocks = serde_json::from_str(&index)
            .map_err(|error| StoreError::corrupt(format!("the index of the log of {deployment}"), error))?;
        Ok(Some(KeptLog { blob: Blob { sha256, size: unsigned(size) }, blocks, length: unsigned(length) }))
    }

    /// Whether it is this caller's turn to do `work`, which is then nobody's for so long, here or on another node.
    pub async fn take_work(&self, work: &str, length: Duration) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let taken = sqlx::query(concat!(
            "insert into settings (name, value) values ($1, cast(",
            now!(),
            " + $2 as text)) on conflict (name) do update set value = excluded.value \
             where cast(settings.value as bigint) <= ",
            now!(),
        ))
        .bind(format!("next {work}"))
        .bind(milliseconds(length))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(taken.rows_affected() == 1)
    }
}
