//! Texts as systems take them: in one line, and cut by a system's own count after they were rendered, never inside a
//! character.

/// What shows that a text was cut.
const MARK: char = '…';

/// A text in one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters; a mark says where it was cut.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    cut_by(text, chars_max, |_| 1)
}

/// At most so many bytes of UTF-8; a mark says where it was cut.
pub(super) fn cut_bytes(text: &str, bytes_max: usize) -> String {
    cut_by(text, bytes_max, char::len_utf8)
}

/// At most so many units of UTF-16, as Java counts; a mark says where it was cut.
pub(super) fn cut_utf16(text: &str, units_max: usize) -> String {
    cut_by(text, units_max, char::len_utf16)
}

/// At most so much as `measure` counts of its characters.
fn cut_by(text: &str, max: usize, measure: impl Fn(char) -> usize) -> String {
    if text.chars().map(&measure).sum::<usize>() <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(measure(MARK));
    let mut used = 0;
    let kept: String = (text.chars())
        .take_while(|letter| {
            used += measure(*letter);
            used <= room
        })
        .collect();
    let mut kept = kept.trim_end().to_owned();
    kept.push(MARK);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    // JBI#1030, TA-jira#133: cut before it was rendered; no text beyond Latin-1.
    #[test]
    fn a_text_is_cut_by_the_count_that_matters_and_never_inside_a_character() {
        let long = "ש🔥".repeat(150);
        let by_chars = cut(&one_line(&long), 200);
        assert_eq!(by_chars.chars().count(), 200);
        assert!(by_chars.ends_with('…'));
        let by_bytes = cut_bytes(&long, 200);
        assert!((195..=200).contains(&by_bytes.len()) && by_bytes.ends_with('…'), "{}", by_bytes.len());
        let by_units = cut_utf16(&long, 200);
        assert!((198..=200).contains(&by_units.encode_utf16().count()) && by_units.ends_with('…'));
        assert_eq!(cut(&one_line(" a\n b "), 200), "a b");
        for whole in [&"x".repeat(200), "ש"] {
            assert_eq!((cut(whole, 200), cut_bytes(whole, 200)), (whole.to_owned(), whole.to_owned()));
        }
    }
}
