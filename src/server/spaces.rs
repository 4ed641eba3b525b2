//! Spaces: which one a request is for, and spaces themselves as resources.
//!
//! Nearly everything that is answered names its space, deep in functions that know nothing of the request. So the
//! space goes along with the task that answers, and the store that a handler gets has nothing else in it: what is not
//! in the space cannot be found by forgetting to ask.

use std::{future::Future, sync::Arc};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{Method, StatusCode, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{
    Shared, auth::Caller, body::Fields, json::wanted, paging::Params, problem::Problem, rewrite::Prefix,
    root::USER,
};
use crate::{
    model::{DeploymentId, SpaceId, TaskId},
    store::{NewSpace, SpaceChange, SpaceRow},
};

tokio::task_local! {
    static HERE: Arc<SpaceRow>;
}

/// The space that the request is for; the first one where there is no request.
pub(super) fn here() -> SpaceId {
    of_request().unwrap_or(SpaceId::DEFAULT)
}

/// The space that the request is for, if this is done for a request of the Octopus side.
pub(super) fn of_request() -> Option<SpaceId> {
    HERE.try_with(|space| space.id()).ok()
}

/// Takes the space along to where another task goes on with the request.
pub(super) async fn along<T>(space: Option<Arc<SpaceRow>>, work: impl Future<Output = T>) -> T {
    match space {
        Some(space) => HERE.scope(space, work).await,
        None => work.await,
    }
}

/// What is to go along.
pub(super) fn baggage() -> Option<Arc<SpaceRow>> {
    HERE.try_with(Arc::clone).ok()
}

/// Lets a request into the space that its path names, if its key reaches it. Without a name it is the key's own, else the
/// first one. Behind the look at the key.
pub(super) async fn enter(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let named = request.extensions().get::<Prefix>().map(|prefix| prefix.0.clone());
    let uri = request.uri().clone();
    let chosen = async {
        let of_task = match (&named, caller.space()) {
            (None, None) => of_task(&shared, &uri).await?,
            _ => None,
        };
        choose(&shared, &caller, named.or(of_task).as_deref()).await
    };
    match chosen.await {
        Ok(space) => HERE.scope(Arc::new(space), next.run(request)).await,
        Err(problem) => problem.into_response(),
    }
}

/// The space of the task that a path or a list names: Octopus's clients watch tasks without saying where they are.
async fn of_task(shared: &Shared, uri: &Uri) -> Result<Option<String>, Problem> {
    let Some(rest) = uri.path().strip_prefix("/api/tasks") else { return Ok(None) };
    let ids = || {
        let query = uri.query().unwrap_or_default().split('&');
        query.filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("ids"))
    };
    let named: Vec<String> = match rest.strip_prefix('/') {
        Some(rest) => rest.split('/').take(1).map(str::to_owned).collect(),
        None => ids().map_or_else(Vec::new, |(_, list)| {
            let list = percent_decode_str(list).decode_utf8_lossy();
            list.split(',').map(|id| id.trim().to_owned()).collect()
        }),
    };
    for task in named.iter().filter_map(|id| id.parse::<TaskId>().ok()) {
        if let Some(space) = shared.store().space_of(DeploymentId(task.0)).await? {
            return Ok(Some(space.to_string()));
        }
    }
    Ok(None)
}

/// The space that is meant by `named` and that the key reaches.
pub(super) async fn choose(
    shared: &Shared,
    caller: &Caller,
    named: Option<&str>,
) -> Result<SpaceRow, Problem> {
    let own = caller.space();
    let home = own.unwrap_or(SpaceId::DEFAULT).to_string();
    let named = named.map(str::trim).filter(|named| !named.is_empty());
    let found = shared.store().space(named.unwrap_or(&home)).await;
    match (found, own) {
        (Ok(space), Some(own)) if space.id() == own => Ok(space),
        // Whether there is another one is not told either.
        (_, Some(own)) if named.is_some() => Err(Problem::forbidden(format!(
            "the API key `{}` reaches space `{own}` alone; this call is for `{}`",
            caller.name(),
            named.unwrap_or_default()
        ))),
        (found, _) => Ok(found?),
    }
}

