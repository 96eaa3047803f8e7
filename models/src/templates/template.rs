//! One template: its pieces, its key, the places where it may open, its text.
//!
//! A piece is what stands before an element and the element itself, or the fact that it is
//! open. The key is a sum over the pieces, so that leaving one out is O(1).

use serde::{Deserialize, Serialize};

use super::class::Kind;
use super::element::Element;
use super::lexer::mix;

/// One piece of a template: what stands before it, and its text or the fact that it is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) gap: String,
    pub(super) text: String,
    pub(super) hash: u64,
    pub(super) open: u64,
    pub(super) kind: Kind,
    /// A parameter, whatever the kind says.
    pub(super) wild: bool,
    /// The rest of a list of parameters as the template shows it, or `None` if lines differ.
    pub(super) list: Option<String>,
}

impl Piece {
    pub(super) fn is_param(&self) -> bool {
        self.wild || self.kind.is_strong()
    }
}

/// One slot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Template {
    pub id: u64,
    pub text: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) tail: String,
    pub(super) tail_hash: u64,
    /// Order of creation: survivors of a merge are the oldest.
    pub(super) born: u64,
    /// Further keys that lead here, beside its own.
    pub(super) keys: Vec<u64>,
    /// Merged into this slot, or `NONE`.
    pub(super) parent: u32,
    /// How many slots name this one as their parent.
    pub(super) children: u32,
    pub generation: u32,
    pub lines: u64,
    pub(super) live: bool,
    /// Seen since the eviction hand last passed.
    pub(super) seen: bool,
}

/// What a piece takes: itself with the spare room of its list, its two texts' rounding, its place in the
/// look-up table with a list of its own.
const PIECE_BYTES: usize = size_of::<Piece>() * 5 / 4 + 16 + 64;
/// What a key takes in its list and in the look-up table.
pub(super) const KEY_BYTES: usize = 32;

/// Places of a line that may be opened by merging: sentences are shorter.
const PLACES_MAX: usize = 24;

impl Template {
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn key(&self) -> u64 {
        key_of(self.pieces.iter().map(|piece| piece.hash), self.tail_hash)
    }

    pub(super) fn bucket(&self) -> Option<u64> {
        bucket_of(self.pieces.iter().map(|piece| piece.hash))
    }

    /// About how many bytes it holds beside its slot, and the look-up tables hold of it.
    pub(super) fn bytes(&self) -> usize {
        let piece = |piece: &Piece| {
            let texts = [piece.gap.len(), piece.text.len(), piece.list.as_ref().map_or(0, String::len)];
            PIECE_BYTES + texts.into_iter().sum::<usize>()
        };
        self.text.len() + self.tail.len() + self.keys.len() * KEY_BYTES + self.pieces.iter().map(piece).sum::<usize>()
    }

    /// Places that merging may open, each with the key that leaves it out. The first piece
    /// says what the line is about, and two further words must remain.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let key = self.key();
        let words = self.pieces.iter().filter(|piece| !piece.is_param()).count();
        self.pieces.iter().enumerate().take(PLACES_MAX).skip(1).filter_map(move |(at, piece)| {
            let remaining = words - usize::from(!piece.is_param());
            (!piece.wild && remaining >= WORDS_LEFT_MIN).then(|| {
                let without = key.wrapping_sub(mix(piece.hash, at as u64)).wrapping_add(mix(piece.open, at as u64));
                (at, mix(without, at as u64))
            })
        })
    }

    /// Whether the word before a place announces a value: a noun such as `user`, or the name of a field that ends
    /// with its bracket, `[station: shanghai]`. In a sentence a colon announces the rest of it.
    pub(super) fn is_named(&self, at: usize) -> bool {
        let before = &self.pieces[at - 1];
        let after = self.pieces.get(at + 1).map_or(self.tail.as_str(), |piece| piece.gap.as_str());
        let field = self.pieces[at].gap == ": " && after.starts_with([']', ')', '}']);
        let noun = self.pieces[at].gap == " " && is_name_noun(&before.text);
        before.kind == Kind::Word && !before.wild && (field || noun)
    }

    pub(super) fn render(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        for piece in &self.pieces {
            text.push_str(&piece.gap);
            if piece.is_param() {
                text.push_str(PARAM);
                text.push_str(piece.list.as_deref().unwrap_or_default());
            } else {
                text.push_str(&piece.text);
            }
        }
        text.push_str(&self.tail);
        text.truncate(text.trim_end().len());
        self.text = text;
    }
}

