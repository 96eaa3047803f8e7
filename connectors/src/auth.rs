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
//!   networks:                      # for datagrams, which carry no credential
//!     - { network: 10.1.0.0/16, tenant: acme }
//!   anonymous_tenant: default      # only accepted on loopback addresses
//! ```
//!
//! Secrets are kept as SHA-256 digests and compared in constant time against every entry, so
//! neither memory nor timing shows which one was nearly right. Use random tokens of at least
//! 256 bits (`openssl rand -hex 32`): a plain digest is no protection for a guessable password.

use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::signal::check_tenant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Longest `Authorization` header looked at; tokens are below 1 KiB.
const AUTHORIZATION_BYTES_MAX: usize = 8 << 10;

/// Credentials and the tenants they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Bearer tokens and basic credentials.
    pub credentials: Vec<Credential>,
    /// Tenants of datagrams (syslog, SNMP, StatsD) by sender address; the first match wins.
    /// Addresses can be forged: use it only where the network is trusted.
    pub networks: Vec<Network>,
    /// The tenant of senders without a credential; only accepted on loopback listeners.
    pub anonymous_tenant: Option<String>,
}

/// One credential: a bearer token, or a user and password.
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
        "credential {index} of tenant `{tenant}` needs exactly one of bearer_sha256, bearer_file, or user with password_sha256 or password_file"
    )]
    Shape {
        /// Position in the list, from 0.
        index: usize,
        /// The tenant named.
        tenant: String,
    },
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

struct Known {
    digest: Digest,
    tenant: usize,
}

struct Range {
    base: u128,
    mask: u128,
    v4: bool,
    tenant: usize,
}

/// Checked credentials.
pub struct Auth {
    tenants: Vec<String>,
    known: Vec<Known>,
    ranges: Vec<Range>,
    anonymous: Option<usize>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} credentials, secrets not shown)", self.known.len())
    }
}

impl Auth {
    /// Checks `config` and reads its secret files.
    ///
    /// # Errors
    /// [`AuthError`] for the first entry that cannot be used.
    pub fn new(config: &AuthConfig) -> Result<Auth, AuthError> {
        let mut auth = Auth { tenants: Vec::new(), known: Vec::new(), ranges: Vec::new(), anonymous: None };
        for (index, credential) in config.credentials.iter().enumerate() {
            let tenant = auth.tenant(&credential.tenant)?;
            let digest = digest_of(credential, index)?;
            auth.known.push(Known { digest, tenant });
        }
        for network in &config.networks {
            let tenant = auth.tenant(&network.tenant)?;
            auth.ranges.push(range(&network.network, tenant)?);
        }
        if let Some(tenant) = &config.anonymous_tenant {
            auth.anonymous = Some(auth.tenant(tenant)?);
        }
        Ok(auth)
    }

    fn tenant(&mut self, name: &str) -> Result<usize, AuthError> {
        check_tenant(name)?;
        if let Some(at) = self.tenants.iter().position(|known| known == name) {
            return Ok(at);
        }
        self.tenants.push(name.to_owned());
        Ok(self.tenants.len() - 1)
    }

    /// Refuses a listener that strangers can reach and use.
    ///
    /// # Errors
    /// [`AuthError::OpenDoor`] when `address` is not loopback and anonymous senders have a tenant,
    /// or no credential exists at all.
    pub fn check_listener(&self, address: std::net::SocketAddr) -> Result<(), AuthError> {
        let open = self.anonymous.is_some() || (self.known.is_empty() && self.ranges.is_empty());
        if open && !address.ip().is_loopback() {
            return Err(AuthError::OpenDoor(address.to_string()));
        }
        Ok(())
    }

    /// The tenant of a request, from its headers alone; `None` is 401.
    pub fn tenant_of(&self, headers: &HeaderMap) -> Option<&str> {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return self.anonymous.map(|at| self.tenants[at].as_str());
        };
        let text = value.to_str().ok()?;
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
        self.tenant_of_digest(&digest)
    }

    /// The tenant of a secret that a wire carries in its own header (`X-Gitlab-Token`).
    pub fn tenant_of_token(&self, token: &str) -> Option<&str> {
        self.tenant_of_digest(&kept_bearer(&sha256(&[token.as_bytes()])))
    }

    /// Looks at every entry whatever is found, and takes the first that is equal.
    fn tenant_of_digest(&self, digest: &Digest) -> Option<&str> {
        let mut found = Choice::from(0);
        let mut tenant = 0u64;
        for known in &self.known {
            let equal = known.digest[..].ct_eq(&digest[..]);
            tenant.conditional_assign(&(known.tenant as u64), equal & !found);
            found |= equal;
        }
        bool::from(found).then(|| self.tenants[tenant as usize].as_str())
    }

    /// The tenant of a datagram from `address`.
    pub fn tenant_of_address(&self, address: IpAddr) -> Option<&str> {
        let (bits, v4) = address_bits(address.to_canonical());
        let range = self.ranges.iter().find(|range| range.v4 == v4 && bits & range.mask == range.base);
        let local = || self.anonymous.filter(|_| address.is_loopback());
        range.map(|range| range.tenant).or_else(local).map(|at| self.tenants[at].as_str())
    }

    /// Every tenant named in the configuration.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
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

fn digest_of(credential: &Credential, index: usize) -> Result<Digest, AuthError> {
    match (
        &credential.bearer_sha256,
        &credential.bearer_file,
        &credential.user,
        &credential.password_sha256,
        &credential.password_file,
    ) {
        (Some(hex), None, None, None, None) => Ok(kept_bearer(&read_digest(hex)?)),
        (None, Some(path), None, None, None) => Ok(kept_bearer(&sha256(&[read_secret(path)?.as_bytes()]))),
        (None, None, Some(user), Some(hex), None) => Ok(kept_basic(user.as_bytes(), &read_digest(hex)?)),
        (None, None, Some(user), None, Some(path)) => {
            let password = sha256(&[read_secret(path)?.as_bytes()]);
            Ok(kept_basic(user.as_bytes(), &password))
        }
        _ => Err(AuthError::Shape { index, tenant: credential.tenant.clone() }),
    }
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
            anonymous_tenant: None,
        }
    }

    fn tenant(auth: &Auth, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("plain"));
        auth.tenant_of(&headers).map(str::to_owned)
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
        assert_eq!(of("10.1.2.3"), Some("umbrella"));
        assert_eq!(of("10.1.9.9"), Some("acme"));
        assert_eq!(of("::ffff:10.1.9.9"), Some("acme"));
        assert_eq!(of("10.2.0.1"), None);
        assert_eq!(of("2001:db8::1"), Some("six"));
    }

    #[test]
    fn a_door_open_to_everybody_is_only_opened_on_loopback() {
        let anonymous = AuthConfig { anonymous_tenant: Some("default".to_owned()), ..AuthConfig::default() };
        let auth = Auth::new(&anonymous).expect("config is good");
        assert_eq!(auth.tenant_of(&HeaderMap::new()), Some("default"));
        assert!(auth.check_listener("127.0.0.1:9090".parse().expect("address")).is_ok());
        assert!(auth.check_listener("0.0.0.0:9090".parse().expect("address")).is_err());
        let none = Auth::new(&AuthConfig::default()).expect("empty is good");
        assert!(none.check_listener("10.0.0.1:1".parse().expect("address")).is_err());
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
