//! Library variable sets: shared by projects, saved as a project's variables are, and never left to chance.

use octarm::protocol::Assignment;
use serde_json::{Value, json};

use super::TestServer;
use crate::support::server::Answer;

const OWN: &str = "variables/variableset-Projects-1";
const MARKER: &str = "s3cr3t-library-17";

fn set(id: u32) -> String {
    format!("variables/variableset-LibraryVariableSets-{id}")
}

async fn save(server: &TestServer, set: &str, variables: Value) -> Answer {
    let version = server.get(set).await.expect(200)["Version"].clone();
    server.put(set, json!({ "Version": version, "Variables": variables })).await
}

/// Makes the libraries `Common` and `Team`, which `Orders` includes.
async fn included(server: &TestServer) {
    for name in ["Common", "Team"] {
        server.post("libraryvariablesets", json!({ "Name": name })).await.expect(201);
    }
    include(server, json!(["LibraryVariableSets-2", "LibraryVariableSets-1"])).await.expect(200);
}

async fn include(server: &TestServer, libraries: Value) -> Answer {
    server.put("projects/Projects-1", json!({ "IncludedLibraryVariableSetIds": libraries })).await
}

fn given<'a>(hand_out: &'a Assignment, name: &str) -> &'a str {
    let found: Vec<_> = hand_out.variables.iter().filter(|variable| variable.name == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    &found[0].value
}

#[tokio::test]
async fn a_set_is_made_listed_changed_and_deleted() {
    let server = TestServer::ready().await;
    let path = "libraryvariablesets";
    let made = server.post(path, json!({ "Name": "Common", "Description": "for all" })).await.expect(201);
    assert_eq!(
        (&made["Id"], &made["VariableSetId"], &made["ContentType"]),
        (&json!("LibraryVariableSets-1"), &json!("variableset-LibraryVariableSets-1"), &json!("Variables"))
    );
    assert!(server.post(path, json!({ "Name": "common " })).await.refused(409).contains("exists already"));
    let scripts = server.post(path, json!({ "Name": "S", "ContentType": "ScriptModule" })).await.refused(400);
    assert!(scripts.contains("`ScriptModule`"), "{scripts}");
    let reads_as = server.post(path, json!({ "Name": "LibraryVariableSets-9" })).await.refused(400);
    assert!(reads_as.contains("reads as the id of something"), "{reads_as}");
    let another = server.post(path, json!({ "Name": "Another" })).await.expect(201);
    let listed = server.get("libraryvariablesets?contentType=Variables").await.expect(200);
    assert_eq!((&listed["TotalResults"], &listed["Items"][0]["Name"]), (&json!(2), &json!("Another")));
    let by_id = format!("ids={}", another["Id"].as_str().unwrap());
    for (query, count) in [("contentType=ScriptModule", 0), ("partialName=comm", 1), (&by_id, 1)] {
        let found = server.get(&format!("{path}?{query}")).await.expect(200);
        assert_eq!(found["TotalResults"], count, "{query}");
    }
    assert_eq!(server.get("libraryvariablesets/all").await.expect(200).as_array().unwrap().len(), 2);
    let changed = server.put("libraryvariablesets/common", json!({ "Name": "Shared" })).await.expect(200);
    assert_eq!((&changed["Name"], &changed["Description"]), (&json!("Shared"), &json!("for all")));
    let taken = server.put("libraryvariablesets/Shared", json!({ "Name": "another" })).await.refused(409);
    assert!(taken.contains("`another` exists already"), "{taken}");
    server.delete("libraryvariablesets/LibraryVariableSets-1").await.expect(200);
    for path in ["libraryvariablesets/LibraryVariableSets-1", &set(1)] {
        let text = server.get(path).await.refused(404);
        let text = text.to_lowercase();
        assert!(text.contains("library variable set `libraryvariablesets-1` does not exist"), "{text}");
    }
}

#[tokio::test]
async fn a_set_that_projects_include_cannot_be_deleted_and_says_which() {
    let server = TestServer::ready().await;
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let body = json!({ "Name": "Bills", "IncludedLibraryVariableSetIds": ["LibraryVariableSets-1"] });
    let made = server.post("projects", body).await.expect(201);
    assert_eq!(made["IncludedLibraryVariableSetIds"], json!(["LibraryVariableSets-1"]));
    include(&server, json!(["common"])).await.expect(200);
    let text = server.delete("libraryvariablesets/Common").await.refused(409);
    assert!(text.ends_with("it is included by project `Bills`, project `Orders`"), "{text}");
    // A change of something else leaves what is included.
    let kept = server.put("projects/Orders", json!({ "Description": "x" })).await.expect(200);
    assert_eq!(kept["IncludedLibraryVariableSetIds"], json!(["LibraryVariableSets-1"]));
    let text = include(&server, json!(["Common", "LibraryVariableSets-1"])).await.refused(400);
    assert!(text.contains("`Common` is included twice"), "{text}");
    let text = include(&server, json!(["Nobody"])).await.refused(400);
    assert!(text.contains("library variable set `Nobody` does not exist"), "{text}");
    include(&server, json!([])).await.expect(200);
    server.delete("projects/Bills").await.expect(200);
    server.delete("libraryvariablesets/Common").await.expect(200);
}

