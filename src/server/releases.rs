//! Releases, made in both ways that clients know.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    Shared,
    body::Fields,
    build_information,
    json::{link, time},
    paging::Params,
    problem::Problem,
    spaces::here,
};
use crate::{
    model::{ChannelId, ProjectId, ReleaseId},
    store::{NewRelease, PinnedPackage, ReleaseRow},
};

/// The executions command: names in, everything resolved here.
pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let packages = fields.texts("Packages")?.iter().map(|text| pinned(text)).collect::<Result<_, _>>()?;
    let new = NewRelease {
        project: fields.required("ProjectName")?,
        version: fields.text("ReleaseVersion")?,
        package_version: fields.text("PackageVersion")?,
        prerelease: fields.text("PackagePrerelease")?,
        packages,
        notes: fields.raw_text("ReleaseNotes")?,
        channel: fields.text("ChannelName")?,
        ignore_channel_rules: fields.flag("IgnoreChannelRules")?,
        ignore_existing: fields.flag("IgnoreIfAlreadyExists")?,
    };
    let (row, existed) = make(&shared, &new).await?;
    let answer = json!({ "ReleaseId": ReleaseId(row.id), "ReleaseVersion": row.version, "Existed": existed });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Makes the release; its lifecycle may have made deployments of it.
async fn make(shared: &Shared, new: &NewRelease) -> Result<(ReleaseRow, bool), Problem> {
    let made = shared.store().create_release(new).await?;
    shared.deployment_changed();
    Ok(made)
}

/// `PackageIdOrStep:version`, `PackageIdOrStep:referenceName:version` or `*:version`.
fn pinned(text: &str) -> Result<PinnedPackage, Problem> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let (name, version) = match parts.as_slice() {
        [name, version] | [name, _, version] if !name.is_empty() && !version.is_empty() => (*name, *version),
        _ => {
            return Err(Problem::invalid(format!(
                "the package override `{text}` cannot be read: expected `PackageIdOrStep:version` or `*:version`"
            )));
        }
    };
    Ok(PinnedPackage { name: name.to_owned(), version: Some(version.to_owned()), any_step: false })
}

/// The classic way: ids in, the client has chosen the packages.
pub(super) async fn create_classic(
    State(shared): State<Shared>,
    params: Params,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let mut packages = Vec::new();
    for selected in fields.objects("SelectedPackages")? {
        let name = selected.text("ActionName")?.map_or_else(|| selected.required("StepName"), Ok)?;
        packages.push(PinnedPackage { name, version: selected.text("Version")?, any_step: true });
    }
    let new = NewRelease {
        project: fields.required("ProjectId")?,
        version: fields.text("Version")?,
        package_version: None,
        prerelease: None,
        packages,
        notes: fields.raw_text("ReleaseNotes")?,
        channel: fields.text("ChannelId")?,
        ignore_channel_rules: params.flag("ignoreChannelRules") || fields.flag("IgnoreChannelRules")?,
        ignore_existing: false,
    };
    let (row, _) = make(&shared, &new).await?;
    Ok((StatusCode::CREATED, Json(release(&row))))
}

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let mut rows = shared.store().releases(None).await?;
    rows.retain(|row| params.lets("ids", &ReleaseId(row.id).to_string()));
    let mut answer = params.envelope("Release", rows.iter().map(release).collect())?;
    build_information::add_to(&shared, answer["Items"].as_array_mut().into_iter().flatten()).await?;
    Ok(Json(answer))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let mut answer = release(&shared.store().release(&id).await?);
    build_information::add_to(&shared, [&mut answer]).await?;
    Ok(Json(answer))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(release(&shared.store().delete_release(&id).await?)))
}

/// Copies the variables again, and nothing else.
pub(super) async fn snapshot_variables(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let mut answer = release(&shared.store().refresh_variables(&id).await?);
    build_information::add_to(&shared, [&mut answer]).await?;
    Ok(Json(answer))
}

pub(super) async fn of_project(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = shared.store().project(&id).await?;
    let mut rows = shared.store().releases(Some(project.id)).await?;
    if let Some(part) = params.get("searchByVersion") {
        rows.retain(|row| row.version.to_lowercase().contains(&part.to_lowercase()));
    }
    let mut answer = params.envelope("Release", rows.iter().map(release).collect())?;
    build_information::add_to(&shared, answer["Items"].as_array_mut().into_iter().flatten()).await?;
    Ok(Json(answer))
}

pub(super) async fn by_version(
    State(shared): State<Shared>,
    Path((project, version)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let mut answer = release(&shared.store().release_of(&project, &version).await?);
    build_information::add_to(&shared, [&mut answer]).await?;
    Ok(Json(answer))
}

pub(super) fn release(row: &ReleaseRow) -> Value {
    let id = ReleaseId(row.id);
    let project = ProjectId(row.project_id);
    json!({
        "Id": id, "Version": row.version, "ProjectId": project, "ChannelId": ChannelId(row.channel_id),
        "SpaceId": here(), "ReleaseNotes": row.notes, "Assembled": time(row.assembled),
        "SelectedPackages": [{
            "ActionName": row.action_name, "StepName": row.action_name, "PackageReferenceName": "",
            "PackageId": row.package_id, "Version": row.package_version, "Hash": row.package_sha256,
        }],
        "ProjectVariableSetSnapshotId": row.variables_id(),
        "ProjectDeploymentProcessSnapshotId":
            format!("deploymentprocess-{project}-s-{}-{}", row.process_version, row.id),
        "LibraryVariableSetSnapshotIds": row.library_ids(), "BuildInformation": [], "CustomFields": {},
        "IgnoreChannelRules": row.ignore_channel_rules == 1,
        "Links": {
            "Self": link(format_args!("releases/{id}")), "Project": link(format_args!("projects/{project}")),
            "Web": format!("/app#/{}/releases/{id}", here()),
            "Progression": link(format_args!("releases/{id}/progression")),
            "SnapshotVariables": link(format_args!("releases/{id}/snapshot-variables")),
            "ProjectVariableSnapshot": link(format_args!("variables/{}", row.variables_id())),
            "DeploymentTemplate": link(format_args!("releases/{id}/deployments/template")),
        },
    })
}
