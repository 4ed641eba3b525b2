//! Machines: the registered workers as Octopus clients see them.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    Shared,
    json::{link, time, wanted},
    paging::Params,
    problem::Problem,
    rewrite::SPACE,
};
use crate::{
    model::{EnvironmentId, MachineId},
    store::MachineRow,
};

/// A worker that was heard of within this time is taken to be there.
const FRESH: Duration = Duration::from_secs(90);

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let environments = params.list("environmentIds");
    let health = params.list("healthStatuses");
    let any = |list: &Option<Vec<&str>>, value: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|item| item.eq_ignore_ascii_case(value)))
    };
    let rows = shared.store.machines().await?;
    let items = rows.iter().filter(|row| {
        wanted(&params, &MachineId(row.id).to_string(), &row.name)
            && any(&environments, &EnvironmentId(row.environment_id).to_string())
            && any(&health, health_of(&shared, row).0)
    });
    params.envelope("Machine", items.map(|row| machine(&shared, row)).collect()).map(Json)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store.machines().await?.iter().map(|row| machine(&shared, row)).collect::<Vec<_>>()))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(machine(&shared, &shared.store.machine(&id).await?)))
}

/// An administrator deregisters the worker: its token stops working now. One that is at work only with `force`.
pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store.machine(&id).await?;
    shared.store.deregister(row.id, params.flag("force")).await?;
    tracing::info!(worker = row.name, "worker deregistered by an administrator");
    Ok(Json(machine(&shared, &row)))
}

fn health_of(shared: &Shared, row: &MachineRow) -> (&'static str, &'static str) {
    let fresh = FRESH.max(shared.settings.poll_wait * 3);
    let silent = Duration::from_millis(u64::try_from(row.silent_ms).unwrap_or(0));
    if silent <= fresh { ("Healthy", "Online") } else { ("Unavailable", "Offline") }
}

fn machine(shared: &Shared, row: &MachineRow) -> Value {
    let id = MachineId(row.id);
    let (health, status) = health_of(shared, row);
    json!({
        "Id": id, "Name": row.name, "SpaceId": SPACE, "EnvironmentIds": [EnvironmentId(row.environment_id)],
        "Roles": [], "TenantIds": [], "TenantTags": [], "TenantedDeploymentParticipation": "Untenanted",
        "MachinePolicyId": "MachinePolicies-1", "IsDisabled": false, "IsInProcess": false,
        "HealthStatus": health, "Status": status,
        "StatusSummary": format!("octarm {} on {}", row.version, row.host),
        "Endpoint": { "CommunicationStyle": "None", "DefaultWorkerPoolId": null },
        "Host": row.host, "LastSeen": time(row.last_seen),
        "Links": { "Self": link(format_args!("machines/{id}")) },
    })
}
