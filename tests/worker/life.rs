//! The life of the daemon: a drain with a deadline, what systemd hears, settings that are read again, the health page, and
//! where the log goes.

use super::{FUNCTION, Scene, concurrency::second_project, old_zip};
use crate::support::{
    aws::{Action, Fault},
    process::Program,
    setup::WorkerHandle,
    systemd::NotifySocket,
};

/// A scene whose worker was started again in another way.
fn scene(lease: u32, change: impl FnOnce(Program) -> Program) -> Scene {
    let mut scene = Scene::with_lease(lease);
    scene.worker.drain();
    let program = change(scene.worker.program().clone());
    scene.worker.start_as(program);
    scene
}

/// As a unit with a watchdog, which systemd would make of these two variables.
fn heard_by(socket: &NotifySocket) -> impl FnOnce(Program) -> Program {
    let path = socket.path();
    move |program| program.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "180000000")
}

/// With a configuration file, which is what SIGHUP has read again.
fn configured(scene: &Scene, text: &str) -> std::path::PathBuf {
    let file = scene.setup.folder().join("worker.toml");
    fs_err::write(&file, text).unwrap();
    file
}

/// The status and the text that the health page answers.
fn ask(worker: &WorkerHandle, path: &str) -> (u16, String) {
    let line = worker.running().wait_for_line("telling how it is");
    let (_, rest) = line.split_once("url=\"").unwrap();
    let url = format!("{}{path}", rest.split('"').next().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// The value of one sample.
#[track_caller]
fn sample(page: &str, name: &str) -> f64 {
    text_of(page, name).parse().unwrap()
}

#[track_caller]
fn text_of<'a>(page: &'a str, name: &str) -> &'a str {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
}

#[test]
fn a_drain_that_lasts_too_long_cancels() {
    let mut scene = scene(3, |program| program.env("OCTARM_WORKER_STOP__DRAIN_DEADLINE_SECONDS", "1"));
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    let line = scene.begin_drain();
    assert!(line.contains("deadline_seconds=1"), "{line}");
    scene.worker.running().wait_for_line("the deadline has passed: cancelling what runs");
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(scene.aws.function(FUNCTION).updates_applied, 0);
}

#[test]
fn a_cancel_reaches_a_worker_that_drains() {
    // The next renewal is minutes away, and a call that hangs writes no log: what brings the wish is the poll for it.
    let mut scene = Scene::with_lease(1000);
    let (task, gate) = scene.deploy_until(Action::GetFunction, Fault::HoldBefore);
    scene.begin_drain();
    scene.setup.run(&["task", "cancel", &task]);
    scene.worker.running().wait_for_line("cancelling on request");
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
    let end = scene.setup.follow(&task);
    assert_eq!(end.code, Some(4), "{end:?}");
    assert!(scene.aws.mutating_calls().is_empty());
}

#[test]
fn systemd_hears_the_whole_life_in_order() {
    let socket = NotifySocket::open();
    let mut scene = scene(3, heard_by(&socket));
    let seen = socket.wait_for("READY=1", 0);
    assert_eq!(seen, 1, "nothing comes before it: {:?}", socket.heard());
    let seen = socket.wait_for("STATUS=polling", seen);
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let seen = socket.wait_for("STATUS=deploying Orders 1.0.0 to CI", seen);
    // There is room for no more, and the deployment takes its time: renewals are what shows that the worker lives.
    let seen = (0..3).fold(seen, |seen, _| socket.wait_for("WATCHDOG=1", seen));
    scene.worker.running().terminate();
    let seen = socket.wait_for("STOPPING=1", seen);
    let seen = (0..2).fold(seen, |seen, _| socket.wait_for("WATCHDOG=1", seen));
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
    socket.wait_for("STATUS=draining", seen);
    let heard = socket.heard();
    assert!(
        heard.iter().any(|message| message == "STOPPING=1\nSTATUS=draining; deploying Orders 1.0.0 to CI\n"),
        "{heard:?}"
    );
    assert_eq!(heard.iter().filter(|message| message.contains("READY=1")).count(), 1, "{heard:?}");
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
}

