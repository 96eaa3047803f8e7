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
//!     - tenant: acme                 # the ticketing system: acts on incidents and silences, sends nothing
//!       bearer_file: /run/secrets/ticketing
//!       may: [act]                   # [send] when left out
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
//! A request that shows a certificate and a token needs both to stand for one tenant, and may what
//! both allow. An anonymous sender, on a loopback address, may all that a tenant may.
//!
//! The credentials can be replaced while listeners run ([`Auth::replace`]): each request is
//! judged by those that are in force when its headers have come.
//!
//! A `name` beside a credential is what people are called who sign in to the page with it.

mod config;
mod secrets;
#[cfg(test)]
mod tests;
mod visitor;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::signal::TenantName;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::server::doors::Holder;
use crate::server::refusals::{Answering, Refused, RefusedSenders};

pub use config::{AuthConfig, AuthError, Credential, Network, Operator, Right, Rights};
use secrets::{CertificateMark, Digest, Secret, kept_basic, kept_bearer, network, secret_of};
pub(crate) use secrets::{from_hex, read_secret, sha256};
pub use visitor::Visitor;

/// Longest `Authorization` header looked at; tokens are below 1 KiB.
const AUTHORIZATION_BYTES_MAX: usize = 8 << 10;

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Its place, what it may, and which of the credentials it is.
    Tenant(usize, Rights, u32),
    Operator,
}

impl Owner {
    /// Whether it speaks for the same.
    fn is_of(self, other: Owner) -> bool {
        match (self, other) {
            (Owner::Tenant(one, ..), Owner::Tenant(another, ..)) => one == another,
            _ => self == other,
        }
    }
}

/// What a request may do, by its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The tenant it speaks for.
    pub tenant: TenantName,
    /// What it may do for it.
    pub may: Rights,
    /// Which credential it is: those of one tenant share what the tenant gets.
    pub credential: u32,
}

struct Known {
    digest: Digest,
    owner: Owner,
    /// What the configuration calls it.
    name: Option<Arc<str>>,
}

/// Checked credentials, as they are in force between two reloads.
#[derive(Default)]
struct Checked {
    tenants: Vec<TenantName>,
    known: Vec<Known>,
    certificates: Vec<(CertificateMark, Owner)>,
    /// Networks, each with its tenant's place.
    networks: Vec<(IpNet, usize)>,
    anonymous: Option<usize>,
}

/// Checked credentials.
pub struct Auth {
    current: RwLock<Arc<Checked>>,
    refusals: RefusedSenders,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} credentials, secrets not shown)", self.current().known.len())
    }
}

impl Grant {
    /// Who holds what a request takes.
    pub(crate) fn holder(&self) -> Holder {
        Holder { tenant: Some(self.tenant.clone()), credential: self.credential }
    }
}

/// What a sender shows beside its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
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
        Ok(Auth { current: RwLock::new(Arc::new(Checked::new(config)?)), refusals: RefusedSenders::default() })
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

    /// Notes that a sender was refused, whoever noticed: told once, and slowed when it goes on.
    pub(crate) fn refused(&self, refused: Refused<'_>) -> Answering {
        self.refusals.note(refused)
    }

    /// Refuses a listener that strangers can reach and use.
    ///
    /// # Errors
    /// [`AuthError::OpenDoor`] when `address` is not loopback and anonymous senders have a tenant,
    /// or no credential exists at all.
    pub(crate) fn check_listener(&self, address: std::net::SocketAddr) -> Result<(), AuthError> {
        let checked = self.current();
        let none = checked.known.is_empty() && checked.certificates.is_empty() && checked.networks.is_empty();
        if (none || checked.anonymous.is_some()) && !address.ip().is_loopback() {
            return Err(AuthError::OpenDoor(address.to_string()));
        }
        Ok(())
    }

    /// What a request may do, by what its sender shows; `None` is 401. A token and a known
    /// certificate must stand for the same tenant.
    pub(crate) fn grant(&self, shown: Shown<'_>) -> Option<Grant> {
        let checked = self.current();
        let by_certificate = shown.certificate.and_then(|certificate| checked.owner_of_certificate(certificate));
        let by_token = shown.headers.contains_key(AUTHORIZATION).then(|| checked.owner_of_token(shown.headers));
        let (tenant, may, credential) = match (by_token, by_certificate) {
            (None, None) => (checked.anonymous?, Rights::ALL, u32::MAX),
            (None, Some(Owner::Tenant(tenant, may, id))) | (Some(Some(Owner::Tenant(tenant, may, id))), None) => {
                (tenant, may, id)
            }
            (Some(Some(Owner::Tenant(token, may, id))), Some(Owner::Tenant(tenant, also, _))) if token == tenant => {
                (tenant, may.both(also), id)
            }
            // An operator sends nothing, and a wrong token is not made good by a certificate.
            _ => return None,
        };
        Some(Grant { tenant: checked.tenants[tenant].clone(), may, credential })
    }

    /// Whether more than one credential is shown: whose the request is would be a matter of who reads it.
    pub(crate) fn is_ambiguous(headers: &HeaderMap) -> bool {
        headers.get_all(AUTHORIZATION).iter().nth(1).is_some()
    }

    /// Whether the sender runs this service.
    pub(crate) fn is_operator(&self, shown: Shown<'_>) -> bool {
        let checked = self.current();
        let by_certificate = shown.certificate.and_then(|certificate| checked.owner_of_certificate(certificate));
        let by_token = shown.headers.contains_key(AUTHORIZATION).then(|| checked.owner_of_token(shown.headers));
        let operator = Some(Owner::Operator);
        match (by_token, by_certificate) {
            (None, certificate) => certificate == operator,
            // All that is shown must be an operator's: a tenant's certificate vouches for a tenant.
            (Some(token), certificate) => token == operator && (certificate.is_none() || certificate == operator),
        }
    }

    /// Whether anybody could be an operator.
    pub(crate) fn has_operators(&self) -> bool {
        let checked = self.current();
        let owners = checked.known.iter().map(|known| known.owner);
        owners.chain(checked.certificates.iter().map(|(_, owner)| *owner)).any(|owner| owner == Owner::Operator)
    }

    /// The tenant that may send with a secret that a wire carries in its own header (`X-Gitlab-Token`).
    pub(crate) fn tenant_of_token(&self, token: &str) -> Option<TenantName> {
        let checked = self.current();
        checked.sending_tenant(checked.owner_of_digest(&kept_bearer(&sha256(&[token.as_bytes()]))))
    }

    /// The tenant that may send with a client certificate that the TLS layer has verified.
    pub(crate) fn tenant_of_certificate(&self, certificate: &CertificateDer<'_>) -> Option<TenantName> {
        let checked = self.current();
        checked.sending_tenant(checked.owner_of_certificate(certificate))
    }

    /// The tenant of a datagram from `address`.
    pub(crate) fn tenant_of_address(&self, address: IpAddr) -> Option<TenantName> {
        let checked = self.current();
        let canonical = address.to_canonical();
        let holding = checked.networks.iter().find(|(network, _)| network.contains(&canonical));
        let local = || checked.anonymous.filter(|_| canonical.is_loopback());
        holding.map(|(_, tenant)| *tenant).or_else(local).map(|at| checked.tenants[at].clone())
    }
}

