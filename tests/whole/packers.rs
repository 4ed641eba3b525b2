//! Packages of every packer that people have, deployed and then run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{
    aws::code_sha256,
    ministack::{Ministack, tools},
    packages::{Raw, unpack, zip},
    process::Program,
    setup::{Access, Setup},
};

/// An AWS that has the function of this project in `CI`, and a server that has the environment.
fn function_of(project: &str, runtime: &str, handler: &str) -> (Ministack, Setup) {
    let aws = Ministack::start();
    let placeholder = zip(&[Raw::new("placeholder", "nothing yet").mode(0o644)]);
    aws.create_function(&format!("CI-{project}"), runtime, handler, &placeholder);
    let setup = Setup::start();
    setup.run(&["environment", "create", "CI"]);
    (aws, setup)
}

fn deploy(setup: &Setup, project: &str, version: &str, package: &Path) {
    setup.release(project, version, package);
    let words = ["release", "deploy", "--project", project, "--version", version, "--environment", "CI"];
    setup.run(&[&words[..], &["--wait"]].concat());
}

/// Runs a script of `tests/tools` that uses Octopus's own client.
pub(super) fn node(script: &str) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(script);
    Program::at("node").env("NODE_PATH", tools().join("node_modules")).args([script])
}

fn put(folder: &Path, name: &str, content: &[u8], mode: u32) {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, content).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_node_example_runs_from_both_formats() {
    let (aws, setup) = function_of("node-echo", "nodejs20.x", "index.handler");
    setup.run(&["project", "create", "node-echo"]);
    let _worker = setup.worker("ci", "CI", &Access::to_ministack(&aws));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/node-echo");
    for (version, format) in [("1.0.0", "nupkg"), ("1.1.0", "zip")] {
        let folder = setup.folder().join(format);
        for name in ["index.mjs", "package.json"] {
            let text = fs_err::read_to_string(example.join(name)).unwrap();
            put(&folder, name, text.replace("1.0.0", version).as_bytes(), 0o644);
        }
        let pack = ["package", "pack", format, "--id", "node-echo", "--version", version, "--format", format];
        let packed = setup.json(&pack);
        deploy(&setup, "node-echo", version, Path::new(packed["path"].as_str().unwrap()));
        let invoked = aws.invoke("CI-node-echo", &json!({ "who": "ünïcode" }));
        assert_eq!(invoked.function_error, None, "{invoked:?}");
        assert_eq!(invoked.answer, json!({ "version": version, "event": { "who": "ünïcode" } }));
    }
}

const BOOTSTRAP: &str = "#!/bin/sh\nexec node \"$LAMBDA_TASK_ROOT/lib/runtime.js\"\n";
/// A custom runtime: asks for events, answers with what it finds beside itself.
const RUNTIME: &str = r#"
const fs = require("node:fs");
const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
(async () => {
  for (;;) {
    const next = await fetch(`${base}/next`);
    const event = await next.json();
    const id = next.headers.get("lambda-runtime-aws-request-id");
    const text = fs.readFileSync(`${process.env.LAMBDA_TASK_ROOT}/${event.file}`, "utf8");
    await fetch(`${base}/${id}/response`, { method: "POST", body: JSON.stringify({ text }) });
  }
})();
"#;
const ODD: &str = "data/grüße aus Köln + 100% [1].txt";
const BINARY: [u8; 6] = [0, 159, 146, 150, 10, 13];

