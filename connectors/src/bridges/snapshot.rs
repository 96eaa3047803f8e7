//! What others did, where a system shows no history: how a ticket is now, by who was there last, and what was written
//! under it. Of two changes between two looks the last is seen.

use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use xxhash_rust::xxh3::xxh3_64;

use super::system::{Change, Changed, Fields, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT};

/// Bytes of a comment that are read.
const COMMENT_BYTES_MAX: usize = 16 << 10;
/// What people change of a ticket that matters here.
const WATCHED: [&str; 5] = [STATUS, OWNER, PRIORITY, QUEUE, SUBJECT];

/// How `ticket` is since `at`, where `who` was there last: nobody in particular, when that was ourselves.
pub(super) fn now(ticket: &str, at: EventTime, who: &str, fields: Fields) -> Change {
    let now: Fields = fields.into_iter().filter(|(name, _)| WATCHED.contains(&name.as_str())).collect();
    let id = xxh3_64(format!("{ticket} {now:?}").as_bytes());
    Change { id, ticket: ticket.to_owned(), at, who: who.to_owned(), what: Changed::Now(now) }
}

/// That `who` wrote `text` under `ticket`, which the system knows as `comment`.
pub(super) fn said(ticket: &str, comment: &str, at: EventTime, who: &str, text: &str) -> Change {
    let id = xxh3_64(format!("message {comment}").as_bytes());
    let what = Changed::Comment(cut_to(text.trim(), COMMENT_BYTES_MAX).to_owned());
    Change { id, ticket: ticket.to_owned(), at, who: who.to_owned(), what }
}
