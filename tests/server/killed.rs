//! Servers as real processes, killed in the middle of the work: one of three on one PostgreSQL, and one that is asked again.

use std::{collections::HashMap, sync::Arc};

use octarm::{
    model::DeploymentId,
    protocol::{Assignment, BASE, ClaimResponse, INSTANCE_HEADER},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use crate::support::{
    PATIENCE, postgres,
    process::{Program, Running},
    server::{line, package, success},
    setup::Setup,
    worker::{key_of, machine, session_request},
};

const ENVIRONMENTS: [&str; 3] = ["Dev", "Test", "Prod"];
const PROJECTS: usize = 4;
/// Of each project to each environment.
const DEPLOYMENTS: usize = 4;
const ALL: usize = ENVIRONMENTS.len() * PROJECTS * DEPLOYMENTS;
/// Of each environment: one at each server.
const WORKERS: usize = 3;
const LINES: usize = 5;

/// What the workers know together: it must agree with each of them.
#[derive(Default)]
struct Seen {
    /// Who runs what: the fence of its hand-out, and what it is for.
    running: HashMap<DeploymentId, (u64, String)>,
    ended: Vec<DeploymentId>,
}

/// A client that goes to another server when its own does not answer.
#[derive(Clone)]
struct Caller {
    http: reqwest::Client,
    servers: Arc<Vec<String>>,
    own: usize,
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let tries = async {
            for server in (self.own..).map(|number| &self.servers[number % self.servers.len()]) {
                let mut request = self.http.request(method.clone(), format!("{server}{path}"));
                for (name, value) in &self.headers {
                    request = request.header(*name, value);
                }
                let request = request.header("content-type", "application/json").body(body.clone());
                let Ok(response) = request.send().await else { continue };
                let status = response.status();
                let Ok(bytes) = response.bytes().await else { continue };
                if status != StatusCode::SERVICE_UNAVAILABLE {
                    return (status, serde_json::from_slice(&bytes).unwrap_or_default());
                }
            }
            unreachable!("the servers are tried for ever")
        };
        timeout(PATIENCE, tries).await.expect("no server answers")
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body.to_string().into_bytes()).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, Vec::new()).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }
}

fn log_of(hand_out: &Assignment) -> Vec<Vec<u8>> {
    (0..LINES).map(|number| line(&format!("{} {} {number}", hand_out.deployment, hand_out.fence))).collect()
}

/// Runs what there is, until all is done.
async fn work(caller: Caller, environment: &'static str, seen: watch::Sender<Seen>) {
    while seen.borrow().ended.len() < ALL {
        let answer = caller.post(&format!("{BASE}/claim"), json!({ "wait_ms": 1000 })).await;
        let answer: ClaimResponse = serde_json::from_value(answer).unwrap();
        let Some(hand_out) = answer.assignment else { continue };
        let id = hand_out.deployment;
        let project =
            hand_out.variables.iter().find(|variable| variable.name == "Octopus.Project.Name").unwrap();
        let target = format!("{} to {environment}", project.value);
        seen.send_modify(|seen| {
            assert!(!seen.ended.contains(&id), "{id} was handed out after its end");
            // Its own worker may get it again, when the answer to the claim was lost; nobody else, for the lease is
            // long, and nothing else of its target.
            let other = seen.running.iter().find(|(_, (_, running))| *running == target);
            assert!(other.is_none(), "{target} runs {other:?}, and {id} was handed out");
            seen.running.insert(id, (hand_out.fence.0, target));
        });
        let mut offset = hand_out.log_offset;
        for chunk in log_of(&hand_out) {
            let path = format!("{BASE}/deployments/{id}/log?fence={}&offset={offset}", hand_out.fence);
            offset += chunk.len() as u64;
            match caller.call(Method::PATCH, &path, chunk).await {
                (StatusCode::OK, _) => {}
                // It was stored, and the answer was lost.
                (StatusCode::RANGE_NOT_SATISFIABLE, answer) => {
                    assert_eq!(answer["error"]["length"], offset, "{answer}");
                }
                (status, answer) => panic!("{path}: {status} {answer}"),
            }
        }
        // Before the report, for whoever claims next may be faster than its answer.
        seen.send_modify(|seen| {
            let (fence, _) = seen.running.remove(&id).unwrap();
            assert_eq!(fence, hand_out.fence.0);
            seen.ended.push(id);
        });
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &log_of(&hand_out).concat());
        let report = json!({
            "fence": hand_out.fence, "outcome": success(), "log_length": offset, "log_sha256": hex::encode(digest),
        });
        caller.post(&format!("{BASE}/deployments/{id}/finish"), report).await;
    }
}

