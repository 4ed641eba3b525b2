//! What builds say of their packages.

use reqwest::Method;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::Answer;

fn build(version: &str, number: &str) -> Value {
    json!({
        "packageId": "Orders", "version": version,
        "octopusBuildInformation": {
            "buildEnvironment": "GitHub Actions", "buildNumber": number, "branch": "main", "vcsCommitNumber": "abc",
            "commits": [{ "id": "abc", "comment": "first" }],
        },
    })
}

#[tokio::test]
async fn a_release_shows_what_its_build_said_whichever_came_first() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    assert_eq!(server.get("releases/Releases-1").await.expect(200)["BuildInformation"], json!([]));
    let made = server.post("build-information", build("1.0", "17")).await.expect(201);
    assert_eq!((&made["Id"], &made["PackageId"]), (&json!("BuildInformation-1"), &json!("Orders")));
    for path in ["releases/Releases-1", "projects/Projects-1/releases/1.0.0"] {
        let shown = &server.get(path).await.expect(200)["BuildInformation"];
        assert_eq!(
            (&shown[0]["BuildNumber"], &shown[0]["Commits"][0]["Comment"]),
            (&json!("17"), &json!("first"))
        );
        assert_eq!(shown[0]["BuildUrl"], Value::Null);
    }
    for path in ["releases", "projects/Projects-1/releases"] {
        assert_eq!(
            server.get(path).await.expect(200)["Items"][0]["BuildInformation"][0]["BuildNumber"],
            "17"
        );
    }
}

#[tokio::test]
async fn each_release_of_a_list_shows_what_was_said_of_its_own_package() {
    let server = TestServer::ready().await;
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        server.push(&format!("Orders.{version}.zip"), version.as_bytes(), "").await.expect(201);
    }
    for (version, package) in [("1", "1.0.0"), ("2", "1.1.0"), ("3", "1.2.0"), ("4", "1.3.0"), ("5", "1.1.0")]
    {
        let body = json!({ "ProjectName": "Orders", "ReleaseVersion": version, "PackageVersion": package });
        server.post("releases/create/v1", body).await.expect(201);
    }
    for (version, number) in [("1.0.0", "10"), ("1.1", "11"), ("1.3.0", "13")] {
        server.post("build-information", build(version, number)).await.expect(201);
    }
    let all = server.get("releases").await.expect(200);
    let said = |item: &Value| {
        let said = item["BuildInformation"].as_array().unwrap().iter().map(|one| one["BuildNumber"].clone());
        (item["Version"].as_str().unwrap().to_owned(), Value::from(said.collect::<Vec<_>>()))
    };
    let said: Vec<_> = all["Items"].as_array().unwrap().iter().map(said).collect();
    let expected = [
        ("5", json!(["11"])),
        ("4", json!(["13"])),
        ("3", json!([])),
        ("2", json!(["11"])),
        ("1", json!(["10"])),
    ];
    assert_eq!(said, expected.map(|(version, said)| (version.to_owned(), said)));
}

#[tokio::test]
async fn what_exists_is_refused_kept_or_replaced() {
    let server = TestServer::ready().await;
    server.post("build-information", build("1.0.0", "1")).await.expect(201);
    let text = server.post("build-information", build("1.0.0.0", "2")).await.refused(409);
    assert!(
        text.contains("build information for package `Orders` version `1.0.0.0` exists already"),
        "{text}"
    );
    let kept =
        server.post("build-information?overwriteMode=IgnoreIfExists", build("1.0.0", "2")).await.expect(201);
    assert_eq!((&kept["BuildNumber"], &kept["Version"]), (&json!("1"), &json!("1.0.0")));
    let replaced = server
        .post("build-information?overwriteMode=OverwriteExisting", build("1.0.0", "2"))
        .await
        .expect(201);
    assert_eq!((&replaced["BuildNumber"], &replaced["Id"]), (&json!("2"), &kept["Id"]));
    let made = async |version: &str| {
        let made = server.post("build-information", build(version, "3")).await.expect(201);
        made["Id"].as_str().unwrap().to_owned()
    };
    let (second, third) = (made("1.10.0").await, made("1.9.0").await);

    let list = async |query: &str| -> Vec<String> {
        let page = server.get(&format!("build-information?{query}")).await.expect(200);
        let items = page["Items"].as_array().unwrap().iter();
        items.map(|item| item["Version"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list("packageId=orders").await, ["1.9.0", "1.10.0", "1.0.0"]);
    assert_eq!(list("packageId=orders&latest=true").await, ["1.10.0"]);
    assert_eq!(list("filter=1.9").await, ["1.9.0"]);
    assert_eq!(list("packageId=Other").await, [""; 0]);

    server.delete("build-information/BuildInformation-1").await.expect(200);
    server.get("build-information/BuildInformation-1").await.refused(404);
    let bulk =
        async |ids: [&str; 2]| server.delete(&format!("build-information/bulk?ids={}", ids.join(","))).await;
    let none = bulk([&second, "BuildInformation-99"]).await.refused(404);
    assert!(none.contains("build information `BuildInformation-99` does not exist"), "{none}");
    assert_eq!(list("").await.len(), 2, "all or none");
    server.delete("build-information/bulk").await.refused(400);
    bulk([&second, &third]).await.expect(200);
    assert_eq!(list("").await, [""; 0]);
}

#[tokio::test]
async fn a_build_may_say_it_and_what_cannot_be_read_is_named() {
    let server = TestServer::start().await;
    let key =
        server.post("apikeys", json!({ "Name": "build", "Permissions": ["publish"] })).await.expect(201);
    let url = format!("{}/api/build-information", server.address);
    let with = |method: Method, path: &str, body: Value| {
        let request = server.http.request(method, format!("{url}{path}"));
        Answer::of(request.header("X-Octopus-ApiKey", key["ApiKey"].as_str().unwrap()).json(&body))
    };
    with(Method::POST, "", build("1.0.0", "1")).await.expect(201);
    with(Method::DELETE, "/BuildInformation-1", json!({})).await.refused(403);
    for (body, text) in [
        (json!({ "Version": "1.0.0" }), "`PackageId` is missing"),
        (json!({ "PackageId": "Orders" }), "`Version` is missing"),
        (json!({ "PackageId": "Orders", "Version": "one" }), "`Version` of package `Orders` cannot be read"),
        (json!({ "PackageId": "Orders", "Version": "1" }), "`OctopusBuildInformation` is missing"),
        (
            json!({ "PackageId": "Orders", "Version": "1", "OctopusBuildInformation": { "BuildNumber": 7 } }),
            "`BuildNumber` must be a text",
        ),
    ] {
        let said = server.post("build-information", body).await.refused(400);
        assert!(said.contains(text), "{said}");
    }
}
