//! A zip that is too large for a request goes through S3, by the same rules.

use serde_json::Value;

use super::{FUNCTION, Scene, old_zip};
use crate::support::{
    aws::{Action, Call, Credentials, Fault, REGION, code_sha256},
    packages::{Raw, write, zip},
    process::{Output, Program},
};

const BUCKET: &str = "zips";

/// What Lambda says to a request that is too large for it.
pub(crate) fn too_large() -> Fault {
    refuse(
        413,
        "RequestEntityTooLargeException",
        "Request must be smaller than 69905067 bytes for the UpdateFunctionCode operation",
    )
}

fn refuse(status: u16, error_type: &str, message: &str) -> Fault {
    let (error_type, message) = (error_type.to_owned(), message.to_owned());
    Fault::Refuse { status, error_type, message, retry_after: None }
}

/// A scene with a bucket that keeps versions.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.aws.create_bucket(BUCKET, REGION, true);
    scene
}

fn through(program: Program, bucket: &str) -> Program {
    program.args(["--variable", &format!("AWS.Deployment.Bucket={bucket}")])
}

fn calls(scene: &Scene, action: Action) -> Vec<Call> {
    scene.aws.calls().into_iter().filter(|call| call.action == action).collect()
}

#[track_caller]
fn assert_deployed_through_s3(scene: &Scene, output: &Output) {
    assert_eq!(output.code, Some(0), "{output:?}");
    let function = scene.aws.function(FUNCTION);
    assert_eq!((function.last_update_status, function.updates_applied), ("Successful", 1));
    let objects = scene.aws.objects(BUCKET);
    assert_eq!(objects.len(), 1, "{:?}", objects.keys());
    let (key, versions) = objects.first_key_value().unwrap();
    assert_eq!(versions.len(), 1, "{:?}", scene.aws.calls());
    assert!(versions[0].bytes == function.zip && function.zip != old_zip());
    assert!(key.starts_with("octarm/Orders/Orders/"), "{key}");
    let sha256 = code_sha256(&function.zip);
    assert!(output.stdout.contains(&format!("(CodeSha256 {sha256})")), "{output:?}");
}

#[test]
fn by_the_size_of_the_request() {
    let scene = scene();
    // Noise does not compress, so it is stored: the zip is as large as the file.
    let mut noise = vec![0; 53_000_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let large = zip(&[Raw { deflate: false, ..Raw::new("noise.bin", noise) }]);
    let package = write(scene.folder.path(), "Orders.2.0.0.zip", &large);

    let output = scene.deploy(&package).run();
    assert_eq!(output.code, Some(3), "{output:?}");
    for part in [
        "the repacked zip has 50.5 MiB, a direct upload takes at most 49.9 MiB, and `AWS.Deployment.Bucket` is not set",
        "hint: set `AWS.Deployment.Bucket` to an S3 bucket in the region of the function",
    ] {
        assert!(output.stdout.contains(part), "{output:?}");
    }
    assert_eq!(scene.aws.calls(), [], "it fails before any call");

    let deploy = through(scene.deploy(&package), BUCKET);
    let output = deploy.clone().args(["--dry-run", "--json"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let way = answer["plan"]["way"].as_str().unwrap();
    assert!(way.starts_with("through s3://zips/octarm/Orders/Orders/"), "{way}");
    assert!(scene.aws.objects(BUCKET).is_empty() && scene.aws.mutating_calls().is_empty());

    let output = deploy.run();
    assert_deployed_through_s3(&scene, &output);
    assert!(output.stdout.contains(&format!("50.5 MiB to send {way}")), "{output:?}");
    assert_eq!(calls(&scene, Action::UpdateFunctionCode).len(), 1);
}

#[test]
fn when_lambda_refuses_the_request_as_too_large() {
    let scene = scene();
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    let output = through(scene.deploy(&scene.package()), BUCKET).run();
    assert_deployed_through_s3(&scene, &output);
    assert!(output.stdout.contains("the code goes through S3 instead"), "{output:?}");
    let statuses: Vec<_> = calls(&scene, Action::UpdateFunctionCode).iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(413), Some(200)]);
}

#[test]
fn without_a_bucket_the_refusal_names_the_variable() {
    let scene = scene();
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    let output = scene.deploy(&scene.package()).run();
    assert_eq!(output.code, Some(3), "{output:?}");
    for part in
        ["RequestEntityTooLargeException", "hint: set `AWS.Deployment.Bucket` to a bucket in eu-west-1"]
    {
        assert!(output.stdout.contains(part), "{output:?}");
    }
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}

#[test]
fn a_small_zip_goes_directly_though_there_is_a_bucket() {
    let scene = scene();
    let output = through(scene.deploy(&scene.package()), BUCKET).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("to send directly"), "{output:?}");
    assert!(scene.aws.objects(BUCKET).is_empty());
}

