//! The root documents, and who is asking.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    auth::Caller,
    json::{link, wanted},
    paging::Params,
    problem::Problem,
    spaces::{self, here},
};

/// Clients gate features by this number and refuse what is too low or not a version, so it is not octarm's own; it
/// is the lowest that lets every supported client use what this server has.
const OCTOPUS_VERSION: &str = "2024.4.0";
const API_VERSION: &str = "3.0.0";
/// The id of the one user.
pub(super) const USER: &str = "Users-1";

/// What may be linked to in the space: the link's name, the path, and its query parameters.
const RESOURCES: [(&str, &str); 31] = [
    ("Artifacts", "artifacts{/id}{?regarding,skip,take}"),
    ("BuildInformation", "build-information{/id}{?packageId,filter,latest,skip,take,overwriteMode}"),
    ("BuildInformationBulk", "build-information/bulk{?ids}"),
    ("Channels", "channels{/id}{?skip,take,ids,partialName}"),
    ("DeploymentProcesses", "deploymentprocesses{/id}{?skip,take,ids}"),
    ("Deployments", "deployments{/id}{?skip,take,ids,projects,environments,taskState}"),
    ("Environments", "environments{/id}{?name,skip,ids,take,partialName}"),
    ("EnvironmentsV2", "environments/v2{?skip,take,ids,partialName,type}"),
    ("Events", "events{/id}{?skip,take}"),
    ("Feeds", "feeds{/id}{?skip,take,ids,partialName,feedType}"),
    ("Interruptions", "interruptions{/id}{?skip,take,regarding}"),
    ("LibraryVariables", "libraryvariablesets{/id}{?skip,contentType,take,ids,partialName}"),
    ("Lifecycles", "lifecycles{/id}{?skip,take,ids,partialName}"),
    ("MachinePolicies", "machinepolicies{/id}{?skip,take,ids,partialName}"),
    ("MachineRoles", "machineroles/all"),
    (
        "Machines",
        "machines{/id}{?skip,take,name,ids,partialName,roles,isDisabled,healthStatuses,commStyles,environmentIds,\
         thumbprint}",
    ),
    ("Packages", "packages{/id}{?nuGetPackageId,filter,latest,skip,take,includeNotes}"),
    ("PackagesBulk", "packages/bulk{?ids}"),
    ("PackageUpload", "packages/raw{?overwriteMode}"),
    ("ProjectGroups", "projectgroups{/id}{?skip,take,ids,partialName}"),
    ("Projects", "projects{/id}{?name,skip,ids,take,partialName}"),
    ("Releases", "releases{/id}{?skip,ignoreChannelRules,take,ids}"),
    ("Runbooks", "runbooks{/id}{?skip,take,ids,partialName}"),
    ("Tasks", TASKS),
    ("Tenants", "tenants{/id}{?skip,take,ids,partialName,projectId}"),
    ("VariableNames", "variables/names{?project}"),
    ("VariablePreview", "variables/preview{?project,environment,channel,machine,role,action,tenant}"),
    ("Variables", "variables{/id}{?ids}"),
    ("VersionRuleTest", "channels/rule-test{?version,versionRange,preReleaseTag}"),
    ("WorkerPools", "workerpools{/id}{?skip,take,ids,name,partialName}"),
    ("Workers", "workers{/id}{?skip,take,name,ids,partialName,isDisabled,healthStatuses,workerPoolIds}"),
];
const TASKS: &str = "tasks{/id}{?skip,take,ids,states,project,environment,active,running,name}";

fn links() -> Map<String, Value> {
    RESOURCES.into_iter().map(|(name, path)| (name.to_owned(), link(path).into())).collect()
}

pub(super) async fn document(State(shared): State<Shared>) -> impl IntoResponse {
    let mut links = links();
    for (name, path) in [
        ("Self", "/api".to_owned()),
        ("Spaces", "/api/spaces{/id}{?name,skip,ids,take,partialName}".to_owned()),
        ("SpaceHome", "/api/{spaceId}".to_owned()),
        ("CurrentUser", "/api/users/me".to_owned()),
        ("Users", "/api/users{/id}{?skip,take,ids}".to_owned()),
        // Tasks of all spaces are asked for without one.
        ("Tasks", format!("/api/{TASKS}")),
    ] {
        links.insert(name.to_owned(), path.into());
    }
    Json(json!({
        "Application": "octarm",
        "Version": OCTOPUS_VERSION,
        "ApiVersion": API_VERSION,
        "InstallationId": shared.store().installation().id,
        "OctarmVersion": env!("CARGO_PKG_VERSION"),
        // By this our own client knows that a request may be sent again.
        "IdempotencyKeys": true,
        "Links": links,
    }))
}

pub(super) async fn space_document() -> impl IntoResponse {
    let mut links = links();
    links.insert("Self".to_owned(), format!("/api/{}", here()).into());
    Json(json!({ "Id": here(), "Links": links }))
}

/// The one user: whoever has a key.
fn the_user() -> Value {
    json!({
        "Id": USER, "Username": "octarm", "DisplayName": "octarm", "IsActive": true, "IsService": true,
        "EmailAddress": null, "IsRequestor": true, "CanPasswordBeEdited": false, "Identities": [],
        "Links": { "Self": format!("/api/users/{USER}"), "Spaces": format!("/api/users/{USER}/spaces") },
    })
}

pub(super) async fn me() -> impl IntoResponse {
    Json(the_user())
}

pub(super) async fn users(params: Params) -> Result<impl IntoResponse, Problem> {
    let items = if wanted(&params, USER, "octarm") { vec![the_user()] } else { Vec::new() };
    params.envelope("User", items).map(Json)
}

pub(super) async fn user(Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    known_user(&id)?;
    Ok(Json(the_user()))
}

pub(super) async fn spaces_of(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    known_user(&id)?;
    let spaces = spaces::reached(&shared, &caller).await?;
    Ok(Json(spaces.iter().map(spaces::document).collect::<Vec<_>>()))
}

fn known_user(id: &str) -> Result<(), Problem> {
    if id.eq_ignore_ascii_case(USER) || id.eq_ignore_ascii_case("me") {
        return Ok(());
    }
    Err(Problem::not_found(format!(
        "user `{id}` does not exist: this server has keys and one user, `{USER}`"
    )))
}
