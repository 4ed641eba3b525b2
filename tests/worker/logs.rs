//! `octarm worker logs`: the worker's own copy, also while the server is away.

use std::path::Path;

use octarm::{
    model::{DeploymentId, Level, LogLine},
    worker::{LocalLine, LocalLog},
};
use serde_json::Value;

use super::{Scene, release};
use crate::support::process::Program;

fn logs(state: &Path) -> Program {
    Program::octarm().args(["worker", "logs"]).arg_pair("--state", state)
}

fn line(deployment: u64, time: &str, text: &str) -> LocalLine {
    let line = LogLine { time: time.parse().unwrap(), level: Level::Info, text: text.to_owned() };
    LocalLine { deployment: DeploymentId(deployment.try_into().unwrap()), line }
}

#[test]
fn the_log_is_read_without_a_server_and_chosen_by_deployment_and_time() {
    let mut scene = Scene::new();
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    release(&scene.setup, "1.1.0");
    let (task, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    scene.setup.kill_server();
    let state = scene.worker.state().to_owned();
    let all = logs(&state).run();
    assert!(all.stdout.contains("[Deployments-1]") && all.stdout.contains("[Deployments-2]"), "{all:?}");
    let second = logs(&state).args(["--deployment", "Deployments-2"]).run();
    assert!(second.stdout.contains("runs Orders 1.1.0"), "{second:?}");
    assert!(!second.stdout.contains("Deployments-1]"), "{second:?}");
    assert_eq!(logs(&state).args(["--since", "1h"]).run(), all);
    let later = logs(&state).args(["--since", "2999-01-01T00:00:00Z"]).run();
    assert_eq!((later.code, later.stdout.as_str()), (Some(0), ""));
    let lines = logs(&state).args(["--json", "--deployment", "Deployments-2"]).run();
    let objects: Vec<Value> = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.len() > 3, "{lines:?}");
    for object in &objects {
        assert_eq!(object["deployment"], "Deployments-2");
        assert!(object["time"].is_string() && object["level"].is_string() && object["text"].is_string());
    }
    let wrong = logs(&state).args(["--since", "yesterday"]).run();
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("expected a time like"), "{wrong:?}");
}

#[test]
fn following_goes_on_when_the_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let log = LocalLog::new(folder.path());
    log.append(&line(1, "2026-01-01T00:00:00Z", "old"));
    log.append(&line(1, "2026-01-02T00:00:00Z", "first"));
    let following = logs(folder.path()).args(["--follow", "--since", "2026-01-01T12:00:00Z"]).spawn();
    following.wait_for_line("first");
    // As much as is kept in one file.
    log.append(&line(2, "2026-01-02T00:00:01Z", &"x".repeat(16 << 20)));
    log.append(&line(2, "2026-01-02T00:00:02Z", "after the change"));
    following.wait_for_line("after the change");
    log.append(&line(3, "2026-01-02T00:00:03Z", "and later"));
    following.wait_for_line("and later");
    assert!(!following.seen().stdout().contains("old"));
}
