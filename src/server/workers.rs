//! The worker API from the session on: decode, one verb of the store, encode.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequest, Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{Shared, auth::Instance, body::Whole, packages, problem::Problem, tasks};
use crate::{
    model::{DeploymentId, Fence, LogLine, ReleaseId, Variable},
    protocol::{
        ClaimRequest, ClaimResponse, ControlRequest, ControlResponse, FinishRequest, Finished,
        JournalRequest, MAX_LOG_CHUNK, MAX_REASON, RenewRequest, RenewResponse,
    },
    store::{Look, Own, Session},
};

/// When a claim looks again that found something and was not fast enough: whoever had it may yet give it up.
const LOST_RACE: Duration = Duration::from_secs(1);
/// How long a worker should pause after an empty claim.
const PAUSE: Duration = Duration::from_millis(250);

/// More deployments than any worker runs at once.
const MOST_HELD: usize = 1000;

/// A JSON body; what does not fit is told in our own envelope.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::invalid(format!("the request's body is not what this call takes: {error}"))
        })
    }
}

/// Waits until something can be handed out, which whoever made it so tells. If that is not heard, the worker's next claim
/// finds it: each looks at its beginning. A deployment that is handed out and whose answer is lost on the way is
/// safe: the worker's next claim, or the end of the lease, hands it out again to reconcile.
pub(super) async fn claim(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Body(request): Body<ClaimRequest>,
) -> Result<impl IntoResponse, Problem> {
    refuse_too_many(&request.holding)?;
    let reason = request.refusing.as_deref();
    reason.map_or(Ok(()), check_reason)?;
    hear(&shared, &session, reason).await?;
    let wait = Duration::from_millis(request.wait_ms).min(shared.settings.poll_wait);
    let deadline = Instant::now() + wait;
    let queue = shared.store().queue_of(&session);
    let mut turn = queue.turn();
    let mut leaving = shared.store().leaving(&session);
    let (mut own, mut resting) = (Own::Besides(&request.holding), false);
    loop {
        let woken = queue.woken(resting);
        tokio::pin!(woken);
        // Before the look, so that what is queued between look and wait is not missed.
        if woken.as_mut().enable() {
            turn.give();
        }
        let closing = shared.closing.is_cancelled();
        let look = match reason {
            _ if closing => Look::Nothing,
            // Not even what it lost: to find out about that takes the package, and so the disk that it has not.
            Some(_) => shared.store().look_resting(&session).await?,
            None => shared.store().look(&session, own).await?,
        };
        let found = look == Look::Work;
        if found {
            // Whatever becomes of this claim, somebody looks.
            turn.give();
        }
        if found && let Some(mut assignment) = shared.store().claim(&session, own).await? {
            // There may be more, for others.
            turn.pass_on();
            let uri = shared.public_url.as_deref();
            assignment.variables.extend(uri.map(|uri| Variable::plain("Octopus.Web.ServerUri", uri)));
            tracing::info!(
                deployment = %assignment.deployment,
                fence = %assignment.fence,
                reconcile = assignment.reconcile,
                worker = session.name,
                "deployment handed out"
            );
            shared.news.notify_waiters();
            return Ok(Json(ClaimResponse {
                assignment: Some(Box::new(assignment)),
                pause_ms: 0,
                leaving: false,
            }));
        }
        own = Own::Kept(&request.holding);
        if look == Look::Leaving {
            turn.pass_on();
            return Ok(Json(ClaimResponse {
                assignment: None,
                pause_ms: milliseconds(PAUSE),
                leaving: true,
            }));
        }
        if (look == Look::Disabled) != resting {
            resting = !resting;
            // Nobody is to wait for a worker that takes nothing.
            if resting {
                turn.pass_on();
            }
            continue;
        }
        turn.end();
        if closing || Instant::now() >= deadline {
            return Ok(Json(ClaimResponse {
                assignment: None,
                pause_ms: milliseconds(PAUSE),
                leaving: false,
            }));
        }
        let until = if found { deadline.min(Instant::now() + LOST_RACE) } else { deadline };
        tokio::select! {
            () = woken => if !resting { turn.give() },
            () = leaving.heard() => {}
            () = tokio::time::sleep_until(until) => {}
            () = shared.closing.cancelled() => {}
        }
    }
}

/// Notes that the worker was heard of, and why it takes no new work where it says something else than before. What it says
/// may change with each claim, as the space on its disk does: operators are told that it began and that it ended.
async fn hear(shared: &Shared, session: &Session, reason: Option<&str>) -> Result<(), Problem> {
    let before = session.refusing.as_deref();
    if before == reason {
        return Ok(shared.store().touch(session.id).await?);
    }
    shared.store().touch_refusing(session.id, reason).await?;
    match (before, reason) {
        (None, Some(reason)) => tracing::warn!(worker = session.name, reason, "worker takes no new work"),
        (Some(_), None) => tracing::info!(worker = session.name, "worker takes work again"),
        _ => {}
    }
    Ok(())
}