fn packed_by_octopus(setup: &Setup, format: &str, version: &str) -> PathBuf {
    let folder = setup.folder().join(format!("in-{format}"));
    put(&folder, "bootstrap", BOOTSTRAP.as_bytes(), 0o755);
    put(&folder, "lib/runtime.js", RUNTIME.as_bytes(), 0o644);
    put(&folder, "lib/tool", b"a file that may be executed", 0o755);
    put(&folder, ODD, format!("hello from {format}").as_bytes(), 0o640);
    put(&folder, "data/empty", b"", 0o644);
    put(&folder, "data/binary.dat", &BINARY, 0o600);
    let words = [folder.to_str().unwrap(), "Custom", version, setup.folder().to_str().unwrap()];
    let output = node("pack.mjs").args([format]).args(words).args(["**"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    setup.folder().join(output.stdout.trim())
}

#[test]
fn packages_of_octopus_own_packers_are_deployed_byte_for_byte() {
    let (aws, setup) = function_of("Custom", "provided.al2023", "bootstrap");
    setup.run(&["project", "create", "Custom"]);
    let _worker = setup.worker("ci", "CI", &Access::to_ministack(&aws));
    for (version, format) in [("1.0.0", "nupkg"), ("1.1.0", "zip")] {
        deploy(&setup, "Custom", version, &packed_by_octopus(&setup, format, version));
        let held = aws.code("CI-Custom");
        assert_eq!(code_sha256(&held), aws.code_sha256("CI-Custom"));
        let files: Vec<(String, u32, Vec<u8>)> = unpack(&held)
            .into_iter()
            .filter(|(name, ..)| !name.ends_with('/'))
            .map(|(name, mode, content)| (name, mode & 0o7777, content))
            .collect();
        let hello = format!("hello from {format}");
        let expected: [(&str, u32, &[u8]); 6] = [
            ("bootstrap", 0o755, BOOTSTRAP.as_bytes()),
            ("data/binary.dat", 0o644, &BINARY),
            ("data/empty", 0o644, b""),
            (ODD, 0o644, hello.as_bytes()),
            ("lib/runtime.js", 0o644, RUNTIME.as_bytes()),
            ("lib/tool", 0o755, b"a file that may be executed"),
        ];
        let expected = expected.map(|(name, mode, content)| (name.to_owned(), mode, content.to_vec()));
        assert_eq!(files, expected, "{format}");
        let invoked = aws.invoke("CI-Custom", &json!({ "file": ODD }));
        assert_eq!((invoked.function_error, invoked.answer), (None, json!({ "text": hello })), "{format}");
    }
}

#[test]
fn octopus_own_client_drives_the_server() {
    let (aws, setup) = function_of("Orders", "python3.12", "function.handler");
    let _worker = setup.worker("ci", "CI", &Access::to_ministack(&aws));
    let package = |name: &str, version: &str| {
        let folder = setup.folder().join(name);
        fs_err::create_dir(&folder).unwrap();
        let code = format!("def handler(event, context): return '{version}'\n");
        let bytes = zip(&[Raw::new("function.py", code).mode(0o644)]);
        crate::support::packages::write(&folder, "Orders.1.0.0.zip", &bytes)
    };
    let (first, second) = (package("first", "first"), package("second", "second"));
    let output = node("typescript-client.mjs")
        .args([setup.url()])
        .args([first, second])
        .env("OCTOPUS_API_KEY", setup.key())
        .run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let has = |pointer: &str, part: &str| {
        let text = told.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        assert!(text.contains(part), "{pointer} should hold {part:?}: {told:#}");
    };
    has("/wrongKey/message", "API key");
    assert_eq!(told["created"]["Name"], "Staging");
    assert_eq!(told["byName"]["Id"], told["created"]["Id"]);
    has("/again/message", "exists already");
    assert_eq!(told["environments"], json!(["CI", "Staging"]));

    assert_eq!(told["pushed"], json!({}));
    has("/pushedAgain/message", "Orders");
    has("/pushedAgain/message", "exists already");
    assert_eq!((&told["ignored"], &told["replaced"]), (&json!({}), &json!({})));
    assert_eq!(told["first"], told["afterIgnored"]);
    assert_ne!(told["first"], told["afterReplaced"]);
    assert_eq!(
        (&told["package"]["PackageId"], &told["package"]["Version"]),
        (&json!("Orders"), &json!("1.0.0"))
    );

    assert_eq!(told["release"]["ReleaseVersion"], "1.0.0");
    has("/releaseAgain/message", "exists already");
    assert_eq!(told["releases"], json!(["1.0.0"]));
    has("/noProject/message", "Nothing");
    has("/noEnvironment/message", "Nowhere");
    has("/unasked/message", "the nearest that is asked for is `Lambda.Function`");

    assert_eq!(
        (&told["success"]["State"], &told["success"]["FinishedSuccessfully"]),
        (&json!("Success"), &json!(true))
    );
    has("/raw", "CI-Orders");
    let logged =
        told.pointer("/details/ActivityLogs/0/Children/0/LogElements").and_then(Value::as_array).unwrap();
    assert!(
        logged.iter().any(|line| line["MessageText"].as_str().unwrap().contains("CI-Orders")),
        "{told:#}"
    );
    assert_eq!(aws.invoke("CI-Orders", &json!({})).answer, "second");

    assert_eq!(
        (&told["failure"]["State"], &told["failure"]["FinishedSuccessfully"]),
        (&json!("Failed"), &json!(false))
    );
    has("/failure/ErrorMessage", "CI-Nowhere");
    assert_eq!(told["cancelled"]["State"], "Canceled");
}
