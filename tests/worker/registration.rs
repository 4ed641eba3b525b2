//! How a worker comes and goes: by a key or a token, with a key pair of its own, drained or by force; and its session,
//! which it renews by itself.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};

use super::{FUNCTION, Scene, old_zip, release};
use crate::support::{
    aws::{Action, FakeAws, Fault},
    process::{Output, Program},
    setup::{Access, Options, Setup},
};

fn state(scene: &Scene) -> String {
    scene.worker.state().to_str().unwrap().to_owned()
}

fn identity(folder: &str) -> Value {
    serde_json::from_slice(&fs_err::read(PathBuf::from(folder).join("identity.json")).unwrap()).unwrap()
}

#[test]
fn deregistering_lets_it_end_what_it_runs_and_may_be_broken_off_and_repeated() {
    let mut scene = Scene::new();
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let state = state(&scene);
    let first = scene.setup.octarm(["worker", "deregister", "--state", &state]).spawn();
    first.wait_for_line("worker ci-1 is leaving: waiting for the end of Deployments-1");
    let shown = scene.setup.json(&["machine", "list"]);
    assert!(shown[0]["StatusSummary"].as_str().unwrap().contains("leaving"), "{shown}");
    first.kill();
    first.wait();
    let late = scene.setup.octarm(["worker", "deregister", "--state", &state, "--wait", "0"]).run();
    assert_eq!(late.code, Some(7), "{late:?}");
    assert!(late.stderr.contains("still there: it runs Deployments-1"), "{late:?}");
    let second = scene.setup.octarm(["worker", "deregister", "--state", &state, "--json"]).spawn();
    second.wait_for_line(r#"{"note":"worker ci-1 is leaving: waiting for the end of Deployments-1"}"#);
    gate.open();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    let process = scene.worker.wait();
    assert_eq!(process.code, Some(0), "{process:?}");
    assert!(process.stderr.contains("is being deregistered: no more work will come"), "{process:?}");
    let second = second.wait();
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(scene.setup.json(&["machine", "list"]), json!([]));
    let again = scene.setup.json(&["worker", "deregister", "--state", &state]);
    assert_eq!(again["deregistered"], false);
}

#[test]
fn by_force_it_is_gone_at_once_and_its_process_stops() {
    let mut scene = Scene::new();
    let forced = scene.setup.octarm(["worker", "deregister", "--force", "--state", &state(&scene)]).run();
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(scene.setup.json(&["machine", "list"]), json!([]));
    let process = scene.worker.wait();
    assert_eq!(process.code, Some(6), "{process:?}");
    assert!(process.stderr.contains("the worker was deregistered, or replaced"), "{process:?}");
}

#[test]
fn an_idle_worker_that_is_deregistered_ends_by_itself() {
    let mut scene = Scene::new();
    let shown = scene.setup.json(&["worker", "deregister", "--state", &state(&scene)]);
    assert_eq!((&shown["deregistered"], &shown["name"]), (&json!(true), &json!("ci-1")));
    assert_eq!(scene.worker.wait().code, Some(0));
    assert!(!PathBuf::from(state(&scene)).join("identity.json").exists());
}

#[test]
fn an_ephemeral_worker_that_is_stopped_ends_what_it_runs_and_is_gone() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let program = scene.worker.program().clone().args(["--ephemeral"]);
    scene.worker.start_as(program);
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.worker.running().terminate();
    scene.worker.running().wait_for_line("finishing what runs");
    gate.open();
    let process = scene.worker.wait();
    assert_eq!(process.code, Some(0), "{process:?}");
    assert!(process.stderr.contains("deregistered"), "{process:?}");
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(scene.setup.json(&["machine", "list"]), json!([]));
}

