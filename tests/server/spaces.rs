//! More than one space: nothing of one is seen, named, changed or deleted through another.

use std::time::Duration;

use reqwest::{Method, multipart};
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{Answer, TestWorker, package, success};

/// Makes a space; answers its id.
async fn space(server: &TestServer, name: &str) -> String {
    let made = server.post("spaces", json!({ "Name": name })).await.expect(201);
    made["Id"].as_str().unwrap().to_owned()
}

async fn make(server: &TestServer, path: &str, body: Value) -> String {
    let made = server.post(path, body).await.expect(201);
    let id = made["Id"].as_str().or_else(|| made["ReleaseId"].as_str());
    id.unwrap_or_else(|| panic!("{path}: {made}")).to_owned()
}

async fn push(server: &TestServer, space: &str, file: &str, content: &[u8]) -> Value {
    let part = multipart::Part::bytes(package(content)).file_name(file.to_owned());
    let form = multipart::Form::new().part("file", part);
    let request = server.request(Method::POST, &format!("/api/{space}/packages/raw")).multipart(form);
    Answer::of(request).await.expect(201)
}

async fn with_key(server: &TestServer, method: Method, path: &str, key: &str, body: Value) -> Answer {
    let request = server.http.request(method, format!("{}{path}", server.address));
    Answer::of(request.header("X-Octopus-ApiKey", key).json(&body)).await
}

/// One of everything in a space, all named as in any other.
struct Filled {
    space: String,
    /// What its resources are called in paths, and the id of the one there.
    ids: Vec<(&'static str, String)>,
}

impl Filled {
    fn id(&self, kind: &str) -> &str {
        self.ids.iter().find(|(other, _)| *other == kind).map_or("1", |(_, id)| id.as_str())
    }
}

async fn fill(server: &TestServer, space: &str) -> Filled {
    let path = |rest: &str| format!("/api/{space}/{rest}");
    let mut ids = Vec::new();
    let environment = make(server, &path("environments"), json!({ "Name": "Live" })).await;
    let lifecycle = json!({
        "Name": "Way", "Phases": [{ "Name": "One", "OptionalDeploymentTargets": [environment] }],
    });
    ids.push(("lifecycles", make(server, &path("lifecycles"), lifecycle).await));
    ids.push(("environments", environment));
    let groups = server.get(&path("projectgroups/all")).await.expect(200);
    ids.push(("projectgroups", groups[0]["Id"].as_str().unwrap().to_owned()));
    ids.push((
        "libraryvariablesets",
        make(server, &path("libraryvariablesets"), json!({ "Name": "Shared" })).await,
    ));
    ids.push(("workerpools", make(server, &path("workerpools"), json!({ "Name": "Fast" })).await));
    push(server, space, "Shop.1.0.0.zip", space.as_bytes()).await;
    ids.push(("packages", "packages-Shop.1.0.0".to_owned()));
    let project = make(server, &path("projects"), json!({ "Name": "Shop" })).await;
    let action = json!({
        "Name": "Deploy", "ActionType": "Octopus.AwsRunScript", "Properties": {},
        "Packages": [{ "PackageId": "Shop", "FeedId": "feeds-builtin" }],
    });
    let process = json!({ "Version": 0, "Steps": [{ "Name": "Deploy", "Actions": [action] }] });
    server.put(&path(&format!("deploymentprocesses/deploymentprocess-{project}")), process).await.expect(200);
    ids.push(("deploymentprocesses", format!("deploymentprocess-{project}")));
    ids.push(("variables", format!("variableset-{project}")));
    let channels = server.get(&path(&format!("projects/{project}/channels"))).await.expect(200);
    ids.push(("channels", channels["Items"][0]["Id"].as_str().unwrap().to_owned()));
    ids.push(("projects", project));
    ids.push(("releases", make(server, &path("releases/create/v1"), json!({ "ProjectName": "Shop" })).await));
    let deploy = json!({ "ProjectName": "Shop", "ReleaseVersion": "1.0.0", "EnvironmentNames": ["Live"] });
    let made = server.post(&path("deployments/create/untenanted/v1"), deploy).await.expect(201);
    let made = &made["DeploymentServerTasks"][0];
    ids.push(("deployments", made["DeploymentId"].as_str().unwrap().to_owned()));
    ids.push(("tasks", made["ServerTaskId"].as_str().unwrap().to_owned()));
    let build =
        json!({ "PackageId": "Shop", "Version": "1.0.0", "OctopusBuildInformation": { "BuildNumber": "7" } });
    let build = server.post(&path("build-information"), build).await.expect(201);
    ids.push(("build-information", build["Id"].as_str().unwrap().to_owned()));
    let worker = register(server, space, "w").await.expect(200);
    let worker = worker["worker_id"].as_str().unwrap();
    ids.push(("machines", worker.to_owned()));
    ids.push(("workers", worker.replace("Machines", "Workers")));
    Filled { space: space.to_owned(), ids }
}

async fn register(server: &TestServer, space: &str, name: &str) -> Answer {
    let machine = format!("{space}-{name}");
    server.register(name, &machine, json!({ "environment": "Live", "space": space })).await
}

/// What there is of the kinds that have lists.
async fn everything(server: &TestServer, filled: &Filled) -> Vec<Value> {
    let mut all = Vec::new();
    for (kind, id) in &filled.ids {
        all.push(server.get(&format!("/api/{}/{kind}/{id}", filled.space)).await.expect(200));
    }
    // When a machine was heard of last is not its own.
    for one in &mut all {
        if let Some(one) = one.as_object_mut() {
            one.remove("LastSeen");
            one.remove("HealthLastChecked");
        }
    }
    all
}

fn holds(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| holds(item, wanted)),
        Value::Object(map) => map.values().any(|item| holds(item, wanted)),
        _ => false,
    }
}

