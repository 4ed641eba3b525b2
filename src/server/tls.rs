//! The server's certificate: one from files, or one that it makes itself and that clients know by its fingerprint.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::folder;
use crate::{config::Tls, model::Fingerprint};

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file has no certificate or key that can be read.
    #[error("reading the {what} in `{}`", path.display())]
    Unreadable {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate.
    #[error("`{}` holds no certificate", .0.display())]
    Empty(PathBuf),
    /// Certificate and key cannot be used together.
    #[error("the certificate `{}` and the key `{}` cannot be used together", certificate.display(), key.display())]
    Unfit {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// None could be made.
    #[error("making a certificate")]
    Make(#[from] rcgen::Error),
    /// The made one cannot be kept.
    #[error("keeping the certificate that was made")]
    Keep(#[from] std::io::Error),
}

/// What protects the connections.
pub(super) struct Protection {
    acceptor: watch::Sender<TlsAcceptor>,
    pub(super) fingerprint: Fingerprint,
}

impl Protection {
    /// What takes a connection: for each one that is asked for anew, since a certificate may be renewed.
    pub(super) fn acceptors(&self) -> watch::Receiver<TlsAcceptor> {
        self.acceptor.subscribe()
    }

    pub(super) fn renewal(&self, data: &Path, listen: SocketAddr) -> CertificateRenewal {
        let (acceptor, fingerprint) = (self.acceptor.clone(), self.fingerprint);
        CertificateRenewal { acceptor, fingerprint, data: data.to_owned(), listen }
    }
}

/// Renews the certificate of a server that runs.
pub struct CertificateRenewal {
    acceptor: watch::Sender<TlsAcceptor>,
    fingerprint: Fingerprint,
    data: PathBuf,
    listen: SocketAddr,
}

impl std::fmt::Debug for CertificateRenewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateRenewal").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl CertificateRenewal {
    /// Reads certificate and key again. New connections get what is there now; open ones keep what they have. Answers the
    /// fingerprint, if it is another one. From files only: a certificate of our own making does not run out.
    pub fn renew(&mut self, tls: &Tls) -> Result<Option<Fingerprint>, TlsError> {
        if !matches!(tls, Tls::Files { .. }) {
            return Ok(None);
        }
        let Some((acceptor, fingerprint)) = read(tls, &self.data, self.listen)? else { return Ok(None) };
        // Also under the same fingerprint: those that vouch for it may be others.
        self.acceptor.send_replace(acceptor);
        let is_other = std::mem::replace(&mut self.fingerprint, fingerprint) != fingerprint;
        Ok(is_other.then_some(fingerprint))
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protection").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Reads the certificate, or makes it; none for plain HTTP.
pub(super) fn prepare(tls: &Tls, data: &Path, listen: SocketAddr) -> Result<Option<Protection>, TlsError> {
    let read = read(tls, data, listen)?;
    Ok(read.map(|(acceptor, fingerprint)| Protection { acceptor: watch::Sender::new(acceptor), fingerprint }))
}

fn read(tls: &Tls, data: &Path, listen: SocketAddr) -> Result<Option<(TlsAcceptor, Fingerprint)>, TlsError> {
    let (certificate, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Automatic if listen.ip().is_loopback() => return Ok(None),
        Tls::Automatic | Tls::SelfMade => self_made(data, listen)?,
        Tls::Files { certificate, key } => (certificate.clone(), key.clone()),
    };
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Unreadable { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable("certificate", &certificate))?;
    let first = chain.first().ok_or_else(|| TlsError::Empty(certificate.clone()))?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, first).as_ref());
    let private = PrivateKeyDer::from_pem_file(&key).map_err(unreadable("private key", &key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|source| TlsError::Unfit { certificate, key, source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some((TlsAcceptor::from(Arc::new(config)), Fingerprint(sha256))))
}

/// Whether a server would make a certificate at its next start.
pub(super) fn is_to_be_made(tls: &Tls, data: &Path, listen: SocketAddr) -> Result<bool, TlsError> {
    let makes = match tls {
        Tls::Off | Tls::Files { .. } => false,
        Tls::Automatic => !listen.ip().is_loopback(),
        Tls::SelfMade => true,
    };
    Ok(makes && !is_kept(&kept(data))?)
}

/// Where the certificate of our own making and its key are.
fn kept(data: &Path) -> (PathBuf, PathBuf) {
    (data.join(folder::CERTIFICATE), data.join(folder::CERTIFICATE_KEY))
}

fn is_kept((certificate, key): &(PathBuf, PathBuf)) -> std::io::Result<bool> {
    Ok(certificate.try_exists()? && key.try_exists()?)
}

/// The certificate in the data folder, made once: its fingerprint is what clients hold on to. The key is there first,
/// and whoever makes a certificate makes it for that key: of several servers that start together on one folder, and
/// after a start that ended between the two, certificate and key belong together.
fn self_made(data: &Path, listen: SocketAddr) -> Result<(PathBuf, PathBuf), TlsError> {
    let files = kept(data);
    if is_kept(&files)? {
        return Ok(files);
    }
    let (certificate, key) = &files;
    let pair = KeyPair::generate()?;
    let pair = KeyPair::from_pem(&folder::first_secret(key, pair.serialize_pem().trim_end())?)?;
    let names = ["localhost".to_owned(), listen.ip().to_string()];
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "octarm deployment server");
    // Clients hold the fingerprint, not the dates; dates that no clock is outside of keep it valid everywhere.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    folder::first_secret(certificate, params.self_signed(&pair)?.pem().trim_end())?;
    Ok(files)
}
