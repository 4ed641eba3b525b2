//! Killed with -9 on the way through S3: the zip is there once, and the function is updated once.

use serde_json::Value;

use super::{FUNCTION, Scene, old_zip, release};
use crate::{
    deploy::too_large,
    support::{
        aws::{Action, Fault, Gate, REGION},
        process::Output,
    },
};

const BUCKET: &str = "zips";
/// The record of the try that Lambda refused; it covers the update from S3, which does the same.
const DIRECT: &str = "update_code_intent";

/// A scene in which Lambda takes no code in a request, and release 1.1.0, which knows the bucket.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.aws.create_bucket(BUCKET, REGION, true);
    scene.setup.run(&["variable", "set", "--project", "Orders", &format!("AWS.Deployment.Bucket={BUCKET}")]);
    release(&scene.setup, "1.1.0");
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    scene
}

/// What a scene with a killed worker left.
struct Killed {
    /// The journal's records when it was killed.
    journal: Vec<String>,
    /// The end of the one who continued.
    end: Output,
    /// Stays shut: a call that was held before it acted never acts.
    _gate: Gate,
}

/// Kills the worker while a call of this kind stands at the gate, and starts it again.
fn killed_at(scene: &mut Scene, action: Action, fault: impl Fn(Gate) -> Fault) -> Killed {
    let gate = Gate::shut();
    scene.aws.on(action, fault(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    gate.wait_reached();
    scene.worker.kill();
    let path = scene.worker.state().join("deployments/Deployments-1/journal.jsonl");
    let text = fs_err::read_to_string(path).unwrap();
    let journal = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["record"]["record"].as_str().unwrap().to_owned()
        })
        .collect();
    // Whoever continues meets the same Lambda.
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    scene.worker.start_again();
    Killed { journal, end: scene.setup.follow(&task), _gate: gate }
}

#[track_caller]
fn assert_deployed_once(scene: &Scene, killed: &Killed, journal: &[&str]) {
    assert_eq!(killed.journal, journal);
    let end = &killed.end;
    assert_eq!(end.code, Some(0), "{end:?}");
    let function = scene.aws.function(FUNCTION);
    assert_eq!(function.updates_applied, 1, "{:?}", scene.aws.calls());
    let objects = scene.aws.objects(BUCKET);
    let versions: Vec<_> = objects.values().flatten().collect();
    assert_eq!(versions.len(), 1, "{:?}", scene.aws.calls());
    assert!(versions[0].bytes == function.zip && function.zip != old_zip());
}

#[test]
fn before_the_upload_acted() {
    let mut scene = scene();
    let killed = killed_at(&mut scene, Action::PutObject, Fault::HoldBefore);
    assert_deployed_once(&scene, &killed, &[DIRECT, "upload_intent"]);
}

#[test]
fn after_the_upload_acted() {
    let mut scene = scene();
    let killed = killed_at(&mut scene, Action::PutObject, Fault::HoldAfter);
    assert_deployed_once(&scene, &killed, &[DIRECT, "upload_intent"]);
    assert!(killed.end.stdout.contains("holds this zip already: it is not sent again"), "{:?}", killed.end);
}

#[test]
fn between_the_upload_and_the_update() {
    let mut scene = scene();
    // The first update is refused, the second is the one from S3.
    let killed = killed_at(&mut scene, Action::UpdateFunctionCode, Fault::HoldBefore);
    assert_deployed_once(&scene, &killed, &[DIRECT, "upload_intent", "upload_effect"]);
    assert!(killed.end.stdout.contains("holds this zip already: it is not sent again"), "{:?}", killed.end);
}

#[test]
fn after_the_update_acted() {
    let mut scene = scene();
    let killed = killed_at(&mut scene, Action::UpdateFunctionCode, Fault::HoldAfter);
    assert_deployed_once(&scene, &killed, &[DIRECT, "upload_intent", "upload_effect"]);
    assert!(
        killed.end.stdout.contains("an earlier attempt sent this code: it is verified, not sent again"),
        "{:?}",
        killed.end
    );
}
