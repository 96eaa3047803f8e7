//! Who is sending: a credential stands for exactly one tenant.
//!
//! ```yaml
//! auth:
//!   credentials:
//!     - tenant: acme
//!       bearer_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!     - tenant: acme
//!       user: prometheus
//!       password_file: /run/secrets/prometheus
//!     - tenant: acme                 # a client certificate, where the listener asks for one
//!       certificate_name: agent.acme.example.com
//!   operators:                      # may reload the configuration and look at every tenant
//!     - { bearer_file: /run/secrets/operator }
//!   networks:                      # for datagrams, which carry no credential
//!     - { network: 10.1.0.0/16, tenant: acme }
//!   anonymous_tenant: default      # only accepted on loopback addresses
//! ```
//!
//! Secrets are kept as SHA-256 digests and compared in constant time against every entry, so
//! neither memory nor timing shows which one was nearly right. Use random tokens of at least
//! 256 bits (`openssl rand -hex 32`): a plain digest is no protection for a guessable password.
//! A request that shows a certificate and a token needs both to stand for one tenant.
//!
//! The credentials can be replaced while listeners run ([`Auth::replace`]): each request is
//! judged by those that are in force when its headers have come.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::signal::check_tenant;
use rustls::pki_types::{CertificateDer, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Longest `Authorization` header looked at; tokens are below 1 KiB.
const AUTHORIZATION_BYTES_MAX: usize = 8 << 10;

/// Credentials and the tenants they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Bearer tokens, basic credentials and client certificates.
    pub credentials: Vec<Credential>,
    /// Who may reload the configuration and look at the signals of every tenant.
    pub operators: Vec<Operator>,
    /// Tenants of datagrams (syslog, SNMP, StatsD) by sender address; the first match wins.
    /// Addresses can be forged: use it only where the network is trusted.
    pub networks: Vec<Network>,
    /// The tenant of senders without a credential; only accepted on loopback listeners.
    pub anonymous_tenant: Option<String>,
}

/// One credential: a bearer token, a user and password, or a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Whose it is.
    pub tenant: String,
    /// SHA-256 of the bearer token, 64 hexadecimal digits (`printf %s TOKEN | sha256sum`).
    pub bearer_sha256: Option<String>,
    /// A file with the bearer token itself.
    pub bearer_file: Option<PathBuf>,
    /// User of HTTP basic authentication.
    pub user: Option<String>,
    /// SHA-256 of the password.
    pub password_sha256: Option<String>,
    /// A file with the password itself.
    pub password_file: Option<PathBuf>,
    /// SHA-256 of the client certificate in DER, 64 hexadecimal digits
    /// (`openssl x509 -outform der | sha256sum`).
    pub certificate_sha256: Option<String>,
    /// A DNS name the client certificate is valid for; `tls.client_ca_file` says who may vouch.
    pub certificate_name: Option<String>,
}

/// The credential of somebody who runs this service: a bearer token or a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Operator {
    /// SHA-256 of the bearer token, 64 hexadecimal digits (`printf %s TOKEN | sha256sum`).
    pub bearer_sha256: Option<String>,
    /// A file with the bearer token itself.
    pub bearer_file: Option<PathBuf>,
    /// SHA-256 of the client certificate in DER, 64 hexadecimal digits.
    pub certificate_sha256: Option<String>,
    /// A DNS name the client certificate is valid for.
    pub certificate_name: Option<String>,
}

/// A range of addresses and the tenant its datagrams belong to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// `10.1.0.0/16`, `2001:db8::/32` or one address.
    pub network: String,
    /// Whose it is.
    pub tenant: String,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not a subject token.
    #[error(transparent)]
    Tenant(#[from] bellwether_engine::signal::SignalError),
    /// Neither token nor password, or both.
    #[error(
        "credential {index} of {whose} needs exactly one of bearer_sha256, bearer_file, certificate_sha256, certificate_name, or (for tenants) user with password_sha256 or password_file"
    )]
    Shape {
        /// Position in its list, from 0.
        index: usize,
        /// The tenant named, or `operators`.
        whose: String,
    },
    /// Not a DNS name.
    #[error("certificate_name `{0}` is not a DNS name")]
    CertificateName(String),
    /// Not a digest.
    #[error("`{0}` is not a SHA-256 digest: 64 hexadecimal digits expected")]
    Digest(String),
    /// A secret file could not be read.
    #[error("secret file `{path}` could not be read: {reason}")]
    File {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Not an address range.
    #[error("`{0}` is not a network: write `10.1.0.0/16` or one address")]
    Network(String),
    /// Nobody could be refused on an address others can reach.
    #[error("listening on `{0}` needs credentials: set auth.credentials, or bind to a loopback address")]
    OpenDoor(String),
}

