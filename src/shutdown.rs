//! Signals become cancellation: the first asks to finish what runs, the second to cancel it, the third leaves.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Listens for SIGTERM and SIGINT for as long as the process lives. `leave` is cancelled by the third.
pub fn listen(
    drain: CancellationToken,
    cancel: CancellationToken,
    leave: CancellationToken,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        info!("stopping: finishing what runs, taking nothing new");
        drain.cancel();
        next(&mut terminate, &mut interrupt).await;
        warn!("stopping: cancelling what runs");
        cancel.cancel();
        next(&mut terminate, &mut interrupt).await;
        warn!("leaving now");
        leave.cancel();
    });
    Ok(())
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
