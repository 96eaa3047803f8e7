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
pub(crate) use bellwether_engine::shown::safe;
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

/// `2026-03-01`.
pub fn date(at: EventTime) -> String {
    date_and_time(at).split(' ').next().unwrap_or_default().to_owned()
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

/// A span as one reads it at a glance: `42 s`, `12 min`, `3 h 5 min`, `4 d`.
pub(crate) fn glance(span: Span) -> String {
    let secs = span.0.unsigned_abs() / 1_000_000_000;
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 if (secs / 60).is_multiple_of(60) => format!("{} h", secs / 3_600),
        7_200..172_800 => format!("{} h {} min", secs / 3_600, secs / 60 % 60),
        _ => format!("{} d", secs / 86_400),
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
}
