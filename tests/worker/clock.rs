//! Clocks that are wrong: AWS refuses what is signed by one an hour off, until its own time is taken; and a lease ends in
//! time also on a machine that was suspended.

use std::time::{Duration, Instant};

use super::{FUNCTION, Options, Scene, Setup, old_zip, release};
use crate::{
    deploy,
    support::{
        arrows::{Arrows, Way},
        aws::{Action, FakeAws, Fault},
        clock::Clock,
        process::Output,
        setup::Access,
    },
};

const HOUR: i64 = 3600;

/// A scene whose worker has clocks that can be moved, and which are moved by this now.
fn scene(seconds: i64) -> (Scene, Clock) {
    let mut scene = Scene::with_lease(30);
    let clock = Clock::new();
    clock.jump(seconds);
    scene.worker.drain();
    scene.worker.start_as(clock.of(scene.worker.program().clone()));
    (scene, clock)
}

/// How often the log says that the clock is off this way by an hour, a little more or less.
fn warnings(text: &str, way: &str) -> usize {
    let is_one = |line: &&str| {
        let seconds =
            line.split_once("this machine's clock is ").and_then(|(_, rest)| rest.split_once(" s "));
        seconds.is_some_and(|(seconds, rest)| {
            let seconds: i64 = seconds.parse().unwrap();
            rest.starts_with(&format!("{way} AWS's")) && (HOUR - 60..=HOUR + 60).contains(&seconds)
        })
    };
    text.lines().filter(is_one).count()
}

#[track_caller]
fn assert_told_once(end: &Output, way: &str) {
    assert_eq!(warnings(&end.stdout, way), 1, "{end:?}");
    assert_eq!(end.stdout.matches("this machine's clock is").count(), 1, "{end:?}");
}

/// The calls that were refused for the time of their signature.
fn refused(aws: &FakeAws) -> Vec<Action> {
    let calls = aws.calls();
    let refused = calls.iter().filter(|call| call.error_type.as_deref() == Some("InvalidSignatureException"));
    refused.map(|call| call.action).collect()
}

#[test]
fn an_hour_off_from_the_beginning() {
    for (seconds, way) in [(HOUR, "ahead of"), (-HOUR, "behind")] {
        let (scene, _clock) = scene(seconds);
        let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
        let end = scene.setup.follow(&task);
        scene.assert_deployed_once(&end);
        assert_told_once(&end, way);
        assert_eq!(refused(&scene.aws), [Action::GetCallerIdentity], "all clients share the time");
    }
}

#[test]
fn the_command_that_deploys_at_once_corrects_itself_too() {
    let scene = deploy::Scene::new();
    let clock = Clock::new();
    clock.jump(-HOUR);
    let end = clock.of(scene.deploy(&scene.package())).run();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 1);
    assert_eq!(warnings(&format!("{}{}", end.stdout, end.stderr), "behind"), 1, "{end:?}");
}

#[test]
fn a_jump_while_the_update_is_under_way() {
    let holds: [fn(crate::support::aws::Gate) -> Fault; 2] = [Fault::HoldBefore, Fault::HoldAfter];
    for (hold, seconds, way) in [(holds[0], HOUR, "ahead of"), (holds[1], -HOUR, "behind")] {
        let (scene, clock) = scene(0);
        let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, hold);
        clock.jump(seconds);
        gate.open();
        let end = scene.setup.follow(&task);
        scene.assert_deployed_once(&end);
        assert_told_once(&end, way);
        assert_eq!(refused(&scene.aws), [Action::GetFunction]);
        assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "the lease is unaffected: {end:?}");
    }
}

#[test]
fn a_jump_before_the_update_has_it_refused_once_and_made_again() {
    let (scene, clock) = scene(0);
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldAfter);
    clock.jump(HOUR);
    gate.open();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_told_once(&end, "ahead of");
    assert_eq!(refused(&scene.aws), [Action::UpdateFunctionCode]);
    assert_eq!(scene.aws.mutating_calls().len(), 2, "{:?}", scene.aws.calls());
}

#[test]
fn a_machine_that_was_suspended_longer_than_its_lease_changes_nothing_more() {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let setup = Setup::start_with(&Options { lease: Some(2), ..Options::default() });
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let arrows = Arrows::before(setup.address());
    let access = Access::to_fake(&aws);
    let mut first = setup.worker_through(&arrows.url(), "ci-1", "CI", &access);
    first.drain();
    let clock = Clock::new();
    first.start_as(clock.of(first.program().clone()));

    // The server has the intent: as soon as the worker knows, it would make the change.
    let gate = arrows.hold("/journal", 0, Way::Back);
    let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
    gate.wait_reached();
    first.running().halt();
    let halted = Instant::now();
    let _second = setup.worker("ci-2", "CI", &access);
    let end = setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("worker ci-2 of CI took Deployments-1"), "{end:?}");

    // By its monotonic clock, hardly any time has passed: a little less than was, so that it never goes back.
    clock.suspended(halted.elapsed().saturating_sub(Duration::from_millis(100)));
    gate.open();
    first.running().go_on();
    assert_eq!(first.drain().code, Some(0));
    assert_eq!(aws.function(FUNCTION).updates_applied, 1);
    assert_eq!(aws.mutating_calls().len(), 1, "not even a call that would be refused: {:?}", aws.calls());
}
