//! The requests of Octopus's Go command line, as it sends them.

use reqwest::{Body, Method, multipart};
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::{Answer, line, package, success};

/// Fills in a template of a link: what is given, nothing for the rest.
fn expand(link: &Value, id: &str, query: &[(&str, &str)]) -> String {
    let link = link.as_str().unwrap();
    let plain = link.split('{').next().unwrap();
    let id = if id.is_empty() { String::new() } else { format!("/{id}") };
    assert!(id.is_empty() || link.contains("{/id}"), "{link}");
    let mut path = format!("{plain}{id}");
    for (place, (name, value)) in query.iter().enumerate() {
        let known = link.split("{?").nth(1).unwrap().trim_end_matches('}');
        assert!(known.split(',').any(|other| other.trim() == *name), "`{name}` is not in {link}");
        path = format!("{path}{}{name}={value}", if place == 0 { '?' } else { '&' });
    }
    path
}

/// What it asks before every command; answers the links of the root and of the space.
async fn start_up(server: &TestServer) -> (Value, Value) {
    let root = server.get("/api/").await.expect(200);
    let spaces = server.get("/api/spaces").await.expect(200);
    let default =
        spaces["Items"].as_array().unwrap().iter().find(|space| space["IsDefault"] == true).unwrap();
    let all = server.get(&format!("{}/all", expand(&root["Links"]["Spaces"], "", &[]))).await.expect(200);
    assert_eq!(all[0]["Id"], default["Id"]);
    let again = server.get("/api/").await.expect(200);
    let space = server.get(&format!("/api/{}", default["Id"].as_str().unwrap())).await.expect(200);
    (again["Links"].clone(), space["Links"].clone())
}

/// As a stream, whose length nobody says.
async fn upload(server: &TestServer, path: &str, file: &str, bytes: Vec<u8>) -> Answer {
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        bytes.chunks(50).map(|chunk| Ok(chunk.to_vec())).collect();
    let body = Body::wrap_stream(futures_util::stream::iter(chunks));
    let part = multipart::Part::stream(body).file_name(file.to_owned());
    let form = multipart::Form::new().part("fileToUpload", part);
    let request = server.request(Method::POST, path).multipart(form).build().unwrap();
    assert!(request.headers().get("content-length").is_none());
    let response = server.http.execute(request).await.unwrap();
    let status = response.status().as_u16();
    Answer { status, body: response.json().await.unwrap() }
}

#[tokio::test]
async fn every_service_finds_its_link() {
    let server = TestServer::start().await;
    let (root, space) = start_up(&server).await;
    for name in [
        "Artifacts",
        "BuildInformation",
        "Channels",
        "DeploymentProcesses",
        "Deployments",
        "Environments",
        "Events",
        "Feeds",
        "Interruptions",
        "Lifecycles",
        "MachinePolicies",
        "MachineRoles",
        "Machines",
        "PackageUpload",
        "Packages",
        "ProjectGroups",
        "Projects",
        "Releases",
        "Runbooks",
        "Tasks",
        "Tenants",
        "Variables",
        "WorkerPools",
        "Workers",
    ] {
        let path = expand(&space[name], "", &[]);
        assert!(path.starts_with("/api/Spaces-1/"), "{name}: {path}");
        assert!(root[name].is_string(), "{name}");
        // What has no list of its own: a form to send, and sets that belong to projects.
        if ["PackageUpload", "DeploymentProcesses", "Variables"].contains(&name) {
            continue;
        }
        server.get(&path).await.expect(200);
    }
    for name in ["Self", "Spaces", "CurrentUser", "Users", "Tasks"] {
        server.get(&expand(&root[name], "", &[])).await.expect(200);
    }
    assert_eq!(server.get(&expand(&root["CurrentUser"], "", &[])).await.expect(200)["Id"], "Users-1");
    assert_eq!(root["Tasks"].as_str().unwrap().split('{').next(), Some("/api/tasks"));
}

