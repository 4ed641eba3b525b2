//! The daemon as a real process: killed, cut off, drained, taken over. AWS is the strict fake, which holds a call at a
//! gate while the test does its worst.

mod cache;
mod clock;
mod concurrency;
mod config_show;
mod crash;
mod disk;
mod doctor;
mod errors;
mod fail_over;
mod identity;
mod killed;
mod leaving;
mod life;
mod log_limit;
mod logs;
mod network;
mod otel;
mod packages;
mod proxy;
mod redaction;
mod registration;
mod rows;
mod status;
mod stop;
mod throttled;
mod through_s3;
mod tls;
mod unheard;

use crate::support::{
    aws::{Action, FakeAws, Fault, Gate, code_sha256},
    packages::{Producer, Raw, nupkg, write, zip},
    process::Output,
    setup::{Access, Options, Setup, WorkerHandle},
};

const FUNCTION: &str = "CI-Orders";

/// A server, one worker of CI, and release 1.0.0 of `Orders`, which is not deployed yet.
struct Scene {
    aws: FakeAws,
    setup: Setup,
    worker: WorkerHandle,
}

impl Scene {
    fn new() -> Self {
        // Long enough for a loaded machine to renew in, short enough to wait for its end.
        Self::with_lease(3)
    }

    /// The same, with a worker that runs so many deployments at a time.
    fn concurrent(number: u32) -> Self {
        let mut scene = Self::new();
        scene.worker.drain();
        let program = scene.worker.program().clone().arg_pair("--concurrency", number.to_string());
        scene.worker.start_as(program);
        scene
    }

    fn with_lease(seconds: u32) -> Self {
        let aws = FakeAws::start();
        aws.create_function(FUNCTION, old_zip());
        let setup = Setup::start_with(&Options { lease: Some(seconds), ..Options::default() });
        setup.create(&["CI"], "Orders");
        release(&setup, "1.0.0");
        let worker = setup.worker("ci-1", "CI", &Access::to_fake(&aws));
        Self { aws, setup, worker }
    }

    /// Deploys 1.0.0 to CI and answers its task once a call of this kind stands at the gate.
    fn deploy_until(&self, action: Action, fault: impl Fn(Gate) -> Fault) -> (String, Gate) {
        let gate = Gate::shut();
        self.aws.on(action, fault(gate.clone()));
        let (task, _) = self.setup.deploy("Orders", "1.0.0", "CI");
        gate.wait_reached();
        (task, gate)
    }

    /// Kills the worker while a call of this kind, which then acts, stands at the gate; answers the task.
    fn killed_at(&mut self, action: Action, fault: impl Fn(Gate) -> Fault) -> String {
        let (task, gate) = self.deploy_until(action, fault);
        self.worker.kill();
        gate.open();
        task
    }

    /// Asks the worker to finish what it runs; answers what it says to that.
    #[track_caller]
    fn begin_drain(&self) -> String {
        self.worker.running().terminate();
        self.worker.running().wait_for_line("finishing what runs")
    }

    #[track_caller]
    fn assert_deployed_once(&self, end: &Output) {
        assert_eq!(end.code, Some(0), "{end:?}");
        let function = self.aws.function(FUNCTION);
        assert_eq!(function.updates_applied, 1, "{:?}", self.aws.calls());
        let sha = code_sha256(&function.zip);
        assert!(end.stdout.contains(&format!("runs Orders 1.0.0 (CodeSha256 {sha})")), "{end:?}");
        assert!(function.zip != old_zip());
    }
}

fn release(setup: &Setup, version: &str) {
    let code = format!("exports.handler = async () => '{version}'\n");
    let bytes = zip(&nupkg(Producer::NuGet, "Orders", version, &[("src/function/index.js", &code)]));
    let package = write(setup.folder(), &format!("Orders.{version}.nupkg"), &bytes);
    setup.release("Orders", version, &package);
}

fn old_zip() -> Vec<u8> {
    zip(&[Raw::new("index.js", "exports.handler = async () => 'old'\n").mode(0o644)])
}
