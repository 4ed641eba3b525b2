//! Deployments: made, listed, and resolved when their end is unknown.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    Shared,
    auth::Caller,
    body::Fields,
    json::{link, time},
    paging::Params,
    problem::Problem,
    spaces::here,
    tasks,
};
use crate::{
    model::{ChannelId, DeploymentId, EnvironmentId, Permission, ProjectId, ReleaseId, TaskId},
    store::{Asked, DeploymentRow, NewDeployment, Resolution, StoreError, TaskFilter},
};

/// The executions command: one deployment for each environment named, all or none.
pub(super) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let project = fields.required("ProjectName")?;
    let update_variables = fields.flag("UpdateVariableSnapshot")?;
    if update_variables {
        caller.allow(Permission::Publish, "`UpdateVariableSnapshot`, which changes the release,")?;
    }
    let release = shared.store().release_of(&project, &fields.required("ReleaseVersion")?).await?;
    let new = NewDeployment {
        release,
        environments: fields.texts("EnvironmentNames")?,
        prompted: given(&fields, "Variables", Asked::Name)?,
        comments: fields.raw_text("Comments")?.unwrap_or_default(),
        update_variables,
        created_by: caller.name().to_owned(),
    };
    let made = make(&shared, &caller, &new).await?;
    let tasks: Vec<Value> =
        made.iter().map(|id| json!({ "DeploymentId": id, "ServerTaskId": TaskId(id.0) })).collect();
    Ok((StatusCode::CREATED, Json(json!({ "DeploymentServerTasks": tasks }))))
}

/// The values that are given under a property, by what its keys are.
fn given(fields: &Fields, property: &str, by: fn(String) -> Asked) -> Result<Vec<(Asked, String)>, Problem> {
    Ok(fields.map(property)?.into_iter().map(|(name, value)| (by(name), value)).collect())
}

async fn make(shared: &Shared, caller: &Caller, new: &NewDeployment) -> Result<Vec<DeploymentId>, Problem> {
    for named in &new.environments {
        let environment = shared.store().environment(named).await?;
        caller.reach(EnvironmentId(environment.id), &environment.name)?;
    }
    let made = shared.store().create_deployments(new).await?;
    shared.deployment_changed();
    Ok(made)
}

pub(super) async fn tenanted() -> Problem {
    Problem::invalid("tenants not supported")
}

/// The classic way: ids in; prompted values come by the variable's id.
pub(super) async fn create_classic(
    State(shared): State<Shared>,
    caller: Caller,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    if fields.text("TenantId")?.is_some() {
        return Err(tenanted().await);
    }
    let release = shared.store().release(&fields.required("ReleaseId")?).await?;
    let new = NewDeployment {
        release,
        environments: vec![fields.required("EnvironmentId")?],
        prompted: given(&fields, "FormValues", Asked::Id)?,
        comments: fields.raw_text("Comments")?.unwrap_or_default(),
        update_variables: false,
        created_by: caller.name().to_owned(),
    };
    let made = make(&shared, &caller, &new).await?;
    let id = made.first().copied().ok_or_else(|| Problem::invalid("no deployment was made"))?;
    Ok((StatusCode::CREATED, Json(deployment(&shared.store().deployment(id).await?))))
}

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let page = params.page()?;
    let ids = |name| tasks::numbers(&params, name, |id| id.parse::<DeploymentId>().map(|id| id.0));
    let filter = TaskFilter {
        ids: ids("ids"),
        states: tasks::states(&params, "taskState")?,
        projects: tasks::numbers(&params, "projects", |id| id.parse::<ProjectId>().map(|id| id.0))
            .unwrap_or_default(),
        environments: tasks::numbers(&params, "environments", |id| {
            id.parse::<EnvironmentId>().map(|id| id.0)
        })
        .unwrap_or_default(),
        active: None,
    };
    let (rows, total) = shared.store().deployments(&filter, page).await?;
    Ok(Json(params.wrap("Deployment", page, total, &rows.iter().map(deployment).collect::<Vec<_>>())))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(deployment(&shared.store().deployment(parse(&id)?).await?)))
}

/// Ours: a person says what an unknown end was.
pub(super) async fn resolve(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let id = parse(&id)?;
    let row = shared.store().deployment(id).await?;
    caller.reach(EnvironmentId(row.environment_id), &row.environment_name)?;
    let found = match fields.required("As")?.to_lowercase().as_str() {
        "success" => Resolution::Success,
        "failed" => Resolution::Failed,
        other => return Err(Problem::invalid(format!("`As` is `{other}`: expected `success` or `failed`"))),
    };
    shared.store().resolve(id, found).await?;
    shared.deployment_changed();
    Ok(Json(deployment(&shared.store().deployment(id).await?)))
}

fn parse(id: &str) -> Result<DeploymentId, StoreError> {
    id.parse().map_err(|_| StoreError::NotFound(format!("deployment `{id}` does not exist")))
}

pub(super) fn deployment(row: &DeploymentRow) -> Value {
    let id = DeploymentId(row.id);
    let task = TaskId(row.id);
    let project = ProjectId(row.project_id);
    let release = ReleaseId(row.release_id);
    let environment = EnvironmentId(row.environment_id);
    json!({
        "Id": id, "ReleaseId": release, "EnvironmentId": environment, "ProjectId": project,
        "ChannelId": ChannelId(row.channel_id), "TaskId": task,
        "ManifestVariableSetId": row.variables_id(),
        "DeploymentProcessId": format!("deploymentprocess-{project}"),
        "Name": format!("Deploy to {}", row.environment_name), "Created": time(row.created),
        "Comments": row.comments, "DeployedBy": row.created_by, "FormValues": {}, "SkipActions": [],
        "SpecificMachineIds": [], "ExcludedMachineIds": [], "UseGuidedFailure": false, "ForcePackageDownload": false, "TenantId": null,
        "SpaceId": here(), "IsBlocking": row.blocked == 1, "ResolvedAs": row.resolved,
        "Links": {
            "Self": link(format_args!("deployments/{id}")), "Task": link(format_args!("tasks/{task}")),
            "Release": link(format_args!("releases/{release}")),
            "Environment": link(format_args!("environments/{environment}")),
            "Project": link(format_args!("projects/{project}")),
            "Variables": link(format_args!("variables/{}", row.variables_id())),
            "Web": format!("/app#/{}/deployments/{id}", here()),
        },
    })
}
