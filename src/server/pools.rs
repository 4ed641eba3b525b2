//! Worker pools, and the registered workers as their members.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{Shared, body::Fields, json::link, machines, paging::Params, problem::Problem, spaces::here};
use crate::{
    model::{MachineId, WorkerId, WorkerPoolId},
    store::{MachineRow, StoreError, WorkerPoolRow},
};

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().worker_pools().await?;
    params.page_of("WorkerPool", &rows, |row| (WorkerPoolId(row.id), &row.name), pool)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().worker_pools().await?.iter().map(pool).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let description = fields.raw_text("Description")?.unwrap_or_default();
    let row = shared.store().create_worker_pool(&fields.required("Name")?, &description).await?;
    Ok((StatusCode::CREATED, Json(pool(&row))))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(pool(&shared.store().worker_pool(&id).await?)))
}

pub(super) async fn change(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().worker_pool(&id).await?;
    if fields.flag("IsDefault")? && row.is_default == 0 {
        let pools = shared.store().worker_pools().await?;
        let default =
            pools.iter().find(|pool| pool.is_default == 1).map(|pool| WorkerPoolId(pool.id).to_string());
        return Err(Problem::invalid(format!(
            "`IsDefault`: the default pool of this space is always `{}`",
            default.unwrap_or_default()
        )));
    }
    let description = fields.raw_text("Description")?.unwrap_or(row.description);
    let row = shared.store().change_worker_pool(&id, &fields.required("Name")?, &description).await?;
    Ok(Json(pool(&row)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(pool(&shared.store().delete_worker_pool(&id).await?)))
}

fn pool(row: &WorkerPoolRow) -> Value {
    let id = WorkerPoolId(row.id);
    json!({
        "Id": id, "Name": row.name, "Slug": row.slug, "Description": row.description,
        "IsDefault": row.is_default == 1, "CanAddWorkers": true, "SortOrder": row.id,
        "WorkerPoolType": "StaticWorkerPool", "SpaceId": here(),
        "Links": {
            "Self": link(format_args!("workerpools/{id}")),
            "Workers": link(format_args!("workers?workerPoolIds={id}")),
        },
    })
}

pub(super) async fn workers(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().machines().await?;
    let items = rows.iter().filter(|row| {
        machines::is_wanted(&shared, &params, &WorkerId(row.id).to_string(), row)
            && params.lets("workerPoolIds", &WorkerPoolId(row.worker_pool_id).to_string())
    });
    params.envelope("Worker", items.map(|row| worker(&shared, row)).collect()).map(Json)
}

pub(super) async fn all_workers(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().machines().await?.iter().map(|row| worker(&shared, row)).collect::<Vec<_>>()))
}

pub(super) async fn show_worker(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(worker(&shared, &find(&shared, &id).await?)))
}

/// Disables or enables the worker, and moves it to another pool.
pub(super) async fn change_worker(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = find(&shared, &id).await?;
    let mut change = machines::wanted_change(&fields, &row)?;
    match fields.texts("WorkerPoolIds")?.as_slice() {
        [] => {}
        [pool] => change.pool = Some(shared.store().worker_pool(pool).await?.id),
        _ => return Err(Problem::invalid("`WorkerPoolIds` names several: a worker is in one pool")),
    }
    machines::apply(&shared, row.id, change).await?;
    Ok(Json(worker(&shared, &find(&shared, &id).await?)))
}

pub(super) async fn remove_worker(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let row = find(&shared, &id).await?;
    machines::deregister(&shared, &row, params.flag("force")).await?;
    Ok(Json(worker(&shared, &row)))
}

async fn find(shared: &Shared, id: &str) -> Result<MachineRow, Problem> {
    let missing = || StoreError::NotFound(format!("worker `{id}` does not exist"));
    let number = id.parse::<WorkerId>().map_err(|_| missing())?;
    shared.store().machine(&MachineId(number.0).to_string()).await.map_err(|error| match error {
        StoreError::NotFound(_) => missing().into(),
        other => other.into(),
    })
}

fn worker(shared: &Shared, row: &MachineRow) -> Value {
    let id = WorkerId(row.id);
    let mut document = machines::common(shared, row);
    document["Id"] = json!(id);
    document["WorkerPoolIds"] = json!([WorkerPoolId(row.worker_pool_id)]);
    document["Links"] = json!({
        "Self": link(format_args!("workers/{id}")),
        "Machine": link(format_args!("machines/{}", MachineId(row.id))),
    });
    document
}
