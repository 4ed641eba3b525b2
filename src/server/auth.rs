//! Who is calling: an API key on the Octopus side, a worker's token and process on the worker side.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Shared, problem::Problem};
use crate::{protocol::INSTANCE_HEADER, store::Session};

const KEY_HEADER: &str = "x-octopus-apikey";

/// Lets only requests with an API key pass.
pub(super) async fn require_key(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match check_key(&shared, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check_key(shared: &Shared, headers: &HeaderMap) -> Result<(), Problem> {
    let key = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok()).or_else(|| bearer(headers));
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return Err(Problem::unauthorised(
            "no API key was sent: put one into the header X-Octopus-ApiKey or Authorization: Bearer",
        ));
    };
    if shared.store.is_api_key(key).await? {
        Ok(())
    } else {
        Err(Problem::unauthorised("the API key that was sent is not one of this server's"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A worker, by its token.
pub(super) struct Worker(pub(super) Session);

impl FromRequestParts<Shared> for Worker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            Problem::unauthorised("no worker token was sent: put it into Authorization: Bearer")
        })?;
        Ok(Self(shared.store.session_of(token).await?))
    }
}

/// The process that holds a worker's session.
pub(super) struct Instance(pub(super) Session);

impl FromRequestParts<Shared> for Instance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let Worker(session) = Worker::from_request_parts(parts, shared).await?;
        let instance = parts.headers.get(INSTANCE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        session.check(instance)?;
        Ok(Self(session))
    }
}
