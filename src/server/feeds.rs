//! The one feed: the server's own packages, as clients ask feeds for them.

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
    spaces::here,
};
use crate::store::{self, FEED, PackageRow};

pub(super) const NAME: &str = "Octopus Server (built-in)";
const KIND: &str = "BuiltIn";

fn feed() -> Value {
    let search = link(format_args!("feeds/{FEED}/packages{{?term,take,skip}}"));
    let versions = link(format_args!(
        "feeds/{FEED}/packages/versions{{?packageId,take,skip,includePreRelease,versionRange,preReleaseTag,filter}}"
    ));
    json!({
        "Id": FEED, "Name": NAME, "Slug": "octopus-server-built-in", "FeedType": KIND, "SpaceId": here(),
        "PackageAcquisitionLocationOptions": ["Server"],
        "Links": {
            "Self": link(format_args!("feeds/{FEED}")),
            "SearchTemplate": search, "SearchPackagesTemplate": search,
            "VersionsTemplate": versions, "SearchPackageVersionsTemplate": versions,
        },
    })
}

pub(super) async fn list(params: Params) -> Result<impl IntoResponse, Problem> {
    let items =
        if params.lets("feedType", KIND) && wanted(&params, FEED, NAME) { vec![feed()] } else { Vec::new() };
    params.envelope("Feed", items).map(Json)
}

pub(super) async fn all() -> impl IntoResponse {
    Json([feed()])
}

pub(super) async fn show(Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    known(&id)?;
    Ok(Json(feed()))
}

fn known(id: &str) -> Result<(), Problem> {
    if id.eq_ignore_ascii_case(FEED) {
        return Ok(());
    }
    Err(Problem::not_found(format!("feed `{id}` does not exist: this server has one, `{FEED}`")))
}

/// The packages of the feed, each in its highest version.
pub(super) async fn packages(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    known(&id)?;
    let mut rows = shared.store().packages().await?;
    if let Some(term) = params.get("term") {
        rows.retain(|row| row.package_id.to_lowercase().contains(&term.to_lowercase()));
    }
    rows.dedup_by(|later, kept| later.package_id.eq_ignore_ascii_case(&kept.package_id));
    let items = rows.iter().map(|row| {
        json!({
            "Id": row.package_id, "Name": row.package_id, "Description": null, "LatestVersion": row.version,
            "FeedId": FEED,
            "Links": {
                "Feed": link(format_args!("feeds/{FEED}")),
                "PackageVersions": link(format_args!("feeds/{FEED}/packages/versions?packageId={}", row.package_id)),
            },
        })
    });
    params.envelope("Package", items.collect()).map(Json)
}

/// The versions of one package, the highest first.
pub(super) async fn versions(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    known(&id)?;
    let package = params
        .get("packageId")
        .ok_or_else(|| Problem::invalid("`packageId` is missing: say whose versions are asked for"))?;
    let rule = store::read_rule(params.get("versionRange"), params.get("preReleaseTag"))
        .map_err(|wrong| Problem::invalid(wrong.join("; ")))?;
    let mut rows = shared.store().package_versions(package).await?;
    // Clients that want releases only say so; those that say nothing get all.
    let releases_only = params.get("includePreRelease").is_some() && !params.flag("includePreRelease");
    rows.retain(|row| {
        row.order().is_none_or(|version| {
            let verdict = rule.test(&version);
            verdict.range && verdict.tag && !(releases_only && version.is_prerelease())
        })
    });
    if let Some(part) = params.get("filter") {
        rows.retain(|row| row.version.to_lowercase().contains(&part.to_lowercase()));
    }
    params.envelope("PackageVersion", rows.iter().map(version).collect()).map(Json)
}

fn version(row: &PackageRow) -> Value {
    let id = format!("packages-{}.{}", row.package_id, row.version);
    json!({
        "Id": id, "PackageId": row.package_id, "Version": row.version, "FeedId": FEED,
        "Published": time(row.published), "ReleaseNotes": null, "SizeBytes": row.size, "Title": row.package_id,
        "Links": { "Self": link(format_args!("packages/{id}")), "Feed": link(format_args!("feeds/{FEED}")) },
    })
}
