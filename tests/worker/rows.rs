//! What else may go wrong between worker and server while both live: an answer is lost, a request comes late, by half or
//! twice, two processes claim to be one worker, a cancel and an end meet.

use std::fmt::Write as _;

use serde_json::Value;

use super::{FUNCTION, Options, Setup, code_sha256, old_zip, release};
use crate::support::{
    arrows::{Arrows, Way},
    aws::{Action, FakeAws, Fault, Gate},
    cut::Cut,
    packages::{Producer, Raw, nupkg, write, zip},
    process::{Output, Program},
    setup::{Access, WorkerHandle},
};

/// A worker behind a line that can be cut, and behind that a proxy that holds a request.
struct Scene {
    aws: FakeAws,
    setup: Setup,
    arrows: Arrows,
    cut: Cut,
    worker: WorkerHandle,
}

/// The scene; the worker's first such request is held.
fn scene_that_holds(first: Option<(&'static str, Way)>) -> (Scene, Option<Gate>) {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    // What is held here is held for less.
    let setup = Setup::start_with(&Options { lease: Some(30), ..Options::default() });
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let arrows = Arrows::before(setup.address());
    let cut = Cut::before(arrows.address());
    let gate = first.map(|(call, way)| arrows.hold(call, 0, way));
    let url = format!("http://{}", cut.address());
    let worker = setup.worker_through(&url, "ci-1", "CI", &Access::to_fake(&aws));
    (Scene { aws, setup, arrows, cut, worker }, gate)
}

fn scene() -> Scene {
    scene_that_holds(None).0
}

impl Scene {
    /// Deploys 1.0.0 and answers its task once such a request is held.
    fn deploy_until(&self, call: &'static str, way: Way) -> (String, Gate) {
        let gate = self.arrows.hold(call, 0, way);
        let (task, _) = self.setup.deploy("Orders", "1.0.0", "CI");
        gate.wait_reached();
        (task, gate)
    }

    /// All that is on its way is lost to the worker, which can ask again at once.
    fn lose(&self) {
        self.cut.cut();
        self.cut.mend();
    }

    #[track_caller]
    fn assert_deployed_once(&self, task: &str, hand_outs: usize) -> Output {
        let end = self.setup.follow(task);
        assert_eq!(end.code, Some(0), "{end:?}");
        assert_eq!(self.setup.task(task)["State"], "Success");
        assert_eq!(self.aws.function(FUNCTION).updates_applied, 1);
        assert_eq!(self.aws.mutating_calls().len(), 1);
        assert_eq!(end.stdout.matches("took Deployments-1").count(), hand_outs, "{end:?}");
        assert_log_whole(&self.setup, &self.worker, task);
        end
    }
}

/// The server's log of the first deployment is the worker's own, line by line.
#[track_caller]
pub(super) fn assert_log_whole(setup: &Setup, worker: &WorkerHandle, task: &str) {
    let there = setup.octarm(["task", "logs", task, "--json"]).run().stdout;
    let here = fs_err::read_to_string(worker.state().join("log.jsonl")).unwrap();
    let texts = |lines: &str, of: fn(&Value) -> &Value| {
        lines.lines().filter(|line| !line.is_empty()).fold(String::new(), |mut all, line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let line = of(&line);
            writeln!(all, "{} {} {}", line["time"], line["level"], line["text"]).unwrap();
            all
        })
    };
    let (there, here) = (texts(&there, |line| line), texts(&here, |line| &line["line"]));
    assert!(there.lines().count() > 10, "{there}");
    assert_eq!(there, here);
}

#[test]
fn an_end_whose_answer_was_lost_is_told_again_and_recorded_once() {
    let scene = scene();
    let process = scene.worker.running().pid();
    let (task, _gate) = scene.deploy_until("/finish", Way::Back);
    assert_eq!(scene.setup.task(&task)["State"], "Success", "the server has it");
    scene.lose();
    scene.arrows.wait_for_answers("/finish", 200, 2);
    scene.worker.running().wait_for_line("reported");
    scene.assert_deployed_once(&task, 1);
    // The same process goes on as if nothing had been.
    release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&next).code, Some(0));
    assert_eq!(scene.worker.running().pid(), process);
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 2);
}

#[test]
fn a_server_killed_in_a_claim_hands_out_again_what_nobody_heard_of() {
    let (mut scene, gate) = scene_that_holds(Some(("/claim", Way::Back)));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    gate.unwrap().wait_reached();
    assert_eq!(scene.setup.task(&task)["State"], "Executing", "the claim is stored");
    scene.cut.cut();
    scene.setup.kill_server();
    scene.setup.start_server_again();
    scene.cut.mend();
    let end = scene.assert_deployed_once(&task, 1);
    assert!(end.stdout.contains("took Deployments-1 (fence 2)"), "{end:?}");
}

#[test]
fn a_part_of_the_log_whose_answer_was_lost_is_there_once() {
    let scene = scene();
    let (task, _gate) = scene.deploy_until("/log", Way::Back);
    scene.lose();
    // It is sent again, and the server says how much it has.
    scene.arrows.wait_for_answers("/log", 416, 1);
    scene.assert_deployed_once(&task, 1);
}

#[test]
fn a_part_of_the_log_that_comes_after_later_ones_changes_nothing() {
    let scene = scene();
    let update = Gate::shut();
    scene.aws.on(Action::UpdateFunctionCode, Fault::HoldBefore(update.clone()));
    let (task, late) = scene.deploy_until("/log", Way::Late);
    // The worker gives it up, and sends it again with all that came since.
    scene.lose();
    update.wait_reached();
    scene.arrows.wait_for_answers("/log", 200, 1);
    late.open();
    scene.arrows.wait_for_answers("/log", 416, 1);
    update.open();
    scene.assert_deployed_once(&task, 1);
}

