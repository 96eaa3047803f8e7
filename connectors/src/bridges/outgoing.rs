//! Requests to a ticketing system over HTTP: only to where the configuration says, in bounded time and size.
//!
//! - The address that a name resolves to has to be public or in a network that the configuration names, and is the
//!   one that is connected to: a name that changes its mind leads nowhere else. No redirect is followed.
//! - In the clear only to loopback: a token goes with every request.
//! - One connection a request: what came before it on a connection cannot make its outcome unknown.
//! - An error says whether the request can have arrived ([`SystemError::Away`], [`SystemError::Lost`]).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::time::Span;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, ETAG, HOST, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::system::SystemError;
use crate::server::tls::certificates;

/// How long a request and its answer may take together.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Largest answer that is read, where nobody says that it is a list.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Pause when a system asks for one and does not say how long.
const PAUSE: Span = Span::from_secs(5);
/// Shortest pause: some say that there is none to keep.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// A destination cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// What is written there.
    #[error("`{url}` is no address of a system: {reason}")]
    Url {
        /// As it is written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate.
    #[error("`ca_file`: {0}")]
    Authority(String),
}

/// Where requests go.
pub(super) struct Destination {
    https: bool,
    host: String,
    port: u16,
    /// What every path begins with, without a slash at its end.
    base: String,
    web: String,
    networks: Vec<IpNet>,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// How long a request waits when it is asked to.
    patience: Duration,
    answer_bytes_max: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) version: String,
    pub(super) body: Bytes,
}

impl Destination {
    /// Reads `url`; private addresses have to be in `networks`.
    pub(super) fn new(
        url: &str,
        networks: &[IpNet],
        ca_file: Option<&PathBuf>,
    ) -> Result<Destination, DestinationError> {
        let wrong = |reason: &str| DestinationError::Url { url: without_secret(url), reason: reason.to_owned() };
        let uri: Uri = url.parse().map_err(|_| wrong("it does not read"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it begins with `https://`")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("no user and password belong in it: `token_file` holds the secret"));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = if https { Some(client_tls(ca_file)?) } else { None };
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let base = uri.path().trim_end_matches('/').to_owned();
        let web = url.trim_end_matches('/').to_owned();
        let patience = Duration::ZERO;
        let (networks, answer_bytes_max) = (networks.to_vec(), ANSWER_BYTES_MAX);
        Ok(Destination { https, host, port, base, web, networks, tls, patience, answer_bytes_max })
    }

    /// The same, whose requests wait so long in all when they are asked to, and are sent again.
    pub(super) fn patient(self, patience: Duration) -> Destination {
        Destination { patience, ..self }
    }

    /// The same, of whose answers at most so much is read.
    pub(super) fn reading(self, answer_bytes_max: usize) -> Destination {
        Destination { answer_bytes_max, ..self }
    }

    /// As it is configured, without a slash at its end.
    pub(super) fn web(&self) -> &str {
        &self.web
    }

    /// Sends one request, and reads its whole answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, SystemError> {
        let began = tokio::time::Instant::now();
        loop {
            match self.ask_once(method.clone(), path, headers, body.clone()).await {
                // What is asked to wait has not been done.
                Err(SystemError::Throttled(pause)) if began.elapsed() < self.patience => {
                    let pause = Duration::from_nanos(pause.0.max(0) as u64).max(PAUSE_MIN);
                    tokio::time::sleep(pause.min(self.patience)).await;
                }
                answered => return answered,
            }
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, SystemError> {
        let late = |what: &str| format!("{what} within {} s", ANSWER_MAX.as_secs());
        let began = tokio::time::Instant::now();
        let connected = tokio::time::timeout(ANSWER_MAX, self.connect()).await;
        let stream = connected.unwrap_or_else(|_| Err(late("no connection"))).map_err(SystemError::Away)?;
        let left = ANSWER_MAX.saturating_sub(began.elapsed());
        let exchange = self.exchange(stream, method, path, headers, body);
        tokio::time::timeout(left, exchange).await.unwrap_or_else(|_| Err(SystemError::Lost(late("no answer"))))
    }

    /// A path below what is configured.
    fn path(&self, path: &str) -> String {
        let whole = format!("{}{path}", self.base);
        if whole.is_empty() { "/".to_owned() } else { whole }
    }

    /// Looks whether somebody is there whom we trust.
    pub(super) async fn reach(&self) -> Result<(), SystemError> {
        let connected = tokio::time::timeout(ANSWER_MAX, self.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err(format!("no connection within {} s", ANSWER_MAX.as_secs())));
        connected.map(drop).map_err(SystemError::Away)
    }

    /// Connects to an address that may be connected to.
    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let place = || format!("{}:{}", self.host, self.port);
        let address = address_of(&self.host, self.port, &self.networks).await?;
        if !self.https && !address.ip().is_loopback() {
            return Err(format!("{}: the token would go in the clear; use https", place()));
        }
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{}: {error}", place()))?;
        match &self.tls {
            Some(tls) => over_tls(tls, &self.host, Box::new(stream)).await,
            None => Ok(Box::new(stream)),
        }
    }

    async fn exchange(
        &self,
        stream: Box<dyn Stream>,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, SystemError> {
        let lost = |error: &dyn std::fmt::Display| SystemError::Lost(format!("the connection broke: {error}"));
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| SystemError::Away(error.to_string()))?;
        // Ends with the answer, or when that is given up.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(self.path(path));
        request = request.header(HOST, format!("{}:{}", self.host, self.port)).header(CONNECTION, "close");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(all) = request.headers_mut() {
            all.extend(headers.clone());
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())));
        let request = request.map_err(|error| SystemError::Refused(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let version = header(ETAG).unwrap_or_default().to_owned();
        let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse::<u32>().ok());
        if status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some())
        {
            return Err(SystemError::Throttled(retry_after.map_or(PAUSE, |secs| Span::from_secs(secs.into()))));
        }
        let body = Limited::new(response.into_body(), self.answer_bytes_max).collect().await;
        let body = body.map_err(|error| lost(&error))?.to_bytes();
        match status {
            status if status.is_server_error() => Err(SystemError::Lost(format!("it answers {status}"))),
            status if status.is_redirection() => {
                Err(SystemError::Denied(format!("it answers {status}, which is not followed: correct `url`")))
            }
            status => Ok(Answer { status, version, body }),
        }
    }
}

