//! The text of a message, as it was before it went over the wire.

use std::borrow::Cow;

/// rsyslog writes control characters as `#` and three octal digits. Line feeds and tabs matter for
/// reading, and escape characters begin colours: they are put back.
///
/// A number may look the same. `#012` before a digit is the beginning of a longer one (`#01245`), and
/// one that stands alone between blanks or brackets (`order #012 was`) was written by a person:
/// rsyslog's stand where a line ended, behind its last letter.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    let text = without_end(text);
    let Some(first) = next_escape(text, 0) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    let (mut from, mut next) = (0, Some(first));
    while let Some((at, character)) = next {
        plain.push_str(&text[from..at]);
        plain.push(character);
        from = at + ESCAPE_BYTES;
        next = next_escape(text, from);
    }
    plain.push_str(&text[from..]);
    Cow::Owned(plain)
}

/// Bytes of `#012`.
const ESCAPE_BYTES: usize = 4;

/// Python's handler ends each message with NUL, which rsyslog escapes.
fn without_end(text: &str) -> &str {
    let mut text = text;
    while let Some(rest) = text.strip_suffix("#000") {
        text = rest;
    }
    text
}

fn next_escape(text: &str, from: usize) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'#', &bytes[from..]).map(|at| from + at).find_map(|at| {
        let character = match bytes.get(at + 1..at + ESCAPE_BYTES)? {
            b"011" => '\t',
            b"012" => '\n',
            b"015" => '\r',
            b"033" => '\u{1b}',
            _ => return None,
        };
        let (before, after) = (at.checked_sub(1).map(|at| bytes[at]), bytes.get(at + ESCAPE_BYTES).copied());
        let edge =
            |byte: Option<u8>| byte.is_none_or(|byte| byte == b' ' || byte.is_ascii_punctuation() && byte != b'#');
        let opens = before.is_none_or(|byte| matches!(byte, b' ' | b'(' | b'[' | b'"' | b'\'' | b'='));
        let number = after.is_some_and(|byte| byte.is_ascii_digit()) || character != '\u{1b}' && opens && edge(after);
        (!number).then_some((at, character))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_rsyslog_are_put_back() {
        for (sent, text) in [
            ("one#012two", "one\ntwo"),
            ("Traceback:#012  File \"x\"#012#011at y", "Traceback:\n  File \"x\"\n\tat y"),
            ("#011indented", "\tindented"),
            ("end#015#012", "end\r\n"),
            ("#033[31mERROR#033[0m x", "\u{1b}[31mERROR\u{1b}[0m x"),
            ("payment failed#000", "payment failed"),
        ] {
            assert_eq!(unescaped(sent), text);
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        for text in [
            "invoice #01245 for order #0112 was refused",
            "order #012 was refused",
            "ticket (#011) closed, see #012.",
            "#012",
            "#012: closed",
            "issue=#011",
            "colour #011abc? #001 #777 #12 #",
        ] {
            let want = text.replace("#011abc", "\tabc");
            assert_eq!(unescaped(text), want);
        }
    }
}