impl Piece {
    /// How much one value says for its place being a parameter, in halves of a word's:
    /// text with digits is seldom part of the sentence, `RUNNING` and `POST` often are.
    pub(super) fn evidence(&self) -> usize {
        let shouted = self.text.len() > 1 && self.text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        match self.kind {
            Kind::Word if shouted => 1,
            Kind::Word => 2,
            _ => 5,
        }
    }

    pub(super) fn open_place(&mut self) {
        self.wild = true;
        self.hash = self.open;
    }
}

/// Constant words that must remain beside an opened place.
const WORDS_LEFT_MIN: usize = 2;
/// How a template shows a parameter.
pub(super) const PARAM: &str = "<*>";

/// Nouns after which operators' logs put a name.
fn is_name_noun(word: &str) -> bool {
    NAME_NOUNS.iter().any(|noun| word.eq_ignore_ascii_case(noun))
}

const NAME_NOUNS: [&str; 5] = ["user", "username", "account", "host", "hostname"];

pub(super) fn heads(elements: &[Element]) -> impl Iterator<Item = &Element> {
    elements.iter().filter(|element| !element.listed)
}

pub(super) fn list_end(elements: &[Element], at: usize) -> usize {
    let mut end = at + 1;
    while elements.get(end).is_some_and(|element| element.listed) {
        end += 1;
    }
    end
}

pub(super) fn key_of(hashes: impl Iterator<Item = u64>, tail: u64) -> u64 {
    let mut key = tail;
    let mut count = 0;
    for (at, hash) in hashes.enumerate() {
        key = key.wrapping_add(mix(hash, at as u64));
        count = at as u64 + 1;
    }
    key.wrapping_add(mix(count, tail))
}

pub(super) fn bucket_of(mut hashes: impl Iterator<Item = u64>) -> Option<u64> {
    let first = hashes.next()?;
    Some(mix(first, hashes.count() as u64))
}

pub(super) fn piece(line: &str, elements: &[Element]) -> Piece {
    let head = &elements[0];
    let mut list = String::new();
    for element in &elements[1..] {
        list.push_str(&blanks_folded(&line[element.gap as usize..element.start as usize]));
        list.push_str(PARAM);
    }
    let body = &line[head.start as usize..head.end as usize];
    Piece {
        gap: blanks_folded(&line[head.gap as usize..head.start as usize]),
        text: if head.kind.is_strong() { String::new() } else { body.to_owned() },
        hash: head.hash,
        open: head.open,
        kind: head.kind,
        wild: false,
        list: Some(list),
    }
}

/// Whether the elements render to this text, without rendering them.
pub(super) fn list_is(shown: &str, line: &str, elements: &[Element]) -> bool {
    let mut rest = shown;
    for element in elements {
        let gap = &line[element.gap as usize..element.start as usize];
        let comma = gap.starts_with(',');
        let blank = gap.len() > usize::from(comma);
        rest = match (comma, blank) {
            (true, true) => rest.strip_prefix(", "),
            (true, false) => rest.strip_prefix(","),
            _ => rest.strip_prefix(" "),
        }
        .and_then(|rest| rest.strip_prefix(PARAM))
        .unwrap_or("!");
    }
    rest.is_empty()
}

/// Text with each run of white space as one blank.
pub(super) fn blanks_folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        let white = letter.is_ascii_whitespace();
        if !(white && folded.ends_with(' ')) {
            folded.push(if white { ' ' } else { letter });
        }
    }
    folded
}
