//! How far releases have come, where they may go next, and what a deployment would do there.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    body::Fields,
    channels::channel,
    deployments::deployment,
    feeds,
    json::{link, time},
    lifecycles,
    paging::Params,
    problem::Problem,
    projects::{PROCESS, project_of_process},
    releases::release,
    tasks::tasks,
};
use crate::{
    blobs::BlobError,
    model::{ChannelId, DeploymentId, EnvironmentId, MachineId, ProjectId, ReleaseId, TaskId, TaskState},
    store::{DeploymentRow, EnvironmentRow, FEED, Preview, Progress, Prompt, ReleaseRow, Template},
};

/// How many releases the progression of a project shows.
const RELEASES: usize = 30;

/// The phases of a release's lifecycle, and how far it has come in them.
pub(super) async fn of_release(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().release(&id).await?;
    let progress = shared.store().progress(&row).await?;
    let environments = shared.store().environments().await?;
    let deployments = shared.store().deployments_of(&[row.id]).await?;
    let tasks = tasks(&shared, &deployments).await?;
    let phases = progress.lifecycle.phases.iter().enumerate();
    let phases: Vec<Value> = phases
        .map(|(place, phase)| {
            let mut document = lifecycles::phase(phase);
            let state = match (progress.is_complete(phase), progress.is_reachable(place)) {
                (true, _) => "Complete",
                (false, true) => "Current",
                (false, false) => "Pending",
            };
            let within = deployments
                .iter()
                .zip(&tasks)
                .filter(|(row, _)| phase.environments().any(|id| id == row.environment_id));
            let made = within.map(|(row, task)| json!({ "Task": task, "Deployment": deployment(row) }));
            document["Progress"] = state.into();
            document["Blocked"] = (!progress.is_reachable(place)).into();
            document["Deployments"] = made.collect();
            document
        })
        .collect();
    let current =
        progress.lifecycle.phases.iter().find(|phase| !phase.is_optional && !progress.is_complete(phase));
    Ok(Json(json!({
        "Phases": phases, "NextDeployments": next(&progress, &environments),
        "NextDeploymentsMinimumRequired": current.map_or(0, |phase| progress.missing(phase)),
        "Links": { "Self": link(format_args!("releases/{}/progression", ReleaseId(row.id))) },
    })))
}

fn next(progress: &Progress, environments: &[EnvironmentRow]) -> Vec<EnvironmentId> {
    progress.next(environments).into_iter().map(|row| EnvironmentId(row.id)).collect()
}

/// The newest releases of a project, and what became of them in each environment.
pub(super) async fn of_project(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = shared.store().project(&id).await?;
    let environments = shared.store().environments().await?;
    let mut channels = shared.store().channels().await?;
    channels.retain(|row| row.project_id == project.id);
    let mut releases = shared.store().releases(Some(project.id)).await?;
    let asked = params.number("releaseHistoryCount")?.and_then(|count| usize::try_from(count).ok());
    releases.truncate(asked.unwrap_or(RELEASES).min(RELEASES));
    let ids: Vec<i64> = releases.iter().map(|row| row.id).collect();
    let deployments = shared.store().deployments_of(&ids).await?;
    let mut items = Vec::with_capacity(releases.len());
    for (row, progress) in releases.iter().zip(shared.store().progress_of(&releases).await?) {
        let mut by_environment: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for made in deployments.iter().filter(|made| made.release_id == row.id) {
            by_environment
                .entry(EnvironmentId(made.environment_id).to_string())
                .or_default()
                .push(dashboard_item(made)?);
        }
        items.push(json!({
            "Release": release(row),
            "Channel": channels.iter().find(|channel| channel.id == row.channel_id).map(channel),
            "Deployments": by_environment, "NextDeployments": next(&progress, &environments),
        }));
    }
    let shown = |rows: &mut dyn Iterator<Item = &EnvironmentRow>| -> Vec<Value> {
        rows.map(|row| json!({ "Id": EnvironmentId(row.id), "Name": row.name })).collect()
    };
    let lifecycles = shared.store().lifecycles().await?;
    let mut of_channels = Map::new();
    for channel in &channels {
        let lifecycle = channel.lifecycle_id.unwrap_or(project.lifecycle_id);
        let phases = lifecycles.iter().find(|row| row.id == lifecycle).map(|row| row.phases.as_slice());
        let phases = phases.unwrap_or_default();
        let is_in = |row: &&EnvironmentRow| {
            phases.is_empty() || phases.iter().any(|phase| phase.environments().any(|id| id == row.id))
        };
        of_channels
            .insert(ChannelId(channel.id).to_string(), shown(&mut environments.iter().filter(is_in)).into());
    }
    Ok(Json(json!({
        "Environments": shown(&mut environments.iter()), "ChannelEnvironments": of_channels, "Releases": items,
        "Links": { "Self": link(format_args!("projects/{}/progression", ProjectId(project.id))) },
    })))
}

