//! Why the server did not do what it was asked.

use std::{io, path::PathBuf, time::Duration};

use reqwest::Response;
use serde::Deserialize;

use super::retry::LONGEST_GATE;
use crate::model::chain;
use crate::protocol::{ErrorBody, ErrorCode, ErrorEnvelope};

/// Why the server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's address cannot be used.
    #[error("`{server}` is not the address of a server: {reason}")]
    Address {
        /// As it was given.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer.
    #[error("{act}: no answer from the server at {server}{}", through(proxy.as_deref()))]
    Unreachable {
        /// What was being done.
        act: String,
        /// Where the server should be.
        server: String,
        /// The proxy that was asked for it, without its password.
        proxy: Option<String>,
        /// What broke.
        #[source]
        source: reqwest::Error,
    },
    /// The server said no.
    #[error("{act}: {message}")]
    Refused {
        /// What was being done.
        act: String,
        /// The HTTP status.
        status: u16,
        /// The worker API's code.
        code: Option<ErrorCode>,
        /// The server's words.
        message: String,
        /// The server's advice.
        hint: Option<String>,
        /// Where to continue a log.
        length: Option<u64>,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what this version expects.
    #[error("{act}: the server's answer cannot be read")]
    Unreadable {
        /// What was being done.
        act: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Something else than such a server answered.
    #[error("{act}: the answer, {status}, is not one of an octarm server")]
    Foreign {
        /// What was being done.
        act: String,
        /// The HTTP status and its words.
        status: String,
    },
    /// The process of a project does not have the one package that could be changed.
    #[error("{act}: its process has {packages} packages, expected one")]
    Process {
        /// What was being done.
        act: String,
        /// How many it has.
        packages: usize,
    },
    /// A name that no address can hold.
    #[error("{act}: `{named}` cannot be the name of anything")]
    Name {
        /// What was being done.
        act: String,
        /// The name.
        named: String,
    },
    /// What was to be read is no file.
    #[error("{act}: `{}` is {found}, expected a regular file", path.display())]
    NoFile {
        /// What was being done.
        act: String,
        /// What was to be read.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file does not hold what it must.
    #[error("{act}: {reason}")]
    Content {
        /// What was being done.
        act: String,
        /// What it does not hold; names the path.
        reason: String,
    },
    /// A local file cannot be read or written.
    #[error("{act}")]
    File {
        /// What was being done.
        act: String,
        /// Why; names the path.
        #[source]
        source: io::Error,
    },
    /// What arrived is not what the server has.
    #[error("{act}: received {found}, expected {expected}")]
    Damaged {
        /// What was being done.
        act: String,
        /// What arrived.
        found: String,
        /// What should have.
        expected: String,
    },
}

/// Octopus's error body; only these two are needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OctopusError {
    error_message: String,
    #[serde(default)]
    errors: Vec<String>,
}

impl ClientError {
    pub(super) async fn refused(act: &str, response: Response) -> Self {
        let status = response.status();
        let header =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.unwrap_or_default();
        let Some(error) = read_body(&body) else {
            let act = act.to_owned();
            // A proxy before the server says so too when that is away or busy; these say that nobody is asked.
            let is_foreign = status.is_redirection() || matches!(status.as_u16(), 404 | 405);
            return if is_foreign {
                Self::Foreign { act, status: status.to_string() }
            } else {
                let message = format!("the server answered {status}");
                let (status, retry_after) = (status.as_u16(), header.map(Duration::from_secs));
                Self::Refused { act, status, code: None, message, hint: None, length: None, retry_after }
            };
        };
        Self::Refused {
            act: act.to_owned(),
            status: status.as_u16(),
            code: Some(error.code).filter(|code| *code != ErrorCode::Other),
            message: error.message,
            hint: error.hint,
            length: error.length,
            retry_after: error.retry_after_ms.map(Duration::from_millis).or(header.map(Duration::from_secs)),
        }
    }

    /// With this advice, where the server has the package already: its own is for those who speak HTTP.
    pub(super) fn with_hint_for_existing(mut self, advice: &str) -> Self {
        if let Self::Refused { status: 409, message, hint, .. } = &mut self
            && let Some(end) = message.find("; push with overwriteMode")
        {
            message.truncate(end);
            *hint = Some(advice.to_owned());
        }
        self
    }

    /// With the hint, where the key was not taken and the server gives none, where that key came from.
    pub(super) fn with_key_of(mut self, origin: &str) -> Self {
        if let Self::Refused { status: 401, hint: hint @ None, .. } = &mut self {
            *hint = Some(format!("check the API key, which came from {origin}"));
        }
        self
    }

    /// The worker API's code.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => *code,
            _ => None,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            // A number in a header may be any.
            Self::Refused { retry_after, .. } => retry_after.map(|time| time.min(LONGEST_GATE)),
            _ => None,
        }
    }

    /// How long the server asks everybody to leave it alone.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        self.retry_after().filter(|_| matches!(self.status(), Some(429 | 503)))
    }

    /// The only place that decides whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Damaged { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504 | 507),
            Self::Address { .. }
            | Self::Unreadable { .. }
            | Self::Foreign { .. }
            | Self::Process { .. }
            | Self::Name { .. }
            | Self::NoFile { .. }
            | Self::Content { .. }
            | Self::File { .. } => false,
        }
    }

    /// Whether a request may have been done although it ended so. One that found nobody was not, and whoever gave a
    /// wrong address should hear of it at once.
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect(),
            error => matches!(error.status(), Some(502..=504)) || error.is_being_done(),
        }
    }

    /// Whether there was no connection to send a request on, TLS and a proxy's tunnel being part of that.
    pub fn is_without_connection(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_connect())
    }

    /// Whether the same request, sent before, is still being done.
    pub(super) fn is_being_done(&self) -> bool {
        let is_busy = matches!(self.code(), None | Some(ErrorCode::Busy));
        self.status() == Some(409) && is_busy && self.retry_after().is_some()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { source, .. } if chain(source).contains("certificate has the fingerprint") => {
                Some(
                    "the server's certificate was replaced, or somebody else answers: compare with what the server printed at its start"
                        .to_owned(),
                )
            }
            Self::Unreachable { source, .. } if chain(source).contains("certificate") => Some(
                "give the fingerprint that the server prints at its start (`--fingerprint sha256:…`), or the authority that vouches for it (`--ca-file`)"
                    .to_owned(),
            ),
            Self::Unreachable { proxy: Some(proxy), .. } => Some(format!(
                "check that the proxy {proxy} runs and lets octarm through (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name it, \
                 NO_PROXY lists what needs none), and that the server runs"
            )),
            Self::Unreachable { .. } => {
                Some("check that the server runs and that the address is right".to_owned())
            }
            Self::Unreadable { .. } | Self::Foreign { .. } => {
                Some("check that the address is an octarm server's, of a version that fits".to_owned())
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space on this machine".to_owned())
            }
            Self::Refused { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Refused { status: 401, .. } => {
                Some("check the API key or the worker's registration".to_owned())
            }
            _ => None,
        }
    }
}

fn through(proxy: Option<&str>) -> String {
    proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default()
}

/// What is there instead of a file, where the error says that it is none.
pub(super) fn found(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound => Some("not there"),
        io::ErrorKind::IsADirectory => Some("a folder"),
        _ => None,
    }
}

/// The error that a server tells in one of its two forms.
fn read_body(body: &[u8]) -> Option<ErrorBody> {
    if let Ok(ErrorEnvelope { error }) = serde_json::from_slice(body) {
        return Some(error);
    }
    let error: OctopusError = serde_json::from_slice(body).ok()?;
    // Octopus repeats its message as the first of the errors.
    let mut parts = vec![error.error_message.clone()];
    parts.extend(error.errors.into_iter().filter(|other| *other != error.error_message));
    Some(ErrorBody {
        code: ErrorCode::Other,
        message: parts.join("; "),
        hint: None,
        length: None,
        retry_after_ms: None,
    })
}
