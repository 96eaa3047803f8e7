//! How long the texts of a signal may be, and what becomes of longer ones.
//!
//! | text | longest | a longer one |
//! |---|---|---|
//! | a name: of an alert, a metric, a source, a change | [`NAME_BYTES_MAX`] | is cut, and ends in the hash of the whole |
//! | an entity | [`ENTITY_BYTES_MAX`] | the same |
//! | a label's name | [`LABEL_NAME_BYTES_MAX`](super::LABEL_NAME_BYTES_MAX) | is cut |
//! | a label's or annotation's value, a text | [`LABEL_VALUE_BYTES_MAX`](super::LABEL_VALUE_BYTES_MAX) | is cut |
//! | a link | [`URL_BYTES_MAX`] | is left out: half a link leads nowhere |
//! | a log line | `LOG_BODY_BYTES_MAX` | is cut |
//!
//! The builders do it, so that every connector does, and count the rows it happened to
//! ([`Batch::shortened`](super::Batch::shortened)). What another program has put together itself is refused by
//! the engine where it is longer.

use std::borrow::Cow;

use arrow::array::StringBuilder;
use xxhash_rust::xxh3::xxh3_64;

use super::{LABEL_VALUE_BYTES_MAX, cut_to};

/// Longest name of an alert, a metric, a source or a change, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest entity in bytes: a DNS name has 253, a Kubernetes name with its namespace 317.
pub const ENTITY_BYTES_MAX: usize = 512;
/// Longest link in bytes. Links of Prometheus hold the whole expression.
pub const URL_BYTES_MAX: usize = 4_096;

/// Bytes of the hash that a cut name ends in: `~` and 16 digits.
const HASH_BYTES: usize = 17;

/// `text` within `bytes_max`. A longer one ends in the hash of the whole: two names stay two.
fn within(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}~{:016x}", cut_to(text, bytes_max - HASH_BYTES), xxh3_64(text.as_bytes())))
}

/// The one name of an entity, however long a sender calls it.
pub fn entity_within(text: &str) -> Cow<'_, str> {
    within(text, ENTITY_BYTES_MAX)
}

pub(super) fn name_fits(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
}

pub(super) fn entity_fits(entity: &str) -> bool {
    entity.len() <= ENTITY_BYTES_MAX
}

pub(super) fn text_fits(text: &str) -> bool {
    text.len() <= LABEL_VALUE_BYTES_MAX
}

pub(super) fn url_fits(url: Option<&str>) -> bool {
    url.is_none_or(|url| url.len() <= URL_BYTES_MAX)
}

/// Appends a name; answers whether it was cut.
pub(super) fn append_name(column: &mut StringBuilder, text: &str) -> bool {
    column.append_value(within(text, NAME_BYTES_MAX));
    !name_fits(text)
}

/// Appends an entity; answers whether it was cut.
pub(super) fn append_entity(column: &mut StringBuilder, text: &str) -> bool {
    column.append_value(entity_within(text));
    !entity_fits(text)
}

/// Appends words for people; answers whether they were cut.
pub(super) fn append_text(column: &mut StringBuilder, text: Option<&str>) -> bool {
    column.append_option(text.map(|text| cut_to(text, LABEL_VALUE_BYTES_MAX)));
    !text.is_none_or(text_fits)
}

/// Appends a link; answers whether it was too long to be kept.
pub(super) fn append_url(column: &mut StringBuilder, url: Option<&str>) -> bool {
    column.append_option(url.filter(|url| url_fits(Some(url))));
    !url_fits(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_two_stay_two() {
        let long = "ä".repeat(NAME_BYTES_MAX);
        let (one, other) = (within(&long, NAME_BYTES_MAX), format!("{long}x"));
        let other = within(&other, NAME_BYTES_MAX);
        assert!(one.len() <= NAME_BYTES_MAX && other.len() <= NAME_BYTES_MAX, "{} {}", one.len(), other.len());
        assert_ne!(one, other);
        assert_eq!(one, within(&long, NAME_BYTES_MAX));
        let fits = "n".repeat(NAME_BYTES_MAX);
        assert_eq!(within(&fits, NAME_BYTES_MAX), fits);
    }
}
