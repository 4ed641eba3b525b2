//! What is current in an environment is deployed once more: when a worker is new there, and by hand.

use octarm::model::DeploymentId;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::TestServer;
use crate::support::{
    process::Program,
    server::{TestWorker, success, unknown},
};

/// A server whose `Orders` 1.0.0 is current in `Dev`, though 2.0.0 is newer and failed there.
async fn with_current() -> (TestServer, TestWorker) {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.release("2.0.0").await;
    let worker = server.worker("w1", "m1").await;
    end(&server, &worker, "1.0.0", success()).await;
    let failed = json!({ "result": "failed", "failure": { "step": "update code", "messages": ["no"] } });
    end(&server, &worker, "2.0.0", failed).await;
    (server, worker)
}

/// Deploys a release and ends it so.
async fn end(server: &TestServer, worker: &TestWorker, version: &str, outcome: Value) -> DeploymentId {
    let id = server.deploy(version).await;
    let hand_out = worker.claim().await.expect("it was made");
    assert_eq!(hand_out.deployment, id);
    worker.finish(&hand_out, outcome, b"").await.expect(200);
    id
}

async fn deploy_current(server: &TestServer, projects: &[&str]) -> Value {
    server.post("environments/dev/deploy-current", json!({ "Projects": projects })).await.expect(200)
}

/// The outcome and the words for the only project.
fn only(answer: &Value) -> (&str, &str) {
    let [one] = answer["Projects"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    (one["Outcome"].as_str().unwrap(), one["Message"].as_str().unwrap())
}

async fn count(server: &TestServer) -> u64 {
    server.get("deployments").await.expect(200)["TotalResults"].as_u64().unwrap()
}

#[tokio::test]
async fn a_new_worker_begins_with_what_is_current() {
    let (server, _) = with_current().await;
    server.post("projects", json!({ "Name": "Never" })).await.expect(201);
    let wanted = json!({ "deploy_current": true });
    let first = server.register("w2", "m2", wanted.clone()).await.expect(200);
    let [one] = first["current"].as_array().unwrap().as_slice() else { panic!("{first}") };
    assert_eq!((&one["project"], &one["release"]), (&json!("Orders"), &json!("1.0.0")));
    assert_eq!((&one["outcome"], &one["deployment"]), (&json!("queued"), &json!("Deployments-3")));
    // A repeat finds the worker, whatever became of the deployment.
    let again = server.register("w2", "m2", wanted.clone()).await.expect(200);
    assert_eq!((&again["existed"], again.get("current")), (&json!(true), None));
    // Another one finds it on its way.
    let third = server.register("w3", "m3", wanted).await.expect(200);
    assert_eq!(third["current"][0]["outcome"], "active");
    assert_eq!(third["current"][0]["message"], "Deployments-3 is on its way already");
    assert_eq!(count(&server).await, 3);
    let worker = TestWorker::new(&server, &third, "m3");
    worker.session().await.expect(200);
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, DeploymentId(3));
    let number = hand_out.variables.iter().find(|one| one.name == "Octopus.Release.Number").unwrap();
    assert_eq!(number.value, "1.0.0");
    worker.finish(&hand_out, success(), b"").await.expect(200);
    // One that did not ask gets nothing.
    let plain = server.register("w4", "m4", json!({})).await.expect(200);
    assert_eq!((plain.get("current"), count(&server).await), (None, 3));
}