#[test]
fn where_nobody_answers_deregistering_says_so_at_once_and_forgets_nothing() {
    let mut scene = Scene::new();
    scene.worker.drain();
    scene.setup.stop_server();
    let away = scene.setup.octarm(["worker", "deregister", "--state", &state(&scene)]).run();
    assert_eq!(away.code, Some(69), "{away:?}");
    scene.setup.start_server_again();
    let done = scene.setup.json(&["worker", "deregister", "--state", &state(&scene)]);
    assert_eq!(done["deregistered"], true);
}

#[test]
fn a_token_registers_in_place_of_a_key() {
    let setup = Setup::start();
    setup.create(&["CI", "Prod"], "Orders");
    let file = setup.folder().join("register.token").display().to_string();
    let words = ["registration-token", "create", "--environment", "ci", "--uses", "2", "--expires-in", "5m"];
    let made = setup.json(&[&words[..], &["--token-file", &file]].concat());
    assert_eq!((&made["Uses"], made.get("Token")), (&json!(2), None));
    assert_eq!(made["TokenFile"], json!(file));
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // No key, and no environment: the token knows it.
    let register = |name: &str| {
        Program::octarm()
            .current_dir(setup.folder())
            .env("OCTARM_SERVER", setup.url())
            .args(["worker", "register", "--name", name, "--state", name, "--json"])
    };
    let read = |output: &Output| -> Value {
        assert_eq!(output.code, Some(0), "{output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    };
    let one = register("one").arg_pair("--registration-token-file", &file);
    assert_eq!(read(&one.run())["existed"], false);
    assert_eq!(read(&one.run())["existed"], true);
    let secret = fs_err::read_to_string(&file).unwrap();
    let two = register("two").env("OCTARM_REGISTRATION_TOKEN", secret.trim());
    assert_eq!(read(&two.run())["environment"], "CI");
    let three = register("three").env("OCTARM_REGISTRATION_TOKEN_FILE", &file).run();
    assert_eq!(three.code, Some(6), "{three:?}");
    assert!(three.stderr.contains("is used up: it had all its 2 uses"), "{three:?}");
    let other = one.clone().args(["--environment", "Prod"]).run();
    assert_eq!(other.code, Some(6), "{other:?}");
    assert!(other.stderr.contains("is for environment `CI`, not for `Prod`"), "{other:?}");
    let odd = register("four").env("OCTARM_REGISTRATION_TOKEN", "API-KEY").run();
    assert_eq!(odd.code, Some(2), "{odd:?}");
    assert!(odd.stderr.contains("from OCTARM_REGISTRATION_TOKEN is not of the form `ORT-`"), "{odd:?}");
    let nothing = register("four").run();
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    let unsaid = setup.octarm(["worker", "register", "--name", "five", "--state", "five"]).run();
    assert_eq!(unsaid.code, Some(2), "{unsaid:?}");
    assert!(unsaid.stderr.contains("`--environment` is not given"), "{unsaid:?}");
    let listed = setup.run(&["registration-token", "list"]);
    assert!(listed.contains("CI") && listed.contains("UsedUp") && listed.contains("2/2"), "{listed}");
    assert!(!listed.contains(secret.trim()), "{listed}");
    setup.run(&["registration-token", "delete", "WorkerRegistrationTokens-1", "--yes"]);
    assert_eq!(setup.json(&["registration-token", "list"]), json!([]));
    setup.server().wait_for_line("by=registration token WorkerRegistrationTokens-1");
}

#[test]
fn a_token_is_shown_where_no_file_is_named() {
    let setup = Setup::start();
    setup.run(&["environment", "create", "CI"]);
    let shown = setup.run(&["registration-token", "create", "--environment", "CI"]);
    assert!(shown.contains("registers one worker in CI until") && shown.contains("ORT-"), "{shown}");
    let odd =
        setup.octarm(["registration-token", "create", "--environment", "CI", "--expires-in", "soon"]).run();
    assert_eq!(odd.code, Some(2), "{odd:?}");
    let file = setup.folder().join("kept").display().to_string();
    let nowhere = ["registration-token", "create", "--environment", "Nowhere", "--token-file", &file];
    assert_eq!(setup.octarm(nowhere).run().code, Some(6));
    assert!(!PathBuf::from(file).exists());
}

#[test]
fn the_key_is_there_before_the_server_is_asked() {
    let setup = Setup::start();
    setup.run(&["environment", "create", "CI"]);
    let folder = setup.folder().join("state");
    let words = ["worker", "register", "--name", "w", "--environment", "CI", "--state", "state"];
    let away = setup.octarm(words).args(["--server", "http://127.0.0.1:1"]).run();
    assert_eq!(away.code, Some(69), "{away:?}");
    let file = folder.join("new-key");
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs_err::read_to_string(&file).unwrap();
    let done = setup.json(&words);
    let kept = identity(folder.to_str().unwrap());
    assert_eq!((&kept["key"], &kept["version"]), (&json!(key), &json!(2)));
    assert!(!file.exists());
    assert_eq!(done["public_key"].as_str().unwrap().len(), 64);
    assert!(!done.to_string().contains(&key), "{done}");
}

#[test]
fn a_registration_of_before_says_what_to_do_and_then_it_is_done() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let state = state(&scene);
    let file = PathBuf::from(&state).join("identity.json");
    let old = json!({
        "version": 1, "server": scene.setup.url(), "name": "ci-1", "environment": "CI", "worker_id": "Machines-1",
        "token": "OWT-OLD",
    });
    fs_err::write(&file, old.to_string()).unwrap();
    for words in [&["worker", "run", "--state", &state][..], &["worker", "deregister", "--state", &state]] {
        let output = scene.setup.octarm(words).run();
        assert_eq!(output.code, Some(64), "{output:?}");
        assert!(output.stderr.contains("is of an older octarm"), "{output:?}");
        assert!(output.stderr.contains("hint: register it again"), "{output:?}");
    }
    // The key of this one is lost, which the server cannot know of.
    let words = ["worker", "register", "--name", "ci-1", "--environment", "CI", "--state", &state];
    let refused = scene.setup.octarm(words).run();
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("with another key"), "{refused:?}");
    scene.setup.run(&[&words[..], &["--replace"]].concat());
    scene.worker.start_again();
}

