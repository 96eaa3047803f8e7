//! Text evidence: TF-IDF over the words of an alert's name, template and
//! entities.
//!
//! Words are hashed to 32 bits, so there is no dictionary to bound; the table
//! of document frequencies is bounded and forgets its rarest words first
//! (unseen and rarest words weigh the same, so forgetting them costs least).

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Words of one text beyond this are ignored: a name plus one template line.
const TOKENS_MAX: usize = 32;

/// Texts that a name must outlive to be called common.
const COMMON_AFTER: f64 = 16.0;

/// Distinct words counted; a 10,000-entity estate has some 30,000.
const VOCABULARY_MAX: usize = 65_536;

/// Splits at everything but letters and digits, lower-cases, drops words
/// without a letter and single letters, hashes the rest; sorted, each once, at
/// most 32. `out` is cleared first.
pub fn tokenize(text: &str, out: &mut Vec<u32>) {
    out.clear();
    add_tokens(text, out);
}

/// [`tokenize`] for several texts of one alert.
pub(crate) fn add_tokens(text: &str, out: &mut Vec<u32>) {
    let mut word: Vec<u8> = Vec::with_capacity(24);
    for byte in text.bytes().chain(std::iter::once(b' ')) {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            word.push(byte.to_ascii_lowercase());
            continue;
        }
        if word.len() > 1 && word.iter().any(|byte| !byte.is_ascii_digit()) {
            out.push(xxhash_rust::xxh3::xxh3_64(&word) as u32);
        }
        word.clear();
    }
    out.sort_unstable();
    out.dedup();
    out.truncate(TOKENS_MAX);
}

/// The words of one alert with their weights, of unit length as a vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightedTokens(Box<[(u32, f32)]>);

impl WeightedTokens {
    /// Cosine of two alerts' words, 0..1; 0 when either has none.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f64 {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut sum = 0.0_f64;
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            if a.0 == b.0 {
                sum += f64::from(a.1) * f64::from(b.1);
                left.next();
                right.next();
            } else if a.0 < b.0 {
                left.next();
            } else {
                right.next();
            }
        }
        sum.min(1.0)
    }
}

/// Document frequencies of words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "SavedText", into = "SavedText")]
pub struct TextModel {
    documents: u32,
    frequency: HashMap<u32, u32, foldhash::fast::FixedState>,
    forgotten: u64,
}

impl TextModel {
    /// Counts one alert's words (as [`tokenize`] gives them) and the names in its text.
    pub fn observe(&mut self, tokens: &[u32], names: &[u32]) {
        self.documents = self.documents.saturating_add(1);
        for &token in tokens.iter().chain(names) {
            let count = self.frequency.entry(token).or_insert(0);
            *count = count.saturating_add(1);
        }
        if self.frequency.len() > VOCABULARY_MAX {
            self.forget_rarest();
        }
    }

    /// Weights of one alert's words: inverse document frequency, unit length.
    #[must_use]
    pub fn weigh(&self, tokens: &[u32]) -> WeightedTokens {
        let documents = f64::from(self.documents) + 1.0;
        let idf = |token: &u32| {
            let seen = f64::from(self.frequency.get(token).copied().unwrap_or(0)) + 1.0;
            (documents / seen).ln().max(0.0) + 1.0
        };
        let length = tokens.iter().map(|token| idf(token).powi(2)).sum::<f64>().sqrt();
        WeightedTokens(tokens.iter().map(|token| (*token, (idf(token) / length) as f32)).collect())
    }

    /// How rare a name is in texts: 1 for one that was never seen, 0 for one that every text holds.
    /// A handful of texts proves no name common.
    #[must_use]
    pub fn rarity(&self, name: u32) -> f64 {
        let seen = f64::from(self.frequency.get(&name).copied().unwrap_or(0));
        1.0 - seen / (f64::from(self.documents) + COMMON_AFTER).max(seen)
    }

    /// Words dropped because the table was full.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Halves every count and drops what reaches zero, until there is room.
    fn forget_rarest(&mut self) {
        while self.frequency.len() > VOCABULARY_MAX / 2 {
            let before = self.frequency.len();
            self.frequency.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
            self.documents /= 2;
            self.forgotten += (before - self.frequency.len()) as u64;
        }
    }
}

/// The stable form of a [`TextModel`]: words in order.
#[derive(Serialize, Deserialize)]
struct SavedText {
    documents: u32,
    frequency: Vec<(u32, u32)>,
    forgotten: u64,
}

impl From<TextModel> for SavedText {
    fn from(model: TextModel) -> Self {
        let mut frequency: Vec<(u32, u32)> = model.frequency.into_iter().collect();
        frequency.sort_unstable();
        Self { documents: model.documents, frequency, forgotten: model.forgotten }
    }
}

impl From<SavedText> for TextModel {
    fn from(saved: SavedText) -> Self {
        let frequency = saved.frequency.into_iter().collect();
        Self { documents: saved.documents, frequency, forgotten: saved.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        tokenize(text, &mut out);
        out
    }

    #[test]
    fn case_numbers_and_punctuation_do_not_matter() {
        assert_eq!(words("Disk FULL on db-1"), words("disk full: on DB"));
        assert!(words("17 4 !").is_empty());
        assert_eq!(words(&"word ".repeat(100)).len(), 1);
    }

    #[test]
    fn a_rare_common_word_says_more_than_a_frequent_one() {
        let mut model = TextModel::default();
        for index in 0..50 {
            model.observe(&words(&format!("service latency high case{index}x")), &[]);
        }
        let cosine = |a: &str, b: &str| model.weigh(&words(a)).cosine(&model.weigh(&words(b)));
        let rare = cosine("service checkout", "latency checkout");
        let frequent = cosine("service checkout", "service payment");
        assert!(rare > frequent, "{rare} {frequent}");
        assert!((cosine("service checkout", "checkout service") - 1.0).abs() < 1e-6);
        assert_eq!(cosine("service", ""), 0.0);
    }

    #[test]
    fn a_name_that_every_text_holds_says_nothing_and_a_few_texts_prove_nothing() {
        let mut model = TextModel::default();
        (0..4).for_each(|_| model.observe(&[], &[7]));
        assert!(model.rarity(7) > 0.75 && model.rarity(8) == 1.0);
        (0..1_000).for_each(|_| model.observe(&[], &[7]));
        model.observe(&[], &[8]);
        assert!(model.rarity(7) < 0.02 && model.rarity(8) > 0.99);
    }

    #[test]
    fn the_vocabulary_is_bounded_and_counts_what_it_forgets() {
        let mut model = TextModel::default();
        for token in 0..(VOCABULARY_MAX as u32 + 10) {
            model.observe(&[token, u32::MAX], &[]);
        }
        assert!(model.frequency.len() <= VOCABULARY_MAX && model.forgotten() > 0);
        assert!(model.frequency.contains_key(&u32::MAX), "the frequent word stays");
    }
}
