//! Cuts a line into elements: a gap of white space and punctuation, then a stretch of
//! text with a kind.
//!
//! White space inside a gap counts as one blank. Elements that only continue a list of
//! parameters (`1 2 3`, `a1, b2`) are marked, so that lists of any length group.

use xxhash_rust::xxh3::xxh3_64;

use super::class::{self, CLASS, COLON, DIGIT, DOT, HARD, Kind, LETTER, SIGN, SLASH, Verdict};
use super::element::Element;
use super::join;
use super::scripts::{self, Run};

/// Bounds of one line: what lies beyond them is one parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub line_bytes_max: usize,
    pub elements_max: usize,
}

/// The lexer's reusable buffers.
#[derive(Debug, Default, Clone)]
pub(super) struct Lexer {
    pub elements: Vec<Element>,
    /// Where the text after the last element starts.
    pub tail: u32,
}

impl Lexer {
    /// Fills `elements` from the line.
    pub(super) fn read(&mut self, line: &str, bounds: Bounds) {
        self.elements.clear();
        let text = line.as_bytes();
        let mut end = text.len().min(bounds.line_bytes_max);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let mut gap = text.len() - text.trim_ascii_start().len();
        let mut at = gap;
        let is_ascii = line.is_ascii();
        while at < end {
            if CLASS[text[at] as usize] & HARD != 0 {
                if is_empty_pair(text, at) {
                    self.push(Kind::Empty, gap, at + 1, at + 1);
                    gap = at + 1;
                }
                at += 1;
                continue;
            }
            let (stop, seen) = chunk_end(text, at, end);
            if !is_ascii && scripts::has_words(&text[at..stop]) {
                gap = self.unspaced(text, gap, at, stop);
            } else if seen & (LETTER | DIGIT) != 0 {
                gap = self.chunk(text, gap, at, stop);
            }
            at = stop;
            if self.elements.len() >= bounds.elements_max {
                break;
            }
        }
        at = text.len() - text[at..].trim_ascii_start().len();
        if at < text.len() {
            self.push(Kind::Id, gap, at, text.len());
            gap = text.len();
        }
        self.tail = gap as u32;
        join::join(&mut self.elements, text);
        self.hash(text);
    }

    /// Splits one chunk of a script without blanks at its digits and foreign words.
    fn unspaced(&mut self, text: &[u8], mut gap: usize, start: usize, stop: usize) -> usize {
        let mut from = start;
        for (run, end) in scripts::runs(&text[start..stop]) {
            let to = start + end;
            match run {
                Run::Words => self.push(Kind::Word, gap, from, to),
                Run::Digits => self.push(Kind::Number, gap, from, to),
                Run::Marks => {}
                Run::Others if classes_have_text(&text[from..to]) => gap = self.chunk(text, gap, from, to),
                Run::Others => {}
            }
            if matches!(run, Run::Words | Run::Digits) {
                gap = to;
            }
            from = to;
        }
        gap
    }

    /// Splits one chunk (no hard characters) into elements; returns where the next gap starts.
    fn chunk(&mut self, text: &[u8], mut gap: usize, start: usize, stop: usize) -> usize {
        if class::is_address6(&text[start..stop]) {
            self.push(Kind::Address, gap, start, stop);
            return stop;
        }
        let (mut at, stop) = trim(text, start, stop);
        while at < stop {
            // A run of the same punctuation (`....`, `--`, `::`) always separates.
            let mut cut = at;
            while cut < stop && !is_run(text, cut, stop) {
                cut += 1;
            }
            if cut > at {
                let (from, to) = trim(text, at, cut);
                if classes_have_text(&text[from..to]) {
                    gap = self.colons(text, gap, from, to);
                }
            }
            while cut < stop && CLASS[text[cut] as usize] & (LETTER | DIGIT) == 0 {
                cut += 1;
            }
            at = cut.max(at + 1);
        }
        gap
    }

