//! Scripts that put no blanks between words: Chinese, Japanese, Korean with its particles, Thai, Lao,
//! Khmer, Burmese. What parts such a text are its digits, its Latin words and its punctuation.

/// One run of characters of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Letters of such a script: a word of the template.
    Words,
    /// Full-width digits.
    Digits,
    /// Full-width punctuation.
    Marks,
    /// Anything else: Latin letters, ASCII digits and what joins them.
    Others,
}

/// Whether any letter of such a script is in the text.
pub(super) fn has_words(text: &[u8]) -> bool {
    // The shortest of their characters have three bytes.
    text.iter().any(|byte| *byte >= 0xe0) && runs(text).any(|(run, _)| run == Run::Words)
}

/// The runs with where each ends. Text that was cut within a character ends in [`Run::Others`].
pub(super) fn runs(text: &[u8]) -> impl Iterator<Item = (Run, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (run, length) = next(&text[at..])?;
        at += length;
        while let Some((_, length)) = next(&text[at..]).filter(|(found, _)| *found == run) {
            at += length;
        }
        Some((run, at))
    })
}

/// The kind of the next character, and its bytes.
fn next(text: &[u8]) -> Option<(Run, usize)> {
    let first = *text.first()?;
    let length = match first {
        0..0xe0 => return Some((Run::Others, 1)),
        0xe0..0xf0 => 3,
        _ => 4,
    };
    let letter =
        text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
    Some(letter.map_or((Run::Others, 1), |letter| (kind(letter), length)))
}

fn kind(letter: char) -> Run {
    match letter {
        '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' | '\u{3030}' | '\u{30fb}' => Run::Marks,
        '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}' => {
            Run::Marks
        }
        '\u{ff10}'..='\u{ff19}' => Run::Digits,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}' => {
            Run::Words
        }
        '\u{2e80}'..='\u{2fff}' | '\u{3005}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => {
            Run::Words
        }
        '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff21}'..='\u{ffdc}' => Run::Words,
        '\u{20000}'..='\u{3ffff}' => Run::Words,
        _ => Run::Others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_the_script_does() {
        let text = "用户12登录，ok１２がÄ";
        let found: Vec<(Run, &str)> = runs(text.as_bytes())
            .scan(0, |from, (run, to)| Some((run, &text[std::mem::replace(from, to)..to])))
            .collect();
        use Run::{Digits, Marks, Others, Words};
        let want = [
            (Words, "用户"),
            (Others, "12"),
            (Words, "登录"),
            (Marks, "，"),
            (Others, "ok"),
            (Digits, "１２"),
            (Words, "が"),
            (Others, "Ä"),
        ];
        assert_eq!(found, want);
        assert!(has_words("ผู้ใช้".as_bytes()) && !has_words("größer “12”".as_bytes()));
        assert_eq!(runs(&"户".as_bytes()[..2]).collect::<Vec<_>>(), [(Others, 2)]);
    }
}
