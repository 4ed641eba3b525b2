//! Other people's clients of the Octopus API, as they come from their registries: they ask the server what they ask
//! Octopus, and nothing of them is changed.

use reqwest::Method;
use serde_json::{Value, json};

use super::packers::node;
use crate::support::{
    aws::FakeAws,
    ministack::tools,
    process::{Output, Program},
    setup::{Access, Setup},
};

/// What stands in a function before anything is deployed to it.
const BEFORE: &[u8] = b"before";

/// Calls the API as an administrator; answers what it says.
fn call(setup: &Setup, method: Method, path: &str, body: &Value) -> Value {
    let request = reqwest::Client::new()
        .request(method, format!("{}/api/Spaces-1/{path}", setup.url()))
        .header("X-Octopus-ApiKey", setup.key())
        .json(body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap() })
}

/// A server with a project `Orders` of one step.
fn orders(environments: &[&str]) -> Setup {
    let setup = Setup::start();
    setup.create(environments, "Orders");
    let action = json!({
        "Name": "Update the function", "ActionType": "Octopus.Script",
        "Properties": { "Octopus.Action.Package.PackageId": "Orders" },
    });
    let process = json!({ "Version": 0, "Steps": [{ "Name": "Update", "Actions": [action] }] });
    call(&setup, Method::PUT, "deploymentprocesses/deploymentprocess-Projects-1", &process);
    setup
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in {text}");
}

/// Without a word of trouble.
#[track_caller]
fn says_only(output: &Output, part: &str) {
    says(&output.stdout, part);
    assert_eq!(output.stderr, "", "{output:?}");
}

