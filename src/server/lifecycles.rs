//! Lifecycles.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, body::Fields, json::link, paging::Params, problem::Problem, spaces::here};
use crate::{
    model::{EnvironmentId, LifecycleId},
    store::{LifecycleRow, NewLifecycle, NewPhase, Phase},
};

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().lifecycles().await?;
    params.page_of("Lifecycle", &rows, |row| (LifecycleId(row.id), &row.name), lifecycle)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().lifecycles().await?.iter().map(lifecycle).collect::<Vec<_>>()))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(lifecycle(&shared.store().lifecycle(&id).await?)))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().create_lifecycle(&read(&fields)?).await?;
    Ok((StatusCode::CREATED, Json(lifecycle(&row))))
}

pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(lifecycle(&shared.store().put_lifecycle(&id, &read(&fields)?).await?)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(lifecycle(&shared.store().delete_lifecycle(&id).await?)))
}

fn read(fields: &Fields) -> Result<NewLifecycle, Problem> {
    let phases = fields.objects("Phases")?;
    let phase = |fields: &Fields| {
        Ok(NewPhase {
            id: fields.text("Id")?,
            name: fields.required("Name")?,
            automatic: fields.texts("AutomaticDeploymentTargets")?,
            optional: fields.texts("OptionalDeploymentTargets")?,
            minimum: fields.number("MinimumEnvironmentsBeforePromotion")?.unwrap_or(0),
            is_optional: fields.flag("IsOptionalPhase")?,
        })
    };
    let phases = phases.iter().map(phase).collect::<Result<_, Problem>>()?;
    Ok(NewLifecycle {
        name: fields.required("Name")?,
        description: fields.raw_text("Description")?.unwrap_or_default(),
        phases,
    })
}

pub(super) fn lifecycle(row: &LifecycleRow) -> Value {
    let id = LifecycleId(row.id);
    json!({
        "Id": id, "Name": row.name, "Description": row.description, "SpaceId": here(),
        "Phases": row.phases.iter().map(phase).collect::<Vec<_>>(),
        "ReleaseRetentionPolicy": keep(), "TentacleRetentionPolicy": keep(),
        "Links": { "Self": link(format_args!("lifecycles/{id}")) },
    })
}

/// Clients read how long things are kept; nothing is taken away.
fn keep() -> Value {
    json!({ "Unit": "Days", "QuantityToKeep": 0, "ShouldKeepForever": true })
}

pub(super) fn phase(phase: &Phase) -> Value {
    let ids = |ids: &[i64]| ids.iter().map(|id| EnvironmentId(*id)).collect::<Vec<_>>();
    json!({
        "Id": phase.id, "Name": phase.name, "AutomaticDeploymentTargets": ids(&phase.automatic),
        "OptionalDeploymentTargets": ids(&phase.optional),
        "MinimumEnvironmentsBeforePromotion": phase.minimum, "IsOptionalPhase": phase.is_optional,
    })
}
