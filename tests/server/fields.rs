//! Clients in typed languages index what they read: each field is there, in its spelling and of its type.

use reqwest::Method;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{line, success};

/// What a page has.
const ENVELOPE: &str = "ItemType:text TotalResults:number ItemsPerPage:number NumberOfPages:number \
    LastPageNumber:number Items:list Links.Self:text Links.Template:text Links.Page.All:text \
    Links.Page.Current:text Links.Page.Last:text";
const USER: &str = "Id:text Username:text DisplayName:text IsActive:flag IsService:flag EmailAddress:text? \
    Identities:list Links.Self:text Links.Spaces:text";
const SPACE: &str = "Id:text Name:text Slug:text IsDefault:flag TaskQueueStopped:flag SpaceManagersTeams:list \
    SpaceManagersTeamMembers:list Links.Self:text Links.SpaceHome:text";
const PACKAGE: &str = "Id:text PackageId:text NuGetPackageId:text Version:text FeedId:text NuGetFeedId:text \
    FileExtension:text PackageSizeBytes:number Hash:text Title:text Summary:text? Description:text? Published:time \
    ReleaseNotes:null Links.Self:text";
const FEED: &str = "Id:text Name:text FeedType:text SpaceId:text Links.Self:text Links.SearchTemplate:text \
    Links.VersionsTemplate:text";
const FEED_VERSION: &str = "PackageId:text Version:text FeedId:text Published:time ReleaseNotes:text? \
    SizeBytes:number Title:text";
const RELEASE: &str = "Id:text Version:text ProjectId:text ChannelId:text SpaceId:text ReleaseNotes:text? \
    Assembled:time SelectedPackages:list ProjectVariableSetSnapshotId:text LibraryVariableSetSnapshotIds:list \
    ProjectDeploymentProcessSnapshotId:text BuildInformation:list CustomFields:object IgnoreChannelRules:flag \
    Links.Self:text Links.Project:text Links.SnapshotVariables:text Links.Web:text";
const DEPLOYMENT: &str = "Id:text ReleaseId:text EnvironmentId:text ProjectId:text ChannelId:text TaskId:text \
    ManifestVariableSetId:text DeploymentProcessId:text Name:text Created:time Comments:text FormValues:object \
    SkipActions:list SpecificMachineIds:list ExcludedMachineIds:list UseGuidedFailure:flag SpaceId:text \
    Links.Self:text Links.Task:text Links.Release:text Links.Environment:text Links.Project:text Links.Variables:text \
    Links.Web:text";
const TASK: &str = "Id:text SpaceId:text Name:text Description:text State:text IsCompleted:flag \
    FinishedSuccessfully:flag HasPendingInterruptions:flag HasWarningsOrErrors:flag \
    HasBeenPickedUpByProcessor:flag CanRerun:flag QueueTime:time StartTime:time CompletedTime:time \
    LastUpdatedTime:time Duration:text ErrorMessage:text? ServerNode:text Arguments.DeploymentId:text \
    Links.Self:text Links.Details:text Links.Raw:text Links.Cancel:text Links.QueuedBehind:text \
    Links.Artifacts:text Links.Interruptions:text Links.Web:text";
const QUEUED: &str = "Id:text State:text IsCompleted:flag FinishedSuccessfully:flag StartTime:null \
    CompletedTime:null Duration:null ErrorMessage:null ServerNode:null WaitingReason:text";
const ACTIVITY: &str = "Id:text Name:text Status:text Started:time Ended:time ShowAtSummaryLevel:flag \
    ProgressPercentage:number ProgressMessage:text Children:list LogElements:list";
const LOG: &str = "Category:text OccurredAt:time MessageText:text Detail:text Number:number";
const ENVIRONMENT: &str = "Id:text Name:text Slug:text Description:text SortOrder:number UseGuidedFailure:flag \
    AllowDynamicInfrastructure:flag ExtensionSettings:list SpaceId:text Type:text Links.Self:text";
const PROJECT: &str = "Id:text Name:text Slug:text SpaceId:text VariableSetId:text DeploymentProcessId:text \
    LifecycleId:text ProjectGroupId:text IsDisabled:flag IncludedLibraryVariableSetIds:list \
    TenantedDeploymentMode:text PersistenceSettings.Type:text Links.Self:text Links.Releases:text \
    Links.Channels:text Links.Variables:text Links.DeploymentProcess:text Links.Web:text";
