//! What a collector is told of deployments and of requests, and that one that is away hurts nothing.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde_json::Value;

use super::super::{Scene, release};
use crate::support::setup::{Options, Setup};

#[test]
fn a_collector_is_told_of_a_deployment_and_of_no_secret() {
    let collector = Collector::start();
    let mut scene = sending_to(&collector.url);
    let secret = "marker-of-a-secret-81724";
    let file = scene.setup.folder().join("secret.json");
    fs_err::write(&file, format!(r#"{{"Database.Password":"{secret}"}}"#)).unwrap();
    scene.setup.run(&["variable", "set", "--project", "Orders", "--sensitive", file.to_str().unwrap()]);
    scene.setup.run(&["variable", "set", "--project", "Orders", &format!("Shown={secret}-shown")]);
    // A release has the variables that there were when it was made.
    release(&scene.setup, "1.0.1");
    let (task, deployment) = scene.setup.deploy("Orders", "1.0.1", "CI");
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    // Its end sends what is left.
    assert_eq!(scene.worker.drain().code, Some(0));

    let spans = collector.spans();
    let root = spans.iter().find(|span| span["name"] == "deployment").unwrap_or_else(|| panic!("{spans:?}"));
    let expected = [
        ("deployment", deployment.as_str()),
        ("task", task.as_str()),
        ("project", "Orders"),
        ("release", "1.0.1"),
        ("environment", "CI"),
        ("outcome", "success"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(root, key).as_deref(), Some(value), "{key} of {root}");
    }
    assert!(attribute(root, "fence").is_some(), "{root}");
    let children: Vec<&str> = spans
        .iter()
        .filter(|span| span["parentSpanId"] == root["spanId"] && span["traceId"] == root["traceId"])
        .filter_map(|span| span["name"].as_str())
        .collect();
    for name in ["fetch", "repack", "observe", "update", "settle", "report"] {
        assert!(children.contains(&name), "{name} is not among {children:?}");
    }
    let bytes = collector.bytes();
    for hidden in [secret, "CodeSha256", "fetching package"] {
        let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
        assert!(!found, "the collector was told `{hidden}`: {}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_collector_is_told_of_the_servers_requests_whatever_its_log_says() {
    let collector = Collector::start();
    let variables = [("OCTARM_SERVER_TELEMETRY__OTLP_ENDPOINT", collector.url.as_str())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut setup = Setup::start_with(&Options { variables: variables.to_vec(), ..Options::default() });
    setup.get("/api/environments/all?name=not-told");
    assert_eq!(setup.stop_server().code, Some(0));
    let spans = collector.spans();
    let one = spans.iter().find(|span| attribute(span, "path").as_deref() == Some("/api/environments/all"));
    let one = one.unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(attribute(one, "method").as_deref(), Some("GET"));
    assert_eq!(attribute(one, "status").as_deref(), Some("200"));
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains("not-told"));
}

#[test]
fn a_collector_that_is_away_is_one_warning_and_nothing_else() {
    // Nobody listens where somebody did.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_deploys_with_one_warning(&format!("http://{gone}"));
}

#[test]
fn a_collector_that_never_answers_is_one_warning_and_nothing_else() {
    // Connections are made to it, and nobody ever takes them.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_deploys_with_one_warning(&format!("http://{}", deaf.local_addr().unwrap()));
}

fn assert_deploys_with_one_warning(collector: &str) {
    let mut scene = sending_to(collector);
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    let ended = scene.worker.drain();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("traces are lost").count(), 1, "{ended:?}");
}

/// A scene whose worker was started again with this collector.
fn sending_to(url: &str) -> Scene {
    let mut scene = Scene::new();
    scene.worker.drain();
    let program = scene.worker.program().clone().env("OCTARM_WORKER_TELEMETRY__OTLP_ENDPOINT", url);
    scene.worker.start_as(program);
    scene
}

type Taken = Arc<Mutex<Vec<Bytes>>>;

/// A collector that takes everything; dropping it ends it.
struct Collector {
    url: String,
    taken: Taken,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Self {
        let taken = Taken::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let take = |State(taken): State<Taken>, body: Bytes| async move { taken.lock().unwrap().push(body) };
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, taken, _runtime: runtime }
    }

    fn bytes(&self) -> Vec<u8> {
        self.taken.lock().unwrap().concat()
    }

    /// All spans that were taken so far.
    fn spans(&self) -> Vec<Value> {
        let of = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut spans = Vec::new();
        for body in self.taken.lock().unwrap().iter() {
            let body: Value = serde_json::from_slice(body).unwrap();
            for resource in of(&body, "resourceSpans") {
                for scope in of(&resource, "scopeSpans") {
                    spans.extend(of(&scope, "spans"));
                }
            }
        }
        spans
    }
}

/// An attribute as text.
fn attribute(span: &Value, key: &str) -> Option<String> {
    let one = span["attributes"].as_array()?.iter().find(|one| one["key"] == key)?;
    let (_, value) = one["value"].as_object()?.iter().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
