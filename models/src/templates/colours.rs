//! Terminal colours in log lines: they are no text.

use std::borrow::Cow;

const ESCAPE: u8 = 0x1b;

/// The line without the escape sequences of ECMA-48 by which consoles colour and mark text: borrowed
/// where there are none.
#[must_use]
pub fn without_colours(line: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(ESCAPE, line.as_bytes()) else { return Cow::Borrowed(line) };
    let mut plain = String::with_capacity(line.len());
    let mut from = 0;
    let mut next = Some(first);
    while let Some(at) = next {
        plain.push_str(&line[from..at]);
        from = at + sequence(&line.as_bytes()[at..]);
        next = memchr::memchr(ESCAPE, &line.as_bytes()[from..]).map(|found| from + found);
    }
    plain.push_str(&line[from..]);
    Cow::Owned(plain)
}

/// Bytes of the sequence that begins here with its escape character; all of them are ASCII. An escape
/// character that begins none counts alone.
fn sequence(text: &[u8]) -> usize {
    let length = match text.get(1) {
        Some(b'[') => {
            let body = text[2..].iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
            text.get(2 + body).filter(|byte| matches!(byte, 0x40..=0x7e)).map(|_| body + 3)
        }
        // A character set: `ESC ( B`.
        Some(b'(' | b')') => text.get(2).filter(|byte| byte.is_ascii_alphanumeric()).map(|_| 3),
        _ => None,
    };
    length.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_are_taken_off_and_text_stays() {
        assert_eq!(without_colours("\u{1b}[32mINFO\u{1b}[0m \u{1b}[38;5;2mcart\u{1b}[m: ä"), "INFO cart: ä");
        assert_eq!(without_colours("\u{1b}[1;31mERROR\u{1b}(B\u{1b}[m x\u{1b}[K"), "ERROR x");
        assert_eq!(without_colours("cut \u{1b}[3"), "cut [3");
        assert_eq!(without_colours("a\u{1b}ä\u{1b}"), "aä");
        assert!(matches!(without_colours("[32m plain"), Cow::Borrowed("[32m plain")));
    }

    proptest! {
        #[test]
        fn no_escape_character_is_left(line in "(\u{1b}|\\[|[0-9;m]|ä|x){0,30}") {
            let plain = without_colours(&line);
            prop_assert_eq!(memchr::memchr(ESCAPE, plain.as_bytes()), None);
        }
    }
}