#[tokio::test]
async fn what_a_library_cannot_say_is_refused_by_name() {
    let server = TestServer::ready().await;
    included(&server).await;
    for (scope, expected) in [
        (
            json!({ "Action": ["Deploy"] }),
            "the scope of variable `A`: `Action` cannot be used: projects share",
        ),
        (json!({ "Channel": ["Default"] }), "`Channel` cannot be used: projects share"),
        (json!({ "ProcessOwner": ["Projects-1"] }), "`ProcessOwner` cannot be used: projects share"),
        (json!({ "Project": ["Projects-1"] }), "`Project` cannot be used: these variables hold in every"),
        (json!({ "Environment": ["Prod"] }), "environment `Prod` does not exist; known are: Dev"),
    ] {
        let text = save(&server, &set(1), json!([{ "Name": "A", "Scope": scope }])).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
    let saved = save(&server, &set(1), json!([{ "Name": "A", "Scope": { "Environment": ["dev"] } }]))
        .await
        .expect(200);
    assert_eq!(saved["Variables"][0]["Scope"], json!({ "Environment": ["Environments-1"] }));
    let values = &saved["ScopeValues"];
    assert_eq!(
        (&values["Actions"], &values["Channels"], &values["Processes"]),
        (&json!([]), &json!([]), &json!([]))
    );
    let text = server.put(&set(1), json!({ "Version": 0, "Variables": [] })).await.refused(409);
    assert!(text.contains("library variable set `Common` are at version 1"), "{text}");
}

#[tokio::test]
async fn a_tie_between_libraries_is_refused_where_it_would_come_to_be() {
    let server = TestServer::ready().await;
    included(&server).await;
    let value = |value: &str| json!([{ "Name": "A", "Value": value }]);
    let text =
        save(&server, &set(1), json!([{ "Name": "A", "Value": "1" }, { "Name": "a", "Value": "2" }])).await;
    assert!(text.refused(400).contains("two values of equal weight: `1` everywhere, and `2` everywhere"));
    save(&server, &set(1), value("1")).await.expect(200);
    // When the second set is saved.
    let text = save(&server, &set(2), value("2")).await.refused(400);
    assert_eq!(
        text,
        "in project `Orders` variable `A` has two values of equal weight: `2` everywhere in library variable set \
         `Team`, and `1` everywhere in library variable set `Common`: which one holds would be left to chance"
    );
    // Of another scope it is no tie.
    let narrower = json!([{ "Name": "A", "Value": "2", "Scope": { "Environment": ["Dev"] } }]);
    save(&server, &set(2), narrower).await.expect(200);
    // When the second set is included, by whoever.
    include(&server, json!(["Common"])).await.expect(200);
    save(&server, &set(2), value("2")).await.expect(200);
    let text = include(&server, json!(["Common", "Team"])).await.refused(400);
    assert!(text.contains("in project `Orders` variable `A` has two values"), "{text}");
    let body = json!({ "Name": "Bills", "IncludedLibraryVariableSetIds": ["Common", "Team"] });
    let text = server.post("projects", body).await.refused(400);
    assert!(text.contains("in project `Bills` variable `A` has two values"), "{text}");
    let shown = server.get("projects/Projects-1").await.expect(200);
    assert_eq!(shown["IncludedLibraryVariableSetIds"], json!(["LibraryVariableSets-1"]));
    // The project's own value beats it, so that one is no tie either.
    save(&server, OWN, value("0")).await.expect(200);
}

#[tokio::test]
async fn of_two_changes_that_tie_together_at_the_same_moment_one_is_refused() {
    let server = TestServer::ready().await;
    included(&server).await;
    let value = |value: &str| json!([{ "Name": "A", "Value": value }]);
    save(&server, &set(1), value("1")).await.expect(200);
    for _ in 0..5 {
        include(&server, json!([])).await.expect(200);
        save(&server, &set(2), json!([])).await.expect(200);
        let (included, set_two) = (json!(["Common", "Team"]), set(2));
        let (one, other) = tokio::join!(include(&server, included), save(&server, &set_two, value("2")));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{} {}", one.body, other.body);
    }
}

#[tokio::test]
async fn the_worker_gets_library_values_where_nothing_weighs_more_and_the_projects_own_at_a_tie() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    included(&server).await;
    let dev = json!({ "Environment": ["Dev"] });
    let shared = json!([
        { "Name": "OnlyShared", "Value": "shared" },
        { "Name": "Tie", "Value": "shared" },
        { "Name": "Narrower", "Value": "shared", "Scope": dev },
        { "Name": "Elsewhere", "Value": "shared", "Scope": { "Environment": ["Test"] } },
        { "Name": "Wider", "Value": "shared" },
        { "Name": "Password", "Value": MARKER, "IsSensitive": true },
    ]);
    let saved = save(&server, &set(1), shared).await.expect(200);
    assert_eq!(saved["Variables"][5]["Value"], Value::Null);
    // What was read is sent back: null keeps the value.
    server.put(&set(1), saved).await.expect(200);
    save(&server, &set(2), json!([{ "Name": "OfTeam", "Value": "team" }])).await.expect(200);
    let own = json!([
        { "Name": "tie", "Value": "own" },
        { "Name": "Narrower", "Value": "own" },
        { "Name": "Elsewhere", "Value": "own" },
        { "Name": "Wider", "Value": "own", "Scope": dev },
    ]);
    save(&server, OWN, own).await.expect(200);
    server.release("1.0.0").await;
    server.deploy("1.0.0").await;
    let hand_out = server.worker("w1", "m1").await.claim().await.unwrap();
    for (name, expected) in [
        ("OnlyShared", "shared"),
        ("tie", "own"),
        ("Narrower", "shared"),
        ("Elsewhere", "own"),
        ("Wider", "own"),
        ("OfTeam", "team"),
        ("Password", MARKER),
    ] {
        assert_eq!(given(&hand_out, name), expected, "{name}");
    }
    assert!(hand_out.variables.iter().any(|variable| variable.name == "Password" && variable.sensitive));
    for path in [&set(1), "releases/Releases-1", "variables/preview?project=Orders"] {
        assert!(!server.get(path).await.expect(200).to_string().contains(MARKER), "{path}");
    }
    assert!(!server.has_stored(MARKER).await);
}