fn dashboard_item(row: &DeploymentRow) -> Result<Value, Problem> {
    let state = row.state()?.task_state();
    let id = DeploymentId(row.id);
    Ok(json!({
        "Id": id, "DeploymentId": id, "TaskId": TaskId(row.id), "ProjectId": ProjectId(row.project_id),
        "EnvironmentId": EnvironmentId(row.environment_id), "ReleaseId": ReleaseId(row.release_id),
        "ChannelId": ChannelId(row.channel_id), "TenantId": null, "ReleaseVersion": row.release_version,
        "Created": time(row.created), "QueueTime": time(row.created), "StartTime": time(row.started),
        "CompletedTime": time(row.completed), "State": state, "IsCompleted": state.is_completed(),
        "HasPendingInterruptions": false, "HasWarningsOrErrors": state == TaskState::Failed,
        "ErrorMessage": row.error_message,
        "Links": {
            "Self": link(format_args!("deployments/{id}")), "Task": link(format_args!("tasks/{}", TaskId(row.id))),
        },
    }))
}

/// Where a release may be deployed to now.
pub(super) async fn deployment_template(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().release(&id).await?;
    let id = ReleaseId(row.id);
    let project = shared.store().project(&ProjectId(row.project_id).to_string()).await?;
    let environments = shared.store().environments().await?;
    let libraries = shared.store().has_newer_libraries(&project, &row).await?;
    let progress = shared.store().progress(&row).await?;
    let targets = progress.open(&environments).into_iter().map(|row| {
        let environment = EnvironmentId(row.id);
        json!({
            "Id": environment, "Name": row.name,
            "Links": {
                "Self": link(format_args!("environments/{environment}")),
                "Preview": link(format_args!("releases/{id}/deployments/preview/{environment}")),
            },
        })
    });
    Ok(Json(json!({
        "PromoteTo": targets.collect::<Vec<_>>(), "TenantPromotions": [], "DeploymentNotes": null,
        "IsDeploymentProcessModified": project.has_newer_process(&row),
        "IsVariableSetModified": project.has_newer_variables(&row), "IsLibraryVariableSetModified": libraries,
        "Links": { "Self": link(format_args!("releases/{id}/deployments/template")) },
    })))
}

