//! Environments.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, auth::Caller, body::Fields, json::link, paging::Params, problem::Problem, spaces::here};
use crate::{
    model::{EnvironmentId, TaskId},
    protocol::{CurrentOutcome, CurrentRelease},
    store::EnvironmentRow,
};

const KIND: &str = "Environment";
/// The one type of environments here: those that stay until somebody deletes them.
const TYPE: &str = "Static";

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    let rows = shared.store().environments().await?;
    params.page_of(KIND, &rows, |row| (EnvironmentId(row.id), &row.name), environment)
}

/// As [`list`], of one type.
pub(super) async fn list_typed(State(shared): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    if !params.lets("type", TYPE) {
        return params.envelope(KIND, Vec::new()).map(Json);
    }
    list(State(shared), params).await
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().environments().await?.iter().map(environment).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let description = fields.raw_text("Description")?.unwrap_or_default();
    let row = shared.store().create_environment(&fields.required("Name")?, &description).await?;
    Ok((StatusCode::CREATED, Json(environment(&row))))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(environment(&shared.store().environment(&id).await?)))
}

pub(super) async fn change(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let name = fields.required("Name")?;
    let description = fields.raw_text("Description")?;
    let order = fields.number("SortOrder")?;
    let row = shared.store().change_environment(&id, &name, description.as_deref(), order).await?;
    Ok(Json(environment(&row)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(environment(&shared.store().delete_environment(&id).await?)))
}

/// Ours: deploys what is current in the environment once more.
pub(super) async fn deploy_current(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().environment(&id).await?;
    let id = EnvironmentId(row.id);
    caller.reach(id, &row.name)?;
    let found =
        shared.store().deploy_current(&id.to_string(), &fields.texts("Projects")?, caller.name()).await?;
    shared.deployment_changed();
    let queued = found.iter().filter(|one| one.outcome == CurrentOutcome::Queued);
    let tasks: Vec<Value> = queued
        .filter_map(|one| one.deployment)
        .map(|id| json!({ "DeploymentId": id, "ServerTaskId": TaskId(id.0) }))
        .collect();
    let projects: Vec<Value> = found.iter().map(current).collect();
    Ok(Json(json!({ "EnvironmentId": id, "DeploymentServerTasks": tasks, "Projects": projects })))
}

fn current(one: &CurrentRelease) -> Value {
    let task = one.deployment.map(|id| TaskId(id.0));
    json!({
        "ProjectName": one.project, "ReleaseVersion": one.release, "Outcome": format!("{:?}", one.outcome),
        "DeploymentId": one.deployment, "ServerTaskId": task, "Message": one.message,
    })
}

fn environment(row: &EnvironmentRow) -> Value {
    let id = EnvironmentId(row.id);
    json!({
        "Id": id, "Name": row.name, "Slug": row.slug, "Description": row.description, "SortOrder": row.sort_order,
        "UseGuidedFailure": false, "AllowDynamicInfrastructure": false, "ExtensionSettings": [], "Type": TYPE,
        "SpaceId": here(), "Links": {
            "Self": link(format_args!("environments/{id}")),
            "Machines": link(format_args!("machines?environmentIds={id}")),
        },
    })
}
