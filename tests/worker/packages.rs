//! Packages of all formats go the whole way from the server to the function.

use super::{FUNCTION, Scene};
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