/// Resources that are the server's own, or that it has none or one of.
const NOT_OF_A_SPACE: [&str; 10] = [
    "apikeys",
    "users",
    "spaces",
    "feeds",
    "machinepolicies",
    "tenants",
    "openapi.json",
    "runbooks",
    "machineroles",
    "events",
];

#[tokio::test]
async fn no_route_reaches_into_another_space() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let filled = fill(&server, &team).await;
    let before = everything(&server, &filled).await;
    let document = server.get("/api/openapi.json").await.expect(200);
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let [api, kind, rest @ ..] = segments.as_slice() else { continue };
        if *api != "api" || NOT_OF_A_SPACE.contains(kind) || path.contains("delta") {
            continue;
        }
        let is_one = rest.first().is_some_and(|first| first.starts_with('{'));
        let concrete = path
            .replace("{id}", filled.id(kind))
            .replace("{version}", "1.0.0")
            .replace("{channel}", filled.id("channels"))
            .replace("{environment}", filled.id("environments"));
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for prefix in ["/api", "/api/Spaces-1", "/api/spaces/default"] {
                // A task is found without its space: clients watch it so.
                if prefix == "/api" && *kind == "tasks" {
                    continue;
                }
                let foreign = concrete.replacen("/api", prefix, 1);
                if is_one {
                    let own = concrete.replacen("/api", &format!("/api/{team}"), 1);
                    let mut body = json!({ "Name": "Other", "Resolution": "Success" });
                    if method == Method::PUT {
                        body = server.get(&own).await.expect(200);
                        body.as_object_mut().unwrap().remove("SpaceId");
                    }
                    if path.ends_with("/previews") {
                        body = json!({ "DeploymentPreviews": [{ "EnvironmentId": "Live" }] });
                    }
                    let answer = Answer::of(server.request(method.clone(), &foreign).json(&body)).await;
                    assert_eq!(answer.status, 404, "{method} {foreign}: {}", answer.body);
                    asked += 1;
                } else if method == Method::GET {
                    let ids: Vec<&str> = filled.ids.iter().map(|(_, id)| id.as_str()).collect();
                    for query in [String::new(), format!("?ids={}", ids.join(","))] {
                        let answer =
                            Answer::of(server.request(method.clone(), &format!("{foreign}{query}"))).await;
                        for id in &ids {
                            assert!(!holds(&answer.body, id), "{foreign}{query} shows {id}: {}", answer.body);
                        }
                        asked += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 150, "{asked}");
    for (path, kind) in [("packages/bulk", "packages"), ("build-information/bulk", "build-information")] {
        server.delete(&format!("{path}?ids={}", filled.id(kind))).await.refused(404);
    }
    assert_eq!(everything(&server, &filled).await, before);
}

#[tokio::test]
async fn every_link_and_id_of_a_space_is_its_own() {
    let server = TestServer::start().await;
    let team = space(&server, "Team Blue").await;
    let filled = fill(&server, &team).await;
    for (one, (kind, _)) in everything(&server, &filled).await.iter().zip(&filled.ids) {
        if *kind != "packages" && *kind != "build-information" {
            assert_eq!(one["SpaceId"], json!(team), "{kind}: {one}");
        }
        for (name, link) in one["Links"].as_object().into_iter().flatten() {
            let link = link.as_str().unwrap();
            assert!(
                link.starts_with(&format!("/api/{team}/")) || link.starts_with(&format!("/app#/{team}/")),
                "{kind} {name}: {link}"
            );
        }
    }
    for prefix in
        ["/api/spaces/Team%20Blue", "/api/spaces/team-blue", "/API/SPACES-2", "/api/spaces/Spaces-2"]
    {
        assert_eq!(server.get(prefix.trim_end_matches('/')).await.expect(200)["Id"], json!(team), "{prefix}");
        let found = server.get(&format!("{prefix}/environments")).await.expect(200);
        assert_eq!(found["Items"][0]["Name"], "Live", "{prefix}");
        assert!(
            found["Links"]["Self"].as_str().is_none_or(|link| link.starts_with("/api/Spaces-2/")),
            "{found}"
        );
    }
    assert!(
        server.get("/api/Spaces-9/projects").await.refused(404).contains("known are: Default, Team Blue")
    );
}

#[tokio::test]
async fn names_are_unique_in_a_space_and_bodies_reach_no_further() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let there = fill(&server, &team).await;
    // The same names once more.
    let here = fill(&server, "Spaces-1").await;
    for (kind, body) in [("environments", json!({ "Name": "live" })), ("projects", json!({ "Name": "SHOP" }))]
    {
        server.post(kind, body.clone()).await.refused(409);
        server.post(&format!("/api/{team}/{kind}"), body).await.refused(409);
    }
    // One id and version, other bytes.
    let bytes = |space: String| {
        let path = format!("/api/{space}/packages/packages-Shop.1.0.0/raw");
        let request = server.request(Method::GET, &path);
        async move { request.send().await.unwrap().bytes().await.unwrap() }
    };
    assert_ne!(bytes(team.clone()).await, bytes("Spaces-1".to_owned()).await);
    for (path, body, named) in [
        ("projects", json!({ "Name": "X", "LifecycleId": there.id("lifecycles") }), there.id("lifecycles")),
        (
            "projects",
            json!({ "Name": "X", "ProjectGroupId": there.id("projectgroups") }),
            there.id("projectgroups"),
        ),
        (
            "projects",
            json!({ "Name": "X", "IncludedLibraryVariableSetIds": [there.id("libraryvariablesets")] }),
            there.id("libraryvariablesets"),
        ),
        (
            "lifecycles",
            json!({ "Name": "X", "Phases": [{ "Name": "P", "OptionalDeploymentTargets": [there.id("environments")] }] }),
            there.id("environments"),
        ),
        ("channels", json!({ "Name": "X", "ProjectId": there.id("projects") }), there.id("projects")),
        (
            "channels",
            json!({ "Name": "X", "ProjectId": here.id("projects"), "LifecycleId": there.id("lifecycles") }),
            there.id("lifecycles"),
        ),
        ("releases", json!({ "ProjectId": there.id("projects"), "Version": "3.0.0" }), there.id("projects")),
        (
            "releases/create/v1",
            json!({ "ProjectName": "Shop", "ReleaseVersion": "2.0.0", "ChannelName": there.id("channels") }),
            there.id("channels"),
        ),
        (
            "deployments",
            json!({ "ReleaseId": there.id("releases"), "EnvironmentId": here.id("environments") }),
            there.id("releases"),
        ),
        (
            "deployments",
            json!({ "ReleaseId": here.id("releases"), "EnvironmentId": there.id("environments") }),
            there.id("environments"),
        ),
    ] {
        let answer = server.post(path, body).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {} {}", answer.status, answer.body);
        assert!(answer.body["ErrorMessage"].as_str().unwrap().contains(named), "{path}: {}", answer.body);
    }
    let set = format!("variables/{}", here.id("variables"));
    let scoped = json!({ "Version": 0, "Variables": [
        { "Name": "A", "Value": "x", "Scope": { "Environment": [there.id("environments")] } },
    ] });
    assert!(server.put(&set, scoped).await.refused(400).contains(there.id("environments")));
    let pool = json!({ "WorkerPoolIds": [there.id("workerpools")], "Name": "w" });
    assert!(matches!(server.put(&format!("workers/{}", here.id("workers")), pool).await.status, 400 | 404));
    // A body that names another space than the path.
    let contradiction = json!({ "spaceIdOrName": "team", "ProjectName": "Shop", "ReleaseVersion": "9.0.0" });
    let said = server.post("releases/create/v1", contradiction).await.refused(400);
    assert!(said.contains("says `team`") && said.contains("Spaces-1"), "{said}");
    let unknown = json!({ "SpaceId": "Nowhere", "Name": "X" });
    assert!(server.post("environments", unknown).await.refused(400).contains("`Nowhere`"));
    let agrees =
        json!({ "spaceId": team, "spaceIdOrName": "Team", "ProjectName": "Shop", "ReleaseVersion": "9.0.0" });
    server.post(&format!("/api/{team}/releases/create/v1"), agrees).await.expect(201);
}

