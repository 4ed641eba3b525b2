//! The life of the server's process: what systemd hears, a certificate that is renewed while it serves, the health page.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use crate::support::{
    process::Running,
    setup::{Options, Setup},
    systemd::NotifySocket,
};

fn started(variables: &[(&str, &str)]) -> Setup {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Setup::start_with(&Options { variables, ..Options::default() })
}

/// Writes a certificate that nobody knows, and its key.
fn certificate(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    fs_err::write(folder.join("server.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs_err::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

fn ask(server: &Running, path: &str) -> (u16, String) {
    let line = server.wait_for_line("telling how it is");
    let (_, rest) = line.split_once("url=\"").unwrap();
    let url = format!("{}{path}", rest.split('"').next().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

#[test]
fn systemd_hears_of_start_life_reload_and_end() {
    let socket = NotifySocket::open();
    let path = socket.path().display().to_string();
    let mut setup = started(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "180000000")]);
    let seen = socket.wait_for("READY=1", 0);
    assert_eq!(seen, 1, "{:?}", socket.heard());
    let seen = socket.wait_for(&format!("STATUS=serving {}", setup.url()), seen);
    let seen = socket.wait_for("WATCHDOG=1", seen);
    setup.server().hang_up();
    let line = setup.server().wait_for_line("read the settings again");
    assert!(line.contains("changed=\"nothing\" needs_restart=\"nothing\""), "{line}");
    let seen = socket.wait_for("RELOADING=1\nMONOTONIC_USEC=", seen);
    let seen = socket.wait_for("READY=1", seen);
    assert_eq!(setup.stop_server().code, Some(0));
    socket.wait_for("STOPPING=1", seen);
}

#[test]
fn a_certificate_is_renewed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let setup = started(&[
        ("OCTARM_SERVER_TLS_CERT", &file("server.pem")),
        ("OCTARM_SERVER_TLS_KEY", &file("key.pem")),
    ]);
    setup.run(&["environment", "list"]);

    // What cannot be used is not: the server goes on with what it has.
    let good = fs_err::read(folder.path().join("key.pem")).unwrap();
    fs_err::write(folder.path().join("key.pem"), "nothing").unwrap();
    setup.server().hang_up();
    let line = setup.server().wait_for_line("the settings stay as they are");
    assert!(line.contains("reading the private key in"), "{line}");
    setup.run(&["environment", "list"]);
    fs_err::write(folder.path().join("key.pem"), good).unwrap();

    certificate(folder.path());
    setup.server().hang_up();
    let line = setup.server().wait_for_line("new connections get a new certificate");
    setup.server().wait_for_line("changed=\"certificate\"");
    let fingerprint =
        line.split_once("fingerprint=").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let list = || setup.octarm(["environment", "list"]);
    let old = list().run();
    assert_eq!(old.code, Some(69), "{old:?}");
    let new = list().env("OCTARM_FINGERPRINT", &fingerprint).run();
    assert_eq!(new.code, Some(0), "{new:?}");
}

#[test]
fn the_health_page_tells_how_the_server_is() {
    let setup = started(&[("OCTARM_SERVER_HEALTH__LISTEN", "127.0.0.1:0")]);
    assert_eq!(ask(setup.server(), "/health"), (200, "ok\n".to_owned()));
    assert_eq!(ask(setup.server(), "/ready"), (200, "ok\n".to_owned()));
    let (status, page) = ask(setup.server(), "/metrics");
    assert_eq!(status, 200);
    for line in ["octarm_server_ready 1", "# TYPE octarm_server_seconds_since_sweep gauge"] {
        assert!(page.lines().any(|found| found == line), "{line} is not in {page}");
    }
}

#[test]
fn other_machines_are_not_told_by_mistake() {
    let output = crate::support::process::Program::octarm()
        .args(["server", "check-config"])
        .env("OCTARM_SERVER_HEALTH__LISTEN", "0.0.0.0:9465")
        .run();
    assert_eq!(output.code, Some(64), "{output:?}");
    assert!(output.stderr.contains("`health.allow_remote = true`"), "{output:?}");
}
