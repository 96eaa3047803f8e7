//! Who a browser is: a signed cookie that names a credential, and the token that its forms carry.
//!
//! Nothing is kept here of who is signed in. A cookie holds the mark of the credential, what its user is called and when
//! it was given, under a key that lies in the state folder, so that a restart signs nobody out; taking the credential out
//! of the configuration does. What was signed out is remembered for as long as its cookie would be good.
//!
//! A form carries a token over a random number and the cookie: another site can make a browser send the cookie
//! (`SameSite=Strict` keeps most of that away), and cannot know the token. It differs each time, so that a
//! compressed answer does not tell it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwether_connectors::host;
use bellwether_engine::time::{EventTime, Span};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// The name of the cookie.
pub(crate) const COOKIE: &str = "bellwether_session";
/// The file with the key in the state folder.
const KEY_FILE: &str = "page-key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;
/// Cookies that were signed out and remembered; beyond, the oldest is forgotten.
const SIGNED_OUT_MAX: usize = 10_000;
/// Longest cookie that is looked at.
const COOKIE_BYTES_MAX: usize = 1_024;

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Which credential was shown.
    pub(crate) mark: [u8; 32],
    /// What who showed it is called.
    pub(crate) name: String,
    /// When.
    since: i64,
    nonce: [u8; NONCE_BYTES],
}

/// Gives cookies and tokens, and knows its own.
pub(crate) struct Sessions {
    key: hmac::Key,
    random: SystemRandom,
    lasts: Span,
    signed_out: Mutex<BTreeMap<(i64, [u8; NONCE_BYTES]), ()>>,
}

impl Sessions {
    /// With the key in the state folder; one is made where there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn open(state: &Path, lasts: Span) -> io::Result<Sessions> {
        let (disk, path) = (host::disk(), state.join(KEY_FILE));
        let key = match host::read(&*disk, &path) {
            Ok(key) if key.len() == KEY_BYTES => key,
            Ok(_) => fresh_key(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh_key(&path)?,
            Err(error) => return Err(error),
        };
        Ok(Sessions::with_key(&key, lasts))
    }

    /// With a key that ends with the process.
    pub(crate) fn of_this_process(lasts: Span) -> Sessions {
        Sessions::with_key(&random::<KEY_BYTES>(&SystemRandom::new()), lasts)
    }

    fn with_key(key: &[u8], lasts: Span) -> Sessions {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Sessions { key, random: SystemRandom::new(), lasts, signed_out: Mutex::default() }
    }

    /// How long a cookie is good.
    pub(crate) fn lasts(&self) -> Span {
        self.lasts
    }

    /// A cookie for who has shown the credential of `mark`.
    pub(crate) fn begin(&self, mark: [u8; 32], name: &str, now: EventTime) -> String {
        let session = Session { mark, name: name.to_owned(), since: now.0, nonce: random(&self.random) };
        let body = postcard::to_stdvec(&session).expect("a session is plain data");
        let sign = self.sign(b"session", &[&body]);
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(sign))
    }

    /// What a cookie says; `None` when it is none of ours, too old, or was signed out.
    pub(crate) fn read(&self, cookie: &str, now: EventTime) -> Option<Session> {
        let (body, sign) = cookie.split_once('.').filter(|_| cookie.len() <= COOKIE_BYTES_MAX)?;
        let (body, sign) = (URL_SAFE_NO_PAD.decode(body).ok()?, URL_SAFE_NO_PAD.decode(sign).ok()?);
        self.verify(b"session", &[&body], &sign).then_some(())?;
        let session: Session = postcard::from_bytes(&body).ok()?;
        let age = now.since(EventTime(session.since));
        let good = age >= Span(-Span::from_mins(5).0) && age < self.lasts;
        let signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        let over = signed_out.contains_key(&(session.since, session.nonce));
        (good && !over).then_some(session)
    }

    /// A cookie is good no more.
    pub(crate) fn end(&self, session: &Session) {
        let mut signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        signed_out.insert((session.since, session.nonce), ());
        while signed_out.len() > SIGNED_OUT_MAX {
            signed_out.pop_first();
        }
    }

    /// A token for a form of who has `cookie`.
    pub(crate) fn token(&self, cookie: &str) -> String {
        let nonce: [u8; NONCE_BYTES] = random(&self.random);
        let mut token = nonce.to_vec();
        token.extend_from_slice(self.sign(b"form", &[&nonce, cookie.as_bytes()]).as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether a form's token was given to who has `cookie`.
    pub(crate) fn gave(&self, cookie: &str, token: &str) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((nonce, sign)) = token.split_at_checked(NONCE_BYTES) else { return false };
        self.verify(b"form", &[nonce, cookie.as_bytes()], sign)
    }

    fn sign(&self, what: &[u8], parts: &[&[u8]]) -> hmac::Tag {
        hmac::sign(&self.key, &framed(what, parts))
    }

    fn verify(&self, what: &[u8], parts: &[&[u8]], sign: &[u8]) -> bool {
        hmac::verify(&self.key, &framed(what, parts), sign).is_ok()
    }
}

/// Each part with its length: no two lists of parts are the same bytes.
fn framed(what: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(&what).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn random<const N: usize>(random: &SystemRandom) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn fresh_key(path: &Path) -> io::Result<Vec<u8>> {
    let key = random::<KEY_BYTES>(&SystemRandom::new()).to_vec();
    host::replace(&*host::disk(), path, &[&key])?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> EventTime {
        EventTime::from_secs(1_800_000_000 + secs)
    }

    #[test]
    fn a_cookie_is_good_for_its_time_over_a_restart_and_not_when_it_was_changed() {
        let state = tempfile::tempdir().expect("a folder");
        let sessions = Sessions::open(state.path(), Span::from_secs(100)).expect("opens");
        let cookie = sessions.begin([7; 32], "Ana Ω", at(0));
        let again = Sessions::open(state.path(), Span::from_secs(100)).expect("opens");
        let session = again.read(&cookie, at(99)).expect("it is good");
        assert_eq!((session.mark, session.name.as_str()), ([7; 32], "Ana Ω"));
        assert_eq!(again.read(&cookie, at(100)), None, "its time is over");
        for place in 0..cookie.len() {
            let mut other = cookie.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert!(again.read(&other, at(1)).is_none() || other == cookie, "changed at {place}");
        }
        again.end(&session);
        assert_eq!(again.read(&cookie, at(1)), None, "it was signed out");
        let elsewhere = Sessions::of_this_process(Span::from_secs(100));
        assert_eq!(elsewhere.read(&cookie, at(1)), None, "another key");
    }

    #[test]
    fn a_token_is_of_one_cookie_and_never_the_same() {
        let sessions = Sessions::of_this_process(Span::from_secs(100));
        let (token, other) = (sessions.token("a"), sessions.token("a"));
        assert!(sessions.gave("a", &token) && sessions.gave("a", &other) && token != other);
        assert!(!sessions.gave("b", &token) && !sessions.gave("a", "") && !sessions.gave("a", "AAAA"));
    }
}