    /// Splits at colons and joins what belongs together: `10.0.0.1:80`, `12:30:01`, a MAC.
    fn colons(&mut self, text: &[u8], mut gap: usize, from: usize, to: usize) -> usize {
        let whole = &text[from..to];
        let seen = class::classes(whole);
        if seen & (DIGIT | COLON | SLASH | DOT) == 0 {
            let kind = if class::is_flag(whole) { Kind::Flag } else { Kind::Word };
            self.push(kind, gap, from, to);
            return to;
        }
        if let Some(kind) = whole_kind(whole, seen) {
            self.push(kind, gap, from, to);
            return to;
        }
        let mut joined: Option<usize> = None;
        let mut at = from;
        while at < to {
            let rest = &text[at..to];
            let end = if class::is_path(rest) || seen & COLON == 0 {
                to
            } else {
                at + rest.iter().position(|&byte| byte == b':').unwrap_or(rest.len())
            };
            if end > at {
                gap = self.segment(text, gap, at, end, &mut joined);
            }
            at = end + 1;
        }
        gap
    }

    /// One stretch between colons. `joined` is the strong element that ended just before it.
    fn segment(&mut self, text: &[u8], gap: usize, at: usize, end: usize, joined: &mut Option<usize>) -> usize {
        let (from, to) = trim(text, at, end);
        if from >= to {
            *joined = None;
            return gap;
        }
        let verdict = class::segment(&text[from..to]);
        if let (Some(before), Verdict::One(kind)) = (*joined, verdict)
            && (kind.is_strong() || kind == Kind::Weak)
            && from == at
        {
            let element = &mut self.elements[before];
            element.kind = joined_kind(element.kind, &text[element.start as usize..to]);
            element.end = to as u32;
            return to;
        }
        *joined = None;
        match verdict {
            Verdict::One(kind) => {
                self.push(kind, gap, from, to);
                if kind.is_strong() && to == end {
                    *joined = Some(self.elements.len() - 1);
                }
            }
            Verdict::Prefixed(offset, kind) => {
                let port = text.get(to) == Some(&b':') && text.get(to + 1).is_some_and(u8::is_ascii_digit);
                if port && text[from + offset - 1] == b'-' {
                    self.push(Kind::Host, gap, from, to);
                } else {
                    self.push(Kind::Word, gap, from, from + offset - 1);
                    self.push(kind, from + offset - 1, from + offset, to);
                }
                if to == end {
                    *joined = Some(self.elements.len() - 1);
                }
            }
        }
        to
    }

    fn push(&mut self, kind: Kind, gap: usize, start: usize, end: usize) {
        self.elements.push(Element {
            hash: 0,
            open: 0,
            kind,
            gap: gap as u32,
            start: start as u32,
            end: end as u32,
            listed: false,
        });
    }

    fn hash(&mut self, text: &[u8]) {
        for element in &mut self.elements {
            let gap = gap_hash(&text[element.gap as usize..element.start as usize]);
            element.open = mix(gap, OPEN);
            let body = &text[element.start as usize..element.end as usize];
            element.hash = match element.kind {
                Kind::Word => mix(gap, xxh3_64(body)),
                Kind::Weak => mix(gap, letters_hash(body)),
                _ => element.open,
            };
        }
    }
}

/// Stands for the text of a parameter in a hash.
const OPEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Multiplies to 128 bits and folds: the usual cheap mixer.
pub(super) fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ 0xa076_1d64_78bd_642f) * u128::from(right ^ 0xe703_7ed1_a0b4_28db);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hash of a gap, with runs of white space counted as one blank.
pub(super) fn gap_hash(gap: &[u8]) -> u64 {
    if gap == b" " || (!gap.is_empty() && gap.iter().all(u8::is_ascii_whitespace)) {
        return BLANK;
    }
    let mut hash = 0;
    let mut blank = false;
    for &byte in gap {
        let white = byte.is_ascii_whitespace();
        if white && blank {
            continue;
        }
        blank = white;
        hash = mix(hash, u64::from(if white { b' ' } else { byte }) + 1);
    }
    hash
}

