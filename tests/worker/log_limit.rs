//! A log that is longer than its limit: its beginning is sent as it comes, its end when the deployment ends, and one line
//! says what is left out between them.

use super::{FUNCTION, Scene, old_zip};
use crate::support::{
    aws::{Action, Fault, Gate},
    packages::{Producer, Raw, nupkg, write, zip},
    process::Output,
};

/// So many lines the log gets of the package alone, each longer than this.
const LINES: usize = 600;
const LENGTH: usize = 250;

/// A scene whose worker sends 64 KiB of a log, and a package 2.0.0 that makes it three times as long.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let mut files = nupkg(Producer::NuGet, "Orders", "2.0.0", &[("src/function/index.js", "// 2\n")]);
    // Each is dropped, and that is logged.
    files.extend((0..LINES).map(|number| Raw::new(format!("_rels/{number:04}-{}", "x".repeat(LENGTH)), "")));
    let package = write(scene.setup.folder(), "Orders.2.0.0.nupkg", &zip(&files));
    scene.setup.release("Orders", "2.0.0", &package);
    scene.worker.drain();
    let program = scene.worker.program().clone().env("OCTARM_WORKER_DEPLOYMENTS__LOG_LIMIT", "64 KiB");
    scene.worker.start_as(program);
    scene
}

/// Checks that what is shown and what is said to be left out are all lines together; answers the log.
#[track_caller]
fn assert_cut<'o>(scene: &Scene, task: &str, end: &'o Output) -> &'o str {
    let log = end.stdout.as_str();
    let shown = log.lines().filter(|line| line.contains("dropped _rels/")).count();
    let line = log.lines().find(|line| line.contains("of the log are left out here")).expect(log);
    let left_out = line.split(" lines (").next().unwrap().rsplit(' ').next().unwrap();
    // What the producer itself put there is dropped as well.
    let total = shown + left_out.parse::<usize>().unwrap();
    assert!((LINES + 1..LINES + 3).contains(&total), "{shown} and {left_out}: {line}");
    assert!(shown > 100 && shown < 300, "{shown}");
    assert_eq!(log.matches("has reached half of its limit of 64.0 KiB").count(), 1, "{log}");
    // As it is stored, which is longer than as it is shown.
    let raw = scene.setup.get(&format!("/api/tasks/{task}/log"));
    assert!(raw.len() < (64 << 10) + 1000, "{}", raw.len());
    log
}

#[test]
fn the_end_of_a_long_log_says_why_it_failed() {
    let scene = scene();
    let gate = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "2.0.0", "CI");
    gate.wait_reached();
    // Whoever follows it learns why nothing more comes.
    let follower = scene.setup.octarm(["task", "logs", &task, "--follow", "--verbose"]).spawn();
    follower.wait_for_line("has reached half of its limit of 64.0 KiB");
    scene.aws.fail_update("InvalidZipFileException", "the end of the long log");
    gate.open();
    let end = follower.wait();
    assert_eq!(end.code, Some(3), "{end:?}");
    let log = assert_cut(&scene, &task, &end);
    let last: Vec<&str> = log.lines().rev().take(4).collect();
    assert!(last.iter().any(|line| line.contains("the end of the long log")), "{last:?}");
}

#[test]
fn a_worker_that_was_killed_in_a_long_log_brings_its_end() {
    let mut scene = scene();
    let gate = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "2.0.0", "CI");
    gate.wait_reached();
    scene.worker.kill();
    gate.open();
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    let log = end.stdout.as_str();
    // The second hand-out drops the same files again: both ends are one tail.
    assert_eq!(log.matches("has reached half of its limit").count(), 1, "{log}");
    let left_out = log.lines().find(|line| line.contains("of the log are left out here")).expect(log);
    assert!(left_out.contains(" lines ("), "{left_out}");
    assert!(log.contains("runs Orders 2.0.0 (CodeSha256 "), "{log}");
    assert!(scene.aws.function(FUNCTION).zip != old_zip());
}
