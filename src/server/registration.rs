//! The worker API up to the session: who may register, who proves to be the worker, and how it leaves.

use std::time::Duration;

use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use tokio::time::Instant;

use super::{
    Shared,
    auth::{Caller, Instance},
    problem::Problem,
    spaces, tasks,
    workers::{Body, milliseconds},
};
use crate::{
    model::MachineId,
    protocol::{
        ChallengeRequest, CheckRequest, CurrentOutcome, DeregisterRequest, DeregisterResponse,
        RegisterRequest, SessionRequest, SessionResponse,
    },
    store::Registrar,
};

/// How often a worker that is leaving is looked at without any news of it: it may also be gone because time passed.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn register(
    State(shared): State<Shared>,
    caller: Option<Extension<Caller>>,
    token: Option<Extension<Registrar>>,
    Body(request): Body<RegisterRequest>,
) -> Result<impl IntoResponse, Problem> {
    let (store, by) = match (caller, token) {
        (Some(Extension(caller)), _) => {
            let space = spaces::choose(&shared, &caller, request.space.as_deref()).await?.id();
            (shared.everything.in_space(space), Registrar::Key(caller.name().to_owned()))
        }
        (None, Some(Extension(token))) => (shared.everything.clone(), token),
        (None, None) => return Err(Problem::unauthorised("no API key and no registration token was sent")),
    };
    let registered = store.register(&request, &by).await?;
    tracing::info!(
        worker = registered.name,
        environment = registered.environment,
        host = request.machine.host,
        existed = registered.existed,
        %by,
        queued = registered.current.iter().filter(|one| one.outcome == CurrentOutcome::Queued).count(),
        "worker registered"
    );
    if !registered.current.is_empty() {
        shared.deployment_changed();
    }
    Ok(Json(registered))
}

/// Given to whoever asks, and for any worker: whether there is one is nobody's to know.
pub(super) async fn challenge(
    State(shared): State<Shared>,
    Body(request): Body<ChallengeRequest>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.everything.challenge(request.worker_id).await?))
}

pub(super) async fn start_session(
    State(shared): State<Shared>,
    Body(request): Body<SessionRequest>,
) -> Result<impl IntoResponse, Problem> {
    let ttl = shared.settings.worker_session;
    let begun = shared.everything.start_session(&request, ttl).await?;
    if request.renewal {
        tracing::debug!(worker = begun.name, instance = %request.instance, "worker session renewed");
    } else {
        tracing::info!(worker = begun.name, instance = %request.instance, "worker session started");
    }
    Ok(Json(SessionResponse {
        worker_id: request.worker_id,
        environment: begun.environment,
        poll_wait_ms: milliseconds(shared.settings.poll_wait),
        token: begun.token,
        token_ttl_ms: milliseconds(ttl),
    }))
}

/// The process has come to its end.
pub(super) async fn end_session(
    State(shared): State<Shared>,
    Instance(session): Instance,
) -> Result<impl IntoResponse, Problem> {
    shared.everything.end_session(&session).await?;
    tracing::info!(worker = session.name, instance = session.own, "worker session ended");
    shared.deployment_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Signed by the worker's key, and nothing else: it takes no session from the process that runs.
pub(super) async fn check(
    State(shared): State<Shared>,
    Body(request): Body<CheckRequest>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.everything.check(&request).await?))
}

/// Signed by the worker's key: whoever deregisters need not be the process that runs.
pub(super) async fn deregister(
    State(shared): State<Shared>,
    Body(request): Body<DeregisterRequest>,
) -> Result<impl IntoResponse, Problem> {
    shared.everything.ask_to_leave(&request).await?;
    let DeregisterRequest { worker_id, force, .. } = request;
    tracing::info!(worker = %worker_id, force, "worker asked to leave");
    let deadline = Instant::now() + Duration::from_millis(request.wait_ms).min(shared.settings.poll_wait);
    loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        // Before the look, so that what happens between look and wait is not missed.
        news.as_mut().enable();
        let answer = let_go(&shared, worker_id).await?;
        if answer.gone || Instant::now() >= deadline || shared.closing.is_cancelled() {
            return Ok(Json(answer));
        }
        let until = tasks::next_look(&shared.everything, deadline).min(Instant::now() + LOOK);
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(until) => {}
            () = shared.closing.cancelled() => {}
        }
    }
}

async fn let_go(shared: &Shared, worker: MachineId) -> Result<DeregisterResponse, Problem> {
    let answer = shared.everything.let_go(worker).await?;
    if answer.gone {
        tracing::info!(%worker, "worker deregistered");
    }
    Ok(answer)
}
