//! Brings a deployment's log to the server: in chunks of whole lines at byte offsets, nothing lost.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::lease::{Keeper, is_end};
use crate::{
    client::{Backoff, ClientError},
    deploy::Lease,
    model::{Level, LogLine, chain},
    protocol::{ErrorCode, MAX_LOG_CHUNK},
};

/// How long lines gather before they are sent.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one hand-out, from where the server's log ended when it began.
#[derive(Debug)]
pub(super) struct LogStream {
    keeper: Keeper,
    lease: Lease,
    /// Where the first byte of `bytes` stands in the whole log.
    offset: u64,
    /// All of this hand-out: the server may ask for it again.
    bytes: Vec<u8>,
    /// How many of `bytes` the server has confirmed.
    sent: usize,
    /// A part of the log was refused since the last one that was taken.
    has_left_out: bool,
    /// Nothing more is taken.
    is_refused: bool,
}

/// The log's end, for the report.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub(super) length: u64,
    pub(super) sha256: String,
}

impl LogStream {
    /// Begins at the server's `offset` with what an earlier process could not send.
    pub(super) fn new(keeper: Keeper, lease: Lease, offset: u64, unsent: Vec<u8>) -> Self {
        Self { keeper, lease, offset, bytes: unsent, sent: 0, has_left_out: false, is_refused: false }
    }

    /// Takes lines until the engine is done with the log, and sends the rest. `None` when the lease was lost or the
    /// server does not take it.
    pub(super) async fn serve(mut self, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) -> Option<Self> {
        let mut is_open = true;
        let mut backoff = Backoff::default();
        while is_open || self.sent < self.bytes.len() {
            if self.sent == self.bytes.len() {
                match lines.recv().await {
                    Some(line) => self.bytes.extend(line),
                    None => is_open = false,
                }
            }
            if is_open {
                // What is written in quick succession goes in one chunk.
                let gathered = tokio::time::timeout(GATHER, async {
                    while self.bytes.len() - self.sent < MAX_LOG_CHUNK {
                        match lines.recv().await {
                            Some(line) => self.bytes.extend(line),
                            None => return false,
                        }
                    }
                    true
                });
                is_open = gathered.await.unwrap_or(true);
            }
            if self.is_refused {
                self.bytes.truncate(self.sent);
            } else if self.sent < self.bytes.len() {
                self.send(&mut backoff).await?;
            }
        }
        Some(self)
    }

    /// The end, of all that was sent.
    pub(super) fn end(&self) -> LogEnd {
        let sha256 = hex::encode(digest(&SHA256, &self.bytes));
        LogEnd { length: self.offset + self.bytes.len() as u64, sha256 }
    }

    /// The server found its copy damaged and holds `length` bytes now: sends the rest again.
    pub(super) async fn send_again(&mut self, length: u64) -> Option<()> {
        self.sent = usize::try_from(length.checked_sub(self.offset)?).ok()?.min(self.bytes.len());
        let mut backoff = Backoff::default();
        while self.sent < self.bytes.len() {
            self.send(&mut backoff).await?;
        }
        Some(())
    }

    /// Sends one chunk; after a failure that may pass, waits instead.
    async fn send(&mut self, backoff: &mut Backoff) -> Option<()> {
        let chunk = whole_lines(&self.bytes[self.sent..]).to_vec();
        let length = chunk.len();
        let (deployment, fence) = (self.keeper.deployment, self.keeper.fence);
        let at = self.offset + self.sent as u64;
        match self.keeper.client.append_log(deployment, fence, at, chunk).await {
            Ok(answer) => {
                self.keeper.note(answer.cancel);
                self.keeper.health.log_sent(length);
                self.sent += length;
                self.has_left_out = false;
                backoff.reset();
                Some(())
            }
            Err(error) if self.realign(&error) => Some(()),
            Err(error) if error.is_retryable() && !self.lease.left().is_zero() => {
                tokio::time::sleep(backoff.pause(error.retry_after())).await;
                Some(())
            }
            Err(error) if is_end(&error) || self.lease.left().is_zero() => {
                self.keeper.note_error(&self.lease, &error);
                None
            }
            // What the server does not want must not keep the end from being reported.
            Err(error) => {
                tracing::warn!(%deployment, error = chain(&error), "the server refused a part of the log");
                self.leave_out(length, &error);
                Some(())
            }
        }
    }

