//! The line breaks in the middle of a body that is streamed: it is sent again from its beginning, and arrives whole.

use super::{FUNCTION, Scene, through_s3::too_large};
use crate::support::{
    aws::{Action, Fault, Gate, REGION},
    cut::Cut,
    packages::{Raw, write, zip},
};

/// Deploys a package of a megabyte, and breaks the line in the middle of the call that comes after this one.
fn cut_after(scene: &Scene, action: Action, broken: &str) {
    let mut noise = vec![0; 1_000_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let large = zip(&[Raw { deflate: false, ..Raw::new("noise.bin", noise) }]);
    let package = write(scene.folder.path(), "Orders.2.0.0.zip", &large);

    let line = Cut::before(scene.aws.endpoint().trim_start_matches("http://").parse().unwrap());
    let gate = Gate::shut();
    scene.aws.on(action, Fault::HoldBefore(gate.clone()));
    let running = scene
        .deploy(&package)
        .args(["--variable", "AWS.Deployment.Bucket=zips"])
        .env("AWS_ENDPOINT_URL", format!("http://{}", line.address()))
        .spawn();
    gate.wait_reached();
    line.cut_after_bytes(400_000);
    gate.open();
    running.wait_for_line(&format!("no answer from AWS to {broken}"));
    line.mend();
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    let function = scene.aws.function(FUNCTION);
    assert_eq!(function.updates_applied, 1, "{:?}", scene.aws.calls());
    assert!(function.zip.len() > 1_000_000);
}

#[test]
fn in_the_middle_of_the_update() {
    cut_after(&Scene::new(), Action::GetFunction, "UpdateFunctionCode");
}

#[test]
fn in_the_middle_of_the_upload() {
    let scene = Scene::new();
    scene.aws.create_bucket("zips", REGION, true);
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    cut_after(&scene, Action::HeadObject, "PutObject");
    let objects = scene.aws.objects("zips");
    assert_eq!(objects.values().flatten().count(), 1, "{:?}", scene.aws.calls());
}
