//! Brings a deployment's log to the server: in chunks of whole lines at byte offsets, nothing lost.

use std::{io, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    lease::{Keeper, is_end},
    spool::{Extent, Spool},
};
use crate::{
    client::{Backoff, ClientError},
    deploy::Lease,
    model::{Level, LogLine, chain},
    protocol::{ErrorCode, MAX_LOG_CHUNK},
};

/// How long lines gather before they are sent.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one hand-out, from where the server's log ended when it began.
pub(super) struct LogStream {
    keeper: Keeper,
    lease: Lease,
    /// Where the first byte of the spool stands in the whole log.
    offset: u64,
    spool: Spool,
    /// How many bytes the server has confirmed.
    sent: u64,
    /// Of the first so many bytes. More than `sent` when the server asks for some of them again.
    digest: (Context, u64),
    /// A part of the log was refused since the last one that was taken.
    has_left_out: bool,
}

/// The log's end, for the report.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub(super) length: u64,
    pub(super) sha256: String,
}

impl LogStream {
    /// Begins at the server's `offset`, which is where the spool begins.
    pub(super) fn new(keeper: Keeper, lease: Lease, offset: u64, spool: Spool) -> Self {
        let digest = (Context::new(&SHA256), 0);
        Self { keeper, lease, offset, spool, sent: 0, digest, has_left_out: false }
    }

    /// Sends the log until it is closed and the server has all of it. `None` when the lease was lost or the server does
    /// not take it.
    pub(super) async fn serve(mut self) -> Option<Self> {
        let mut backoff = Backoff::default();
        loop {
            let Extent { length, is_closed } = self.spool.extent();
            if self.sent < length {
                if !is_closed {
                    // What is written in quick succession goes in one chunk.
                    let _ = timeout(GATHER, self.gathered()).await;
                }
                self.send(&mut backoff).await?;
            } else if is_closed {
                return Some(self);
            } else {
                self.spool.changed().await;
            }
        }
    }

    /// Waits until there is a whole chunk, or all there will be.
    async fn gathered(&self) {
        loop {
            let Extent { length, is_closed } = self.spool.extent();
            if is_closed || length - self.sent >= MAX_LOG_CHUNK as u64 {
                return;
            }
            self.spool.changed().await;
        }
    }

    /// The end, of all that was sent.
    pub(super) fn end(&self) -> LogEnd {
        let sha256 = hex::encode(self.digest.0.clone().finish());
        LogEnd { length: self.offset + self.spool.extent().length, sha256 }
    }

    /// The server found its copy damaged and holds `length` bytes now: sends the rest again.
    pub(super) async fn send_again(&mut self, length: u64) -> Option<()> {
        self.sent = length.checked_sub(self.offset)?.min(self.spool.extent().length);
        let mut backoff = Backoff::default();
        while self.sent < self.spool.extent().length {
            self.send(&mut backoff).await?;
        }
        Some(())
    }

    /// Sends one chunk; after a failure that may pass, waits instead.
    async fn send(&mut self, backoff: &mut Backoff) -> Option<()> {
        let chunk = match self.spool.chunk(self.sent) {
            Ok(chunk) => chunk,
            Err(error) => {
                self.leave_out(self.spool.extent().length - self.sent, &error.to_string());
                return Some(());
            }
        };
        let length = chunk.len() as u64;
        let (deployment, fence) = (self.keeper.deployment, self.keeper.fence);
        let at = self.offset + self.sent;
        let answer = tokio::select! {
            answer = self.keeper.client.append_log(deployment, fence, at, chunk.clone()) => answer,
            // It may wait for long until a busy server may be asked, and whoever has the deployment now writes its log.
            () = self.keeper.lost.cancelled() => return None,
        };
        match answer {
            Ok(answer) => {
                self.keeper.note(answer.cancel);
                self.keeper.health.log_sent(chunk.len());
                self.confirm(&chunk);
                self.has_left_out = false;
                backoff.reset();
                Some(())
            }
            Err(error) if self.realign(&error) => Some(()),
            Err(error) if error.is_retryable() && !self.lease.left().is_zero() => {
                tokio::select! {
                    () = tokio::time::sleep(backoff.pause(error.retry_after())) => Some(()),
                    () = self.keeper.lost.cancelled() => None,
                }
            }
            Err(error) if is_end(&error) || self.lease.left().is_zero() => {
                self.keeper.note_error(&self.lease, &error);
                None
            }
            // What the server does not want must not keep the end from being reported.
            Err(error) => {
                tracing::warn!(%deployment, error = chain(&error), "the server refused a part of the log");
                self.leave_out(length, &chain(&error));
                Some(())
            }
        }
    }

