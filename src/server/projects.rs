//! Projects, their processes, and the one project group.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    body::{Document, Fields},
    json::link,
    libraries,
    paging::Params,
    problem::Problem,
    spaces::here,
};
use crate::{
    model::{LifecycleId, ProjectGroupId, ProjectId},
    store::{GroupRow, ProjectChange, ProjectRow},
};

/// What the id of a process begins with; the project's follows.
pub(super) const PROCESS: &str = "deploymentprocess-";

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().projects().await?;
    params.page_of("Project", &rows, |row| (ProjectId(row.id), &row.name), project)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().projects().await?.iter().map(project).collect::<Vec<_>>()))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    if let Some(group) = fields.text("ProjectGroupId")? {
        shared.store().project_group(&group).await?;
    }
    let description = fields.raw_text("Description")?.unwrap_or_default();
    let lifecycle = fields.text("LifecycleId")?;
    let libraries = libraries::included(&fields)?.unwrap_or_default();
    let name = fields.required("Name")?;
    let row = shared.store().create_project(&name, &description, lifecycle.as_deref(), &libraries).await?;
    Ok((StatusCode::CREATED, Json(project(&row))))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(project(&shared.store().project(&id).await?)))
}

/// What is not sent stays as it is.
pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    if let Some(group) = fields.text("ProjectGroupId")? {
        shared.store().project_group(&group).await?;
    }
    let change = ProjectChange {
        name: fields.raw_text("Name")?,
        description: fields.raw_text("Description")?,
        lifecycle: fields.text("LifecycleId")?,
        libraries: libraries::included(&fields)?,
        is_disabled: fields.sent_flag("IsDisabled")?,
    };
    Ok(Json(project(&shared.store().change_project(&id, &change).await?)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(project(&shared.store().delete_project(&id).await?)))
}

/// The project of a process, which is named by its own id or by the project's.
pub(super) async fn project_of_process(shared: &Shared, id: &str) -> Result<ProjectRow, Problem> {
    Ok(shared.store().project(id.strip_prefix(PROCESS).unwrap_or(id)).await?)
}

/// A process by its own id or below its project.
pub(super) async fn process(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = project_of_process(&shared, &id).await?;
    process_document(&row).map(Json)
}

pub(super) async fn put_process(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Document(document): Document,
) -> Result<impl IntoResponse, Problem> {
    let row = project_of_process(&shared, &id).await?;
    let version = Fields::of(document.clone()).number("Version")?.ok_or_else(|| {
        Problem::invalid("`Version` is missing: send the process with the version that it was read with")
    })?;
    // What the server itself says about the process is not part of it.
    let own = ["id", "version", "projectid", "spaceid", "links"];
    let kept: Map<String, Value> = document
        .into_iter()
        .filter(|(name, _)| !own.contains(&name.to_lowercase().as_str()))
        .map(
            |(name, value)| {
                if name.eq_ignore_ascii_case("Steps") { ("Steps".to_owned(), value) } else { (name, value) }
            },
        )
        .collect();
    if !kept.get("Steps").is_some_and(Value::is_array) {
        return Err(Problem::invalid("`Steps` must be a list"));
    }
    let row = shared.store().put_process(row.id, &Value::Object(kept).to_string(), version).await?;
    process_document(&row).map(Json)
}

fn process_document(row: &ProjectRow) -> Result<Value, Problem> {
    let project = ProjectId(row.id);
    let mut document: Map<String, Value> =
        serde_json::from_str(&row.process).map_err(|error| Problem::internal(&error))?;
    for step in items(document.get_mut("Steps")) {
        identify(step);
        let actions = step.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("Actions"));
        items(actions.map(|(_, actions)| actions)).for_each(identify);
    }
    for (name, value) in [
        ("Id", json!(format!("{PROCESS}{project}"))),
        ("ProjectId", json!(project)),
        ("SpaceId", json!(here())),
        ("Version", json!(row.process_version)),
        (
            "Links",
            json!({
                "Self": link(format_args!("deploymentprocesses/{PROCESS}{project}")),
                "Project": link(format_args!("projects/{project}")),
                "Template": link(format_args!("deploymentprocesses/{PROCESS}{project}/template{{?channel}}")),
            }),
        ),
    ] {
        document.insert(name.to_owned(), value);
    }
    Ok(document.into())
}

/// The objects of a list.
fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Clients read the id of each step and action. One that was sent without is known by its name, as in scopes.
fn identify(part: &mut Map<String, Value>) {
    let text = |wanted: &str| {
        let found = part.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str()).filter(|text| !text.trim().is_empty()).map(str::to_owned)
    };
    if text("Id").is_none()
        && let Some(name) = text("Name")
    {
        part.retain(|name, _| !name.eq_ignore_ascii_case("Id"));
        part.insert("Id".to_owned(), name.into());
    }
}

pub(super) async fn groups(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().project_groups().await?;
    params.page_of("ProjectGroup", &rows, |row| (ProjectGroupId(row.id), &row.name), group)
}

pub(super) async fn all_groups(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().project_groups().await?.iter().map(group).collect::<Vec<_>>()))
}

pub(super) async fn group_by_id(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(group(&shared.store().project_group(&id).await?)))
}

fn group(row: &GroupRow) -> Value {
    let id = ProjectGroupId(row.id);
    json!({
        "Id": id, "Name": row.name, "Description": row.description, "EnvironmentIds": [], "SpaceId": here(),
        "Links": { "Self": link(format_args!("projectgroups/{id}")) },
    })
}

fn project(row: &ProjectRow) -> Value {
    let id = ProjectId(row.id);
    json!({
        "Id": id, "Name": row.name, "Slug": row.slug, "Description": row.description, "SpaceId": here(),
        "VariableSetId": format!("variableset-{id}"), "DeploymentProcessId": format!("{PROCESS}{id}"),
        "LifecycleId": LifecycleId(row.lifecycle_id), "ProjectGroupId": ProjectGroupId(row.project_group_id),
        "IsDisabled": row.is_disabled == 1, "IncludedLibraryVariableSetIds": row.libraries(),
        "TenantedDeploymentMode": "Untenanted",
        "PersistenceSettings": { "Type": "Database" }, "IsVersionControlled": false,
        "Links": {
            "Self": link(format_args!("projects/{id}")),
            "Releases": link(format_args!("projects/{id}/releases{{/version}}{{?skip,take,searchByVersion}}")),
            "Channels": link(format_args!("projects/{id}/channels{{?skip,take}}")),
            "Variables": link(format_args!("variables/variableset-{id}")),
            "DeploymentProcess": link(format_args!("deploymentprocesses/{PROCESS}{id}")),
            "Runbooks": link(format_args!("projects/{id}/runbooks{{?skip,take}}")),
            "Web": format!("/app#/{}/projects/{}", here(), row.slug),
            "Progression": link(format_args!("projects/{id}/progression")),
        },
    })
}
