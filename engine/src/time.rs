//! Event time and durations.
//!
//! The engine has no clock: every instant it knows came out of the journal. `EventTime` is
//! that instant; `Span` is a duration as a person writes it in a configuration (`30s`, `5m`,
//! `1h30m`, `2d`). Both are whole nanoseconds, so that sums are exact and order-independent.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// 2000-01-01 in seconds since the epoch: devices without a clock say 1970. Earlier event times are not believed.
pub const TIME_SECS_MIN: i64 = 946_684_800;

/// 2090-01-01 in seconds since the epoch: broken clocks say 2100, and would stop the watermark's work for good.
/// Later event times are not believed.
pub const TIME_SECS_MAX: i64 = 3_786_912_000;

/// An instant in nanoseconds since the Unix epoch, as the journal tells it.
///
/// Serialises as an integer in compact formats (checkpoints) and as an RFC 3339 string in
/// human-readable ones (incident records).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every instant: the watermark of an engine that has read nothing.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every instant: the deadline of something that never happens.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// The instant `secs` seconds after the epoch.
    pub const fn from_secs(secs: i64) -> EventTime {
        EventTime(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> EventTime {
        EventTime(millis.saturating_mul(1_000_000))
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant plus a span; saturates instead of wrapping.
    pub const fn plus(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }

    /// This instant minus a span; saturates instead of wrapping.
    pub const fn minus(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this instant is; negative when it is before.
    pub const fn since(self, earlier: EventTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Reads an RFC 3339 timestamp (`2026-03-01T02:03:04.5Z`).
    pub fn parse_rfc3339(text: &str) -> Result<EventTime, TimeError> {
        let parsed: jiff::Timestamp =
            text.trim().parse().map_err(|_| TimeError::Instant(text.chars().take(64).collect()))?;
        i64::try_from(parsed.as_nanosecond())
            .map(EventTime)
            .map_err(|_| TimeError::Instant(text.chars().take(64).collect()))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            EventTime::parse_rfc3339(&text).map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(EventTime)
        }
    }
}

impl JsonSchema for EventTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A duration in nanoseconds, written `250ms`, `30s`, `5m`, `1h30m` or `2d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(pub i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole seconds.
    pub const fn from_secs(secs: i64) -> Span {
        Span(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// A span of whole minutes.
    pub const fn from_mins(mins: i64) -> Span {
        Span::from_secs(mins.saturating_mul(60))
    }

    /// A span of whole hours.
    pub const fn from_hours(hours: i64) -> Span {
        Span::from_secs(hours.saturating_mul(3600))
    }

    /// The span in seconds, for models and for people.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC as f64
    }

    /// This span `times` over; saturates.
    pub const fn times(self, times: i64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}

/// Units a span may be written in, largest first, with their nanoseconds.
const UNITS: [(&str, i64); 7] = [
    ("w", 604_800 * NANOS_PER_SEC),
    ("d", 86_400 * NANOS_PER_SEC),
    ("h", 3_600 * NANOS_PER_SEC),
    ("m", 60 * NANOS_PER_SEC),
    ("s", NANOS_PER_SEC),
    ("ms", 1_000_000),
    ("us", 1_000),
];

impl FromStr for Span {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Span, TimeError> {
        let bad = || TimeError::Span(text.chars().take(32).collect());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let amount: i64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, nanos) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(bad)?;
            total = amount.checked_mul(*nanos).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
            rest = &rest[letters..];
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut left = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut wrote = false;
        for (unit, nanos) in &UNITS[1..] {
            let count = left / nanos.unsigned_abs();
            if count > 0 {
                write!(f, "{count}{unit}")?;
                wrote = true;
            }
            left %= nanos.unsigned_abs();
        }
        if wrote { Ok(()) } else { f.write_str("0s") }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Span)
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(w|d|h|m|s|ms|us))+$",
            "description": "a duration such as 30s, 5m, 1h30m or 2d"
        })
    }
}

/// Why a piece of text is not a time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimeError {
    /// Not an RFC 3339 timestamp.
    #[error("`{0}` is not a timestamp: write it as RFC 3339, like 2026-03-01T02:03:04Z")]
    Instant(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: write a number and a unit, like 250ms, 30s, 5m, 1h30m or 2d")]
    Span(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        assert_eq!("30s".parse(), Ok(Span::from_secs(30)));
        assert_eq!("1h30m".parse(), Ok(Span::from_mins(90)));
        assert_eq!("2d".parse(), Ok(Span::from_hours(48)));
        for text in ["", "30", "s", "3 fortnights", "99999999999999w", "-5s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_print_what_they_read() {
        for text in ["30s", "1h30m", "2d", "250ms", "0s"] {
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn instants_round_trip_as_rfc_3339() {
        let at = EventTime::from_millis(1_767_225_600_123);
        assert_eq!(at.to_string(), "2026-01-01T00:00:00.123Z");
        assert_eq!(EventTime::parse_rfc3339(&at.to_string()), Ok(at));
        assert!(EventTime::parse_rfc3339("yesterday").is_err());
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(EventTime::MAX.plus(Span::from_secs(1)), EventTime::MAX);
        assert_eq!(EventTime::MIN.minus(Span::from_secs(1)), EventTime::MIN);
    }
}
