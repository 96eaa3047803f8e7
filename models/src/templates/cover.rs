//! Which template says all that another says: as many words, each the same or behind a parameter.
//!
//! What is a value is known by its looks at once, or learned from a handful of them; a place where both
//! are met has two templates, `killed <*> (<*>)` and `killed <*> (ld.so.<*>)`. They are one as soon as they stand
//! beside each other, however many lines the one has. Words are what blanks part: the punctuation within
//! may differ where a parameter covers it.

use std::collections::{BTreeMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::template::PARAM;

/// Constant words that two templates must share, and the least share of all their words: below, the
/// parameters say more than the words do, and unlike lines would meet.
const SHARED_MIN: usize = 2;
const SHARED_PART: usize = 3;

/// Templates of one length that a new one is held against: the oldest, for what has a thousand like it is no text.
const COMPARED_MAX: usize = 1_024;

/// Roots by how many words they have, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lengths(BTreeMap<usize, VecDeque<Root>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Root {
    born: u64,
    slot: u32,
    outline: Outline,
}

/// A byte for each of the first eight words: 0 for one with a parameter. What a text says where another has a word
/// is the same in its outline: most texts are told apart without being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outline {
    words: u64,
    /// All bits of the words without parameters.
    constant: u64,
}

impl Outline {
    fn of(text: &str) -> Outline {
        let mut outline = Outline { words: 0, constant: 0 };
        for (at, word) in words(text).take(8).enumerate().filter(|(_, word)| !word.contains(PARAM)) {
            let byte = 1 + xxh3_64(word.as_bytes()) % 255;
            outline.words |= byte << (8 * at);
            outline.constant |= 0xff << (8 * at);
        }
        outline
    }

    /// What has this outline may cover what has that.
    fn may_cover(self, special: Outline) -> bool {
        (self.words ^ special.words) & self.constant == 0
    }
}

impl Lengths {
    pub(super) fn enter(&mut self, text: &str, born: u64, slot: u32) {
        let roots = self.0.entry(words(text).count()).or_default();
        let at = roots.partition_point(|root| root.born < born);
        roots.insert(at, Root { born, slot, outline: Outline::of(text) });
    }

    pub(super) fn leave(&mut self, text: &str, born: u64) {
        let length = words(text).count();
        if let Some(roots) = self.0.get_mut(&length) {
            let at = roots.partition_point(|root| root.born < born);
            if roots.get(at).is_some_and(|root| root.born == born) {
                roots.remove(at);
            }
            if roots.is_empty() {
                self.0.remove(&length);
            }
        }
    }

    /// Roots that may cover the text.
    pub(super) fn above(&self, text: &str) -> impl Iterator<Item = u32> + '_ {
        let outline = Outline::of(text);
        self.alike(text).filter(move |root| root.outline.may_cover(outline)).map(|root| root.slot)
    }

    /// Roots that may cover the text, or be covered by it.
    pub(super) fn around(&self, text: &str) -> impl Iterator<Item = u32> + '_ {
        let outline = Outline::of(text);
        let may = move |root: &&Root| root.outline.may_cover(outline) || outline.may_cover(root.outline);
        self.alike(text).filter(may).map(|root| root.slot)
    }

    /// Roots of as many words as the text.
    fn alike(&self, text: &str) -> impl Iterator<Item = &Root> + '_ {
        self.0.get(&words(text).count()).into_iter().flatten().take(COMPARED_MAX)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// Whether each word of `special` is that of `general`, or behind its parameter, and enough of them are words.
pub(super) fn covers(general: &str, special: &str) -> bool {
    let (mut shared, mut all) = (0, 0);
    let (mut general, mut special) = (words(general), words(special));
    loop {
        match (general.next(), special.next()) {
            (None, None) => return shared >= SHARED_MIN && shared * SHARED_PART >= all,
            (Some(own), Some(other)) => {
                all += 1;
                if own.contains(PARAM) {
                    if own != other && !fits(own, other) {
                        return false;
                    }
                } else if own == other {
                    shared += usize::from(own.bytes().any(|byte| byte.is_ascii_alphanumeric() || byte >= 128));
                } else {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Whether a word fits one with parameters, each of which has one letter at least.
fn fits(pattern: &str, word: &str) -> bool {
    let mut literals = pattern.split(PARAM);
    let Some(mut rest) = literals.next().and_then(|first| word.strip_prefix(first)) else { return false };
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let Some(first) = rest.chars().next().map(char::len_utf8) else { return false };
        if literals.peek().is_none() {
            return rest.len() >= first + literal.len() && rest.ends_with(literal);
        }
        let Some(at) = rest[first..].find(literal) else { return false };
        rest = &rest[first + at + literal.len()..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_covers_a_word_and_what_is_within_it() {
        for (general, special) in [
            ("Killed process <*> (<*>).", "Killed process <*> (ld-linux.so.<*>)."),
            ("Killed process <*> (<*>).", "Killed process <*> (<*>)."),
            ("close, lifetime <*>", "close, lifetime never"),
            ("a b name=<*>,size=<*>", "a b name=x,size=<*>"),
        ] {
            assert!(covers(general, special), "{general} | {special}");
            assert!(Outline::of(general).may_cover(Outline::of(special)), "{general} | {special}");
        }
        for (general, special) in [
            ("Killed process <*> (ld.so).", "Killed process <*> (<*>)."),
            ("Killed process <*> (<*>).", "Killed process <*> httpd."),
            ("Killed process <*>", "Killed process <*> now"),
            ("up <*>", "up again"),
            ("job is <*> <*> <*> <*> <*>", "job is a b c d e"),
            ("- : <*>", "- : x"),
        ] {
            assert!(!covers(general, special), "{general} | {special}");
        }
    }

    #[test]
    fn lengths_give_the_roots_of_as_many_words_oldest_first() {
        let mut lengths = Lengths::default();
        for (text, born) in [("a b", 3), ("a  c", 1), ("a", 2)] {
            lengths.enter(text, born, born as u32);
        }
        let alike = |lengths: &Lengths, text: &str| lengths.alike(text).map(|root| root.slot).collect::<Vec<_>>();
        assert_eq!(alike(&lengths, "x y"), [1, 3]);
        lengths.leave("a c", 1);
        assert_eq!(alike(&lengths, "x y"), [3]);
        assert!(alike(&lengths, "").is_empty());
    }

    #[test]
    fn texts_that_differ_in_a_word_are_told_apart_unread() {
        let mut lengths = Lengths::default();
        for (text, born) in [("job <*> ended <*>", 1), ("job 7 failed now", 2), ("job <*> ended twice", 3)] {
            lengths.enter(text, born, born as u32);
        }
        assert_eq!(lengths.above("job x ended twice").collect::<Vec<_>>(), [1, 3]);
        assert_eq!(lengths.around("job <*> <*> now").collect::<Vec<_>>(), [2]);
        assert_eq!(lengths.around("job <*> ended <*>").collect::<Vec<_>>(), [1, 3]);
    }
}
