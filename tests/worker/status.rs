//! `octarm worker status`: what it says of a worker that runs, drains, has died or never was.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Scene, release};
use crate::support::{
    PATIENCE,
    aws::{Action, Fault},
    process::{Output, Program},
    setup::WorkerHandle,
};

fn ask(worker: &WorkerHandle, more: &[&str]) -> Output {
    Program::octarm().args(["worker", "status"]).arg_pair("--state", worker.state()).args(more).run()
}

/// Asks until the answer is as it should be: the file follows the work within a second.
#[track_caller]
pub(super) fn ask_until(worker: &WorkerHandle, what: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let began = std::time::Instant::now();
    loop {
        let output = ask(worker, &["--json"]);
        let value: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        if is_right(&value) {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what}: {value:#}");
    }
}

#[test]
fn a_worker_that_waits_says_so() {
    let scene = Scene::new();
    let value = ask_until(&scene.worker, "a contact", |value| !value["last_contact"].is_null());
    assert_eq!(value["state"], "running");
    assert_eq!(value["pid"], scene.worker.running().pid());
    assert_eq!((value["name"].as_str(), value["environment"].as_str()), (Some("ci-1"), Some("CI")));
    assert_eq!(value["server"], scene.setup.url());
    assert_eq!(value["octarm"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&value["takes_no_work"], &value["deployments"]), (&Value::Null, &serde_json::json!([])));
    let text = ask(&scene.worker, &[]);
    assert_eq!(text.code, Some(0));
    for part in ["State:", "running", "ci-1 (", "of CI", "waits for deployments", "Last contact:"] {
        assert!(text.stdout.contains(part), "{part}: {text:?}");
    }
    // What it does is nobody else's to read.
    let metadata = fs_err::metadata(scene.worker.state().join("status.json")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_deployment_is_shown_with_its_phase_and_its_lease_also_while_draining_and_after_a_crash() {
    let mut scene = Scene::with_lease(60);
    let (_, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let value = ask_until(&scene.worker, "the phase", |value| value["deployments"][0]["phase"] == "sending");
    let shown = &value["deployments"][0];
    assert_eq!(
        (shown["deployment"].as_str(), shown["project"].as_str(), shown["release"].as_str()),
        (Some("Deployments-1"), Some("Orders"), Some("1.0.0"))
    );
    assert_eq!(shown["package"], "Orders 1.0.0");
    let left = shown["lease_left_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&left), "{left}");
    assert!(value["takes_no_work"].as_str().unwrap().contains("it runs a deployment"), "{value}");
    let text = ask(&scene.worker, &[]).stdout;
    assert!(text.contains("Deployments-1 (fence 1): Orders 1.0.0, package Orders 1.0.0"), "{text}");
    assert!(text.contains("sending the code for") && text.contains("lease left: "), "{text}");

    scene.worker.running().terminate();
    let value = ask_until(&scene.worker, "draining", |value| value["state"] == "draining");
    assert_eq!(value["deployments"][0]["phase"], "sending");
    assert!(value["takes_no_work"].as_str().unwrap().contains("draining"), "{value}");

    scene.worker.kill();
    let output = ask(&scene.worker, &[]);
    assert_eq!(output.code, Some(9), "{output:?}");
    for part in ["not running", "without a word", "Had:", "Deployments-1 (fence 1)", "last: sending the code"]
    {
        assert!(output.stdout.contains(part), "{part}: {output:?}");
    }
    assert!(!output.stdout.contains("lease left"), "{output:?}");
    gate.open();
}

#[test]
fn a_worker_that_was_stopped_says_when_and_one_that_never_was_says_that() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let output = ask(&scene.worker, &[]);
    assert_eq!(output.code, Some(9), "{output:?}");
    assert!(output.stdout.contains("Stopped:") && !output.stdout.contains("without a word"), "{output:?}");
    let empty = tempfile::tempdir().unwrap();
    let output = Program::octarm().args(["worker", "status", "--json", "--state"]).args([empty.path()]).run();
    assert_eq!(output.code, Some(10), "{output:?}");
    let value: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&value["state"], &value["pid"]), (&"not registered".into(), &Value::Null));
    assert_eq!(fs_err::read_dir(empty.path()).unwrap().count(), 0, "asking makes nothing");
}

#[test]
fn a_worker_whose_server_is_away_says_why_it_takes_nothing() {
    let mut scene = Scene::new();
    scene.setup.kill_server();
    let value = ask_until(&scene.worker, "the reason", |value| !value["takes_no_work"].is_null());
    let why = value["takes_no_work"].as_str().unwrap();
    assert!(why.contains("no answer from the server at"), "{why}");
    scene.setup.start_server_again();
    ask_until(&scene.worker, "the server again", |value| value["takes_no_work"].is_null());
}

#[test]
fn asking_keeps_no_worker_from_starting_and_a_full_disk_hurts_none() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let state = scene.worker.state().to_owned();
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                Program::octarm().args(["worker", "status", "--state"]).args([&state]).run();
            }
        });
        for _ in 0..5 {
            // It ends with an error, which this notices, if the folder seems to be another's.
            scene.worker.start_again();
            scene.worker.drain();
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    // As on a full disk: the file cannot be made.
    fs_err::remove_file(scene.worker.state().join("status.json")).unwrap();
    fs_err::create_dir(scene.worker.state().join("status.json")).unwrap();
    scene.worker.start_again();
    release(&scene.setup, "1.1.0");
    let (task, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    let seen = scene.worker.drain().stderr;
    assert_eq!(seen.matches("the worker's status could not be written").count(), 1, "{seen}");
}
