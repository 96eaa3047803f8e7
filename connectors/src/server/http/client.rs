//! Asking a running process about itself, as `bellwether check` and `bellwether tap` do.
//!
//! One request per connection, bounded in time and size. A process with TLS is known by the very
//! certificate its configuration names, so that neither a host name nor an authority is needed;
//! without the configuration, by an authority.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use http::Method;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::server::tls::TlsError;

/// How long a process may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Largest whole answer read: `/metrics` has about 200 bytes a counter.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Whom to believe that it is the process.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Exactly the first certificate in this file.
    Pinned(&'a Path),
    /// Whoever an authority in this file vouches for under the name asked.
    Authority(&'a Path),
}

/// Our own certificate and key, for a process that asks for one.
pub type Identity<'a> = (&'a Path, &'a Path);

/// Why a process did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or the connection broke.
    #[error("no answer from `{address}`: {reason}")]
    Away {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// A certificate or key of our own.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A process to ask.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    host: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    bearer: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({}, secrets not shown)", self.address)
    }
}

impl Client {
    /// A process that listens at `address` in the clear.
    pub fn new(address: SocketAddr) -> Client {
        let mut address = address;
        // Listening on every address means on loopback too.
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Client { address, host: address.to_string(), tls: None, bearer: None }
    }

    /// Shows this token with each request.
    #[must_use]
    pub fn with_bearer(self, token: Option<String>) -> Client {
        Client { bearer: token, ..self }
    }

    /// Speaks TLS.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be used.
    pub fn with_tls(self, host: &str, trust: Trust<'_>, identity: Option<Identity<'_>>) -> Result<Client, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match trust {
            Trust::Pinned(path) => {
                let certificate = crate::server::tls::certificates(path)?.swap_remove(0);
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { certificate, algorithms }))
            }
            Trust::Authority(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in crate::server::tls::certificates(path)? {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key_der = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| TlsError::File { path: key.display().to_string(), reason: error.to_string() })?;
                builder.with_client_auth_cert(crate::server::tls::certificates(certificate)?, key_der)?
            }
        };
        Ok(Client { host: host.to_owned(), tls: Some(Arc::new(config)), ..self })
    }

    /// One request and its whole answer.
    ///
    /// # Errors
    /// [`ClientError::Away`] when nobody answers in time.
    pub async fn ask(&self, method: Method, path: &str) -> Result<(u16, String), ClientError> {
        self.whole(method, path, None).await
    }

    async fn whole(&self, method: Method, path: &str, json: Option<Bytes>) -> Result<(u16, String), ClientError> {
        let asked = async {
            let response = self.send(method, path, json).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| self.away(error))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::time::timeout(ANSWER_MAX, asked).await.unwrap_or_else(|_| Err(self.away("nothing in time")))
    }

    /// The same with something to say, in JSON.
    ///
    /// # Errors
    /// [`ClientError::Away`] when nobody answers in time.
    pub async fn say(&self, method: Method, path: &str, json: Vec<u8>) -> Result<(u16, String), ClientError> {
        self.whole(method, path, Some(Bytes::from(json))).await
    }

    /// One request and an answer that is read as it comes.
    ///
    /// # Errors
    /// [`ClientError::Away`].
    pub async fn open(&self, path: &str) -> Result<(u16, Lines), ClientError> {
        let sent = tokio::time::timeout(ANSWER_MAX, self.send(Method::GET, path, None)).await;
        let response = sent.unwrap_or_else(|_| Err(self.away("nothing in time")))?;
        let status = response.status().as_u16();
        Ok((status, Lines { body: response.into_body(), held: Vec::new() }))
    }

    async fn send(&self, method: Method, path: &str, json: Option<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| self.away(error))?;
        match &self.tls {
            None => self.exchange(stream, method, path, json).await,
            Some(config) => {
                let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                let name = name.map_err(|error| self.away(error))?;
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                let stream = connector.connect(name, stream).await.map_err(|error| self.away(error))?;
                self.exchange(stream, method, path, json).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: Method,
        path: &str,
        json: Option<Bytes>,
    ) -> Result<Response<Incoming>, ClientError> {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.away(error))?;
        // Ends with the body, or when the body is dropped.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(json.unwrap_or_default())).map_err(|error| self.away(error))?;
        sender.send_request(request).await.map_err(|error| self.away(error))
    }

    fn away(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Away { address: self.host.clone(), reason: reason.to_string() }
    }
}

/// The lines of an answer, as they come.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    held: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` at the end of the answer.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held) {
                let line = String::from_utf8_lossy(&self.held[..end]).into_owned();
                self.held.drain(..=end);
                return Some(line);
            }
            match self.body.frame().await {
                Some(Ok(frame)) if self.held.len() < ANSWER_BYTES_MAX => {
                    self.held.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                }
                _ if self.held.is_empty() => return None,
                _ => return Some(String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()),
            }
        }
    }

    /// Everything that is left, as one text.
    pub async fn rest(mut self) -> String {
        let mut text = String::new();
        while let Some(line) = self.next().await {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// Believes one certificate, whatever its name and issuer; that the other side holds its key is
/// checked all the same.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("it shows another certificate than the configuration names".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