const VARIABLE: &str = "Id:text Name:text Value:text? Description:text? Type:text IsSensitive:flag \
    IsEditable:flag Scope.Environment:list Prompt:object?";
const SET: &str = "Id:text OwnerId:text Version:number SpaceId:text Variables:list ScopeValues.Environments:list \
    ScopeValues.Machines:list ScopeValues.Actions:list ScopeValues.Roles:list ScopeValues.Channels:list \
    ScopeValues.TenantTags:list ScopeValues.Processes:list";
const LIBRARY: &str = "Id:text Name:text Description:text ContentType:text VariableSetId:text SpaceId:text \
    Templates:list Links.Self:text Links.Variables:text";
const MACHINE: &str = "Id:text Name:text SpaceId:text EnvironmentIds:list Roles:list MachinePolicyId:text \
    IsDisabled:flag TenantedDeploymentParticipation:text TenantIds:list TenantTags:list HealthStatus:text \
    Status:text StatusSummary:text Endpoint.CommunicationStyle:text Links.Self:text";
const WORKER: &str = "Id:text Name:text SpaceId:text WorkerPoolIds:list MachinePolicyId:text IsDisabled:flag \
    HealthStatus:text Status:text StatusSummary:text Endpoint.CommunicationStyle:text Links.Self:text";
const POOL: &str = "Id:text Name:text Description:text IsDefault:flag SpaceId:text Links.Self:text";
const POLICY: &str = "Id:text Name:text IsDefault:flag SpaceId:text Links.Self:text";
const BUILD: &str = "Id:text PackageId:text Version:text BuildEnvironment:text BuildNumber:text BuildUrl:text \
    Branch:text VcsType:text? VcsRoot:text? VcsCommitNumber:text Commits:list Created:time Links.Self:text";
const NAMED: &str = "Id:text Name:text SpaceId:text Links.Self:text";

