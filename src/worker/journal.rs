//! Keeps the journal: each record is on this disk and at the server before the engine goes on.

use std::{io::Write, path::PathBuf};

use tokio::sync::mpsc;

use super::lease::{Keeper, is_end};
use crate::{
    client::{Backoff, ClientError},
    deploy::{JournalWrite, Lease, Stop},
    model::{JournalEntry, JournalRecord, chain},
};

/// Writes one deployment's journal.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) keeper: Keeper,
    pub(super) lease: Lease,
    pub(super) path: PathBuf,
    pub(super) next: u32,
}

impl Journal {
    /// Serves the engine until it is gone.
    pub(super) async fn serve(mut self, mut writes: mpsc::Receiver<JournalWrite>) {
        while let Some(write) = writes.recv().await {
            let result = self.record(write.record).await;
            // The engine may have gone; the record stands all the same.
            let _ = write.done.send(result);
        }
    }

    async fn record(&mut self, record: JournalRecord) -> Result<(), Stop> {
        let entry = JournalEntry { sequence: self.next, record };
        if let Err(error) = self.write_here(&entry) {
            // The server's copy is the one that any worker can continue from; without it nothing is changed.
            tracing::warn!(error = %error, "the local copy of the journal could not be written");
        }
        let mut backoff = Backoff::default();
        loop {
            let (deployment, fence) = (self.keeper.deployment, self.keeper.fence);
            match self.keeper.client.record(deployment, fence, entry.clone()).await {
                Ok(answer) => {
                    self.keeper.note(answer.cancel);
                    self.next += 1;
                    return Ok(());
                }
                // An answer that cannot be read may have been a yes: asking again changes nothing then.
                Err(error)
                    if (error.is_retryable() || matches!(error, ClientError::Unreadable { .. }))
                        && !self.lease.left().is_zero() =>
                {
                    tokio::time::sleep(backoff.pause(error.retry_after()).min(self.lease.left())).await;
                }
                Err(error) => {
                    self.keeper.note_error(&self.lease, &error);
                    let lost = is_end(&error) || self.lease.left().is_zero();
                    return Err(if lost { Stop::LeaseLost } else { Stop::Unrecorded(chain(&error)) });
                }
            }
        }
    }

    fn write_here(&self, entry: &JournalEntry) -> std::io::Result<()> {
        let mut bytes = serde_json::to_vec(entry)?;
        bytes.push(b'\n');
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(&bytes)?;
        file.sync_data()
    }
}