#[tokio::test]
async fn a_worker_is_of_a_space_and_waits_while_its_queue_is_stopped() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    fill(&server, &team).await;
    fill(&server, "Spaces-1").await;
    // One name in one environment, once in each space.
    let answer = register(&server, "team", "other").await.expect(200);
    register(&server, "Default", "other").await.expect(200);
    assert_eq!(register(&server, "Nowhere", "other").await.status, 404);
    let worker = TestWorker::new(&server, &answer, "team-other");
    worker.session().await.expect(200);
    let stopped =
        server.put(&format!("/api/spaces/{team}"), json!({ "TaskQueueStopped": true })).await.expect(200);
    assert_eq!(stopped["TaskQueueStopped"], true);
    assert!(worker.claim().await.is_none());
    let tasks = server.get(&format!("/api/{team}/tasks?take=1")).await.expect(200);
    let waits = tasks["Items"][0].to_string();
    // Octopus's clients watch a task without saying where it is.
    let id = tasks["Items"][0]["Id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/tasks/{id}")).await.expect(200)["SpaceId"], json!(team));
    let listed = server.get(&format!("/api/tasks?ids={id}&skip=0&take=300")).await.expect(200);
    assert_eq!(listed["Items"][0]["Id"], json!(id));
    server.get(&format!("/api/Spaces-1/tasks/{id}")).await.refused(404);
    assert!(waits.contains("waits until the tasks of space `Team` go on"), "{waits}");
    // It is woken, not only lucky at its next claim.
    let (claimed, ()) = tokio::join!(worker.claim_for(20_000), async {
        server.put(&format!("/api/spaces/{team}"), json!({ "TaskQueueStopped": false })).await.expect(200);
    });
    let hand_out = claimed.expect("the queue was started");
    let value = |name: &str| {
        hand_out
            .variables
            .iter()
            .find(|variable| variable.name == name)
            .map(|variable| variable.value.clone())
    };
    assert_eq!(value("Octopus.Space.Id").as_deref(), Some("Spaces-2"));
    assert_eq!(value("Octopus.Space.Name").as_deref(), Some("Team"));
    assert_eq!(value("Octopus.Web.ProjectLink").as_deref(), Some("/app#/Spaces-2/projects/shop"));
    worker.finish(&hand_out, success(), b"").await.expect(200);
    assert!(worker.claim().await.is_none(), "the other space's deployment is not for it");
}

