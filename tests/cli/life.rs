//! Releases on their way, and what the commands say of how that ended.

use serde_json::{Value, json};

use super::expect;
use crate::support::{
    process::{Output, Program},
    server::{Sqlite, TestServer, TestWorker, line, success, unknown},
};

struct Scene {
    server: TestServer<Sqlite>,
    worker: TestWorker,
}

impl Scene {
    /// With an environment `Dev` and its worker, a project `Orders`, its package and its release 1.0.0.
    async fn new() -> Self {
        let server = TestServer::ready().await;
        server.release("1.0.0").await;
        let worker = server.worker("w1", "m1").await;
        Self { server, worker }
    }

    async fn run(&self, words: &[&str]) -> Output {
        let program = self.octarm(words);
        tokio::task::spawn_blocking(move || program.run()).await.unwrap()
    }

    fn octarm(&self, words: &[&str]) -> Program {
        Program::octarm()
            .args(words)
            .env("OCTARM_SERVER", &self.server.address)
            .env("OCTARM_API_KEY", &self.server.key)
    }

    /// A command that must succeed, with `--json`.
    async fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat()).await;
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    }

    /// Lets the worker do the next deployment and end it so.
    async fn end(&self, outcome: Value) {
        let hand_out = self.worker.claim_for(20_000).await.unwrap();
        let log = line("at work");
        self.worker.log(&hand_out, 0, &log).await.expect(200);
        self.worker.finish(&hand_out, outcome, &log).await.expect(200);
    }
}

fn failed() -> Value {
    json!({ "result": "failed", "failure": { "step": "update code", "messages": ["AWS refused"] } })
}

const DEPLOY: [&str; 8] =
    ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "Dev"];

fn members(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn what_programs_see_of_a_deployment_is_the_same_with_and_without_waiting() {
    let scene = Scene::new().await;
    let asked = scene.json(&DEPLOY).await;
    assert_eq!(
        (&asked["Tasks"][0]["Id"], &asked["Tasks"][0]["State"]),
        (&"ServerTasks-1".into(), &"Queued".into())
    );
    assert_eq!(asked["DeploymentServerTasks"][0]["DeploymentId"], "Deployments-1");
    scene.end(success()).await;
    let wait = [&DEPLOY[..], &["--wait"]].concat();
    let (waited, ()) = tokio::join!(scene.json(&wait), scene.end(success()));
    assert_eq!(waited["Tasks"][0]["State"], "Success");
    let late = [&DEPLOY[..], &["--wait", "--timeout", "0", "--json"]].concat();
    let late = scene.run(&late).await;
    expect(&late, 7, &["still running after 0 seconds"]);
    let late: Value = serde_json::from_str(&late.stdout).unwrap();
    assert_eq!(late["Tasks"][0]["State"], "Queued");
    for other in [&waited, &late] {
        assert_eq!(members(&asked), members(other));
        assert_eq!(members(&asked["Tasks"][0]), members(&other["Tasks"][0]));
        assert_eq!(members(&asked["DeploymentServerTasks"][0]), members(&other["DeploymentServerTasks"][0]));
    }
}

#[tokio::test]
async fn so_it_is_with_what_is_current() {
    let scene = Scene::new().await;
    let words = ["environment", "deploy-current", "dev", "--project", "orders"];
    let never = scene.json(&words).await;
    assert_eq!((&never["Projects"][0]["Outcome"], &never["Tasks"]), (&"NeverDeployed".into(), &json!([])));
    scene.server.deploy("1.0.0").await;
    scene.end(success()).await;
    let asked = scene.json(&words).await;
    assert_eq!(asked["Tasks"][0]["State"], "Queued");
    scene.end(success()).await;
    let wait = [&words[..], &["--wait"]].concat();
    let (waited, ()) = tokio::join!(scene.json(&wait), scene.end(success()));
    assert_eq!(waited["Tasks"][0]["State"], "Success");
    let late = [&words[..], &["--wait", "--timeout", "0", "--json"]].concat();
    let late = scene.run(&late).await;
    expect(&late, 7, &["still running after 0 seconds"]);
    let late: Value = serde_json::from_str(&late.stdout).unwrap();
    for other in [&waited, &late] {
        assert_eq!(members(&asked), members(other));
        assert_eq!(members(&asked["Tasks"][0]), members(&other["Tasks"][0]));
        assert_eq!(members(&asked["Projects"][0]), members(&other["Projects"][0]));
    }
    let unknown = scene.run(&["environment", "deploy-current", "Live"]).await;
    expect(&unknown, 6, &["known are: Dev"]);
}

/// What a command that waits said in the end, which this brings about once it has told what it made.
async fn cut_short(program: Program, end: impl AsyncFnOnce(u32)) -> Output {
    let running = tokio::task::spawn_blocking(move || {
        let running = program.spawn();
        running.wait_for_line("ServerTasks-1");
        running
    });
    let running = running.await.unwrap();
    end(running.pid()).await;
    tokio::task::spawn_blocking(move || running.wait()).await.unwrap()
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test]
async fn who_stops_waiting_is_told_what_was_made() {
    use rustix::process::Signal;
    let wait = [&DEPLOY[..], &["--wait", "--json"]].concat();
    for kind in [Signal::TERM, Signal::INT] {
        let scene = Scene::new().await;
        let output = cut_short(scene.octarm(&wait), async |pid| signal(pid, kind)).await;
        expect(&output, 130, &[]);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(answer["DeploymentServerTasks"][0]["DeploymentId"], "Deployments-1");
        assert_eq!(answer["Tasks"][0]["State"], "Queued");
        for line in output.stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap()["note"].is_string(), "{line}");
        }
    }
    let scene = Scene::new().await;
    let output = cut_short(scene.octarm(&wait[..9]), async |pid| signal(pid, Signal::TERM)).await;
    expect(&output, 130, &["to Dev: ServerTasks-1 (Deployments-1)\n", "ServerTasks-1  Queued", "goes on"]);
    let words = ["task", "wait", "ServerTasks-1", "--json"];
    let running = scene.octarm(&words).spawn();
    scene.end(success()).await;
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    expect(&ended, 0, &["Success"]);
}