#[tokio::test]
async fn a_sealed_value_opens_in_its_own_set_only() {
    let server = TestServer::ready().await;
    included(&server).await;
    let variable = json!([{ "Id": "same", "Name": "Password", "Value": MARKER, "IsSensitive": true }]);
    save(&server, &set(1), variable).await.expect(200);
    // Under the same id in another set nothing is stored.
    let kept = json!([{ "Id": "same", "Name": "Password", "IsSensitive": true }]);
    let text = save(&server, OWN, kept).await.refused(400);
    assert!(text.contains("sensitive variable `Password` has no value"), "{text}");
}

#[tokio::test]
async fn names_and_what_would_hold_are_told_without_secrets() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    server.worker("w1", "m1").await;
    included(&server).await;
    save(&server, &set(1), json!([{ "Name": "A", "Value": "shared" }, { "Name": "B", "Value": "b" }]))
        .await
        .expect(200);
    let own = json!([
        { "Name": "a", "Value": "dev", "Scope": { "Environment": ["Dev"] } },
        { "Name": "A", "Value": "machine", "Scope": { "Machine": ["w1"] } },
        { "Name": "A", "Value": "action", "Scope": { "Action": ["Deploy"] } },
        { "Name": "C", "Value": "channel", "Scope": { "Channel": ["Default"] } },
        { "Name": "Password", "Value": MARKER, "IsSensitive": true },
    ]);
    save(&server, OWN, own).await.expect(200);
    server.post("libraryvariablesets", json!({ "Name": "Apart" })).await.expect(201);
    save(&server, &set(3), json!([{ "Name": "Z" }])).await.expect(200);
    let names = async |query: &str| server.get(&format!("variables/names{query}")).await;
    assert_eq!(names("?project=Projects-1").await.expect(200), json!(["a", "B", "C", "Password"]));
    assert_eq!(names("").await.expect(200), json!(["a", "B", "C", "Password", "Z"]));
    for (query, a, set) in [
        ("environment=Test", "shared", "variableset-LibraryVariableSets-1"),
        ("environment=Environments-1", "dev", "variableset-Projects-1"),
        ("environment=dev&machine=w1", "machine", "variableset-Projects-1"),
        ("environment=dev&machine=Machines-1&action=deploy", "action", "variableset-Projects-1"),
    ] {
        let shown = server.get(&format!("variables/preview?project=Orders&{query}")).await.expect(200);
        let rows = shown["Variables"].as_array().unwrap();
        let found: Vec<_> =
            rows.iter().filter(|row| row["Name"].as_str().unwrap().eq_ignore_ascii_case("a")).collect();
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!((&found[0]["Value"], &found[0]["VariableSetId"]), (&json!(a), &json!(set)), "{query}");
        assert!(!rows.iter().any(|row| row["Name"] == "C"), "{query}");
    }
    let shown = server.get("variables/preview?project=Orders&channel=Default").await.expect(200);
    let rows = shown["Variables"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["Value"] == "channel"));
    assert!(rows.iter().any(|row| row["Name"] == "Password" && row["Value"].is_null()));
    for (query, expected) in [
        ("", "`project` is missing"),
        ("project=Orders&environment=Prod", "environment `Prod` does not exist; known are: Dev, Test"),
        ("project=Orders&role=web", "`Role` cannot be used"),
        ("project=Orders&tenant=Tenants-1", "has no tenants"),
    ] {
        let text = server.get(&format!("variables/preview?{query}")).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
}
