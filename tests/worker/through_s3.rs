//! Killed with -9 on the way through S3: the zip is there once, and the function is updated once.

use super::{FUNCTION, Scene, old_zip, release};
use crate::{
    deploy::too_large,
    support::{
        aws::{Action, Fault, Gate, REGION},
        process::Output,
    },
};

const BUCKET: &str = "zips";

/// A scene in which Lambda takes no code in a request, and release 1.1.0, which knows the bucket.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.aws.create_bucket(BUCKET, REGION, true);
    scene.setup.run(&["variable", "set", "--project", "Orders", &format!("AWS.Deployment.Bucket={BUCKET}")]);
    release(&scene.setup, "1.1.0");
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    scene
}

/// Kills the worker while a call of this kind stands at the gate, and starts it again; answers the end and the gate,
/// which stays shut: a call that was held before it acted never acts.
fn killed_at(scene: &mut Scene, action: Action, fault: impl Fn(Gate) -> Fault) -> (Output, Gate) {
    let gate = Gate::shut();
    scene.aws.on(action, fault(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    gate.wait_reached();
    scene.worker.kill();
    // Whoever continues meets the same Lambda.
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    scene.worker.start_again();
    (scene.setup.follow(&task), gate)
}

#[track_caller]
fn assert_deployed_once(scene: &Scene, end: &Output) {
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
    let (end, _gate) = killed_at(&mut scene, Action::PutObject, Fault::HoldBefore);
    assert_deployed_once(&scene, &end);
}

#[test]
fn after_the_upload_acted() {
    let mut scene = scene();
    let (end, _gate) = killed_at(&mut scene, Action::PutObject, Fault::HoldAfter);
    assert_deployed_once(&scene, &end);
    assert!(end.stdout.contains("holds this zip already: it is not sent again"), "{end:?}");
}

#[test]
fn between_the_upload_and_the_update() {
    let mut scene = scene();
    // The first update is refused, the second is the one from S3.
    let (end, _gate) = killed_at(&mut scene, Action::UpdateFunctionCode, Fault::HoldBefore);
    assert_deployed_once(&scene, &end);
    assert!(end.stdout.contains("holds this zip already: it is not sent again"), "{end:?}");
}

#[test]
fn after_the_update_acted() {
    let mut scene = scene();
    let (end, _gate) = killed_at(&mut scene, Action::UpdateFunctionCode, Fault::HoldAfter);
    assert_deployed_once(&scene, &end);
    assert!(
        end.stdout.contains("an earlier attempt sent this code: it is verified, not sent again"),
        "{end:?}"
    );
}