#[test]
fn a_session_is_renewed_while_a_deployment_runs() {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let setup = Setup::start_with(&Options {
        lease: Some(2),
        variables: vec![
            variable("OCTARM_SERVER_WORKER_SESSION_SECONDS", "1"),
            variable("OCTARM_SERVER_LOG__LEVEL", "debug"),
        ],
        ..Options::default()
    });
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let mut worker = setup.worker("ci-1", "CI", &Access::to_fake(&aws));
    let gate = crate::support::aws::Gate::shut();
    aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
    gate.wait_reached();
    // Longer than a token lasts, and than a lease: both are renewed all the time.
    setup.server().wait_until("four renewals", |seen| seen.stderr().matches("session renewed").count() >= 4);
    gate.open();
    let end = setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(aws.function(FUNCTION).updates_applied, 1);
    assert_eq!(worker.drain().code, Some(0));
    setup.server().wait_for_line("worker session ended");
}

#[test]
fn a_folder_that_others_use_is_left_as_it_is() {
    let scene = Scene::new();
    let shared = scene.setup.folder().join("shared");
    fs_err::create_dir(&shared).unwrap();
    fs_err::write(shared.join("other"), "").unwrap();
    let mode = fs_err::metadata(&shared).unwrap().permissions();
    let words = ["worker", "register", "--name", "ci-2", "--environment", "CI"];
    let refused = scene.setup.octarm(words).arg_pair("--state", &shared).run();
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("holds other things and is open to others"), "{refused:?}");
    let none = Program::octarm().args(["worker", "run"]).arg_pair("--state", &shared).run();
    assert_eq!(none.code, Some(10), "{none:?}");
    assert_eq!(fs_err::metadata(&shared).unwrap().permissions(), mode);
}
