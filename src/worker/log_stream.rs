//! Brings a deployment's log to the server: spooled to disk, sent in chunks at byte offsets, nothing lost.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::lease::{Keeper, is_end};
use crate::{
    client::{Backoff, ClientError},
    deploy::Lease,
    model::Fence,
    protocol::{ErrorCode, MAX_LOG_CHUNK},
};

/// How long lines gather before they are sent.
const GATHER: Duration = Duration::from_millis(200);

/// Where the spool's first byte stands in the whole log, and whose it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Header {
    fence: Fence,
    base: u64,
}

/// The log of one hand-out: what the server has not confirmed is in memory; all of it is on disk, best effort.
pub(super) struct LogStream {
    keeper: Keeper,
    lease: Lease,
    spool: Option<fs_err::File>,
    /// Bytes that the server has not confirmed; the first stands at `sent`.
    pending: Vec<u8>,
    sent: u64,
    digest: Context,
}

/// The log's end, for the report.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub(super) length: u64,
    pub(super) sha256: String,
}

impl LogStream {
    /// Continues the spool of the hand-out before this one, if it was this worker's and nobody came between; what
    /// it held beyond the server's `offset` is sent first. Else begins anew at `offset`.
    pub(super) fn open(folder: &Path, keeper: Keeper, lease: Lease, offset: u64) -> Self {
        let header = Header { fence: keeper.fence, base: offset };
        let (spool, unsent) = match open_spool(folder, header) {
            Ok((spool, unsent)) => (Some(spool), unsent),
            Err(error) => {
                tracing::warn!(error = %error, "the log cannot be spooled to disk; it is kept in memory until it is sent");
                (None, Vec::new())
            }
        };
        let mut stream =
            Self { keeper, lease, spool, pending: Vec::new(), sent: offset, digest: Context::new(&SHA256) };
        stream.digest.update(&unsent);
        stream.pending = unsent;
        stream
    }

    /// Takes lines until the engine is done with the log, then sends the rest. `None` when the lease was lost.
    pub(super) async fn serve(mut self, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) -> Option<LogEnd> {
        let mut is_open = true;
        let mut backoff = Backoff::default();
        while is_open || !self.pending.is_empty() {
            if self.pending.is_empty() {
                match lines.recv().await {
                    Some(line) => self.take(&line),
                    None => is_open = false,
                }
            }
            if is_open {
                // What is written in quick succession goes in one chunk.
                let gathered = tokio::time::timeout(GATHER, async {
                    while self.pending.len() < MAX_LOG_CHUNK {
                        match lines.recv().await {
                            Some(line) => self.take(&line),
                            None => return false,
                        }
                    }
                    true
                });
                is_open = gathered.await.unwrap_or(true);
            }
            if self.pending.is_empty() {
                continue;
            }
            match self.send().await {
                Ok(()) => backoff.reset(),
                Err(error) if self.realign(&error) => {}
                Err(error) if error.is_retryable() && !self.lease.left().is_zero() => {
                    tokio::time::sleep(backoff.pause(error.retry_after())).await;
                }
                Err(error) => {
                    self.keeper.note_error(&self.lease, &error);
                    if !is_end(&error) {
                        tracing::warn!(deployment = %self.keeper.deployment, error = super::chain(&error), "the log could not be sent");
                    }
                    return None;
                }
            }
        }
        Some(LogEnd { length: self.sent, sha256: hex::encode(self.digest.finish()) })
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(Err(error)) = self.spool.as_mut().map(|spool| spool.write_all(line)) {
            tracing::warn!(error = %error, "the log cannot be spooled to disk; it is kept in memory until it is sent");
            self.spool = None;
        }
        self.digest.update(line);
        self.pending.extend_from_slice(line);
    }

    async fn send(&mut self) -> Result<(), ClientError> {
        let chunk = whole_lines(&self.pending);
        let length = chunk.len();
        let (deployment, fence) = (self.keeper.deployment, self.keeper.fence);
        let answer = self.keeper.client.append_log(deployment, fence, self.sent, chunk.to_vec()).await?;
        self.keeper.note(answer.cancel);
        self.pending.drain(..length);
        self.sent += length as u64;
        Ok(())
    }

    /// After an answer that was lost, the server may hold more than we know: go on from there.
    fn realign(&mut self, error: &ClientError) -> bool {
        let ClientError::Refused { code: Some(ErrorCode::LogOffset), length: Some(length), .. } = error
        else {
            return false;
        };
        let ahead = length.checked_sub(self.sent).and_then(|ahead| usize::try_from(ahead).ok());
        match ahead {
            Some(ahead @ 1..) if ahead <= self.pending.len() => {
                self.pending.drain(..ahead);
                self.sent = *length;
                true
            }
            _ => false,
        }
    }
}

/// The most whole lines that fit into one chunk.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(MAX_LOG_CHUNK)];
    let end = most.iter().rposition(|byte| *byte == b'\n').map_or(most.len(), |at| at + 1);
    &most[..end]
}

fn open_spool(folder: &Path, header: Header) -> std::io::Result<(fs_err::File, Vec<u8>)> {
    let paths = (folder.join("log.json"), folder.join("log"));
    if let Some(unsent) = unsent_of_before(&paths, header) {
        let spool = fs_err::OpenOptions::new().append(true).open(&paths.1)?;
        let kept: Header = serde_json::from_slice(&fs_err::read(&paths.0)?)?;
        fs_err::write(&paths.0, serde_json::to_vec(&Header { fence: header.fence, base: kept.base })?)?;
        return Ok((spool, unsent));
    }
    let spool = fs_err::File::create(&paths.1)?;
    fs_err::write(&paths.0, serde_json::to_vec(&header)?)?;
    Ok((spool, Vec::new()))
}

/// What the spool of the hand-out before holds beyond the server's log; a line cut off by a crash is dropped.
fn unsent_of_before((header, spool): &(PathBuf, PathBuf), now: Header) -> Option<Vec<u8>> {
    let before: Header = serde_json::from_slice(&fs_err::read(header).ok()?).ok()?;
    if before.fence.0 + 1 != now.fence.0 {
        return None;
    }
    let skip = now.base.checked_sub(before.base)?;
    let mut file = fs_err::OpenOptions::new().read(true).write(true).open(spool).ok()?;
    if file.metadata().ok()?.len() < skip {
        return None;
    }
    file.seek(SeekFrom::Start(skip)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    file.set_len(skip + bytes.len() as u64).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_with_a_line() {
        assert_eq!(whole_lines(b"one\ntwo\nth"), b"one\ntwo\n");
        let mut long = vec![b'x'; MAX_LOG_CHUNK - 2];
        long.extend_from_slice(b"\nyyyy\n");
        assert_eq!(whole_lines(&long).len(), MAX_LOG_CHUNK - 1);
    }

    #[test]
    fn a_restarted_worker_sends_what_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let open = |fence, base| open_spool(folder.path(), Header { fence: Fence(fence), base }).unwrap();
        let (mut spool, unsent) = open(1, 100);
        assert!(unsent.is_empty());
        spool.write_all(b"first\nsecond\ncut o").unwrap();
        drop(spool);
        let (mut spool, unsent) = open(2, 106);
        assert_eq!(unsent, b"second\n", "what the server has is not sent again, a torn line is dropped");
        spool.write_all(b"third\n").unwrap();
        drop(spool);
        assert_eq!(open(3, 106).1, b"second\nthird\n");
        assert!(open(5, 106).1.is_empty(), "somebody else had it in between");
    }
}
