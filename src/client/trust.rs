//! Whom a client takes for the server: who the system's authorities vouch for, who a private authority vouches for,
//! or the one certificate that has a fingerprint.

use std::{path::PathBuf, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use reqwest::{Certificate, ClientBuilder};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde::{Deserialize, Serialize};

use super::{ClientError, error::found};
use crate::model::Fingerprint;

/// Whom to take for the server, where it speaks TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Only the certificate with this fingerprint, whoever vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Also what the certificates in this PEM file vouch for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Trust {
    /// The same, for whoever keeps it: what is written down is read again from another folder.
    pub fn from_any_folder(self) -> std::io::Result<Self> {
        let ca_file = self.ca_file.map(std::path::absolute).transpose()?;
        Ok(Self { ca_file, ..self })
    }

    /// A builder that trusts so.
    pub(super) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, ClientError> {
        if let Some(fingerprint) = self.fingerprint {
            return Ok(builder.tls_backend_preconfigured(pinned(fingerprint)?));
        }
        let Some(file) = &self.ca_file else { return Ok(builder) };
        let act = "reading the certificates of the authority";
        let pem = fs_err::read(file).map_err(|source| match found(&source) {
            Some(found) => ClientError::NoFile { act: act.to_owned(), path: file.clone(), found },
            None => ClientError::File { act: act.to_owned(), source },
        })?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            let reason = format!("`{}` holds no PEM certificate", file.display());
            return Err(ClientError::Content { act: act.to_owned(), reason });
        }
        Ok(builder.tls_certs_merge(certificates))
    }
}

fn pinned(fingerprint: Fingerprint) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(default_provider());
    let unusable = |error: Error| ClientError::Address {
        server: "https".to_owned(),
        reason: format!("TLS cannot be set up: {error}"),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pin { fingerprint, provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes one certificate and no other. The handshake still proves that the server has its key.
#[derive(Debug)]
struct Pin {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut found = [0; 32];
        found.copy_from_slice(digest(&SHA256, end_entity).as_ref());
        if found == self.fingerprint.0 {
            return Ok(ServerCertVerified::assertion());
        }
        // A general error shows its words; one of the certificate's would show this type's inside.
        Err(Error::General(format!(
            "the server's certificate has the fingerprint {}, expected {}",
            Fingerprint(found),
            self.fingerprint
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
