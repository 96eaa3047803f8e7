//! Times in what senders write freely: texts of several forms, and numbers whose unit their size tells.

use bellwether_engine::time::EventTime;
use serde_json::Value;

/// A time as Alertmanager, Grafana and their kin write it. `Ok(None)` for an absent one and
/// for Go's zero time, which they send for "not set".
pub(crate) fn go_time(text: &str) -> Result<Option<EventTime>, bellwether_engine::time::TimeError> {
    let text = text.trim();
    if text.is_empty() || text.starts_with("0001-01-01T") {
        return Ok(None);
    }
    match utc_time(text.as_bytes()) {
        Some(time) => Ok(Some(time)),
        None => EventTime::parse_rfc3339(text).map(Some),
    }
}

/// The form nearly all senders write, `2026-03-01T02:03:04.5Z`, read by its places: the general
/// parser costs as much as the rest of an alert's times and labels. `None` for any other form,
/// valid or not.
fn utc_time(text: &[u8]) -> Option<EventTime> {
    let (head, tail) = text.split_at_checked(19)?;
    let marks = (head[4], head[7], head[10], head[13], head[16]);
    if marks != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let number = |from: usize, to: usize| {
        head[from..to]
            .iter()
            .try_fold(0i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    // Before 1970 and on a leap second the general parser decides.
    if year < 1970 || !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut nanos = 0;
    if tail != b"Z" {
        let digits = tail.strip_prefix(b".")?.strip_suffix(b"Z")?;
        if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        nanos = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        nanos *= 10i64.pow(9 - digits.len() as u32);
    }
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let secs = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(EventTime(secs.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// A time written as text: RFC 3339; the same without a zone or a time of day, which is UTC; a
/// number since the epoch, exactly.
pub(crate) fn time_of_text(text: &str) -> Option<EventTime> {
    let text = text.trim();
    match go_time(text) {
        Ok(time) => return time,
        Err(_) if text.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.') => {}
        Err(_) => return epoch_of_text(text),
    }
    epoch_of_text(text).or_else(|| text.parse().ok().and_then(epoch_time)).or_else(|| civil_time(text))
}

/// `2026-03-01 02:03:04`, `2026-03-01T02:03:04,5`, `2026-03-01`: UTC, as files are read; and with an
/// offset that RFC 3339 does not know, `2026-03-01 02:03:04 +0200`.
fn civil_time(text: &str) -> Option<EventTime> {
    // A date begins it: what a general parser would make of other texts is not asked.
    if text.len() > 40 || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    // ISO 8601 and Python's logging write the fraction after a comma.
    let text = text.replacen(',', ".", 1);
    let (civil, offset) = match text.get(19..).and_then(|tail| tail.find(['+', '-'])) {
        Some(at) => (text[..19 + at].trim_end(), offset_secs(&text[19 + at..])?),
        None => (text.strip_suffix('Z').unwrap_or(&text), 0),
    };
    let civil: jiff::civil::DateTime = civil.parse().ok()?;
    let nanos = super::time::civil_nanos(civil)? - i128::from(offset) * 1_000_000_000;
    i64::try_from(nanos).ok().map(EventTime)
}

/// `+02`, `+0200`, `+02:00` in seconds.
fn offset_secs(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits.replacen(':', "", 1)),
        ("-", digits) => (-1, digits.replacen(':', "", 1)),
        _ => return None,
    };
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |rest| rest.parse().ok())?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// A time in a loose document: a text, or seconds, milliseconds, microseconds or nanoseconds since
/// the epoch, told apart by size. Of a list, its first member.
pub(crate) fn any_time(value: &Value) -> Option<EventTime> {
    match value {
        Value::String(text) => time_of_text(text),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => epoch_of_whole(whole),
            None => number.as_f64().and_then(epoch_time),
        },
        Value::Array(list) => list.first().filter(|first| !first.is_array()).and_then(any_time),
        _ => None,
    }
}

/// Nanoseconds in one unit of an epoch time of this size: seconds until the year 5138, then milli-,
/// micro-, nanoseconds.
fn nanos_per_unit(whole: u64) -> u64 {
    match whole {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

/// A whole epoch time by its size, to the last digit.
pub(crate) fn epoch_of_whole(whole: u64) -> Option<EventTime> {
    whole.checked_mul(nanos_per_unit(whole)).and_then(|nanos| i64::try_from(nanos).ok()).map(EventTime)
}

/// `1767225600`, `1767225600.123456789`: every digit counts, which a double does not hold.
fn epoch_of_text(text: &str) -> Option<EventTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let mut nanos = epoch_of_whole(whole)?.0;
    let mut unit = nanos_per_unit(whole) as i64;
    for digit in fraction.bytes() {
        unit /= 10;
        nanos = nanos.checked_add(unit * i64::from(digit - b'0'))?;
    }
    Some(EventTime(nanos))
}

/// As [`epoch_of_whole`], of a number with a fraction.
pub(crate) fn epoch_time(value: f64) -> Option<EventTime> {
    if !(0.0..9.2e18).contains(&value) {
        return None;
    }
    Some(EventTime((value * nanos_per_unit(value as u64) as f64) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gos_zero_time_is_no_time() {
        assert_eq!(go_time("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(go_time("0001-01-01T00:00:00.000Z"), Ok(None));
        assert_eq!(go_time(""), Ok(None));
        assert_eq!(go_time("1970-01-01T00:00:02Z"), Ok(Some(EventTime::from_secs(2))));
        assert!(go_time("yesterday").is_err());
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn a_time_read_by_its_places_is_the_general_parsers(
            nanos in 0..i64::MAX,
            digits in 0usize..=9,
            at in any::<prop::sample::Index>(),
            with in any::<char>(),
        ) {
            let unit = 10i64.pow(9 - digits as u32);
            let time = EventTime(nanos / unit * unit);
            let text = time.to_string();
            prop_assert_eq!(utc_time(text.as_bytes()), Some(time));
            let mut damaged: Vec<char> = text.chars().collect();
            let place = at.index(damaged.len());
            damaged[place] = with;
            let damaged: String = damaged.into_iter().collect();
            if let Some(time) = utc_time(damaged.as_bytes()) {
                prop_assert_eq!(EventTime::parse_rfc3339(&damaged), Ok(time));
            }
        }
    }

    #[test]
    fn an_epoch_is_read_in_the_unit_its_size_tells() {
        let want = EventTime::from_secs(1_700_000_000);
        for text in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            let value: Value = serde_json::from_str(text).expect("number");
            assert_eq!(any_time(&value), Some(want), "{text}");
            assert_eq!(any_time(&Value::String(text.to_owned())), Some(want), "{text}");
        }
        assert_eq!(any_time(&Value::Null), None);
        assert_eq!(any_time(&serde_json::json!(-5)), None);
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let want = EventTime::parse_rfc3339("2026-11-29T10:00:00.123456Z").ok();
        for text in [
            "2026-11-29T10:00:00.123456",
            "2026-11-29 10:00:00.123456",
            "2026-11-29 10:00:00,123456",
            "2026-11-29 10:00:00.123456 UTC",
            "2026-11-29 12:00:00.123456 +0200",
            "2026-11-29 12:00:00.123456+02",
            "1795946400.123456",
        ] {
            assert_eq!(time_of_text(text), want, "{text}");
        }
        assert_eq!(time_of_text("2026-11-29"), EventTime::parse_rfc3339("2026-11-29T00:00:00Z").ok());
        let list = serde_json::json!(["2026-11-29T10:00:00.123456", "x"]);
        assert_eq!(any_time(&list), want);
        for no_time in ["10:00:00", "noon", "2026-13-01", "2026-11-29 10:00:00 +9900", "", "1e", "."] {
            assert_eq!(time_of_text(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn no_digit_of_a_nanosecond_is_lost() {
        for text in ["1767225600123456789", "1767225600.123456789", "1767225600123.456789", "1767225600123456.789"] {
            assert_eq!(time_of_text(text), Some(EventTime(1_767_225_600_123_456_789)), "{text}");
        }
        let number: Value = serde_json::from_str("1767225600123456789").expect("number");
        assert_eq!(any_time(&number), Some(EventTime(1_767_225_600_123_456_789)));
    }
}
