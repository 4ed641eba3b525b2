//! Asked to stop, or to cancel: at a safe point, with an honest end.

use super::{FUNCTION, Scene};
use crate::support::aws::{Action, Fault};

#[test]
fn sigterm_drains() {
    let mut scene = Scene::new();
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.begin_drain();
    gate.open();
    let output = scene.worker.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
}

#[test]
fn an_idle_worker_stops_at_once() {
    let mut scene = Scene::new();
    let output = scene.worker.drain();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("drained"), "{output:?}");
}

#[test]
fn an_ephemeral_worker_ends_for_want_of_work_and_deregisters() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let program = scene.worker.program().clone().args(["--ephemeral", "--idle-exit", "1"]);
    scene.worker.start_as(program);
    let output = scene.worker.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("idle for long enough"), "{output:?}");
    assert_eq!(scene.setup.json(&["machine", "list"]), serde_json::json!([]));
}

#[test]
fn a_second_sigterm_cancels() {
    let mut scene = Scene::new();
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    scene.begin_drain();
    scene.worker.running().terminate();
    scene.worker.running().wait_for_line("cancelling what runs");
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}

#[test]
fn a_cancel_before_the_update_changes_nothing() {
    let scene = Scene::new();
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    let shown = scene.setup.json(&["task", "cancel", &task]);
    assert_eq!(shown["State"], "Cancelling");
    gate.open();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(scene.setup.task(&task)["State"], "Canceled");
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn a_cancel_does_not_wait_for_a_renewal() {
    // The next renewal is minutes away, and a call that hangs writes no log: what brings the wish is the poll for it.
    let scene = Scene::with_lease(1000);
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    scene.setup.run(&["task", "cancel", &task]);
    scene.worker.running().wait_for_line("cancelling on request");
    gate.open();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert!(end.stdout.contains("cancelled: the function was left as it was"), "{end:?}");
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn a_cancel_in_the_update_comes_too_late_and_says_so_by_its_end() {
    let scene = Scene::new();
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.setup.run(&["task", "cancel", &task]);
    gate.open();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(scene.setup.task(&task)["State"], "Success");
}

#[test]
fn a_task_that_nobody_took_is_cancelled_at_once() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.json(&["task", "cancel", &task])["State"], "Canceled");
    scene.worker.start_again();
    super::release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&next).code, Some(0));
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
}
