//! The root document, the one space, and who is asking.

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    json::{link, wanted},
    paging::Params,
    problem::Problem,
    rewrite::SPACE,
};

/// Clients gate features by this number and refuse what is too low or not a version, so it is not octarm's own; it
/// is the lowest that lets every supported client use what this server has.
const OCTOPUS_VERSION: &str = "2024.4.0";
const API_VERSION: &str = "3.0.0";
const USER: &str = "Users-1";

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
        "InstallationId": shared.store.installation().id,
        "OctarmVersion": env!("CARGO_PKG_VERSION"),
        // By this our own client knows that a request may be sent again.
        "IdempotencyKeys": true,
        "Links": links,
    }))
}

pub(super) async fn space_document() -> impl IntoResponse {
    let mut links = links();
    links.insert("Self".to_owned(), format!("/api/{SPACE}").into());
    Json(json!({ "Id": SPACE, "Links": links }))
}

pub(super) async fn no_space(Path(space): Path<String>) -> Problem {
    Problem::not_found(format!(
        "space `{space}` does not exist: this server has one, `{SPACE}` named `Default`"
    ))
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

pub(super) async fn spaces_of(Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    known_user(&id)?;
    Ok(Json([the_space()]))
}

fn known_user(id: &str) -> Result<(), Problem> {
    if id.eq_ignore_ascii_case(USER) || id.eq_ignore_ascii_case("me") {
        return Ok(());
    }
    Err(Problem::not_found(format!(
        "user `{id}` does not exist: this server has keys and one user, `{USER}`"
    )))
}

fn the_space() -> Value {
    json!({
        "Id": SPACE, "Name": "Default", "Slug": "default", "Description": "", "IsDefault": true,
        "TaskQueueStopped": false, "SpaceManagersTeams": [], "SpaceManagersTeamMembers": [USER],
        "Links": {
            "Self": format!("/api/spaces/{SPACE}"), "SpaceHome": format!("/api/{SPACE}"), "Web": format!("/app#/{SPACE}"),
        },
    })
}

pub(super) async fn spaces(params: Params) -> Result<impl IntoResponse, Problem> {
    let named = params.get("partialName").is_none_or(|part| "default".contains(&part.to_lowercase()));
    let id = SPACE.to_string();
    let asked = params.lets("ids", &id);
    let items = if named && asked { vec![the_space()] } else { Vec::new() };
    params.envelope("Space", items).map(Json)
}

pub(super) async fn all_spaces() -> impl IntoResponse {
    Json([the_space()])
}

pub(super) async fn space(Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    if id.eq_ignore_ascii_case(&SPACE.to_string()) || id.eq_ignore_ascii_case("default") {
        Ok(Json(the_space()))
    } else {
        Err(no_space(Path(id)).await)
    }
}
