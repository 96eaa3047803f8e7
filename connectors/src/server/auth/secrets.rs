//! From what a configuration says to what is kept and compared: digests, names of certificates,
//! ranges of addresses. No secret is kept as it was written.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ipnet::IpNet;
use rustls::pki_types::ServerName;

use super::config::{AuthError, Credential};

/// A SHA-256 digest.
pub(super) type Digest = [u8; 32];

/// Others than the owner and the group may read a file.
const READ_BY_ALL: u32 = 0o004;
/// They may write it.
const WRITTEN_BY_ALL: u32 = 0o002;

/// What a client certificate is known by.
pub(super) enum CertificateMark {
    Digest(Digest),
    Name(ServerName<'static>),
}

/// What a credential turned out to be: its digest as kept, or a certificate.
pub(super) enum Secret {
    Digest(Digest),
    Certificate(CertificateMark),
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
pub(super) fn kept_bearer(token: &Digest) -> Digest {
    sha256(&[b"bearer\0", token])
}

/// What is kept of a user and password.
pub(super) fn kept_basic(user: &[u8], password: &Digest) -> Digest {
    sha256(&[b"basic\0", user, b"\0", password])
}

pub(super) fn secret_of(credential: &Credential, index: usize, whose: String) -> Result<Secret, AuthError> {
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

/// The content of a secret file without its last line end. Who may write it says who is let in, so that may not be
/// everybody; who may read it is said in a warning: some platforms hand secrets over that way.
pub(crate) fn read_secret(path: &Path) -> Result<String, AuthError> {
    let unread = |reason: String| AuthError::File { path: path.display().to_string(), reason };
    let mode = fs::metadata(path).map_err(|error| unread(error.to_string()))?.permissions().mode();
    if mode & WRITTEN_BY_ALL != 0 {
        return Err(unread("everybody may write it; `chmod o-w` it, and write the secret anew".to_owned()));
    }
    if mode & READ_BY_ALL != 0 {
        tracing::warn!(file = %path.display(), "everybody on this host may read the secret; `chmod o-r` it");
    }
    let text = fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
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

/// A network, `10.1.0.0/16`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, AuthError> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| one()).map_err(|_| AuthError::Network(text.to_owned()))
}
