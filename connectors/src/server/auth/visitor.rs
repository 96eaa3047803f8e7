//! Who looks: a person or a program that shows a credential to see how things stand, and may do something about it.
//!
//! A browser shows its credential once; what it is known by from then on names the credential by a *mark*, which says
//! nothing about the secret and is good for as long as the credential is in the configuration.

use std::sync::Arc;

use bellwether_engine::signal::TenantName;

use super::secrets::{Digest, kept_basic, kept_bearer, sha256};
use super::{Auth, Checked, Known, Owner, Right, Rights, Shown};

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Whose incidents it sees; `None` for who runs the service and sees every tenant's.
    pub tenant: Option<TenantName>,
    /// Whether it may acknowledge, resolve, correct and silence.
    pub may_act: bool,
    /// Which credential it is, without saying anything about it.
    pub mark: [u8; 32],
    /// What the configuration calls it.
    pub name: Option<Arc<str>>,
}

/// The mark of who needs no credential.
const ANONYMOUS: [u8; 32] = [0; 32];

impl Visitor {
    /// Whether it needed no credential.
    pub fn is_anonymous(&self) -> bool {
        self.mark == ANONYMOUS
    }
}

fn mark_of(digest: &Digest) -> [u8; 32] {
    sha256(&[b"visitor\0", digest])
}

impl Auth {
    /// Who shows this bearer token.
    pub fn visitor_of_token(&self, token: &str) -> Option<Visitor> {
        self.current().visitor_of(&kept_bearer(&sha256(&[token.as_bytes()])))
    }

    /// Who shows this user and password.
    pub fn visitor_of_password(&self, user: &str, password: &str) -> Option<Visitor> {
        self.current().visitor_of(&kept_basic(user.as_bytes(), &sha256(&[password.as_bytes()])))
    }

    /// Who has shown the credential of this mark before; `None` once it is not in force any more.
    pub fn visitor_again(&self, mark: &[u8; 32]) -> Option<Visitor> {
        let checked = self.current();
        if *mark == ANONYMOUS {
            return checked.anonymous_visitor();
        }
        let known = checked.known.iter().find(|known| mark_of(&known.digest) == *mark)?;
        Some(checked.visitor(known))
    }

    /// Who needs no credential, if anybody; only for requests from this machine.
    pub fn visitor_without(&self) -> Option<Visitor> {
        self.current().anonymous_visitor()
    }

    /// Who shows what stands beside a request; a certificate stands for a tenant alone here.
    pub(crate) fn visitor_shown(&self, shown: Shown<'_>) -> Option<Visitor> {
        let checked = self.current();
        if let Some(digest) = checked.digest_of_token(shown.headers) {
            let visitor = checked.visitor_of(&digest)?;
            let vouched = shown.certificate.and_then(|certificate| checked.owner_of_certificate(certificate));
            let same = vouched.is_none_or(|owner| checked.tenant_of(owner) == visitor.tenant);
            return same.then_some(visitor);
        }
        let certificate = shown.certificate?;
        let owner = checked.owner_of_certificate(certificate)?;
        let mark = sha256(&[b"visitor certificate\0", certificate.as_ref()]);
        Some(Visitor { tenant: checked.tenant_of(owner), may_act: may_act(owner), mark, name: None })
    }
}

/// Who runs the service may do what a tenant may.
fn may_act(owner: Owner) -> bool {
    match owner {
        Owner::Tenant(_, may, _) => may.include(Right::Act),
        Owner::Operator => true,
    }
}

impl Checked {
    fn visitor_of(&self, digest: &Digest) -> Option<Visitor> {
        Some(self.visitor(self.known_of_digest(digest)?))
    }

    fn visitor(&self, known: &Known) -> Visitor {
        let tenant = self.tenant_of(known.owner);
        Visitor { tenant, may_act: may_act(known.owner), mark: mark_of(&known.digest), name: known.name.clone() }
    }

    fn tenant_of(&self, owner: Owner) -> Option<TenantName> {
        match owner {
            Owner::Tenant(at, ..) => Some(self.tenants[at].clone()),
            Owner::Operator => None,
        }
    }

    fn anonymous_visitor(&self) -> Option<Visitor> {
        let tenant = self.tenants[self.anonymous?].clone();
        let may_act = Rights::ALL.include(Right::Act);
        Some(Visitor { tenant: Some(tenant), may_act, mark: ANONYMOUS, name: None })
    }
}
