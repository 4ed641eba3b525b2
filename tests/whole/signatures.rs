//! The way of a signature through an AWS that checks it.

use serde_json::{Value, json};

use crate::support::{
    ministack::{Ministack, REGION, ROOT, tools},
    packages::{Raw, write, zip},
    process::Program,
    setup::{Access, Setup},
};

/// A user of this AWS who may do everything.
pub(super) fn user(aws: &Ministack, name: &str) -> Access {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/iam_user.py");
    let output = Program::at(tools().join("venv/bin/python"))
        .args(["-B", script, name])
        .env("AWS_ENDPOINT_URL", aws.endpoint())
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ROOT.0)
        .env("AWS_SECRET_ACCESS_KEY", ROOT.1)
        .run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let key: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    Access { key_id: text("key_id"), secret: text("secret"), ..Access::to_ministack(aws) }
}

#[test]
fn the_right_secret_deploys_and_a_wrong_one_is_told_clearly() {
    let aws = Ministack::start_with_auth();
    let right = user(&aws, "deployer");
    let function = |answer: &str| {
        let code = format!("def handler(event, context): return '{answer}'\n");
        zip(&[Raw::new("function.py", code).mode(0o644)])
    };
    for name in ["CI-Orders", "Staging-Orders"] {
        aws.create_function(name, "python3.12", "function.handler", &function("old"));
    }
    let setup = Setup::start();
    setup.create(&["CI", "Staging"], "Orders");
    let wrong = Access { secret: format!("{}x", right.secret), ..right.clone() };
    let _ci = setup.worker("ci", "CI", &right);
    let _staging = setup.worker("staging", "Staging", &wrong);
    setup.release("Orders", "1.0.0", &write(setup.folder(), "Orders.1.0.0.zip", &function("1.0.0")));

    let deploy = |environment: &str| {
        let words = ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--wait"];
        setup.octarm(words).args(["--environment", environment]).run()
    };
    let output = deploy("CI");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains(":user/deployer"), "{output:?}");
    assert_eq!(aws.invoke("CI-Orders", &json!({})).answer, "1.0.0");

    let output = deploy("Staging");
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(!format!("{output:?}").contains(&right.secret), "{output:?}");
    let task = setup.task("ServerTasks-2");
    assert_eq!(task["State"], "Failed", "{task}");
    let error = task["ErrorMessage"].as_str().unwrap();
    for part in [
        "AWS refused GetCallerIdentity in eu-west-1",
        "(hint: check `AWS.Deployment.Key` and `AWS.Deployment.Secret`",
    ] {
        assert!(error.contains(part), "{error}");
        // People who watched have read the same.
        assert!(output.stdout.contains(part), "{output:?}");
    }
    assert_eq!(aws.invoke("Staging-Orders", &json!({})).answer, "old");
}
