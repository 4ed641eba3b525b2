//! A function that is too large for a request, through the S3 of an AWS that checks signatures, until it answers.

use serde_json::json;

use super::signatures::user;
use crate::support::{
    ministack::Ministack,
    packages::{Raw, write, zip},
    process::Program,
};

#[test]
fn a_function_of_more_than_fifty_megabytes_answers() {
    let aws = Ministack::start_with_auth();
    let deployer = user(&aws, "deployer");
    aws.create_bucket("zips");
    let function = |answer: &str| {
        Raw::new("function.py", format!("def handler(event, context): return '{answer}'\n")).mode(0o644)
    };
    aws.create_function("CI-Orders", "python3.12", "function.handler", &zip(&[function("old")]));
    let mut noise = vec![0; 53_000_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let large = zip(&[function("new"), Raw { deflate: false, ..Raw::new("noise.bin", noise) }]);
    let folder = tempfile::tempdir().unwrap();
    let package = write(folder.path(), "Orders.1.0.0.zip", &large);

    let deploy = Program::octarm()
        .env("AWS_ENDPOINT_URL", aws.endpoint())
        .env("AWS_DEPLOYMENT_REGION", &deployer.region)
        .env("AWS_DEPLOYMENT_KEY", &deployer.key_id)
        .env("AWS_DEPLOYMENT_SECRET", &deployer.secret)
        .env("AWS_DEPLOYMENT_BUCKET", "zips")
        .args(["deploy", package.to_str().unwrap(), "--environment", "CI"]);
    let output = deploy.run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("to s3://zips/octarm/Orders/Orders/"), "{output:?}");
    assert_eq!(aws.invoke("CI-Orders", &json!({})).answer, "new");

    let output = deploy.run();
    assert!(output.stdout.contains("the function holds this code already"), "{output:?}");
}
