//! What this process runs, and the poll that is kept open for it: a wish to cancel arrives at once.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::health::Health;
use crate::{
    client::{Backoff, WorkerClient, jittered},
    model::{DeploymentId, Fence, chain},
};

/// The least pause between two polls that brought nothing.
const PAUSE: Duration = Duration::from_millis(250);

/// The deployments that this process runs. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    hand_outs: Arc<Mutex<Vec<HandOut>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct HandOut {
    deployment: DeploymentId,
    fence: Fence,
    cancel: CancellationToken,
}

/// One of them, for as long as this lives.
#[derive(Debug)]
pub(super) struct Entry {
    running: Running,
    deployment: DeploymentId,
    fence: Fence,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.hand_outs().retain(|one| (one.deployment, one.fence) != (self.deployment, self.fence));
        self.running.changed.notify_one();
    }
}

impl Running {
    /// Enters a hand-out; `cancel` is cancelled when the server says so.
    pub(super) fn enter(&self, deployment: DeploymentId, fence: Fence, cancel: CancellationToken) -> Entry {
        self.hand_outs().push(HandOut { deployment, fence, cancel });
        self.changed.notify_one();
        Entry { running: self.clone(), deployment, fence }
    }

    /// All that runs.
    pub(super) fn deployments(&self) -> Vec<DeploymentId> {
        self.hand_outs().iter().map(|one| one.deployment).collect()
    }

    /// Keeps a poll open while there is something to cancel. Ends when the server knows no such call: the answers to
    /// renewals and log chunks carry the wish as well.
    pub(super) async fn watch(self, client: WorkerClient, health: Health, wait: Duration) {
        let mut backoff = Backoff::default();
        loop {
            let asked = self.uncancelled();
            if asked.is_empty() {
                self.changed.notified().await;
                continue;
            }
            let answer = tokio::select! {
                answer = client.control(wait, asked) => answer,
                // What runs is another now: the question is out of date.
                () = self.changed.notified() => continue,
            };
            health.watched(&answer);
            match answer {
                Ok(answer) if answer.cancel.is_empty() => {
                    backoff.reset();
                    tokio::time::sleep(jittered(PAUSE)).await;
                }
                Ok(answer) => self.cancel(&answer.cancel),
                Err(error) if error.status() == Some(404) => {
                    info!("the server tells of a cancel with renewals only: it is an older one");
                    return;
                }
                Err(error) => {
                    debug!(error = chain(&error), "asking again what to cancel");
                    tokio::time::sleep(backoff.pause(error.retry_after())).await;
                }
            }
        }
    }

    fn uncancelled(&self) -> Vec<DeploymentId> {
        let hand_outs = self.hand_outs();
        hand_outs.iter().filter(|one| !one.cancel.is_cancelled()).map(|one| one.deployment).collect()
    }

    fn cancel(&self, deployments: &[DeploymentId]) {
        for one in self.hand_outs().iter().filter(|one| deployments.contains(&one.deployment)) {
            if !one.cancel.is_cancelled() {
                info!(deployment = %one.deployment, "cancelling on request");
                one.cancel.cancel();
            }
        }
    }

    fn hand_outs(&self) -> MutexGuard<'_, Vec<HandOut>> {
        self.hand_outs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