#[test]
fn a_part_of_the_log_that_reaches_a_dead_server_is_taken_by_the_next() {
    let mut scene = scene();
    let (task, gate) = scene.deploy_until("/log", Way::There);
    scene.setup.kill_server();
    gate.open();
    scene.setup.start_server_again();
    scene.assert_deployed_once(&task, 1);
}

#[test]
fn a_part_of_the_log_that_breaks_off_is_sent_again() {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let setup = Setup::start_with(&Options { lease: Some(30), ..Options::default() });
    setup.create(&["CI"], "Orders");
    let mut files = nupkg(Producer::NuGet, "Orders", "1.0.0", &[("src/function/index.js", "// 1\n")]);
    // Each is dropped, and that is logged: 160 KiB, which is nearly all that the worker sends.
    files.extend((0..600).map(|number| Raw::new(format!("_rels/{number:04}-{}", "x".repeat(250)), "")));
    let package = write(setup.folder(), "Orders.1.0.0.nupkg", &zip(&files));
    setup.release("Orders", "1.0.0", &package);
    let cut = Cut::before(setup.address());
    let url = format!("http://{}", cut.address());
    let worker = setup.worker_through(&url, "ci-1", "CI", &Access::to_fake(&aws));
    cut.cut_after_bytes(80_000);
    let (task, _) = setup.deploy("Orders", "1.0.0", "CI");
    cut.wait_cut();
    cut.mend();
    let end = setup.follow(&task);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(end.stdout.matches("dropped _rels/").count(), 601, "{end:?}");
    assert_log_whole(&setup, &worker, &task);
    assert_eq!(aws.function(FUNCTION).updates_applied, 1);
}

/// A copy of the worker's state folder on the same machine, as a restored backup of it would be, and what starts it.
fn twin(scene: &super::Scene) -> Program {
    let copy = scene.setup.folder().join("twin");
    fs_err::create_dir(&copy).unwrap();
    for entry in fs_err::read_dir(scene.worker.state()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs_err::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    let Access { endpoint, region, key_id, secret } = Access::to_fake(&scene.aws);
    Program::octarm()
        .args(["worker", "run"])
        .arg_pair("--state", copy)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_DEPLOYMENT_REGION", region)
        .env("AWS_DEPLOYMENT_KEY", key_id)
        .env("AWS_DEPLOYMENT_SECRET", secret)
}

#[track_caller]
fn assert_sent_away(output: &Output) {
    assert_eq!(output.code, Some(6), "{output:?}");
    assert!(output.stderr.contains("another process of this worker runs: stop one of the two"), "{output:?}");
}

#[test]
fn of_two_processes_with_one_identity_one_works_and_the_other_says_so() {
    let mut scene = super::Scene::new();
    let twin = twin(&scene).spawn();
    twin.wait_for_line("polling for deployments");
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_sent_away(&scene.worker.wait());
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "{end:?}");
    twin.terminate();
    assert_eq!(twin.wait().code, Some(0));
}

#[test]
fn of_two_processes_with_one_identity_the_one_that_deploys_is_left_to_its_end() {
    let mut scene = super::Scene::new();
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let twin = twin(&scene).spawn();
    twin.wait_for_line("an earlier process of this worker still holds a lease");
    gate.open();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(end.stdout.matches("took Deployments-1").count(), 1, "{end:?}");
    twin.wait_for_line("polling for deployments");
    assert_sent_away(&scene.worker.wait());
    release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&next).code, Some(0));
    assert_eq!(scene.aws.mutating_calls().len(), 2);
}

#[test]
fn a_cancel_before_the_end_arrives_does_not_change_it() {
    let scene = scene();
    let (task, gate) = scene.deploy_until("/finish", Way::There);
    assert_eq!(scene.setup.json(&["task", "cancel", &task])["State"], "Cancelling");
    gate.open();
    scene.assert_deployed_once(&task, 1);
    // And nobody is left to be cancelled.
    assert_eq!(scene.setup.json(&["task", "cancel", &task])["State"], "Success");
}

#[test]
fn a_cancel_after_the_end_was_recorded_comes_too_late() {
    let scene = scene();
    let (task, gate) = scene.deploy_until("/finish", Way::Back);
    assert_eq!(scene.setup.json(&["task", "cancel", &task])["State"], "Success");
    gate.open();
    scene.worker.running().wait_for_line("reported");
    scene.assert_deployed_once(&task, 1);
    release(&scene.setup, "1.1.0");
    let (next, _) = scene.setup.deploy("Orders", "1.1.0", "CI");
    assert_eq!(scene.setup.follow(&next).code, Some(0), "the late wish is not the next one's");
}

#[test]
fn a_cancelled_end_is_told_once_and_the_function_is_as_it_was() {
    let scene = scene();
    let read = Gate::shut();
    scene.aws.on(Action::GetFunction, Fault::HoldBefore(read.clone()));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    read.wait_reached();
    let finish = scene.arrows.hold("/finish", 0, Way::Back);
    scene.setup.run(&["task", "cancel", &task]);
    scene.worker.running().wait_for_line("cancelling on request");
    read.open();
    finish.wait_reached();
    assert_eq!(scene.setup.json(&["task", "cancel", &task])["State"], "Canceled");
    scene.lose();
    scene.arrows.wait_for_answers("/finish", 200, 2);
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(scene.setup.task(&task)["State"], "Canceled");
    assert!(scene.aws.mutating_calls().is_empty());
    assert_eq!(scene.aws.function(FUNCTION).code_sha256, code_sha256(&old_zip()));
}
