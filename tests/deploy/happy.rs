//! What should happen, happens once.

use serde_json::Value;

use super::{FUNCTION, Scene};
use crate::support::{
    aws::{Action, code_sha256},
    packages::{tar_gz, unpack, write},
};

#[test]
fn the_function_gets_the_code_below_the_function_folder() {
    let scene = Scene::new();
    let output = scene.deploy(&scene.package()).args(["--release", "1.0.0"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let function = scene.aws.function(FUNCTION);
    assert_eq!((function.last_update_status, function.updates_applied), ("Successful", 1));
    let files: Vec<_> =
        unpack(&function.zip).into_iter().map(|(name, mode, _)| (name, mode & 0o777)).collect();
    assert_eq!(files, [("index.js".to_owned(), 0o644)]);
    assert!(
        output.stdout.contains(&format!("runs Orders 1.0.0 (CodeSha256 {})", code_sha256(&function.zip))),
        "{output:?}"
    );
    assert!(
        output.stdout.contains("AWS account 111122223333 as arn:aws:iam::111122223333:user/"),
        "{output:?}"
    );
}

#[test]
fn a_tar_is_deployed_like_any_package() {
    let scene = Scene::new();
    let bytes = tar_gz(&[("./src/function/index.js", "exports.handler = 1\n"), ("./README.md", "")]);
    let package = write(scene.folder.path(), "Orders.1.0.0.tar.gz", &bytes);
    let output = scene.deploy(&package).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("runs Orders 1.0.0 "), "{output:?}");
    let files = unpack(&scene.aws.function(FUNCTION).zip);
    assert_eq!(files, [("index.js".to_owned(), 0o100_644, b"exports.handler = 1\n".to_vec())]);
}

#[test]
fn the_same_code_again_changes_nothing() {
    let scene = Scene::new();
    let package = scene.package();
    assert_eq!(scene.deploy(&package).run().code, Some(0));
    let before = scene.aws.function(FUNCTION).revision_id;
    let output = scene.deploy(&package).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("the function holds this code already"), "{output:?}");
    assert_eq!(scene.aws.mutating_calls().len(), 1);
    assert_eq!(scene.aws.function(FUNCTION).revision_id, before);
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let scene = Scene::new();
    let output = scene.deploy(&scene.package()).args(["--dry-run", "--json"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["plan"]["action"], "update");
    assert_eq!(answer["plan"]["function"], FUNCTION);
    assert_eq!(answer["plan"]["files"], 1);
    assert_eq!(answer["dry_run"], true);
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn a_long_update_is_waited_for_and_checked() {
    let scene = Scene::new();
    scene.aws.settle_after(4);
    let output = scene.deploy(&scene.package()).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let polls = scene.aws.calls().iter().filter(|call| call.action == Action::GetFunction).count();
    assert!(polls >= 5, "{polls}");
}

#[test]
fn an_update_of_somebody_else_is_waited_for() {
    let scene = Scene::new();
    scene.aws.make_pending(FUNCTION, 2);
    let output = scene.deploy(&scene.package()).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("an update of this function is under way"), "{output:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
}
