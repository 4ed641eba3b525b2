//! The deployment's log: what its users read. Lines go through redaction here and nowhere else.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::redact::{MASK, Redactor, RedactorError, mask};
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
        // All search the same text: what one of them masked could hide from another what is left of its own.
        mask(text, redactors.iter().flat_map(|redactor| redactor.found_in(text)).collect())
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
                let (now, later) = rest.split_at(border(rest));
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

/// Where a line that is too long is continued on the next: between two characters, and before a mask that it would cut.
fn border(text: &str) -> usize {
    let most = text.floor_char_boundary(MAX_LINE);
    if most == text.len() {
        return most;
    }
    let from = text.floor_char_boundary(most + 1 - MASK.len());
    let to = text.ceil_char_boundary(most + MASK.len() - 1);
    text[from..to].find(MASK).map_or(most, |place| from + place)
}

#[cfg(test)]
mod tests {
    use base64::engine::{Engine as _, general_purpose::STANDARD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    /// A key of several lines, JSON, one that is as short as may be, one of other letters, one of URLs' letters.
    const CORPUS: [&str; 5] = [
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkq/hkiG9w0\nBAQEFAASCBKcwggSj+AgEAA\n-----END KEY-----",
        r#"{"user":"deploy","password":"p\"w\\d/1"}"#,
        "q7Z!",
        "pässwörter-für-Ülm",
        "postgres://u:p%40ss word@host/db?x=1&y=2",
    ];

    /// All lines that come of writing this.
    fn written(log: &Log, events: &mut mpsc::UnboundedReceiver<Event>, text: &str) -> Vec<String> {
        log.info(text);
        std::iter::from_fn(|| events.try_recv().ok())
            .filter_map(|event| if let Event::Line(line) = event { Some(line.text) } else { None })
            .collect()
    }

    /// The forms in which a value turns up, as others write them.
    fn forms(secret: &str) -> Vec<String> {
        let json = serde_json::to_string(&secret).unwrap();
        let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let mut forms = vec![
            secret.to_owned(),
            json[1..json.len() - 1].to_owned(),
            serde_json::to_string(&json[1..json.len() - 1]).unwrap().trim_matches('"').to_owned(),
            url.to_lowercase().chars().zip(url.chars()).fold(String::new(), |mut text, (small, one)| {
                // Only what follows a percent sign is small.
                let is_digit = !text.is_empty() && text[text.len().saturating_sub(2)..].contains('%');
                text.push(if is_digit { small } else { one });
                text
            }),
            url.replace("%20", "+"),
            url,
        ];
        forms.extend(secret.lines().filter(|line| line.len() >= 4).map(str::to_owned));
        forms.extend([hex::encode(secret), hex::encode_upper(secret)]);
        forms
    }

    #[test]
    fn no_secret_is_in_any_line_wherever_lines_are_split() {
        let (events, mut received) = mpsc::unbounded_channel();
        let log = Log::new(events, Redactor::new(CORPUS).unwrap());
        for form in CORPUS.iter().flat_map(|secret| forms(secret)) {
            for border in (0..=form.len()).filter(|at| form.is_char_boundary(*at)) {
                let text = format!("{}{form}|", ".".repeat(MAX_LINE - border));
                let lines = written(&log, &mut received, &text);
                let shown = lines.concat();
                let left = shown.trim_matches(|one| matches!(one, '.' | '|' | '*'));
                assert_eq!(left, "", "of {form} at {border}");
            }
        }
    }

    #[test]
    fn base64_of_a_secret_is_in_no_line() {
        let (events, mut received) = mpsc::unbounded_channel();
        let log = Log::new(events, Redactor::new(CORPUS).unwrap());
        for (secret, lead) in CORPUS.iter().flat_map(|secret| (0..3).map(move |lead| (secret, lead))) {
            let text = STANDARD.encode(format!("{}{secret}{}", "<".repeat(lead), ">".repeat(3)));
            let shown = written(&log, &mut received, &text).concat();
            // The characters that also hold bits of its neighbours stay: at most two on each side, and the neighbours.
            let least = secret.len() * 4 / 3 - 2;
            assert!(text.len() - shown.replace('*', "").len() >= least, "{shown} of {text}");
        }
    }

    #[test]
    fn base64_in_lines_is_in_no_line() {
        let (events, mut received) = mpsc::unbounded_channel();
        let key =
            format!("-----BEGIN KEY-----\n{}\n-----END KEY-----", "MIIEvQIBADANBgkqhkiG9w0/\n".repeat(20));
        let values = CORPUS
            .iter()
            .copied()
            .chain([key.as_str(), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY0123456789"]);
        let log = Log::new(events, Redactor::new(values.clone()).unwrap());
        for secret in values {
            let text = STANDARD.encode(secret);
            for width in [64, 76] {
                let lines: Vec<&str> =
                    (0..text.len()).step_by(width).map(|at| &text[at..text.len().min(at + width)]).collect();
                let shown = written(&log, &mut received, &lines.join("\n"));
                for line in shown {
                    // Less than four characters stand for less than three of the value.
                    let left = line.replace(['*', '='], "");
                    assert!(left.len() < 4, "{left} of {secret} in lines of {width}");
                }
            }
            if text.len() <= 3 * 64 {
                continue;
            }
            // In a longer text, wherever it begins: of each line only what is left of it beside its neighbours may stay.
            for lead in (0..80).step_by(7) {
                let text = STANDARD.encode(format!("{}{secret}", "<".repeat(lead)));
                for width in [64, 76] {
                    let whole: Vec<String> = text
                        .as_bytes()
                        .chunks(width)
                        .map(|line| String::from_utf8_lossy(line).into())
                        .collect();
                    let first = (lead * 4 / 3) / width + 1;
                    let shown = written(&log, &mut received, &whole.join("|"));
                    let lines: Vec<&str> = shown[0].split('|').collect();
                    for line in &lines[first..lines.len() - 1] {
                        assert_eq!(line.replace('*', ""), "", "{lead} before it, in lines of {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_continued_before_a_mask_and_between_characters() {
        let (events, mut received) = mpsc::unbounded_channel();
        let log = Log::new(events, Redactor::new(["first-secret"]).unwrap());
        for before in MAX_LINE - 20..MAX_LINE + 5 {
            let lines =
                written(&log, &mut received, &format!("{}ü first-secret and more", "x".repeat(before)));
            assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
            assert_eq!(lines.concat(), format!("{}ü ******** and more", "x".repeat(before)));
            assert_eq!(lines.iter().filter(|line| line.contains("********")).count(), 1, "{before}");
        }
    }

    #[test]
    fn what_is_hidden_later_is_hidden_where_it_overlaps_too() {
        let (events, mut received) = mpsc::unbounded_channel();
        let log = Log::new(events, Redactor::new(["first-secret"]).unwrap());
        log.hide(&["secret-later".to_owned()]).unwrap();
        assert_eq!(written(&log, &mut received, "a first-secret-later b"), ["a ******** b"]);
    }
}