#[tokio::test]
async fn a_package_is_pushed_in_chunks_and_listed() {
    let server = TestServer::start().await;
    let (_, links) = start_up(&server).await;
    let to = |mode| expand(&links["PackageUpload"], "", &[("overwriteMode", mode)]);
    let first = upload(&server, &to("FailIfExists"), "Orders.1.0.0.zip", package(b"one")).await.expect(201);
    let kept = upload(&server, &to("IgnoreIfExists"), "Orders.1.0.0.zip", package(b"two")).await.expect(200);
    assert_eq!(first["Hash"], kept["Hash"]);
    upload(&server, &to("FailIfExists"), "Orders.1.0.0.zip", package(b"two")).await.refused(409);
    upload(&server, &to("OverwriteExisting"), "Orders.1.0.0.zip", package(b"two")).await.expect(201);
    upload(&server, &to("FailIfExists"), "Orders.1.1.0-rc.1.zip", package(b"three")).await.expect(201);
    upload(&server, &to("FailIfExists"), "Other.2.0.0.zip", package(b"four")).await.expect(201);

    let all =
        expand(&links["Packages"], "", &[("filter", ""), ("latest", "true"), ("skip", "0"), ("take", "100")]);
    let listed = server.get(&all).await.expect(200);
    let names: Vec<String> = listed["Items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("{} {}", item["PackageId"].as_str().unwrap(), item["Version"].as_str().unwrap()))
        .collect();
    assert_eq!(names, ["Orders 1.1.0-rc.1", "Other 2.0.0"]);

    let feeds = server.get(&expand(&links["Feeds"], "", &[("feedType", "BuiltIn")])).await.expect(200);
    let feed = &feeds["Items"][0];
    assert_eq!(feed["Id"], "feeds-builtin");
    assert_eq!(
        server.get(&expand(&links["Feeds"], "", &[("feedType", "NuGet")])).await.expect(200)["TotalResults"],
        0
    );
    let versions = async |query: &[(&str, &str)]| {
        let query = [&[("packageId", "orders")], query].concat();
        let found = server.get(&expand(&feed["Links"]["VersionsTemplate"], "", &query)).await.expect(200);
        let versions = found["Items"].as_array().unwrap().iter();
        versions.map(|item| item["Version"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(versions(&[]).await, ["1.1.0-rc.1", "1.0.0"]);
    assert_eq!(versions(&[("take", "1")]).await, ["1.1.0-rc.1"]);
    assert_eq!(versions(&[("take", "1"), ("skip", "1")]).await, ["1.0.0"]);
    assert_eq!(versions(&[("includePreRelease", "false")]).await, ["1.0.0"]);
    assert_eq!(versions(&[("filter", "rc")]).await, ["1.1.0-rc.1"]);
    assert_eq!(versions(&[("versionRange", "[1.0,1.1-rc)")]).await, ["1.0.0"]);
    assert_eq!(versions(&[("preReleaseTag", "^rc")]).await, ["1.1.0-rc.1"]);
    let found =
        server.get(&expand(&feed["Links"]["SearchTemplate"], "", &[("term", "oth")])).await.expect(200);
    assert_eq!((&found["TotalResults"], &found["Items"][0]["LatestVersion"]), (&json!(1), &json!("2.0.0")));
    let path = "feeds/feeds-builtin/packages/versions";
    assert!(server.get(path).await.refused(400).contains("`packageId` is missing"));
    let unread = server.get(&format!("{path}?packageId=Orders&versionRange=[1,2")).await.refused(400);
    assert!(unread.contains("`[1,2`"), "{unread}");
}

#[tokio::test]
async fn a_release_is_made_deployed_watched_and_cancelled() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "name": "Prod" })).await.expect(201);
    let (root, _) = start_up(&server).await;
    let body = json!({
        "spaceId": "Spaces-1", "spaceIdOrName": "Spaces-1", "projectName": "Orders", "packageVersion": "",
        "gitCommit": "", "gitRef": "", "packages": ["Deploy:1.0.0"], "releaseVersion": "3.0.0", "channelName": "Default",
        "releaseNotes": "notes", "ignoreIfAlreadyExists": false, "ignoreChannelRules": false, "packagePrerelease": "",
    });
    let made = server.post("releases/create/v1", body).await.expect(201);
    assert_eq!(made, json!({ "ReleaseId": "Releases-1", "ReleaseVersion": "3.0.0", "Existed": false }));
    let release = server.get("/api/Spaces-1/releases/Releases-1/").await.expect(200);
    assert_eq!(release["ReleaseNotes"], "notes");
    let channel =
        server.get(&format!("channels/{}", release["ChannelId"].as_str().unwrap())).await.expect(200);
    assert_eq!(channel["Name"], "Default");
    assert_eq!(server.get("projects/Orders/").await.expect(200)["Id"], "Projects-1");
    server.get("projects/Projects-1/releases/3.0.0").await.expect(200);

    let body = json!({
        "spaceId": "Spaces-1", "spaceIdOrName": "Spaces-1", "projectName": "Orders", "releaseVersion": "3.0.0",
        "environmentNames": ["Dev", "Prod"], "forcePackageDownload": false, "forcePackageRedeployment": false,
        "updateVariableSnapshot": false, "specificMachineNames": null, "excludedMachineNames": null,
        "skipStepNames": null, "useGuidedFailure": null, "runAt": "", "noRunAfter": "", "variables": {},
    });
    let made = server.post("deployments/create/untenanted/v1", body).await.expect(201);
    let tasks: Vec<&str> = made["DeploymentServerTasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["ServerTaskId"].as_str().unwrap())
        .collect();
    let asked = expand(&root["Tasks"], "", &[("ids", &tasks.join("%2C"))]);
    let states = async || {
        let found = server.get(&asked).await.expect(200);
        let mut tasks = found["Items"].as_array().unwrap().clone();
        tasks.sort_by_key(|task| task["Id"].as_str().unwrap().to_owned());
        tasks
    };
    assert!(states().await.iter().all(|task| task["IsCompleted"] == false));
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let log = line("hello");
    worker.log(&hand_out, 0, &log).await.expect(200);
    worker.finish(&hand_out, success(), &log).await.expect(200);
    let cancelled = server.request(Method::POST, &format!("/api/spaces/Spaces-1/tasks/{}/cancel", tasks[1]));
    assert_eq!(Answer::of(cancelled).await.expect(200)["State"], "Canceled");
    let ended = states().await;
    let told = |task: &Value| (task["IsCompleted"].clone(), task["FinishedSuccessfully"].clone());
    assert_eq!(
        ended.iter().map(told).collect::<Vec<_>>(),
        [(json!(true), json!(true)), (json!(true), json!(false))]
    );
    let details = server.get(&format!("/api/tasks/{}/details", tasks[0])).await.expect(200);
    assert_eq!(details["ActivityLogs"][0]["Children"][0]["LogElements"][0]["MessageText"], "hello");
    for (query, total) in [
        ("name=Deploy", 2),
        ("name=Health", 0),
        ("active=true", 0),
        ("states=Canceled", 1),
        ("project=Projects-1&take=1", 2),
    ] {
        assert_eq!(server.get(&format!("tasks?{query}")).await.expect(200)["TotalResults"], total, "{query}");
    }
}

#[tokio::test]
async fn lists_are_followed_to_their_end() {
    let server = TestServer::start().await;
    for name in ["A", "B", "C", "D", "E"] {
        server.post("environments", json!({ "Name": name })).await.expect(201);
    }
    let (_, links) = start_up(&server).await;
    let mut next = Some(expand(&links["Environments"], "", &[("take", "2")]));
    let mut names = Vec::new();
    while let Some(path) = next {
        let page = server.get(&path).await.expect(200);
        names.extend(
            page["Items"].as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap().to_owned()),
        );
        next = page["Links"].get("Page.Next").map(|link| link.as_str().unwrap().to_owned());
    }
    assert_eq!(names, ["A", "B", "C", "D", "E"]);
}

