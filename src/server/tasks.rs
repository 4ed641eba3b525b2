//! Server tasks: the state of a deployment as Octopus clients see it, and its log.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Shared,
    auth::Caller,
    json::{link, time},
    kept_logs::{self, LogError},
    paging::Params,
    problem::Problem,
    spaces::here,
};
use crate::{
    model::{DeploymentId, EnvironmentId, Level, LogLine, ProjectId, TaskId, TaskState},
    store::{self, DeploymentRow, Page, Store, StoreError, TaskFilter, Waiting},
};

/// What every task does, in Octopus's word.
const NAME: &str = "Deploy";
/// The most bytes of log in one answer.
const LOG_PART: usize = 1024 * 1024;
/// The most bytes of log that a task's details show: the end, since that is where a failure is told.
const DETAILS_PART: u64 = 8 * 1024 * 1024;
/// The longest that a request for the log waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How late one who follows a log sees what was written through another node.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);
const STATES: [TaskState; 7] = [
    TaskState::Queued,
    TaskState::Executing,
    TaskState::Cancelling,
    TaskState::Success,
    TaskState::Failed,
    TaskState::Canceled,
    TaskState::TimedOut,
];

/// The numbers in a list of ids; ids of another kind name nothing.
pub(super) fn numbers<E>(
    params: &Params,
    name: &str,
    parse: impl Fn(&str) -> Result<i64, E>,
) -> Option<Vec<i64>> {
    params.list(name).map(|ids| ids.into_iter().map(|id| parse(id).unwrap_or(-1)).collect())
}

/// The task states in a list.
pub(super) fn states(params: &Params, name: &str) -> Result<Vec<TaskState>, Problem> {
    let words = params.list(name).unwrap_or_default();
    let state = |word: &str| {
        let found = STATES.into_iter().find(|state| state.to_string().eq_ignore_ascii_case(word));
        found.ok_or_else(|| Problem::invalid(format!("`{name}` names `{word}`, which is not a task state")))
    };
    words.into_iter().map(state).collect()
}

fn parse(id: &str) -> Result<DeploymentId, StoreError> {
    id.parse::<TaskId>()
        .map(|task| DeploymentId(task.0))
        .map_err(|_| StoreError::NotFound(format!("task `{id}` does not exist")))
}

async fn find(shared: &Shared, id: &str) -> Result<DeploymentRow, Problem> {
    let deployment = parse(id)?;
    shared.store().deployment(deployment).await.map_err(|error| match error {
        StoreError::NotFound(_) => {
            StoreError::NotFound(format!("task `{}` does not exist", TaskId(deployment.0))).into()
        }
        other => other.into(),
    })
}

pub(super) async fn list(State(shared): State<Shared>, params: Params) -> Result<impl IntoResponse, Problem> {
    let page = params.page()?;
    let project = |id: &str| id.parse::<ProjectId>().map(|id| id.0);
    let environment = |id: &str| id.parse::<EnvironmentId>().map(|id| id.0);
    let mut wanted = states(&params, "states")?;
    if params.flag("running") {
        wanted.extend([TaskState::Executing, TaskState::Cancelling]);
    }
    let filter = TaskFilter {
        ids: numbers(&params, "ids", |id| id.parse::<TaskId>().map(|id| id.0)),
        states: wanted,
        projects: numbers(&params, "project", project).unwrap_or_default(),
        environments: numbers(&params, "environment", environment).unwrap_or_default(),
        active: params.get("active").map(|value| value.eq_ignore_ascii_case("true")),
    };
    // All tasks deploy.
    let named = params.get("name").is_none_or(|name| name.eq_ignore_ascii_case(NAME));
    let (rows, total) =
        if named { shared.store().deployments(&filter, page).await? } else { (Vec::new(), 0) };
    Ok(Json(params.wrap("Task", page, total, &tasks(&shared, &rows).await?)))
}

/// What stands before a task that waits, the nearest first.
pub(super) async fn queued_behind(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let row = find(&shared, &id).await?;
    let mut rows = Vec::new();
    if row.state()?.task_state() == TaskState::Queued {
        let filter = TaskFilter {
            projects: vec![row.project_id],
            environments: vec![row.environment_id],
            active: Some(true),
            ..TaskFilter::default()
        };
        rows = shared
            .store()
            .deployments(&filter, Page { skip: 0, take: i32::MAX.unsigned_abs().into() })
            .await?
            .0;
        rows.retain(|other| other.id < row.id);
    }
    params.envelope("Task", tasks(&shared, &rows).await?).map(Json)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    one(&shared, &find(&shared, &id).await?).await.map(Json)
}