/// The address of `host`, if it may be connected to: one of the public net, or of `networks`.
pub(super) async fn address_of(host: &str, port: u16, networks: &[IpNet]) -> Result<SocketAddr, String> {
    let found = lookup_host((host, port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| format!("{host}:{port}: {error}"))?.collect();
    found.iter().find(|address| allows(networks, address.ip())).copied().ok_or_else(|| {
        let is = found.first().map_or("nothing".to_owned(), |address| address.ip().to_string());
        format!("{host}:{port} is {is}, which is no public address: name its network in `networks`, if that is right")
    })
}

fn allows(networks: &[IpNet], ip: IpAddr) -> bool {
    is_public(ip) || networks.iter().any(|network| network.contains(&ip))
}

/// TLS over `stream`, with somebody whose certificate is for `host`.
pub(super) async fn over_tls(
    tls: &Arc<rustls::ClientConfig>,
    host: &str,
    stream: Box<dyn Stream>,
) -> Result<Box<dyn Stream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
    let connected = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, stream).await;
    Ok(Box::new(connected.map_err(|error| format!("{host}: {error}"))?))
}

/// What a request goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Whether an address is one of the public net.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let reserved = a == 0 || a >= 240 || (a == 192 && b == 0 && c == 0) || (a == 198 && (18..20).contains(&b));
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_documentation()
                || shared
                || reserved)
        }
        IpAddr::V6(ip) => {
            if let Some(inner) = ip.to_ipv4() {
                return is_public(IpAddr::V4(inner));
            }
            let [first, second, ..] = ip.segments();
            // NAT64 and 6to4 carry an address of the older net.
            let carries = (first == 0x64 && second == 0xff9b) || first == 0x2002;
            let global = (0x2000..0x4000).contains(&first);
            global && !carries && !(first == 0x2001 && second == 0xdb8)
        }
    }
}

