//! Who is calling: an API key on the Octopus side, the token of a worker's session and its process on the worker side;
//! and who may register a worker.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Shared, problem::Problem, spaces};
use crate::{
    model::{EnvironmentId, Permission, SpaceId},
    protocol::{INSTANCE_HEADER, REGISTRATION_PREFIX},
    store::{ApiKeyRow, Registrar, Session},
};

const KEY_HEADER: &str = "x-octopus-apikey";

/// Lets only requests pass whose API key allows them. What it reaches is left with the request, for those who change
/// an environment.
pub(super) async fn require_key(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let needed = needed(request.method(), request.uri().path());
    let is_about_all = spaces::is_about_all(request.method(), resource(request.uri().path()));
    match check_key(&shared, request.headers(), needed, is_about_all).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn check_key(
    shared: &Shared,
    headers: &HeaderMap,
    needed: Permission,
    is_about_all: bool,
) -> Result<Caller, Problem> {
    let Some(key) = credential(headers) else {
        return Err(Problem::unauthorised(
            "no API key was sent: put one into the header X-Octopus-ApiKey or Authorization: Bearer",
        ));
    };
    let row = shared.store().api_key(key).await?.ok_or_else(|| {
        Problem::unauthorised("the API key that was sent is not one of this server's, or its time is over")
    })?;
    if !row.allows(needed) {
        let has: Vec<String> = row.permissions.iter().map(ToString::to_string).collect();
        return Err(Problem::forbidden(format!(
            "the API key `{}` may {}; this call needs `{needed}`",
            row.name,
            has.join(", ")
        )));
    }
    if let Some(space) = row.space.filter(|_| is_about_all) {
        return Err(Problem::forbidden(format!(
            "the API key `{}` reaches space `{space}` alone; this call is about the whole server",
            row.name
        )));
    }
    Ok(Caller(Arc::new(row)))
}

/// Lets only requests pass that come with an API key that allows it, or with a registration token, good or not any more:
/// whether it is good for the worker that it is to register is found out where it is counted.
pub(super) async fn require_registrar(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let text = credential(request.headers()).filter(|text| text.starts_with(REGISTRATION_PREFIX));
    let Some(text) = text else { return require_key(State(shared), request, next).await };
    match shared.everything.known_registration_token(text).await {
        Ok(Some(row)) => {
            request.extensions_mut().insert(Registrar::Token { id: row.id });
            next.run(request).await
        }
        Ok(None) => Problem::unauthorised(
            "the registration token that was sent is not one of this server's, or it was deleted",
        )
        .into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The first word of a path below `/api`.
fn resource(path: &str) -> &str {
    path.strip_prefix("/api/").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// The API key that was sent.
pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok()).or_else(|| bearer(headers));
    key.map(str::trim).filter(|key| !key.is_empty())
}

/// What a call needs. Whatever is not listed here changes how the server is set up.
pub(super) fn needed(method: &Method, path: &str) -> Permission {
    match (method, resource(path)) {
        (_, "apikeys" | "workerregistrationtokens") => Permission::Administer,
        (&Method::GET | &Method::HEAD, _) => Permission::Read,
        // Questions that are too long for a query.
        (&Method::POST, "channels" | "releases")
            if path.ends_with("/rule-test") || path.ends_with("/previews") =>
        {
            Permission::Read
        }
        (&Method::POST, "packages" | "releases" | "build-information") => Permission::Publish,
        (&Method::POST, "environments") if path.ends_with("/deploy-current") => Permission::Deploy,
        (&Method::POST, "deployments" | "tasks" | "runbook-runs") => Permission::Deploy,
        _ => Permission::Administer,
    }
}

/// The API key that a request came with.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<ApiKeyRow>);

impl Caller {
    /// The name of the key.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The only space that the key reaches, if it is limited to one.
    pub(super) fn space(&self) -> Option<SpaceId> {
        self.0.space
    }

    /// Refuses a key that may not do what a part of a request needs beyond the request itself.
    pub(super) fn allow(&self, needed: Permission, part: &str) -> Result<(), Problem> {
        if self.0.allows(needed) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "the API key `{}` may not do this: {part} needs `{needed}`",
            self.0.name
        )))
    }

    /// Refuses a key that may not change this environment.
    pub(super) fn reach(&self, environment: EnvironmentId, name: &str) -> Result<(), Problem> {
        if self.0.reaches(environment) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "the API key `{}` may not deploy to environment `{name}`, only to the environments it was made for",
            self.0.name
        )))
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthorised("no API key was sent"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The process that holds a worker's session, by its token.
pub(super) struct Instance(pub(super) Session);

impl FromRequestParts<Shared> for Instance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            Problem::unauthorised("no token of a session was sent: put it into Authorization: Bearer")
        })?;
        let session = shared.store().session_of(token).await?;
        let instance = parts.headers.get(INSTANCE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let instance = instance.ok_or_else(|| {
            Problem::invalid(format!("the header {INSTANCE_HEADER} is missing or holds no UUID"))
        })?;
        session.check(instance)?;
        Ok(Self(session))
    }
}