    /// The server has this chunk, which begins at `sent`.
    fn confirm(&mut self, chunk: &[u8]) {
        let (digest, digested) = &mut self.digest;
        let known = digested.checked_sub(self.sent);
        self.sent += chunk.len() as u64;
        // What lies between the two cannot be read any more: the digest is wrong at the end, and the server then asks for
        // all of the log, as far as it can be had.
        let Some(known) = known else { return };
        if let Some(new) = chunk.get(usize::try_from(known).unwrap_or(usize::MAX)..) {
            digest.update(new);
            *digested += new.len() as u64;
        }
    }

    /// Takes all before this place for sent.
    fn confirm_to(&mut self, place: u64) -> io::Result<()> {
        while self.digest.1 < place {
            let most = usize::try_from(place - self.digest.1).unwrap_or(usize::MAX).min(MAX_LOG_CHUNK);
            self.sent = self.digest.1;
            let bytes = self.spool.read(self.sent, most)?;
            self.confirm(&bytes);
        }
        self.sent = place;
        Ok(())
    }

    /// Says in the log what is missing from it; if not even that is taken, the log ends.
    fn leave_out(&mut self, length: u64, why: &str) {
        let sent = self.sent;
        if self.digest.1 > sent {
            self.digest = (Context::new(&SHA256), 0);
            if let Err(error) = self.confirm_to(sent) {
                tracing::warn!(error = %error, "what was sent of the log cannot be read any more");
                self.sent = sent;
            }
        }
        if std::mem::replace(&mut self.has_left_out, true) {
            self.spool.refuse_from(sent);
            return;
        }
        let text = format!("{length} bytes of the log are missing: {why}");
        let line = LogLine { time: Timestamp::now(), level: Level::Warning, text };
        self.spool.replace(sent, length, line.to_bytes());
    }