#[test]
fn octopus_deploy_from_npm_packs_pushes_releases_deploys_and_promotes() {
    let aws = FakeAws::start();
    for function in ["CI-Orders", "CI-Given", "Staging-Orders"] {
        aws.create_function(function, BEFORE);
    }
    let setup = orders(&["CI", "Staging"]);
    let access = Access::to_fake(&aws);
    let _workers = [setup.worker("ci", "CI", &access), setup.worker("staging", "Staging", &access)];
    // What a deployment is given a value for is scoped to its environment.
    let variable = |environment: &str| {
        json!({
            "Name": "Lambda.Function", "Value": "Orders", "Type": "String",
            "Scope": { "Environment": [environment] }, "Prompt": { "Label": "Function", "Required": false },
        })
    };
    let variables = json!({ "Version": 0, "Variables": [variable("CI"), variable("Staging")] });
    call(&setup, Method::PUT, "variables/variableset-Projects-1", &variables);
    let source = setup.folder().join("source");
    fs_err::create_dir(&source).unwrap();
    fs_err::write(source.join("index.js"), "exports.handler = async () => 1;\n").unwrap();
    let client = |words: &[&str]| -> Output {
        let output = Program::at("node")
            .args([tools().join("node_modules/octopus-deploy/bin/octopus-deploy.js")])
            .current_dir(&source)
            .args(words)
            .args(["--host", &setup.url(), "--apiKey", &setup.key(), "--space", "Default"])
            .run();
        assert_eq!(output.code, Some(0), "{output:?}");
        output
    };
    let pack = |version: &str, more: &[&str]| {
        let words = ["octopack", "--packageName", "Orders", "--packageVersion", version, "--base", "./"];
        client(&[&words[..], &["--globs", "./**"], more].concat())
    };
    says_only(&pack("1.0.0", &["--zip=true"]), "Published package 'Orders.1.0.0.zip'");
    assert!(pack("1.0.0", &["--zip=true"]).stderr.contains("409"));
    says_only(&pack("1.0.0", &["--zip=true", "--replace=true"]), "Published package 'Orders.1.0.0.zip'");
    says_only(&pack("1.1.0", &[]), "Published package 'Orders.1.1.0.tar.gz'");

    let of = |verb: &'static str, version: &'static str| {
        vec!["release", verb, "--projectSlugOrId", "orders", "--releaseVersion", version]
    };
    says_only(&client(&of("create", "1.0.0")), "Created release 'Releases-1'");
    let to =
        |environment: &'static str| vec!["--environmentName", environment, "--comments", "from a pipeline"];
    let given = ["--variables", r#"{"Lambda.Function":"Given"}"#];
    let deployed = client(&[of("deploy", "1.1.0"), to("CI"), given.to_vec()].concat());
    says_only(&deployed, "Deployed release 'Releases-2' to 'CI'. Deployment: Deployments-1");
    let ended = setup.follow("ServerTasks-1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_ne!(aws.function("CI-Given").code_sha256, crate::support::aws::code_sha256(BEFORE));
    assert_eq!(aws.function("CI-Orders").code_sha256, crate::support::aws::code_sha256(BEFORE));

    let promoted = client(&[of("promote", "1.1.0"), to("Staging")].concat());
    says_only(&promoted, "Deployed release 'Releases-2' to 'Staging'. Deployment: Deployments-2");
    let ended = setup.follow("ServerTasks-2");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(aws.function("Staging-Orders").code_sha256, aws.function("CI-Given").code_sha256);
    let deployment = call(&setup, Method::GET, "deployments/Deployments-2", &Value::Null);
    assert_eq!(deployment["Comments"], "from a pipeline");

    let nowhere = client(&[of("promote", "1.1.0"), to("Nowhere")].concat());
    assert!(nowhere.stderr.contains("Environment 'Nowhere' not found"), "{nowhere:?}");
    assert!(
        client(&of("create", "1.1.0")).stderr.contains("release 1.1.0 of project `Orders` exists already")
    );
}

#[test]
fn octopackjs_pushes_into_the_space_that_it_names_and_without_one() {
    let setup = Setup::start();
    let output = node("octopackjs.mjs")
        .args([setup.url()])
        .args([setup.folder()])
        .env("OCTOPUS_API_KEY", setup.key())
        .run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let pushed = |version: &str, size: usize| json!({ "id": format!("packages-Orders.{version}"), "bytes": told["sizes"][size] });
    assert_eq!((&told["first"], &told["replaced"]), (&pushed("1.0.0", 0), &pushed("1.0.0", 0)), "{told:#}");
    assert_eq!(
        (&told["inSpace"], &told["replacedInSpace"]),
        (&pushed("1.1.0", 1), &pushed("1.1.0", 1)),
        "{told:#}"
    );
    for (name, status, text) in [
        ("again", 409, "exists already"),
        ("againInSpace", 409, "exists already"),
        ("noSpace", 404, "`spaces-9` does not exist"),
        ("wrongKey", 401, "API key"),
    ] {
        assert_eq!(told[name]["refused"], status, "{told:#}");
        assert!(told[name]["body"]["ErrorMessage"].as_str().unwrap().contains(text), "{told:#}");
    }
}

#[test]
fn pypus_finds_what_it_prints_and_sets_variables() {
    let setup = orders(&["CI"]);
    let register = ["worker", "register", "--name", "ci-1", "--environment", "CI"];
    let state = setup.folder().join("state");
    setup.run(&[&register[..], &["--state", state.to_str().unwrap()]].concat());
    let pypus = |words: &[&str]| -> String {
        let output = Program::at(tools().join("venv/bin/pypus"))
            .args(words)
            .current_dir(setup.folder())
            .env("OCTOPUS_API_KEY", setup.key())
            .env("OCTOPUS_SERVER_URI", format!("{}/api", setup.url()))
            .run();
        assert_eq!(output.code, Some(0), "pypus {words:?}: {output:?}");
        output.stdout
    };
    says(&pypus(&["get-spaces"]), "Space Default has an ID of Spaces-1");
    says(&pypus(&["get-projects", "Default"]), "Project Orders has an ID of Projects-1");
    says(&pypus(&["get-machines", "Default"]), "Machine ci-1 has an ID of Machines-1");
    for command in ["get-runbooks", "view-runbooks-publish-status"] {
        says(&pypus(&[command, "Default"]), "The Project Orders has 0 Runbooks");
    }
    let process = pypus(&["get-process", "Default", "Orders"]);
    says(&process, "1. Step: Update");
    says(&process, "- Action: Update the function [Octopus.Script]");
    says(&process, "Octopus.Action.Package.PackageId: Orders");

    let set = |name: &str, value: &str, scope: &str| {
        says(&pypus(&["set-var", "Default", "Orders", name, value, scope]), "<Response [200]>");
    };
    for value in ["small", "large"] {
        set("Size", value, "{}");
        set("Colour", value, r#"{"Environment":["Environments-1"]}"#);
    }
    says(
        &pypus(&["set-var", "Default", "Orders", "Password", "hunter22", "{}", "--sensitive"]),
        "<Response [200]>",
    );
    let variables = pypus(&["get-vars", "Default", "Orders"]);
    says(&variables, "Value: large Scope: {}");
    says(&variables, "Value: large Scope: {'Environment': ['Environments-1']}");
    assert!(!variables.contains("small") && !variables.contains("hunter22"), "{variables}");
    assert_eq!(variables.matches("Name: ").count(), 3, "{variables}");
    says(&pypus(&["dump-vars-all-projects", "Default"]), "Found 1 projects in Default");
    pypus(&["get-vars-add-toshelf", "Default", "Orders", "shelf"]);
    says(&pypus(&["list-shelf-data", "shelf"]), "'Name': 'Colour'");
    says(&pypus(&["search-vars-by-name", "Default", "colour"]), "Context           : Colour");
    // This one reads the library variable sets too.
    says(&pypus(&["search-vars-by-value", "Default", "large"]), "Context           : Size");
    // In the process it names the action by its id.
    says(&pypus(&["search-vars-by-name", "Default", "function"]), "actionId=Update the function");
    let refused = Program::at(tools().join("venv/bin/pypus"))
        .args(["get-projects", "Nowhere"])
        .env("OCTOPUS_API_KEY", "API-WRONG")
        .env("OCTOPUS_SERVER_URI", format!("{}/api", setup.url()))
        .run();
    assert!(refused.stderr.contains("401 Client Error"), "{refused:?}");
}
