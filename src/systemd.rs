//! The service manager, where one started this process: it is told what the daemon does, and that its loop comes round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;

use crate::config::Environment;

/// The unit that this process is. Clones are the same; the default is none, which nobody hears.
#[derive(Debug, Clone, Default)]
pub struct Unit(Option<Arc<Heard>>);

#[derive(Debug)]
struct Heard {
    watchdog: Option<Duration>,
    /// From then on it hears of life: before, an ordinary start looks the same to it.
    is_ready: AtomicBool,
}

impl Unit {
    /// Of this process, as systemd wrote it into the environment.
    pub fn of_process(environment: &Environment) -> Self {
        let is_heard = environment.get("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        let heard = || Heard { watchdog: sd_notify::watchdog_enabled(), is_ready: AtomicBool::new(false) };
        Self(is_heard.then(|| Arc::new(heard())))
    }

    /// After how long without a sign of life it kills this process.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    /// The start is over. May be said again.
    pub fn ready(&self) {
        let is_first = |heard: &Arc<Heard>| !heard.is_ready.swap(true, Ordering::Relaxed);
        if self.0.as_ref().is_some_and(is_first) {
            self.tell(&[NotifyState::Ready]);
        }
    }

    /// What the daemon does, as `systemctl status` shows it.
    pub fn status(&self, text: &str) {
        self.tell(&[NotifyState::Status(&one_line(text))]);
    }

    /// The loop came round. Only a loop that does the daemon's work may say so.
    pub fn alive(&self) {
        if self.watchdog().is_some() && self.is_ready() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// The settings are read again, until `reloaded`.
    pub fn reloading(&self) {
        // Newer systemd takes the two only together.
        if let (true, Ok(now)) = (self.is_ready(), NotifyState::monotonic_usec_now()) {
            self.tell(&[NotifyState::Reloading, now]);
        }
    }

    /// They were, whatever came of it.
    pub fn reloaded(&self) {
        if self.is_ready() {
            self.tell(&[NotifyState::Ready]);
        }
    }

    /// The end has begun.
    pub fn stopping(&self, status: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(&one_line(status))]);
    }

    fn is_ready(&self) -> bool {
        self.0.as_ref().is_some_and(|heard| heard.is_ready.load(Ordering::Relaxed))
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        if self.0.is_some()
            && let Err(error) = sd_notify::notify(state)
        {
            tracing::debug!(%error, "systemd does not hear");
        }
    }
}

/// A second line would be another message.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
