//! What a worker cannot do becomes a Failed task with the words of the cause, and the worker lives on.

use super::{FUNCTION, Scene};
use crate::support::packages::{Raw, write, zip};

/// Pushes and releases a zip of `Orders` with these files.
fn release_of(scene: &Scene, version: &str, files: &[Raw]) {
    let package = write(scene.setup.folder(), &format!("Orders.{version}.zip"), &zip(files));
    scene.setup.release("Orders", version, &package);
}

/// Deploys the version, which fails; answers the task's error.
#[track_caller]
fn error_of(scene: &Scene, version: &str) -> String {
    let (task, _) = scene.setup.deploy("Orders", version, "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(3), "{end:?}");
    let shown = scene.setup.task(&task);
    assert_eq!(shown["State"], "Failed");
    let error = shown["ErrorMessage"].as_str().unwrap().to_owned();
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
    error
}

#[track_caller]
fn assert_alive(scene: &Scene) {
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
}

#[test]
fn a_corrupt_package() {
    let scene = Scene::new();
    // Sound in structure, so that the server takes it; what it holds is not what it says.
    release_of(&scene, "2.0.0", &[Raw { said_crc: Some(7), ..Raw::new("index.js", "damaged") }]);
    let error = error_of(&scene, "2.0.0");
    assert!(error.contains("`Orders.2.0.0.zip` holds `index.js`") && error.contains("00000007"), "{error}");
    assert_alive(&scene);
}

#[test]
fn a_full_disk() {
    let mut scene = Scene::new();
    let mut noise = vec![0; 1 << 20];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    release_of(&scene, "2.0.0", &[Raw::new("noise.bin", noise)]);
    scene.worker.drain();
    let state = scene.worker.state().to_owned();
    let small = r#"mkdir -p "$STATE/deployments" && mount -t tmpfs -o size=256k small "$STATE/deployments" && exec "$0" "$@""#;
    let program =
        scene.worker.program().clone().env("STATE", &state).wrapped("unshare", &["-rm", "sh", "-c", small]);
    scene.worker.start_as(program);
    let error = error_of(&scene, "2.0.0");
    assert!(
        error.contains("fetching package Orders 2.0.0") && error.contains("No space left on device"),
        "{error}"
    );
    assert!(error.contains("hint: free some space"), "{error}");
    assert_alive(&scene);
}
