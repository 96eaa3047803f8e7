//! Text of a sender's for a person's eyes.

/// The text with control characters as spaces, and with those that turn or hide what stands around them as
/// what they are (`<U+202E>`): what a sender wrote must neither move our cursor nor read as something else.
#[must_use]
pub fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => shown.push(' '),
            // Marks and joiners of no width, directions, invisible operators, and tags.
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => {
                shown.push_str(&format!("<U+{:04X}>", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_cannot_move_the_cursor() {
        assert_eq!(safe("a\x1b[2Jb\u{202e}c\n\u{9b}1m"), "a [2Jb<U+202E>c  1m");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(safe("pay\u{200b}pal\u{2066}x\u{feff}\u{e0041}"), "pay<U+200B>pal<U+2066>x<U+FEFF><U+E0041>");
        assert_eq!(safe("naïve 変 ok"), "naïve 変 ok");
    }
}