type Digest = [u8; 32];

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Tenant(usize),
    Operator,
}

struct Known {
    digest: Digest,
    owner: Owner,
}

/// What a client certificate is known by.
enum CertificateMark {
    Digest(Digest),
    Name(ServerName<'static>),
}

struct Range {
    base: u128,
    mask: u128,
    v4: bool,
    tenant: usize,
}

/// Checked credentials, as they are in force between two reloads.
#[derive(Default)]
struct Checked {
    tenants: Vec<Arc<str>>,
    known: Vec<Known>,
    certificates: Vec<(CertificateMark, Owner)>,
    ranges: Vec<Range>,
    anonymous: Option<usize>,
}

/// What a credential turned out to be: its digest as kept, or a certificate.
enum Secret {
    Digest(Digest),
    Certificate(CertificateMark),
}

/// Checked credentials.
pub struct Auth {
    current: RwLock<Arc<Checked>>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} credentials, secrets not shown)", self.current().known.len())
    }
}

/// What a sender shows beside its message.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The client certificate that the TLS layer has verified.
    pub certificate: Option<&'a CertificateDer<'static>>,
}

impl Auth {
    /// Checks `config` and reads its secret files.
    ///
    /// # Errors
    /// [`AuthError`] for the first entry that cannot be used.
    pub fn new(config: &AuthConfig) -> Result<Auth, AuthError> {
        Ok(Auth { current: RwLock::new(Arc::new(Checked::new(config)?)) })
    }

    /// Puts the credentials of `config` in force, with its secret files read anew; on an error
    /// those before stay.
    ///
    /// # Errors
    /// As [`Auth::new`].
    pub fn replace(&self, config: &AuthConfig) -> Result<(), AuthError> {
        let checked = Arc::new(Checked::new(config)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = checked;
        Ok(())
    }

    fn current(&self) -> Arc<Checked> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses a listener that strangers can reach and use.
    ///
    /// # Errors
    /// [`AuthError::OpenDoor`] when `address` is not loopback and anonymous senders have a tenant,
    /// or no credential exists at all.
    pub fn check_listener(&self, address: std::net::SocketAddr) -> Result<(), AuthError> {
        let checked = self.current();
        let none = checked.known.is_empty() && checked.certificates.is_empty() && checked.ranges.is_empty();
        if (none || checked.anonymous.is_some()) && !address.ip().is_loopback() {
            return Err(AuthError::OpenDoor(address.to_string()));
        }
        Ok(())
    }

    /// The tenant of a request, from its headers alone; `None` is 401.
    pub fn tenant_of(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        self.tenant_of_sender(Shown { headers, certificate: None })
    }

    /// The tenant of a request from what its sender shows; `None` is 401. A token and a known
    /// certificate must stand for the same tenant.
    pub fn tenant_of_sender(&self, shown: Shown<'_>) -> Option<Arc<str>> {
        let checked = self.current();
        let by_certificate = shown.certificate.and_then(|certificate| checked.owner_of_certificate(certificate));
        let by_token = shown.headers.contains_key(AUTHORIZATION).then(|| checked.owner_of_token(shown.headers));
        let tenant = match (by_token, by_certificate) {
            (None, None) => checked.anonymous,
            (None, Some(Owner::Tenant(tenant))) | (Some(Some(Owner::Tenant(tenant))), None) => Some(tenant),
            (Some(Some(Owner::Tenant(token))), Some(Owner::Tenant(tenant))) => Some(tenant).filter(|at| *at == token),
            // An operator sends nothing, and a wrong token is not made good by a certificate.
            _ => None,
        };
        tenant.map(|at| checked.tenants[at].clone())
    }

    /// Whether the sender runs this service.
    pub fn is_operator(&self, shown: Shown<'_>) -> bool {
        let checked = self.current();
        let by_certificate = shown.certificate.and_then(|certificate| checked.owner_of_certificate(certificate));
        by_certificate == Some(Owner::Operator) || checked.owner_of_token(shown.headers) == Some(Owner::Operator)
    }

    /// Whether anybody could be an operator.
    pub fn has_operators(&self) -> bool {
        let checked = self.current();
        let owners = checked.known.iter().map(|known| known.owner);
        owners.chain(checked.certificates.iter().map(|(_, owner)| *owner)).any(|owner| owner == Owner::Operator)
    }

    /// The tenant of a secret that a wire carries in its own header (`X-Gitlab-Token`).
    pub fn tenant_of_token(&self, token: &str) -> Option<Arc<str>> {
        let checked = self.current();
        checked.tenant_named(checked.owner_of_digest(&kept_bearer(&sha256(&[token.as_bytes()]))))
    }

    /// The tenant of a client certificate that the TLS layer has verified.
    pub fn tenant_of_certificate(&self, certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
        let checked = self.current();
        checked.tenant_named(checked.owner_of_certificate(certificate))
    }

    /// The tenant of a datagram from `address`.
    pub fn tenant_of_address(&self, address: IpAddr) -> Option<Arc<str>> {
        let checked = self.current();
        let (bits, v4) = address_bits(address.to_canonical());
        let range = checked.ranges.iter().find(|range| range.v4 == v4 && bits & range.mask == range.base);
        let local = || checked.anonymous.filter(|_| address.is_loopback());
        range.map(|range| range.tenant).or_else(local).map(|at| checked.tenants[at].clone())
    }
}

impl Checked {
    fn new(config: &AuthConfig) -> Result<Checked, AuthError> {
        let mut checked = Checked::default();
        for (index, credential) in config.credentials.iter().enumerate() {
            let tenant = checked.tenant(&credential.tenant)?;
            let whose = format!("tenant `{}`", credential.tenant);
            checked.learn(secret_of(credential, index, whose)?, Owner::Tenant(tenant));
        }
        for (index, operator) in config.operators.iter().enumerate() {
            let Operator { bearer_sha256, bearer_file, certificate_sha256, certificate_name } = operator.clone();
            let credential = Credential {
                bearer_sha256,
                bearer_file,
                certificate_sha256,
                certificate_name,
                ..Credential::default()
            };
            checked.learn(secret_of(&credential, index, "`operators`".to_owned())?, Owner::Operator);
        }
        for network in &config.networks {
            let tenant = checked.tenant(&network.tenant)?;
            checked.ranges.push(range(&network.network, tenant)?);
        }
        if let Some(tenant) = &config.anonymous_tenant {
            checked.anonymous = Some(checked.tenant(tenant)?);
        }
        Ok(checked)
    }

