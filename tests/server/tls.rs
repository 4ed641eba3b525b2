//! Connections that are protected: by a certificate of the server's own, or by one from files.

use std::os::unix::fs::PermissionsExt as _;

use octarm::{
    config::Tls,
    server::{self, Settings},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::sqlite::TestServer;
use crate::support::process::{Output, Program};

/// A server that is only spoken to by the program.
struct Protected {
    url: String,
    fingerprint: String,
    folder: TempDir,
    _stop: DropGuard,
}

impl Protected {
    async fn start(tls: Tls) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = server::start(Settings { tls, ..TestServer::settings(&folder).await }).await.unwrap();
        let (url, fingerprint) = (server.url(), server.fingerprint().unwrap().to_string());
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(stop.clone()));
        Self { url, fingerprint, folder, _stop: stop.drop_guard() }
    }

    async fn list(&self, more: &[&str]) -> Output {
        let program = Program::octarm()
            .args(["environment", "list", "--server", &self.url])
            .arg_pair("--api-key-file", self.folder.path().join("data/first-api-key"))
            .args(more);
        tokio::task::spawn_blocking(move || program.run()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_is_known_by_its_fingerprint_alone() {
    let server = Protected::start(Tls::SelfMade).await;
    let known = server.list(&["--fingerprint", &server.fingerprint]).await;
    assert_eq!(known.code, Some(0), "{known:?}");
    let unknown = server.list(&[]).await;
    assert_eq!(unknown.code, Some(69), "{unknown:?}");
    assert!(
        unknown.stderr.contains("give the fingerprint that the server prints at its start"),
        "{unknown:?}"
    );
    let other = format!("sha256:{}", "ab".repeat(32));
    let wrong = server.list(&["--fingerprint", &other]).await;
    assert_eq!(wrong.code, Some(69), "{wrong:?}");
    for words in [
        format!("the server's certificate has the fingerprint {}, expected {other}", server.fingerprint),
        "somebody else answers".to_owned(),
    ] {
        assert!(wrong.stderr.contains(&words), "{wrong:?}");
    }
    let odd = server.list(&["--fingerprint", "12:34"]).await;
    assert_eq!(odd.code, Some(2), "{odd:?}");
    assert!(odd.stderr.contains("expected `sha256:` and 64 hexadecimal digits"), "{odd:?}");
    for name in ["tls-key.pem", "tls-certificate.pem"] {
        let mode =
            fs_err::metadata(server.folder.path().join("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_from_files_is_vouched_for_by_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = params.self_signed(&authority).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = own.signed_by(&key, &Issuer::new(params, authority)).unwrap();
    fs_err::write(file("authority.pem"), authority_certificate.pem()).unwrap();
    fs_err::write(file("server.pem"), certificate.pem()).unwrap();
    fs_err::write(file("key.pem"), key.serialize_pem()).unwrap();
    let tls = Tls::Files { certificate: file("server.pem"), key: file("key.pem") };
    let server = Protected::start(tls).await;
    let authority = file("authority.pem").display().to_string();
    let known = server.list(&["--ca-file", &authority]).await;
    assert_eq!(known.code, Some(0), "{known:?}");
    assert_eq!(server.list(&[]).await.code, Some(69));
    fs_err::write(file("empty.pem"), "nothing here").unwrap();
    let empty = file("empty.pem").display().to_string();
    let nothing = server.list(&["--ca-file", &empty]).await;
    assert!(nothing.stderr.contains("holds no PEM certificate"), "{nothing:?}");
}

#[tokio::test]
async fn what_cannot_be_a_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&one).unwrap();
    fs_err::write(file("one.pem"), certificate.pem()).unwrap();
    fs_err::write(file("other-key.pem"), other.serialize_pem()).unwrap();
    fs_err::write(file("empty.pem"), "").unwrap();
    for (certificate, key, words) in [
        ("one.pem", "other-key.pem", "cannot be used together"),
        ("empty.pem", "other-key.pem", "`empty.pem` holds no certificate"),
        ("one.pem", "empty.pem", "reading the private key in `empty.pem`"),
        ("none.pem", "other-key.pem", "reading the certificate in `none.pem`"),
    ] {
        let tls = Tls::Files { certificate: file(certificate), key: file(key) };
        let error = server::start(Settings { tls, ..TestServer::settings(&folder).await }).await.unwrap_err();
        let chain = octarm::model::chain(&error).replace(&format!("{}/", folder.path().display()), "");
        assert!(chain.contains(words), "{chain}");
    }
}

#[tokio::test]
async fn who_listens_for_everybody_does_not_speak_in_the_clear() {
    for (tls, listen, scheme) in [
        (Tls::Automatic, "0.0.0.0:0", "https"),
        (Tls::Automatic, "127.0.0.1:0", "http"),
        (Tls::Off, "0.0.0.0:0", "http"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let listen = listen.parse().unwrap();
        let server =
            server::start(Settings { tls, listen, ..TestServer::settings(&folder).await }).await.unwrap();
        assert_eq!(server.url().split_once(':').unwrap().0, scheme);
    }
}