#[tokio::test]
async fn a_key_of_one_space_knows_no_other() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let there = fill(&server, &team).await;
    let own = json!({ "Name": "team", "Permissions": ["administer"], "Space": "Team" });
    let made = server.post("apikeys", own).await.expect(201);
    assert_eq!(made["Space"], json!(team));
    let key = made["ApiKey"].as_str().unwrap().to_owned();
    let call = |method: Method, path: &str, body: Value| {
        let (server, key, path) = (&server, key.clone(), path.to_owned());
        async move { with_key(server, method, &path, &key, body).await }
    };
    for path in ["/api/spaces/all", "/api/users/me/spaces"] {
        let spaces = call(Method::GET, path, Value::Null).await.expect(200);
        assert_eq!(spaces.as_array().unwrap().len(), 1, "{spaces}");
        assert_eq!(spaces[0]["Id"], json!(team));
    }
    assert_eq!(call(Method::GET, "/api/spaces", Value::Null).await.expect(200)["TotalResults"], 1);
    // Without a space its own is meant.
    let found = call(Method::GET, "/api/environments", Value::Null).await.expect(200);
    assert_eq!(found["Items"][0]["Id"], json!(there.id("environments")));
    for path in [
        "/api/Spaces-1/environments",
        "/api/spaces/default/environments",
        "/api/spaces/Spaces-1",
        "/api/Spaces-99/tasks",
    ] {
        let said = call(Method::GET, path, Value::Null).await.refused(403);
        assert!(said.contains("`team` reaches space `Spaces-2` alone"), "{said}");
    }
    let changes = [
        (Method::POST, "/api/spaces", json!({ "Name": "Mine" })),
        (Method::PUT, "/api/spaces/Spaces-2", json!({ "Name": "Mine" })),
        (Method::DELETE, "/api/spaces/Spaces-2", Value::Null),
        (Method::GET, "/api/apikeys", Value::Null),
        (Method::POST, "/api/apikeys", json!({ "Name": "x", "Permissions": ["read"] })),
    ];
    for (method, path, body) in changes {
        let said = call(method, path, body).await.refused(403);
        assert!(said.contains("the whole server"), "{said}");
    }
    call(Method::POST, "/api/environments", json!({ "Name": "Second" })).await.expect(201);
    server.get("environments/Second").await.refused(404);
    server.get(&format!("/api/{team}/environments/Second")).await.expect(200);
    // Environments of a key are those of its space.
    let wrong = json!({ "Name": "e", "Permissions": ["deploy"], "Environments": [there.id("environments")] });
    server.post("apikeys", wrong).await.refused(404);
    // One that is made in a space is for that space.
    let key = json!({ "Name": "in", "Permissions": ["read"] });
    let made = server.post(&format!("/api/{team}/apikeys"), key).await.expect(201);
    assert_eq!(made["Space"], json!(team));
    // The last key for the whole server is not this one.
    server.delete("apikeys/first").await.refused(409);
}

