//! Packages of all formats go the whole way from the server to the function.

use super::{FUNCTION, Scene, old_zip};
use crate::support::packages::{tar_gz, unpack, write};

#[test]
fn a_tar_is_fetched_and_deployed() {
    let scene = Scene::new();
    let bytes = tar_gz(&[("src/function/index.js", "exports.handler = 2\n")]);
    let package = write(scene.setup.folder(), "Orders.2.0.0.tgz", &bytes);
    scene.setup.release("Orders", "2.0.0", &package);
    let (task, _) = scene.setup.deploy("Orders", "2.0.0", "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    let files = unpack(&scene.aws.function(FUNCTION).zip);
    assert_eq!(files, [("index.js".to_owned(), 0o100_644, b"exports.handler = 2\n".to_vec())]);
}

#[test]
fn a_package_is_verified_once_and_its_second_deployment_is_the_same() {
    let scene = Scene::new();
    let deploy = || {
        let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
        let end = scene.setup.octarm(["task", "logs", "--follow", "--verbose", &task]).run();
        assert_eq!(end.code, Some(0), "{end:?}");
        (end.stdout.contains("this package was verified before"), scene.aws.function(FUNCTION).zip)
    };
    let (first, zip) = deploy();
    assert!(!first);
    // Somebody else's code in between, so that the zip is made and sent again.
    scene.aws.replace_code(FUNCTION, old_zip());
    let (second, again) = deploy();
    assert!(second);
    assert!(again == zip, "the same bytes");
}
