//! `octarm worker status`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CliError, Output};
use crate::{
    cli::table,
    config::WorkerConfig,
    exit::Exit,
    worker::{Current, Identity, Observed, Report, StateFolder, observe},
};

/// Whether it runs is the exit code, so that a script need not read anything.
pub(super) fn status(config: &WorkerConfig, output: Output) -> Result<Exit, CliError> {
    let folder = StateFolder::existing(&config.state);
    let identity = folder.identity()?;
    let Observed { pid, report } = observe(&folder)?;
    let is_draining = report.as_ref().is_some_and(|report| report.draining);
    let (state, exit) = match (pid, &identity) {
        (Some(_), _) if is_draining => ("draining", Exit::Done),
        (Some(_), _) => ("running", Exit::Done),
        (None, Some(_)) => ("not running", Exit::NotRunning),
        (None, None) => ("not registered", Exit::NotRegistered),
    };
    let now = Timestamp::now();
    // What a process did that ended long ago, of another registration perhaps, is nobody's state.
    let report = report.filter(|_| identity.is_some() || pid.is_some());
    let fields = fields(state, pid, identity.as_ref(), report.as_ref(), now);
    let value = json!({
        "state": state,
        "pid": pid.filter(|pid| *pid != 0),
        "state_folder": config.state,
        "name": identity.as_ref().map(|identity| &identity.name),
        "worker_id": identity.as_ref().map(|identity| identity.worker_id),
        "environment": identity.as_ref().map(|identity| &identity.environment),
        "server": identity.as_ref().map(|identity| &identity.server),
        "octarm": report.as_ref().map(|report| &report.octarm),
        "since": report.as_ref().map(|report| report.since),
        "written": report.as_ref().map(|report| report.written),
        "ended": report.as_ref().and_then(|report| report.ended),
        "last_contact": report.as_ref().and_then(|report| report.last_contact),
        "takes_no_work": report.as_ref().filter(|_| pid.is_some()).and_then(|report| report.takes_no_work.as_ref()),
        "deployments": report.iter().flat_map(|report| &report.deployments)
            .map(|current| deployment(current, pid.is_some())).collect::<Vec<_>>(),
    });
    table::card(&fields, &value, output);
    Ok(exit)
}

fn fields(
    state: &'static str,
    pid: Option<u32>,
    identity: Option<&Identity>,
    report: Option<&Report>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut fields = vec![("State", state.to_owned())];
    if let Some(identity) = identity {
        fields.push((
            "Worker",
            format!("{} ({}) of {}", identity.name, identity.worker_id, identity.environment),
        ));
        fields.push(("Server", identity.server.clone()));
    }
    match pid {
        Some(0) => fields.push(("Process", "in another container".to_owned())),
        Some(pid) => fields.push(("Process", pid.to_string())),
        None => {}
    }
    let Some(report) = report else {
        if pid.is_some() {
            fields.push((
                "Work",
                "it has not written what it does: it has just begun, or its disk is full".to_owned(),
            ));
        }
        return fields;
    };
    fields.push(("octarm", report.octarm.clone()));
    let ago = |time: Timestamp| format!("{time:.0} ({} ago)", span(now, time));
    if pid.is_some() {
        fields.push(("Since", ago(report.since)));
    }
    fields.push(("Last contact", report.last_contact.map_or_else(|| "none yet".to_owned(), ago)));
    match (pid, report.ended) {
        (Some(_), _) => {}
        (None, Some(ended)) => fields.push(("Stopped", ago(ended))),
        (None, None) => {
            fields.push(("Ended", format!("without a word; it last wrote at {}", ago(report.written))));
        }
    }
    if pid.is_some() {
        let work = match &report.takes_no_work {
            Some(why) => format!("takes none: {why}"),
            None if report.last_contact.is_none() => "has not reached the server yet".to_owned(),
            None => "waits for deployments".to_owned(),
        };
        fields.push(("Work", work));
    }
    for current in &report.deployments {
        fields.push((if pid.is_some() { "Runs" } else { "Had" }, shown(current, pid.is_some(), now)));
    }
    fields
}

fn shown(current: &Current, is_running: bool, now: Timestamp) -> String {
    let what = match (&current.project, &current.release) {
        (Some(project), Some(release)) => format!("{project} {release}"),
        _ => "a release".to_owned(),
    };
    let mut lines = vec![format!(
        "{} (fence {}): {what}, package {}",
        current.deployment, current.fence, current.package
    )];
    let taken = span(now, current.since);
    if is_running {
        let since = span(now, current.phase_since);
        lines.push(format!("{} for {since}, taken {taken} ago", current.phase.words()));
        lines.push(match current.lease_left() {
            Some(Duration::ZERO) => "its lease is over".to_owned(),
            Some(left) => format!("lease left: {} s", left.as_secs()),
            None => "its lease is not confirmed yet".to_owned(),
        });
    } else {
        lines.push(format!("last: {}, taken {taken} ago", current.phase.words()));
    }
    lines.join("\n")
}

fn deployment(current: &Current, is_running: bool) -> Value {
    let left = current.lease_left().filter(|_| is_running);
    json!({
        "deployment": current.deployment,
        "fence": current.fence,
        "project": current.project,
        "release": current.release,
        "package": current.package,
        "phase": current.phase,
        "since": current.since,
        "phase_since": current.phase_since,
        "lease_left_ms": left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// In the largest unit that says enough.
fn span(now: Timestamp, time: Timestamp) -> String {
    // A clock that was set back has no negative ages.
    let seconds = now.duration_since(time).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_a_unit_that_fits() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |seconds: i64| span(now, Timestamp::from_second(1_000_000 - seconds).unwrap());
        assert_eq!([ago(-5), ago(0), ago(119)], ["0 s", "0 s", "119 s"]);
        assert_eq!([ago(120), ago(7200), ago(200_000)], ["2 min", "2 h", "2 days"]);
    }
}