#[tokio::test]
async fn spaces_are_made_renamed_and_deleted_when_they_are_at_rest() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let path = format!("/api/spaces/{team}");
    assert!(
        server
            .post("spaces", json!({ "Name": "tEAM" }))
            .await
            .refused(409)
            .contains("`Team` exists already (Spaces-2)")
    );
    assert!(server.delete("spaces/default").await.refused(400).contains("always there"));
    assert_eq!(
        server.get(&format!("/api/{team}/lifecycles/all")).await.expect(200)[0]["Name"],
        "Default Lifecycle"
    );
    assert_eq!(server.get(&format!("/api/{team}/workerpools/all")).await.expect(200)[0]["IsDefault"], true);
    let renamed = server.put(&path, json!({ "Name": "Crew", "Description": "d" })).await.expect(200);
    assert_eq!(
        (&renamed["Name"], &renamed["Slug"], &renamed["Description"]),
        (&json!("Crew"), &json!("team"), &json!("d"))
    );
    assert_eq!(server.get("spaces?partialName=cre").await.expect(200)["Items"][0]["Id"], json!(team));
    assert_eq!(server.get("spaces?ids=Spaces-1").await.expect(200)["TotalResults"], 1);
    let filled = fill(&server, &team).await;
    assert!(server.delete(&path).await.refused(400).contains("its tasks are not stopped"));
    server.put(&path, json!({ "TaskQueueStopped": true })).await.expect(200);
    assert!(server.delete(&path).await.refused(400).contains("these machines are in it: `"));
    server.delete(&format!("/api/{team}/machines/{}", filled.id("machines"))).await.expect(200);
    assert!(server.delete(&path).await.refused(400).contains("Deployments-1"));
    server.post(&format!("/api/{team}/tasks/{}/cancel", filled.id("tasks")), Value::Null).await.expect(200);
    server.delete(&path).await.expect(200);
    server.get(&format!("/api/{team}/projects")).await.refused(404);
    assert_eq!(server.get("spaces/all").await.expect(200).as_array().unwrap().len(), 1);
    // Its number is not given again.
    assert_eq!(space(&server, "Team").await, "Spaces-3");
}

