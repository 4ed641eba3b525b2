//! A real server in this process: port 0, a folder of its own, spoken to over HTTP.

use std::{marker::PhantomData, path::PathBuf, time::Duration};

use octarm::{
    model::SpaceId,
    model::{DeploymentId, Fence, Level, LogLine},
    protocol::{Assignment, BASE},
    server::{self, Settings},
    store::Store,
};
use reqwest::{Method, RequestBuilder, multipart};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use super::worker::TestWorker;
use super::{
    PATIENCE,
    packages::{Raw, zip},
    postgres,
    worker::{key_of, machine},
};

/// What the server under test keeps its tables in.
pub(crate) trait Engine {
    /// The database URL of a server with this folder.
    async fn database(folder: &TempDir) -> Option<String>;
}

pub(crate) struct Sqlite;

impl Engine for Sqlite {
    async fn database(_folder: &TempDir) -> Option<String> {
        None
    }
}

pub(crate) struct Postgres;

impl Engine for Postgres {
    async fn database(folder: &TempDir) -> Option<String> {
        Some(postgres::database_of(folder.path()).await)
    }
}

pub(crate) struct TestServer<E> {
    pub(crate) address: String,
    pub(crate) key: String,
    pub(crate) data: PathBuf,
    pub(crate) store: Store,
    pub(crate) http: reqwest::Client,
    database: Option<SecretString>,
    serving: JoinHandle<Result<(), server::ServerError>>,
    stop: DropGuard,
    folder: Option<TempDir>,
    engine: PhantomData<E>,
}