/// Which calls are made, where in the answer to look, and what must be there.
const TABLE: &[(&str, &str, &str)] = &[
    ("/api", "", "Application:text Version:text ApiVersion:text InstallationId:text Links:object"),
    ("/api/Spaces-1", "", "Id:text Links:object"),
    ("/api/users/me", "", USER),
    ("/api/users", "/Items/0", USER),
    ("/api/users/Users-1/spaces", "/0", SPACE),
    ("/api/spaces", "/Items/0", SPACE),
    ("/api/spaces/all", "/0", SPACE),
    ("packages", "/Items/0", PACKAGE),
    ("packages/packages-Orders.1.0.0", "", PACKAGE),
    ("packages/Orders.1.0.0", "", PACKAGE),
    ("feeds", "/Items/0", FEED),
    ("feeds/all", "/0", FEED),
    ("feeds/feeds-builtin", "", FEED),
    ("feeds/feeds-builtin/packages/versions?packageId=Orders", "/Items/0", FEED_VERSION),
    ("feeds/feeds-builtin/packages?term=ord", "/Items/0", "Id:text Name:text LatestVersion:text"),
    ("releases", "/Items/0", RELEASE),
    ("releases/Releases-1", "", RELEASE),
    ("releases/Releases-1", "/SelectedPackages/0", "ActionName:text PackageReferenceName:text Version:text"),
    ("releases/Releases-1", "/BuildInformation/0", BUILD),
    ("projects/Projects-1/releases", "/Items/0", RELEASE),
    ("projects/Projects-1/releases/1.0.0", "", RELEASE),
    ("deployments", "/Items/0", DEPLOYMENT),
    ("deployments/Deployments-1", "", DEPLOYMENT),
    ("tasks?ids=ServerTasks-1&skip=0&take=300", "/Items/0", TASK),
    ("tasks/ServerTasks-1", "", TASK),
    ("tasks/ServerTasks-2", "", QUEUED),
    ("tasks/ServerTasks-1/details?verbose=true&tail=10", "/Task", TASK),
    (
        "tasks/ServerTasks-1/details",
        "",
        "Progress.ProgressPercentage:number Progress.EstimatedTimeRemaining:text? PhysicalLogSize:number \
         ActivityLogs:list",
    ),
    ("tasks/ServerTasks-1/details", "/ActivityLogs/0", ACTIVITY),
    ("tasks/ServerTasks-1/details", "/ActivityLogs/0/Children/0", ACTIVITY),
    ("tasks/ServerTasks-1/details", "/ActivityLogs/0/Children/0/LogElements/0", LOG),
    ("environments", "/Items/0", ENVIRONMENT),
    ("environments/all", "/0", ENVIRONMENT),
    ("environments/v2?type=Static", "/Items/0", ENVIRONMENT),
    ("environments/Environments-1", "", ENVIRONMENT),
    ("projects", "/Items/0", PROJECT),
    ("projects/all", "/0", PROJECT),
    ("projects/orders", "", PROJECT),
    ("projects/Projects-1/channels", "/Items/0", NAMED),
    ("channels/Channels-1", "", NAMED),
    ("lifecycles", "/Items/0", NAMED),
    ("projectgroups", "/Items/0", NAMED),
    (
        "deploymentprocesses/deploymentprocess-Projects-1",
        "",
        "Id:text ProjectId:text Version:number Steps:list",
    ),
    ("variables/variableset-Projects-1?skip=0", "", SET),
    ("variables/variableset-Projects-1", "/Variables/0", VARIABLE),
    ("variables/variableset-Projects-1-s-1-1", "", SET),
    ("variables/variableset-LibraryVariableSets-1", "", SET),
    ("variables/preview?project=Projects-1", "", SET),
    ("libraryvariablesets?contentType=Variables", "/Items/0", LIBRARY),
    ("libraryvariablesets/all", "/0", LIBRARY),
    ("libraryvariablesets/LibraryVariableSets-1", "", LIBRARY),
    ("machines", "/Items/0", MACHINE),
    ("machines/all", "/0", MACHINE),
    ("machines/Machines-1", "", MACHINE),
    ("workers", "/Items/0", WORKER),
    ("workers/all", "/0", WORKER),
    ("workers/Workers-1", "", WORKER),
    ("workerpools", "/Items/0", POOL),
    ("workerpools/all", "/0", POOL),
    ("workerpools/WorkerPools-1", "", POOL),
    ("machinepolicies", "/Items/0", POLICY),
    ("machinepolicies/all", "/0", POLICY),
    ("machinepolicies/MachinePolicies-1", "", POLICY),
    ("build-information?packageId=Orders&latest=true", "/Items/0", BUILD),
    ("build-information/BuildInformation-1", "", BUILD),
    ("build-information/BuildInformation-1", "/Commits/0", "Id:text Comment:text LinkUrl:text"),
];

/// The pages of which something is not in [`TABLE`]; all others are checked as what they are, too.
const EMPTY: [&str; 6] =
    ["tenants", "interruptions", "artifacts", "events", "projects/Projects-1/runbooks", "runbooks"];
/// Lists without a page around them.
const BARE: [&str; 2] = ["machineroles/all", "tenants/all"];

fn is(kind: &str, value: &Value) -> bool {
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is(kind, value);
    }
    match kind {
        "text" => value.is_string(),
        "number" => value.is_u64(),
        "flag" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        "time" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        other => panic!("`{other}` is no type of the table"),
    }
}

/// What of `fields` is missing or of another type. The names below `Links` have dots in them.
fn missing<'a>(value: &Value, fields: &'a str) -> Vec<&'a str> {
    let found = |path: &str| {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let first = value.get(name)?;
        if rest.is_empty() { Some(first.clone()) } else { first.get(rest).cloned() }
    };
    fields
        .split_whitespace()
        .filter(|field| {
            let (path, kind) = field.split_once(':').unwrap();
            !found(path).is_some_and(|value| is(kind, &value))
        })
        .collect()
}