/// Waits until cancelling is asked for of one of those that the worker names, so that a cancel need not wait for the
/// next renewal.
pub(super) async fn control(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Body(request): Body<ControlRequest>,
) -> Result<impl IntoResponse, Problem> {
    refuse_too_many(&request.holding)?;
    let deadline = Instant::now() + Duration::from_millis(request.wait_ms).min(shared.settings.poll_wait);
    loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        // Before the look, so that what happens between look and wait is not missed.
        news.as_mut().enable();
        let cancel = shared.store().to_cancel(&session, &request.holding).await?;
        if !cancel.is_empty() || Instant::now() >= deadline || shared.closing.is_cancelled() {
            return Ok(Json(ControlResponse { cancel }));
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(tasks::next_look(&shared.store(), deadline)) => {}
            () = shared.closing.cancelled() => {}
        }
    }
}

pub(super) async fn renew(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Path(deployment): Path<String>,
    Body(request): Body<RenewRequest>,
) -> Result<impl IntoResponse, Problem> {
    let cancel = shared.store().renew(session.id, parse(&deployment)?, request.fence).await?;
    Ok(Json(RenewResponse { lease_ms: milliseconds(shared.store().lease()), cancel }))
}

pub(super) async fn journal(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Path(deployment): Path<String>,
    Body(request): Body<JournalRequest>,
) -> Result<impl IntoResponse, Problem> {
    let deployment = parse(&deployment)?;
    Ok(Json(shared.store().append_journal(session.id, deployment, request.fence, &request.entry).await?))
}

/// The query of a log chunk.
#[derive(Deserialize)]
pub(super) struct LogPlace {
    fence: Fence,
    offset: u64,
}

pub(super) async fn log(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Path(deployment): Path<String>,
    Query(place): Query<LogPlace>,
    Whole(bytes): Whole,
) -> Result<impl IntoResponse, Problem> {
    if bytes.len() > MAX_LOG_CHUNK {
        return Err(Problem::invalid(format!(
            "the log chunk has {} bytes, at most {MAX_LOG_CHUNK} are taken",
            bytes.len()
        )));
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        return Err(Problem::invalid(
            "the log chunk does not end with a line feed: only whole lines are taken",
        ));
    }
    // Whoever shows the log relies on this: nothing but JSON reaches it.
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        serde_json::from_slice::<LogLine>(line).map_err(|error| {
            Problem::invalid(format!("the log chunk holds a line that is not one of a log: {error}"))
        })?;
    }
    let deployment = parse(&deployment)?;
    let recorded =
        shared.store().append_log(session.id, deployment, place.fence, place.offset, &bytes).await?;
    shared.news.notify_waiters();
    Ok(Json(recorded))
}

/// The query of a package's bytes.
#[derive(Deserialize)]
pub(super) struct OfFence {
    fence: Fence,
}

pub(super) async fn package(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Path(deployment): Path<String>,
    Query(OfFence { fence }): Query<OfFence>,
) -> Result<Response, Problem> {
    let deployment = parse(&deployment)?;
    shared.store().check_fence(session.id, deployment, fence).await?;
    let row = shared.store().deployment(deployment).await?;
    let release = shared.store().release(&ReleaseId(row.release_id).to_string()).await?;
    packages::stream(&shared, &release.package_file, &release.blob()).await
}

pub(super) async fn finish(
    State(shared): State<Shared>,
    Instance(session): Instance,
    Path(deployment): Path<String>,
    Body(request): Body<FinishRequest>,
) -> Result<impl IntoResponse, Problem> {
    let deployment = parse(&deployment)?;
    shared.store().finish(session.id, deployment, &request).await?;
    tracing::info!(%deployment, state = %request.outcome.task_state(), worker = session.name, "deployment ended");
    shared.deployment_changed();
    Ok(Json(Finished {}))
}

fn refuse_too_many(holding: &[DeploymentId]) -> Result<(), Problem> {
    if holding.len() > MOST_HELD {
        return Err(Problem::invalid(format!(
            "the worker says that it holds {} deployments, at most {MOST_HELD} are taken",
            holding.len()
        )));
    }
    Ok(())
}

/// Whoever shows the reason relies on its being a line.
fn check_reason(reason: &str) -> Result<(), Problem> {
    let length = reason.chars().count();
    if length == 0 || length > MAX_REASON || reason.contains(char::is_control) {
        return Err(Problem::invalid(format!(
            "`refusing` has {length} characters, expected one line of 1 to {MAX_REASON}"
        )));
    }
    Ok(())
}

fn parse(id: &str) -> Result<DeploymentId, Problem> {
    id.parse().map_err(|_| Problem::not_found(format!("deployment `{id}` does not exist")))
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
