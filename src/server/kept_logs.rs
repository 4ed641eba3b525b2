//! Logs of deployments that ended, kept as blobs: blocks of whole lines, each a gzip file of its own, one after the other.
//! Who reads a log does not see the difference.

use std::io::{self, Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures_util::TryStreamExt as _;

use super::{Shared, packages, problem::Problem};
use crate::{
    blobs::BlobError,
    model::{DeploymentId, chain},
    store::{KeptLog, LogBlock, StoreError},
};

/// How many bytes of log are compressed together: what is read in vain, at most, when reading begins in the middle.
const BLOCK: usize = 256 * 1024;
/// How many logs are looked up at once.
const BATCH: u32 = 32;

/// Why a log could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log of {deployment} cannot be read")]
    Blob {
        deployment: DeploymentId,
        #[source]
        source: BlobError,
    },
    #[error("the log of {deployment} is damaged where it is stored")]
    Damaged {
        deployment: DeploymentId,
        #[source]
        source: io::Error,
    },
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Store(error) => error.into(),
            LogError::Blob { source: BlobError::Missing { .. }, .. } => {
                tracing::error!(cause = chain(&error), "a log has lost its bytes");
                Self::not_found(chain(&error))
            }
            LogError::Blob { source, .. } => source.into(),
            LogError::Damaged { .. } => Self::internal(&error),
        }
    }
}

/// The bytes of a log from `from` on, at most `limit` of them, cut after a whole line where there is one.
pub(super) async fn read(
    shared: &Shared,
    deployment: DeploymentId,
    from: u64,
    limit: usize,
) -> Result<Vec<u8>, LogError> {
    let bytes = shared.store().read_log(deployment, from, limit).await?;
    if !bytes.is_empty() {
        return Ok(bytes);
    }
    match shared.store().kept_log(deployment).await? {
        Some(log) if from < log.length => read_blob(shared, deployment, &log, from, limit).await,
        _ => Ok(bytes),
    }
}

async fn read_blob(
    shared: &Shared,
    deployment: DeploymentId,
    log: &KeptLog,
    from: u64,
    limit: usize,
) -> Result<Vec<u8>, LogError> {
    let unread = |source| LogError::Blob { deployment, source };
    let damaged = |source| LogError::Damaged { deployment, source };
    let first = log.blocks.partition_point(|block| block.from <= from).saturating_sub(1);
    let begin = log.blocks.get(first).map_or(0, |block| block.at);
    let mut arriving = shared.blobs.read(&log.blob, begin).await.map_err(unread)?;
    let mut packed = Vec::new();
    let mut out = Vec::new();
    for (number, block) in log.blocks.iter().enumerate().skip(first) {
        let (end, at) =
            log.blocks.get(number + 1).map_or((log.length, log.blob.size), |next| (next.from, next.at));
        let length = to_usize(at - block.at);
        while packed.len() < length {
            let more = arriving.try_next().await.map_err(|error| unread(error.into()))?;
            packed.extend_from_slice(&more.ok_or_else(|| damaged(io::ErrorKind::UnexpectedEof.into()))?);
        }
        let lines = unpack(&packed[..length], end - block.from).map_err(damaged)?;
        packed.drain(..length);
        out.extend_from_slice(lines.get(to_usize(from.saturating_sub(block.from))..).unwrap_or_default());
        if out.len() >= limit {
            out.truncate(limit);
            let line_end = out.iter().rposition(|byte| *byte == b'\n').map_or(limit, |place| place + 1);
            out.truncate(line_end);
            break;
        }
    }
    Ok(out)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn pack(lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines)?;
    encoder.finish()
}

/// The lines of a block that holds so many bytes of them.
fn unpack(packed: &[u8], length: u64) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    // One more than there should be: a block never becomes more than it was.
    GzDecoder::new(packed).take(length + 1).read_to_end(&mut lines)?;
    if lines.len() as u64 == length { Ok(lines) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Makes blobs of the logs of deployments that ended; answers of how many. What breaks off in between leaves the log in the
/// database, and the next call does it again.
pub(super) async fn keep(shared: &Shared) -> Result<u64, LogError> {
    let mut kept = 0;
    let mut after = DeploymentId(0);
    loop {
        let batch = shared.store().logs_to_keep(after, BATCH).await?;
        let Some((last, _)) = batch.last() else { return Ok(kept) };
        after = *last;
        for (deployment, length) in batch {
            kept += u64::from(keep_one(shared, deployment, length).await?);
        }
    }
}

async fn keep_one(shared: &Shared, deployment: DeploymentId, length: u64) -> Result<bool, LogError> {
    let unwritten = |source| LogError::Blob { deployment, source };
    let damaged = |source| LogError::Damaged { deployment, source };
    let mut incoming = shared.blobs.receive().map_err(unwritten)?;
    let mut blocks = Vec::new();
    let (mut from, mut at) = (0, 0);
    while from < length {
        let lines = shared.store().read_log(deployment, from, BLOCK).await?;
        if lines.is_empty() {
            // Another node was faster.
            return Ok(false);
        }
        blocks.push(LogBlock { from, at });
        from += lines.len() as u64;
        let packed = tokio::task::spawn_blocking(move || pack(&lines)).await;
        let packed = packed.map_err(|error| damaged(io::Error::other(error)))?.map_err(damaged)?;
        incoming.write(&packed).await.map_err(unwritten)?;
        at += packed.len() as u64;
    }
    let sealed = incoming.seal().await.map_err(unwritten)?;
    packages::expect(shared, sealed.blob()).await?;
    let blob = sealed.keep().await.map_err(unwritten)?;
    Ok(shared.store().keep_log(deployment, &KeptLog { blob, blocks, length }).await?)
}
