//! Plain log lines: a time in front when there is one, a level somewhere in it, the rest is the body.

use bellwether_engine::signal::LogRow;
use bellwether_engine::time::EventTime;
use jiff::fmt::strtime::BrokenDownTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::level_after_time;
use super::scalar::Scalar;
use super::signals::Signals;
use super::time::{TimeUnit, civil_nanos, read_time};
use crate::intake::reject::{BadRow, Reason};

/// How plain log lines become log records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinesConfig {
    /// Who writes the log, `type:name`.
    pub entity: String,
    /// The time in front of each line, in `strptime` notation: `%Y-%m-%d-%H.%M.%S.%f`, read as
    /// UTC when it names no zone. A year or a date that it leaves out is the last before the line came.
    /// Without it RFC 3339 and `2026-03-01 10:00:00,123` are
    /// recognised.
    pub time_format: Option<String>,
    /// Refuse lines without a time. Otherwise they get the time of their arrival.
    pub time_required: bool,
}

/// Decodes plain log lines.
#[derive(Debug)]
pub(crate) struct LinesDecoder {
    config: LinesConfig,
    /// What was decoded.
    pub signals: Signals,
}

impl LinesDecoder {
    /// A decoder.
    pub(crate) fn new(config: LinesConfig) -> LinesDecoder {
        LinesDecoder { config, signals: Signals::new() }
    }

    /// Decodes one line; an empty one is nothing. Bytes that are not UTF-8 become `U+FFFD`.
    ///
    /// # Errors
    /// [`BadRow`] when the line has no time and needs one, or the time is out of range.
    pub(crate) fn line(&mut self, line: &[u8], arrival: EventTime) -> Result<(), BadRow> {
        let text = String::from_utf8_lossy(line);
        // A file that was emptied while its writer held it begins with NUL.
        let text = text.trim_matches(|edge: char| edge.is_whitespace() || edge == '\0');
        if text.is_empty() {
            return Ok(());
        }
        let (time, body) = self.split_time(text, arrival)?;
        let time = match time {
            Some(time) => time,
            None if self.config.time_required => {
                let want = self.config.time_format.as_deref().unwrap_or("RFC 3339");
                return Err(BadRow::new(
                    Reason::Time,
                    "time",
                    format!("the line does not begin with a time in `{want}`"),
                ));
            }
            None => arrival,
        };
        self.signals.log(&LogRow {
            time,
            entity: &self.config.entity,
            severity: level_after_time(body),
            body,
            attributes: &[],
            trace_id: None,
        });
        Ok(())
    }

    fn split_time<'a>(&self, text: &'a str, arrival: EventTime) -> Result<(Option<EventTime>, &'a str), BadRow> {
        let (nanos, used) = match &self.config.time_format {
            Some(format) => formatted_time(format, text, arrival),
            None => common_time(text),
        }
        .map_or((None, 0), |(nanos, used)| (Some(nanos), used));
        let Some(nanos) = nanos else {
            return Ok((None, text));
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        let time = read_time("time", &Scalar::Int(nanos), TimeUnit::Ns)?;
        Ok((Some(time), text[used..].trim_start()))
    }
}

fn formatted_time(format: &str, text: &str, arrival: EventTime) -> Option<(i128, usize)> {
    let (mut time, used) = BrokenDownTime::parse_prefix(format, text).ok()?;
    let nanos = |time: &BrokenDownTime| match time.to_timestamp() {
        Ok(at) => Some(at.as_nanosecond()),
        Err(_) => time.to_datetime().ok().and_then(civil_nanos),
    };
    if let Some(nanos) = nanos(&time) {
        return Some((nanos, used));
    }
    // Without a year, or without a date, it is the last one before the line came.
    let now = jiff::Timestamp::from_nanosecond(i128::from(arrival.0)).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let latest = i128::from(arrival.0) + i128::from(AHEAD_NANOS_MAX);
    let candidates: [jiff::civil::Date; 2] = match (time.year(), time.month(), time.day()) {
        (None, Some(_), Some(_)) => [now.date(), now.date().checked_sub(jiff::Span::new().years(1)).ok()?],
        (None, None, None) => [now.date(), now.date().yesterday().ok()?],
        _ => return None,
    };
    let whole_date = time.month().is_none();
    candidates.into_iter().find_map(|date| {
        time.set_year(Some(date.year())).ok()?;
        if whole_date {
            time.set_month(Some(date.month())).ok()?;
            time.set_day(Some(date.day())).ok()?;
        }
        Some((nanos(&time).filter(|nanos| *nanos <= latest)?, used))
    })
}

/// How far a time may lie ahead of the line's arrival before it is of the year, or day, before: other
/// zones, and clocks that are off.
const AHEAD_NANOS_MAX: i64 = 14 * 3_600 * 1_000_000_000;