#[tokio::test]
async fn a_claim_that_waits_is_woken_by_it() {
    let (server, worker) = with_current().await;
    let (hand_out, _) = tokio::join!(
        worker.claim_for(20_000),
        server.register("w2", "m2", json!({ "deploy_current": true }))
    );
    assert_eq!(hand_out.unwrap().deployment, DeploymentId(3));
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_nothing_is_queued_behind_it() {
    let (server, worker) = with_current().await;
    server.post("projects", json!({ "Name": "Never" })).await.expect(201);
    let never = deploy_current(&server, &["never"]).await;
    assert_eq!(only(&never), ("NeverDeployed", "no deployment to environment `Dev` ever ended well"));
    let made = deploy_current(&server, &[]).await;
    assert_eq!(only(&made), ("Queued", "Deployments-3 is queued"));
    assert_eq!(made["DeploymentServerTasks"][0]["ServerTaskId"], "ServerTasks-3");
    let again = deploy_current(&server, &["orders", "Projects-1"]).await;
    assert_eq!(only(&again), ("Active", "Deployments-3 is on its way already"));
    assert_eq!(again["DeploymentServerTasks"], json!([]));
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    let newer = server.deploy("2.0.0").await;
    let busy = deploy_current(&server, &[]).await;
    assert_eq!(only(&busy), ("Busy", "Deployments-4 of release 2.0.0 is on its way"));
    let hand_out = worker.claim().await.unwrap();
    assert_eq!(hand_out.deployment, newer);
    worker.finish(&hand_out, unknown(), b"").await.expect(200);
    let blocked = deploy_current(&server, &[]).await;
    let words = "nobody knows how Deployments-4 ended: resolve it as success or failed";
    assert_eq!(only(&blocked), ("Blocked", words));
    // Found to have ended well, it is what is current.
    server.post("deployments/Deployments-4/resolve", json!({ "As": "success" })).await.expect(200);
    assert_eq!(deploy_current(&server, &[]).await["Projects"][0]["ReleaseVersion"], "2.0.0");
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    server.put("projects/Orders", json!({ "IsDisabled": true })).await.expect(200);
    let refused = deploy_current(&server, &[]).await;
    assert_eq!(only(&refused).0, "Refused");
    assert!(only(&refused).1.contains("disabled"), "{refused}");
    assert!(
        server
            .post("environments/none/deploy-current", json!({}))
            .await
            .refused(404)
            .contains("known are: Dev")
    );
    let text =
        server.post("environments/dev/deploy-current", json!({ "Projects": ["x"] })).await.refused(404);
    assert!(text.contains("project `x` does not exist"), "{text}");
}

#[tokio::test]
async fn what_was_given_to_it_is_given_again() {
    let server = TestServer::ready().await;
    let prompt = json!({ "Label": "", "Description": "", "Required": true });
    let variables = json!([
        { "Name": "Word", "Value": "", "Prompt": prompt },
        { "Name": "Secret", "Value": "none-of-it", "IsSensitive": true, "Prompt": {} },
    ]);
    server
        .put("variables/variableset-Projects-1", json!({ "Version": 0, "Variables": variables }))
        .await
        .expect(200);
    server.release("1.0.0").await;
    let given = json!({ "Word": "given", "Secret": "a-secret-word" });
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "Variables": given,
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    let made = deploy_current(&server, &[]).await;
    assert_eq!(only(&made).0, "Queued", "{made}");
    let hand_out = worker.claim().await.unwrap();
    for (name, value, sensitive) in [("Word", "given", false), ("Secret", "a-secret-word", true)] {
        let found = hand_out.variables.iter().find(|variable| variable.name == name).unwrap();
        assert_eq!((found.value.as_str(), found.sensitive), (value, sensitive));
    }
    assert!(!server.has_stored("a-secret-word").await);
    let shown = server.get("deployments/Deployments-2").await.expect(200);
    let first = server.get("apikeys").await.expect(200)["Items"][0]["Name"].clone();
    assert_eq!((&shown["DeployedBy"], &shown["Comments"]), (&first, &json!("deploy-current")));
}

#[tokio::test]
async fn of_what_the_release_copied_again_it_gets_what_is_asked_for_there() {
    let server = TestServer::ready().await;
    let worker = server.worker("w1", "m1").await;
    let save = async |variables: Value| {
        let set = "variables/variableset-Projects-1";
        let version = server.get(set).await.expect(200)["Version"].clone();
        server.put(set, json!({ "Version": version, "Variables": variables })).await.expect(200);
    };
    let refresh = async || {
        server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200);
    };
    save(json!([
        { "Id": "w", "Name": "Word", "Value": "usual", "Prompt": {} },
        { "Id": "s", "Name": "Size", "Value": "small", "Prompt": {} },
        { "Id": "p", "Name": "Plain", "Value": "first" },
    ]))
    .await;
    server.release("1.0.0").await;
    let given = json!({ "Word": "given", "Size": "large" });
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Dev"], "Variables": given,
    });
    server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    // One is asked for still, one no more, and one is another.
    let kept = json!([
        { "Id": "w", "Name": "Word", "Value": "usual", "Prompt": {} },
        { "Id": "s", "Name": "Size", "Value": "medium" },
        { "Id": "p", "Name": "Plain", "Value": "second" },
    ]);
    save(kept.clone()).await;
    refresh().await;
    assert_eq!(only(&deploy_current(&server, &[]).await).0, "Queued");
    // What it was made with stays, whatever the release copies later.
    let mut new = kept.as_array().unwrap().clone();
    new.push(json!({ "Name": "New", "Prompt": { "Required": true } }));
    save(new.into()).await;
    refresh().await;
    let hand_out = worker.claim().await.unwrap();
    for (name, value) in [("Word", "given"), ("Size", "medium"), ("Plain", "second")] {
        let found: Vec<_> = hand_out.variables.iter().filter(|variable| variable.name == name).collect();
        assert!(found.len() == 1 && found[0].value == value, "{name}: {found:?}");
    }
    worker.finish(&hand_out, success(), b"").await.expect(200);
    let refused = deploy_current(&server, &[]).await;
    let words = "variable `New` must be given a value with each deployment";
    assert_eq!(only(&refused), ("Refused", words));
}

