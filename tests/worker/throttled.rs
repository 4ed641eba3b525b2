//! Many deployments at once against a Lambda that refuses what comes too fast: they slow down together.

use std::time::Instant;

use super::{Options, Producer, Setup, old_zip};
use crate::support::{
    aws::{Action, Call, FakeAws},
    packages::{nupkg, write, zip},
    setup::Access,
};

const PROJECTS: usize = 10;
const EACH: usize = 20;
/// What Lambda takes of changing calls in a second, less what somebody else of the account takes of it.
const CHANGES: u32 = 15 - 5;
/// What it takes of GetFunction.
const READS: u32 = 100;

fn project(number: usize) -> String {
    format!("Service{number}")
}

fn of_lambda(calls: &[Call]) -> Vec<&Call> {
    let is_one = |call: &&Call| matches!(call.action, Action::GetFunction | Action::UpdateFunctionCode);
    calls.iter().filter(is_one).collect()
}

#[test]
fn two_hundred_deployments_make_no_storm_of_refusals() {
    let aws = FakeAws::start();
    let setup = Setup::start_with(&Options::default());
    setup.run(&["environment", "create", "CI"]);
    for number in 0..PROJECTS {
        let project = project(number);
        aws.create_function(&format!("CI-{project}"), old_zip());
        setup.run(&["project", "create", &project]);
        for version in ["1.0.0", "1.1.0"] {
            let code = format!("exports.handler = async () => '{version}'\n");
            let bytes = zip(&nupkg(Producer::NuGet, &project, version, &[("src/function/index.js", &code)]));
            let package = write(setup.folder(), &format!("{project}.{version}.nupkg"), &bytes);
            setup.release(&project, version, &package);
        }
    }
    let mut worker = setup.worker("ci-1", "CI", &Access::to_fake(&aws));
    worker.drain();
    worker.start_as(worker.program().clone().arg_pair("--concurrency", "8"));

    // What one costs when nothing is refused.
    let (task, _) = setup.deploy(&project(0), "1.1.0", "CI");
    assert_eq!(setup.follow(&task).code, Some(0));
    let each = of_lambda(&aws.calls()).len();
    let before = aws.calls().len();

    aws.limit(CHANGES, READS);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for turn in 0..EACH {
        // Each is another release than the one before, so that each has something to send.
        let version = ["1.0.0", "1.1.0"][turn % 2];
        tasks.extend((0..PROJECTS).map(|number| setup.deploy(&project(number), version, "CI").0));
    }
    for task in &tasks {
        let end = setup.follow(task);
        assert_eq!(end.code, Some(0), "{end:?}");
    }
    let seconds = began.elapsed().as_secs_f64();
    let calls = &aws.calls()[before..];
    let calls = of_lambda(calls);
    let refused = calls.iter().filter(|call| call.status == Some(429)).count();
    let least = each * tasks.len();
    let a_second = f64::from(u32::try_from(tasks.len()).unwrap()) / seconds;
    println!(
        "{} deployments in {seconds:.1} s, {a_second:.1} a second; {} calls of Lambda, {refused} refused; {least} are the least",
        tasks.len(),
        calls.len(),
    );
    assert_eq!(calls.iter().filter(|call| call.applied).count(), tasks.len());
    assert!(calls.len() * 10 <= least * 12, "{} calls, {least} are the least", calls.len());
}