fn start(folder: &std::path::Path, database: &str, number: usize) -> (Running, String) {
    let file = folder.join(format!("address-{number}"));
    let running = Program::octarm()
        .args(["server", "run", "--listen", "127.0.0.1:0"])
        // One folder for all, as on a network file system.
        .arg_pair("--data", folder.join("data"))
        .arg_pair("--address-file", &file)
        .env("OCTARM_SERVER_DATABASE_URL", database)
        .spawn();
    running.wait_until("the server's address", |seen| seen.line("listening").is_some());
    let address = fs_err::read_to_string(file).unwrap().trim().to_owned();
    (running, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_of_three_servers_killed_nothing_is_lost_or_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let database = postgres::database_of(folder.path()).await;
    let (mut processes, addresses): (Vec<_>, Vec<_>) =
        (0..3).map(|number| start(folder.path(), &database, number)).unzip();
    let key = fs_err::read_to_string(folder.path().join("data/first-api-key")).unwrap().trim().to_owned();
    let operator = Caller {
        http: reqwest::Client::new(),
        servers: Arc::new(addresses),
        own: 0,
        headers: vec![("X-Octopus-ApiKey", key.clone())],
    };
    for name in ENVIRONMENTS {
        operator.post("/api/environments", json!({ "Name": name })).await;
    }
    for number in 0..PROJECTS {
        let project = format!("P{number}");
        operator.post("/api/projects", json!({ "Name": project })).await;
        let file = reqwest::multipart::Part::bytes(package(b"x")).file_name(format!("{project}.1.0.0.zip"));
        let push = operator.http.post(format!("{}/api/packages/raw", operator.servers[number % 3]));
        let push =
            push.header("X-Octopus-ApiKey", &key).multipart(reqwest::multipart::Form::new().part("f", file));
        assert_eq!(push.send().await.unwrap().status(), 201);
        operator.post("/api/Spaces-1/releases/create/v1", json!({ "ProjectName": project })).await;
    }
    let seen = watch::Sender::new(Seen::default());
    let mut workers = JoinSet::new();
    for environment in ENVIRONMENTS {
        for own in 0..WORKERS {
            let (name, on) = (format!("w{own}"), format!("{environment}-{own}"));
            let key = key_of(&name, &on);
            let wanted = json!({
                "name": name, "environment": environment, "machine": machine(&on), "public_key": key.public(),
            });
            let registered = operator.post(&format!("{BASE}/register"), wanted).await;
            let instance = Uuid::now_v7();
            let mut session = session_request(&registered, &on, instance);
            let wanted = json!({ "worker_id": session.worker_id });
            let challenge = operator.post(&format!("{BASE}/challenge"), wanted).await["challenge"].clone();
            session.challenge = serde_json::from_value(challenge).unwrap();
            let installation = serde_json::from_value(registered["installation"].clone()).unwrap();
            session.signature = key.sign(&session.statement(installation));
            let session = serde_json::to_value(session).unwrap();
            let token = operator.post(&format!("{BASE}/session"), session).await["token"].clone();
            let headers = vec![
                ("authorization", format!("Bearer {}", token.as_str().unwrap())),
                (INSTANCE_HEADER, instance.to_string()),
            ];
            let caller = Caller { own, headers, ..operator.clone() };
            workers.spawn(work(caller, environment, seen.clone()));
        }
    }
    let mut victim = Some(processes.remove(2));
    for number in 0..PROJECTS * DEPLOYMENTS {
        let caller = Caller { own: number % 2, ..operator.clone() };
        let body = json!({
            "ProjectName": format!("P{}", number % PROJECTS), "ReleaseVersion": "1.0.0",
            "EnvironmentNames": ENVIRONMENTS,
        });
        caller.post("/api/Spaces-1/deployments/create/untenanted/v1", body).await;
        // In the middle: some are done, some run, some wait.
        if number == PROJECTS * DEPLOYMENTS / 2 {
            let mut news = seen.subscribe();
            let some = news.wait_for(|seen| seen.ended.len() >= ALL / 4);
            drop(timeout(PATIENCE, some).await.expect("nothing is done").unwrap());
            drop(victim.take().inspect(Running::kill));
        }
    }
    let done = async {
        while let Some(end) = workers.join_next().await {
            end.unwrap();
        }
    };
    timeout(PATIENCE, done).await.expect("deployments are left over");
    let tasks = operator.get("/api/tasks?take=1000").await;
    let tasks = tasks["Items"].as_array().unwrap();
    assert_eq!(tasks.len(), ALL);
    for task in tasks {
        assert_eq!(task["State"], "Success", "{task}");
        let details = operator.get(&format!("/api/tasks/{}/details", task["Id"].as_str().unwrap())).await;
        let lines: Vec<&str> = details["ActivityLogs"][0]["Children"][0]["LogElements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["MessageText"].as_str().unwrap())
            .collect();
        // All lines of the hand-out that ended it, each once, behind those of an earlier one at most.
        let (id, fence) =
            lines.last().and_then(|last| last.rsplit_once(' ')).unwrap().0.split_once(' ').unwrap();
        assert_eq!(id, task["Arguments"]["DeploymentId"]);
        let expected: Vec<String> = (0..LINES).map(|number| format!("{id} {fence} {number}")).collect();
        assert_eq!(lines[lines.len() - LINES..], expected);
        assert_eq!(lines.iter().filter(|line| line.starts_with(&format!("{id} {fence} "))).count(), LINES);
    }
}

/// A line to the server that tells when a POST has gone over it.
async fn telling(server: std::net::SocketAddr) -> (std::net::SocketAddr, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, posts) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut chunk = vec![0; 64 * 1024];
                let read = client.read(&mut chunk).await.unwrap_or(0);
                // While there is no server, the line is dead.
                let Ok(mut server) = TcpStream::connect(server).await else { return };
                server.write_all(&chunk[..read]).await.unwrap();
                if chunk.starts_with(b"POST") {
                    told.send_modify(|posts| *posts += 1);
                }
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, posts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_killed_server_was_asked_is_asked_again_and_done_once() {
    let mut setup = Setup::start();
    setup.create(&["Dev"], "Orders");
    let file = setup.folder().join("Orders.1.0.0.zip");
    fs_err::write(&file, package(b"x")).unwrap();
    setup.release("Orders", "1.0.0", &file);
    let (line, mut posts) = telling(setup.address()).await;
    // Nothing can be stored: the request is on its way when the server is killed.
    let database = setup.data().join("octarm.db");
    let mut holding = SqliteConnection::connect(database.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut holding).await.unwrap();
    let words = ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "Dev"];
    let asking = setup.octarm(words).arg_pair("--server", format!("http://{line}")).spawn();
    drop(timeout(PATIENCE, posts.wait_for(|posts| *posts > 0)).await.unwrap().unwrap());
    setup.kill_server();
    holding.close().await.unwrap();
    setup.start_server_again();
    let done = asking.wait();
    assert!(done.code == Some(0) && done.stdout.contains("ServerTasks-1"), "{done:?}");
    let all = reqwest::Client::new().get(format!("{}/api/deployments", setup.url()));
    let all = all.header("X-Octopus-ApiKey", setup.key()).send().await.unwrap().bytes().await.unwrap();
    let all: Value = serde_json::from_slice(&all).unwrap();
    assert_eq!(all["TotalResults"], 1, "{all}");
}
