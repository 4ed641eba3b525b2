//! Wakes those who wait on this node when another node changed something.

use std::time::Duration;

use super::Shared;

/// How long to wait for a database that cannot be reached, before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until the server closes; ends at once where there can be no other nodes.
pub(super) async fn run(shared: Shared) {
    let Some(mut listener) = shared.store().listener() else { return };
    loop {
        let heard = tokio::select! {
            heard = listener.next() => heard,
            () = shared.closing.cancelled() => return,
        };
        match heard {
            Ok(change) => {
                shared.store().wake(change);
                shared.deployment_changed();
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not hearing what other servers change"
                );
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = shared.closing.cancelled() => return,
                }
            }
        }
    }
}