/// Refuses a body that names another space than the request: one of the two is not meant.
pub(super) fn refuse_another(document: &Map<String, Value>) -> Result<(), Problem> {
    let Some(space) = baggage() else { return Ok(()) };
    for (name, value) in document {
        let is_space = ["spaceid", "spaceidorname"].iter().any(|other| name.eq_ignore_ascii_case(other));
        let Some(said) = value.as_str().map(str::trim).filter(|said| is_space && !said.is_empty()) else {
            continue;
        };
        let said_key = said.to_lowercase();
        let is_here = said.parse::<SpaceId>().is_ok_and(|id| id == space.id())
            || said_key == space.name.to_lowercase()
            || said_key == space.slug;
        if !is_here {
            return Err(Problem::invalid(format!(
                "the request is for space `{}` (`{}`), but `{name}` in its body says `{said}`",
                space.name,
                space.id()
            )));
        }
    }
    Ok(())
}

pub(super) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let spaces = reached(&shared, &caller).await?;
    let items = spaces.iter().filter(|row| wanted(&params, &row.id().to_string(), &row.name));
    params.envelope("Space", items.map(document).collect()).map(Json)
}

pub(super) async fn all(State(shared): State<Shared>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let spaces = reached(&shared, &caller).await?;
    Ok(Json(spaces.iter().map(document).collect::<Vec<_>>()))
}

/// The spaces that the key reaches.
pub(super) async fn reached(shared: &Shared, caller: &Caller) -> Result<Vec<SpaceRow>, Problem> {
    let mut spaces = shared.store().spaces().await?;
    spaces.retain(|space| caller.space().is_none_or(|own| own == space.id()));
    Ok(spaces)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(document(&choose(&shared, &caller, Some(&id)).await?)))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let description = fields.raw_text("Description")?.unwrap_or_default();
    let name = fields.required("Name")?;
    let task_queue_stopped = fields.flag("TaskQueueStopped")?;
    let new = NewSpace { name: &name, description: &description, task_queue_stopped };
    let row = shared.store().create_space(&new).await?;
    tracing::info!(id = %row.id(), name = row.name, "space made");
    Ok((StatusCode::CREATED, Json(document(&row))))
}

pub(super) async fn change(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let change = SpaceChange {
        name: fields.text("Name")?,
        description: fields.raw_text("Description")?,
        task_queue_stopped: fields.sent_flag("TaskQueueStopped")?,
    };
    let row = shared.store().change_space(&id, &change).await?;
    tracing::info!(id = %row.id(), name = row.name, stopped = row.task_queue_stopped == 1, "space changed");
    shared.deployment_changed();
    Ok(Json(document(&row)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().delete_space(&id).await?;
    tracing::info!(id = %row.id(), name = row.name, "space deleted with all that was in it");
    Ok(Json(document(&row)))
}

/// Whether a call is about more than one space, so that no key of one may make it.
pub(super) fn is_about_all(method: &Method, resource: &str) -> bool {
    resource == "apikeys" || (resource == "spaces" && !matches!(*method, Method::GET | Method::HEAD))
}

pub(super) fn document(row: &SpaceRow) -> Value {
    let id = row.id();
    json!({
        "Id": id, "Name": row.name, "Slug": row.slug, "Description": row.description, "IsDefault": row.is_default(),
        "TaskQueueStopped": row.task_queue_stopped == 1, "SpaceManagersTeams": [], "SpaceManagersTeamMembers": [USER],
        "Links": {
            "Self": format!("/api/spaces/{id}"), "SpaceHome": format!("/api/{id}"), "Web": format!("/app#/{id}"),
        },
    })
}
