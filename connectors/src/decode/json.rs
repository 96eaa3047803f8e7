//! Small pieces for JSON that senders write: flat text maps without an allocation per key,
//! times as Go writes them, numbers that come as text, and the path into a loose document.

use std::borrow::Cow;
use std::fmt;

use bellwether_engine::time::EventTime;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// A flat map of text to text in the order sent. Values that are numbers or booleans become
/// their text; `null`, lists and objects are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextMap<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl TextMap<'_> {
    /// The pairs, borrowed.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

/// A borrowed piece of text, which serde's own `Cow` never borrows inside a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A scalar as text; anything else is absent.
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar(None))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = TextMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_unit<E>(self) -> Result<TextMap<'de>, E> {
                Ok(TextMap::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<Text<'de>, Scalar<'de>>()? {
                    if let Some(value) = value.0 {
                        pairs.push((key.0, value));
                    }
                }
                Ok(TextMap(pairs))
            }
        }
        deserializer.deserialize_any(MapVisitor)
    }
}

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

/// The value at `path`, whose parts are separated by dots: `host.name` in `{"host":{"name":1}}`.
/// A key that holds the dots itself wins over nesting.
pub(crate) fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = document.get(path) {
        return Some(value);
    }
    let mut rest = path;
    let mut here = document;
    while let Some((first, tail)) = rest.split_once('.') {
        here = match here {
            Value::Array(list) => list.get(first.parse::<usize>().ok()?)?,
            _ => here.get(first)?,
        };
        if let Some(value) = here.get(tail) {
            return Some(value);
        }
        rest = tail;
    }
    match here {
        Value::Array(list) => list.get(rest.parse::<usize>().ok()?),
        _ => here.get(rest),
    }
}

/// The text of a scalar.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        _ => None,
    }
}

/// The non-empty text at `path`.
pub(crate) fn text_at<'a>(document: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    at(document, path).and_then(scalar).filter(|text| !text.is_empty())
}

/// The text at the first of `paths` that holds one.
pub(crate) fn first_text<'a>(document: &'a Value, paths: &[&str]) -> Option<Cow<'a, str>> {
    paths.iter().find_map(|path| text_at(document, path))
}

/// A time written as text: RFC 3339, or a number since the epoch.
pub(crate) fn time_of_text(text: &str) -> Option<EventTime> {
    match go_time(text) {
        Ok(time) => time,
        Err(_) => text.trim().parse().ok().and_then(epoch_time),
    }
}

/// A time in a loose document: RFC 3339, or seconds, milliseconds, microseconds or
/// nanoseconds since the epoch, told apart by size.
pub(crate) fn any_time(value: &Value) -> Option<EventTime> {
    match value {
        Value::String(text) => time_of_text(text),
        Value::Number(number) => number.as_f64().and_then(epoch_time),
        _ => None,
    }
}

/// An epoch time by its size: seconds until the year 5138, then milli-, micro-, nanoseconds.
pub(crate) fn epoch_time(value: f64) -> Option<EventTime> {
    let nanos = match value {
        v if !(0.0..9.2e18).contains(&v) => return None,
        v if v < 1e11 => v * 1e9,
        v if v < 1e14 => v * 1e6,
        v if v < 1e17 => v * 1e3,
        v => v,
    };
    Some(EventTime(nanos as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_map_takes_scalars_and_leaves_the_rest() {
        let map: TextMap<'_> =
            serde_json::from_str(r#"{"a":"x","b":2,"c":true,"d":null,"e":[1],"f":{"g":1},"h\n":"\u00e4"}"#)
                .expect("json");
        let pairs: Vec<(&str, &str)> = map.pairs().collect();
        assert_eq!(pairs, vec![("a", "x"), ("b", "2"), ("c", "true"), ("h\n", "ä")]);
        assert!(matches!(map.0[0].1, Cow::Borrowed(_)));
    }

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
    fn a_path_goes_through_objects_lists_and_dotted_keys() {
        let document: Value = serde_json::from_str(r#"{"a":{"b.c":{"d":1}},"x.y":2,"l":[{"k":"v"}]}"#).expect("json");
        assert_eq!(text_at(&document, "a.b.c"), None, "`a.b.c` is no scalar");
        assert_eq!(text_at(&document, "x.y").as_deref(), Some("2"));
        assert_eq!(text_at(&document, "l.0.k").as_deref(), Some("v"));
        assert_eq!(text_at(&document, "l.1.k"), None);
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
}
