//! Secrets stay where they belong: every place where one could turn up is searched for all of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;

use crate::support::{
    aws::{Action, Credentials, FakeAws, Fault, Gate},
    packages::{Raw, write, zip},
    setup::{Access, Setup},
};

const VARIABLE: &str = "MARKER-variable-never-in-any-output";
/// Sensitive only by what the worker is told, and never used.
const UNUSED: &str = "MARKER/unused \"variable\" never+in any output";

/// What must not turn up, each with what it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// Fails when these bytes hold a secret in a form in which it could be read.
    #[track_caller]
    fn assert_absent(&self, place: &str, bytes: &[u8], but: &[&str]) {
        for (what, secret) in self.0.iter().filter(|(what, _)| !but.contains(what)) {
            let json = serde_json::to_string(secret).unwrap();
            let json = json.trim_matches('"').to_owned();
            for form in [secret.clone(), json, hex::encode(secret), STANDARD_NO_PAD.encode(secret)] {
                let found = bytes.windows(form.len()).position(|window| window == form.as_bytes());
                let around = found.map(|at| &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)]);
                let shown = around.map(String::from_utf8_lossy);
                assert!(shown.is_none(), "{place} holds the {what}: {shown:?}");
            }
        }
    }

    /// The same for every file below a folder; a file that may hold one secret is named with it.
    #[track_caller]
    fn assert_absent_below(&self, folder: &Path, but: &[(&str, &str)]) {
        for file in files_below(folder) {
            // A journal of SQLite may be gone by now.
            let Ok(bytes) = fs_err::read(&file) else { continue };
            let name = file.strip_prefix(folder).unwrap().to_str().unwrap();
            let allowed: Vec<&str> =
                but.iter().filter(|(allowed, _)| *allowed == name).map(|(_, what)| *what).collect();
            self.assert_absent(&file.display().to_string(), &bytes, &allowed);
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Nobody but the owner may look into a folder or a file.
#[track_caller]
fn assert_private(folder: &Path) {
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_private(&path);
        } else if path.exists() {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn no_secret_turns_up_anywhere() {
    let aws = FakeAws::start();
    aws.create_function("CI-Orders", zip(&[Raw::new("index.js", "old").mode(0o644)]));
    let mut setup = Setup::start();
    setup.create(&["CI", "Staging"], "Orders");
    let access = Access::to_fake(&aws);
    let mut ci = setup.worker("ci", "CI", &access);
    let mut staging = setup.worker("staging", "Staging", &access);

    let file = write(
        setup.folder(),
        "sensitive.json",
        serde_json::json!({ "Secret.Name": VARIABLE, "Secret.Unused": UNUSED }).to_string().as_bytes(),
    );
    let token = |state: &Path| {
        let identity = fs_err::read(state.join("identity.json")).unwrap();
        let identity: Value = serde_json::from_slice(&identity).unwrap();
        identity["key"].as_str().unwrap().to_owned()
    };
    let master_key = fs_err::read_to_string(setup.data().join("master-key")).unwrap();
    let secrets = Secrets(vec![
        ("sensitive variable", VARIABLE.to_owned()),
        ("unused sensitive variable", UNUSED.to_owned()),
        ("AWS secret", Credentials::default().secret),
        ("API key", setup.key()),
        ("master key", master_key.trim().to_owned()),
        ("worker's private key", token(ci.state())),
        ("other worker's private key", token(staging.state())),
    ]);
    let kept_by_server = [("first-api-key", "API key"), ("master-key", "master key")];

    let run = |words: &[&str], code: i32| {
        let mut all = String::new();
        for more in [&[][..], &["--json"], &["--verbose"]] {
            let output = setup.octarm(words).args(more).run();
            assert_eq!(output.code, Some(code), "octarm {words:?} {more:?}: {output:?}");
            secrets.assert_absent(
                &format!("octarm {words:?} {more:?}"),
                format!("{output:?}").as_bytes(),
                &[],
            );
            all.push_str(&output.stdout);
        }
        all
    };
    let set = ["variable", "set", "--project", "Orders"];
    run(&[&set[..], &["--sensitive", file.to_str().unwrap()]].concat(), 0);
    // In Staging the function's name holds the secret, so that it is in the log's lines and in AWS's own words.
    run(&[&set[..], &["--environment", "Staging", "Lambda.Function=#{Secret.Name}"]].concat(), 0);
    let listed = run(&["variable", "list", "--project", "Orders"], 0);
    assert!(listed.contains("Secret.Name") && listed.contains("********"), "{listed}");
    let state = ci.state().to_str().unwrap().to_owned();
    let register = ["worker", "register", "--name", "ci", "--environment", "CI", "--state", &state];
    run(&register, 0);
    let package = write(setup.folder(), "Orders.1.0.0.zip", &zip(&[Raw::new("index.js", "new").mode(0o644)]));
    run(&["package", "push", package.to_str().unwrap(), "--overwrite", "ignore"], 0);
    run(&["release", "create", "--project", "Orders", "--version", "1.0.0", "--ignore-existing"], 0);

    // In the middle of a deployment everything is on disk that ever is.
    let gate = Gate::shut();
    aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
    let following = setup.octarm(["task", "logs", &task, "--follow"]).spawn();
    gate.wait_reached();
    for (what, process) in [
        ("the server", setup.server()),
        ("the worker", ci.running()),
        ("the other worker", staging.running()),
        ("a command", &following),
    ] {
        let line = fs_err::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
        assert!(!line.is_empty());
        secrets.assert_absent(&format!("the command line of {what}"), &line, &[]);
    }
    assert!(setup.data().join("octarm.db").exists() && ci.state().join("deployments").exists());
    let search_files = |setup: &Setup| {
        secrets.assert_absent_below(&setup.data(), &kept_by_server);
        secrets.assert_absent_below(ci.state(), &[("identity.json", "worker's private key")]);
        secrets.assert_absent_below(staging.state(), &[("identity.json", "other worker's private key")]);
        for folder in [setup.data(), ci.state().to_owned(), staging.state().to_owned()] {
            assert_private(&folder);
        }
        for worker in [&ci, &staging] {
            secrets.assert_absent_below(worker.program().home(), &[]);
        }
    };
    search_files(&setup);
    gate.open();
    let output = following.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    secrets.assert_absent("the followed log", format!("{output:?}").as_bytes(), &[]);
    assert_eq!(aws.function("CI-Orders").updates_applied, 1);

    let words = ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "CI"];
    run(&[&words[..], &["--wait"]].concat(), 0);
    // There is no such function in Staging: AWS's refusal repeats the name.
    let words =
        ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "Staging"];
    run(&[&words[..], &["--wait"]].concat(), 3);
    for task in ["ServerTasks-1", "ServerTasks-5"] {
        run(&["task", "show", task], 0);
        let log = run(&["task", "logs", task], 0);
        assert_eq!(log.contains("Staging-********"), task == "ServerTasks-5", "{log}");
        for path in ["", "/details", "/raw", "/log"] {
            let answer = setup.get(&format!("/api/tasks/{task}{path}"));
            assert!(answer.contains("Orders"), "{path}: {answer}");
            secrets.assert_absent(&format!("{task}{path}"), answer.as_bytes(), &[]);
        }
    }
    assert!(setup.task("ServerTasks-5")["ErrorMessage"].as_str().unwrap().contains("`Staging-********`"));
    for path in ["variables/variableset-Projects-1", "deployments", "machines/all", "releases", "tasks"] {
        let answer = setup.get(&format!("/api/{path}"));
        assert!(!answer.contains("ErrorMessage\":\"there is nothing"), "{path}: {answer}");
        secrets.assert_absent(path, answer.as_bytes(), &[]);
    }
    for words in [&["environment", "list"][..], &["machine", "list"]] {
        run(words, 0);
    }
    for (worker, function) in [(&ci, "CI-Orders"), (&staging, "Staging-********")] {
        let shown = run(&["worker", "logs", "--state", worker.state().to_str().unwrap()], 0);
        assert!(shown.contains(function), "{shown}");
    }
    search_files(&setup);

    for output in [ci.drain(), staging.drain()] {
        assert_eq!(output.code, Some(0), "{output:?}");
        secrets.assert_absent("a worker's own log", format!("{output:?}").as_bytes(), &[]);
    }
    run(&["worker", "deregister", "--state", &state], 0);
    let output = setup.stop_server();
    assert_eq!(output.code, Some(0), "{output:?}");
    secrets.assert_absent("the server's own log", format!("{output:?}").as_bytes(), &[]);
    secrets.assert_absent_below(&setup.data(), &kept_by_server);
}
