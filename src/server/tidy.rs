//! The housekeeping of a server: one node at a time, whichever comes first, makes blobs of finished logs and removes what
//! is old.

use std::{error::Error, time::Duration};

use super::{
    GRACE, Shared, kept_logs,
    prune::{self, Company},
};

/// How often what is old is removed.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// Tidies until the server closes. What one round misses, the next one does.
pub(super) async fn run(shared: Shared) {
    let pause = shared.settings.tidy_pause;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.closing.cancelled() => return,
        }
        if is_our_turn(&shared, "logs", pause).await {
            match shared.closing.run_until_cancelled(Box::pin(kept_logs::keep(&shared))).await {
                None | Some(Ok(0)) => {}
                Some(Ok(kept)) => tracing::debug!(kept, "finished logs were made blobs"),
                Some(Err(error)) => {
                    tracing::error!(error = &error as &dyn Error, "keeping finished logs failed");
                }
            }
        }
        if is_our_turn(&shared, "prune", PRUNE_EVERY).await {
            // It stops by itself where it leaves nothing half done, unless a bucket lets it wait for too long.
            let cut_off = async {
                shared.closing.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                () = prune(&shared) => {}
                () = cut_off => return,
            }
        }
    }
}

async fn prune(shared: &Shared) {
    let company = Company::of_server(shared.store().has_other_nodes());
    let Shared { everything, blobs, settings, closing, .. } = shared;
    match prune::run(everything, blobs, &settings.retention, company, closing).await {
        Ok(removed) => {
            for thing in removed.iter().filter(|thing| prune::is_told(thing)) {
                tracing::info!(what = thing.name, why = thing.why, "removed");
            }
        }
        Err(error) => tracing::error!(error = &error as &dyn Error, "removing what is old failed"),
    }
}

async fn is_our_turn(shared: &Shared, work: &str, length: Duration) -> bool {
    shared.store().take_work(work, length).await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn Error, "the housekeeping did not begin");
        false
    })
}