#[tokio::test]
async fn so_is_who_cannot_ask_any_more() {
    let scene = Scene::new().await;
    let wait = [&DEPLOY[..], &["--wait", "--json"]].concat();
    let key = json!({ "Name": "Build", "Permissions": ["read", "deploy"] });
    let key = scene.server.post("apikeys", key).await.expect(201);
    let program = scene.octarm(&wait).env("OCTARM_API_KEY", key["ApiKey"].as_str().unwrap());
    let output = cut_short(program, async |_| {
        scene.server.delete(&format!("apikeys/{}", key["Id"].as_str().unwrap())).await.expect(200);
        // The question that waits at the moment was let in before.
        let claimed = scene.worker.claim().await.unwrap();
        scene.worker.log(&claimed, 0, &line("at work")).await.expect(200);
    });
    let output = output.await;
    expect(&output, 6, &[]);
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answer["DeploymentServerTasks"][0]["DeploymentId"], "Deployments-1");
    assert_eq!(answer["Tasks"], json!([{ "Id": "ServerTasks-1", "State": "Unknown" }]));
}

#[tokio::test]
async fn waiting_ends_as_the_task_ended_and_with_0_only_for_a_success() {
    let scene = Scene::new().await;
    for (number, (outcome, code, state)) in
        [(success(), 0, "Success"), (failed(), 3, "Failed")].into_iter().enumerate()
    {
        scene.server.deploy("1.0.0").await;
        let id = format!("ServerTasks-{}", number + 1);
        let words = ["task", "wait", &id];
        let (waited, ()) = tokio::join!(scene.run(&words), scene.end(outcome));
        expect(&waited, code, &[&id, state]);
    }
    // The one that needs the most attention decides.
    expect(&scene.run(&["task", "wait", "ServerTasks-1", "ServerTasks-2"]).await, 3, &["Success", "Failed"]);
    let both = scene.run(&["task", "wait", "ServerTasks-1", "ServerTasks-2", "--json"]).await;
    let both: Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!((&both[0]["State"], &both[1]["State"]), (&"Success".into(), &"Failed".into()));
    expect(&scene.run(&["task", "wait", "ServerTasks-9"]).await, 6, &["ServerTasks-9", "does not exist"]);

    scene.server.deploy("1.0.0").await;
    expect(
        &scene.run(&["task", "wait", "ServerTasks-3", "--timeout", "0"]).await,
        7,
        &["still running", "Queued"],
    );
    expect(&scene.run(&["task", "cancel", "ServerTasks-3"]).await, 0, &["ServerTasks-3  Canceled"]);
    expect(&scene.run(&["task", "wait", "ServerTasks-3"]).await, 4, &["Canceled"]);

    scene.server.deploy("1.0.0").await;
    scene.end(unknown()).await;
    expect(&scene.run(&["task", "wait", "ServerTasks-4"]).await, 5, &["unknown:"]);
    let all = ["task", "wait", "ServerTasks-2", "ServerTasks-4", "ServerTasks-3"];
    expect(&scene.run(&all).await, 5, &[]);
    let shown = scene.run(&["deployment", "show", "Deployments-4"]).await;
    expect(
        &shown,
        0,
        &["State:        Failed", "Blocking:     yes", "octarm deployment resolve Deployments-4"],
    );
    expect(
        &scene.run(&["deployment", "resolve", "Deployments-4", "--as", "failed"]).await,
        0,
        &["is free again"],
    );
    assert_eq!(scene.json(&["deployment", "show", "Deployments-4"]).await["IsBlocking"], false);
}

#[tokio::test]
async fn a_cancel_says_at_once_that_it_was_asked_for() {
    let scene = Scene::new().await;
    scene.server.deploy("1.0.0").await;
    let hand_out = scene.worker.claim().await.unwrap();
    let asked = scene.run(&["task", "cancel", "ServerTasks-1"]).await;
    expect(&asked, 0, &["asked to cancel ServerTasks-1", "octarm task wait ServerTasks-1", "Cancelling"]);
    let again = scene.json(&["task", "cancel", "ServerTasks-1"]).await;
    assert_eq!(again["State"], "Cancelling");
    let outcome = json!({ "result": "cancelled", "summary": "nothing was changed" });
    scene.worker.finish(&hand_out, outcome, b"").await.expect(200);
    expect(&scene.run(&["task", "wait", "ServerTasks-1"]).await, 4, &["Canceled"]);
}