#[tokio::test]
async fn targets_are_listed_narrowed_and_deleted() {
    let server = TestServer::ready().await;
    server.worker("w1", "m1").await;
    server.register("w2", "m2", json!({})).await.expect(200);
    let (_, links) = start_up(&server).await;
    for (query, names) in [
        (vec![("skip", "0"), ("take", "50")], vec!["w1", "w2"]),
        (vec![("name", "w2")], vec!["w2"]),
        (vec![("partialName", "W")], vec!["w1", "w2"]),
        (vec![("environmentIds", "Environments-1")], vec!["w1", "w2"]),
        (vec![("environmentIds", "Environments-2")], vec![]),
        (vec![("healthStatuses", "Healthy")], vec!["w1"]),
        (vec![("healthStatuses", "Unknown,Unavailable")], vec!["w2"]),
        (vec![("isDisabled", "true")], vec![]),
        (vec![("isDisabled", "false"), ("commStyles", "None")], vec!["w1", "w2"]),
        (vec![("commStyles", "TentacleActive")], vec![]),
        (vec![("roles", "web")], vec![]),
        (vec![("thumbprint", "AB")], vec![]),
    ] {
        let found = server.get(&expand(&links["Machines"], "", &query)).await.expect(200);
        let found: Vec<&str> =
            found["Items"].as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{query:?}");
    }
    let id = expand(&links["Machines"], "Machines-2", &[]);
    server.delete(&id).await.expect(200);
    server.get(&id).await.refused(404);
    server.delete(&expand(&links["Workers"], "Workers-1", &[])).await.expect(200);
    server.get("machines/Machines-1").await.refused(404);
}
