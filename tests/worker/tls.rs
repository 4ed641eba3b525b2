//! A worker that knows its server by the fingerprint of its certificate.

use super::{FUNCTION, old_zip, release};
use crate::support::{
    aws::FakeAws,
    setup::{Access, Options, Setup},
};

#[test]
fn a_deployment_runs_over_a_pinned_certificate_and_survives_a_restart_of_the_server() {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let variables = vec![("OCTARM_SERVER_TLS".to_owned(), "self-made".to_owned())];
    let mut setup = Setup::start_with(&Options { variables, ..Options::default() });
    assert!(setup.url().starts_with("https://"));
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let worker = setup.worker("ci-1", "CI", &Access::to_fake(&aws));
    let identity = fs_err::read_to_string(worker.state().join("identity.json")).unwrap();
    assert!(identity.contains("\"fingerprint\": \"sha256:"), "{identity}");
    let state = worker.state().to_str().unwrap().to_owned();
    let words = ["worker", "register", "--name", "ci-1", "--environment", "CI", "--state", &state];
    let again = setup.run(&words);
    assert!(again.contains("the server is known by its certificate sha256:"), "{again}");
    // Kept as it was.
    assert_eq!(fs_err::read_to_string(worker.state().join("identity.json")).unwrap(), identity);
    // The certificate is made once: workers and clients go on knowing the server.
    setup.stop_server();
    setup.start_server_again();
    let words =
        ["release", "deploy", "--project", "Orders", "--version", "1.0.0", "--environment", "CI", "--wait"];
    setup.run(&words);
    assert!(aws.function(FUNCTION).zip != old_zip());
}
