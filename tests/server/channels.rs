//! Channels: their rules, and which one a release is in.

use serde_json::{Value, json};

use super::TestServer;

/// A server with packages 1.0.0, 1.5.0-beta.1 and 2.0.0 of `Orders`.
async fn ready() -> TestServer {
    let server = TestServer::ready().await;
    for version in ["1.5.0-beta.1", "2.0.0"] {
        server.push(&format!("Orders.{version}.zip"), version.as_bytes(), "").await.expect(201);
    }
    server
}

fn stable() -> Value {
    let rules = json!([{
        "VersionRange": "[1.0,2.0)", "Tag": "^$",
        "ActionPackages": [{ "DeploymentAction": "Deploy", "PackageReference": "" }],
    }]);
    json!({ "ProjectId": "Projects-1", "Name": "Stable", "Rules": rules })
}

async fn release(server: &TestServer, more: Value) -> crate::support::server::Answer {
    let mut body = json!({ "ProjectName": "Orders" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("releases/create/v1", body).await
}

#[tokio::test]
async fn one_channel_is_the_default_one() {
    let server = ready().await;
    let made = server.post("channels", stable()).await.expect(201);
    assert_eq!(
        (&made["Id"], &made["IsDefault"], &made["LifecycleId"]),
        (&json!("Channels-2"), &json!(false), &Value::Null)
    );
    assert!(!made["Rules"][0]["Id"].as_str().unwrap().is_empty());
    assert_eq!(made["Rules"][0]["VersionRange"], "[1.0,2.0)");
    assert_eq!(server.get("channels/Channels-2").await.expect(200), made);
    assert_eq!(server.get("projects/Orders/channels").await.expect(200)["TotalResults"], 2);
    let text = server.post("projects/Orders/channels", json!({ "Name": "stable" })).await.refused(409);
    assert_eq!(text, "project `Orders` has a channel `stable` already");
    let text = server.delete("channels/Channels-1").await.refused(409);
    assert!(text.contains("it is the default one of its project"), "{text}");
    let text = server
        .put("channels/Channels-1", json!({ "Name": "Default", "IsDefault": false }))
        .await
        .refused(400);
    assert!(text.contains("make another one the default"), "{text}");
    // What is not said stays.
    let renamed = server.put("channels/Channels-1", json!({ "Name": "Old" })).await.expect(200);
    assert_eq!(renamed["IsDefault"], true);
    let mut changed = made;
    changed["IsDefault"] = true.into();
    server.put("channels/Channels-2", changed).await.expect(200);
    let all = server.get("channels/all").await.expect(200);
    let defaults: Vec<&Value> = all.as_array().unwrap().iter().map(|channel| &channel["IsDefault"]).collect();
    assert_eq!(defaults, [false, true]);
    release(&server, json!({})).await.expect(201);
    assert_eq!(server.get("releases/Releases-1").await.expect(200)["ChannelId"], "Channels-2");
    server.delete("channels/Channels-1").await.expect(200);
    server.get("channels/Channels-1").await.refused(404);
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused_in_words() {
    let server = ready().await;
    for (rule, expected) in [
        (
            json!({ "VersionRange": "[2.0,1.0]" }),
            "rule 1 of channel `C`: `[2.0,1.0]` is not a range of versions",
        ),
        (
            json!({ "Tag": "(" }),
            "rule 1 of channel `C`: the expression for the pre-release, `(`, cannot be read",
        ),
        (
            json!({ "ActionPackages": [{ "DeploymentAction": "Deplyo" }] }),
            "rule 1 of channel `C`: project `Orders` has no action `Deplyo`; it has `Deploy`",
        ),
    ] {
        let body = json!({ "ProjectId": "Orders", "Name": "C", "Rules": [rule] });
        let text = server.post("channels", body).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
    let body = json!({ "ProjectId": "Orders", "Name": "C", "LifecycleId": "Nope" });
    assert_eq!(server.post("channels", body).await.refused(404), "lifecycle `Nope` does not exist");
}

#[tokio::test]
async fn the_newest_package_that_the_rules_let_in_is_taken() {
    let server = ready().await;
    server.post("channels", stable()).await.expect(201);
    let made = release(&server, json!({ "ChannelName": "stable" })).await.expect(201);
    assert_eq!(made["ReleaseVersion"], "1.0.0");
    // The default channel has no rules.
    assert_eq!(release(&server, json!({})).await.expect(201)["ReleaseVersion"], "2.0.0");
    let beta = json!({ "Name": "Beta", "Rules": [{ "Tag": "^beta" }] });
    server.post("projects/Orders/channels", beta).await.expect(201);
    let made = release(&server, json!({ "ChannelName": "Channels-3" })).await.expect(201);
    assert_eq!(made["ReleaseVersion"], "1.5.0-beta.1");
    let of_channel = server.get("projects/Orders/channels/Channels-3/releases").await.expect(200);
    assert_eq!(
        (&of_channel["TotalResults"], &of_channel["Items"][0]["Version"]),
        (&json!(1), &json!("1.5.0-beta.1"))
    );
    let future = json!({ "Name": "Future", "Rules": [{ "VersionRange": "3.0" }] });
    server.post("projects/Orders/channels", future).await.expect(201);
    assert_eq!(
        release(&server, json!({ "ChannelName": "Future" })).await.refused(400),
        "no version of package `Orders` may be in this channel; of the highest one this holds: package `Orders` version \
         2.0.0 of step `Deploy` is against rule 1 of channel `Future`: it does not lie in `3.0`"
    );
    let text = server.delete("channels/Channels-3").await.refused(409);
    assert_eq!(text, "channel `Beta` cannot be deleted: these releases are in it: 1.5.0-beta.1");
}

#[tokio::test]
async fn a_package_against_the_rules_is_refused_unless_somebody_insists() {
    let server = ready().await;
    server.post("channels", stable()).await.expect(201);
    let text =
        release(&server, json!({ "ChannelName": "Stable", "PackageVersion": "2.0.0" })).await.refused(400);
    assert_eq!(
        text,
        "package `Orders` version 2.0.0 of step `Deploy` is against rule 1 of channel `Stable`: it does not lie in \
         `[1.0,2.0)`"
    );
    let text = release(&server, json!({ "ChannelName": "Stable", "Packages": ["*:1.5.0-beta.1"] }))
        .await
        .refused(400);
    assert!(text.ends_with("its pre-release `beta.1` does not match `^$`"), "{text}");
    let insisted = json!({ "ChannelName": "Stable", "PackageVersion": "2.0.0", "IgnoreChannelRules": true });
    release(&server, insisted).await.expect(201);
    assert_eq!(server.get("releases/Releases-1").await.expect(200)["IgnoreChannelRules"], true);
    let classic = |version: &str| {
        json!({
            "ProjectId": "Projects-1", "ChannelId": "Channels-2", "Version": version,
            "SelectedPackages": [{ "ActionName": "Deploy", "Version": "2.0.0" }],
        })
    };
    assert!(server.post("releases", classic("3.0")).await.refused(400).contains("against rule 1"));
    let made = server.post("releases?ignoreChannelRules=true", classic("3.0")).await.expect(201);
    assert_eq!((&made["ChannelId"], &made["IgnoreChannelRules"]), (&json!("Channels-2"), &json!(true)));
}

#[tokio::test]
async fn a_rule_for_an_action_that_is_gone_is_not_passed_over() {
    let server = ready().await;
    let mut process = server.get("projects/Orders/deploymentprocesses").await.expect(200);
    let step = |name: &str| json!({ "Name": name, "Actions": [{ "Name": name, "Packages": [{ "PackageId": "Orders" }] }] });
    process["Steps"] = json!([step("Deploy"), { "Name": "Tell", "Actions": [{ "Name": "Tell" }] }]);
    let mut process = server.put("projects/Orders/deploymentprocesses", process).await.expect(200);
    server.post("channels", stable()).await.expect(201);
    let tell = json!({ "VersionRange": "9.0", "ActionPackages": [{ "DeploymentAction": "Tell" }] });
    server
        .post("channels", json!({ "ProjectId": "Orders", "Name": "Tell", "Rules": [tell] }))
        .await
        .expect(201);
    // For another action.
    release(&server, json!({ "ChannelName": "Tell", "PackageVersion": "2.0.0" })).await.expect(201);
    process["Steps"] = json!([step("Ship")]);
    server.put("projects/Orders/deploymentprocesses", process).await.expect(200);
    let text =
        release(&server, json!({ "ChannelName": "Stable", "PackageVersion": "1.0.0" })).await.refused(400);
    assert!(text.contains("names action `Deploy`, which project `Orders` no longer has"), "{text}");
}

#[tokio::test]
async fn a_rule_can_be_tried_before_it_is_saved() {
    let server = ready().await;
    let ask = async |body: Value| server.post("channels/rule-test", body).await.expect(200);
    let answer =
        ask(json!({ "version": "1.5-beta", "versionRange": "[1.0,2.0)", "preReleaseTag": "^$" })).await;
    assert_eq!(
        answer,
        json!({ "Errors": [], "SatisfiesVersionRange": true, "SatisfiesPreReleaseTag": false })
    );
    let answer =
        ask(json!({ "Version": "2.5-beta", "VersionRange": "[1.0,2.0)", "PreReleaseTag": "^be" })).await;
    assert_eq!(
        answer,
        json!({ "Errors": [], "SatisfiesVersionRange": false, "SatisfiesPreReleaseTag": true })
    );
    let answer = ask(json!({ "Version": "x", "VersionRange": "[", "PreReleaseTag": "(" })).await;
    assert_eq!(answer["Errors"].as_array().unwrap().len(), 3);
    assert_eq!(answer["SatisfiesVersionRange"], false);
    let query = "channels/rule-test?version=1.5&versionRange=%5B1.0%2C2.0%29&preReleaseTag=%5E%24";
    let answer = server.get(query).await.expect(200);
    assert_eq!(
        answer,
        json!({ "Errors": [], "SatisfiesVersionRange": true, "SatisfiesPreReleaseTag": true })
    );
    let root = server.get("/api").await.expect(200);
    assert!(root["Links"]["VersionRuleTest"].as_str().unwrap().contains("channels/rule-test"));
    // A key that may only read may ask.
    let key = server.post("apikeys", json!({ "Name": "reader", "Permissions": ["read"] })).await.expect(201);
    let url = format!("{}/api/channels/rule-test", server.address);
    let request = server.http.post(url).header("X-Octopus-ApiKey", key["ApiKey"].as_str().unwrap());
    let answer = request.json(&json!({ "Version": "1.0" })).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_template_of_a_release_tells_what_it_needs() {
    let server = ready().await;
    let path = "deploymentprocesses/deploymentprocess-Projects-1/template";
    let template = server.get(path).await.expect(200);
    assert_eq!(
        (&template["LastReleaseVersion"], &template["VersioningPackageStepName"]),
        (&Value::Null, &json!("Deploy"))
    );
    let package = &template["Packages"][0];
    assert_eq!((&package["PackageId"], &package["FeedId"]), (&json!("Orders"), &json!("feeds-builtin")));
    assert_eq!(package["VersionSelectedLastRelease"], Value::Null);
    server.post("channels", stable()).await.expect(201);
    release(&server, json!({ "ChannelName": "Stable", "ReleaseVersion": "7" })).await.expect(201);
    release(&server, json!({ "ReleaseVersion": "8" })).await.expect(201);
    let of_channel = server.get(&format!("{path}?channel=Channels-2")).await.expect(200);
    assert_eq!((&of_channel["LastReleaseVersion"]), (&json!("7")));
    assert_eq!(of_channel["Packages"][0]["VersionSelectedLastRelease"], "1.0.0");
    assert_eq!(server.get(path).await.expect(200)["LastReleaseVersion"], "8");
}
