//! What is posted twice is done once: `Idempotency-Key`, as the IETF drafts it.
//!
//! The key of a post is claimed before anything is done, and travels with its entries: the journal keeps both or neither,
//! so that a program that missed an answer asks again after a restart, too, and for a day
//! (`bellwether_connectors::journal::receipts`). A key is of one credential and one address.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwether_connectors::journal::receipts::{Claim, Claims};
use bellwether_connectors::server::http::Visit;
use xxhash_rust::xxh3::Xxh3;

use crate::page::posts::fresh_id;
use crate::page::who::Who;

/// The head of a request that names it.
const HEADER: &str = "idempotency-key";
/// Longest key.
const KEY_BYTES_MAX: usize = 255;
/// Bytes of an id that is made of a key.
const ID_BYTES: usize = 12;

/// A post, as far as it may be one that came before.
pub(super) enum Post {
    /// The first: what is claimed goes into the journal with what it does, which bears this id.
    First(Claims, String),
    /// It was done, under this id.
    Again(String),
}

/// A post whose key does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PostError {
    /// It is none.
    #[error("`Idempotency-Key` has 1 to {} bytes: a new random one for each thing to do", KEY_BYTES_MAX)]
    NoKey,
    /// It stands for something else.
    #[error("this `Idempotency-Key` was sent with another body: take a new one")]
    Used,
    /// The first is being written.
    #[error("the first request with this key is not done: ask again")]
    AtWork,
}

/// Which a post is.
///
/// # Errors
/// When the key is none, is used for something else, or the first is still at work.
pub(super) fn post(visit: &Visit<'_>, who: &Who, tenant: &Arc<str>) -> Result<Post, PostError> {
    let claims = visit.intake.claims(tenant);
    let Some(key) = visit.headers.get(HEADER) else { return Ok(Post::First(claims, fresh_id())) };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(PostError::NoKey);
    }
    let shown = visit.shown.as_ref().map(|visitor| visitor.mark);
    let mark = shown.or_else(|| who.session.as_ref().map(|session| session.mark)).unwrap_or_default();
    let path = visit.path.as_bytes();
    let (known, whole) = (hash(&[&mark, path, key]), hash(&[&mark, path, key, &visit.body]));
    let id = format!("page-{}", URL_SAFE_NO_PAD.encode(&known.to_be_bytes()[..ID_BYTES]));
    match (claims.take(known), claims.take(whole)) {
        (Claim::Ours, _) => Ok(Post::First(claims, id)),
        (Claim::Taken, Claim::Taken) => Ok(Post::Again(id)),
        (Claim::Taken, Claim::Ours) => Err(PostError::Used),
        (Claim::Busy, _) | (_, Claim::Busy) => Err(PostError::AtWork),
    }
}

/// Each part with its length: no two lists of parts are the same bytes.
fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(b"page");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest128()
}
