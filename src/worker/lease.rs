//! Renews the lease at a third of its term, and says when it is lost.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::health::Health;
use crate::{
    client::{ClientError, WorkerClient},
    deploy::{Lease, Moment},
    model::{DeploymentId, Fence, chain},
    protocol::ErrorCode,
};

/// Keeps one lease.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) client: WorkerClient,
    pub(super) health: Health,
    pub(super) deployment: DeploymentId,
    pub(super) fence: Fence,
    /// Cancelled when the server passes on that somebody asked for it.
    pub(super) cancel: CancellationToken,
    /// Cancelled when the lease is gone.
    pub(super) lost: CancellationToken,
}

impl Keeper {
    /// The first renewal, sent before anything is done: the lease counts from here, not from a claim that may
    /// have waited long for its answer.
    pub(super) async fn begin(&self) -> Result<(Lease, Duration), ClientError> {
        let sent = Moment::now();
        let answer = self.client.renew(self.deployment, self.fence).await;
        self.health.renewed(&answer);
        let answer = answer?;
        self.note(answer.cancel);
        let term = Duration::from_millis(answer.lease_ms);
        Ok((Lease::new(sent, term), term))
    }

    /// Renews until it is dropped or the lease is lost.
    pub(super) async fn keep(self, lease: Lease, mut term: Duration) {
        loop {
            // A renewal that fails is tried again soon, for as long as the lease lasts.
            let mut wait = (term / 3).min(self.health.renews_within());
            tokio::time::sleep(wait.min(lease.left())).await;
            loop {
                let sent = Moment::now();
                let answer = self.client.renew(self.deployment, self.fence).await;
                self.health.renewed(&answer);
                match answer {
                    Ok(answer) => {
                        term = Duration::from_millis(answer.lease_ms);
                        lease.renew(sent, term);
                        self.note(answer.cancel);
                        break;
                    }
                    Err(error) if error.is_retryable() && !lease.left().is_zero() => {
                        wait = (term / 12).max(Duration::from_millis(100));
                        warn!(deployment = %self.deployment, left = lease.left().as_secs_f32(), error = chain(&error), "the lease could not be renewed yet");
                        tokio::time::sleep(wait.min(lease.left())).await;
                    }
                    Err(error) => {
                        self.lose(&lease, &error);
                        return;
                    }
                }
            }
        }
    }

    /// Any answer of the server may carry the wish to cancel.
    pub(super) fn note(&self, cancel: bool) {
        self.health.contact();
        if cancel {
            self.cancel.cancel();
        }
    }

    /// Notes an error of any write: a stale fence ends the lease at once.
    pub(super) fn note_error(&self, lease: &Lease, error: &ClientError) {
        if is_end(error) {
            self.lose(lease, error);
        }
    }

    fn lose(&self, lease: &Lease, error: &ClientError) {
        if !self.lost.is_cancelled() {
            warn!(deployment = %self.deployment, error = chain(error), "the lease is lost");
            self.health.lease_lost();
        }
        lease.lose();
        self.lost.cancel();
    }
}

/// Whether no later write of this hand-out can succeed.
pub(super) fn is_end(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::StaleFence
                | ErrorCode::SessionSuperseded
                | ErrorCode::Unauthorised
                | ErrorCode::NotFound
        )
    )
}
