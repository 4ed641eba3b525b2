//! What a refused request still sends. Most clients read no answer before they have sent all of their request: were the
//! connection closed before, they would report a broken connection instead of the reason.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::header::EXPECT,
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt as _;
use http_body::{Frame, SizeHint};
use tokio::time::{timeout, timeout_at};

use super::Shared;

/// How much is read for nothing, how long, and how long a client may say nothing: what is more is cut off. Some clients
/// stop in the middle when they have the answer, and wait for the end of the connection.
const LONGEST: u64 = 256 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_mins(1);
const SILENCE: Duration = Duration::from_secs(2);

/// Where a body goes that nobody read to its end.
type Left = Arc<Mutex<Option<Body>>>;

/// Reads what the answer to a request left unread, while the answer is on its way.
pub(super) async fn read_rest(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    // Who waits to be told to send does not send after a refusal.
    if request.headers().contains_key(EXPECT) || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let left = Left::default();
    let lent = |body| Body::new(Lent { body: Some(body), left: Arc::clone(&left) });
    let response = next.run(request.map(lent)).await;
    if let Some(body) = take(&left) {
        tokio::spawn(async move {
            tokio::select! {
                () = drain(body, shared.settings.upload_silence.min(SILENCE)) => {}
                () = shared.closing.cancelled() => {}
            }
        });
    }
    response
}

async fn drain(body: Body, silence: Duration) {
    let mut chunks = body.into_data_stream();
    let mut read = 0;
    let until = tokio::time::Instant::now() + PATIENCE;
    while let Ok(Ok(Some(Ok(chunk)))) = timeout_at(until, timeout(silence, chunks.next())).await {
        read += chunk.len() as u64;
        if read > LONGEST {
            break;
        }
    }
}

fn take(left: &Left) -> Option<Body> {
    left.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A body that, when it is dropped before its end, is left to be read by somebody else.
struct Lent {
    body: Option<Body>,
    left: Left,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
