//! Prompted variables: what is asked for, what is refused, and who gets what was given.

use octarm::{model::Variable, protocol::Assignment};
use serde_json::{Value, json};

use super::TestServer;
use crate::support::{
    process::Program,
    server::{Answer, success},
};

const SET: &str = "variables/variableset-Projects-1";
const MARKER: &str = "s3cr3t-prompted-23";

async fn save(server: &TestServer, variables: Value) -> Value {
    let version = server.get(SET).await.expect(200)["Version"].clone();
    server.put(SET, json!({ "Version": version, "Variables": variables })).await.expect(200)
}

async fn deploy(server: &TestServer, environments: &[&str], variables: Value) -> Answer {
    let body = json!({
        "ProjectName": "Orders", "ReleaseVersion": "1.0.0", "EnvironmentNames": environments, "Variables": variables,
    });
    server.post("deployments/create/untenanted/v1", body).await
}

async fn classic(server: &TestServer, form: Value) -> Answer {
    let body = json!({ "ReleaseId": "Releases-1", "EnvironmentId": "Dev", "FormValues": form });
    server.post("deployments", body).await
}

fn given(hand_out: &Assignment, name: &str) -> Option<Variable> {
    let mut found = hand_out.variables.iter().filter(|variable| variable.name == name);
    let value = found.next().cloned();
    assert!(found.next().is_none(), "{name}");
    value
}

