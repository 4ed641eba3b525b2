//! `octarm worker doctor`: what would make deployments fail, found without changing anything.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{FUNCTION, Options, Setup, old_zip};
use crate::support::{
    aws::{ACCOUNT, Action, Credentials, FakeAws},
    process::{Output, Program},
    setup::Access,
};

/// A registered worker that does not run.
struct Patient {
    aws: FakeAws,
    setup: Setup,
    state: std::path::PathBuf,
}

impl Patient {
    fn new() -> Self {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> Self {
        let aws = FakeAws::start();
        aws.create_function(FUNCTION, old_zip());
        let setup = Setup::start_with(options);
        setup.run(&["environment", "create", "CI"]);
        let state = setup.folder().join("ci-1");
        let output = setup
            .octarm(["worker", "register", "--name", "ci-1", "--environment", "CI", "--state"])
            .args([&state])
            .run();
        assert_eq!(output.code, Some(0), "{output:?}");
        Self { aws, setup, state }
    }

    fn doctor(&self) -> Program {
        self.doctor_as(&Credentials::default())
    }

    fn doctor_as(&self, credentials: &Credentials) -> Program {
        let access = Access::to_fake(&self.aws);
        doctor(&self.state)
            .env("AWS_ENDPOINT_URL", access.endpoint)
            .env("AWS_DEPLOYMENT_REGION", access.region)
            .env("AWS_DEPLOYMENT_KEY", &credentials.key_id)
            .env("AWS_DEPLOYMENT_SECRET", &credentials.secret)
    }

    /// Registered anew for another address.
    fn at(&self, url: &str) {
        let path = self.state.join("identity.json");
        let mut identity: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        identity["server"] = url.into();
        fs_err::write(&path, identity.to_string()).unwrap();
    }
}

fn doctor(state: &Path) -> Program {
    Program::octarm().args(["worker", "doctor", "--json"]).arg_pair("--state", state)
}

struct Report {
    output: Output,
    value: Value,
}

impl Report {
    fn of(program: &Program) -> Self {
        let output = program.run();
        let value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        Self { output, value }
    }

    fn check(&self, name: &str) -> &Value {
        let checks = self.value["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {:#}", self.value))
    }

    /// Asserts one check and what it found.
    #[track_caller]
    fn assert(&self, name: &str, verdict: &str, found: &str) {
        let check = self.check(name);
        assert_eq!(check["verdict"], verdict, "{check:#}");
        assert!(check["found"].as_str().unwrap().contains(found), "{check:#}");
    }

    #[track_caller]
    fn assert_failed(&self) {
        assert_eq!((self.output.code, &self.value["ok"]), (Some(11), &json!(false)), "{:#}", self.value);
    }
}

