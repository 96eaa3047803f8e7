//! A mistake in a configuration, shown at the line that has it.
//!
//! ```text
//! error: unknown key `latenes`
//!   --> bellwether.yaml:7:3
//!    |
//!  7 |   latenes: 30s
//!    |   ^^^^^^^ did you mean `lateness`?
//! ```

use std::fmt::Write as _;

use serde_saphyr::Location;

/// Where something stands: line and column count from 1, the length is in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextSpan {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters it takes; 0 when not known.
    pub length: usize,
}

impl TextSpan {
    /// The first character of the file.
    pub const START: TextSpan = TextSpan { line: 1, column: 1, length: 0 };
}

impl From<Location> for TextSpan {
    fn from(location: Location) -> TextSpan {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        TextSpan {
            line: number(location.line()).max(1),
            column: number(location.column()).max(1),
            length: number(location.span().len()),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where.
    pub place: TextSpan,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(place: TextSpan, message: impl Into<String>) -> Problem {
        Problem { place, message: message.into(), remedy: String::new() }
    }

    /// The same with what to do about it.
    pub fn with_remedy(self, remedy: impl Into<String>) -> Problem {
        Problem { remedy: remedy.into(), ..self }
    }

    /// The mistake with the line it is in, for a person.
    pub fn render(&self, file: &str, text: &str) -> String {
        let mut out = format!("{}\n", self.message);
        let gutter = self.place.line.to_string().len();
        let pad = " ".repeat(gutter);
        let TextSpan { line, column, .. } = self.place;
        writeln!(out, "{pad}--> {file}:{line}:{column}").expect("strings take writes");
        if let Some(source) = text.lines().nth(line - 1) {
            let source = without_passwords(source);
            let shown: String = source.chars().take(LINE_CHARS_MAX).collect::<String>().replace('\t', " ");
            let indent = " ".repeat((column - 1).min(LINE_CHARS_MAX));
            let left = shown.chars().count().saturating_sub(column - 1);
            let carets = "^".repeat(self.place.length.clamp(1, left.max(1)));
            writeln!(out, "{pad} |").expect("strings take writes");
            writeln!(out, "{line} | {shown}").expect("strings take writes");
            writeln!(out, "{pad} | {indent}{carets} {}", self.remedy).expect("strings take writes");
        } else if !self.remedy.is_empty() {
            writeln!(out, "{pad} = {}", self.remedy).expect("strings take writes");
        }
        out
    }
}

/// The line with the users and passwords of its URLs covered, character for character, so that marks below it
/// stay where they belong.
fn without_passwords(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let authority = after.find(|c: char| c.is_whitespace() || "/\"',]}".contains(c)).unwrap_or(after.len());
        let secret = after[..authority].rfind('@').unwrap_or(0);
        shown.extend(after[..secret].chars().map(|_| '*'));
        rest = &after[secret..];
    }
    shown + rest
}

/// A line is shown up to here; what is longer is not something a person wrote.
const LINE_CHARS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_carets_under_the_mistake() {
        let problem = Problem::new(TextSpan { line: 2, column: 3, length: 7 }, "unknown key `latenes`")
            .with_remedy("did you mean `lateness`?");
        let shown = problem.render("b.yaml", "engine:\n  latenes: 30s\n");
        assert_eq!(
            shown,
            "unknown key `latenes`\n --> b.yaml:2:3\n  |\n2 |   latenes: 30s\n  |   ^^^^^^^ did you mean `lateness`?\n"
        );
    }

    #[test]
    fn a_place_beyond_the_text_does_not_hurt() {
        let problem = Problem::new(TextSpan { line: 99, column: 400, length: 0 }, "x").with_remedy("y");
        assert!(problem.render("b.yaml", "a: 1").contains("= y"));
        let wide = Problem::new(TextSpan { line: 1, column: 400, length: 3 }, "x");
        assert!(wide.render("b.yaml", "a: 1").contains('^'));
    }

    #[test]
    fn a_password_in_the_line_of_a_mistake_is_covered() {
        for (line, shown) in [
            (
                r#"server: ["nats://bell:S3cret@host:4222", "tls://a:b@h"]"#,
                r#"server: ["nats://***********@host:4222", "tls://***@h"]"#,
            ),
            ("url: http://host/a@b", "url: http://host/a@b"),
            ("plain: yes", "plain: yes"),
        ] {
            assert_eq!(without_passwords(line), shown);
        }
    }
}
