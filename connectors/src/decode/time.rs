//! Times as people and tools write them.

use bellwether_engine::time::EventTime;
pub use bellwether_engine::time::{TIME_SECS_MAX, TIME_SECS_MIN};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::Scalar;
use crate::intake::reject::{BadRow, Reason};

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// The unit of times that are bare numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// By the number's size: the units' ranges from 2000 to 2090 do not overlap.
    #[default]
    Auto,
    /// Seconds since 1970.
    S,
    /// Milliseconds since 1970.
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
}

impl TimeUnit {
    const fn nanos(self) -> i64 {
        match self {
            TimeUnit::Auto | TimeUnit::Ns => 1,
            TimeUnit::Us => 1_000,
            TimeUnit::Ms => 1_000_000,
            TimeUnit::S => NANOS_PER_SEC,
        }
    }
}

/// Reads a time from `value` of column `column`.
///
/// # Errors
/// [`BadRow`] when it does not read or is outside 2000 to 2090.
pub(crate) fn read_time(column: &str, value: &Scalar<'_>, unit: TimeUnit) -> Result<EventTime, BadRow> {
    let bad = |detail: String| BadRow::new(Reason::Time, column, detail);
    let at = match value {
        Scalar::Int(number) => from_number(i128::from(*number), unit),
        Scalar::UInt(number) => from_number(i128::from(*number), unit),
        Scalar::Float(number) => from_float(*number, unit),
        Scalar::Text(text) => from_text(text.trim(), unit),
        Scalar::Null | Scalar::Bool(_) | Scalar::Nested => None,
    };
    let at = at.ok_or_else(|| bad(format!("`{}` is no time: RFC 3339, or a number since 1970", value.show())))?;
    if !in_range(at) {
        return Err(bad(format!("`{}` is outside 2000 to 2090: check the clock and the unit", value.show())));
    }
    Ok(EventTime(at as i64))
}

fn in_range(nanos: i128) -> bool {
    let secs = nanos.div_euclid(i128::from(NANOS_PER_SEC));
    (i128::from(TIME_SECS_MIN)..i128::from(TIME_SECS_MAX)).contains(&secs)
}

fn from_number(number: i128, unit: TimeUnit) -> Option<i128> {
    if unit != TimeUnit::Auto {
        return number.checked_mul(i128::from(unit.nanos()));
    }
    let fitting = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns]
        .into_iter()
        .filter_map(|unit| number.checked_mul(i128::from(unit.nanos())))
        .find(|nanos| in_range(*nanos));
    // Nothing fits: seconds, so that the range check names the number.
    fitting.or_else(|| number.checked_mul(i128::from(NANOS_PER_SEC)))
}

/// Whole units exactly, the fraction as well as a double holds it.
fn from_float(number: f64, unit: TimeUnit) -> Option<i128> {
    if !number.is_finite() || number.abs() >= 1e19 {
        return None;
    }
    let whole = number.trunc() as i128;
    let nanos = from_number(whole, unit)?;
    let per_unit = if whole == 0 { 1.0 } else { nanos as f64 / whole as f64 };
    Some(nanos + (number.fract() * per_unit).round() as i128)
}

/// A number with a fraction, to its last digit: a double holds a quarter of a microsecond.
fn from_decimal(text: &str, unit: TimeUnit) -> Option<i128> {
    let (whole, fraction) = text.split_once('.')?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) || fraction.len() > 18 {
        return None;
    }
    let number: u64 = whole.parse().ok()?;
    let nanos = from_number(i128::from(number), unit)?;
    let per_unit = nanos.checked_div(i128::from(number)).unwrap_or(i128::from(unit.nanos()));
    let parts: i128 = format!("0{fraction}").parse().ok()?;
    Some(nanos + parts * per_unit / 10i128.pow(fraction.len() as u32))
}

/// RFC 3339; a civil time, read as UTC; a number in quotes.
fn from_text(text: &str, unit: TimeUnit) -> Option<i128> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_nanosecond());
    }
    if let Ok(number) = text.parse::<i64>() {
        return from_number(i128::from(number), unit);
    }
    if let Some(nanos) = from_decimal(text, unit) {
        return Some(nanos);
    }
    if let Ok(number) = text.parse::<f64>() {
        return from_float(number, unit);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil_nanos(civil)
}

/// A civil time as UTC.
pub(super) fn civil_nanos(civil: jiff::civil::DateTime) -> Option<i128> {
    let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_nanosecond())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(Cow::Borrowed(text))
    }

    const AT: i64 = 1_767_225_600_500_000_000; // 2026-01-01T00:00:00.5Z

    #[test]
    fn one_instant_in_every_notation() {
        let same = [
            text("2026-01-01T00:00:00.5Z"),
            text("2026-01-01T01:00:00.5+01:00"),
            text("2026-01-01 00:00:00.5"),
            text("1767225600500"),
            Scalar::Float(1_767_225_600.5),
            text("1767225600.5"),
            text("1767225600.500000000"),
            Scalar::Int(1_767_225_600_500),
            Scalar::Int(1_767_225_600_500_000),
            Scalar::UInt(1_767_225_600_500_000_000),
        ];
        for value in same {
            assert_eq!(read_time("time", &value, TimeUnit::Auto), Ok(EventTime(AT)), "{value:?}");
        }
        let exact = read_time("time", &text("1767225600.123456789"), TimeUnit::Auto);
        assert_eq!(exact, Ok(EventTime(1_767_225_600_123_456_789)), "no digit is lost");
        let secs = read_time("time", &Scalar::Int(1_767_225_600), TimeUnit::Ms);
        assert!(secs.is_err(), "seconds read as milliseconds are in 1970");
    }

    #[test]
    fn times_of_1970_and_2090_are_refused_with_their_value() {
        for value in [
            text("1970-01-01T00:00:00Z"),
            text("2090-01-01T00:00:00Z"),
            Scalar::Int(0),
            Scalar::Float(1e30),
            text("noon"),
            Scalar::Null,
        ] {
            let bad = read_time("time", &value, TimeUnit::Auto).expect_err("refused");
            assert_eq!((bad.reason, bad.column.as_str()), (Reason::Time, "time"));
        }
        let text = read_time("time", &text("1970-01-01T00:00:00Z"), TimeUnit::Auto).expect_err("refused");
        assert!(text.detail.contains("1970-01-01T00:00:00Z"), "{text}");
    }
}
