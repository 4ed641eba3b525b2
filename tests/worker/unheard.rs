//! A service manager that does not read what it is told holds nothing up.

use std::{io::ErrorKind, os::unix::net::UnixDatagram};

use super::Scene;

#[test]
fn a_notify_socket_that_nobody_reads_keeps_no_deployment_and_no_end() {
    let mut scene = Scene::new();
    scene.worker.drain();
    let path = scene.setup.folder().join("notify");
    let _deaf = UnixDatagram::bind(&path).unwrap();
    // Full before the first word: whoever sends waits for ever.
    let filling = UnixDatagram::unbound().unwrap();
    filling.connect(&path).unwrap();
    filling.set_nonblocking(true).unwrap();
    let full = std::iter::repeat_with(|| filling.send(b"STATUS=full")).find_map(Result::err).unwrap();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let program = scene.worker.program().clone();
    scene.worker.start_as(program.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "180000000"));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    let end = scene.setup.follow(&task);
    scene.assert_deployed_once(&end);
    assert_eq!(scene.worker.drain().code, Some(0));
}
