//! A tenant's name that has been checked once, where it was read.
//!
//! The name becomes a token of a subject and a part of file names. Who holds a [`TenantName`]
//! need not check it again, and batches of it cannot fail for their name.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use super::SignalError;

/// Longest tenant name: NATS subjects and file names hold it.
pub const TENANT_BYTES_MAX: usize = 64;

/// A tenant's name, made of letters, digits, `_`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// `name`, checked.
    ///
    /// # Errors
    /// [`SignalError::Tenant`] for what cannot be a name.
    pub fn new(name: &str) -> Result<TenantName, SignalError> {
        check_tenant(name)?;
        Ok(TenantName(name.into()))
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl Deref for TenantName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TenantName {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl FromStr for TenantName {
    type Err = SignalError;

    fn from_str(name: &str) -> Result<TenantName, SignalError> {
        TenantName::new(name)
    }
}

/// Accepts a tenant name made of letters, digits, `_`, `-` and `.`.
///
/// # Errors
/// [`SignalError::Tenant`] otherwise: the name becomes a subject token and a file name.
pub fn check_tenant(tenant: &str) -> Result<(), SignalError> {
    let fits = !tenant.is_empty() && tenant.len() <= TENANT_BYTES_MAX;
    let plain = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if fits && plain { Ok(()) } else { Err(SignalError::Tenant(tenant.chars().take(80).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_subject_token_and_a_file_name() {
        assert_eq!(check_tenant("acme-eu.1"), Ok(()));
        assert_eq!(TenantName::new("acme-eu.1").as_deref(), Ok("acme-eu.1"));
        for bad in ["", "a b", "a>b", "a*", "ä", &"x".repeat(65)] {
            assert!(check_tenant(bad).is_err(), "{bad}");
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
        }
    }
}
