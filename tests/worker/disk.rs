//! A disk that is short of space: the worker gives it what it can do without, and takes no work before there is room.

use std::path::PathBuf;

use super::Scene;
use crate::support::setup::WorkerHandle;

/// Starts the worker with its state folder on a disk of 16 MiB, of which 8 are to stay free and a file of 12 takes most.
fn start_on_a_small_disk(worker: &mut WorkerHandle, file: &str) {
    worker.drain();
    let small = r#"cp -r "$STATE" "$HOME/kept" && mount -t tmpfs -o size=16m small "$STATE" &&
        cp -r "$HOME/kept/." "$STATE" && head -c 12M /dev/zero > "$STATE/$TAKEN" && exec "$0" "$@""#;
    let program = worker
        .program()
        .clone()
        .env("STATE", worker.state())
        .env("TAKEN", file)
        .env("OCTARM_WORKER_DISK__MINIMUM_FREE", "8 MiB")
        .wrapped("unshare", &["-rm", "sh", "-ec", small]);
    worker.start_as(program);
}

/// The file as the worker sees it.
fn inside(worker: &WorkerHandle, file: &str) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", worker.running().pid()));
    root.join(worker.state().strip_prefix("/").unwrap()).join(file)
}

#[test]
fn below_the_floor_no_work_is_taken_until_there_is_space() {
    let mut scene = Scene::new();
    start_on_a_small_disk(&mut scene.worker, "somebody's");
    scene.worker.running().wait_for_line("taking no new work");
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    let waits = scene.setup.task(&task)["WaitingReason"].as_str().unwrap().to_owned();
    assert!(waits.starts_with("waits for a worker: none in environment `CI` takes new work: "), "{waits}");
    assert!(waits.ends_with("at least 8.0 MiB are to stay free (`disk.minimum_free`)"), "{waits}");
    let words = "takes no new work: ";
    assert!(scene.setup.run(&["machine", "list"]).contains(words));
    let shown = scene.setup.run(&["machine", "show", "ci-1"]);
    assert!(shown.contains(words) && shown.contains("Unhealthy"), "{shown}");
    fs_err::remove_file(inside(&scene.worker, "somebody's")).unwrap();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    scene.worker.running().wait_for_line("taking work again");
}

#[test]
fn kept_packages_go_before_work_is_refused() {
    let mut scene = Scene::new();
    let kept = format!("cache/{}", "0".repeat(64));
    start_on_a_small_disk(&mut scene.worker, &kept);
    scene.worker.running().wait_for_line("removed a kept package: the disk is short of space");
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    scene.assert_deployed_once(&scene.setup.follow(&task));
    assert!(!inside(&scene.worker, &kept).exists());
    assert!(!scene.worker.running().seen().stderr().contains("taking no new work"));
}
