//! Killed with -9 at each point of a deployment: the one who continues asks AWS what happened, and nothing is deployed
//! twice.

use serde_json::Value;

use super::{FUNCTION, Scene, old_zip, release};
use crate::support::{
    aws::{Action, Fault, code_sha256},
    packages::{Raw, zip},
};

#[test]
fn between_claim_and_update() {
    let mut scene = Scene::new();
    let task = scene.killed_at(Action::GetFunction, Fault::HoldBefore);
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    for part in [
        "took Deployments-1 (fence 1)",
        "took Deployments-1 (fence 2)",
        "an earlier attempt did not report its end",
    ] {
        assert_eq!(end.stdout.matches(part).count(), 1, "{part}: {end:?}");
    }
    // The log is whole: what was written before the crash, then what came after it, every line a line.
    let lines = scene.setup.octarm(["task", "logs", &task, "--json"]).run().stdout;
    let times: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["time"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.len() > 10 && times.is_sorted(), "{times:?}");
}

#[test]
fn after_the_intent_before_aws_acted() {
    let mut scene = Scene::new();
    // The gate stays shut: this call never acts.
    let (task, _gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.worker.kill();
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert!(
        end.stdout.contains("an earlier attempt ended before its update took effect: it is made now"),
        "{end:?}"
    );
}

#[test]
fn after_aws_acted_before_the_effect_was_recorded() {
    let mut scene = Scene::new();
    let task = scene.killed_at(Action::UpdateFunctionCode, Fault::HoldAfter);
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert!(
        end.stdout.contains("an earlier attempt sent this code: it is verified, not sent again"),
        "{end:?}"
    );
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn after_aws_acted_while_lambda_applies_it() {
    let mut scene = Scene::new();
    scene.aws.settle_after(3);
    let task = scene.killed_at(Action::UpdateFunctionCode, Fault::HoldAfter);
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn somebody_else_deployed_meanwhile_is_unknown_and_blocks_the_target_until_resolved() {
    let mut scene = Scene::new();
    let (task, _gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.worker.kill();
    let theirs = zip(&[Raw::new("index.js", "theirs").mode(0o644)]);
    scene.aws.replace_code(FUNCTION, theirs.clone());
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(5), "{end:?}");
    let shown = scene.setup.task(&task);
    assert_eq!(shown["State"], "Failed");
    assert!(shown["ErrorMessage"].as_str().unwrap().starts_with("unknown: "), "{shown}");
    assert_eq!(scene.aws.function(FUNCTION).code_sha256, code_sha256(&theirs), "theirs stays");

    // The next deployment waits until a person has looked.
    release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.task(&next)["State"], "Queued");
    scene.setup.run(&["deployment", "resolve", "Deployments-1", "--as", "failed"]);
    assert_eq!(scene.setup.follow(&next).code, Some(0));
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
}

#[test]
fn an_attempt_that_cannot_find_out_says_unknown_and_blocks_the_target() {
    let mut scene = Scene::new();
    let task = scene.killed_at(Action::UpdateFunctionCode, Fault::HoldAfter);
    let right = scene.worker.program().clone();
    scene.worker.start_as(right.env("AWS_DEPLOYMENT_SECRET", "MARKER+a+wrong+secret+of+forty+characters"));
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(5), "{end:?}");
    let error = scene.setup.task(&task)["ErrorMessage"].as_str().unwrap().to_owned();
    assert!(error.starts_with("unknown: an earlier attempt of this deployment may have changed"), "{error}");
    assert!(error.contains("AWS refused GetCallerIdentity"), "{error}");
    release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.task(&next)["State"], "Queued");
}

#[test]
fn a_cancel_does_not_hide_what_an_earlier_attempt_did() {
    let mut scene = Scene::new();
    let task = scene.killed_at(Action::UpdateFunctionCode, Fault::HoldAfter);
    scene.setup.run(&["task", "cancel", &task]);
    scene.worker.start_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(scene.setup.task(&task)["State"], "Success");
}

#[test]
fn a_worker_that_does_not_come_back_is_replaced_by_another_of_its_environment() {
    let mut scene = Scene::new();
    let task = scene.killed_at(Action::UpdateFunctionCode, Fault::HoldAfter);
    let access = crate::support::setup::Access::to_fake(&scene.aws);
    let _second = scene.setup.worker("ci-2", "CI", &access);
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert!(end.stdout.contains("worker ci-2 of CI took Deployments-1"), "{end:?}");
}

#[test]
fn the_server_is_killed_in_the_middle() {
    let mut scene = Scene::with_lease(30);
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    scene.setup.kill_server();
    gate.open();
    scene.setup.start_server_again();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "{end:?}");
    assert!(scene.aws.function(FUNCTION).zip != old_zip());
}