#[test]
fn a_worker_that_could_deploy_is_found_so_without_a_call_that_changes_anything() {
    let patient = Patient::new();
    let files = || {
        let entries = fs_err::read_dir(&patient.state).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    let before = files();
    let report = Report::of(&patient.doctor().args(["--function", FUNCTION]));
    assert_eq!((report.output.code, &report.value["ok"]), (Some(0), &json!(true)), "{:#}", report.value);
    report.assert("state folder", "ok", "mode 0700");
    report.assert("registration", "ok", "ci-1 (");
    report.assert("process", "ok", "does not run");
    report.assert("disk write", "ok", "4 KiB written");
    report.assert("conventions", "ok", "built-in");
    report.assert("proxy", "ok", "none is set");
    report.assert("DNS", "ok", "127.0.0.1");
    report.assert("TCP", "ok", "takes connections");
    report.assert("TLS", "ok", "plain HTTP, on this machine");
    report.assert("server clock", "ok", "agree");
    report.assert("credential", "ok", "ci-1 of CI");
    report.assert("AWS settings", "ok", "`AWS.Deployment.Key`");
    report.assert("AWS identity", "ok", ACCOUNT);
    report.assert("AWS clock", "ok", "agree");
    report.assert(&format!("AWS function {FUNCTION}"), "ok", "takes updates");
    report.assert("AWS lambda:UpdateFunctionCode", "ok", &patient.aws.arn(FUNCTION));
    report.assert("AWS policies", "unproven", "not in the simulation");
    assert_eq!(report.value["missing_policy"], Value::Null);
    assert_eq!(patient.aws.mutating_calls(), []);
    let secret = Credentials::default().secret;
    assert!(!report.output.stdout.contains(&secret), "{:?}", report.output);
    assert_eq!(files(), before, "nothing of it is left behind");
}

#[test]
fn what_is_not_allowed_is_told_with_the_smallest_policy_that_is_missing() {
    let patient = Patient::new();
    let reader = Credentials::new("AKIAREADER", "reader")
        .allowed_only(&[Action::GetFunction, Action::SimulatePrincipalPolicy])
        .of_role("Deployer");
    patient.aws.add_credentials(&reader);
    let report = Report::of(&patient.doctor_as(&reader).args(["--function", FUNCTION]));
    report.assert_failed();
    report.assert("AWS identity", "ok", "assumed-role/Deployer/");
    report.assert("AWS lambda:GetFunction", "ok", "allowed on");
    report.assert("AWS lambda:UpdateFunctionCode", "failed", "not allowed on");
    let statement = |resource: String| json!([{ "Effect": "Allow", "Action": ["lambda:UpdateFunctionCode"], "Resource": [resource] }]);
    assert_eq!(report.value["missing_policy"]["Statement"], statement(patient.aws.arn(FUNCTION)));

    // All functions of the environment, by the convention: some of them may be allowed all the same.
    let report = Report::of(&patient.doctor_as(&reader));
    assert_eq!(report.output.code, Some(0), "{:#}", report.value);
    report.assert("AWS lambda:UpdateFunctionCode", "warning", ":function:CI-*");
    assert_eq!(report.value["missing_policy"]["Statement"], statement(patient.aws.arn("CI-*")));

    // As text for people.
    let text = patient.doctor_as(&reader).args(["--function", FUNCTION]).run();
    assert!(text.stdout.contains("missing_policy"), "{text:?}");
    let access = Access::to_fake(&patient.aws);
    let text = Program::octarm()
        .args(["worker", "doctor", "--function", FUNCTION, "--state"])
        .args([&patient.state])
        .env("AWS_ENDPOINT_URL", access.endpoint)
        .env("AWS_DEPLOYMENT_REGION", access.region)
        .env("AWS_DEPLOYMENT_KEY", &reader.key_id)
        .env("AWS_DEPLOYMENT_SECRET", &reader.secret)
        .run();
    assert_eq!(text.code, Some(11), "{text:?}");
    for part in
        ["failed    AWS lambda:UpdateFunctionCode", "The smallest policy that is missing:", "1 failed"]
    {
        assert!(text.stdout.contains(part), "{part}: {text:?}");
    }

    // Denied outright: no policy helps.
    patient.aws.decide("lambda:UpdateFunctionCode", "explicitDeny");
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    report.assert("AWS lambda:UpdateFunctionCode", "failed", "denied on");
    assert_eq!(report.value["missing_policy"], Value::Null);
    assert_eq!(patient.aws.mutating_calls(), []);
}

#[test]
fn who_may_not_simulate_is_shown_what_is_needed_and_what_was_seen() {
    let patient = Patient::new();
    let blind = Credentials::new("AKIABLIND", "blind").allowed_only(&[]);
    patient.aws.add_credentials(&blind);
    let bucket = [
        ("AWS_DEPLOYMENT_BUCKET", "large-zips"),
        (
            "OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT",
            "AWS.Deployment.Key,AWS.Deployment.Secret,AWS.Deployment.Region,AWS.Deployment.Bucket",
        ),
    ];
    let mut program = patient.doctor_as(&blind).args(["--function", FUNCTION]);
    for (name, value) in bucket {
        program = program.env(name, value);
    }
    let report = Report::of(&program);
    report.assert_failed();
    report.assert(
        &format!("AWS function {FUNCTION}"),
        "failed",
        "is not authorized to perform: lambda:GetFunction",
    );
    report.assert("AWS permissions", "unproven", "not simulated");
    let missing = &report.value["missing_policy"]["Statement"];
    assert_eq!(missing[0]["Action"], json!(["lambda:GetFunction"]), "{missing}");
    let needed = report.value["needed_policy"]["Statement"].to_string();
    for part in ["lambda:UpdateFunctionCode", "s3:PutObject", "arn:aws:s3:::large-zips/octarm/*/*/*.zip"] {
        assert!(needed.contains(part), "{part}: {needed}");
    }
}

#[test]
fn credentials_that_are_none_or_wrong_or_of_another_account_are_told() {
    let patient = Patient::new();
    let report = Report::of(&doctor(&patient.state));
    assert_eq!(report.output.code, Some(0), "{:#}", report.value);
    report.assert("AWS settings", "unproven", "unless the server gives deployments");
    let half =
        doctor(&patient.state).env("AWS_DEPLOYMENT_KEY", "AKIA").env("AWS_DEPLOYMENT_REGION", "eu-west-1");
    let report = Report::of(&half);
    report.assert_failed();
    report.assert("AWS settings", "failed", "static credentials are whole or absent");
    let report = Report::of(&patient.doctor_as(&Credentials::new("AKIAUNKNOWN", "never-shown")));
    report.assert_failed();
    report.assert("AWS identity", "failed", "InvalidClientTokenId");
    assert!(!report.output.stdout.contains("never-shown"), "{:?}", report.output);
    let other = patient
        .doctor()
        .env(
            "OCTARM_WORKER_VARIABLES__FROM_ENVIRONMENT",
            "AWS.Deployment.Key,AWS.Deployment.Secret,AWS.Deployment.Region,AWS.Deployment.Account",
        )
        .env("AWS_DEPLOYMENT_ACCOUNT", "444455556666");
    let report = Report::of(&other);
    report.assert_failed();
    report.assert("AWS identity", "failed", "expected account 444455556666");
}

#[test]
fn the_way_to_the_server_is_looked_at_step_by_step() {
    let patient = Patient::new();
    patient.at("http://no-such-host.invalid:8060");
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    report.assert("DNS", "failed", "no-such-host.invalid");
    report.assert("credential", "unproven", "DNS failed");
    // AWS is looked at all the same.
    report.assert("AWS identity", "ok", ACCOUNT);

    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    patient.at(&format!("http://{address}"));
    let report = Report::of(&patient.doctor());
    report.assert("TCP", "failed", "onnection refused");
    report.assert("TLS", "unproven", "TCP failed");

    // Plain HTTP where TLS is expected.
    patient.at(&format!("https://{}", patient.setup.address()));
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    report.assert("TCP", "ok", "takes connections");
    report.assert("TLS", "failed", "no answer from the server");

    // A proxy that does not listen: it is the one that is looked for.
    patient.at("http://server.invalid:8060");
    let report = Report::of(
        &patient
            .doctor()
            .env("HTTP_PROXY", format!("http://user:s3cret@{address}"))
            .env("NO_PROXY", "127.0.0.1"),
    );
    report.assert("proxy", "ok", &format!("http://{address} (HTTP_PROXY, NO_PROXY)"));
    report.assert("TCP", "failed", &address.to_string());
    assert!(!report.output.stdout.contains("s3cret"), "{:?}", report.output);
    patient.at(&patient.setup.url());
    let report = Report::of(
        &patient.doctor().env("HTTP_PROXY", format!("http://{address}")).env("NO_PROXY", "127.0.0.1"),
    );
    report.assert("proxy", "ok", "none for 127.0.0.1, though there are");
    report.assert("credential", "ok", "ci-1 of CI");
}

#[test]
fn a_wrong_pin_and_a_credential_that_is_no_more_are_told() {
    let variables = vec![("OCTARM_SERVER_TLS".to_owned(), "self-made".to_owned())];
    let patient = Patient::with(&Options { variables, ..Options::default() });
    let report = Report::of(&patient.doctor());
    report.assert("TLS", "ok", "as registered");
    report.assert("credential", "ok", "ci-1 of CI");

    let path = patient.state.join("identity.json");
    let registered = fs_err::read_to_string(&path).unwrap();
    let mut identity: Value = serde_json::from_str(&registered).unwrap();
    identity["fingerprint"] = format!("sha256:{}", "ab".repeat(32)).into();
    fs_err::write(&path, identity.to_string()).unwrap();
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    report.assert("TLS", "failed", "the server's certificate has the fingerprint");
    report.assert("credential", "unproven", "TLS failed");

    fs_err::write(&path, &registered).unwrap();
    let deregistered =
        Program::octarm().args(["worker", "deregister", "--state"]).args([&patient.state]).run();
    assert_eq!(deregistered.code, Some(0), "{deregistered:?}");
    fs_err::write(&path, &registered).unwrap();
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    assert_eq!(report.check("credential")["verdict"], "failed");
    let hint = report.check("credential")["hint"].as_str().unwrap();
    assert!(hint.contains("register the worker again"), "{hint}");
}

#[test]
fn aws_is_asked_by_way_of_the_proxy() {
    let patient = Patient::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 256];
        let length = stream.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    // It hangs up: what is asked for is seen.
    let program = patient
        .doctor()
        .env("AWS_ENDPOINT_URL", "https://aws.invalid")
        .env("HTTPS_PROXY", &proxy)
        .env("AWS_MAX_ATTEMPTS", "1");
    let report = Report::of(&program);
    report.assert_failed();
    report.assert("AWS settings", "ok", &format!("by way of the proxy {proxy}"));
    report.assert("AWS identity", "failed", "no answer from AWS");
    let head = asked.join().unwrap();
    assert!(head.starts_with("CONNECT aws.invalid:443 "), "{head}");
    // The server is not reached by HTTPS, so not by that proxy.
    report.assert("credential", "ok", "ci-1 of CI");
    let exempt =
        patient.doctor().env("HTTPS_PROXY", &proxy).env("NO_PROXY", "*").args(["--function", FUNCTION]);
    assert_eq!(Report::of(&exempt).output.code, Some(0));
}

