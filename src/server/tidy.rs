//! The housekeeping of a server: one node at a time, whichever comes first, makes blobs of finished logs.

use super::{Shared, kept_logs};

/// Tidies until the server closes. What one round misses, the next one does.
pub(super) async fn run(shared: Shared) {
    let pause = shared.settings.tidy_pause;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.closing.cancelled() => return,
        }
        if is_our_turn(&shared, "logs", pause).await {
            match kept_logs::keep(&shared).await {
                Ok(0) => {}
                Ok(kept) => tracing::debug!(kept, "finished logs were made blobs"),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "keeping finished logs failed");
                }
            }
        }
    }
}

async fn is_our_turn(shared: &Shared, work: &str, length: std::time::Duration) -> bool {
    shared.store.take_turn(work, length).await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the housekeeping did not begin");
        false
    })
}