#[test]
fn a_server_that_hangs_feeds_the_watchdog_only_when_the_loop_comes_round() {
    let socket = NotifySocket::open();
    let mut scene = Scene::new();
    scene.worker.drain();
    // It takes connections, since the kernel does, and never answers.
    scene.setup.server().halt();
    let running = heard_by(&socket)(scene.worker.program().clone()).spawn();
    // The start is not held up for longer than the first call, which is given up after 15 s.
    let seen = socket.wait_for("READY=1", 0);
    assert_eq!(seen, 1, "nothing came round before: {:?}", socket.heard());
    let seen = socket.wait_for("STATUS=trying again", seen);
    // The loop comes round after the pause and for the next try; then it hangs again.
    let seen = socket.wait_for("WATCHDOG=1", seen);
    scene.setup.server().go_on();
    socket.wait_for("STATUS=polling", seen);
    let fed = socket.heard().iter().filter(|message| message.contains("WATCHDOG=1")).count();
    assert!(fed <= 6, "no timer feeds it: {:?}", socket.heard());
    running.terminate();
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_halted_worker_says_nothing() {
    let socket = NotifySocket::open();
    let scene = scene(3, heard_by(&socket));
    socket.wait_for("STATUS=polling", 0);
    scene.worker.running().halt();
    let before = socket.heard().len();
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(socket.heard().len(), before);
    scene.worker.running().go_on();
    socket.wait_for("WATCHDOG=1", before);
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
}

#[test]
fn a_long_lease_does_not_starve_the_watchdog() {
    let socket = NotifySocket::open();
    let path = socket.path();
    let scene = scene(1000, |program| program.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "2000000"));
    scene.worker.running().wait_for_line("WatchdogSec is too short");
    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    // From then on there is no wish to cancel to be heard of: renewals are all that shows life.
    scene.setup.run(&["task", "cancel", &task]);
    scene.worker.running().wait_for_line("cancelling on request");
    let seen = socket.heard().len();
    (0..3).fold(seen, |seen, _| socket.wait_for("WATCHDOG=1", seen));
    gate.open();
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
}