/// A server that answers everything so, and says that it is long ago.
fn server_of_the_past() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    url
}

#[test]
fn a_clock_that_is_wrong_is_told_by_how_much() {
    let patient = Patient::new();
    let past = server_of_the_past();
    patient.at(&past);
    let report = Report::of(&patient.doctor());
    report.assert("server clock", "warning", "s ahead of the server's");
    report.assert("credential", "failed", "is not one of an octarm server");
    // AWS refuses what is signed by such a clock.
    let report = Report::of(&patient.doctor().env("AWS_ENDPOINT_URL", &past));
    report.assert_failed();
    report.assert("AWS clock", "failed", "s ahead of AWS's");
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let patient = Patient::new();
    fs_err::set_permissions(&patient.state, std::fs::Permissions::from_mode(0o755)).unwrap();
    let identity = patient.state.join("identity.json");
    fs_err::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    let report = Report::of(&patient.doctor());
    report.assert_failed();
    report.assert("state folder", "warning", "others can look into it");
    report.assert("registration", "failed", "has mode 0644");

    // Mounted for reading only, which root cannot write to either.
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0} && exec \"$0\" \"$@\"",
        patient.state.display()
    );
    let read_only = patient.doctor().wrapped("unshare", &["-rm", "sh", "-ec", &script]);
    let report = Report::of(&read_only);
    report.assert_failed();
    report.assert("disk write", "failed", "Read-only file system");

    let report = Report::of(&doctor(Path::new("/nowhere/at/all")));
    report.assert_failed();
    report.assert("state folder", "failed", "`/nowhere/at/all` does not exist");
    report.assert("server", "unproven", "no worker is registered");
    let conventions = patient.doctor().env("OCTARM_WORKER_CONVENTIONS", "/nowhere/conventions");
    Report::of(&conventions).assert("conventions", "failed", "/nowhere/conventions");
}
