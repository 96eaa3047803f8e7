//! What kind of thing a stretch of text is: a word, a number, an address, a path.
//!
//! This is the whole knowledge the miner brings along: no masks made for a system,
//! only what operators of any system write into a log line. Two rules shape it:
//!
//! - A verdict never depends on *which* digits are there, only on where they are.
//!   That is what lets a cache from the shape of a line to its template be exact.
//! - A **strong** kind is a parameter from its first sight on. A **weak** one
//!   (`tty2`, `ssh2`) groups by its letters and is shown as it stands until a
//!   second value is seen.

use serde::{Deserialize, Serialize};

/// The kind of one element of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Constant text until the miner has seen enough other values in its place.
    Word,
    /// Letters with a digit or two (`eth0`): constant until a second value comes.
    Weak,
    /// A number, with sign, fraction, separators or a unit glued or attached to it.
    Number,
    /// Hexadecimal: `0x1f`, or six or more hex digits of which one is decimal.
    Hex,
    /// An address of the network: IPv4, IPv6, MAC, with or without a port.
    Address,
    /// A host name below a public or private top-level domain.
    Host,
    /// A path of a file system, or a URL that carries numbers.
    Path,
    /// `true`, `false`, `null`, `nil`, `none`.
    Flag,
    /// A date or a time of day, in digits or in words.
    Time,
    /// Any other identifier with digits in it: `blk_-1608999`, a UUID, `node-17`.
    Id,
    /// Nothing at all between two brackets: the value is missing.
    Empty,
}

impl Kind {
    /// Whether text of this kind is a parameter on sight.
    pub(super) fn is_strong(self) -> bool {
        !matches!(self, Kind::Word | Kind::Weak)
    }
}

/// Character classes, one bit each, so that a chunk's classes are a single `or`.
pub(super) const LETTER: u8 = 1;
pub(super) const DIGIT: u8 = 2;
pub(super) const DOT: u8 = 4;
pub(super) const COLON: u8 = 8;
pub(super) const DASH: u8 = 16;
pub(super) const SLASH: u8 = 32;
pub(super) const SIGN: u8 = 64;
/// White space, brackets, quotes, `=`, `,`, `;`, `|`, control characters: a chunk ends here.
pub(super) const HARD: u8 = 128;

/// Class of every byte. Bytes of a multi-byte character count as letters.
pub(super) const CLASS: [u8; 256] = class_table();

const fn class_table() -> [u8; 256] {
    let mut table = [HARD; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 128..=255 => LETTER,
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b':' => COLON,
            b'-' => DASH,
            b'/' | b'\\' => SLASH,
            b'@' | b'#' | b'$' | b'%' | b'&' | b'+' | b'*' | b'!' | b'?' | b'~' | b'^' => SIGN,
            _ => HARD,
        };
        byte += 1;
    }
    table
}

/// The `or` of the classes of all bytes.
pub(super) fn classes(text: &[u8]) -> u8 {
    text.iter().fold(0, |seen, &byte| seen | CLASS[byte as usize])
}

/// How a stretch without colons splits: all one kind, or a word and then a strong rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One element.
    One(Kind),
    /// A word up to the offset (a separator stands before it), the kind after it.
    Prefixed(usize, Kind),
}

/// Verdict on a stretch without hard characters and without colons.
pub(super) fn segment(text: &[u8]) -> Verdict {
    let seen = classes(text);
    if is_path(text) {
        return Verdict::One(Kind::Path);
    }
    if seen & DOT != 0 && is_host(text) {
        return Verdict::One(Kind::Host);
    }
    if seen & DIGIT == 0 {
        return Verdict::One(if is_flag(text) { Kind::Flag } else { Kind::Word });
    }
    if starts_as_number(text) {
        return Verdict::One(number_kind(text, seen));
    }
    if seen & DASH != 0 && is_hex_dashed(text) {
        return Verdict::One(Kind::Id);
    }
    parts(text)
}

/// Verdict on a stretch that has digits but does not start with one.
fn parts(text: &[u8]) -> Verdict {
    let (mut strong, mut weak, mut words_after, mut first_strong) = (0, 0, 0, text.len());
    let mut kind = Kind::Id;
    let mut start = 0;
    for end in 0..=text.len() {
        if end < text.len() && CLASS[text[end] as usize] & (LETTER | DIGIT) != 0 {
            continue;
        }
        match part(&text[start..end]) {
            None | Some(Kind::Word) if end == start => {}
            Some(Kind::Weak) => weak += 1,
            Some(Kind::Word) | None => words_after += usize::from(strong > 0),
            Some(found) => {
                if strong == 0 {
                    first_strong = start;
                    kind = found;
                }
                strong += 1;
            }
        }
        start = end + 1;
    }
    match (strong, weak) {
        (0, 0 | 1) => Verdict::One(Kind::Weak),
        (0, _) => Verdict::One(Kind::Id),
        _ if first_strong > 0 && weak == 0 && words_after == 0 => {
            // The sign of `blk_-17` belongs to the number; the dash of `jetty-6` does not.
            Verdict::Prefixed(first_strong, if strong > 1 { Kind::Id } else { kind })
        }
        _ => Verdict::One(Kind::Id),
    }
}

/// Kind of one run of letters and digits.
fn part(text: &[u8]) -> Option<Kind> {
    let (&first, &last) = (text.first()?, text.last()?);
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = text.len() - digits;
    if digits == 0 {
        // `blk_-17`: the underscore announces what follows.
        return Some(if last == b'_' && text.len() > 1 { Kind::Id } else { Kind::Word });
    }
    if letters == 0 {
        return Some(Kind::Number);
    }
    if first.is_ascii_digit() {
        return Some(Kind::Id);
    }
    if text.len() >= HEX_DIGITS_MIN && text.iter().all(u8::is_ascii_hexdigit) {
        return Some(Kind::Hex);
    }
    let version = letters == 1 && (first == b'v' || first == b'V');
    let counted = text.windows(2).any(|pair| pair[0] == b'_' && pair[1].is_ascii_digit());
    let dense = digits >= 4 || (digits >= 2 && digits >= letters);
    Some(if version || counted || dense { Kind::Id } else { Kind::Weak })
}

