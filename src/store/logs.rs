//! Deployment logs: rows of bytes at byte offsets, written under the fence, read from any offset.

use aws_lc_rs::digest;
use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use super::{
    Store, StoreError,
    database::{Write, now},
    signed,
    together::Chunk,
    unsigned,
};
use crate::{model::DeploymentId, protocol::Recorded};

impl Store {
    /// The stored bytes from `from` on, at most `limit` of them, cut after a whole line where there is one.
    pub async fn read_log(
        &self,
        deployment: DeploymentId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let mut rows = sqlx::query(
            "select byte_offset, bytes from log_chunks where deployment_id = $1 and byte_offset >= coalesce((select \
             max(byte_offset) from log_chunks where deployment_id = $1 and byte_offset <= $2), 0) order by byte_offset",
        )
        .bind(deployment.0)
        .bind(signed(from))
        .fetch(&self.database.reader);
        let mut out = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let offset = unsigned(row.try_get("byte_offset")?);
            let bytes: Vec<u8> = row.try_get("bytes")?;
            let skip = usize::try_from(from.saturating_sub(offset)).unwrap_or(usize::MAX);
            out.extend_from_slice(bytes.get(skip..).unwrap_or_default());
            if out.len() >= limit {
                out.truncate(limit);
                let line_end = out.iter().rposition(|byte| *byte == b'\n').map_or(limit, |place| place + 1);
                out.truncate(line_end);
                break;
            }
        }
        Ok(out)
    }
}

/// Appends whole lines where the stored log ends.
pub(super) async fn append(write: &mut Write, chunk: &Chunk) -> Result<Recorded, StoreError> {
    let Chunk { machine, deployment, fence, offset, bytes } = chunk;
    let held = super::leases::hold(write, *machine, *deployment, *fence).await?;
    if held.log_length != signed(*offset) {
        return Err(StoreError::LogOffset { length: unsigned(held.log_length), found: *offset });
    }
    if !bytes.is_empty() {
        sqlx::query("insert into log_chunks (deployment_id, byte_offset, bytes) values ($1, $2, $3)")
            .bind(deployment.0)
            .bind(signed(*offset))
            .bind(bytes.as_slice())
            .execute(&mut **write)
            .await?;
    }
    let length: i64 = sqlx::query_scalar(concat!(
        "update deployments set log_length = log_length + $1, last_contact = ",
        now!(),
        " where id = $2 and fence = $3 returning log_length"
    ))
    .bind(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
    .bind(deployment.0)
    .bind(signed(fence.0))
    .fetch_one(&mut **write)
    .await?;
    Ok(Recorded { length: unsigned(length), cancel: held.is_cancelled() })
}

/// SHA-256 in hex over the stored bytes from `from` on.
pub(super) async fn digest_from(
    write: &mut Write,
    deployment: DeploymentId,
    from: i64,
) -> Result<String, StoreError> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut rows = sqlx::query(
        "select bytes from log_chunks where deployment_id = $1 and byte_offset >= $2 order by byte_offset",
    )
    .bind(deployment.0)
    .bind(from)
    .fetch(&mut **write);
    while let Some(row) = rows.try_next().await? {
        let bytes: Vec<u8> = row.try_get("bytes")?;
        context.update(&bytes);
    }
    Ok(hex::encode(context.finish()))
}

/// Forgets the log from `from` on, so that its writer can send it again.
pub(super) async fn cut(write: &mut Write, deployment: DeploymentId, from: i64) -> Result<(), StoreError> {
    sqlx::query("delete from log_chunks where deployment_id = $1 and byte_offset >= $2")
        .bind(deployment.0)
        .bind(from)
        .execute(&mut **write)
        .await?;
    sqlx::query("update deployments set log_length = $2 where id = $1")
        .bind(deployment.0)
        .bind(from)
        .execute(&mut **write)
        .await?;
    Ok(())
}