#[tokio::test]
async fn lists_are_narrowed_and_cut() {
    let scene = Scene::new().await;
    scene.server.post("environments", json!({ "Name": "QA" })).await.expect(201);
    for outcome in [success(), failed(), success()] {
        scene.server.deploy("1.0.0").await;
        scene.end(outcome).await;
    }
    let ids = async |words: &[&str]| {
        let list = scene.json(words).await;
        let ids = list.as_array().unwrap().iter().map(|item| item["Id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&["task", "list"]).await, "ServerTasks-3 ServerTasks-2 ServerTasks-1");
    assert_eq!(ids(&["task", "list", "--limit", "2"]).await, "ServerTasks-3 ServerTasks-2");
    assert_eq!(ids(&["task", "list", "--state", "failed"]).await, "ServerTasks-2");
    assert_eq!(
        ids(&["task", "list", "--project", "orders", "--environment", "dev"]).await.matches("Task").count(),
        3
    );
    assert_eq!(ids(&["deployment", "list", "--environment", "QA"]).await, "");
    assert_eq!(
        ids(&["deployment", "list", "--state", "Success", "--project", "Orders"]).await,
        "Deployments-3 Deployments-1"
    );
    expect(&scene.run(&["task", "list", "--project", "Order"]).await, 6, &["the project `Order`", "Orders"]);
    expect(&scene.run(&["task", "list", "--state", "Done"]).await, 6, &["`Done`, which is not a task state"]);
    let listed = scene.json(&["deployment", "list", "--limit", "1"]).await;
    assert_eq!((&listed[0]["Id"], &listed[0]["Task"]["State"]), (&"Deployments-3".into(), &"Success".into()));
    let text = scene.run(&["deployment", "list"]).await.stdout;
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("Deployments-2  ServerTasks-2  Failed   "), "{text}");
    let log = scene.run(&["task", "log", "ServerTasks-2"]).await;
    expect(&log, 0, &["at work"]);
}

#[tokio::test]
async fn a_release_is_shown_promoted_and_deleted() {
    let scene = Scene::new().await;
    let run = async |words: &[&str]| scene.run(words).await;
    scene.server.post("environments", json!({ "Name": "QA" })).await.expect(201);
    let promote = ["release", "promote", "--project", "orders", "--from", "Dev", "--to", "QA"];
    expect(&run(&promote).await, 6, &["no release of `Orders` was deployed to `Dev` with success"]);
    scene.server.deploy("1.0.0").await;
    scene.end(success()).await;
    // A later failure does not make it the one that is there.
    scene.server.push("Orders.2.0.0.zip", b"two", "").await.expect(201);
    scene.server.release("2.0.0").await;
    scene.server.deploy("2.0.0").await;
    scene.end(failed()).await;
    let promoted = scene.json(&promote).await;
    assert_eq!(promoted["Tasks"][0]["Description"], "Deploy Orders release 1.0.0 to QA");

    let listed = run(&["release", "list"]).await.stdout;
    let starts = ["Releases-2  Orders  2.0.0  Default  2", "Releases-1  Orders  1.0.0  Default  2"];
    assert!(listed.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{listed}");
    assert_eq!(
        scene.json(&["release", "list", "--project", "Orders", "--limit", "1"]).await[0]["Version"],
        "2.0.0"
    );
    let by_version = scene.json(&["release", "show", "1.0.0", "--project", "Orders"]).await;
    assert_eq!(by_version, scene.json(&["release", "show", "Releases-1"]).await);
    assert_eq!(by_version, scene.json(&["release", "show", "releases-1", "--project", "orders"]).await);
    expect(
        &run(&["release", "show", "Releases-1"]).await,
        0,
        &["Packages:   Orders 1.0.0\n", "May go to:  "],
    );
    expect(&run(&["release", "show", "1.0.0"]).await, 2, &["no project was named", "--project NAME"]);
    let unknown = run(&["release", "show", "1.0.1", "--project", "Orders"]).await;
    expect(&unknown, 6, &["the release `1.0.1` does not exist", "the nearest names are: 1.0.0, 2.0.0"]);

    let open = run(&["release", "delete", "1.0.0", "--project", "Orders", "--yes"]).await;
    expect(&open, 6, &["release 1.0.0"]);
    let deleted = run(&["release", "delete", "2.0.0", "--project", "Orders", "--yes"]).await;
    expect(&deleted, 0, &["deleted the release 2.0.0 (Releases-2)"]);
    expect(&run(&["release", "delete", "Releases-2", "--yes"]).await, 6, &["does not exist"]);
    expect(
        &run(&["release", "delete", "Releases-2", "--yes", "--ignore-missing"]).await,
        0,
        &["nothing to delete"],
    );
}
