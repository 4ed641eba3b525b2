//! The line between worker and server is cut: nothing is changed without a lease, and no end is lost.

use super::{FUNCTION, Options, Setup, old_zip, release};
use crate::support::{
    aws::{Action, FakeAws, Fault, Gate},
    cut::Cut,
    setup::{Access, WorkerHandle},
};

struct Scene {
    aws: FakeAws,
    setup: Setup,
    cut: Cut,
    worker: WorkerHandle,
}

fn scene(lease: u32) -> Scene {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let setup = Setup::start_with(&Options { lease: Some(lease), ..Options::default() });
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let cut = Cut::before(setup.address());
    let url = format!("http://{}", cut.address());
    let worker = setup.worker_through(&url, "ci-1", "CI", &Access::to_fake(&aws));
    Scene { aws, setup, cut, worker }
}

#[test]
fn a_cut_shorter_than_the_lease_is_borne() {
    let scene = scene(30);
    let gate = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldAfter(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    gate.wait_reached();
    scene.cut.cut();
    gate.open();
    // The update settles and the worker has an effect to record, which nobody takes.
    scene.aws.wait_for(Action::GetFunction, 3);
    scene.cut.mend();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "{end:?}");
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn without_a_lease_nothing_is_changed_and_the_deployment_is_reconciled() {
    let scene = scene(2);
    let gate = Gate::shut();
    scene.aws.on(Action::GetFunction, Fault::HoldBefore(gate.clone()));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    gate.wait_reached();
    scene.cut.cut();
    scene.worker.running().wait_for_line("the lease is lost");
    gate.open();
    assert!(scene.aws.mutating_calls().is_empty());
    scene.cut.mend();
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("took Deployments-1 (fence 2)"), "{end:?}");
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn a_server_that_was_away_is_polled_again() {
    let scene = scene(3);
    scene.cut.cut();
    scene.worker.running().wait_for_line("trying again until the server answers");
    scene.cut.mend();
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
}