    /// After an answer that was lost, the server may hold more than we know: go on from there.
    fn realign(&mut self, error: &ClientError) -> bool {
        let ClientError::Refused { code: Some(ErrorCode::LogOffset), length: Some(length), .. } = error
        else {
            return false;
        };
        match length.checked_sub(self.offset) {
            Some(held) if held < self.sent => {
                self.sent = held;
                true
            }
            Some(held) if held > self.sent && held <= self.spool.extent().length => {
                self.confirm_to(held).is_ok()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::{Arc, Mutex};

    use aws_lc_rs::digest::digest;
    use axum::{
        Router,
        extract::{Query, State},
        http::StatusCode,
        routing::post,
    };
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use crate::{
        client::{Credential, KeyPair, Trust, WorkerClient},
        deploy::Moment,
        model::{DeploymentId, Fence, MachineId},
        protocol::Machine,
        worker::spool::HandOut,
    };

    type Taken = Arc<Mutex<Vec<u8>>>;

    async fn serve(app: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        url
    }

    /// A server that gives sessions.
    fn sessions() -> Router<Taken> {
        let session = r#"{"worker_id": "Machines-1", "environment": "CI", "poll_wait_ms": 0, "token": "OWS-TEST",
            "token_ttl_ms": 60000}"#;
        Router::new()
            .route("/api/worker/v1/challenge", post(r#"{"challenge": "00", "ttl_ms": 1000}"#))
            .route("/api/worker/v1/session", post(session))
    }

    /// A server that takes a chunk unless it holds `word`.
    async fn refuse(word: &'static str) -> (String, Taken) {
        let taken = Taken::default();
        let app = sessions()
            .fallback(async move |State(taken): State<Taken>, chunk: bytes::Bytes| {
                if String::from_utf8_lossy(&chunk).contains(word) {
                    return (StatusCode::BAD_REQUEST, String::new());
                }
                let mut taken = taken.lock().unwrap();
                taken.extend_from_slice(&chunk);
                (StatusCode::OK, format!(r#"{{"length": {}, "cancel": false}}"#, taken.len()))
            })
            .with_state(Arc::clone(&taken));
        (serve(app).await, taken)
    }

    /// A server that takes each chunk where its log ends, and whose first answer is lost.
    async fn lose_an_answer() -> (String, Taken) {
        #[derive(serde::Deserialize)]
        struct Place {
            offset: usize,
        }
        let taken = Taken::default();
        let app = sessions()
            .fallback(
                async move |State(taken): State<Taken>, Query(place): Query<Place>, chunk: bytes::Bytes| {
                    let mut taken = taken.lock().unwrap();
                    let length = taken.len();
                    if place.offset != length {
                        let error =
                            serde_json::json!({ "code": "log_offset", "message": "no", "length": length });
                        return (StatusCode::CONFLICT, serde_json::json!({ "error": error }).to_string());
                    }
                    taken.extend_from_slice(&chunk);
                    let status = if length == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
                    (status, format!(r#"{{"length": {}, "cancel": false}}"#, taken.len()))
                },
            )
            .with_state(Arc::clone(&taken));
        (serve(app).await, taken)
    }

    /// A stream of a log that is written, in a folder.
    fn unsent(url: &str, lines: &[u8], folder: &std::path::Path) -> LogStream {
        let credential = Credential {
            worker_id: MachineId(1),
            installation: Uuid::nil(),
            key: KeyPair::generate().unwrap(),
        };
        let machine = Machine { host: "h".to_owned(), id: "m".to_owned() };
        let keeper = Keeper {
            client: WorkerClient::new(url, &Trust::default(), credential, machine).unwrap(),
            health: crate::worker::Health::new(crate::systemd::Unit::default()),
            deployment: DeploymentId(1),
            fence: Fence(1),
            cancel: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        let lease = Lease::new(Moment::now(), Duration::from_mins(1));
        let hand_out =
            HandOut { fence: Fence(1), offset: 0, held_since: Fence(1), created_ms: None, limit: None };
        let spool = Spool::open(folder, hand_out);
        spool.append(lines);
        spool.close();
        LogStream::new(keeper, lease, 0, spool)
    }

    async fn stream(url: &str, lines: &[u8]) -> LogStream {
        let folder = tempfile::tempdir().unwrap();
        unsent(url, lines, folder.path()).serve().await.unwrap()
    }

    #[track_caller]
    fn assert_end(stream: &LogStream, taken: &Taken) {
        let taken = taken.lock().unwrap();
        assert_eq!(stream.end().length, taken.len() as u64);
        assert_eq!(stream.end().sha256, hex::encode(digest(&SHA256, &taken)));
    }

    #[tokio::test]
    async fn a_refused_part_is_told_in_its_place() {
        let (url, taken) = refuse("unwanted").await;
        let stream = stream(&url, b"unwanted\nwanted\n").await;
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert!(text.contains("16 bytes of the log are missing"), "{text}");
        assert_end(&stream, &taken);
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_does_not_keep_the_end_waiting() {
        let (url, taken) = refuse("").await;
        let stream = stream(&url, b"one\ntwo\n").await;
        assert!(taken.lock().unwrap().is_empty());
        assert_end(&stream, &taken);
    }

    #[tokio::test]
    async fn what_the_server_has_already_is_not_sent_again_and_what_it_lost_is() {
        let (url, taken) = lose_an_answer().await;
        // Several chunks.
        let lines: Vec<u8> = (0..60_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        let mut stream = stream(&url, &lines).await;
        assert!(*taken.lock().unwrap() == lines);
        assert_end(&stream, &taken);
        let half = lines.len() / 2;
        taken.lock().unwrap().truncate(half);
        stream.send_again(half as u64).await.unwrap();
        assert!(*taken.lock().unwrap() == lines);
        assert_end(&stream, &taken);
    }

    #[tokio::test]
    async fn what_cannot_be_read_any_more_does_not_keep_the_end_waiting() {
        let (url, taken) = lose_an_answer().await;
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<u8> = (0..60_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        let mut stream = unsent(&url, &lines, folder.path()).serve().await.unwrap();
        let half = lines.len() / 2;
        taken.lock().unwrap().truncate(half);
        fs_err::File::options().write(true).open(folder.path().join("log")).unwrap().set_len(0).unwrap();
        // Neither what is to be sent nor, for the digest, what was.
        stream.send_again(half as u64).await.unwrap();
        let text = String::from_utf8_lossy(&taken.lock().unwrap()[half..]).into_owned();
        assert!(text.contains("bytes of the log are missing"), "{text}");
        assert_eq!(stream.end().length, taken.lock().unwrap().len() as u64);
        // The digest is not what it should be, and the server asks for all of it.
        taken.lock().unwrap().clear();
        stream.send_again(0).await.unwrap();
        assert_end(&stream, &taken);
    }

    #[tokio::test]
    async fn a_chunk_that_waits_for_a_busy_server_does_not_outlive_its_lease() {
        let (url, taken) = refuse("unwanted").await;
        let folder = tempfile::tempdir().unwrap();
        let stream = unsent(&url, b"wanted\n", folder.path());
        stream.keeper.client.shut(Duration::from_mins(5));
        let lost = stream.keeper.lost.clone();
        let (stream, ()) = tokio::join!(timeout(Duration::from_secs(10), stream.serve()), async {
            tokio::task::yield_now().await;
            lost.cancel();
        });
        assert!(stream.unwrap().is_none() && taken.lock().unwrap().is_empty());
    }
}