/// Fewest hex digits that make a bare stretch hexadecimal: shorter ones are words (`face1`).
const HEX_DIGITS_MIN: usize = 6;

fn starts_as_number(text: &[u8]) -> bool {
    let unsigned = match text {
        [b'-' | b'+' | b'#' | b'~' | b'$', rest @ ..] => rest,
        [b'.', rest @ ..] => rest,
        _ => text,
    };
    unsigned.first().is_some_and(u8::is_ascii_digit)
}

fn number_kind(text: &[u8], seen: u8) -> Kind {
    let dots = text.iter().filter(|&&byte| byte == b'.').count();
    if text.len() > 2 && text[0].is_ascii_digit() && (text[1] | 32) == b'x' {
        return Kind::Hex;
    }
    if seen & LETTER == 0 {
        return if dots == 3 { Kind::Address } else { Kind::Number };
    }
    if text.len() >= HEX_DIGITS_MIN && text.iter().all(u8::is_ascii_hexdigit) {
        return Kind::Hex;
    }
    let head = text.iter().take_while(|&&byte| CLASS[byte as usize] & (DIGIT | DOT) != 0).count();
    let unit = &text[head.min(text.len())..];
    if head > 0 && unit.len() <= 3 && unit.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'%') {
        Kind::Number
    } else {
        Kind::Id
    }
}

/// A path: `/x`, `./x`, `~/x`, `C:\x`, or two slashes and a digit.
pub(super) fn is_path(text: &[u8]) -> bool {
    let slash = |byte: u8| byte == b'/' || byte == b'\\';
    match text {
        [first, second, ..] if slash(*first) => CLASS[*second as usize] & (LETTER | DIGIT | DOT) != 0,
        [b'.' | b'~', second, ..] if slash(*second) => true,
        [b'.', b'.', third, ..] if slash(*third) => true,
        [drive, b':', third, ..] if drive.is_ascii_alphabetic() && slash(*third) => true,
        _ => {
            let slashes = text.iter().filter(|&&byte| slash(byte)).count();
            slashes >= 2 && text.iter().any(u8::is_ascii_digit) || slashes >= 1 && has_dotted_name(text)
        }
    }
}

/// Whether a dot stands between letters: a file or a package, not the end of a sentence.
fn has_dotted_name(text: &[u8]) -> bool {
    text.windows(3).any(|three| {
        three[1] == b'.' && CLASS[three[2] as usize] == LETTER && CLASS[three[0] as usize] & (LETTER | SLASH) != 0
    })
}

/// Four groups or more of hex digits joined by dashes, with a digit among them: a UUID.
fn is_hex_dashed(text: &[u8]) -> bool {
    text.iter().filter(|&&byte| byte == b'-').count() >= 3
        && text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
        && text.iter().any(u8::is_ascii_digit)
}

/// `true` and its kin, in any case.
pub(super) fn is_flag(text: &[u8]) -> bool {
    (3..=5).contains(&text.len()) && FLAGS.iter().any(|flag| text.eq_ignore_ascii_case(flag))
}

const FLAGS: [&[u8]; 3] = [b"true", b"false", b"null"];

/// A host name: two or more labels, the last a top-level domain and the first not (which
/// would be a Java package). Case is of no matter.
pub(super) fn is_host(text: &[u8]) -> bool {
    let Some(dot) = text.iter().rposition(|&byte| byte == b'.') else { return false };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.' || *byte == b'-' || *byte == b'_';
    if !text.iter().all(plain) || text[0] == b'.' || text.windows(2).any(|pair| pair == b"..") {
        return false;
    }
    let first = text.split(|&byte| byte == b'.').next().unwrap_or_default();
    let labels = text.iter().filter(|&&byte| byte == b'.').count() + 1;
    is_domain(&text[dot + 1..], labels) && !is_domain(first, usize::MAX)
}

/// Whether a last label closes a host name. A two-letter country code counts only where
/// there are three labels: `main.rs` and `setup.py` are files.
fn is_domain(label: &[u8], labels: usize) -> bool {
    let country = label.len() == 2 && labels >= 3 && label.iter().all(u8::is_ascii_alphabetic) && labels != usize::MAX;
    country || DOMAINS.iter().any(|domain| label.eq_ignore_ascii_case(domain))
}

/// The old generic domains of RFC 1591 and later ones common in operations, and the
/// private ones of RFC 6762 appendix G and Kubernetes.
const DOMAINS: [&[u8]; 19] = [
    b"com",
    b"net",
    b"org",
    b"edu",
    b"gov",
    b"mil",
    b"int",
    b"info",
    b"biz",
    b"arpa",
    b"io",
    b"dev",
    b"cloud",
    b"local",
    b"internal",
    b"lan",
    b"corp",
    b"home",
    b"localdomain",
];

/// Hex groups between colons: a MAC address or IPv6, short forms with `::` too.
pub(super) fn is_address6(text: &[u8]) -> bool {
    let colons = text.iter().filter(|&&byte| byte == b':').count();
    let short = colons >= 2 && text.windows(2).any(|pair| pair == b"::");
    (colons >= 3 || short)
        && text.last() != Some(&b':')
        && text.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'%'))
        && text.iter().any(u8::is_ascii_digit)
}