/// The client side of TLS: the authorities of `ca_file`, else the system's.
pub(super) fn client_tls(ca_file: Option<&PathBuf>) -> Result<Arc<rustls::ClientConfig>, DestinationError> {
    let wrong = |error: &dyn std::fmt::Display| DestinationError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path).map_err(|error| wrong(&error))? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(wrong(&"the system has no authorities: name one"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(Arc::new(builder.map_err(|error| wrong(&error))?.with_root_certificates(roots).with_no_client_auth()))
}

/// A URL without what may be a secret in it.
fn without_secret(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn no_address_inside_is_reached_unless_its_network_is_named() {
        let inside = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "224.0.0.1",
            "ff02::1",
            "2001:db8::1",
        ];
        for ip in inside {
            assert!(!is_public(ip.parse().expect(ip)), "{ip}");
        }
        for ip in ["8.8.8.8", "2606:4700::1111", "193.0.14.129"] {
            assert!(is_public(ip.parse().expect(ip)), "{ip}");
        }
        let named = ["10.0.0.0/8".parse().expect("a network")];
        assert!(allows(&named, "10.1.2.3".parse().expect("an address")));
        assert!(!allows(&named, "127.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn a_url_with_a_secret_or_another_scheme_is_refused_and_the_secret_not_shown() {
        for url in
            ["https://u:s3cret@rt.test/", "ftp://rt.test", "file:///etc/passwd", "rt.test", "https://rt.test/?a=s3cret"]
        {
            let error = Destination::new(url, &[], None).err().expect(url).to_string();
            assert!(!error.contains("u:s3cret"), "{error}");
        }
    }

    /// A server that reads a request and answers `answer`, once.
    async fn once(answer: &'static str) -> Destination {
        each(vec![answer]).await
    }

    /// A server that reads a request for each of `answers`, and gives that.
    async fn each(answers: Vec<&'static str>) -> Destination {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let loopback = ["127.0.0.1/32".parse().expect("a network")];
        Destination::new(&format!("http://127.0.0.1:{port}/rt"), &loopback, None).expect("reads")
    }

    async fn asked(destination: &Destination) -> Result<Answer, SystemError> {
        destination.ask(Method::GET, "/x", &HeaderMap::new(), None).await
    }

    #[tokio::test]
    async fn where_a_person_waits_a_busy_system_is_waited_for_and_not_for_ever() {
        let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
        let well = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let patient = each(vec![busy, busy, well]).await.patient(Duration::from_secs(15));
        assert_eq!(asked(&patient).await.expect("the third time").status, StatusCode::OK);
        let hurried = each(vec![busy, well]).await;
        assert_eq!(asked(&hurried).await.err(), Some(SystemError::Throttled(Span::ZERO)));
        let short = each(vec![busy, busy, well]).await.patient(Duration::from_millis(200));
        assert_eq!(asked(&short).await.err(), Some(SystemError::Throttled(Span::ZERO)));
    }

    #[tokio::test]
    async fn an_error_says_whether_the_request_can_have_arrived() {
        assert!(matches!(asked(&once("").await).await, Err(SystemError::Lost(_))), "the answer broke off");
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        assert!(matches!(asked(&once(half).await).await, Err(SystemError::Lost(_))), "half an answer");
        let broken = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(asked(&once(broken).await).await, Err(SystemError::Lost(_))), "somebody between us");
        let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(asked(&once(busy).await).await.err(), Some(SystemError::Throttled(Span::from_secs(7))));
        let nobody = once("").await;
        let _ = asked(&nobody).await;
        assert!(matches!(asked(&nobody).await, Err(SystemError::Away(_))), "nobody listens any more");
        let none = Destination::new("http://127.0.0.1:9", &[], None).expect("reads");
        let error = asked(&none).await.expect_err("an address inside").to_string();
        assert!(error.contains("`networks`"), "{error}");
    }

    #[tokio::test]
    async fn of_an_answer_no_more_is_read_than_is_asked_for() {
        let length = ANSWER_BYTES_MAX + 1;
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
        let long: &'static str = Box::leak(long.into_boxed_str());
        assert!(matches!(asked(&once(long).await).await, Err(SystemError::Lost(_))), "who is only told says little");
        let list = once(long).await.reading(2 * ANSWER_BYTES_MAX);
        assert_eq!(asked(&list).await.expect("a list is longer").body.len(), length);
    }

    #[tokio::test]
    async fn a_redirect_leads_nowhere() {
        let away = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(asked(&once(away).await).await, Err(SystemError::Denied(_))));
    }
}