/// RFC 3339 as one word, or a date and a time as two.
fn common_time(text: &str) -> Option<(i128, usize)> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
        return None;
    }
    let bracket = usize::from(text.starts_with('['));
    let mut spaces = text.match_indices([' ', '\t', ']']).map(|(at, _)| at);
    let ends = [spaces.next().unwrap_or(text.len()), spaces.next().unwrap_or(text.len())];
    for end in ends {
        let candidate = text[bracket..end].trim_end_matches([']', ':', ',']);
        let candidate = candidate.replacen(',', ".", 1);
        let nanos = match candidate.parse::<jiff::Timestamp>() {
            Ok(at) => Some(at.as_nanosecond()),
            // A date alone is not the time of a line.
            Err(_) if !candidate.contains(':') => None,
            Err(_) => candidate.parse().ok().and_then(civil_nanos),
        };
        if let Some(nanos) = nanos {
            let closing = usize::from(text[end..].starts_with(']'));
            return Some((nanos, end + closing));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::LogColumns;
    use proptest::prelude::*;

    use super::*;

    fn decode(config: LinesConfig, line: &str) -> (EventTime, u8, String) {
        let mut decoder = LinesDecoder::new(config);
        decoder.line(line.as_bytes(), EventTime(7)).expect(line);
        let batch = decoder.signals.take("acme").remove(0);
        let columns = LogColumns::of(&batch);
        (EventTime(columns.time[0]), columns.severity[0], columns.body(0).to_owned())
    }

    #[test]
    fn common_times_are_recognised() {
        let at = EventTime::parse_rfc3339("2026-03-01T10:00:00.123Z").expect("a time");
        for line in [
            "2026-03-01T10:00:00.123Z ERROR disk full",
            "2026-03-01 10:00:00,123 ERROR disk full",
            "2026-03-01 10:00:00.123 ERROR disk full",
            "[2026-03-01T10:00:00.123Z] ERROR disk full",
            "[2026-03-01 10:00:00.123] ERROR disk full",
        ] {
            assert_eq!(decode(LinesConfig::default(), line), (at, 17, "ERROR disk full".to_owned()), "{line}");
        }
    }

    #[test]
    fn a_configured_time_is_read() {
        let config = LinesConfig { time_format: Some("%Y-%m-%d-%H.%M.%S.%f".to_owned()), ..LinesConfig::default() };
        let (time, _, body) = decode(config, "2005-06-03-15.42.50.675872 R02 RAS KERNEL INFO x");
        assert_eq!(time, EventTime::parse_rfc3339("2005-06-03T15:42:50.675872Z").expect("a time"));
        assert!(body.starts_with("R02"), "{body}");
    }

    #[test]
    fn a_time_without_a_year_or_a_date_is_the_last_before_the_line_came() {
        let at = |format: &str, line: &str, arrival: &str| {
            let arrival = EventTime::parse_rfc3339(arrival).expect("a time");
            let config = LinesConfig { time_format: Some(format.to_owned()), ..LinesConfig::default() };
            let mut decoder = LinesDecoder::new(config);
            decoder.line(line.as_bytes(), arrival).expect(line);
            EventTime(LogColumns::of(&decoder.signals.take("acme")[0]).time[0]).to_string()
        };
        let syslog = "%b %d %H:%M:%S";
        assert_eq!(at(syslog, "Nov 29 10:00:00 db-1 x", "2026-11-30T01:00:00Z"), "2026-11-29T10:00:00Z");
        assert_eq!(at(syslog, "Dec 31 23:59:58 db-1 x", "2027-01-01T00:00:05Z"), "2026-12-31T23:59:58Z");
        assert_eq!(at(syslog, "Nov 30 02:00:00 db-1 x", "2026-11-30T01:00:00Z"), "2026-11-30T02:00:00Z");
        assert_eq!(at(syslog, "Feb 29 02:00:00 db-1 x", "2025-01-30T01:00:00Z"), "2024-02-29T02:00:00Z");
        assert_eq!(at("%H:%M:%S%.f", "01:00:00.5 x", "2026-11-30T01:00:01Z"), "2026-11-30T01:00:00.5Z");
        assert_eq!(at("%H:%M:%S", "23:59:59 x", "2026-11-30T00:00:01Z"), "2026-11-29T23:59:59Z");
    }

    #[test]
    fn nul_around_a_line_is_no_text() {
        assert_eq!(decode(LinesConfig::default(), "\0\0disk full\0").2, "disk full");
    }

    #[test]
    fn a_line_without_a_time_gets_its_arrival_or_is_refused() {
        assert_eq!(decode(LinesConfig::default(), "10 apples").0, EventTime(7));
        let config = LinesConfig { time_required: true, ..LinesConfig::default() };
        let bad = LinesDecoder::new(config).line(b"10 apples", EventTime(7)).expect_err("refused");
        assert_eq!(bad.reason, Reason::Time);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn arbitrary_bytes_never_panic(
            line in proptest::collection::vec(any::<u8>(), 0..200),
            format in proptest::option::of("%[YmdHMSfzZT -]{0,6}"),
        ) {
            let config = LinesConfig { time_format: format, ..LinesConfig::default() };
            let _ = LinesDecoder::new(config).line(&line, EventTime(7));
        }

        #[test]
        fn anything_like_a_time_never_panics(line in r"\[?[0-9]{1,5}-[0-9]{1,3}[-:T0-9 ,.\]é]{0,30}") {
            let _ = LinesDecoder::new(LinesConfig::default()).line(line.as_bytes(), EventTime(7));
        }
    }
}
