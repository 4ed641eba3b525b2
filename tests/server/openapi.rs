//! What the server says of itself: it names each route, and what it says holds when it is asked at random.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use octarm::protocol::BASE;
use reqwest::Method;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::{
    ministack::tools,
    process::Program,
    server::{line, success},
};

/// The routes as the router's own source lists them: the path, and whether it takes any method.
fn routes() -> Vec<(String, bool)> {
    let source =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/router.rs")).unwrap();
    let place_of_workers = source.find("fn worker(").unwrap();
    let mut found = Vec::new();
    for (at, call) in source.match_indices(".route(") {
        let (path, rest) = source[at + call.len()..].split_once(',').unwrap();
        let path = match path.trim() {
            "openapi::PATH" => "/api/openapi.json".to_owned(),
            "SPACE_ROOT" => "/api/Spaces-1".to_owned(),
            text if at > place_of_workers => format!("{BASE}{}", text.trim_matches('"')),
            text => text.trim_matches('"').to_owned(),
        };
        found.push((path, rest.trim_start().starts_with("any(")));
    }
    assert!(found.len() > 100, "the routes were not found: {found:?}");
    found
}

#[tokio::test]
async fn the_document_names_the_routes_that_there_are_and_their_methods() {
    let server = TestServer::start().await;
    let document = server.get("/api/openapi.json").await.expect(200);
    let mut documented = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods: BTreeSet<String> =
            methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        documented.insert(path.clone(), methods);
    }
    let mut taken = BTreeMap::new();
    for (path, takes_any) in routes() {
        if takes_any {
            // What takes any method does not exist, and says so.
            assert!(!documented.contains_key(&path), "{path}");
            continue;
        }
        let no_method = Method::from_bytes(b"PROPFIND").unwrap();
        let response = server.request(no_method, &path.replace(['{', '}'], "")).send().await.unwrap();
        assert_eq!(response.status(), 405, "{path}");
        let allowed = response.headers()["allow"].to_str().unwrap().split(',');
        let allowed = allowed.filter(|method| *method != "HEAD").map(str::to_owned).collect();
        taken.insert(path, allowed);
    }
    assert_eq!(documented, taken);
}

#[tokio::test]
async fn whoever_has_no_key_reads_it_too() {
    let server = TestServer::start().await;
    let answer = server.http.get(format!("{}/api/openapi.json", server.address)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let document: Value = answer.json().await.unwrap();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("octarm")));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(!document.to_string().contains(&server.key));
    let refused = server.http.post(format!("{}/api/openapi.json", server.address)).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["allow"]), (405, &"GET,HEAD".parse().unwrap()));
}

/// What the run must not take away.
const SPARED: [(&str, &str); 5] = [
    ("/api/apikeys/{id}", "the key that it asks with is one of them"),
    ("/api/machines/{id}", "the worker that it asks as is one of them"),
    ("/api/workers/{id}", "the worker that it asks as is one of them"),
    ("/api/worker/v1/session", "the worker that it asks as would be gone"),
    ("/api/projects/{id}", "most of what is asked for belongs to the project"),
];

/// What is held against each answer. Not whether a request that the document does not allow is refused: what is read
/// is read generously, as clients of all ages need it.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance,\
    missing_required_header,ignored_auth";

/// The id of the machine in the document's examples.
const MACHINE: &str = "4c4c4544";

/// Puts something of each kind there, to be asked for.
async fn furnish(server: &TestServer) {
    let variables = json!([
        { "Name": "Colour", "Value": "red", "Scope": { "Environment": ["Environments-1"] } },
        { "Name": "Password", "Value": "hunter22", "IsSensitive": true },
        { "Name": "Size", "Value": "1", "Prompt": { "Label": "How large", "Required": false } },
    ]);
    let variables = json!({ "Version": 0, "Variables": variables });
    server.put("variables/variableset-Projects-1", variables).await.expect(200);
    server.post("libraryvariablesets", json!({ "Name": "Shared" })).await.expect(201);
    let build = json!({ "BuildNumber": "7", "Commits": [{ "Id": "abc", "Comment": "a change" }] });
    let build = json!({ "PackageId": "Orders", "Version": "1.0.0", "OctopusBuildInformation": build });
    server.post("build-information", build).await.expect(201);
    server.post("channels", json!({ "ProjectId": "Projects-1", "Name": "Hotfix" })).await.expect(201);
    server.release("1.0.0").await;
    server.post("workerregistrationtokens", json!({ "EnvironmentId": "Dev", "Uses": 9 })).await.expect(201);
}

#[tokio::test]
async fn schemathesis_finds_no_failure_of_the_server_and_no_breach_of_the_document() {
    // A claim waits no longer than that.
    let server = TestServer::ready_with(|settings| settings.poll_wait = Duration::from_millis(20)).await;
    furnish(&server).await;
    let key = json!({ "Name": "schemathesis", "Permissions": ["administer"] });
    let key = server.post("apikeys", key).await.expect(201)["ApiKey"].as_str().unwrap().to_owned();
    let worker = server.worker("first", "machine-1").await;
    server.worker("second", MACHINE).await;
    // One that has ended with a log, one that the worker is at, one that waits.
    server.deploy("1.0.0").await;
    let hand_out = worker.claim().await.unwrap();
    let log = line("deployed");
    worker.log(&hand_out, 0, &log).await.expect(200);
    worker.finish(&hand_out, success(), &log).await.expect(200);
    server.deploy("1.0.0").await;
    worker.claim().await.unwrap();
    server.deploy("1.0.0").await;

    let mut settings = format!(
        r#"
        hooks = "lines"
        request-timeout = 10
        [auth.openapi]
        ApiKey = {{ api_key = "{key}" }}
        WorkerToken = {{ bearer = "{token}" }}
        [[operations]]
        include-path-regex = "^{BASE}/(claim|deployments)"
        parameters = {{ "header.octarm-instance" = "{instance}", "path.id" = "Deployments-2" }}
        [[operations]]
        include-path = "/api/variables/{{id}}"
        parameters = {{ "path.id" = "variableset-Projects-1" }}
        [[operations]]
        # It waits as long as it is told to.
        include-path = "/api/tasks/{{id}}/log"
        parameters = {{ "query.wait" = 20 }}
        "#,
        token = worker.token(),
        instance = worker.instance,
    );
    for (path, why) in SPARED {
        let name = format!("DELETE {path}");
        writeln!(settings, "[[operations]]\ninclude-name = \"{name}\"\nenabled = false # {why}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schemathesis.toml");
    fs_err::write(&file, settings).unwrap();
    let program = Program::at(tools().join("venv/bin/schemathesis"))
        .arg_pair("--config-file", &file)
        .args(["run", &format!("{}/api/openapi.json", server.address), "--checks", CHECKS])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "2",
            "--seed",
            "7",
            "--workers",
            "1",
        ])
        .args(["--generation-database", "none", "--no-shrink", "--continue-on-failure"])
        .args(["--warnings", "off", "--no-color"])
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .patience(Duration::from_mins(5));
    let output = tokio::task::spawn_blocking(move || program.run()).await.unwrap();
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
    let tried = output.stdout.lines().find_map(|line| line.trim().split_once(" generated, "));
    let tried: u32 = tried.unwrap().0.parse().unwrap();
    assert!(tried > 4000, "{}", output.stdout);
}