const BLANK: u64 = 0x2545_f491_4f6c_dd1d;

/// Hash of a weak element: every run of digits counts as one.
fn letters_hash(text: &[u8]) -> u64 {
    let mut hash = 7;
    let mut run = false;
    for &byte in text {
        let digit = byte.is_ascii_digit();
        if !(digit && run) {
            hash = mix(hash, u64::from(if digit { b'0' } else { byte }));
        }
        run = digit;
    }
    hash
}

fn chunk_end(text: &[u8], at: usize, end: usize) -> (usize, u8) {
    let mut seen = 0;
    for (offset, &byte) in text[at..end].iter().enumerate() {
        let class = CLASS[byte as usize];
        if class & HARD != 0 {
            return (at + offset, seen);
        }
        seen |= class;
    }
    (end, seen)
}

/// `()` or `[]` that stands alone, or after `=`: a value that is missing. After a word it is a call.
fn is_empty_pair(text: &[u8], at: usize) -> bool {
    let pair = matches!((text[at], text.get(at + 1)), (b'(', Some(b')')) | (b'[', Some(b']')));
    pair && (at == 0 || matches!(text[at - 1], b' ' | b'=' | b'\t'))
}

/// Whether the same mark stands twice in a row here, outside of a path's `//`.
fn is_run(text: &[u8], at: usize, stop: usize) -> bool {
    let byte = text[at];
    at + 1 < stop && text[at + 1] == byte && CLASS[byte as usize] & (LETTER | DIGIT | SLASH) == 0
}

fn classes_have_text(text: &[u8]) -> bool {
    class::classes(text) & (LETTER | DIGIT) != 0
}

/// Strips punctuation that belongs to the sentence, not to the value.
fn trim(text: &[u8], mut start: usize, mut stop: usize) -> (usize, usize) {
    while start < stop {
        let here = &text[start..stop];
        let keep = match CLASS[here[0] as usize] {
            SLASH | DOT => class::is_path(here),
            SIGN | class::DASH => {
                matches!(here, [b'-' | b'+', next, ..] if next.is_ascii_digit()) || matches!(here, [b'~', b'/', ..])
            }
            COLON => false,
            _ => true,
        };
        if keep {
            break;
        }
        start += 1;
    }
    while stop > start {
        let last = text[stop - 1];
        let class = CLASS[last as usize];
        let percent = last == b'%' && stop - start > 1 && text[stop - 2].is_ascii_digit();
        if class & (LETTER | DIGIT) != 0 || percent || (class == SLASH && stop - start > 1) {
            break;
        }
        stop -= 1;
    }
    (start, stop)
}

/// Kinds that need the colons in place.
fn whole_kind(text: &[u8], seen: u8) -> Option<Kind> {
    if seen & COLON != 0 {
        if class::is_address6(text) {
            return Some(Kind::Address);
        }
        if let Some(scheme) = text.windows(3).position(|mark| mark == b"://") {
            let named = text[..scheme].iter().all(u8::is_ascii_alphabetic);
            if named {
                return Some(if seen & DIGIT != 0 { Kind::Path } else { Kind::Word });
            }
        }
    }
    class::is_path(text).then_some(()).and_then(|()| {
        // `/10.0.0.1:80` is an address; a drive is a path to its end.
        (seen & COLON == 0 || text[1] == b':').then_some(Kind::Path)
    })
}

fn joined_kind(before: Kind, text: &[u8]) -> Kind {
    match before {
        Kind::Number | Kind::Time if class::classes(text) & LETTER == 0 => Kind::Time,
        Kind::Address | Kind::Host => before,
        Kind::Path if text[1].is_ascii_digit() => Kind::Address,
        _ => Kind::Id,
    }
}