#[test]
fn sighup_reads_the_settings_again() {
    let socket = NotifySocket::open();
    let mut scene = Scene::new();
    scene.worker.drain();
    let file = configured(&scene, "state = 'elsewhere'\n");
    let program = scene.worker.program().clone().arg_pair("--config", &file);
    scene.worker.start_as(heard_by(&socket)(program));
    let seen = socket.wait_for("STATUS=polling", 0);
    scene.aws.create_function("CI-Bills", old_zip());
    second_project(&scene, "CI-Bills");
    let (first, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let (second, _) = scene.setup.deploy("Bills", "1.0.0", "CI");

    // Broken, it changes nothing and ends nothing.
    fs_err::write(&file, "[deployments]\nconcurency = 2\n").unwrap();
    scene.worker.running().hang_up();
    let line = scene.worker.running().wait_for_line("the settings stay as they are");
    assert!(line.contains("did you mean `concurrency`?"), "{line}");
    let seen = socket.wait_for("RELOADING=1\nMONOTONIC_USEC=", seen);
    let seen = socket.wait_for("READY=1", seen);
    assert_eq!(scene.setup.task(&second)["State"], "Queued");

    // There is room for a second deployment from now on, under other conventions; the first one keeps its own.
    let conventions = scene.setup.folder().join("conventions");
    fs_err::create_dir(&conventions).unwrap();
    let naming = "version = 1\n[function]\nname = '#{Lambda.Function}-of-#{Octopus.Environment.Name}'\n";
    fs_err::write(conventions.join("naming.toml"), naming).unwrap();
    scene.aws.create_function("Bills-of-CI", old_zip());
    let text = format!(
        "conventions = '{}'\nmachine_id = 'other'\n[deployments]\nconcurrency = 2\n[log]\nlevel = 'debug'\n",
        conventions.display()
    );
    fs_err::write(&file, text).unwrap();
    scene.worker.running().hang_up();
    let line = scene.worker.running().wait_for_line("read the settings again");
    assert!(line.contains("changed=\"log.level, conventions, deployments.concurrency\""), "{line}");
    assert!(line.contains("needs_restart=\"machine_id\""), "{line}");
    let seen = socket.wait_for("RELOADING=1\nMONOTONIC_USEC=", seen);
    socket.wait_for("READY=1", seen);
    assert_eq!(scene.setup.follow(&second).code, Some(0));
    assert_eq!(scene.aws.function("Bills-of-CI").updates_applied, 1);
    assert_eq!(scene.aws.function("CI-Bills").updates_applied, 0);
    gate.open();
    let end = scene.setup.follow(&first);
    scene.assert_deployed_once(&end);
    scene.worker.running().wait_for_line("DEBUG");
}

#[test]
fn the_health_page_tells_how_the_worker_is() {
    let mut scene = scene(3, |program| program.env("OCTARM_WORKER_HEALTH__LISTEN", "127.0.0.1:0"));
    assert_eq!(ask(&scene.worker, "/health"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&scene.worker, "/ready"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&scene.worker, "/").0, 404);
    let (_, page) = ask(&scene.worker, "/metrics");
    assert_eq!(text_of(&page, "octarm_worker_deployments_total{outcome=\"success\"}"), "0");
    assert!(page.contains(&format!("octarm_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));

    let (task, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    let (_, page) = ask(&scene.worker, "/metrics");
    assert_eq!(text_of(&page, "octarm_worker_deployments_running"), "1");
    assert!(sample(&page, "octarm_worker_lease_renewals_total") >= 1.0, "{page}");
    gate.open();
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    scene.worker.running().wait_for_line("reported");
    let (_, page) = ask(&scene.worker, "/metrics");
    assert_eq!(text_of(&page, "octarm_worker_deployments_total{outcome=\"success\"}"), "1");
    for name in ["log_bytes_total", "polls_total", "lambda_calls_total"] {
        assert!(sample(&page, &format!("octarm_worker_{name}")) > 0.0, "{name} in {page}");
    }
    assert!(sample(&page, "octarm_worker_seconds_since_contact") < 60.0, "{page}");

    // Nobody sends work here any more: not ready, and alive all the same.
    scene.setup.kill_server();
    scene.worker.running().wait_for_line("trying again until the server answers");
    let (status, why) = ask(&scene.worker, "/ready");
    assert_eq!(status, 503);
    assert!(why.contains("the server gives no work"), "{why}");
    assert_eq!(ask(&scene.worker, "/health").0, 200);
    let (_, page) = ask(&scene.worker, "/metrics");
    assert!(sample(&page, "octarm_worker_poll_failures_total") >= 1.0, "{page}");
}

#[test]
fn a_worker_that_drains_is_not_ready() {
    let mut scene = scene(3, |program| program.env("OCTARM_WORKER_HEALTH__LISTEN", "127.0.0.1:0"));
    let (_, gate) = scene.deploy_until(Action::UpdateFunctionCode, Fault::HoldBefore);
    scene.begin_drain();
    let (status, why) = ask(&scene.worker, "/ready");
    assert_eq!((status, why.as_str()), (503, "draining: nothing more is taken\n"));
    assert_eq!(ask(&scene.worker, "/health").0, 200);
    gate.open();
    assert_eq!(scene.worker.wait().code, Some(0));
}

#[test]
fn the_journal_gets_priorities_and_no_times() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let journal = scene.setup.folder().join("journal");
    let script =
        "exec 2>\"$JOURNAL\"; export JOURNAL_STREAM=$(stat -Lc %d:%i \"$JOURNAL\"); exec \"$0\" \"$@\"";
    let program = scene.worker.program().clone().env("JOURNAL", &journal);
    let running = program.args(["--idle-exit", "0"]).wrapped("sh", &["-ec", script]).spawn();
    assert_eq!(running.wait().code, Some(0));
    let text = fs_err::read_to_string(&journal).unwrap();
    assert!(text.contains("\n<6>drained: stopping\n"), "{text}");
    assert!(text.lines().all(|line| line.starts_with('<')), "{text}");
}

#[test]
fn a_log_file_that_cannot_be_written_is_named() {
    let output = Program::octarm()
        .args(["worker", "run", "--state", "state"])
        .env("OCTARM_WORKER_LOG__FILE", "/nowhere/worker.log")
        .run();
    assert_eq!(output.code, Some(64), "{output:?}");
    assert!(output.stderr.contains("opening the log file `/nowhere/worker.log`"), "{output:?}");
}

#[test]
fn the_log_goes_to_a_file_that_another_may_put_aside() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let (log, aside) = (scene.setup.folder().join("w.log"), scene.setup.folder().join("w.log.old"));
    let socket = NotifySocket::open();
    let program = heard_by(&socket)(scene.worker.program().clone())
        .env("OCTARM_WORKER_LOG__FILE", &log)
        .env("OCTARM_WORKER_LOG__ROTATION", "never");
    let running = program.spawn();
    let seen = socket.wait_for("STATUS=polling", 0);
    fs_err::rename(&log, &aside).unwrap();
    running.hang_up();
    let seen = socket.wait_for("RELOADING=1", seen);
    socket.wait_for("READY=1", seen);
    running.terminate();
    let output = running.wait();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let (before, after) = (fs_err::read_to_string(&aside).unwrap(), fs_err::read_to_string(&log).unwrap());
    assert!(
        before.contains("polling for deployments") && !before.contains("read the settings again"),
        "{before}"
    );
    assert!(after.contains("read the settings again") && after.contains("drained: stopping"), "{after}");
    assert!(!after.contains('\x1b'), "{after}");
}
