//! A disk that is short of space: the worker gives it what it can do without, and takes no work before there is room.

use std::path::PathBuf;

use super::Scene;
use crate::support::{
    packages::{Producer, Raw, nupkg, write, zip},
    setup::WorkerHandle,
};

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

/// Starts the worker with its deployments on a disk of so many KiB.
fn start_with_room_for_deployments(scene: &mut Scene, kib: usize) {
    scene.worker.drain();
    let small = r#"mkdir -p "$STATE/deployments" && mount -t tmpfs -o size="$KIB"k small "$STATE/deployments" &&
        exec "$0" "$@""#;
    let program = scene
        .worker
        .program()
        .clone()
        .env("STATE", scene.worker.state())
        .env("KIB", kib.to_string())
        .wrapped("unshare", &["-rm", "sh", "-ec", small]);
    scene.worker.start_as(program);
}

#[test]
fn a_disk_that_is_full_before_the_zip_is_made_ends_the_deployment() {
    let mut scene = Scene::new();
    let mut noise = vec![0; 1 << 20];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let package = write(scene.setup.folder(), "Orders.2.0.0.zip", &zip(&[Raw::new("noise.bin", noise)]));
    scene.setup.release("Orders", "2.0.0", &package);
    // The package fits, its zip does not.
    start_with_room_for_deployments(&mut scene, 1500);
    let (task, _) = scene.setup.deploy("Orders", "2.0.0", "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(3), "{end:?}");
    assert!(
        end.stdout.contains("No space left on device") && end.stdout.contains("free some space"),
        "{end:?}"
    );
    assert!(scene.aws.mutating_calls().is_empty());
    // What it took is free again.
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    scene.assert_deployed_once(&scene.setup.follow(&task));
}

#[test]
fn a_disk_that_is_full_of_the_log_loses_no_line_of_it() {
    let mut scene = Scene::new();
    let mut files = nupkg(Producer::NuGet, "Orders", "2.0.0", &[("src/function/index.js", "// 2\n")]);
    // Each is dropped, and that is logged: 200 KiB and more.
    files.extend((0..600).map(|number| Raw::new(format!("_rels/{number:04}-{}", "x".repeat(250)), "")));
    // And of this the zip is too large for what the log leaves.
    let mut noise = vec![0; 64 << 10];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    files.push(Raw::new("src/function/noise.bin", noise));
    let bytes = zip(&files);
    let package = write(scene.setup.folder(), "Orders.2.0.0.nupkg", &bytes);
    scene.setup.release("Orders", "2.0.0", &package);
    start_with_room_for_deployments(&mut scene, bytes.len() / 1024 + 100);
    let (task, _) = scene.setup.deploy("Orders", "2.0.0", "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(3), "{end:?}");
    let words = "the worker's disk does not take the log (";
    assert_eq!(end.stdout.matches(words).count(), 1, "{end:?}");
    for number in 0..600 {
        assert!(end.stdout.contains(&format!("dropped _rels/{number:04}-")), "{number}");
    }
    let error = scene.setup.task(&task)["ErrorMessage"].as_str().unwrap().to_owned();
    assert!(error.contains("No space left on device"), "{error}");
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    scene.assert_deployed_once(&scene.setup.follow(&task));
}
