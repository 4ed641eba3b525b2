//! Every call fails in every way: the end is honest, and nothing is deployed twice.

use super::{FUNCTION, Scene};
use crate::support::{
    aws::{Action, Fault, code_sha256},
    packages::{Raw, zip},
};

fn refuse(status: u16, error_type: &str, message: &str) -> Fault {
    Fault::Refuse {
        status,
        error_type: error_type.to_owned(),
        message: message.to_owned(),
        retry_after: None,
    }
}

#[test]
fn a_passing_fault_of_any_call_ends_well_with_one_update() {
    let busy = "The operation cannot be performed at this time. An update is in progress for resource: x";
    for fault in [
        Fault::throttle(None),
        refuse(500, "ServiceException", "internal"),
        refuse(409, "ResourceConflictException", busy),
        Fault::CutBefore,
        Fault::CutAfter,
    ] {
        let scene = Scene::new();
        scene.aws.on(Action::UpdateFunctionCode, fault);
        let output = scene.deploy(&scene.package()).run();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(scene.aws.faults_left(), 0);
        let function = scene.aws.function(FUNCTION);
        assert_eq!(function.updates_applied, 1, "{:?}", scene.aws.calls());
        assert!(output.stdout.contains(&code_sha256(&function.zip)), "{output:?}");
    }
}

#[test]
fn a_read_that_fails_for_now_is_repeated() {
    for action in [Action::GetFunction, Action::GetCallerIdentity] {
        for fault in [Fault::throttle(None), refuse(503, "ServiceUnavailable", "later"), Fault::CutBefore] {
            let scene = Scene::new();
            scene.aws.on(action, fault);
            let output = scene.deploy(&scene.package()).run();
            assert_eq!(output.code, Some(0), "{action:?} {output:?}");
        }
    }
}

#[test]
fn a_change_by_somebody_else_between_read_and_write_is_not_overruled() {
    let scene = Scene::new();
    let gate = crate::support::aws::Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let running = scene.deploy(&scene.package()).spawn();
    gate.wait_reached();
    let theirs = zip(&[Raw::new("index.js", "theirs").mode(0o644)]);
    scene.aws.replace_code(FUNCTION, theirs.clone());
    gate.open();
    let output = running.wait();
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("was changed by somebody else during this deployment"), "{output:?}");
    assert_eq!(scene.aws.function(FUNCTION).code_sha256, code_sha256(&theirs));
}

#[test]
fn a_changed_configuration_is_refused_with_awss_words() {
    let scene = Scene::new();
    let gate = crate::support::aws::Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(gate.clone()));
    let running = scene.deploy(&scene.package()).spawn();
    gate.wait_reached();
    scene.aws.touch(FUNCTION);
    gate.open();
    let output = running.wait();
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("PreconditionFailedException"), "{output:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}

#[test]
fn a_failed_update_is_told_with_lambdas_reason() {
    let scene = Scene::new();
    scene.aws.fail_update("InvalidZipFileException", "the zip is not to our liking");
    let output = scene.deploy(&scene.package()).run();
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("the zip is not to our liking (InvalidZipFileException)"), "{output:?}");
}

#[test]
fn an_update_that_nobody_can_look_at_is_unknown() {
    let scene = Scene::new();
    scene.aws.on(Action::UpdateFunctionCode, Fault::CutAfter);
    // The first look is before the update; all later ones are refused.
    let gate = crate::support::aws::Gate::shut();
    scene.aws.on(Action::GetCallerIdentity, Fault::HoldAfter(gate.clone()));
    let running = scene.deploy(&scene.package()).spawn();
    gate.wait_reached();
    let denied = refuse(403, "AccessDeniedException", "not authorized to perform: lambda:GetFunction");
    scene.aws.on(Action::GetFunction, Fault::SlowAnswer(std::time::Duration::ZERO));
    scene.aws.on(Action::GetFunction, Fault::Times(50, Box::new(denied)));
    gate.open();
    let output = running.wait();
    assert_eq!(output.code, Some(5), "{output:?}");
    assert!(output.stdout.contains("may have taken effect"), "{output:?}");
}

#[test]
fn a_cancel_after_a_try_without_an_answer_looks_once_more_before_it_says_that_nothing_changed() {
    let scene = Scene::new();
    scene.aws.on(Action::UpdateFunctionCode, Fault::CutBefore);
    let running = scene.deploy(&scene.package()).spawn();
    running.wait_for_line("trying again");
    running.terminate();
    running.wait_for_line("looking once more in a while");
    // What was on its way takes effect after all, by whatever hand: only the second look can see it.
    let theirs = zip(&[Raw::new("index.js", "late").mode(0o644)]);
    scene.aws.replace_code(FUNCTION, theirs);
    let output = running.wait();
    assert_eq!(output.code, Some(5), "{output:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}
