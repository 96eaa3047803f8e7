//! Text for a terminal: colours that go away when nobody sees them, wrapping, and tables.
//!
//! Colour says again what the words already say, so that a pipe, `NO_COLOR` and a colour-blind
//! reader lose nothing.

use std::io::IsTerminal as _;

/// Narrower than this a table is unreadable; wider than this a sentence is.
const WIDTH_RANGE: std::ops::RangeInclusive<usize> = 60..=110;
/// What a file or a pipe is written for.
const WIDTH_DEFAULT: usize = 100;

/// Whether and how wide to paint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Colours on.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// A person is watching: progress bars make sense.
    pub live: bool,
}

/// What a colour means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Headings and names.
    Bold,
    /// What may be skipped.
    Dim,
    /// Something is broken.
    Red,
    /// Something needs a look.
    Yellow,
    /// Something is well.
    Green,
    /// Something to type or to follow.
    Cyan,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "1;31",
            Ink::Yellow => "33",
            Ink::Green => "32",
            Ink::Cyan => "36",
        }
    }
}

impl Term {
    /// For a pipe or a file.
    pub const PLAIN: Term = Term { colour: false, width: WIDTH_DEFAULT, live: false };

    /// What stdout is. `NO_COLOR` (any value), `TERM=dumb` and a pipe switch colours off.
    pub fn stdout() -> Term {
        let terminal = std::io::stdout().is_terminal();
        Term::detect(terminal)
    }

    /// What stderr is.
    pub fn stderr() -> Term {
        Term::detect(std::io::stderr().is_terminal())
    }

    fn detect(terminal: bool) -> Term {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<usize>().ok());
        let measured = terminal.then(|| usize::from(console::Term::stdout().size().1));
        let width = columns.or(measured).unwrap_or(WIDTH_DEFAULT);
        Term {
            colour: terminal && !set("NO_COLOR") && !dumb,
            width: width.clamp(*WIDTH_RANGE.start(), *WIDTH_RANGE.end()),
            live: terminal && !dumb,
        }
    }

    /// `text` in a colour, when there are colours.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", ink.code()) } else { text.to_owned() }
    }

    /// A heading with a rule under the whole width.
    pub fn heading(&self, text: &str) -> String {
        let rule = "─".repeat(self.width.saturating_sub(text.chars().count() + 4));
        format!("{} {} {}", self.paint(Ink::Dim, "──"), self.paint(Ink::Bold, text), self.paint(Ink::Dim, &rule))
    }
}

/// Breaks `text` at spaces so that no line is wider than `width`; a longer word stands alone.
/// Every line begins with `indent` spaces, the first only when `indent_first`.
pub fn wrap(text: &str, width: usize, indent: usize, indent_first: bool) -> String {
    let mut out = String::new();
    let mut column = 0;
    let margin = " ".repeat(indent);
    if indent_first {
        out.push_str(&margin);
    }
    column += indent;
    let mut fresh = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !fresh && column + 1 + length > width {
            out.push('\n');
            out.push_str(&margin);
            column = indent;
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = false;
    }
    out
}

/// At most `width` characters of `text`; what is cut ends in `…`.
pub fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Which side a column leans to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lean {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows in columns. The last column takes what is left of the width.
#[derive(Clone, Debug)]
pub struct Table {
    leans: Vec<Lean>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and a heading row.
    pub fn new(columns: &[(&str, Lean)]) -> Table {
        let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Table { leans: columns.iter().map(|(_, lean)| *lean).collect(), rows: vec![heading] }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The rows as lines, `indent` spaces in.
    pub fn render(&self, term: &Term, indent: usize) -> String {
        let widths = self.widths(term.width.saturating_sub(indent));
        let mut out = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = " ".repeat(indent);
            for (column, (width, lean)) in widths.iter().zip(&self.leans).enumerate() {
                let cell = clip(row.get(column).map_or("", String::as_str), *width);
                let fill = " ".repeat(width - cell.chars().count());
                let gap = if column == 0 { "" } else { "  " };
                match lean {
                    Lean::Left => line.extend([gap, &cell, &fill]),
                    Lean::Right => line.extend([gap, &fill, &cell]),
                }
            }
            let line = line.trim_end();
            out.push_str(&if index == 0 { term.paint(Ink::Dim, line) } else { line.to_owned() });
            out.push('\n');
        }
        out
    }

    fn widths(&self, room: usize) -> Vec<usize> {
        let widest = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.leans.len()).map(widest).collect();
        let gaps = 2 * widths.len().saturating_sub(1);
        if let Some((last, others)) = widths.split_last_mut() {
            *last = (*last).min(room.saturating_sub(others.iter().sum::<usize>() + gaps)).max(1);
        }
        widths
    }
}

/// `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 incident`, `1,204 incidents`.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_text_keeps_its_words_and_its_margin() {
        let text = "the database slowed down after a network change at half past two";
        let wrapped = wrap(text, 24, 4, true);
        assert!(wrapped.lines().all(|line| line.chars().count() <= 24 && line.starts_with("    ")), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        assert_eq!(wrap("averyveryverylongword x", 8, 0, true), "averyveryverylongword\nx");
    }

    #[test]
    fn a_table_lines_up_and_fits_the_width() {
        let mut table = Table::new(&[("what", Lean::Left), ("how many", Lean::Right), ("note", Lean::Left)]);
        table.row(["alerts".into(), "1,204".into(), "x".repeat(200)]);
        let shown = table.render(&Term { width: 60, ..Term::PLAIN }, 2);
        assert!(shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
        assert!(shown.contains("  alerts     1,204  xxx") && shown.contains('…'), "{shown}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