    fn tenant(&mut self, name: &str) -> Result<usize, AuthError> {
        check_tenant(name)?;
        if let Some(at) = self.tenants.iter().position(|known| **known == *name) {
            return Ok(at);
        }
        self.tenants.push(name.into());
        Ok(self.tenants.len() - 1)
    }

    fn learn(&mut self, secret: Secret, owner: Owner) {
        match secret {
            Secret::Digest(digest) => self.known.push(Known { digest, owner }),
            Secret::Certificate(mark) => self.certificates.push((mark, owner)),
        }
    }

    fn owner_of_token(&self, headers: &HeaderMap) -> Option<Owner> {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
        if text.len() > AUTHORIZATION_BYTES_MAX {
            return None;
        }
        let (scheme, secret) = text.split_once(' ')?;
        let digest = if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
            kept_bearer(&sha256(&[secret.trim().as_bytes()]))
        } else if scheme.eq_ignore_ascii_case("basic") {
            let plain = STANDARD.decode(secret.trim()).ok()?;
            let colon = plain.iter().position(|b| *b == b':')?;
            kept_basic(&plain[..colon], &sha256(&[&plain[colon + 1..]]))
        } else {
            return None;
        };
        self.owner_of_digest(&digest)
    }

    /// Looks at every entry whatever is found, and takes the first that is equal.
    fn owner_of_digest(&self, digest: &Digest) -> Option<Owner> {
        let mut found = Choice::from(0);
        let mut place = 0u64;
        for (index, known) in self.known.iter().enumerate() {
            let equal = known.digest[..].ct_eq(&digest[..]);
            place.conditional_assign(&(index as u64), equal & !found);
            found |= equal;
        }
        bool::from(found).then(|| self.known[place as usize].owner)
    }

    /// Certificates are public: no constant time is needed.
    fn owner_of_certificate(&self, certificate: &CertificateDer<'_>) -> Option<Owner> {
        if self.certificates.is_empty() {
            return None;
        }
        let digest = sha256(&[certificate.as_ref()]);
        let parsed = webpki::EndEntityCert::try_from(certificate).ok();
        let fits = |mark: &CertificateMark| match mark {
            CertificateMark::Digest(known) => *known == digest,
            CertificateMark::Name(name) => {
                parsed.as_ref().is_some_and(|parsed| parsed.verify_is_valid_for_subject_name(name).is_ok())
            }
        };
        self.certificates.iter().find(|(mark, _)| fits(mark)).map(|(_, owner)| *owner)
    }

    fn tenant_named(&self, owner: Option<Owner>) -> Option<Arc<str>> {
        match owner? {
            Owner::Tenant(at) => Some(self.tenants[at].clone()),
            Owner::Operator => None,
        }
    }
}