/// A server on which there is one of everything.
async fn full() -> TestServer {
    let server = TestServer::ready().await;
    let build = json!({
        "PackageId": "Orders", "Version": "1.0.0",
        "OctopusBuildInformation": {
            "BuildEnvironment": "CI", "BuildNumber": "17", "BuildUrl": "https://ci.example/17", "Branch": "main",
            "VcsType": "Git", "VcsRoot": "https://vcs.example/orders", "VcsCommitNumber": "abc",
            "Commits": [{ "Id": "abc", "Comment": "first", "LinkUrl": "https://vcs.example/orders/abc" }],
        },
    });
    server.post("build-information", build).await.expect(201);
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let prompted = json!({
        "Name": "Size", "Value": "small", "Type": "String", "Prompt": { "Label": "Size", "Required": false },
    });
    let variables = json!({ "Version": 0, "Variables": [prompted] });
    server.put("variables/variableset-Projects-1", variables).await.expect(200);
    server.release("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    server.deploy("1.0.0").await;
    let hand_out = worker.claim().await.unwrap();
    let log = line("hello");
    worker.log(&hand_out, 0, &log).await.expect(200);
    worker.finish(&hand_out, success(), &log).await.expect(200);
    server.deploy("1.0.0").await;
    server
}

#[tokio::test]
async fn every_field_that_clients_read_is_there() {
    let server = full().await;
    let mut wrong = Vec::new();
    for (path, pointer, fields) in TABLE {
        let answer = server.get(path).await.expect(200);
        // The newest comes first: where a deployment has ended is asked for what only such a one has.
        let item = match *pointer {
            "/Items/0" if path.starts_with("deployments") || path.starts_with("tasks") => {
                answer["Items"].as_array().unwrap().last().unwrap()
            }
            pointer => answer.pointer(pointer).unwrap_or(&Value::Null),
        };
        wrong.extend(missing(item, fields).into_iter().map(|field| format!("{path}{pointer}: {field}")));
        if pointer.starts_with("/Items") {
            wrong.extend(missing(&answer, ENVELOPE).into_iter().map(|field| format!("{path}: {field}")));
            assert!(is_links(&answer), "{path}: {answer}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The links of a page hold names with a dot, which [`missing`] finds whole.
fn is_links(page: &Value) -> bool {
    page["Links"]["Page.Current"].is_string() && page["Links"].get("Page.Next").is_none()
}

#[tokio::test]
async fn what_this_server_does_not_have_is_an_empty_list_or_a_text() {
    let server = TestServer::ready().await;
    for path in EMPTY {
        let page = server.get(path).await.expect(200);
        assert_eq!((&page["Items"], &page["TotalResults"]), (&json!([]), &json!(0)), "{path}");
        assert!(missing(&page, ENVELOPE).is_empty(), "{path}: {page}");
    }
    for path in BARE {
        assert_eq!(server.get(path).await.expect(200), json!([]), "{path}");
    }
    for (method, path, text) in [
        (Method::GET, "projects/Nothing/runbooks", "project `nothing` does not exist"),
        (Method::GET, "tenants/Tenants-1", "this server has no tenants"),
        (Method::GET, "runbooks/Runbooks-1", "no runbooks"),
        (Method::POST, "runbook-runs/create/v1", "no runbooks"),
        (Method::POST, "runbook-runs/git/create/v1", "no runbooks"),
        (Method::POST, "runbookSnapshots?publish=true", "no runbooks"),
        (Method::GET, "runbookProcesses/RunbookProcess-1/runbookSnapshotTemplate", "no runbooks"),
        (Method::GET, "runbookSnapshots/x/runbookRuns/template", "no runbooks"),
        (Method::GET, "packages/Orders/1.0.0/delta-signature", "send the package whole"),
        (Method::POST, "packages/Orders/1.0.0/delta", "send the package whole"),
        (Method::GET, "feeds/feeds-other", "this server has one, `feeds-builtin`"),
        (Method::GET, "users/Users-2", "one user, `Users-1`"),
        (Method::GET, "machinepolicies/MachinePolicies-2", "this server has one"),
        (Method::GET, "workerpools/WorkerPools-2", "worker pool `workerpools-2` does not exist"),
        (Method::GET, "workers/Workers-2", "worker `workers-2` does not exist"),
    ] {
        let answer = crate::support::server::Answer::of(server.request(method, path)).await;
        let said = answer.refused(404);
        assert!(said.contains(text), "{path}: {said}");
    }
}
