//! Credentials as they are written in the configuration, and what can be wrong with them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

impl AuthConfig {
    /// How many tenants may send.
    pub fn tenants(&self) -> usize {
        let by_credential = self.credentials.iter().map(|credential| credential.tenant.as_str());
        let by_address = self.networks.iter().map(|network| network.tenant.as_str());
        by_credential.chain(by_address).chain(self.anonymous_tenant.as_deref()).collect::<BTreeSet<_>>().len()
    }

    /// The files its secrets are in.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        let of_tenants = self
            .credentials
            .iter_mut()
            .flat_map(|credential| [&mut credential.bearer_file, &mut credential.password_file].into_iter().flatten());
        let of_operators = self.operators.iter_mut().filter_map(|operator| operator.bearer_file.as_mut());
        of_tenants.chain(of_operators).collect()
    }
}

/// One credential: a bearer token, a user and password, or a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Whose it is.
    pub tenant: String,
    /// What is said of who uses it; the `user`, or what they say themselves, when left out.
    pub name: Option<String>,
    /// What it is good for; looking is always allowed. Give senders no right to act.
    pub may: Rights,
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

/// What a credential may do for its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Right>", into = "Vec<Right>")]
#[schemars(with = "Vec<Right>")]
pub struct Rights {
    send: bool,
    act: bool,
}

/// One thing that a credential may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Send signals: telemetry, alerts, changes, topology.
    Send,
    /// Say what is done about them: acknowledge, resolve, correct and silence.
    Act,
}

impl Right {
    /// What to tell the holder of a credential without it.
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Right::Send => "this credential may not send: its `may` in `auth.credentials` lacks `send`",
            Right::Act => {
                "this credential may not acknowledge, resolve, correct or silence: its `may` in `auth.credentials` lacks `act`"
            }
        }
    }
}

impl Rights {
    /// Both.
    pub const ALL: Rights = Rights { send: true, act: true };

    /// Whether `right` is among them.
    pub fn include(self, right: Right) -> bool {
        match right {
            Right::Send => self.send,
            Right::Act => self.act,
        }
    }

    /// What both allow.
    pub(super) fn both(self, other: Rights) -> Rights {
        Rights { send: self.send && other.send, act: self.act && other.act }
    }
}

/// A sender sends, and no more.
impl Default for Rights {
    fn default() -> Self {
        Rights { send: true, act: false }
    }
}

impl TryFrom<Vec<Right>> for Rights {
    type Error = &'static str;

    fn try_from(rights: Vec<Right>) -> Result<Self, Self::Error> {
        if rights.is_empty() {
            return Err("`may` is empty: write [send], [act] or both");
        }
        Ok(Rights { send: rights.contains(&Right::Send), act: rights.contains(&Right::Act) })
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        [Right::Send, Right::Act].into_iter().filter(|right| rights.include(*right)).collect()
    }
}

/// The credential of somebody who runs this service: a bearer token or a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Operator {
    /// What is said of who uses it; what they say themselves when left out.
    pub name: Option<String>,
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