    /// Says in the log what is missing from it; if not even that is taken, the log ends.
    fn leave_out(&mut self, length: usize, error: &ClientError) {
        if std::mem::replace(&mut self.has_left_out, true) {
            self.bytes.truncate(self.sent);
            self.is_refused = true;
            return;
        }
        let line = LogLine {
            time: Timestamp::now(),
            level: Level::Warning,
            text: format!("{length} bytes of the log are missing: {}", chain(error)),
        };
        self.bytes.splice(self.sent..self.sent + length, line.to_bytes());
    }

    /// After an answer that was lost, the server may hold more than we know: go on from there.
    fn realign(&mut self, error: &ClientError) -> bool {
        let ClientError::Refused { code: Some(ErrorCode::LogOffset), length: Some(length), .. } = error
        else {
            return false;
        };
        let held = length.checked_sub(self.offset).and_then(|held| usize::try_from(held).ok());
        match held {
            Some(held) if held != self.sent && held <= self.bytes.len() => {
                self.sent = held;
                true
            }
            _ => false,
        }
    }
}

/// The most whole lines that fit into one chunk.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let most = &bytes[..bytes.len().min(MAX_LOG_CHUNK)];
    let end = most.iter().rposition(|byte| *byte == b'\n').map_or(most.len(), |at| at + 1);
    &most[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::State, http::StatusCode, routing::post};
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use crate::{
        client::{Credential, KeyPair, Trust, WorkerClient},
        deploy::Moment,
        model::{DeploymentId, Fence, MachineId},
        protocol::Machine,
    };

    type Taken = Arc<Mutex<Vec<u8>>>;

    /// A server that takes a chunk unless it holds `word`.
    async fn refuse(word: &'static str) -> (String, Taken) {
        let taken = Taken::default();
        let session = r#"{"worker_id": "Machines-1", "environment": "CI", "poll_wait_ms": 0, "token": "OWS-TEST",
            "token_ttl_ms": 60000}"#;
        let app = Router::new()
            .route("/api/worker/v1/challenge", post(r#"{"challenge": "00", "ttl_ms": 1000}"#))
            .route("/api/worker/v1/session", post(session))
            .fallback(async move |State(taken): State<Taken>, chunk: bytes::Bytes| {
                if String::from_utf8_lossy(&chunk).contains(word) {
                    return (StatusCode::BAD_REQUEST, String::new());
                }
                let mut taken = taken.lock().unwrap();
                taken.extend_from_slice(&chunk);
                (StatusCode::OK, format!(r#"{{"length": {}, "cancel": false}}"#, taken.len()))
            })
            .with_state(Arc::clone(&taken));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        (url, taken)
    }

    async fn stream(url: &str, unsent: &[u8], later: &[u8]) -> LogStream {
        let credential = Credential {
            worker_id: MachineId(1),
            installation: Uuid::nil(),
            key: KeyPair::generate().unwrap(),
        };
        let machine = Machine { host: "h".to_owned(), id: "m".to_owned() };
        let keeper = Keeper {
            client: WorkerClient::new(url, &Trust::default(), credential, machine).unwrap(),
            status: crate::worker::status::Status::new(
                crate::worker::Live::with_room(1),
                CancellationToken::new(),
            ),
            health: crate::worker::Health::new(crate::systemd::Unit::default()),
            deployment: DeploymentId(1),
            fence: Fence(1),
            cancel: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        let lease = Lease::new(Moment::now(), Duration::from_mins(1));
        let (lines, received) = mpsc::unbounded_channel();
        lines.send(later.to_vec()).unwrap();
        drop(lines);
        LogStream::new(keeper, lease, 0, unsent.to_vec()).serve(received).await.unwrap()
    }

    #[tokio::test]
    async fn a_refused_part_is_told_in_its_place() {
        let (url, taken) = refuse("unwanted").await;
        let stream = stream(&url, b"unwanted\n", b"wanted\n").await;
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert!(text.contains("16 bytes of the log are missing"), "{text}");
        assert_eq!(stream.end().length, text.len() as u64);
        assert_eq!(stream.end().sha256, hex::encode(digest(&SHA256, text.as_bytes())));
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_does_not_keep_the_end_waiting() {
        let (url, taken) = refuse("").await;
        let stream = stream(&url, b"one\n", b"two\n").await;
        assert!(taken.lock().unwrap().is_empty());
        assert_eq!(stream.end().length, 0);
    }

    #[test]
    fn chunks_end_with_a_line() {
        assert_eq!(whole_lines(b"one\ntwo\nth"), b"one\ntwo\n");
        let mut long = vec![b'x'; MAX_LOG_CHUNK - 2];
        long.extend_from_slice(b"\nyyyy\n");
        assert_eq!(whole_lines(&long).len(), MAX_LOG_CHUNK - 1);
    }
}