#[test]
fn what_lies_there_already_is_not_sent_again() {
    for is_versioned in [true, false] {
        let scene = Scene::new();
        scene.aws.create_bucket(BUCKET, REGION, is_versioned);
        scene.aws.on(Action::UpdateFunctionCode, too_large());
        let deploy = through(scene.deploy(&scene.package()), BUCKET);
        assert_deployed_through_s3(&scene, &deploy.run());
        // Somebody deploys something else: ours is wanted again.
        scene.aws.replace_code(FUNCTION, old_zip());
        scene.aws.on(Action::UpdateFunctionCode, too_large());
        let output = deploy.run();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains("holds this zip already: it is not sent again"), "{output:?}");
        assert_eq!(calls(&scene, Action::PutObject).len(), 1);
        assert_eq!(scene.aws.function(FUNCTION).updates_applied, 2);
    }
}

#[test]
fn a_passing_fault_of_the_upload_ends_well_with_one_object() {
    for fault in [
        refuse(503, "SlowDown", "Please reduce your request rate."),
        refuse(500, "InternalError", "We encountered an internal error. Please try again."),
        Fault::CutBefore,
        Fault::CutAfter,
    ] {
        let scene = scene();
        scene.aws.on(Action::UpdateFunctionCode, too_large());
        scene.aws.on(Action::PutObject, fault);
        let output = through(scene.deploy(&scene.package()), BUCKET).run();
        assert_deployed_through_s3(&scene, &output);
        assert_eq!(scene.aws.faults_left(), 0);
    }
}

#[test]
fn who_may_not_look_whether_it_is_there_sends_it() {
    let scene = scene();
    scene.aws.on(Action::UpdateFunctionCode, too_large());
    scene.aws.on(Action::HeadObject, refuse(403, "AccessDenied", "Access Denied"));
    let output = through(scene.deploy(&scene.package()), BUCKET).run();
    assert_deployed_through_s3(&scene, &output);
}

#[test]
fn what_s3_refuses_is_told_with_what_to_do() {
    let others = [Action::GetFunction, Action::GetCallerIdentity, Action::UpdateFunctionCode];
    let user = |key: &str, rights: &[Action]| {
        Credentials::new(key, "MARKER+another+secret+of+forty+characters").allowed_only(rights)
    };
    let everybody = Credentials::default();
    let reader = user("AKIAOCTARMREADER0001", &[&others[..], &[Action::HeadObject]].concat());
    let writer = user("AKIAOCTARMWRITER0001", &[&others[..], &[Action::PutObject]].concat());
    for (who, bucket, parts) in [
        (
            &everybody,
            "nowhere",
            ["NoSuchBucket", "hint: create the bucket in eu-west-1, the region of the function"],
        ),
        (
            &everybody,
            "elsewhere",
            [
                "PutObject of `s3://elsewhere/octarm/Orders/Orders/",
                "hint: set `AWS.Deployment.Bucket` to a bucket in eu-west-1, the region of the function",
            ],
        ),
        (&everybody, "elsewhere", ["the bucket is in us-east-1", "PermanentRedirect"]),
        (&reader, BUCKET, ["AWS refused PutObject", "hint: allow `s3:PutObject` to these credentials"]),
        (&writer, BUCKET, ["denied by S3", "hint: allow `s3:GetObject` and `s3:GetObjectVersion`"]),
    ] {
        let scene = scene();
        scene.aws.create_bucket("elsewhere", "us-east-1", false);
        scene.aws.add_credentials(&reader);
        scene.aws.add_credentials(&writer);
        scene.aws.on(Action::UpdateFunctionCode, too_large());
        let output = through(scene.deploy_as(&scene.package(), who), bucket).run();
        assert_eq!(output.code, Some(3), "{output:?}");
        for part in parts {
            assert!(output.stdout.contains(part), "{part}: {output:?}");
        }
        assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
    }
}

#[test]
fn a_name_that_no_bucket_has_is_refused_before_any_call() {
    let scene = scene();
    let output = through(scene.deploy(&scene.package()), "s3://zips/folder").run();
    assert_eq!(output.code, Some(3), "{output:?}");
    for part in ["the bucket name `s3://zips/folder` must have", "hint: say the bucket's name alone"] {
        assert!(output.stdout.contains(part), "{output:?}");
    }
    assert_eq!(scene.aws.calls(), []);
}
