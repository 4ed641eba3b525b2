//! Who a worker is: registered once, on one machine, in one process; and which deployment this is comes from the
//! server alone.

use std::os::unix::fs::PermissionsExt;

use super::{FUNCTION, Scene};
use crate::support::{process::Program, setup::Access};

#[test]
fn registering_again_is_the_same_worker_and_keeps_its_key() {
    let scene = Scene::new();
    let file = scene.worker.state().join("identity.json");
    let before = fs_err::read(&file).unwrap();
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let state = scene.worker.state().to_str().unwrap();
    let again =
        scene.setup.json(&["worker", "register", "--name", "CI-1", "--environment", "ci", "--state", state]);
    assert_eq!(again["existed"], true);
    assert_eq!(again["environment"], "CI");
    assert_eq!(fs_err::read(&file).unwrap(), before);
    assert_eq!(scene.setup.json(&["machine", "list"]).as_array().unwrap().len(), 1);
    // The process that runs is not disturbed.
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
}

#[test]
fn another_machine_needs_replace_and_then_the_first_is_out() {
    let mut scene = Scene::new();
    let words = ["worker", "register", "--name", "ci-1", "--environment", "CI", "--state", "elsewhere"];
    let there = scene.setup.octarm(words).env("OCTARM_WORKER_MACHINE_ID", "another-machine");
    let refused = there.run();
    assert_eq!(refused.code, Some(6), "{refused:?}");
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&host), "{refused:?}");
    assert!(refused.stderr.contains("last seen"), "{refused:?}");
    let taken = there.args(["--replace"]).run();
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let output = scene.worker.wait();
    assert_eq!(output.code, Some(6), "{output:?}");
}

#[test]
fn a_state_folder_has_one_process() {
    let scene = Scene::new();
    let second = scene.worker.program().run();
    assert_eq!(second.code, Some(64), "{second:?}");
    assert!(second.stderr.contains("another worker process runs in the state folder"), "{second:?}");
}

#[test]
fn a_copied_state_folder_does_not_become_a_second_worker() {
    let scene = Scene::new();
    let copy = scene.setup.folder().join("copy");
    fs_err::create_dir(&copy).unwrap();
    fs_err::copy(scene.worker.state().join("identity.json"), copy.join("identity.json")).unwrap();
    let output = Program::octarm()
        .args(["worker", "run", "--state", copy.to_str().unwrap()])
        .env("OCTARM_WORKER_MACHINE_ID", "a-clone")
        .run();
    assert_eq!(output.code, Some(6), "{output:?}");
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert!(output.stderr.contains(&format!("another machine, on host `{host}`")), "{output:?}");
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
}

#[test]
fn an_environment_variable_left_behind_does_not_redirect_a_deployment() {
    let mut scene = Scene::new();
    scene.worker.drain();
    scene.aws.create_function("Production-Other", super::old_zip());
    let misled = scene
        .worker
        .program()
        .clone()
        .env("OCTOPUS_ENVIRONMENT_NAME", "Production")
        .env("LAMBDA_FUNCTION", "Other");
    scene.worker.start_as(misled);
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
    assert_eq!(scene.aws.function("Production-Other").updates_applied, 0);
}

#[test]
fn the_local_log_is_readable_when_the_server_is_away() {
    let mut scene = Scene::new();
    let state = scene.worker.state().to_str().unwrap().to_owned();
    let following = scene.setup.octarm(["worker", "logs", "-f", "--state", &state]).spawn();
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    following.wait_for_line("[Deployments-1] info    CI-Orders runs Orders 1.0.0");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    scene.setup.stop_server();
    let output =
        scene.setup.octarm(["worker", "logs", "--state", &state, "--deployment", "Deployments-1"]).run();
    assert!(output.stdout.contains("runs Orders 1.0.0"), "{output:?}");
}

#[test]
fn workers_serve_their_own_environment_only() {
    let scene = Scene::new();
    scene.setup.run(&["environment", "create", "Staging"]);
    scene.aws.create_function("Staging-Orders", super::old_zip());
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "Staging");
    let (here, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&here).code, Some(0));
    assert_eq!(scene.setup.task(&task)["State"], "Queued");
    let _staging = scene.setup.worker("staging-1", "Staging", &Access::to_fake(&scene.aws));
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    assert_eq!(scene.aws.function("Staging-Orders").updates_applied, 1);
}
