//! The rules that hold for every call of the Octopus side.

use reqwest::Method;
use serde_json::json;

use super::TestServer;
use crate::support::server::Answer;

#[tokio::test]
async fn only_a_key_opens_the_door() {
    let server = TestServer::start().await;
    let url = format!("{}/api", server.address);
    let plain = || server.http.get(&url);
    assert!(Answer::of(plain()).await.refused(401).contains("no API key was sent"));
    assert!(
        Answer::of(plain().header("X-Octopus-ApiKey", "")).await.refused(401).contains("no API key was sent")
    );
    let wrong = plain().header("X-Octopus-ApiKey", "API-WRONG");
    assert!(Answer::of(wrong).await.refused(401).contains("not one of this server's"));
    Answer::of(plain().bearer_auth(&server.key)).await.expect(200);
    let form = server.key.strip_prefix("API-").unwrap();
    assert!(form.len() == 32 && form.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{form}");
}

#[tokio::test]
async fn the_root_says_what_clients_ask_for() {
    let server = TestServer::start().await;
    let root = server.get("/api/").await.expect(200);
    assert_eq!((&root["Application"], &root["Version"]), (&json!("octarm"), &json!("2024.4.0")));
    assert_eq!(root["ApiVersion"], "3.0.0");
    let id: uuid::Uuid = root["InstallationId"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
    assert!(root["Links"]["PackageUpload"].as_str().unwrap().contains("overwriteMode"));
    assert!(root["Links"].get("PackageDeltaSignature").is_none());
    assert_eq!(server.get("/api/Spaces-1/").await.expect(200)["Id"], "Spaces-1");
    assert_eq!(server.get("/api/spaces/all").await.expect(200)[0]["Name"], "Default");
    let found = server.get("/api/spaces?partialName=Default&skip=0&take=2147483647").await.expect(200);
    assert_eq!(found["Items"][0]["Id"], "Spaces-1");
    assert_eq!(server.get("/api/users/me").await.expect(200)["IsActive"], true);
}

#[tokio::test]
async fn one_resource_has_three_prefixes_and_any_case() {
    let server = TestServer::start().await;
    server.post("/api/environments", json!({ "name": "Dev", "spaceName": "ignored" })).await.expect(201);
    for path in [
        "/api/environments/all",
        "/api/Environments/ALL/",
        "/api/spaces-1/environments/all",
        "/api/spaces/Spaces-1/environments/all",
    ] {
        assert_eq!(server.get(path).await.expect(200)[0]["Name"], "Dev", "{path}");
    }
    let text = server.get("/api/Spaces-9/environments").await.refused(404);
    assert!(text.contains("`spaces-9` does not exist"), "{text}");
}

#[tokio::test]
async fn errors_are_json_whatever_is_wrong() {
    let server = TestServer::start().await;
    assert!(server.get("nowhere").await.refused(404).contains("there is nothing at `/api/nowhere`"));
    let nowhere = server.get("/api/worker/v1/nowhere").await.expect(404);
    assert_eq!(nowhere["error"]["message"], "there is nothing at `/api/worker/v1/nowhere`");
    let wrong = server.get("/api/worker/v1/claim").await.expect(405);
    assert_eq!(wrong["error"]["message"], "`/api/worker/v1/claim` does not take the method GET");
    assert!(server.delete("projects").await.refused(405).contains("DELETE"));
    assert!(
        server.get("environments?take=many").await.refused(400).contains("`take` must be a whole number")
    );
    let broken = server.request(Method::POST, "environments").body("{");
    assert!(Answer::of(broken).await.refused(400).contains("is not JSON"));
    let wrong = server.post("environments", json!({ "Name": 7 })).await.refused(400);
    assert_eq!(wrong, "`Name` must be a text");
    assert!(server.get("/api/worker/v1/nowhere").await.code(404) == "not_found");
}

#[tokio::test]
async fn lists_come_in_pages_that_end() {
    let server = TestServer::start().await;
    for name in ["A", "B", "C"] {
        server.post("environments", json!({ "Name": name })).await.expect(201);
    }
    let first = server.get("environments?take=2").await.expect(200);
    assert_eq!(first["Items"].as_array().unwrap().len(), 2);
    assert_eq!((&first["TotalResults"], &first["NumberOfPages"]), (&json!(3), &json!(2)));
    let next = first["Links"]["Page.Next"].as_str().unwrap().to_owned();
    let last = server.get(&next).await.expect(200);
    assert_eq!(last["Items"][0]["Name"], "C");
    assert_eq!(last["ItemsPerPage"], 2);
    assert!(last["Links"].get("Page.Next").is_none());
    let whole = server.get("environments?skip=2147483647&take=2147483647").await.expect(200);
    assert_eq!(whole["Items"], json!([]));
    let two = server.get("environments?ids=Environments-1%2CEnvironments-3").await.expect(200);
    assert_eq!(two["TotalResults"], 2);
}