#[tokio::test]
async fn it_needs_a_key_that_may_deploy_there() {
    let (server, _) = with_current().await;
    server.post("environments", json!({ "Name": "Prod" })).await.expect(201);
    let ask = async |permission: &str, environments: Value| {
        let name = format!("{permission} {environments}");
        let body = json!({ "Name": name, "Permissions": [permission], "Environments": environments });
        let key = server.post("apikeys", body).await.expect(201)["ApiKey"].as_str().unwrap().to_owned();
        let url = format!("{}/api/Spaces-1/environments/Dev/Deploy-Current", server.address);
        let request = server.http.post(url).header("X-Octopus-ApiKey", key).json(&json!({}));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("read", json!([])).await, 403);
    assert_eq!(ask("publish", json!([])).await, 403);
    assert_eq!(ask("deploy", json!(["Prod"])).await, 403);
    assert_eq!(count(&server).await, 2);
    assert_eq!(ask("deploy", json!(["Dev"])).await, 200);
    assert_eq!(count(&server).await, 3);
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_is_served() {
    let (server, _) = with_current().await;
    let server = std::sync::Arc::new(server);
    let asked = (0..8).map(|_| deploy_current(&server, &[]));
    let answers = futures_util::future::join_all(asked).await;
    let queued = answers.iter().filter(|answer| only(answer).0 == "Queued").count();
    assert_eq!((queued, count(&server).await), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_tell_and_wait() {
    let (server, worker) = with_current().await;
    let folder = tempfile::tempdir().unwrap();
    let octarm = |words: &[&str]| {
        Program::octarm().args(words).env("OCTARM_SERVER", &server.address).env("OCTARM_API_KEY", &server.key)
    };
    let register =
        octarm(&["worker", "register", "--name", "w2", "--environment", "dev", "--deploy-current"]);
    let register = register.arg_pair("--state", folder.path());
    let (first, again) = spawn_blocking(move || (register.run(), register.run())).await.unwrap();
    assert!(
        first.code == Some(0) && first.stdout.contains("Orders 1.0.0: Deployments-3 is queued"),
        "{first:?}"
    );
    assert!(again.code == Some(0) && again.stdout.contains("nothing is deployed for it"), "{again:?}");
    // Waits for the one that is on its way, and ends as it ends.
    let current = octarm(&["environment", "deploy-current", "dev", "--project", "Orders", "--wait"]);
    let begun = spawn_blocking(move || {
        let running = current.spawn();
        running.wait_for_line("Deployments-3 is on its way already");
        running
    });
    let running = begun.await.unwrap();
    let hand_out = worker.claim().await.unwrap();
    worker.finish(&hand_out, success(), b"").await.expect(200);
    let done = spawn_blocking(move || running.wait()).await.unwrap();
    assert!(done.code == Some(0) && done.stdout.contains("ServerTasks-3  Success"), "{done:?}");
    let empty = octarm(&["environment", "create", "Prod"]);
    let none = octarm(&["environment", "deploy-current", "Prod", "--wait"]);
    let none = spawn_blocking(move || (empty.run(), none.run())).await.unwrap().1;
    assert!(none.code == Some(0) && none.stdout.contains("nothing is current in Prod"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_at_the_same_moment_is_either_on_its_way_or_current() {
    let (server, worker) = with_current().await;
    for round in 3..=10 {
        let version = format!("{round}.0.0");
        server.release(&version).await;
        let id = server.deploy(&version).await;
        let hand_out = worker.claim().await.unwrap();
        let (ended, answer) = tokio::join!(
            worker.finish(&hand_out, success(), b""),
            server.post("environments/dev/deploy-current", json!({ "Projects": ["Orders"] }))
        );
        ended.expect(200);
        let answer = answer.expect(200);
        let (outcome, words) = only(&answer);
        match outcome {
            // Seen before its end: it is still on its way, and another release is current.
            "Busy" => assert!(words.contains(&format!("{id} of release {version}")), "{words}"),
            // Seen after it: it is current itself, never the one before it.
            "Queued" => {
                assert_eq!(answer["Projects"][0]["ReleaseVersion"], *version, "{answer}");
                let again = worker.claim().await.unwrap();
                worker.finish(&again, success(), b"").await.expect(200);
            }
            _ => panic!("{answer}"),
        }
        assert!(worker.claim().await.is_none());
    }
}
