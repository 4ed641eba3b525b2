//! Several deployments at a time: side by side, but for one function one after the other.

use super::{FUNCTION, Scene, old_zip};
use crate::support::{
    aws::{Action, Fault, Gate},
    packages::{Producer, nupkg, write, zip},
    process::Running,
};

/// A second project, with the function of this name.
pub(super) fn second_project(scene: &Scene, function: &str) {
    let setup = &scene.setup;
    // The convention puts the environment before it.
    let function = function.trim_start_matches("CI-");
    setup.run(&["project", "create", "Bills"]);
    setup.run(&["variable", "set", "--project", "Bills", &format!("Lambda.Function={function}")]);
    let code = "exports.handler = async () => 'bill'\n";
    let bytes = zip(&nupkg(Producer::NuGet, "Bills", "1.0.0", &[("src/function/index.js", code)]));
    setup.release("Bills", "1.0.0", &write(setup.folder(), "Bills.1.0.0.nupkg", &bytes));
}

/// Deploys both projects; answers their tasks when each one's update stands at its gate.
fn both_at_their_updates(scene: &Scene, fault: impl Fn(Gate) -> Fault) -> ([String; 2], [Gate; 2]) {
    let gates = [Gate::shut(), Gate::shut()];
    for gate in &gates {
        scene.aws.on(Action::UpdateFunctionCode, fault(gate.clone()));
    }
    let tasks = ["Orders", "Bills"].map(|project| scene.setup.deploy(project, "1.0.0", "CI").0);
    for gate in &gates {
        gate.wait_reached();
    }
    (tasks, gates)
}

/// Two deployments of one function.
struct Pair {
    /// The task of the one whose update stands at the gate.
    first: String,
    gate: Gate,
    /// The task of the one that waits for it.
    second: String,
    /// The second one's log.
    following: Running,
}

/// Deploys both projects to one function; answers when the second one waits for the first.
fn one_behind_the_other(scene: &Scene) -> Pair {
    second_project(scene, FUNCTION);
    let (first, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let (second, _) = scene.setup.deploy("Bills", "1.0.0", "CI");
    let following = scene.setup.octarm(["task", "logs", &second, "--follow"]).spawn();
    following.wait_for_line("another deployment of this worker is at the same function");
    Pair { first, gate, second, following }
}

#[test]
fn two_functions_at_once() {
    let mut scene = Scene::concurrent(2);
    scene.aws.create_function("CI-Bills", old_zip());
    second_project(&scene, "CI-Bills");
    let (tasks, gates) = both_at_their_updates(&scene, Fault::HoldBefore);
    // A drain waits for both.
    scene.worker.running().terminate();
    scene.worker.running().wait_for_line("finishing what runs");
    gates.iter().for_each(Gate::open);
    assert_eq!(scene.worker.wait().code, Some(0));
    for (task, function) in tasks.iter().zip([FUNCTION, "CI-Bills"]) {
        assert_eq!(scene.setup.follow(task).code, Some(0));
        assert_eq!(scene.aws.function(function).updates_applied, 1);
    }
}

#[test]
fn one_function_one_after_the_other() {
    let scene = Scene::concurrent(2);
    let Pair { first, following, gate, .. } = one_behind_the_other(&scene);
    assert_eq!(scene.aws.calls().iter().filter(|call| call.action == Action::GetFunction).count(), 1);
    gate.open();
    assert_eq!(scene.setup.follow(&first).code, Some(0));
    assert_eq!(following.wait().code, Some(0));
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 2);
}

#[test]
fn one_that_waits_for_the_function_is_cancelled_at_once() {
    let scene = Scene::concurrent(2);
    let Pair { first, second, following, gate } = one_behind_the_other(&scene);
    scene.setup.run(&["task", "cancel", &second]);
    assert_eq!(following.wait().code, Some(4), "while the first one is still at the function");
    gate.open();
    assert_eq!(scene.setup.follow(&first).code, Some(0));
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
}

#[test]
fn all_that_a_killed_worker_held_is_reconciled() {
    let mut scene = Scene::concurrent(2);
    scene.aws.create_function("CI-Bills", old_zip());
    second_project(&scene, "CI-Bills");
    let (tasks, gates) = both_at_their_updates(&scene, Fault::HoldAfter);
    scene.worker.kill();
    gates.iter().for_each(Gate::open);
    scene.worker.start_again();
    for task in &tasks {
        let end = scene.setup.follow(task);
        assert_eq!(end.code, Some(0), "{end:?}");
        assert!(end.stdout.contains("it is verified, not sent again"), "{end:?}");
    }
    assert_eq!(scene.aws.mutating_calls().len(), 2);
}
