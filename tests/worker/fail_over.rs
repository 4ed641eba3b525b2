//! PostgreSQL fails over to a standby that lacks the last commits, as one does that is not synchronous. The server has
//! forgotten what it answered; Lambda and the worker have not. Nothing is deployed twice, and no end is made up.

use std::future::Future;

use tempfile::TempDir;

use super::{FUNCTION, Options, Setup, code_sha256, old_zip, release, rows::assert_log_whole};
use crate::support::{
    arrows::{Arrows, Way},
    aws::{Action, FakeAws, Fault, Gate},
    postgres,
    process::Output,
    setup::{Access, WorkerHandle},
};

struct Scene {
    aws: FakeAws,
    setup: Setup,
    arrows: Arrows,
    database: String,
    worker: WorkerHandle,
    /// What the database belongs to.
    _folder: TempDir,
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Scene {
    /// With release 1.0.0 asked for, whose task is answered, and the worker's claim held on its way.
    fn before_the_claim(lease: u32) -> (Self, String, Gate) {
        let aws = FakeAws::start();
        aws.create_function(FUNCTION, old_zip());
        let folder = TempDir::new().unwrap();
        let database = block_on(postgres::database_of(folder.path()));
        let variables = vec![("OCTARM_SERVER_DATABASE_URL".to_owned(), database.clone())];
        let setup = Setup::start_with(&Options { lease: Some(lease), variables, ..Options::default() });
        setup.create(&["CI"], "Orders");
        release(&setup, "1.0.0");
        let arrows = Arrows::before(setup.address());
        let gate = arrows.hold("/claim", 0, Way::There);
        let worker = setup.worker_through(&arrows.url(), "ci-1", "CI", &Access::to_fake(&aws));
        let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
        gate.wait_reached();
        (Self { aws, setup, arrows, database, worker, _folder: folder }, task, gate)
    }

    /// The same with such a call of AWS held.
    fn until(lease: u32, action: Action, fault: impl Fn(Gate) -> Fault) -> (Self, String, Gate) {
        let (scene, task, claim) = Self::before_the_claim(lease);
        let gate = scene.hold(action, fault);
        claim.open();
        gate.wait_reached();
        (scene, task, gate)
    }

    fn hold(&self, action: Action, fault: impl Fn(Gate) -> Fault) -> Gate {
        let gate = Gate::shut();
        self.aws.on(action, fault(gate.clone()));
        gate
    }

    /// What comes from here on will be lost.
    fn replicate(&self) {
        block_on(postgres::replicate(&self.database));
    }

    fn fail_over(&self) {
        block_on(postgres::fail_over(&self.database));
    }

    /// The deployment ends well, and the code was sent once.
    #[track_caller]
    fn assert_deployed_once(&self, task: &str) -> Output {
        let end = self.setup.follow(task);
        assert_eq!(end.code, Some(0), "{end:?}");
        assert_eq!(self.setup.task(task)["State"], "Success");
        let function = self.aws.function(FUNCTION);
        assert_eq!(function.updates_applied, 1, "{:?}", self.aws.calls());
        let said = format!("runs Orders 1.0.0 (CodeSha256 {})", function.code_sha256);
        assert!(end.stdout.contains(&said), "{end:?}");
        end
    }
}

#[test]
fn a_lost_claim_whose_update_took_effect_is_not_sent_again() {
    let (scene, task, claim) = Scene::before_the_claim(3);
    scene.replicate();
    let update = scene.hold(Action::UpdateFunctionCode, Fault::HoldAfter);
    claim.open();
    update.wait_reached();
    scene.fail_over();
    // For the server nobody has taken it: whoever believes so stops.
    scene.worker.running().wait_for_line("the lease is lost");
    update.open();
    scene.assert_deployed_once(&task);
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn a_lost_claim_whose_update_comes_late_changes_nothing_any_more() {
    let (scene, task, claim) = Scene::before_the_claim(3);
    scene.replicate();
    let update = scene.hold(Action::UpdateFunctionCode, Fault::HoldBefore);
    claim.open();
    update.wait_reached();
    scene.fail_over();
    scene.worker.running().wait_for_line("the lease is lost");
    scene.assert_deployed_once(&task);
    let before = scene.aws.function(FUNCTION).code_sha256;
    update.open();
    let function = scene.aws.function(FUNCTION);
    assert_eq!((function.updates_applied, function.code_sha256), (1, before));
}

#[test]
fn a_worker_that_outlives_the_loss_of_its_journal_and_log_brings_what_is_missing() {
    let (scene, task, read) = Scene::until(30, Action::GetFunction, Fault::HoldBefore);
    scene.replicate();
    let update = scene.hold(Action::UpdateFunctionCode, Fault::HoldAfter);
    read.open();
    update.wait_reached();
    scene.fail_over();
    update.open();
    let end = scene.assert_deployed_once(&task);
    assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "{end:?}");
    assert_eq!(scene.aws.mutating_calls().len(), 1);
    assert_log_whole(&scene.setup, &scene.worker, &task);
}

#[test]
fn a_worker_killed_after_its_intent_was_lost_finds_the_code_there() {
    let (mut scene, task, read) = Scene::until(5, Action::GetFunction, Fault::HoldBefore);
    scene.replicate();
    let update = scene.hold(Action::UpdateFunctionCode, Fault::HoldAfter);
    read.open();
    update.wait_reached();
    scene.worker.kill();
    scene.fail_over();
    update.open();
    scene.worker.start_again();
    let end = scene.assert_deployed_once(&task);
    assert!(end.stdout.contains("took Deployments-1 (fence 2)"), "{end:?}");
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

/// An end that was recorded and told, and is lost; what was done after it, too.
fn after_a_lost_end(between: impl FnOnce(&Scene)) -> (Scene, String) {
    let (scene, task, claim) = Scene::before_the_claim(5);
    let finish = scene.arrows.hold("/finish", 0, Way::There);
    claim.open();
    finish.wait_reached();
    scene.replicate();
    finish.open();
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    between(&scene);
    scene.fail_over();
    (scene, task)
}

#[test]
fn a_lost_end_is_found_out_again() {
    let (scene, task) = after_a_lost_end(|_| ());
    let end = scene.assert_deployed_once(&task);
    assert!(
        end.stdout.contains("an earlier attempt sent this code: it is verified, not sent again"),
        "{end:?}"
    );
    assert_eq!(scene.aws.mutating_calls().len(), 1);
}

#[test]
fn a_lost_end_before_a_lost_deployment_is_unknown_and_what_is_there_stays() {
    let (scene, task) = after_a_lost_end(|scene| {
        release(&scene.setup, "1.1.0");
        let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
        assert_eq!(scene.setup.follow(&next).code, Some(0));
    });
    let newer = scene.aws.function(FUNCTION).code_sha256;
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(5), "{end:?}");
    assert!(scene.setup.task(&task)["ErrorMessage"].as_str().unwrap().starts_with("unknown: "));
    let function = scene.aws.function(FUNCTION);
    assert_eq!((function.updates_applied, &function.code_sha256), (2, &newer));
    assert_ne!(newer, code_sha256(&old_zip()));
}
