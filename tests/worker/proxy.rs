//! The way to the server leads through a proxy, and the server is vouched for by an authority of its own.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{FUNCTION, old_zip, release};
use crate::support::{
    aws::FakeAws,
    cut::Cut,
    process::{Output, Program},
    proxy::Proxy,
    setup::{Access, Options, Setup, WorkerHandle},
};

/// With characters that mean something in an address.
const PASSWORD: &str = "proxy/pass@word";

struct Scene {
    aws: FakeAws,
    setup: Setup,
    worker: WorkerHandle,
}

/// A server that speaks TLS, and a worker that is registered.
fn scene() -> Scene {
    let aws = FakeAws::start();
    aws.create_function(FUNCTION, old_zip());
    let variables = vec![("OCTARM_SERVER_TLS".to_owned(), "self-made".to_owned())];
    let setup = Setup::start_with(&Options { variables, ..Options::default() });
    setup.create(&["CI"], "Orders");
    release(&setup, "1.0.0");
    let mut worker = setup.worker("ci-1", "CI", &Access::to_fake(&aws));
    worker.drain();
    Scene { aws, setup, worker }
}

/// The program behind this proxy, as verbose as may be.
fn behind(program: &Program, proxy: impl std::fmt::Display) -> Program {
    program.clone().env("HTTPS_PROXY", format!("http://{proxy}")).env("OCTARM_WORKER_LOG__LEVEL", "trace")
}

#[track_caller]
fn assert_no_password(output: &Output) {
    let shown = format!("{output:?}");
    for form in [PASSWORD, "proxy%2Fpass%40word", "cHJveHkvcGFzc0B3b3Jk"] {
        assert!(!shown.contains(form), "{shown}");
    }
}

#[test]
fn worker_and_commands_reach_the_server_through_a_proxy_that_wants_a_password() {
    let mut scene = scene();
    let proxy = Proxy::start(Some(&format!("octarm:{PASSWORD}")));
    let with_password = format!("octarm:proxy%2Fpass%40word@{}", proxy.address());
    let listed = behind(&scene.setup.octarm(["environment", "list"]), &with_password).run();
    assert_eq!((listed.code, proxy.targets().len()), (Some(0), 1), "{listed:?}");

    scene.worker.start_as(behind(scene.worker.program(), &with_password));
    let (task, _) = scene.setup.deploy("Orders", "1.0.0", "CI");
    assert_eq!(scene.setup.follow(&task).code, Some(0));
    assert!(scene.aws.function(FUNCTION).zip != old_zip());
    let output = scene.worker.drain();
    assert_no_password(&output);
    let server = scene.setup.address().to_string();
    let targets = proxy.targets();
    assert!(targets.len() > 1 && targets.iter().all(|target| *target == server), "{targets:?}");

    let wrong = format!("octarm:{}@{}", PASSWORD.replace(['/', '@'], ""), proxy.address());
    let refused = behind(&scene.setup.octarm(["environment", "list"]), wrong).run();
    assert_eq!((refused.code, proxy.refused()), (Some(69), 1), "{refused:?}");
    let words = format!("through the proxy http://{}", proxy.address());
    assert!(refused.stderr.contains(&words), "{refused:?}");
    assert!(!refused.stderr.contains("proxypassword"), "{refused:?}");
}

#[test]
fn a_proxy_that_is_away_is_named_without_its_password_and_some_servers_need_none() {
    let mut scene = scene();
    let proxy = Proxy::start(None);
    let cut = Cut::before(proxy.address());
    cut.cut();
    let with_password = format!("octarm:proxy%2Fpass%40word@{}", cut.address());
    let listed = behind(&scene.setup.octarm(["environment", "list"]), &with_password).run();
    assert_eq!(listed.code, Some(69), "{listed:?}");
    let words = format!("no answer from the server at {}", scene.setup.url());
    assert!(listed.stderr.contains(&words), "{listed:?}");
    let words = format!("through the proxy http://{}", cut.address());
    assert!(listed.stderr.contains(&words) && listed.stderr.contains("HTTPS_PROXY"), "{listed:?}");
    assert_no_password(&listed);

    let program = behind(scene.worker.program(), &with_password);
    let waiting = program.spawn();
    let line = waiting.wait_for_line("trying again until the server answers");
    assert!(line.contains(&words), "{line}");
    // It is there again.
    cut.mend();
    waiting.wait_for_line("polling for deployments");
    waiting.terminate();
    assert_no_password(&waiting.wait());

    cut.cut();
    let before = proxy.targets().len();
    scene.worker.start_as(program.env("NO_PROXY", "localhost,127.0.0.1"));
    assert_eq!(proxy.targets().len(), before);
}

/// A private authority, and a certificate for this machine that it vouches for.
fn authority() -> (String, String, String) {
    let (authority, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let vouching = params.self_signed(&authority).unwrap().pem();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = own.signed_by(&key, &Issuer::new(params, authority)).unwrap().pem();
    (vouching, certificate, key.serialize_pem())
}

#[test]
fn a_worker_knows_its_server_by_a_private_authority_from_any_folder() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name);
    let (vouching, certificate, key) = authority();
    fs_err::write(file("authority.pem"), vouching).unwrap();
    fs_err::write(file("server.pem"), certificate).unwrap();
    fs_err::write(file("key.pem"), key).unwrap();
    fs_err::write(file("other.pem"), authority().0).unwrap();
    let setting = |name: &str, path: &str| (name.to_owned(), file(path).display().to_string());
    let variables =
        vec![setting("OCTARM_SERVER_TLS_CERT", "server.pem"), setting("OCTARM_SERVER_TLS_KEY", "key.pem")];
    let setup = Setup::start_with(&Options { variables, ..Options::default() });
    setup.create(&["CI"], "Orders");
    let register = |authority: &str| {
        Program::octarm()
            .current_dir(files.path())
            .args(["worker", "register", "--name", "ci-1", "--environment", "CI", "--ca-file", authority])
            .arg_pair("--server", setup.url())
            .arg_pair("--api-key-file", setup.key_file())
            .arg_pair("--state", files.path().join("worker"))
            .run()
    };
    let wrong = register("other.pem");
    assert_eq!(wrong.code, Some(69), "{wrong:?}");
    assert!(wrong.stderr.contains("certificate") && wrong.stderr.contains("--ca-file"), "{wrong:?}");
    let registered = register("authority.pem");
    assert_eq!(registered.code, Some(0), "{registered:?}");
    // Its service starts it in another folder.
    let run = Program::octarm().args(["worker", "run"]).arg_pair("--state", files.path().join("worker"));
    let running = run.spawn();
    running.wait_for_line("polling for deployments");
    running.terminate();
    assert_eq!(running.wait().code, Some(0));
    // Another authority took the first one's place.
    fs_err::rename(file("other.pem"), file("authority.pem")).unwrap();
    let running = run.spawn();
    let line = running.wait_for_line("trying again until the server answers");
    assert!(line.contains("certificate"), "{line}");
}
