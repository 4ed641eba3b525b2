//! Signals become cancellation: the first asks to finish what runs, the second to cancel it, the third leaves. SIGHUP
//! asks to read the settings again.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What the signals ask for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Cancel what runs.
    pub cancel: CancellationToken,
    /// Leave at once.
    pub leave: CancellationToken,
}

/// Listens for SIGTERM and SIGINT for as long as the process lives. What still runs when the time for it is over, asked for
/// at the first signal, is cancelled as by the second one.
pub fn listen(
    wishes: Wishes,
    deadline: impl Fn() -> Option<Duration> + Send + Sync + 'static,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        let deadline = deadline();
        info!(
            deadline_seconds = deadline.map(|time| time.as_secs()),
            "stopping: finishing what runs, taking nothing new"
        );
        wishes.drain.cancel();
        let over = async {
            match deadline {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next(&mut terminate, &mut interrupt) => warn!("stopping: cancelling what runs"),
            () = over => warn!("stopping: the deadline has passed: cancelling what runs"),
        }
        wishes.cancel.cancel();
        next(&mut terminate, &mut interrupt).await;
        warn!("leaving now");
        wishes.leave.cancel();
    });
    Ok(())
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// SIGHUP, from now on: it no longer ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Listens. What comes before the first `next` is not lost.
    pub fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// The next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
