//! The outermost layer: a panic becomes an answer, and every error leaves in the form of its API.

use std::panic::AssertUnwindSafe;

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use serde_json::json;

use super::problem::Problem;
use crate::protocol::{BASE, ErrorCode, ErrorEnvelope};

/// Runs the request, encodes its error, if it ends in one, and notes in its span what it was answered.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let response = answered(request, next).await;
    tracing::Span::current().record("status", response.status().as_u16());
    response
}

async fn answered(request: Request, next: Next) -> Response {
    let for_worker = request.uri().path().starts_with(BASE);
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Problem::internal(&Panicked).into_response(),
    };
    // Whoever sent a method that a path does not take is told which ones it does.
    let allowed = response.headers().get(header::ALLOW).cloned();
    let problem = match problem_of(response).await {
        Ok(response) => return response,
        Err(problem) => problem,
    };
    let Problem { status, body } = problem;
    let pause = body.retry_after_ms.filter(|_| body.code == ErrorCode::Busy);
    let mut response = if for_worker {
        (status, Json(ErrorEnvelope { error: body })).into_response()
    } else {
        let message = match body.hint {
            Some(hint) => format!("{} (hint: {hint})", body.message),
            None => body.message,
        };
        (status, Json(json!({ "ErrorMessage": message, "Errors": [message] }))).into_response()
    };
    if let Some(allowed) = allowed {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    if let Some(pause) = pause {
        response.headers_mut().insert(header::RETRY_AFTER, pause.div_ceil(1000).into());
    }
    response
}

#[derive(Debug, thiserror::Error)]
#[error("the code that answers the request panicked")]
struct Panicked;

/// The answer, or the problem that it carries. What the framework refuses on its own is a plain text.
async fn problem_of(mut response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(response);
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Err(problem);
    }
    let text = to_bytes(response.into_body(), 4096).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        _ if status.is_server_error() => ErrorCode::Internal,
        _ => ErrorCode::Invalid,
    };
    let text = if text.is_empty() { status.to_string() } else { text };
    Err(Problem::new(status, code, text))
}
