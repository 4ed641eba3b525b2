//! Each failure is one clear error: the act, the thing, what was found, what was expected; and its exit code.

use super::{FUNCTION, Scene};
use crate::support::{
    aws::{Action, Credentials},
    packages::{Raw, write, zip},
    process::{Output, Program},
};

#[track_caller]
fn assert_error(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    for part in parts {
        assert!(all.contains(part), "expected {part:?} in\n{all}");
    }
}

#[test]
fn a_wrong_secret() {
    let scene = Scene::new();
    let wrong = Credentials::new(&Credentials::default().key_id, "MARKER+a+wrong+secret+of+forty+characters");
    let output = scene.deploy_as(&scene.package(), &wrong).run();
    assert_error(
        &output,
        3,
        &[
            "AWS refused GetCallerIdentity in eu-west-1",
            "hint: check `AWS.Deployment.Key` and `AWS.Deployment.Secret`",
        ],
    );
    assert!(!format!("{output:?}").contains("MARKER"), "{output:?}");
}

#[test]
fn a_missing_function() {
    let scene = Scene::new();
    let output = scene.deploy(&scene.package()).args(["--variable", "Lambda.Function=Nowhere"]).run();
    assert_error(
        &output,
        3,
        &[
            "AWS refused GetFunction of `CI-Nowhere` in eu-west-1: Function not found",
            "ResourceNotFoundException",
            "hint: octarm updates functions that exist: create `CI-Nowhere`",
        ],
    );
}

#[test]
fn a_right_that_is_missing() {
    let scene = Scene::new();
    let reader = Credentials::new("AKIAOCTARMREADER0001", "MARKER+reader+secret+never+in+any+output0")
        .allowed_only(&[Action::GetFunction, Action::GetCallerIdentity]);
    scene.aws.add_credentials(&reader);
    let output = scene.deploy_as(&scene.package(), &reader).run();
    assert_error(
        &output,
        3,
        &["AccessDeniedException", "hint: allow `lambda:UpdateFunctionCode` to these credentials"],
    );
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}

#[test]
fn half_of_the_credentials() {
    let scene = Scene::new();
    let half = Program::octarm()
        .env("AWS_ENDPOINT_URL", scene.aws.endpoint())
        .env("AWS_DEPLOYMENT_KEY", "AKIAOCTARMDEPLOYER01")
        .args(["deploy", scene.package().to_str().unwrap(), "--environment", "CI"]);
    assert_error(
        &half.run(),
        3,
        &[
            "`AWS.Deployment.Key` is set but `AWS.Deployment.Secret` is missing: static credentials are whole or absent",
        ],
    );
    assert_error(&half.env("AWS_DEPLOYMENT_SECRET", "").run(), 3, &["`AWS.Deployment.Secret` is empty"]);
    assert!(scene.aws.calls().is_empty());
}

#[test]
fn another_account() {
    let scene = Scene::new();
    let output =
        scene.deploy(&scene.package()).args(["--variable", "AWS.Deployment.Account=999999999999"]).run();
    assert_error(
        &output,
        3,
        &["belong to AWS account 111122223333, but `AWS.Deployment.Account` is 999999999999"],
    );
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn a_corrupt_package() {
    let scene = Scene::new();
    let mut bytes = fs_err::read(scene.package()).unwrap();
    let at = bytes.windows(7).position(|part| part == b"exports").unwrap_or(200);
    bytes[at] ^= 0x40;
    let damaged = write(scene.folder.path(), "Orders.1.0.1.nupkg", &bytes);
    let output = scene.deploy(&damaged).run();
    assert_error(&output, 3, &["Orders.1.0.1.nupkg"]);
    let text = write(scene.folder.path(), "Orders.1.0.2.zip", b"this is no zip at all");
    assert_error(&scene.deploy(&text).run(), 3, &["Orders.1.0.2.zip"]);
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn a_package_that_is_not_there() {
    let scene = Scene::new();
    let output = scene.deploy(&scene.folder.path().join("Nothing.1.0.0.zip")).run();
    assert_error(&output, 65, &["Nothing.1.0.0.zip` does not exist or is not a regular file"]);
}

#[test]
fn a_function_name_that_lambda_would_refuse() {
    let scene = Scene::new();
    let package =
        write(scene.folder.path(), "Acme.Web.1.0.0.zip", &zip(&[Raw::new("index.js", "x").mode(0o644)]));
    let output = scene.deploy(&package).run();
    assert_error(
        &output,
        3,
        &[
            "`CI-Acme.Web` may hold only ASCII letters, digits, `-` and `_`, but holds `.`",
            "set the variable `Lambda.Function`",
        ],
    );
    assert!(scene.aws.calls().is_empty());
}

#[test]
fn what_aws_could_never_be_asked_with_is_refused_before_any_call() {
    let scene = Scene::new();
    let package = scene.package();
    let endpoint = "is `localhost:4566`: expected a URL like `https://host:port`";
    for (name, value, expected) in [
        ("AWS_ENDPOINT_URL", "", "the endpoint of AWS STS is ``: expected a URL like `https://host:port`"),
        ("AWS_ENDPOINT_URL", "localhost:4566", endpoint),
        ("AWS_ENDPOINT_URL_LAMBDA", "localhost:4566", &format!("the endpoint of AWS Lambda {endpoint}")),
        ("AWS_DEPLOYMENT_REGION", "EU-WEST-1", "`EU-WEST-1` is not an AWS region: expected a name like"),
        ("AWS_DEPLOYMENT_REGION", "../x", "`../x` is not an AWS region: expected a name like `eu-west-1`"),
        (
            "AWS_DEPLOYMENT_KEY",
            "AKIA\nMARKER",
            "the access key id of `AWS.Deployment` holds a line end at character 5",
        ),
        (
            "AWS_DEPLOYMENT_SECRET",
            "MARKER\tx",
            "the secret access key of `AWS.Deployment` holds a blank at character 7",
        ),
    ] {
        let output = scene.deploy(&package).env(name, value).run();
        assert_error(&output, 3, &[expected, "hint: "]);
        assert!(!format!("{output:?}").contains("MARKER"), "{output:?}");
    }
    assert!(scene.aws.calls().is_empty());
}

#[test]
fn no_connection_to_aws() {
    let scene = Scene::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = scene.deploy(&scene.package()).env("AWS_ENDPOINT_URL", address).run();
    assert_error(
        &output,
        3,
        &["no answer from AWS to GetCallerIdentity in eu-west-1", "hint: check the network"],
    );
}

#[test]
fn a_full_disk() {
    let scene = Scene::new();
    // Random bytes do not compress: the repacked zip is larger than the disk.
    let mut noise = vec![0; 4 << 20];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let large = zip(&[Raw::new("noise.bin", noise).mode(0o644)]);
    assert!(large.len() > 2 << 20, "{}", large.len());
    let package = write(scene.folder.path(), "Orders.2.0.0.zip", &large);
    let output = on_small_disk(scene.deploy(&package)).run();
    assert_error(&output, 3, &["No space left on device", "hint: free some space"]);
    assert!(scene.aws.mutating_calls().is_empty());
}

/// The same program with a temporary folder of one megabyte, in a mount namespace of its own.
pub(crate) fn on_small_disk(program: Program) -> Program {
    program.wrapped("unshare", &["-rm", "sh", "-c", r#"mkdir -p "$HOME/small" && mount -t tmpfs -o size=1m small "$HOME/small" && export TMPDIR="$HOME/small" && exec "$0" "$@""#])
}
