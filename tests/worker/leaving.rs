//! A worker that is deregistered while it works: nobody counts the time for what it still runs.

use super::{Scene, status::ask_until};
use crate::support::{
    aws::{Action, Fault},
    process::Program,
    systemd::NotifySocket,
};

#[test]
fn systemd_counts_no_time_for_what_a_worker_that_leaves_still_runs() {
    let socket = NotifySocket::open();
    let mut scene = Scene::new();
    scene.worker.drain();
    let program = scene.worker.program().clone().arg_pair("--concurrency", "2");
    scene.worker.start_as(program.env("NOTIFY_SOCKET", socket.path()));
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let leaving = Program::octarm()
        .args(["worker", "deregister", "--wait", "60"])
        .arg_pair("--state", scene.worker.state())
        .spawn();
    socket.wait_for("STATUS=draining; deploying Orders 1.0.0 to CI", 0);
    ask_until(&scene.worker, "draining", |value| value["state"] == "draining");
    assert!(!socket.heard().iter().any(|heard| heard.contains("STOPPING=1")), "{:?}", socket.heard());
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
    assert_eq!(leaving.wait().code, Some(0));
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
}