/// SHA-256 over the concatenation of `parts`.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// What is kept of a bearer token: a digest that no basic credential can equal.
fn kept_bearer(token: &Digest) -> Digest {
    sha256(&[b"bearer\0", token])
}

/// What is kept of a user and password.
fn kept_basic(user: &[u8], password: &Digest) -> Digest {
    sha256(&[b"basic\0", user, b"\0", password])
}

fn secret_of(credential: &Credential, index: usize, whose: String) -> Result<Secret, AuthError> {
    let Credential { bearer_sha256, bearer_file, user, password_sha256, password_file, .. } = credential;
    let certificate = match (&credential.certificate_sha256, &credential.certificate_name) {
        (None, None) => None,
        (Some(hex), None) => Some(CertificateMark::Digest(read_digest(hex)?)),
        (None, Some(name)) => {
            let checked = ServerName::try_from(name.clone()).map_err(|_| AuthError::CertificateName(name.clone()))?;
            Some(CertificateMark::Name(checked))
        }
        (Some(_), Some(_)) => return Err(AuthError::Shape { index, whose }),
    };
    let digest = match (certificate, bearer_sha256, bearer_file, user, password_sha256, password_file) {
        (Some(mark), None, None, None, None, None) => return Ok(Secret::Certificate(mark)),
        (None, Some(hex), None, None, None, None) => kept_bearer(&read_digest(hex)?),
        (None, None, Some(path), None, None, None) => kept_bearer(&sha256(&[read_secret(path)?.as_bytes()])),
        (None, None, None, Some(user), Some(hex), None) => kept_basic(user.as_bytes(), &read_digest(hex)?),
        (None, None, None, Some(user), None, Some(path)) => {
            let password = sha256(&[read_secret(path)?.as_bytes()]);
            kept_basic(user.as_bytes(), &password)
        }
        _ => return Err(AuthError::Shape { index, whose }),
    };
    Ok(Secret::Digest(digest))
}

/// The content of a secret file without its last line end.
pub(crate) fn read_secret(path: &std::path::Path) -> Result<String, AuthError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| AuthError::File { path: path.display().to_string(), reason: error.to_string() })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads hexadecimal digits into bytes; `None` for anything else.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn read_digest(hex: &str) -> Result<Digest, AuthError> {
    from_hex(hex.trim())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| AuthError::Digest(hex.chars().take(8).chain(['…']).collect()))
}

fn address_bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

