//! Mentions: the text of one alert names the thing that another is about.
//!
//! "Connection to pay-db-3 refused" on the shop and "disk full" on pay-db-3 share no word that
//! [`tokenize`](super::tokenize) keeps, and the one says where the other is. Names are hashed like
//! words; no table of names is needed, so it does not matter whether the thing was known when the
//! text came.
//!
//! A name is a word that says by itself that it is one: it begins with a letter and holds a digit
//! or a hyphen (`pay-db-3`, `web01`), or it is an IPv4 address. Other words (`checkout`) count
//! where the caller knows them to be names.

/// Names kept of one text, the first ones: a sentence names two or three.
const NAMES_MAX: usize = 8;

/// Characters below which a word is no name, whatever it holds: `v2`, `p9`.
const CHARS_MIN: usize = 3;

/// Letters below which a word without digit and hyphen is not taken for a name even where something
/// is called so: `api` and `web` stand in too many sentences.
const PLAIN_MIN: usize = 4;

/// The hash that says "no name".
const NONE: u32 = 0;

/// The name of what an alert is about, and the names in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// [`name_hash`] of the name of its entity, 0 for none.
    pub own: u32,
    /// Names in its text as [`names_in`] gives them.
    pub mentioned: &'a [u32],
}

/// The number of a name, whatever its case; without the port and the domain behind it. 0 for what
/// is too short to be told from other words.
#[must_use]
pub fn name_hash(name: &str) -> u32 {
    words(name).next().map_or(NONE, |word| if word.len() < CHARS_MIN { NONE } else { hash(word) })
}

/// Appends the names in a text, each once, without `own`, while there are fewer than eight.
/// `is_name` is asked by hash about words of four letters and more that do not show it themselves.
pub fn names_in(text: &str, own: u32, is_name: impl Fn(u32) -> bool, out: &mut Vec<u32>) {
    for word in words(text) {
        if out.len() >= NAMES_MAX {
            return;
        }
        let shows = shows_it(word);
        if word.len() < if shows { CHARS_MIN } else { PLAIN_MIN } {
            continue;
        }
        let name = hash(word);
        if name != own && name != NONE && !out.contains(&name) && (shows || is_name(name)) {
            out.push(name);
        }
    }
}

/// The words of a text as names are written, without the domain.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.split(move |c| !inside(c)).map(|word| word.trim_matches(['-', '_', '.'])).filter(|w| !w.is_empty()).map(host)
}

/// `db-1` of `db-1.prod.example.com`; what does not begin with such a label stays whole.
fn host(word: &str) -> &str {
    match word.split_once('.') {
        Some((first, _)) if shows_it(first) => first,
        _ => word,
    }
}

/// Whether a word says by itself that it is a name.
fn shows_it(word: &str) -> bool {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return word.parse::<core::net::Ipv4Addr>().is_ok();
    }
    word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn hash(word: &str) -> u32 {
    let mut lower = [0_u8; 64];
    // Longer names are told apart by their first 64 bytes and their length.
    let kept = word.len().min(lower.len());
    lower[..kept].copy_from_slice(&word.as_bytes()[..kept]);
    lower[..kept].make_ascii_lowercase();
    xxhash_rust::xxh3::xxh3_64_with_seed(&lower[..kept], word.len() as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, known: &[&str]) -> Vec<u32> {
        let mut out = Vec::new();
        let known: Vec<u32> = known.iter().map(|name| name_hash(name)).collect();
        names_in(text, name_hash("shop-1"), |name| known.contains(&name), &mut out);
        out
    }

    #[test]
    fn what_shows_that_it_is_a_name_is_one_and_a_plain_word_only_where_something_is_called_so() {
        let text =
            "shop-1: POST http://Pay-DB-3.prod.example.com:5432/x refused by 10.0.0.7, checkout waits 30s at 95.5 %";
        let expected: Vec<u32> = ["pay-db-3", "10.0.0.7"].map(name_hash).to_vec();
        assert_eq!(names(text, &[]), expected);
        assert_eq!(names(text, &["checkout"]), [expected, vec![name_hash("checkout")]].concat());
        assert_eq!(names("the web is slow", &["web"]), [0; 0], "three letters stand in any sentence");
    }

    #[test]
    fn case_port_and_domain_make_no_other_name() {
        assert_eq!(name_hash("DB-1"), name_hash("db-1.prod.example.com:9100"));
        assert_ne!(name_hash("db-1"), name_hash("db-2"));
        assert_ne!(name_hash("10.0.0.1"), name_hash("10.0.0.2"));
        assert_eq!((name_hash(""), name_hash("v1")), (0, 0));
    }

    #[test]
    fn a_text_full_of_names_gives_its_first_eight() {
        let text: String = (0..100).map(|i| format!("db-{i} ")).collect();
        assert_eq!(names(&text, &[]).len(), 8);
        assert_eq!(names(&"db-1 ".repeat(100), &[]).len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let mut out = Vec::new();
            names_in(&text, name_hash(&text), |_| true, &mut out);
            proptest::prop_assert!(out.len() <= NAMES_MAX);
        }
    }
}