pub(super) async fn cancel(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let row = find(&shared, &id).await?;
    caller.reach(EnvironmentId(row.environment_id), &row.environment_name)?;
    let deployment = DeploymentId(row.id);
    shared.store().cancel(deployment).await?;
    shared.deployment_changed();
    one(&shared, &shared.store().deployment(deployment).await?).await.map(Json)
}

pub(super) async fn details(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let row = find(&shared, &id).await?;
    let length = u64::try_from(row.log_length).unwrap_or(0);
    let from = length.saturating_sub(DETAILS_PART);
    let limit = usize::try_from(length - from).unwrap_or(usize::MAX).max(1);
    let mut bytes = kept_logs::read(&shared, DeploymentId(row.id), from, limit).await?;
    if from > 0 {
        // What stands before the first line feed is the end of a line.
        let start = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |place| place + 1);
        bytes.drain(..start);
    }
    let elements: Vec<Value> = removed(&row)
        .into_iter()
        .chain(LogLine::parse_all(&bytes))
        .enumerate()
        .map(|(number, line)| {
            json!({
                "Category": category(line.level), "OccurredAt": line.time.to_string(), "MessageText": line.text,
                "Detail": "", "Number": number,
            })
        })
        .collect();
    let state = row.state()?.task_state();
    let status = match state {
        TaskState::Queued => "Pending",
        TaskState::Executing | TaskState::Cancelling => "Running",
        TaskState::Success => "Success",
        TaskState::Failed | TaskState::TimedOut => "Failed",
        TaskState::Canceled => "Canceled",
    };
    let progress = if state.is_completed() { 100 } else { 0 };
    let shown = one(&shared, &row).await?;
    let waiting = shown["WaitingReason"].as_str().unwrap_or_default();
    let node = |id: String, name: &str, children: Value, elements: Vec<Value>| {
        json!({
            "Id": id, "Name": name, "Status": status, "Started": time(row.started), "Ended": time(row.completed),
            "ShowAtSummaryLevel": true, "ProgressPercentage": progress, "ProgressMessage": waiting,
            "Children": children, "LogElements": elements,
        })
    };
    let root = TaskId(row.id);
    let child = node(format!("{root}/1"), "Deploy", json!([]), elements);
    Ok(Json(json!({
        "Task": shown,
        "Progress": { "ProgressPercentage": progress, "EstimatedTimeRemaining": null },
        "PhysicalLogSize": row.log_length,
        "ActivityLogs": [node(root.to_string(), &row.description(), json!([child]), Vec::new())],
        "Links": { "Self": link(format_args!("tasks/{root}/details")) },
    })))
}

