//! TLS for listeners: a certificate, its key and, for mTLS, the authority of the senders.
//!
//! ```yaml
//! tls:
//!   certificate_file: /etc/bellwether/tls.crt
//!   key_file: /etc/bellwether/tls.key
//!   client_ca_file: /etc/bellwether/clients.crt    # then a client certificate is required
//! ```
//!
//! A certificate is renewed without a restart: [`LiveTls::reload`] reads the files again, and
//! connections made from then on see the new one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files of one TLS listener, PEM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and the chain above it.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Authorities of client certificates; when set, a sender without one is refused.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

impl TlsConfig {
    /// The files it names.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        let files = [Some(&mut self.certificate_file), Some(&mut self.key_file), self.client_ca_file.as_mut()];
        files.into_iter().flatten().collect()
    }
}

/// Why a TLS listener cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not a PEM file, or not readable.
    #[error("TLS file `{path}` could not be used: {reason}")]
    File {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not belong together, or a protocol setting is refused.
    #[error("TLS settings could not be used: {0}")]
    Settings(#[from] rustls::Error),
}

/// The server side of TLS 1.2 and 1.3; `protocols` are offered by ALPN.
///
/// # Errors
/// [`TlsError`] when a file is missing or does not hold what it should.
pub fn acceptor(config: &TlsConfig, protocols: &[&[u8]]) -> Result<tokio_rustls::TlsAcceptor, TlsError> {
    let certificates = certificates(&config.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|error| file_error(&config.key_file, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| file_error(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(certificates, key)?;
    server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(server)))
}

/// A listener's TLS, whose files can be read again while it listens.
pub struct LiveTls {
    config: TlsConfig,
    protocols: &'static [&'static [u8]],
    current: RwLock<tokio_rustls::TlsAcceptor>,
}

impl LiveTls {
    /// Reads the files; `protocols` are offered by ALPN.
    ///
    /// # Errors
    /// As [`acceptor`].
    pub fn new(config: TlsConfig, protocols: &'static [&'static [u8]]) -> Result<LiveTls, TlsError> {
        let current = RwLock::new(acceptor(&config, protocols)?);
        Ok(LiveTls { config, protocols, current })
    }

    /// What new connections are to be greeted with.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again; on an error what was read before stays.
    ///
    /// # Errors
    /// As [`acceptor`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = acceptor(&self.config, self.protocols)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

/// The certificate that the other side of a TLS connection has shown, when it was asked to.
pub(crate) fn shown_certificate<S>(stream: &tokio_rustls::server::TlsStream<S>) -> Option<CertificateDer<'static>> {
    let (_, connection) = stream.get_ref();
    connection.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| file_error(path, &error))?.collect();
    let found = read.map_err(|error| file_error(path, &error))?;
    if found.is_empty() {
        return Err(file_error(path, &"it holds no certificate"));
    }
    Ok(found)
}

fn file_error(path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.display().to_string(), reason: reason.to_string() }
}
