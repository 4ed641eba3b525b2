//! Channels and the test of their rules.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::{
    Shared, body::Fields, json::link, paging::Params, problem::Problem, releases::release, spaces::here,
};
use crate::{
    model::{ChannelId, LifecycleId, ProjectId, chain},
    store::{self, ChannelRow, ChannelRule, NewChannel, RulePackage, StoreError},
    version::SemanticVersion,
};

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let rows = shared.store().channels().await?;
    params.page_of("Channel", &rows, |row| (ChannelId(row.id), &row.name), channel)
}

pub(super) async fn all(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shared.store().channels().await?.iter().map(channel).collect::<Vec<_>>()))
}

pub(super) async fn of_project(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = shared.store().project(&id).await?;
    let mut rows = shared.store().channels().await?;
    rows.retain(|row| row.project_id == project.id);
    params.page_of("Channel", &rows, |row| (ChannelId(row.id), &row.name), channel)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(channel(&shared.store().channel(&id).await?)))
}

pub(super) async fn create(
    State(shared): State<Shared>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let project = fields.required("ProjectId")?;
    let row = shared.store().create_channel(&project, &read(&fields, false)?).await?;
    Ok((StatusCode::CREATED, Json(channel(&row))))
}

pub(super) async fn create_in(
    State(shared): State<Shared>,
    Path(project): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().create_channel(&project, &read(&fields, false)?).await?;
    Ok((StatusCode::CREATED, Json(channel(&row))))
}

pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let before = shared.store().channel(&id).await?;
    Ok(Json(channel(&shared.store().put_channel(&id, &read(&fields, before.is_default)?).await?)))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(channel(&shared.store().delete_channel(&id).await?)))
}

pub(super) async fn releases(
    State(shared): State<Shared>,
    Path((project, id)): Path<(String, String)>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = shared.store().project(&project).await?;
    let channel = shared.store().channel(&id).await?;
    if channel.project_id != project.id {
        return Err(StoreError::NotFound(format!("project `{}` has no channel `{id}`", project.name)).into());
    }
    let rows = shared.store().releases(Some(project.id)).await?;
    let items = rows.iter().filter(|row| row.channel_id == channel.id);
    params.envelope("Release", items.map(release).collect()).map(Json)
}

/// A version against a rule that may not be stored yet.
pub(super) async fn test_rule(fields: Fields) -> Result<impl IntoResponse, Problem> {
    let version = fields.required("Version")?;
    let (range, tag) = (fields.text("VersionRange")?, fields.text("PreReleaseTag")?);
    Ok(Json(verdict(&version, range.as_deref(), tag.as_deref())))
}

pub(super) async fn test_rule_of_query(params: Params) -> Result<impl IntoResponse, Problem> {
    let version = params.get("version").ok_or_else(|| Problem::invalid("`version` is missing or empty"))?;
    Ok(Json(verdict(version, params.get("versionRange"), params.get("preReleaseTag"))))
}

/// What cannot be read is an answer here, not a failure: who types a rule wants to see what is wrong with it.
fn verdict(version: &str, range: Option<&str>, tag: Option<&str>) -> Value {
    let version = version.parse::<SemanticVersion>().map_err(|error| chain(&error));
    let rule = store::read_rule(range, tag);
    let (verdict, errors) = match (version, rule) {
        (Ok(version), Ok(rule)) => (Some(rule.test(&version)), Vec::new()),
        (version, rule) => (None, version.err().into_iter().chain(rule.err().unwrap_or_default()).collect()),
    };
    json!({
        "Errors": errors, "SatisfiesVersionRange": verdict.is_some_and(|verdict| verdict.range),
        "SatisfiesPreReleaseTag": verdict.is_some_and(|verdict| verdict.tag),
    })
}

/// `is_default` is what counts where the request does not say it.
fn read(fields: &Fields, is_default: bool) -> Result<NewChannel, Problem> {
    let rules = fields.objects("Rules")?;
    let rule = |fields: &Fields| {
        let packages = fields.objects("ActionPackages")?;
        let package = |fields: &Fields| {
            Ok(RulePackage {
                action: fields.required("DeploymentAction")?,
                reference: fields.text("PackageReference")?.unwrap_or_default(),
            })
        };
        Ok(ChannelRule {
            id: fields.text("Id")?.unwrap_or_default(),
            range: fields.text("VersionRange")?,
            tag: fields.text("Tag")?,
            packages: packages.iter().map(package).collect::<Result<_, Problem>>()?,
        })
    };
    let rules = rules.iter().map(rule).collect::<Result<_, Problem>>()?;
    Ok(NewChannel {
        name: fields.required("Name")?,
        description: fields.raw_text("Description")?.unwrap_or_default(),
        lifecycle: fields.text("LifecycleId")?,
        is_default: fields.sent_flag("IsDefault")?.unwrap_or(is_default),
        rules,
    })
}

pub(super) fn channel(row: &ChannelRow) -> Value {
    let id = ChannelId(row.id);
    let project = ProjectId(row.project_id);
    let rules: Vec<Value> = row.rules.iter().map(rule).collect();
    json!({
        "Id": id, "Name": row.name, "Description": row.description, "ProjectId": project,
        "LifecycleId": row.lifecycle_id.map(LifecycleId), "IsDefault": row.is_default, "Rules": rules,
        "TenantTags": [], "SpaceId": here(),
        "Links": {
            "Self": link(format_args!("channels/{id}")), "Project": link(format_args!("projects/{project}")),
            "Releases": link(format_args!("projects/{project}/channels/{id}/releases{{?skip,take}}")),
        },
    })
}

fn rule(rule: &ChannelRule) -> Value {
    let package = |package: &RulePackage| json!({ "DeploymentAction": package.action, "PackageReference": package.reference });
    json!({
        "Id": rule.id, "VersionRange": rule.range, "Tag": rule.tag,
        "ActionPackages": rule.packages.iter().map(package).collect::<Vec<_>>(),
        "Actions": rule.packages.iter().map(|package| &package.action).collect::<Vec<_>>(),
    })
}
