//! Brings a deployment's log to the server: in chunks of whole lines at byte offsets, nothing lost.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::mpsc;

use super::lease::{Keeper, is_end};
use crate::{
    client::{Backoff, ClientError},
    deploy::Lease,
    model::chain,
    protocol::{ErrorCode, MAX_LOG_CHUNK},
};

/// How long lines gather before they are sent.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one hand-out, from where the server's log ended when it began.
#[derive(Debug)]
pub(super) struct LogStream {
    keeper: Keeper,
    lease: Lease,
    /// Where the first byte of `bytes` stands in the whole log.
    offset: u64,
    /// All of this hand-out: the server may ask for it again.
    bytes: Vec<u8>,
    /// How many of `bytes` the server has confirmed.
    sent: usize,
}

/// The log's end, for the report.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub(super) length: u64,
    pub(super) sha256: String,
}

impl LogStream {
    /// Begins at the server's `offset` with what an earlier process could not send.
    pub(super) fn new(keeper: Keeper, lease: Lease, offset: u64, unsent: Vec<u8>) -> Self {
        Self { keeper, lease, offset, bytes: unsent, sent: 0 }
    }

    /// Takes lines until the engine is done with the log, and sends the rest. `None` when the lease was lost or the
    /// server does not take it.
    pub(super) async fn serve(mut self, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) -> Option<Self> {
        let mut is_open = true;
        let mut backoff = Backoff::default();
        while is_open || self.sent < self.bytes.len() {
            if self.sent == self.bytes.len() {
                match lines.recv().await {
                    Some(line) => self.bytes.extend(line),
                    None => is_open = false,
                }
            }
            if is_open {
                // What is written in quick succession goes in one chunk.
                let gathered = tokio::time::timeout(GATHER, async {
                    while self.bytes.len() - self.sent < MAX_LOG_CHUNK {
                        match lines.recv().await {
                            Some(line) => self.bytes.extend(line),
                            None => return false,
                        }
                    }
                    true
                });
                is_open = gathered.await.unwrap_or(true);
            }
            if self.sent < self.bytes.len() {
                self.send(&mut backoff).await?;
            }
        }
        Some(self)
    }

    /// The end, of all that was sent.
    pub(super) fn end(&self) -> LogEnd {
        let sha256 = hex::encode(digest(&SHA256, &self.bytes));
        LogEnd { length: self.offset + self.bytes.len() as u64, sha256 }
    }

    /// The server found its copy damaged and holds `length` bytes now: sends the rest again.
    pub(super) async fn send_again(&mut self, length: u64) -> Option<()> {
        self.sent = usize::try_from(length.checked_sub(self.offset)?).ok()?.min(self.bytes.len());
        let mut backoff = Backoff::default();
        while self.sent < self.bytes.len() {
            self.send(&mut backoff).await?;
        }
        Some(())
    }

    /// Sends one chunk; after a failure that may pass, waits instead.
    async fn send(&mut self, backoff: &mut Backoff) -> Option<()> {
        let chunk = whole_lines(&self.bytes[self.sent..]);
        let (deployment, fence) = (self.keeper.deployment, self.keeper.fence);
        let at = self.offset + self.sent as u64;
        match self.keeper.client.append_log(deployment, fence, at, chunk.to_vec()).await {
            Ok(answer) => {
                self.keeper.note(answer.cancel);
                self.sent += chunk.len();
                backoff.reset();
                Some(())
            }
            Err(error) if self.realign(&error) => Some(()),
            Err(error) if error.is_retryable() && !self.lease.left().is_zero() => {
                tokio::time::sleep(backoff.pause(error.retry_after())).await;
                Some(())
            }
            Err(error) => {
                self.keeper.note_error(&self.lease, &error);
                if !is_end(&error) {
                    tracing::warn!(%deployment, error = chain(&error), "the log could not be sent");
                }
                None
            }
        }
    }

    /// After an answer that was lost, the server may hold more than we know: go on from there.
    fn realign(&mut self, error: &ClientError) -> bool {
        let ClientError::Refused { code: Some(ErrorCode::LogOffset), length: Some(length), .. } = error
        else {
            return false;
        };
        let held = length.checked_sub(self.offset).and_then(|held| usize::try_from(held).ok());
        match held {
            Some(held) if held != self.sent && held <= self.bytes.len() => {
                self.sent = held;
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
}
