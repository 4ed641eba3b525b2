//! Build information: what a build says of the packages it made, shown with them and with the releases made of them.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    body::Fields,
    json::{link, time},
    packages,
    paging::Params,
    problem::Problem,
};
use crate::{
    model::BuildInformationId,
    store::{BuildInformationRow, NewBuildInformation},
    version::SemanticVersion,
};

/// What is a text in a build's own words.
const TEXTS: [&str; 7] =
    ["BuildEnvironment", "BuildNumber", "BuildUrl", "Branch", "VcsType", "VcsRoot", "VcsCommitNumber"];

pub(super) async fn push(
    State(shared): State<Shared>,
    params: Params,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let overwrite = packages::overwrite(&params)?;
    let (package_id, version) = (fields.required("PackageId")?, fields.required("Version")?);
    if let Err(error) = version.parse::<SemanticVersion>() {
        return Err(Problem::invalid(format!("`Version` of package `{package_id}` cannot be read: {error}")));
    }
    let build = fields
        .object("OctopusBuildInformation")?
        .ok_or_else(|| Problem::invalid("`OctopusBuildInformation` is missing"))?;
    let document = Value::Object(of_build(&build)?).to_string();
    let row = shared
        .store()
        .push_build_information(&NewBuildInformation { package_id, version, document }, overwrite)
        .await?;
    tracing::info!(package = row.package_id, version = row.version, "build information pushed");
    Ok((StatusCode::CREATED, Json(shown(&row)?)))
}

/// What the build says, in the one spelling that it is answered in.
fn of_build(build: &Fields) -> Result<Map<String, Value>, Problem> {
    let mut document = Map::new();
    for name in TEXTS {
        document.insert(name.to_owned(), build.raw_text(name)?.into());
    }
    let mut commits = Vec::new();
    for commit in build.objects("Commits")? {
        commits.push(json!({
            "Id": commit.required("Id")?, "Comment": commit.raw_text("Comment")?, "LinkUrl": commit.raw_text("LinkUrl")?,
        }));
    }
    document.insert("Commits".to_owned(), commits.into());
    Ok(document)
}

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let mut rows = shared.store().build_information(params.get("packageId")).await?;
    if let Some(part) = params.get("filter") {
        let part = part.to_lowercase();
        rows.retain(|row| format!("{} {}", row.package_id, row.version).to_lowercase().contains(&part));
    }
    if params.flag("latest") {
        rows.sort_by_cached_key(|row| {
            (row.package_id.to_lowercase(), std::cmp::Reverse(row.version.parse::<SemanticVersion>().ok()))
        });
        rows.dedup_by(|later, kept| later.package_id.eq_ignore_ascii_case(&kept.package_id));
    }
    let items = rows.iter().map(shown).collect::<Result<_, _>>()?;
    params.envelope("PackageVersionBuildInformation", items).map(Json)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    shown(&shared.store().build_information_by_id(&id).await?).map(Json)
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    shared.store().delete_build_information(&[&id]).await?;
    Ok(Json(json!({ "Id": id })))
}

pub(super) async fn remove_all(
    State(shared): State<Shared>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let ids = params.list("ids").ok_or_else(|| Problem::invalid("`ids` is missing: say what to delete"))?;
    shared.store().delete_build_information(&ids).await?;
    Ok(Json(json!({ "Ids": ids })))
}

/// Puts into releases as they are answered what their builds said of their packages.
pub(super) async fn add_to<'a>(
    shared: &Shared,
    releases: impl IntoIterator<Item = &'a mut Value>,
) -> Result<(), Problem> {
    let releases: Vec<&mut Value> = releases.into_iter().collect();
    let wanted: Vec<(String, String)> = releases.iter().flat_map(|release| packages(release)).collect();
    let mut known = shared.store().build_information_for(&wanted).await?.into_iter();
    for release in releases {
        let of_release = known.by_ref().take(packages(release).len()).flatten();
        let found = of_release.map(|row| shown(&row)).collect::<Result<Vec<_>, _>>()?;
        release["BuildInformation"] = found.into();
    }
    Ok(())
}

/// The packages of a release, by id and version.
fn packages(release: &Value) -> Vec<(String, String)> {
    let selected = release["SelectedPackages"].as_array().into_iter().flatten();
    let named = selected.filter_map(|one| Some((one["PackageId"].as_str()?, one["Version"].as_str()?)));
    named.map(|(id, version)| (id.to_owned(), version.to_owned())).collect()
}

fn shown(row: &BuildInformationRow) -> Result<Value, Problem> {
    let mut document: Map<String, Value> =
        serde_json::from_str(&row.document).map_err(|error| Problem::internal(&error))?;
    let id = BuildInformationId(row.id);
    for (name, value) in [
        ("Id", json!(id)),
        ("PackageId", json!(row.package_id)),
        ("Version", json!(row.version)),
        ("Created", time(row.created)),
        ("VcsCommitUrl", Value::Null),
        ("IssueTrackerName", Value::Null),
        ("WorkItems", json!([])),
        ("Links", json!({ "Self": link(format_args!("build-information/{id}")) })),
    ] {
        document.insert(name.to_owned(), value);
    }
    Ok(document.into())
}
