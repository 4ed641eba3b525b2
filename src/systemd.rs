//! The service manager, where one started this process: it is told what the daemon does, and that its loop comes round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
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
    /// To the thread that tells it: a socket that nobody reads must not hold those who do the work.
    words: SyncSender<Vec<Word>>,
}

#[derive(Debug)]
enum Word {
    Ready,
    Status(String),
    Alive,
    Reloading,
    Stopping,
}

/// How many messages may wait for a service manager that does not read; what is more is not told.
const WAITING: usize = 32;

impl Unit {
    /// Of this process, as systemd wrote it into the environment.
    pub fn of_process(environment: &Environment) -> Self {
        let is_heard = environment.get("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        let heard = || {
            let (words, told) = mpsc::sync_channel(WAITING);
            // Ends with the last sender.
            std::thread::spawn(move || told.iter().for_each(|words: Vec<Word>| tell(&words)));
            Arc::new(Heard {
                watchdog: sd_notify::watchdog_enabled(),
                is_ready: AtomicBool::new(false),
                words,
            })
        };
        Self(is_heard.then(heard))
    }

    /// After how long without a sign of life it kills this process.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    /// The start is over. May be said again.
    pub fn ready(&self) {
        let is_first = |heard: &Arc<Heard>| !heard.is_ready.swap(true, Ordering::Relaxed);
        if self.0.as_ref().is_some_and(is_first) {
            self.tell(vec![Word::Ready]);
        }
    }

    /// What the daemon does, as `systemctl status` shows it.
    pub fn status(&self, text: &str) {
        self.tell(vec![Word::Status(one_line(text))]);
    }

    /// The loop came round. Only a loop that does the daemon's work may say so.
    pub fn alive(&self) {
        if self.watchdog().is_some() && self.is_ready() {
            self.tell(vec![Word::Alive]);
        }
    }

    /// The settings are read again, until `reloaded`.
    pub fn reloading(&self) {
        if self.is_ready() {
            self.tell(vec![Word::Reloading]);
        }
    }

    /// They were, whatever came of it.
    pub fn reloaded(&self) {
        if self.is_ready() {
            self.tell(vec![Word::Ready]);
        }
    }

    /// The end has begun.
    pub fn stopping(&self, status: &str) {
        self.tell(vec![Word::Stopping, Word::Status(one_line(status))]);
    }

    fn is_ready(&self) -> bool {
        self.0.as_ref().is_some_and(|heard| heard.is_ready.load(Ordering::Relaxed))
    }

    fn tell(&self, words: Vec<Word>) {
        if let Some(heard) = &self.0
            && heard.words.try_send(words).is_err()
        {
            tracing::debug!("systemd does not listen");
        }
    }
}

fn tell(words: &[Word]) {
    let mut states = Vec::new();
    for word in words {
        match word {
            Word::Ready => states.push(NotifyState::Ready),
            Word::Status(text) => states.push(NotifyState::Status(text)),
            Word::Alive => states.push(NotifyState::Watchdog),
            // Newer systemd takes the two only together.
            Word::Reloading => {
                states.push(NotifyState::Reloading);
                states.extend(NotifyState::monotonic_usec_now().ok());
            }
            Word::Stopping => states.push(NotifyState::Stopping),
        }
    }
    if let Err(error) = sd_notify::notify(&states) {
        tracing::debug!(%error, "systemd does not hear");
    }
}

/// A second line would be another message.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
