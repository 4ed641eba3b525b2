//! Names that a person may give, and what they mean where an id may stand too.

use serde_json::json;

use super::TestServer;

#[tokio::test]
async fn a_name_that_reads_as_something_else_is_refused() {
    let server = TestServer::ready().await;
    for name in ["Environments-1", "environments-7", "PROJECTS-2", "ServerTasks-1", "Environments 1"] {
        for kind in ["environments", "projects"] {
            let text = server.post(kind, json!({ "Name": name })).await.refused(400);
            assert!(text.contains(&format!("`{name}` cannot be the name of the ")), "{text}");
            assert!(text.contains("it reads as the id of something"), "{text}");
        }
        assert_eq!(server.register(name, "m1", json!({})).await.code(400), "invalid");
    }
    for (kind, name) in [("environments", "All"), ("environments", "v2"), ("projects", "all")] {
        let text = server.post(kind, json!({ "Name": name })).await.refused(400);
        assert!(text.contains("it reads as a word of the API"), "{text}");
    }
    for name in ["Environments", "eu-west-1", "Environments-x", "v3"] {
        server.post("environments", json!({ "Name": name })).await.expect(201);
    }
    let turned = server.post("environments", json!({ "Name": "a\u{202e}b" })).await.refused(400);
    assert!(turned.contains("none of them a control character"), "{turned}");
}

#[tokio::test]
async fn names_with_one_slug_are_two_things() {
    let server = TestServer::start().await;
    for kind in ["environments", "projects"] {
        for (name, slug) in [("a b", "a-b"), ("a-b", "a-b-2"), ("A_b", "a-b-3")] {
            let made = server.post(kind, json!({ "Name": name })).await.expect(201);
            assert_eq!((&made["Name"], &made["Slug"]), (&json!(name), &json!(slug)));
        }
        for (named, name) in [("a-b", "a-b"), ("a%20b", "a b"), ("a-b-3", "A_b")] {
            assert_eq!(
                server.get(&format!("{kind}/{named}")).await.expect(200)["Name"],
                name,
                "{kind}/{named}"
            );
        }
        let text = server.post(kind, json!({ "Name": "A B" })).await.refused(409);
        assert!(text.contains("`A B` exists already"), "{text}");
    }
}
