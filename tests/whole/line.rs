//! From a package to a function that answers, in two environments.

use serde_json::{Value, json};

use crate::support::{
    ministack::Ministack,
    packages::{Producer, Raw, nupkg, write, zip},
    setup::{Access, Setup},
};

/// A package whose function answers its version.
fn package(setup: &Setup, version: &str) -> std::path::PathBuf {
    let code =
        format!("def handler(event, context):\n    return {{'version': '{version}', 'event': event}}\n");
    let bytes = zip(&nupkg(Producer::NuGet, "Orders", version, &[("src/function/function.py", &code)]));
    write(setup.folder(), &format!("Orders.{version}.nupkg"), &bytes)
}

#[test]
fn two_environments_hold_what_was_deployed_to_each() {
    let aws = Ministack::start();
    let placeholder =
        zip(&[Raw::new("function.py", "def handler(event, context): return 'old'").mode(0o644)]);
    for function in ["CI-Orders", "Staging-Orders"] {
        aws.create_function(function, "python3.12", "function.handler", &placeholder);
    }
    let setup = Setup::start();
    setup.create(&["CI", "Staging"], "Orders");
    let mut ci = setup.worker("ci", "CI", &Access::to_ministack(&aws));
    let mut staging = setup.worker("staging", "Staging", &Access::to_ministack(&aws));

    setup.release("Orders", "1.0.0", &package(&setup, "1.0.0"));
    let first = ["release", "deploy", "--project", "Orders", "--version", "1.0.0"];
    let both = ["--environment", "CI", "--environment", "Staging", "--wait"];
    let ended = setup.json(&[&first[..], &both].concat());
    let tasks = ended["Tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 2, "{ended}");
    for task in tasks {
        assert_eq!(
            (&task["State"], &task["FinishedSuccessfully"]),
            (&json!("Success"), &json!(true)),
            "{ended}"
        );
    }
    let ask = |function: &str| -> Value { aws.invoke(function, &json!({ "id": 7 })).answer };
    for function in ["CI-Orders", "Staging-Orders"] {
        assert_eq!(ask(function), json!({ "version": "1.0.0", "event": { "id": 7 } }));
    }
    let untouched = aws.code_sha256("Staging-Orders");

    setup.release("Orders", "1.1.0", &package(&setup, "1.1.0"));
    let second = ["release", "deploy", "--project", "Orders", "--version", "1.1.0", "--environment", "CI"];
    let shown = setup.run(&[&second[..], &["--wait"]].concat());
    assert!(shown.contains("Success") && shown.contains("CI-Orders"), "{shown}");
    assert_eq!(ask("CI-Orders")["version"], "1.1.0");
    assert_eq!(ask("Staging-Orders")["version"], "1.0.0");
    assert_eq!(aws.code_sha256("Staging-Orders"), untouched);

    for worker in [&mut ci, &mut staging] {
        let ended = worker.drain();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        setup.run(&["worker", "deregister", "--state", worker.state().to_str().unwrap()]);
    }
    assert_eq!(setup.json(&["machine", "list"]), json!([]));
}
