//! Labels: small sorted maps of text to text, in Arrow and out of it.

use arrow::array::{Array, MapArray, MapBuilder, StringArray, StringBuilder};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX};

/// Borrowed label pairs, as builders take them.
pub type LabelPairs<'a> = &'a [(&'a str, &'a str)];

/// The labels of one row of a map column, read in place.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    keys: &'a StringArray,
    values: &'a StringArray,
    start: usize,
    end: usize,
}

impl<'a> Labels<'a> {
    /// The labels of row `row` of `map`. The column type is checked when a batch is made.
    pub(super) fn of(map: &'a MapArray, row: usize) -> Labels<'a> {
        let keys = map.keys().as_any().downcast_ref::<StringArray>();
        let values = map.values().as_any().downcast_ref::<StringArray>();
        let offsets = map.value_offsets();
        Labels {
            keys: keys.expect("batch checked the key type"),
            values: values.expect("batch checked the value type"),
            start: offsets[row] as usize,
            end: offsets[row + 1] as usize,
        }
    }

    /// The pairs in stored order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        (self.start..self.end)
            .filter(move |i| !self.values.is_null(*i))
            .map(move |i| (self.keys.value(i), self.values.value(i)))
    }

    /// The value of `name`, when present.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    /// Whether there are no more, and none longer, than there may be.
    pub(super) fn fit(self) -> bool {
        self.len() <= LABELS_MAX
            && self
                .iter()
                .all(|(name, value)| name.len() <= LABEL_NAME_BYTES_MAX && value.len() <= LABEL_VALUE_BYTES_MAX)
    }

    /// About how many bytes they take.
    pub(super) fn bytes(self) -> usize {
        let texts: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        4 + texts + 8 * self.len()
    }

    /// How many pairs.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// True when there is none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Sorts label pairs by name and keeps the last of equal names, the form in which labels
/// identify a series or an alert.
pub fn sorted_labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut sorted: Vec<(&str, &str)> = pairs.into_iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted.reverse();
    sorted.dedup_by_key(|(name, _)| *name);
    sorted.reverse();
    sorted
}

/// Identities up to this long are hashed in one go, which for short ones costs a third.
const IDENTITY_BYTES_SHORT: usize = 512;

/// A stable 64-bit hash (XXH3) of what identifies a row: `names`, then sorted labels. 0xff, which no
/// UTF-8 text holds, ends each part.
pub(crate) fn identity_hash(names: &[&str], sorted_labels: LabelPairs<'_>) -> u64 {
    let labels = sorted_labels.iter().flat_map(|(key, value)| [*key, *value]);
    let parts = names.iter().copied().chain(labels);
    let mut short = [0; IDENTITY_BYTES_SHORT];
    let mut length = 0;
    for text in parts.clone() {
        let end = length + text.len();
        if end >= IDENTITY_BYTES_SHORT {
            return long_identity_hash(parts);
        }
        short[length..end].copy_from_slice(text.as_bytes());
        short[end] = 0xff;
        length = end + 1;
    }
    xxh3_64(&short[..length])
}

/// The same of parts of any length.
fn long_identity_hash<'a>(parts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = Xxh3::new();
    for text in parts {
        hasher.update(text.as_bytes());
        hasher.update(&[0xff]);
    }
    hasher.digest()
}

pub(super) type LabelBuilder = MapBuilder<StringBuilder, StringBuilder>;

pub(super) fn label_builder() -> LabelBuilder {
    MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
}

/// Appends one row of labels, cut to the limits; answers whether a name or a value was too long. Labels
/// beyond their number are the wires' to tell of.
pub(super) fn append_labels(builder: &mut LabelBuilder, pairs: LabelPairs<'_>) -> bool {
    let mut cut = false;
    for (name, value) in pairs.iter().take(LABELS_MAX) {
        let (short_name, short_value) = (cut_to(name, LABEL_NAME_BYTES_MAX), cut_to(value, LABEL_VALUE_BYTES_MAX));
        cut |= short_name.len() < name.len() || short_value.len() < value.len();
        builder.keys().append_value(short_name);
        builder.values().append_value(short_value);
    }
    builder.append(true).expect("keys and values grow together");
    cut
}

/// The longest prefix of `text` of at most `bytes_max` bytes that ends between characters.
pub fn cut_to(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_names_wins() {
        let sorted = sorted_labels([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(sorted, vec![("a", "2"), ("b", "3")]);
    }

    #[test]
    fn an_identity_has_one_hash_however_long_it_is() {
        for length in [0, 1, 20, 240, 507, 508, 509, 510, 511, 512, 513, 2_000] {
            let text = "x".repeat(length);
            let parts = ["n", text.as_str(), "", "v"];
            assert_eq!(identity_hash(&["n", &text], &[("", "v")]), long_identity_hash(parts.into_iter()), "{length}");
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut_to("aä", 2), "a");
        assert_eq!(cut_to("aä", 3), "aä");
    }
}
