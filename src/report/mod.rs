//! Incidents for a person's eyes: one line as they happen, one page when all is over.

mod answers;
mod line;
mod page;
mod summary;

pub use answers::{answers_json, answers_line, answers_table};
pub use line::{LineStyle, event_line};
pub use page::incident_page;
pub use summary::{Figures, IncidentLine, incident_lines, incident_table, micros, tenant_count};

use bellwether_engine::incident::Priority;
use bellwether_engine::time::{EventTime, Span};

use crate::term::Ink;

/// `02:03:04`, in UTC as everything here.
pub fn time_of_day(at: EventTime) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.to_string(), |t| t.strftime("%H:%M:%S").to_string())
}

/// `2026-03-01 02:03:04`.
pub fn date_and_time(at: EventTime) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A duration to two units: `1h 5m`, `42 s`, `3 ms`.
pub fn rough(span: Span) -> String {
    let millis = span.0.unsigned_abs() / 1_000_000;
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        7_200_000..172_800_000 => format!("{} h {} min", millis / 3_600_000, millis / 60_000 % 60),
        _ => format!("{} days", millis / 86_400_000),
    }
}

/// The colour of a priority.
pub(crate) fn priority_ink(priority: Priority) -> Ink {
    match priority {
        Priority::P1 | Priority::P2 => Ink::Red,
        Priority::P3 => Ink::Yellow,
        Priority::P4 | Priority::P5 => Ink::Bold,
    }
}

/// The text with control characters as spaces, and with those that turn or hide what stands around them as
/// what they are (`<U+202E>`): what a sender wrote must neither move our cursor nor read as something else.
pub(crate) fn safe(text: &str) -> String {
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
    fn durations_read_as_people_say_them() {
        assert_eq!(rough(Span::from_secs(42)), "42 s");
        assert_eq!(rough(Span::from_mins(65)), "65 min");
        assert_eq!(rough(Span::from_mins(125)), "2 h 5 min");
        assert_eq!(rough(Span::from_hours(72)), "3 days");
    }

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
