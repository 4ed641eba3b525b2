//! The deployment's log: what its users read. Lines go through redaction here and nowhere else.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::redact::{Redactor, RedactorError};
use crate::model::{Failure, Level, LogLine};

/// A longer line is continued on the next: a chunk of the log holds whole lines.
const MAX_LINE: usize = 8 * 1024;

/// What a running deployment tells whoever runs it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A line of the log, redacted.
    Line(LogLine),
    /// How far a long act has come.
    Progress(Progress),
}

/// How far a long act has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The package is being checked and repacked.
    Repacking,
    /// AWS is asked what is there.
    Asking,
    /// The code is on its way to AWS.
    Sending {
        /// How many bytes the zip has.
        bytes: u64,
    },
    /// Lambda is working on it.
    Settling,
    /// Nothing long is going on.
    Idle,
}

/// Writes the log of one deployment.
#[derive(Debug, Clone)]
pub struct Log {
    events: mpsc::UnboundedSender<Event>,
    /// One of the variables, then those of what was made of them since.
    redactors: Arc<RwLock<Vec<Redactor>>>,
}

impl Log {
    /// A log whose events arrive at the other end of `events`.
    pub fn new(events: mpsc::UnboundedSender<Event>, redactor: Redactor) -> Self {
        Self { events, redactors: Arc::new(RwLock::new(vec![redactor])) }
    }

    /// The ordinary course.
    pub fn info(&self, text: impl AsRef<str>) {
        self.write(Level::Info, text.as_ref());
    }

    /// Detail.
    pub fn verbose(&self, text: impl AsRef<str>) {
        self.write(Level::Verbose, text.as_ref());
    }

    /// Something a person should know.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.write(Level::Warning, text.as_ref());
    }

    /// Why it failed.
    pub fn error(&self, text: impl AsRef<str>) {
        self.write(Level::Error, text.as_ref());
    }

    /// A failure with its causes and what to do about it.
    pub fn failure(&self, failure: &Failure) {
        for (depth, message) in failure.messages.iter().enumerate() {
            self.error(if depth == 0 { message.clone() } else { format!("  because: {message}") });
        }
        if let Some(hint) = &failure.hint {
            self.info(format!("  hint: {hint}"));
        }
    }

    /// Tells how far a long act has come.
    pub fn progress(&self, progress: Progress) {
        // Whoever ran the deployment may have gone; the deployment goes on.
        let _ = self.events.send(Event::Progress(progress));
    }

    /// The text with every sensitive value masked.
    pub fn redact(&self, text: &str) -> String {
        let redactors = self.redactors.read().unwrap_or_else(PoisonError::into_inner);
        redactors.iter().fold(text.to_owned(), |text, redactor| redactor.redact(&text))
    }

    /// Hides these texts from now on, too.
    pub(super) fn hide(&self, texts: &[String]) -> Result<(), RedactorError> {
        let redactor = Redactor::new(texts.iter().map(String::as_str))?;
        if !redactor.is_idle() {
            self.redactors.write().unwrap_or_else(PoisonError::into_inner).push(redactor);
        }
        Ok(())
    }

    fn write(&self, level: Level, text: &str) {
        for part in self.redact(text).lines() {
            let mut rest = part;
            loop {
                let (now, later) = rest.split_at(rest.floor_char_boundary(MAX_LINE));
                let line = LogLine { time: Timestamp::now(), level, text: now.to_owned() };
                let _ = self.events.send(Event::Line(line));
                if later.is_empty() {
                    break;
                }
                rest = later;
            }
        }
    }
}
