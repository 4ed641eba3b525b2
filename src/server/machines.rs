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
    body::Fields,
    json::{link, time, wanted},
    paging::Params,
    problem::Problem,
    spaces::here,
};
use crate::{
    model::{EnvironmentId, MachineId, WorkerId},
    store::{MachineChange, MachineRow},
};

/// How the server reaches a machine: not at all, for workers call it.
const STYLE: &str = "None";
/// A worker that was heard of within this time is taken to be there.
const FRESH: Duration = Duration::from_secs(90);

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().machines().await?;
    let items = rows.iter().filter(|row| {
        is_wanted(&shared, &params, &MachineId(row.id).to_string(), row)
            && params.lets("environmentIds", &EnvironmentId(row.environment_id).to_string())
    });
    params.envelope("Machine", items.map(|row| machine(&shared, row)).collect()).map(Json)
}

/// What the lists of machines and of workers are narrowed by. Workers have no roles and no thumbprint.
pub(super) fn is_wanted(shared: &Shared, params: &Params, id: &str, row: &MachineRow) -> bool {
    let disabled = if row.disabled == 1 { "true" } else { "false" };
    wanted(params, id, &row.name)
        && params.lets("healthStatuses", health_of(shared, row).0)
        && params.lets("commStyles", STYLE)
        && params.lets("isDisabled", disabled)
        && ["roles", "thumbprint", "tenantIds", "tenantTags"]
            .into_iter()
            .all(|name| params.list(name).is_none())
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().machines().await?.iter().map(|row| machine(&shared, row)).collect::<Vec<_>>()))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(machine(&shared, &shared.store().machine(&id).await?)))
}

/// An administrator deregisters the worker: its key stops working now. One that is at work only with `force`.
pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().machine(&id).await?;
    deregister(&shared, &row, params.flag("force")).await?;
    Ok(Json(machine(&shared, &row)))
}

/// Forgets the worker; its key stops working now.
pub(super) async fn deregister(shared: &Shared, row: &MachineRow, force: bool) -> Result<(), Problem> {
    shared.store().deregister(row.id, force).await?;
    tracing::info!(worker = row.name, "worker deregistered by an administrator");
    Ok(())
}

/// Octopus's clients register tentacles so. Workers of this server register themselves, with a key of their own.
pub(super) async fn no_registration() -> Problem {
    let mut problem = Problem::invalid("a machine cannot be made here: a worker registers itself");
    problem.body.hint = Some("run `octarm worker register` where the worker is to run".into());
    problem
}

pub(super) async fn change(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().machine(&id).await?;
    let change = wanted_change(&fields, &row)?;
    apply(&shared, row.id, change).await?;
    Ok(Json(machine(&shared, &shared.store().machine(&id).await?)))
}

/// What a machine that was read, changed and sent back is to become. What cannot be changed must be as it was.
pub(super) fn wanted_change(fields: &Fields, row: &MachineRow) -> Result<MachineChange, Problem> {
    let refused = |name: &str, why: &str| {
        Err(Problem::invalid(format!("`{name}` of worker `{}` cannot be changed: {why}", row.name)))
    };
    if fields.text("Name")?.is_some_and(|name| name.trim() != row.name) {
        return refused("Name", "it is the one that the worker registered with");
    }
    let environments = fields.texts("EnvironmentIds")?;
    let own = EnvironmentId(row.environment_id).to_string();
    if environments.iter().any(|id| !id.eq_ignore_ascii_case(&own)) {
        return refused(
            "EnvironmentIds",
            &format!("a worker is bound to the environment it registered in, `{own}`"),
        );
    }
    for name in ["Roles", "TenantIds", "TenantTags"] {
        if !fields.texts(name)?.is_empty() {
            return refused(name, "this server has none");
        }
    }
    Ok(MachineChange { disabled: fields.sent_flag("IsDisabled")?, pool: None })
}

pub(super) async fn apply(shared: &Shared, machine: i64, change: MachineChange) -> Result<(), Problem> {
    shared.store().change_machine(machine, change).await?;
    shared.deployment_changed();
    Ok(())
}

/// Whether it is well, and whether it is there.
fn health_of(shared: &Shared, row: &MachineRow) -> (&'static str, &'static str) {
    // A worker tells its version with its first session.
    if row.version.is_empty() {
        return ("Unknown", if row.disabled == 1 { "Disabled" } else { "Unknown" });
    }
    let fresh = FRESH.max(shared.settings.poll_wait * 3);
    let silent = Duration::from_millis(u64::try_from(row.silent_ms).unwrap_or(0));
    let (health, status) = match &row.refusing {
        _ if silent > fresh => ("Unavailable", "Offline"),
        Some(_) => ("Unhealthy", "Online"),
        None => ("Healthy", "Online"),
    };
    (health, if row.disabled == 1 { "Disabled" } else { status })
}

/// What a machine and a worker say alike.
pub(super) fn common(shared: &Shared, row: &MachineRow) -> Value {
    let (health, status) = health_of(shared, row);
    let mut summary = if row.version.is_empty() {
        format!("registered on {}, never ran", row.host)
    } else if let Some(reason) = &row.refusing {
        format!("octarm {} on {}, takes no new work: {reason}", row.version, row.host)
    } else {
        format!("octarm {} on {}", row.version, row.host)
    };
    if row.leaving_since.is_some() {
        summary.push_str(", leaving: it gets nothing new and is gone once it has reported what it runs");
    }
    json!({
        "Name": row.name, "SpaceId": here(), "MachinePolicyId": "MachinePolicies-1", "IsDisabled": row.disabled == 1,
        "IsInProcess": false, "HasLatestCalamari": true, "OperatingSystem": null, "ShellName": null, "Thumbprint": null,
        "Uri": null, "HealthStatus": health, "Status": status, "StatusSummary": summary,
        "Endpoint": { "CommunicationStyle": STYLE, "DefaultWorkerPoolId": null, "Links": {} },
        "Host": row.host, "LastSeen": time(row.last_seen),
    })
}

fn machine(shared: &Shared, row: &MachineRow) -> Value {
    let id = MachineId(row.id);
    let mut document = common(shared, row);
    for (name, value) in [
        ("Id", json!(id)),
        ("EnvironmentIds", json!([EnvironmentId(row.environment_id)])),
        ("Roles", json!([])),
        ("TenantIds", json!([])),
        ("TenantTags", json!([])),
        ("TenantedDeploymentParticipation", json!("Untenanted")),
        (
            "Links",
            json!({
                "Self": link(format_args!("machines/{id}")),
                "Worker": link(format_args!("workers/{}", WorkerId(row.id))),
            }),
        ),
    ] {
        document[name] = value;
    }
    document
}