/// What a deployment to one environment would do.
pub(super) async fn preview(
    State(shared): State<Shared>,
    Path((id, environment)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().release(&id).await?;
    preview_of(&shared, &row, &environment).await.map(Json)
}

/// The same for several environments at once.
pub(super) async fn previews(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().release(&id).await?;
    let mut previews = Vec::new();
    for asked in fields.objects("DeploymentPreviews")? {
        if asked.text("TenantId")?.is_some() {
            return Err(Problem::invalid("tenants not supported"));
        }
        previews.push(preview_of(&shared, &row, &asked.required("EnvironmentId")?).await?);
    }
    Ok(Json(previews))
}

async fn preview_of(shared: &Shared, release: &ReleaseRow, environment: &str) -> Result<Value, Problem> {
    let environment = shared.store().environment(environment).await?;
    let Preview { actions, machines, prompts } = shared.store().preview(release, &environment).await?;
    let machines: Vec<Value> =
        machines.into_iter().map(|(id, name)| json!({ "Id": MachineId(id), "Name": name })).collect();
    let steps = actions.iter().enumerate().map(|(place, action)| {
        let machines = if action.is_deployed { machines.as_slice() } else { &[] };
        json!({
            "ActionId": action.id, "ActionName": action.name, "ActionNumber": (place + 1).to_string(),
            "Roles": [], "Machines": machines, "MachineNames": machines.iter().map(|row| &row["Name"]).collect::<Vec<_>>(),
            "ExcludedMachines": [], "UnavailableMachines": [], "CanBeSkipped": false, "IsDisabled": false,
            "HasNoApplicableMachines": machines.is_empty(),
        })
    });
    let values: Map<String, Value> = prompts
        .iter()
        .map(|prompt| (prompt.id.clone(), prompt.value.clone().unwrap_or_default().into()))
        .collect();
    Ok(json!({
        "StepsToExecute": steps.collect::<Vec<_>>(), "UseGuidedFailureModeByDefault": false, "Changes": [],
        "Form": { "Values": values, "Elements": prompts.iter().map(form_element).collect::<Vec<_>>() },
        "EnvironmentId": EnvironmentId(environment.id), "ReleaseId": ReleaseId(release.id),
        "Links": {
            "Self": link(format_args!(
                "releases/{}/deployments/preview/{}", ReleaseId(release.id), EnvironmentId(environment.id)
            )),
        },
    }))
}

fn form_element(prompt: &Prompt) -> Value {
    let get = |name: &str| prompt.description.get(name).cloned().unwrap_or_default();
    let required = get("required").as_bool().unwrap_or(false);
    json!({
        "Name": prompt.id, "IsValueRequired": required,
        "Control": {
            "Type": "VariableValue", "Name": prompt.name, "Label": get("label"), "Description": get("description"),
            "IsSecure": prompt.sensitive, "DisplaySettings": get("displaysettings"),
        },
    })
}

/// The packages of a release whose bytes are gone.
pub(super) async fn missing_packages(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = shared.store().release(&id).await?;
    let missing = match shared.blobs.read(&row.blob(), 0).await {
        Ok(_) => Vec::new(),
        Err(BlobError::Missing { .. }) => {
            vec![json!({ "Id": row.package_id, "Version": row.package_version })]
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Json(json!({ "Packages": missing })))
}

/// What a new release needs a version for.
pub(super) async fn release_template(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let project = project_of_process(&shared, &id).await?;
    let channel = match params.get("channel") {
        Some(id) => Some(shared.store().channel(id).await?.id),
        None => None,
    };
    let Template { step, action, package, last } = shared.store().release_template(&project, channel).await?;
    let is_same = |last: &&ReleaseRow| last.package_id.eq_ignore_ascii_case(&package);
    let selected = last.as_ref().filter(is_same).map(|last| &last.package_version);
    Ok(Json(json!({
        "DeploymentProcessId": format!("{PROCESS}{}", ProjectId(project.id)),
        "LastReleaseVersion": last.as_ref().map(|last| &last.version),
        // A release without a version of its own gets the package's, so there is nothing to count up.
        "NextVersionIncrement": null, "VersioningPackageStepName": action, "VersioningPackageReferenceName": "",
        "Packages": [{
            "ActionName": action, "StepName": step, "PackageId": package, "FeedId": FEED, "NuGetFeedId": FEED,
            "FeedName": feeds::NAME, "PackageReferenceName": "", "IsResolvable": true,
            "VersionSelectedLastRelease": selected,
        }],
        "Links": {},
    })))
}