impl<E: Engine> TestServer<E> {
    /// The server's usual times.
    pub(crate) async fn settings(folder: &TempDir) -> Settings {
        let usual = Settings::new(folder.path().join("data"), "127.0.0.1:0".parse().unwrap());
        Settings { database: E::database(folder).await.map(Into::into), ..usual }
    }

    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Self::settings(&folder).await;
        Self { folder: Some(folder), ..Self::with(settings).await }
    }

    /// With an environment `Dev`, a project `Orders` and its package 1.0.0.
    pub(crate) async fn ready() -> Self {
        Self::ready_with(|_| ()).await
    }

    /// The same, with other settings than the usual ones.
    pub(crate) async fn ready_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Self::settings(&folder).await;
        change(&mut settings);
        let server = Self { folder: Some(folder), ..Self::with(settings).await };
        server.post("environments", json!({ "Name": "Dev" })).await.expect(201);
        server.post("projects", json!({ "Name": "Orders" })).await.expect(201);
        server.push("Orders.1.0.0.zip", b"one", "").await.expect(201);
        server
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let (data, database) = (settings.data.clone(), settings.database.clone());
        let server = server::start(settings).await.unwrap();
        let key = match server.first_key() {
            Some(first) => first.key.expose_secret().to_owned(),
            None => fs_err::read_to_string(data.join("first-api-key")).unwrap().trim().to_owned(),
        };
        let address = server.url();
        let store = server.store().in_space(SpaceId::DEFAULT);
        let token = CancellationToken::new();
        let serving = tokio::spawn(server.serve(token.clone()));
        let http = reqwest::Client::new();
        let (stop, engine) = (token.drop_guard(), PhantomData);
        Self { address, key, data, store, http, database, serving, stop, folder: None, engine }
    }

    /// Makes all workers what they were before they had keys.
    pub(crate) async fn forget_keys(&self) {
        self.alter("update machines set public_key = null, instance = null; delete from worker_sessions")
            .await;
    }

    /// Changes the database behind the server's back.
    pub(crate) async fn alter(&self, text: &str) {
        let text = AssertSqlSafe(text.to_owned());
        if let Some(url) = &self.database {
            let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
            sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        } else {
            let file = format!("sqlite://{}", self.data.join("octarm.db").display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        }
    }

    /// Where its PostgreSQL is.
    pub(crate) fn database_url(&self) -> &str {
        self.database.as_ref().unwrap().expose_secret()
    }

    /// Whether the text stands in a table, or anywhere in the files that hold them.
    pub(crate) async fn has_stored(&self, text: &str) -> bool {
        if let Some(url) = &self.database {
            return postgres::dump(url.expose_secret()).await.contains(text);
        }
        ["octarm.db", "octarm.db-wal"].iter().any(|file| {
            let bytes = fs_err::read(self.data.join(file)).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// Stops it as a signal would and waits for its end.
    pub(crate) async fn stop(self) -> Option<TempDir> {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.serving).await.unwrap().unwrap().unwrap();
        self.folder
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/Spaces-1/{path}") };
        self.http.request(method, format!("{}{path}", self.address)).header("X-Octopus-ApiKey", &self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// Pushes a zip of one file.
    pub(crate) async fn push(&self, file: &str, content: &[u8], query: &str) -> Answer {
        self.push_bytes(file, &package(content), query).await
    }

    pub(crate) async fn push_bytes(&self, file: &str, bytes: &[u8], query: &str) -> Answer {
        let part = multipart::Part::bytes(bytes.to_vec()).file_name(file.to_owned());
        let form = multipart::Form::new().text("note", "before the file").part("anyName", part);
        Answer::of(self.request(Method::POST, &format!("packages/raw{query}")).multipart(form)).await
    }

    /// Makes a release of `Orders` in its newest package.
    pub(crate) async fn release(&self, version: &str) -> Value {
        let body = json!({ "ProjectName": "Orders", "ReleaseVersion": version });
        self.post("releases/create/v1", body).await.expect(201)
    }

    /// Deploys a release of `Orders` to `Dev`.
    pub(crate) async fn deploy(&self, version: &str) -> DeploymentId {
        let body = json!({ "ProjectName": "Orders", "ReleaseVersion": version, "EnvironmentNames": ["Dev"] });
        let answer = self.post("deployments/create/untenanted/v1", body).await.expect(201);
        answer["DeploymentServerTasks"][0]["DeploymentId"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn task(&self, deployment: DeploymentId) -> Value {
        self.get(&format!("tasks/ServerTasks-{}", deployment.0)).await.expect(200)
    }

    /// Lets so much time pass on the database's clock.
    pub(crate) async fn pass(&self, time: Duration) {
        self.store.shift_clock(i64::try_from(time.as_millis()).unwrap()).await.unwrap();
    }

    /// When the worker was last heard of; a claim that comes later tells another time.
    pub(crate) async fn last_seen(&self, machine: &str) -> Value {
        let seen = self.get(&format!("machines/{machine}")).await.expect(200)["LastSeen"].clone();
        self.pass(Duration::from_millis(10)).await;
        seen
    }

    /// Waits until the worker was heard of again: its claim has come.
    pub(crate) async fn until_seen_after(&self, machine: &str, before: &Value) {
        let wait = async { while self.last_seen(machine).await == *before {} };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    /// Waits until the task is in this state.
    pub(crate) async fn until(&self, deployment: DeploymentId, state: &str) -> Value {
        let path = format!("tasks/ServerTasks-{}/log?from=99999999&wait=200", deployment.0);
        let wait = async {
            loop {
                let task = self.task(deployment).await;
                if task["State"] == state {
                    return task;
                }
                self.request(Method::GET, &path).send().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }

    /// Registers a worker in `Dev` and starts its session.
    pub(crate) async fn worker(&self, name: &str, machine: &str) -> TestWorker {
        let answer = self.register(name, machine, json!({})).await.expect(200);
        let worker = TestWorker::new(self, &answer, machine);
        worker.session().await.expect(200);
        worker
    }

    /// Registers a worker with its key of [`key_of`].
    pub(crate) async fn register(&self, name: &str, on: &str, more: Value) -> Answer {
        self.post(&format!("{BASE}/register"), Self::registration(name, on, &more)).await
    }

    /// The same by a registration token.
    pub(crate) async fn register_by(&self, token: &str, name: &str, on: &str, more: Value) -> Answer {
        let mut body = Self::registration(name, on, &json!({ "environment": null }));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = self.http.post(format!("{}{BASE}/register", self.address)).bearer_auth(token);
        Answer::of(request.json(&body)).await
    }

    fn registration(name: &str, on: &str, more: &Value) -> Value {
        let public_key = key_of(name, on).public();
        let mut body = json!({
            "name": name, "environment": "dev", "machine": machine(on), "public_key": public_key,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        Self { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The text of an error in Octopus's envelope.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(body["Errors"][0], body["ErrorMessage"], "{body}");
        body["ErrorMessage"].as_str().unwrap().to_owned()
    }

    /// The code of an error in the worker API's envelope.
    #[track_caller]
    pub(crate) fn code(self, status: u16) -> String {
        self.expect(status)["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// The package of one file that [`TestServer::push`] makes.
pub(crate) fn package(content: &[u8]) -> Vec<u8> {
    zip(&[Raw::new("index.js", content).mode(0o644)])
}

/// One line of a log as a worker sends it.
pub(crate) fn line(text: &str) -> Vec<u8> {
    let time = "2026-01-02T03:04:05Z".parse().unwrap();
    LogLine { time, level: Level::Info, text: text.to_owned() }.to_bytes()
}

pub(crate) fn success() -> Value {
    json!({ "result": "success", "summary": "done" })
}

pub(crate) fn unknown() -> Value {
    json!({ "result": "unknown", "failure": { "step": "update code", "messages": ["no answer from AWS"] } })
}

/// The hand-out as a worker that missed the later one knows it.
pub(crate) fn with_fence(hand_out: &Assignment, fence: u64) -> Assignment {
    Assignment { fence: Fence(fence), ..hand_out.clone() }
}