#[tokio::test]
async fn a_prompt_is_kept_and_shown_as_it_was_sent() {
    let server = TestServer::ready().await;
    let display = json!({ "Octopus.ControlType": "Select", "Octopus.SelectOptions": "a|A\nb|B" });
    let prompt = json!({ "Label": "Why now?", "Description": "for the log", "Required": true, "DisplaySettings": display });
    let saved = save(&server, json!([{ "Name": "Reason", "Prompt": prompt }])).await;
    assert_eq!(saved["Variables"][0]["Prompt"], prompt);
    // Clients read this list of all variables of a name that they give a value for.
    assert_eq!(saved["Variables"][0]["Scope"]["Environment"], json!([]));
    let again = server.put(SET, saved.clone()).await.expect(200);
    assert_eq!(again["Variables"], saved["Variables"]);
    server.release("1.0.0").await;
    let preview = server.get("releases/Releases-1/deployments/preview/Dev").await.expect(200);
    let element = &preview["Form"]["Elements"][0];
    assert_eq!(
        (&element["IsValueRequired"], &element["Control"]["Label"]),
        (&json!(true), &json!("Why now?"))
    );
    assert_eq!(element["Control"]["DisplaySettings"], display);
    let version = again["Version"].clone();
    for (prompt, expected) in [
        (json!("yes"), "the prompt of variable `Reason`: `Prompt` must be an object"),
        (json!({ "Required": "yes" }), "the prompt of variable `Reason`: `Required` must be true or false"),
    ] {
        let body = json!({ "Version": version, "Variables": [{ "Name": "Reason", "Prompt": prompt }] });
        let text = server.put(SET, body).await.refused(400);
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn what_is_missing_or_not_asked_for_is_refused_by_name() {
    let server = TestServer::ready().await;
    let required = json!({ "Label": "Why now?", "Required": true });
    let saved = save(
        &server,
        json!([
            { "Name": "Reason", "Prompt": required },
            { "Name": "Size", "Value": "1" },
            { "Name": "Speed", "Value": "1", "Prompt": {} },
        ]),
    )
    .await;
    let id = |place: usize| saved["Variables"][place]["Id"].as_str().unwrap().to_owned();
    server.release("1.0.0").await;
    let missing = "variable `Reason` (`Why now?`) must be given a value with each deployment";
    for (variables, expected) in [
        (json!({}), missing),
        (json!({ "Reason": " \n" }), missing),
        (
            json!({ "Raeson": "x" }),
            "variable `Raeson` is none of release 1.0.0 of project `Orders`: the nearest that is asked for is `Reason`",
        ),
        (
            json!({ "Reason": "x", "size": "2" }),
            "variable `Size` of release 1.0.0 of project `Orders` is not prompted, so no value can be given for it with \
             a deployment: the nearest that is asked for is `Speed`",
        ),
        (json!({ "Reason": "x", "reason": "y" }), "variable `Reason` is given twice"),
    ] {
        assert_eq!(deploy(&server, &["Dev"], variables).await.refused(400), expected);
    }
    for (form, expected) in [
        (json!({}), missing),
        (json!({ (id(0)): "" }), missing),
        (
            json!({ (id(0)): "x", (id(1)): "2" }),
            "variable `Size` of release 1.0.0 of project `Orders` is not prompted",
        ),
        (json!({ "nobody": "x" }), "`nobody` is the id of no variable of release 1.0.0"),
    ] {
        let text = classic(&server, form).await.refused(400);
        assert!(text.starts_with(expected), "{text}");
    }
    assert_eq!(server.get("deployments").await.expect(200)["TotalResults"], 0);
    // What is not required may be left out, and may be blank.
    let worker = server.worker("w1", "m1").await;
    deploy(&server, &["Dev"], json!({ "REASON": "x" })).await.expect(201);
    classic(&server, json!({ (id(0).to_uppercase()): "y", (id(2)): "" })).await.expect(201);
    for (reason, speed) in [("x", "1"), ("y", "")] {
        let hand_out = worker.claim().await.unwrap();
        assert_eq!(given(&hand_out, "Reason").unwrap().value, reason);
        assert_eq!(given(&hand_out, "Speed").unwrap().value, speed);
        worker.finish(&hand_out, success(), b"").await.expect(200);
    }
}

#[tokio::test]
async fn a_release_that_asks_for_nothing_says_so() {
    let server = TestServer::ready().await;
    server.release("1.0.0").await;
    let text = deploy(&server, &["Dev"], json!({ "A": "x" })).await.refused(400);
    assert_eq!(text, "variable `A` is none of release 1.0.0 of project `Orders`: it asks for none");
}

#[tokio::test]
async fn a_value_goes_only_where_it_is_asked_for() {
    let server = TestServer::ready().await;
    server.post("environments", json!({ "Name": "Test" })).await.expect(201);
    let asked = json!({ "Name": "A", "Value": "", "Prompt": { "Required": true }, "Scope": { "Environment": ["Test"] } });
    save(&server, json!([{ "Name": "A", "Value": "usual" }, asked])).await;
    server.release("1.0.0").await;
    let text = deploy(&server, &["Dev"], json!({ "A": "given" })).await.refused(400);
    assert!(
        text.contains("`A` of release 1.0.0 of project `Orders` is prompted, but not in `Dev`"),
        "{text}"
    );
    let made = deploy(&server, &["Dev", "Test"], json!({ "A": "given" })).await.expect(201);
    assert_eq!(made["DeploymentServerTasks"].as_array().unwrap().len(), 2);
    let dev = server.worker("w1", "m1").await;
    assert_eq!(given(&dev.claim().await.unwrap(), "A").unwrap().value, "usual");
    let answer = server.register("w2", "m2", json!({ "environment": "Test" })).await.expect(200);
    let test = crate::support::server::TestWorker::new(&server, &answer, "m2");
    test.session().await.expect(200);
    assert_eq!(given(&test.claim().await.unwrap(), "A").unwrap().value, "given");
}

#[tokio::test]
async fn on_each_machine_the_value_that_holds_there_is_asked_for() {
    let server = TestServer::ready().await;
    let one = server.worker("w1", "m1").await;
    let two = server.worker("w2", "m2").await;
    let on = |machine: &str| json!({ "Name": "A", "Prompt": {}, "Scope": { "Machine": [machine] } });
    let saved = save(&server, json!([{ "Name": "A", "Value": "usual" }, on("w1"), on("w2")])).await;
    server.release("1.0.0").await;
    let id = |place: usize| saved["Variables"][place]["Id"].as_str().unwrap().to_owned();
    // Whoever fills in the form does not know which machine will take it.
    let preview = server.get("releases/Releases-1/deployments/preview/Dev").await.expect(200);
    let elements = preview["Form"]["Elements"].as_array().unwrap();
    let names: Vec<_> = elements.iter().map(|element| element["Name"].as_str().unwrap()).collect();
    assert_eq!(names, [id(1), id(2)]);
    // Two values of one name, by id.
    for (worker, expected) in [(&one, "first"), (&two, "second")] {
        classic(&server, json!({ (id(1)): "first", (id(2)): "second" })).await.expect(201);
        let hand_out = worker.claim().await.unwrap();
        assert_eq!(given(&hand_out, "A").unwrap().value, expected);
        worker.finish(&hand_out, success(), b"").await.expect(200);
    }
    // Given for one of them it is not for the other.
    classic(&server, json!({ (id(1)): "first" })).await.expect(201);
    assert_eq!(given(&two.claim().await.unwrap(), "A").unwrap().value, "");
}

#[tokio::test]
async fn a_sensitive_value_is_hidden_wherever_it_goes() {
    let server = TestServer::ready().await;
    let secret = json!({ "Name": "Password", "Value": "stored-one", "IsSensitive": true, "Prompt": { "Required": true } });
    let saved = save(&server, json!([secret])).await;
    let id = saved["Variables"][0]["Id"].as_str().unwrap().to_owned();
    server.release("1.0.0").await;
    let short = deploy(&server, &["Dev"], json!({ "Password": "abc" })).await.refused(400);
    assert!(short.contains("shorter than 4 characters"), "{short}");
    deploy(&server, &["Dev"], json!({ "password": MARKER })).await.expect(201);
    // A form that is sent back as it was shown holds nothing of a hidden value: the stored one is meant.
    classic(&server, json!({ (id): "" })).await.expect(201);
    let worker = server.worker("w1", "m1").await;
    for expected in [MARKER, "stored-one"] {
        let hand_out = worker.claim().await.unwrap();
        assert_eq!(given(&hand_out, "Password"), Some(Variable::sensitive("Password", expected)));
        worker.finish(&hand_out, success(), b"").await.expect(200);
    }
    for path in ["deployments/Deployments-1", "tasks/ServerTasks-1/details", "releases/Releases-1", SET] {
        assert!(!server.get(path).await.expect(200).to_string().contains(MARKER), "{path}");
    }
    assert!(server.has_stored("Password").await && !server.has_stored(MARKER).await);
}

#[tokio::test]
async fn a_secret_that_is_asked_for_needs_no_value_before() {
    let server = TestServer::ready().await;
    let secret = |value: Value| json!([{ "Id": "p", "Name": "Password", "Value": value, "IsSensitive": true, "Prompt": { "Required": true } }]);
    save(&server, secret(Value::Null)).await;
    server.release("1.0.0").await;
    let text = deploy(&server, &["Dev"], json!({ "Password": "" })).await.refused(400);
    assert!(text.contains("variable `Password` must be given a value"), "{text}");
    deploy(&server, &["Dev"], json!({ "Password": MARKER })).await.expect(201);
    // A stored value stays where none is sent, and goes where an empty one is.
    for (value, status) in [("stored-one".into(), 201), (Value::Null, 201), ("".into(), 400)] {
        save(&server, secret(value)).await;
        server.post("releases/Releases-1/snapshot-variables", json!({})).await.expect(200);
        let answer = deploy(&server, &["Dev"], json!({})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_variable_of_a_library_may_be_prompted_for() {
    let server = TestServer::ready().await;
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let body = json!({ "IncludedLibraryVariableSetIds": ["Common"] });
    server.put("projects/Projects-1", body).await.expect(200);
    let variables = json!([{ "Name": "Ticket", "Prompt": { "Label": "Number", "Required": true } }]);
    let path = "variables/variableset-LibraryVariableSets-1";
    server.put(path, json!({ "Version": 0, "Variables": variables })).await.expect(200);
    server.release("1.0.0").await;
    let text = deploy(&server, &["Dev"], json!({})).await.refused(400);
    assert!(text.contains("variable `Ticket` (`Number`) must be given"), "{text}");
    deploy(&server, &["Dev"], json!({ "Ticket": "T-1" })).await.expect(201);
    let hand_out = server.worker("w1", "m1").await.claim().await.unwrap();
    assert_eq!(given(&hand_out, "Ticket").unwrap().value, "T-1");
}

#[tokio::test]
async fn the_command_says_what_is_asked_for_and_keeps_it_with_another_value() {
    let server = TestServer::ready().await;
    let description =
        json!({ "Name": "Reason", "Description": "for the log", "Prompt": { "Description": "said aloud" } });
    let id = save(&server, json!([description])).await["Variables"][0]["Id"].clone();
    let run = async |words: &[&str]| {
        let program = Program::octarm()
            .args(words)
            .args(["--project", "Orders"])
            .env("OCTARM_SERVER", &server.address)
            .env("OCTARM_API_KEY", &server.key);
        tokio::task::spawn_blocking(move || program.run()).await.unwrap()
    };
    for (words, listed) in [
        (
            &["--prompt", "Why now?", "--required", "Reason="][..],
            "Reason  -  -  asked for as `Why now?`, required",
        ),
        (&["reason=usual"], "reason  usual  -  asked for as `Why now?`, required"),
        (&["--prompt", "Why?", "reason=usual"], "reason  usual  -  asked for as `Why?`"),
        (&["--no-prompt", "reason=usual"], "reason  usual"),
    ] {
        let done = run(&[&["variable", "set"], words].concat()).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(run(&["variable", "list"]).await.stdout.trim_end(), listed);
        let row = server.get(SET).await.expect(200)["Variables"][0].clone();
        assert_eq!((&row["Id"], &row["Description"]), (&id, &json!("for the log")));
        let kept = if row["Prompt"].is_null() { Value::Null } else { json!("said aloud") };
        assert_eq!(row["Prompt"]["Description"], kept);
    }
    for words in [["--required", "A=1"], ["--no-prompt", "--prompt=x"]] {
        assert_eq!(run(&[&["variable", "set"], &words[..]].concat()).await.code, Some(2), "{words:?}");
    }
}

#[tokio::test]
async fn the_command_takes_secrets_from_a_file_only() {
    let server = TestServer::ready().await;
    server.post("libraryvariablesets", json!({ "Name": "Common" })).await.expect(201);
    let body = json!({ "IncludedLibraryVariableSetIds": ["Common"] });
    server.put("projects/Projects-1", body).await.expect(200);
    let variables = json!([{ "Name": "Pin", "Value": "0000-stored", "IsSensitive": true, "Prompt": {} }]);
    let path = "variables/variableset-LibraryVariableSets-1";
    server.put(path, json!({ "Version": 0, "Variables": variables })).await.expect(200);
    save(
        &server,
        json!([
            { "Name": "Reason", "Prompt": {} },
            { "Name": "Password", "Value": "stored-one", "IsSensitive": true, "Prompt": {} },
        ]),
    )
    .await;
    server.release("1.0.0").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.json");
    fs_err::write(&file, json!({ "Password": MARKER, "Pin": format!("{MARKER}-pin") }).to_string()).unwrap();
    let run = async |words: &[&str]| {
        let program = Program::octarm()
            .args(["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "Dev"])
            .args(words)
            .env("OCTARM_SERVER", &server.address)
            .env("OCTARM_API_KEY", &server.key);
        tokio::task::spawn_blocking(move || program.run()).await.unwrap()
    };
    for words in [["--variable", "password=hunter22"], ["--variable", "pin=hunter22"]] {
        let refused = run(&words).await;
        assert!(refused.code != Some(0) && !refused.stderr.contains("hunter22"), "{refused:?}");
    }
    let twice = run(&["--variable", "Reason=x", "--variable", "reason=y"]).await;
    assert!(twice.code != Some(0) && twice.stderr.contains("`reason` is given twice"), "{twice:?}");
    // A secret for a variable whose values are shown.
    let shown = folder.path().join("shown.json");
    fs_err::write(&shown, json!({ "reason": MARKER }).to_string()).unwrap();
    let refused = run(&["--sensitive", shown.to_str().unwrap()]).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("`reason` is not sensitive"), "{refused:?}");
    let done = run(&["--variable", "Reason=x", "--sensitive", file.to_str().unwrap()]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let hand_out = server.worker("w1", "m1").await.claim().await.unwrap();
    assert_eq!(given(&hand_out, "Reason"), Some(Variable::plain("Reason", "x")));
    assert_eq!(given(&hand_out, "Password"), Some(Variable::sensitive("Password", MARKER)));
    assert_eq!(given(&hand_out, "Pin"), Some(Variable::sensitive("Pin", format!("{MARKER}-pin"))));
}
