//! Making releases: what is resolved and what is refused.

use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::package;

#[tokio::test]
async fn what_cannot_be_resolved_names_step_package_and_feed() {
    let server = TestServer::ready().await;
    server.post("projects", json!({ "Name": "Empty" })).await.expect(201);
    let create = |body: Value| server.post("releases/create/v1", body);
    for (body, status, expected) in [
        (json!({ "ProjectName": "Nobody" }), 404, "project `Nobody` does not exist"),
        (json!({}), 400, "`ProjectName` is missing"),
        (
            json!({ "ProjectName": "Empty" }),
            400,
            "step `Deploy` needs package `Empty`, of which no version was pushed to feed `feeds-builtin`",
        ),
        (
            json!({ "ProjectName": "Orders", "PackageVersion": "7.0.0" }),
            400,
            "needs package `Orders` version `7.0.0`, which is not in feed `feeds-builtin`; the highest there are: 1.0.0",
        ),
        (
            json!({ "ProjectName": "Orders", "Packages": ["Oders:1.0.0"] }),
            400,
            "`Oders:1.0.0` matches nothing",
        ),
        (json!({ "ProjectName": "Orders", "Packages": ["Orders"] }), 400, "`Orders` cannot be read"),
        (
            json!({ "ProjectName": "Orders", "ReleaseVersion": "1.0/beta" }),
            400,
            "the release's version cannot be read",
        ),
        (json!({ "ProjectName": "Orders", "ChannelName": "Beta" }), 404, "has no channel `Beta`"),
    ] {
        let text = create(body).await.refused(status);
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(server.get("releases").await.expect(200)["TotalResults"], 0);
}

#[tokio::test]
async fn versions_come_from_override_command_or_the_highest_package() {
    let server = TestServer::ready().await;
    server.push("Orders.1.1.0.zip", b"later", "").await.expect(201);
    let made = server.post("releases/create/v1", json!({ "projectName": "orders" })).await.expect(201);
    assert_eq!((&made["ReleaseId"], &made["ReleaseVersion"]), (&json!("Releases-1"), &json!("1.1.0")));
    for (version, more) in [
        ("2.0", json!({ "PackageVersion": "1.0" })),
        ("2.1", json!({ "Packages": ["Deploy:1.0.0"], "PackageVersion": "1.1.0" })),
        ("2.2", json!({ "Packages": ["*:1.0.0"] })),
        ("2.3", json!({ "Packages": ["Orders:ref:1.0.0"] })),
    ] {
        let mut body = json!({ "ProjectName": "Orders", "ReleaseVersion": version });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("releases/create/v1", body).await.expect(201);
        let release = server.get(&format!("projects/orders/releases/{version}")).await.expect(200);
        assert_eq!(release["SelectedPackages"][0]["Version"], "1.0.0", "{version}");
    }
    let again = json!({ "ProjectName": "Orders", "ReleaseVersion": "2.0.0" });
    assert!(server.post("releases/create/v1", again.clone()).await.refused(409).contains("exists already"));
    let mut ignore = again;
    ignore["IgnoreIfAlreadyExists"] = true.into();
    assert_eq!(server.post("releases/create/v1", ignore).await.expect(201)["ReleaseVersion"], "2.0");
    let found = server.get("projects/Projects-1/releases?searchByVersion=2.").await.expect(200);
    assert_eq!(found["TotalResults"], 4);
}

#[tokio::test]
async fn the_classic_way_takes_step_names_and_ignores_steps_without_a_package() {
    let server = TestServer::ready().await;
    let mut process = server.get("projects/Projects-1/deploymentprocesses").await.expect(200);
    process["Steps"] = json!([
        { "Name": "Tell", "Actions": [{ "Name": "Tell", "Properties": {} }] },
        { "Name": "Code", "Actions": [{ "Name": "Code", "Packages": [{ "PackageId": "Orders" }] }] },
    ]);
    server.put("projects/Projects-1/deploymentprocesses", process).await.expect(200);
    let body = |version: Value| {
        json!({
            "projectId": "Projects-1", "version": "3.0.0",
            "selectedPackages": [{ "stepName": "Tell", "version": "" }, { "stepName": "Code", "version": version }],
        })
    };
    assert!(server.post("releases", body(Value::Null)).await.refused(400).contains("no version is given"));
    let release = server.post("releases", body("1.0.0".into())).await.expect(201);
    assert_eq!(release["SelectedPackages"][0]["ActionName"], "Code");
}

#[tokio::test]
async fn a_release_keeps_its_bytes_when_the_package_is_overwritten() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    server.push("Orders.1.0.0.zip", b"changed", "?overwriteMode=OverwriteExisting").await.expect(201);
    server.deploy("1.0.0").await;
    let worker = server.worker("w1", "m1").await;
    let hand_out = worker.claim().await.unwrap();
    let path = format!("deployments/{}/package?fence={}", hand_out.deployment, hand_out.fence);
    let response = worker.request(reqwest::Method::GET, &path).send().await.unwrap();
    let one = package(b"one");
    assert_eq!(response.content_length(), Some(one.len() as u64));
    assert_eq!(response.bytes().await.unwrap(), one);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &one);
    assert_eq!(hand_out.package.sha256, hex::encode(digest));
}

#[tokio::test]
async fn where_no_version_is_given_a_pre_release_may_be() {
    let server = TestServer::ready().await;
    for version in ["1.1.0-beta", "1.1.0-beta.2", "1.2.0-alpha", "1.2.0"] {
        server.push(&format!("Orders.{version}.zip"), version.as_bytes(), "").await.expect(201);
    }
    let create = |more: Value| {
        let mut body = json!({ "ProjectName": "Orders" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("releases/create/v1", body)
    };
    for (more, version) in [
        (json!({ "PackagePrerelease": "BETA" }), "1.1.0-beta"),
        (json!({ "PackagePrerelease": "beta.*" }), "1.1.0-beta.2"),
        (json!({ "PackagePrerelease": "alpha" }), "1.2.0-alpha"),
        (json!({ "PackagePrerelease": " " }), "1.2.0"),
        // A version that is given is the one.
        (json!({ "PackagePrerelease": "beta", "PackageVersion": "1.0.0" }), "1.0.0"),
    ] {
        assert_eq!(create(more).await.expect(201)["ReleaseVersion"], version);
    }
    let none = create(json!({ "PackagePrerelease": "rc" })).await.refused(400);
    assert!(none.contains("of which no version has the pre-release `rc`"), "{none}");
    let unread = create(json!({ "PackagePrerelease": "(" })).await.refused(400);
    assert!(unread.contains("cannot be read"), "{unread}");
}
