//! Packages that the worker keeps: fetched once for all that need them, and never trusted by their name.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::{FUNCTION, Scene, old_zip};
use crate::support::{
    aws::{Action, Fault, Gate},
    process::Output,
};

/// Deploys 1.0.0 again; answers what its log says.
fn deploy(scene: &Scene) -> String {
    // Somebody else's code in between, so that there is something to do.
    scene.aws.replace_code(FUNCTION, old_zip());
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(scene.aws.function(FUNCTION).zip != old_zip());
    end.stdout
}

/// The one package that is kept.
fn kept(scene: &Scene) -> PathBuf {
    let mut files = fs_err::read_dir(scene.worker.state().join("cache")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn a_package_is_fetched_once_and_a_damaged_copy_is_fetched_again() {
    let mut scene = Scene::new();
    let first = deploy(&scene);
    assert!(first.contains("fetching package Orders 1.0.0"), "{first}");
    let file = kept(&scene);
    let modes = [file.as_path(), file.parent().unwrap()]
        .map(|path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o600, 0o700]);
    // Also by another process.
    scene.worker.drain();
    scene.worker.start_again();
    let second = deploy(&scene);
    assert!(second.contains("package Orders 1.0.0 comes from the worker's cache"), "{second}");
    assert!(!second.contains("fetching package"), "{second}");

    let whole = fs_err::read(&file).unwrap();
    let mut bytes = whole.clone();
    bytes[20] ^= 1;
    fs_err::write(&file, bytes).unwrap();
    let third = deploy(&scene);
    let words = "the copy of package Orders 1.0.0 in the worker's cache was damaged: it is removed";
    assert!(third.contains(words) && third.contains("fetching package Orders 1.0.0"), "{third}");
    assert!(fs_err::read(kept(&scene)).unwrap() == whole);
}

#[test]
fn what_deployments_need_at_once_is_fetched_once() {
    let scene = Scene::concurrent(2);
    let setup = &scene.setup;
    setup.run(&["project", "create", "Bills", "--package", "Orders"]);
    setup.run(&["variable", "set", "--project", "Bills", "Lambda.Function=Bills"]);
    setup.run(&[
        "release",
        "create",
        "--project",
        "Bills",
        "--version",
        "1.0.0",
        "--package",
        "Orders:1.0.0",
    ]);
    scene.aws.create_function("CI-Bills", old_zip());
    let gates = [Gate::shut(), Gate::shut()];
    for gate in &gates {
        scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    }
    let tasks = ["Orders", "Bills"].map(|project| setup.deploy(project, "1.0.0", "CI").0);
    gates.iter().for_each(Gate::wait_reached);
    gates.iter().for_each(Gate::open);
    let ends: Vec<Output> = tasks.iter().map(|task| setup.follow(task)).collect();
    assert!(ends.iter().all(|end| end.code == Some(0)), "{ends:?}");
    let said = |words| ends.iter().filter(|end| end.stdout.contains(words)).count();
    assert_eq!((said("info    fetching package"), said("comes from the worker's cache")), (1, 1), "{ends:?}");
}

#[test]
fn a_cache_that_is_off_or_cannot_be_written_costs_nothing_but_its_use() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let state = scene.worker.state().to_owned();
    fs_err::remove_dir_all(state.join("cache")).unwrap();
    // A file stands where the folder should be.
    fs_err::write(state.join("cache"), "").unwrap();
    scene.worker.start_again();
    scene.worker.running().wait_for_line("packages cannot be kept for later deployments");
    deploy(&scene);
    scene.worker.running().wait_for_line("a package could not be kept for later deployments");
    scene.worker.drain();
    fs_err::remove_file(state.join("cache")).unwrap();
    let program = scene.worker.program().clone().env("OCTARM_WORKER_CACHE__MAX_SIZE", "0");
    scene.worker.start_as(program);
    assert!(deploy(&scene).contains("fetching package") && deploy(&scene).contains("fetching package"));
    assert!(!state.join("cache").exists());
}

#[test]
fn what_a_killed_worker_left_of_a_package_is_removed_at_its_start() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let folder = scene.worker.state().join("deployments/Deployments-77");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::write(folder.join("package"), "half of it").unwrap();
    fs_err::write(folder.join("log"), "").unwrap();
    scene.worker.start_again();
    assert!(!folder.join("package").exists() && folder.join("log").exists());
}
