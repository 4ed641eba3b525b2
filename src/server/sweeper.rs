//! Ends leases that ran out and gives up deployments that nobody came back for. Each round is idempotent: what one
//! misses, the next one does.

use std::time::Duration;

use super::Shared;
use crate::model::chain;

/// The longest pause: how late a deployment may be handed out again at worst.
const PAUSE: Duration = Duration::from_secs(1);

/// Sweeps until the server closes.
pub(super) async fn run(shared: Shared) {
    loop {
        let swept = shared.store().sweep(shared.settings.unknown_after).await;
        shared.pulse.sweeping(swept.as_ref().err().map(|error| chain(error)));
        let pause = match swept {
            Ok(swept) => {
                if swept.changed > 0 {
                    tracing::warn!(changed = swept.changed, "deployments lost their worker");
                    shared.deployment_changed();
                }
                swept.next.unwrap_or(PAUSE).clamp(Duration::from_millis(1), PAUSE)
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "sweeping leases failed");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.closing.cancelled() => return,
        }
    }
}