impl Checked {
    fn new(config: &AuthConfig) -> Result<Checked, AuthError> {
        let mut checked = Checked::default();
        for (index, credential) in config.credentials.iter().enumerate() {
            let tenant = checked.tenant(&credential.tenant)?;
            let whose = format!("tenant `{}`", credential.tenant);
            let id = u32::try_from(index).unwrap_or(u32::MAX);
            let name = credential.name.as_deref().or(credential.user.as_deref());
            checked.learn(secret_of(credential, index, whose)?, Owner::Tenant(tenant, credential.may, id), name);
        }
        for (index, operator) in config.operators.iter().enumerate() {
            let Operator { name, bearer_sha256, bearer_file, certificate_sha256, certificate_name } = operator.clone();
            let credential = Credential {
                bearer_sha256,
                bearer_file,
                certificate_sha256,
                certificate_name,
                ..Credential::default()
            };
            let secret = secret_of(&credential, index, "`operators`".to_owned())?;
            checked.learn(secret, Owner::Operator, name.as_deref());
        }
        for of_tenant in &config.networks {
            let tenant = checked.tenant(&of_tenant.tenant)?;
            checked.networks.push((network(&of_tenant.network)?, tenant));
        }
        if let Some(tenant) = &config.anonymous_tenant {
            checked.anonymous = Some(checked.tenant(tenant)?);
        }
        Ok(checked)
    }

    fn tenant(&mut self, name: &str) -> Result<usize, AuthError> {
        let name = TenantName::new(name)?;
        if let Some(at) = self.tenants.iter().position(|known| *known == name) {
            return Ok(at);
        }
        self.tenants.push(name);
        Ok(self.tenants.len() - 1)
    }

    fn learn(&mut self, secret: Secret, owner: Owner, name: Option<&str>) {
        match secret {
            Secret::Digest(digest) => self.known.push(Known { digest, owner, name: name.map(Arc::from) }),
            Secret::Certificate(mark) => self.certificates.push((mark, owner)),
        }
    }

    fn owner_of_token(&self, headers: &HeaderMap) -> Option<Owner> {
        self.owner_of_digest(&self.digest_of_token(headers)?)
    }

    /// What would be kept of the credential that the headers show.
    fn digest_of_token(&self, headers: &HeaderMap) -> Option<Digest> {
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
        Some(digest)
    }

    fn owner_of_digest(&self, digest: &Digest) -> Option<Owner> {
        self.known_of_digest(digest).map(|known| known.owner)
    }

    /// Looks at every entry whatever is found, and takes the first that is equal.
    fn known_of_digest(&self, digest: &Digest) -> Option<&Known> {
        let mut found = Choice::from(0);
        let mut place = 0u64;
        for (index, known) in self.known.iter().enumerate() {
            let equal = known.digest[..].ct_eq(&digest[..]);
            place.conditional_assign(&(index as u64), equal & !found);
            found |= equal;
        }
        bool::from(found).then(|| &self.known[place as usize])
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
        let mut fitting = self.certificates.iter().filter(|(mark, _)| fits(mark)).map(|(_, owner)| *owner);
        let first = fitting.next()?;
        // One that is good for two stands for neither: whose it is would be a matter of their order.
        fitting.all(|other| other.is_of(first)).then_some(first)
    }

    fn sending_tenant(&self, owner: Option<Owner>) -> Option<TenantName> {
        match owner? {
            Owner::Tenant(at, may, _) => may.include(Right::Send).then(|| self.tenants[at].clone()),
            Owner::Operator => None,
        }
    }
}
