//! A line of a deployment's log: what users of the deployment read. Not the daemon's own tracing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much a line matters; the first four are Octopus's categories of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Detail for whoever looks for a cause.
    Verbose,
    /// The ordinary course.
    Info,
    /// Something a person should know though the deployment goes on.
    Warning,
    /// Why the deployment failed.
    Error,
}

/// One line, stored and sent as one line of JSON. Byte offsets of a log count these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, by the clock of who wrote it.
    pub time: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The text, without line breaks, already redacted.
    pub text: String,
}

impl LogLine {
    /// The line as stored: one JSON object and a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of a time, a word and a text has no value that JSON cannot say.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the whole lines in `bytes`; what is not a line of ours is shown as it is rather than lost.
    pub fn parse_all(bytes: &[u8]) -> Vec<Self> {
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).unwrap_or_else(|_| Self {
                    time: Timestamp::UNIX_EPOCH,
                    level: Level::Info,
                    text: String::from_utf8_lossy(line).into_owned(),
                })
            })
            .collect()
    }
}