#[tokio::test]
async fn nothing_is_left_of_a_space_that_is_deleted_while_it_is_filled() {
    let server = TestServer::start().await;
    for round in 0..4 {
        let team = space(&server, &format!("Team {round}")).await;
        let path = format!("/api/spaces/{team}");
        server.put(&path, json!({ "TaskQueueStopped": true })).await.expect(200);
        let fills = (0..6).map(|number| {
            let (server, team) = (&server, team.clone());
            async move {
                let kind = ["environments", "projects", "libraryvariablesets", "workerpools", "lifecycles"]
                    [number % 5];
                let body = json!({ "Name": format!("n{number}") });
                server.post(&format!("/api/{team}/{kind}"), body).await.status
            }
        });
        let (made, deleted) = tokio::join!(futures_util::future::join_all(fills), async {
            loop {
                let answer = server.delete(&path).await;
                if answer.status != 503 {
                    return answer.status;
                }
            }
        });
        assert_eq!(deleted, 200);
        assert!(made.iter().all(|status| matches!(status, 201 | 404 | 503)), "{made:?}");
        server.get(&format!("/api/{team}/environments")).await.refused(404);
    }
    assert_eq!(server.get("spaces/all").await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_names_are_made_in_two_spaces_at_once() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let makes = (0..8).flat_map(|_| ["Spaces-1", team.as_str()]).map(|space| {
        let (server, space) = (&server, space.to_owned());
        async move {
            let made = server.post(&format!("/api/{space}/projects"), json!({ "Name": "Same" })).await;
            (space, made.status)
        }
    });
    let all =
        tokio::time::timeout(Duration::from_mins(1), futures_util::future::join_all(makes)).await.unwrap();
    for space in ["Spaces-1", team.as_str()] {
        let statuses: Vec<u16> =
            all.iter().filter(|(of, _)| of == space).map(|(_, status)| *status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
        let found = server.get(&format!("/api/{space}/projects/same")).await.expect(200);
        assert_eq!((&found["Slug"], &found["SpaceId"]), (&json!("same"), &json!(space)));
    }
}

#[tokio::test]
async fn an_idempotency_key_is_of_one_space() {
    let server = TestServer::start().await;
    let team = space(&server, "Team").await;
    let mut ids = Vec::new();
    for space in ["Spaces-1", &team, &team] {
        let request = server.request(Method::POST, &format!("/api/{space}/environments"));
        let request = request.header("Idempotency-Key", "one").json(&json!({ "Name": "Dev" }));
        let made = Answer::of(request).await.expect(201);
        assert_eq!(made["SpaceId"], json!(space));
        ids.push(made["Id"].clone());
    }
    assert!(ids[0] != ids[1] && ids[1] == ids[2], "{ids:?}");
}
