//! The script of the examples that sets environments up and tears them down, each twice.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::support::{
    aws::FakeAws,
    packages::{Producer, nupkg, write, zip},
    process::{Output, Program, Running},
    setup::{Access, Setup},
};

/// What systemd is to the script: it starts the worker and ends it, and tells how that ended.
const SYSTEMD: &str = r#"
worker=
while read -r verb < "$STUB/ask"; do
    case $verb in
    enable) if ! kill -0 "$worker" 2>/dev/null; then octarm worker run --state "$OCTARM_WORKER_STATE" & worker=$!; fi ;;
    disable) if [ -n "$worker" ]; then kill "$worker" 2>/dev/null; wait "$worker"; echo "worker ended: $?"; worker=; fi ;;
    esac
    echo "$verb was done"
    echo done > "$STUB/answer"
done
"#;

struct Stage {
    setup: Setup,
    aws: FakeAws,
    systemd: Running,
    token: String,
}

impl Stage {
    fn new() -> Self {
        let aws = FakeAws::start();
        aws.create_function("CI-Orders", zip(&[]));
        let setup = Setup::start();
        setup.create(&["CI"], "Orders");
        let code = "exports.handler = async () => 1\n";
        let bytes = zip(&nupkg(Producer::NuGet, "Orders", "1.0.0", &[("src/function/index.js", code)]));
        setup.release("Orders", "1.0.0", &write(setup.folder(), "Orders.1.0.0.nupkg", &bytes));
        let token = setup.folder().join("token").display().to_string();
        setup.run(&["registration-token", "create", "--environment", "CI", "--token-file", &token]);
        let stub = setup.folder().join("stub");
        fs_err::create_dir(&stub).unwrap();
        for fifo in ["ask", "answer"] {
            let made = Program::at("mkfifo").args([stub.join(fifo)]).run();
            assert_eq!(made.code, Some(0), "{made:?}");
        }
        stub_of(&stub, "systemctl", "echo \"$1\" > \"$STUB/ask\"; read -r done < \"$STUB/answer\"");
        stub_of(&stub, "chown", "exit 0");
        let Access { endpoint, region, key_id, secret } = Access::to_fake(&aws);
        let systemd = prepared(&setup, Program::at("sh"))
            .args(["-c", SYSTEMD])
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_DEPLOYMENT_REGION", region)
            .env("AWS_DEPLOYMENT_KEY", key_id)
            .env("AWS_DEPLOYMENT_SECRET", secret)
            .spawn();
        Self { setup, aws, systemd, token }
    }

    fn script(&self, words: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/environment-setup.sh");
        prepared(&self.setup, Program::at(script))
            .args(words)
            .env("OCTARM_SERVER", self.setup.url())
            .env("OCTARM_API_KEY_FILE", self.setup.key_file())
            .env("OCTARM_REGISTRATION_TOKEN_FILE", &self.token)
            .env("OCTARM_NAME", "ci-1")
            .run()
    }

    fn machines(&self) -> usize {
        self.setup.json(&["machine", "list"]).as_array().unwrap().len()
    }
}

/// With the stubs before all other programs.
fn prepared(setup: &Setup, program: Program) -> Program {
    let stub = setup.folder().join("stub");
    let octarm = Path::new(env!("CARGO_BIN_EXE_octarm")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
    program
        .env("PATH", format!("{}:{}:{path}", stub.display(), octarm.display()))
        .env("STUB", &stub)
        .env("OCTARM_WORKER_STATE", setup.folder().join("state"))
}

fn stub_of(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs_err::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn up_and_down_may_each_be_run_twice() {
    let stage = Stage::new();
    for round in ["registered in CI", "is registered in CI"] {
        let up = stage.script(&["up", "CI", "Orders", "1.0.0"]);
        assert_eq!(up.code, Some(0), "{up:?}");
        assert!(up.stdout.contains(&format!("worker ci-1 {round}")), "{up:?}");
        assert_eq!(stage.machines(), 1);
    }
    assert_eq!(stage.aws.function("CI-Orders").updates_applied, 1);
    let tokens = stage.setup.json(&["registration-token", "list"]);
    assert_eq!((&tokens[0]["State"], &tokens[0]["Used"]), (&"UsedUp".into(), &1.into()));
    for round in ["worker ci-1 deregistered from CI", "no worker is registered here"] {
        let down = stage.script(&["down", "CI"]);
        assert_eq!(down.code, Some(0), "{down:?}");
        assert!(down.stdout.contains(round), "{down:?}");
        assert_eq!(stage.machines(), 0);
    }
    // It was told, and ended by itself.
    stage.systemd.wait_for_line("the worker is being deregistered: no more work will come");
    stage.systemd.wait_for_line("worker ended: 0");
}

#[test]
fn programs_get_json_and_exit_codes() {
    let stage = Stage::new();
    let up = stage.script(&["up", "CI", "--json"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    let registered: Value = serde_json::from_str(&up.stdout).unwrap();
    assert_eq!((&registered["existed"], &registered["environment"]), (&false.into(), &"CI".into()));
    assert_eq!(registered["current"], serde_json::json!([]));
    let refused = stage.script(&["up", "CI", "Orders", "9.9.9", "--json"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    let other = stage.script(&["up", "Production", "--json"]);
    assert_eq!(other.code, Some(6), "{other:?}");
    assert!(other.stderr.contains("is for environment `CI`, not for `Production`"), "{other:?}");
    let down = stage.script(&["down", "CI", "--json"]);
    let deregistered: Value = serde_json::from_str(&down.stdout).unwrap();
    assert_eq!(deregistered["deregistered"], true, "{down:?}");
    for wrong in
        [&["up"][..], &["up", "CI", "Orders"], &["down", "CI", "Orders", "1.0.0"], &["sideways", "CI"]]
    {
        let output = stage.script(wrong);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("usage: environment-setup.sh"), "{output:?}");
    }
}