/// The whole log as text, read part by part as the client takes it.
pub(super) async fn raw(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let row = find(&shared, &id).await?;
    let deployment = DeploymentId(row.id);
    let head = format!(
        "Task ID:        {}\nTask:           {}\nState:          {}\n\n",
        TaskId(row.id),
        row.description(),
        row.state()?.task_state()
    );
    // Before the answer begins, so that what keeps it from being read can be told.
    let first = kept_logs::read(&shared, deployment, 0, LOG_PART).await?;
    let from = first.len() as u64;
    let first = removed(&row).iter().map(text_line).collect::<String>() + &text(&first);
    let parts = stream::unfold((Some(head + &first), from), move |(ready, from)| {
        let shared = shared.clone();
        async move {
            if let Some(ready) = ready {
                return Some((Ok::<_, LogError>(Bytes::from(ready)), (None, from)));
            }
            match kept_logs::read(&shared, deployment, from, LOG_PART).await {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => Some((Ok(text(&bytes).into()), (None, from + bytes.len() as u64))),
                Err(error) => Some((Err(error), (None, from))),
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(parts)).into_response())
}

/// What stands in the place of a log that was removed.
fn removed(row: &DeploymentRow) -> Option<LogLine> {
    let time = Timestamp::from_millisecond(row.log_removed?).ok()?;
    let text = "the log was removed because it was older than this server keeps logs".to_owned();
    Some(LogLine { time, level: Level::Info, text })
}

fn text(bytes: &[u8]) -> String {
    LogLine::parse_all(bytes).iter().map(text_line).collect()
}

fn text_line(line: &LogLine) -> String {
    let clock = line.time.strftime("%H:%M:%S").to_string();
    format!("{clock}   {:<8} |   {}\n", category(line.level), shown(&line.text))
}

/// What a deployment printed, harmless to a terminal.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if store::is_deceptive(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Ours: the stored bytes from an offset on; waits for more while the task runs.
pub(super) async fn log(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let from = params.number("from")?.unwrap_or(0);
    let wait = Duration::from_millis(params.number("wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    let deadline = Instant::now() + wait;
    loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        // Before the look, so that what happens between look and wait is not missed.
        news.as_mut().enable();
        let row = find(&shared, &id).await?;
        let state = row.state()?.task_state();
        let deployment = DeploymentId(row.id);
        let bytes = if state.is_completed() {
            kept_logs::read(&shared, deployment, from, LOG_PART).await?
        } else {
            shared.store().read_log(deployment, from, LOG_PART).await?
        };
        if !bytes.is_empty()
            || state.is_completed()
            || Instant::now() >= deadline
            || shared.closing.is_cancelled()
        {
            // The log may have grown between the two looks: never say less than what is sent.
            let sent = if bytes.is_empty() { 0 } else { from + bytes.len() as u64 };
            let length = sent.max(u64::try_from(row.log_length).unwrap_or(0)).to_string();
            let headers = [
                ("content-type", "application/x-ndjson".to_owned()),
                ("octarm-log-length", length),
                ("octarm-task-state", state.to_string()),
            ];
            return Ok((headers, bytes).into_response());
        }
        tokio::select! {
            () = news => {}
            // Another node tells of a new state, and not of a log that grows: that would be a message for each chunk.
            () = tokio::time::sleep_until(next_look(&shared.store(), deadline)) => {}
            () = shared.closing.cancelled() => {}
        }
    }
}

/// When whoever follows a log looks again although nobody woke it.
pub(super) fn next_look(store: &Store, deadline: Instant) -> Instant {
    if store.has_other_nodes() { deadline.min(Instant::now() + FOLLOW_PAUSE) } else { deadline }
}

fn category(level: Level) -> &'static str {
    match level {
        Level::Verbose => "Verbose",
        Level::Info => "Info",
        Level::Warning => "Warning",
        Level::Error => "Error",
    }
}

/// The documents of these tasks.
pub(super) async fn tasks(shared: &Shared, rows: &[DeploymentRow]) -> Result<Vec<Value>, Problem> {
    let waiting = shared.store().waiting(rows).await?;
    rows.iter().map(|row| task(row, waiting.get(&row.id))).collect()
}

async fn one(shared: &Shared, row: &DeploymentRow) -> Result<Value, Problem> {
    let waiting = shared.store().waiting(std::slice::from_ref(row)).await?;
    task(row, waiting.get(&row.id))
}

fn task(row: &DeploymentRow, waiting: Option<&Waiting>) -> Result<Value, Problem> {
    let id = TaskId(row.id);
    let state = row.state()?.task_state();
    let completed = state.is_completed();
    let seconds = row.started.zip(row.completed).map(|(start, end)| (end - start).max(0) / 1000);
    Ok(json!({
        "Id": id, "SpaceId": here(), "Name": NAME, "Description": row.description(), "State": state,
        "WaitingReason": waiting.map(ToString::to_string),
        "IsCompleted": completed, "FinishedSuccessfully": state == TaskState::Success,
        "HasPendingInterruptions": false, "HasWarningsOrErrors": state == TaskState::Failed,
        "HasBeenPickedUpByProcessor": row.started.is_some(), "CanRerun": false,
        "QueueTime": time(row.created), "StartTime": time(row.started), "CompletedTime": time(row.completed),
        "LastUpdatedTime": time(row.completed.or(row.started).or(Some(row.created))),
        "Duration": seconds.map(|seconds| format!("{seconds} seconds")), "ErrorMessage": row.error_message,
        "ServerNode": row.machine_name, "ProjectId": ProjectId(row.project_id),
        "EnvironmentId": EnvironmentId(row.environment_id),
        "Arguments": { "DeploymentId": DeploymentId(row.id) },
        "Links": {
            "Self": link(format_args!("tasks/{id}")), "Details": link(format_args!("tasks/{id}/details")),
            "Raw": link(format_args!("tasks/{id}/raw")), "Cancel": link(format_args!("tasks/{id}/cancel")),
            "QueuedBehind": link(format_args!("tasks/{id}/queued-behind{{?skip,take}}")),
            "Artifacts": link(format_args!("artifacts?regarding={id}")),
            "Interruptions": link(format_args!("interruptions?regarding={id}")),
            "Web": format!("/app#/{}/tasks/{id}", here()),
        },
    }))
}
