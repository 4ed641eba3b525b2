//! Requests with an idempotency key are done once: a repeat gets the answer of the first.
//!
//! Where a repeat does nothing twice no key is needed, and none is looked at: what changes or deletes something that
//! exists, the calls of a worker, which carry its fence, and uploads, whose bytes are stored under their digest.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest as _, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::{Shared, auth, body::Whole, problem::Problem, spaces};
use crate::{
    model::{Permission, SpaceId},
    protocol::{BASE, ErrorBody, ErrorCode, IDEMPOTENCY_HEADER},
    store::{Attempt, Claim, OnceKey, StoreError, doing},
};

/// The longest key.
const LONGEST: usize = 255;
/// No answer to a document is as long as this.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// When to ask again for what is being done, in milliseconds.
const PAUSE_MS: u64 = 1000;
/// What takes uploads.
const UPLOADS: &str = "/api/packages/raw";

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
enum Kept {
    /// As it was sent.
    Answer { status: u16, content_type: Option<String>, body: String },
    /// One that gets its form at the edge.
    Problem { status: u16, body: ErrorBody },
}

/// Does the request, or answers what it was answered before. Behind the look at the API key.
pub(super) async fn once(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    // What only reads may be repeated as it is, and is not worth keeping.
    let is_asked = *method == Method::POST
        && path != UPLOADS
        && (path.starts_with(BASE) || auth::needed(method, path) != Permission::Read);
    let Some(key) = request.headers().get(IDEMPOTENCY_HEADER).filter(|_| is_asked).cloned() else {
        return next.run(request).await;
    };
    match of_key(shared, &key, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn of_key(
    shared: Shared,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key.to_str().map(str::trim).unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST {
        return Err(Problem::invalid(format!(
            "the header {IDEMPOTENCY_HEADER} must be a text of 1 to {LONGEST} characters of ASCII"
        )));
    }
    let credential = auth::credential(request.headers()).unwrap_or_default();
    let route = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    // The path alone no longer says which space it is in. The first one needs no word: it had none when it was the only.
    let space = spaces::of_request().filter(|space| *space != SpaceId::DEFAULT);
    let space = space.map(|space| space.to_string()).unwrap_or_default();
    let key = OnceKey::new(credential, &format!("{space}{route}"), key)?;
    let (parts, body) = request.into_parts();
    let Whole(bytes) = Whole::from_request(Request::from_parts(parts.clone(), body), &shared).await?;
    let sent = hex::encode(digest(&SHA256, &bytes));
    let claim = match shared.store().take_turn(&key, &sent).await? {
        Attempt::Do(claim) => claim,
        Attempt::Done(answer) => return again(&answer),
        turn => return Err(refused(&turn)),
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    // To its end, also when whoever asked has gone: they will come back for the answer.
    let work = spaces::along(spaces::baggage(), finish(shared, key, claim, request, next));
    let done = tokio::spawn(work.in_current_span());
    done.await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}

async fn finish(
    shared: Shared,
    key: OnceKey,
    claim: Claim,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let mut response = doing(claim.clone(), next.run(request)).await;
    let status = response.status();
    let problem = response.extensions().get::<Problem>();
    // What will be otherwise in a moment is no answer to keep.
    let passes = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || problem.is_some_and(|problem| problem.body.retry_after_ms.is_some());
    if passes {
        shared.store().give_turn_back(&claim).await?;
        return Ok(response);
    }
    let kept = if let Some(Problem { status, body }) = response.extensions_mut().remove::<Problem>() {
        Kept::Problem { status: status.as_u16(), body }
    } else {
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = to_bytes(response.into_body(), ANSWER_LIMIT).await;
        let body = body.map_err(|error| Problem::internal(&error))?;
        Kept::Answer { status: status.as_u16(), content_type, body: BASE64_STANDARD.encode(body) }
    };
    let text = serde_json::to_string(&kept).map_err(|error| Problem::internal(&error))?;
    shared.store().keep_answer(&key, &claim, &text).await?;
    again(&text)
}

/// The answer that was kept.
fn again(kept: &str) -> Result<Response, Problem> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Problem::from(StoreError::Corrupt { what: "the answer to a request".into(), source: Some(error) })
    };
    let status = |status: u16| StatusCode::from_u16(status).map_err(|error| unreadable(error.into()));
    match serde_json::from_str(kept).map_err(|error| unreadable(error.into()))? {
        Kept::Problem { status: code, body } => Err(Problem { status: status(code)?, body }),
        Kept::Answer { status: code, content_type, body } => {
            let body = BASE64_STANDARD.decode(body).map_err(|error| unreadable(error.into()))?;
            let mut response = (status(code)?, body).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(content_type) = content_type.and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            }
            Ok(response)
        }
    }
}

/// Why a request is not done, and has no answer either.
fn refused(turn: &Attempt) -> Problem {
    match turn {
        Attempt::Other => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Invalid,
            format!(
                "the {IDEMPOTENCY_HEADER} was given to another request before: each needs a key of its own"
            ),
        ),
        Attempt::Lost => Problem::new(
            StatusCode::CONFLICT,
            ErrorCode::Conflict,
            format!(
                "a request with this {IDEMPOTENCY_HEADER} was done, and its answer was lost with the server that did it: look \
                 what there is before it is sent again with another key"
            ),
        ),
        _ => {
            let mut problem = Problem::new(
                StatusCode::CONFLICT,
                ErrorCode::Busy,
                format!("a request with this {IDEMPOTENCY_HEADER} is being done: ask again for its answer"),
            );
            problem.body.retry_after_ms = Some(PAUSE_MS);
            problem
        }
    }
}
