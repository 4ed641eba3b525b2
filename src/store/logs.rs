//! Deployment logs: rows of bytes at byte offsets, written under the fence, read from any offset.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};

use super::{
    Store, StoreError,
    database::{Write, now},
    held, signed,
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

/// Appends each chunk where its deployment's log ends, with so many statements for all of them as for one. Each is
/// answered on its own: one that is refused is refused before anything of it is written.
pub(super) async fn append(
    write: &mut Write,
    chunks: &[&Chunk],
) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
    let mut held = held::lock_all(write, chunks.iter().map(|chunk| chunk.deployment)).await?;
    let mut appended: BTreeMap<i64, i64> = BTreeMap::new();
    let (mut answers, mut taken) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let Chunk { machine, deployment, fence, offset, bytes } = *chunk;
        let answer = held::current(&mut held, *machine, *deployment, *fence).and_then(|held| {
            if held.log_length != signed(*offset) {
                return Err(StoreError::LogOffset { length: unsigned(held.log_length), found: *offset });
            }
            held.log_length += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            appended.insert(deployment.0, held.log_length);
            if !bytes.is_empty() {
                taken.push(*chunk);
            }
            Ok(Recorded { length: unsigned(held.log_length), cancel: held.is_cancelled() })
        });
        answers.push(answer);
    }
    if !taken.is_empty() {
        let rows = taken.iter().enumerate().map(|(number, chunk)| {
            format!("({}, {}, ${})", chunk.deployment.0, signed(chunk.offset), number + 1)
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let insert = AssertSqlSafe(format!(
            "insert into log_chunks (deployment_id, byte_offset, bytes) values {rows}"
        ));
        let mut insert = sqlx::query(insert).persistent(false);
        for chunk in taken {
            insert = insert.bind(chunk.bytes.as_slice());
        }
        insert.execute(&mut **write).await?;
    }
    if !appended.is_empty() {
        // Both engines call the columns of such a list so.
        let lengths = appended.iter().map(|(id, length)| format!("({id}, {length})"));
        let lengths = lengths.collect::<Vec<_>>().join(", ");
        let update = AssertSqlSafe(format!(
            "update deployments set log_length = n.column2, last_contact = {} from (values {}) as n \
             where deployments.id = n.column1",
            now!(),
            lengths,
        ));
        sqlx::query(update).persistent(false).execute(&mut **write).await?;
    }
    Ok(answers)
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
