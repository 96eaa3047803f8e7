//! Who is calling: the handshake of Fluent Forward with a shared key.
//!
//! HELO with a nonce, PING with a digest over it, PONG with one back, so that both sides show
//! they know the key and neither sends it. The key stands for a tenant. Users and passwords
//! beside it are not asked for. Reference: Fluentd forward protocol specification, version 1.

use bellwether_engine::signal::TenantName;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::msgpack::{Token, token};

/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 16;

/// The name we call ourselves by.
const HOSTNAME: &str = "bellwether";

/// A key, and whose it is.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) tenant: TenantName,
    pub(super) secret: String,
}

/// A fresh nonce; `None` when the system has no randomness.
pub(super) fn nonce() -> Option<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut nonce).ok()?;
    Some(nonce)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend([0xda, (text.len() >> 8) as u8, text.len() as u8]);
    out.extend_from_slice(text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend([0xc4, bytes.len() as u8]);
    out.extend_from_slice(bytes);
}

/// `["HELO", {"nonce": …, "auth": "", "keepalive": true}]`
pub(super) fn helo(nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
    let mut out = vec![0x92];
    text(&mut out, "HELO");
    out.push(0x83);
    text(&mut out, "nonce");
    bytes(&mut out, nonce);
    text(&mut out, "auth");
    bytes(&mut out, b"");
    text(&mut out, "keepalive");
    out.push(0xc3);
    out
}

fn digest(parts: [&[u8]; 4]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA512);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a PING says: `["PING", hostname, salt, digest, user, password]`.
struct Ping<'a> {
    hostname: &'a [u8],
    salt: &'a [u8],
    digest: &'a [u8],
}

fn ping(mut message: &[u8]) -> Option<Ping<'_>> {
    let Ok(Token::List(4..=6)) = token(&mut message) else { return None };
    let mut next = || match token(&mut message) {
        Ok(Token::Text(text) | Token::Bytes(text)) => Some(text),
        _ => None,
    };
    if next()? != b"PING" {
        return None;
    }
    Some(Ping { hostname: next()?, salt: next()?, digest: next()? })
}

/// The tenant of whoever sent `message`, and the PONG to answer. Every key is tried.
pub(super) fn answer<'k>(
    message: &[u8],
    nonce: &[u8; NONCE_BYTES],
    keys: &'k [Key],
) -> (Option<&'k TenantName>, Vec<u8>) {
    let found = ping(message).and_then(|ping| {
        let shown = |key: &&Key| {
            let own = digest([ping.salt, ping.hostname, nonce, key.secret.as_bytes()]);
            bool::from(own.as_bytes().ct_eq(ping.digest))
        };
        let key = keys.iter().filter(shown).fold(None, |first: Option<&Key>, key| first.or(Some(key)))?;
        Some((key, digest([ping.salt, HOSTNAME.as_bytes(), nonce, key.secret.as_bytes()])))
    });
    let mut out = vec![0x95];
    text(&mut out, "PONG");
    out.push(if found.is_some() { 0xc3 } else { 0xc2 });
    text(&mut out, if found.is_some() { "" } else { "shared key mismatch" });
    text(&mut out, if found.is_some() { HOSTNAME } else { "" });
    text(&mut out, found.as_ref().map_or("", |(_, digest)| digest));
    (found.map(|(key, _)| &key.tenant), out)
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A PING of somebody who knows `secret`.
    pub(in crate::wires::forward) fn ping_with(secret: &str, nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
        let (hostname, salt) = ("web-1", "salt");
        let mut out = vec![0x96];
        let shown = digest([salt.as_bytes(), hostname.as_bytes(), nonce, secret.as_bytes()]);
        for part in ["PING", hostname, salt, &shown, "", ""] {
            text(&mut out, part);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_the_key_is_its_tenant_and_is_shown_that_we_know_it() {
        let key = |tenant: &str, secret: &str| Key {
            tenant: TenantName::new(tenant).expect("a name"),
            secret: secret.to_owned(),
        };
        let keys = [key("acme", "one"), key("umbrella", "two")];
        let nonce = nonce().expect("the system is random");
        assert_ne!(Some(nonce), super::nonce());
        let (tenant, pong) = answer(&testing::ping_with("two", &nonce), &nonce, &keys);
        assert_eq!(tenant.map(|tenant| &**tenant), Some("umbrella"));
        let shown = digest([b"salt", HOSTNAME.as_bytes(), &nonce, b"two"]);
        assert!(pong.ends_with(shown.as_bytes()));
        for (secret, other) in [("three", nonce), ("two", [0; NONCE_BYTES])] {
            let (tenant, pong) = answer(&testing::ping_with(secret, &other), &nonce, &keys);
            assert_eq!(tenant, None);
            assert!(!pong.ends_with(shown.as_bytes()) && pong.contains(&0xc2));
        }
        assert_eq!(answer(b"\x91\xa4PING", &nonce, &keys).0, None);
    }
}