fn range(text: &str, tenant: usize) -> Result<Range, AuthError> {
    let bad = || AuthError::Network(text.to_owned());
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let (bits, v4) = address_bits(address);
    let width: u32 = if v4 { 32 } else { 128 };
    let length: u32 = match length {
        Some(length) => length.parse().map_err(|_| bad())?,
        None => width,
    };
    if length > width {
        return Err(bad());
    }
    let host_bits = width - length;
    let mask = if host_bits >= 128 { 0 } else { u128::MAX << host_bits };
    Ok(Range { base: bits & mask, mask, v4, tenant })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn config() -> AuthConfig {
        AuthConfig {
            credentials: vec![
                Credential {
                    tenant: "acme".to_owned(),
                    bearer_sha256: Some(hex(&sha256(&[TOKEN.as_bytes()]))),
                    ..Credential::default()
                },
                Credential {
                    tenant: "umbrella".to_owned(),
                    user: Some("prometheus".to_owned()),
                    password_sha256: Some(hex(&sha256(&[b"a:b"]))),
                    ..Credential::default()
                },
            ],
            networks: vec![
                Network { network: "10.1.2.3".to_owned(), tenant: "umbrella".to_owned() },
                Network { network: "10.1.0.0/16".to_owned(), tenant: "acme".to_owned() },
                Network { network: "::/0".to_owned(), tenant: "six".to_owned() },
            ],
            ..AuthConfig::default()
        }
    }

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("plain"));
        headers
    }

    fn tenant(auth: &Auth, value: &str) -> Option<String> {
        auth.tenant_of(&headers(value)).map(|tenant| tenant.to_string())
    }

    #[test]
    fn a_credential_stands_for_its_tenant_and_nothing_else_does() {
        let auth = Auth::new(&config()).expect("config is good");
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(tenant(&auth, &format!("Bearer {TOKEN}")).as_deref(), Some("acme"));
        assert_eq!(tenant(&auth, &format!("bearer  {TOKEN}")).as_deref(), Some("acme"));
        assert_eq!(tenant(&auth, &basic("prometheus:a:b")).as_deref(), Some("umbrella"));
        for wrong in [
            "Bearer wrong",
            "Bearer ",
            "Bearer",
            "Digest x",
            "Basic !!!",
            &basic("prometheus:a"),
            &basic("other:a:b"),
            &basic("prometheus"),
            &format!("Bearer {}", "x".repeat(AUTHORIZATION_BYTES_MAX)),
        ] {
            assert_eq!(tenant(&auth, wrong), None, "{wrong}");
        }
        assert_eq!(auth.tenant_of(&HeaderMap::new()), None);
    }

    #[test]
    fn the_digest_of_a_token_is_not_itself_a_token() {
        let auth = Auth::new(&config()).expect("config is good");
        let digest = hex(&sha256(&[TOKEN.as_bytes()]));
        assert_eq!(tenant(&auth, &format!("Bearer {digest}")), None);
    }

    #[test]
    fn an_address_belongs_to_the_first_range_that_holds_it() {
        let auth = Auth::new(&config()).expect("config is good");
        let of = |address: &str| auth.tenant_of_address(address.parse().expect("address"));
        assert_eq!(of("10.1.2.3").as_deref(), Some("umbrella"));
        assert_eq!(of("10.1.9.9").as_deref(), Some("acme"));
        assert_eq!(of("::ffff:10.1.9.9").as_deref(), Some("acme"));
        assert_eq!(of("10.2.0.1"), None);
        assert_eq!(of("2001:db8::1").as_deref(), Some("six"));
    }

    #[test]
    fn a_door_open_to_everybody_is_only_opened_on_loopback() {
        let anonymous = AuthConfig { anonymous_tenant: Some("default".to_owned()), ..AuthConfig::default() };
        let auth = Auth::new(&anonymous).expect("config is good");
        assert_eq!(auth.tenant_of(&HeaderMap::new()).as_deref(), Some("default"));
        assert!(auth.check_listener("127.0.0.1:9090".parse().expect("address")).is_ok());
        assert!(auth.check_listener("0.0.0.0:9090".parse().expect("address")).is_err());
        let none = Auth::new(&AuthConfig::default()).expect("empty is good");
        assert!(none.check_listener("10.0.0.1:1".parse().expect("address")).is_err());
    }

    #[test]
    fn an_operator_may_look_and_not_send_and_a_tenant_is_no_operator() {
        let operator = Operator { bearer_sha256: Some(hex(&sha256(&[b"run it"]))), ..Operator::default() };
        let auth = Auth::new(&AuthConfig { operators: vec![operator], ..config() }).expect("config is good");
        let is_operator = |value: &str| auth.is_operator(Shown { headers: &headers(value), certificate: None });
        assert!(auth.has_operators() && is_operator("Bearer run it"));
        assert_eq!(tenant(&auth, "Bearer run it"), None);
        assert!(!is_operator(&format!("Bearer {TOKEN}")) && !is_operator("Bearer wrong"));
    }

    #[test]
    fn replaced_credentials_are_in_force_at_once_and_wrong_ones_change_nothing() {
        let auth = Auth::new(&config()).expect("config is good");
        let mut next = config();
        next.credentials[0].bearer_sha256 = Some(hex(&sha256(&[b"another"])));
        auth.replace(&next).expect("config is good");
        assert_eq!(tenant(&auth, &format!("Bearer {TOKEN}")), None);
        assert_eq!(tenant(&auth, "Bearer another").as_deref(), Some("acme"));
        next.credentials[0].bearer_sha256 = Some("abc".to_owned());
        assert!(auth.replace(&next).is_err());
        assert_eq!(tenant(&auth, "Bearer another").as_deref(), Some("acme"));
    }

    #[test]
    fn a_half_written_credential_says_what_is_missing() {
        for credential in [
            Credential { tenant: "a".to_owned(), ..Credential::default() },
            Credential { tenant: "a".to_owned(), user: Some("u".to_owned()), ..Credential::default() },
            Credential {
                tenant: "a".to_owned(),
                bearer_sha256: Some("00".repeat(32)),
                user: Some("u".to_owned()),
                ..Credential::default()
            },
        ] {
            let config = AuthConfig { credentials: vec![credential], ..AuthConfig::default() };
            let error = Auth::new(&config).expect_err("incomplete").to_string();
            assert!(error.contains("exactly one of"), "{error}");
        }
        let short =
            Credential { tenant: "a".to_owned(), bearer_sha256: Some("abc".to_owned()), ..Credential::default() };
        let config = AuthConfig { credentials: vec![short], ..AuthConfig::default() };
        assert!(Auth::new(&config).expect_err("short").to_string().contains("64 hexadecimal"));
    }
}
