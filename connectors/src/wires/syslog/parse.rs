//! One syslog message: RFC 5424, RFC 3164 and what devices make of it.

use std::borrow::Cow;

use bellwether_engine::time::{EventTime, Span};
use jiff::civil;

/// Facility user, severity notice: what RFC 3164 gives a message without a priority.
const DEFAULT_PRIORITY: u8 = 13;

/// Zones are whole quarters of an hour, at most this far from UTC.
const ZONE_STEP: i64 = 15 * 60;
const ZONE_MAX: i64 = 14 * 3_600;

/// A message taken apart; fields that are absent are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message<'a> {
    /// 0–23.
    pub facility: u8,
    /// 0 (emergency) – 7 (debug).
    pub severity: u8,
    /// When, as the sender says.
    pub time: Option<EventTime>,
    /// Who.
    pub host: &'a str,
    /// Which program.
    pub app: &'a str,
    /// Its process.
    pub process: &'a str,
    /// The kind of message (RFC 5424 MSGID).
    pub id: &'a str,
    /// Structured data as `element.parameter` and value, in order.
    pub data: Vec<(String, Cow<'a, str>)>,
    /// The text.
    pub text: &'a str,
}

/// Reads any text; what has no structure is all text.
pub fn parse(text: &str, received: EventTime) -> Message<'_> {
    let (priority, rest) = priority(text).unwrap_or((DEFAULT_PRIORITY, text));
    let message = rest
        .strip_prefix("1 ")
        .and_then(rfc5424)
        .or_else(|| rfc3164(rest, received))
        .unwrap_or_else(|| Message { text: rest, ..Message::default() });
    Message {
        facility: priority >> 3,
        severity: priority & 7,
        text: message.text.trim_start_matches('\u{feff}').trim_end(),
        ..message
    }
}

/// The OpenTelemetry severity number of a syslog severity, after the table in the log data
/// model's appendix B.
pub(crate) fn severity_number(severity: u8) -> u8 {
    [21, 19, 18, 17, 13, 10, 9, 5][usize::from(severity & 7)]
}

fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u8 = plain.then(|| digits.parse().ok()).flatten()?;
    (value <= 191).then_some((value, rest))
}

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`
fn rfc5424(rest: &str) -> Option<Message<'_>> {
    let mut fields = rest.splitn(6, ' ');
    let mut next = || fields.next().map(|field| if field == "-" { "" } else { field });
    let (time, host, app, process, id) = (next()?, next()?, next()?, next()?, next()?);
    let time = match time {
        "" => None,
        time => Some(EventTime::parse_rfc3339(time).ok()?),
    };
    let tail = fields.next()?;
    let (data, text) = match tail.strip_prefix('-') {
        Some(text) => (Vec::new(), text),
        None => structured_data(tail)?,
    };
    Some(Message {
        time,
        host,
        app,
        process,
        id,
        data,
        text: text.strip_prefix(' ').unwrap_or(text).trim_start_matches(' '),
        ..Message::default()
    })
}

type Data<'a> = (Vec<(String, Cow<'a, str>)>, &'a str);

/// `[id name="value" …][…]`, with `\"`, `\\` and `\]` escaped inside values.
fn structured_data(mut rest: &str) -> Option<Data<'_>> {
    let mut data = Vec::new();
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']'])?;
        let id = &element[..end];
        rest = &element[end..];
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let (name, after) = rest.split_once("=\"")?;
            let end = value_end(after)?;
            data.push((format!("{id}.{name}"), unescaped(&after[..end])));
            rest = &after[end + 1..];
        }
    }
    Some((data, rest))
}

/// Where the closing quote is.
fn value_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let plain = value.replace("\\\"", "\"").replace("\\]", "]").replace("\\\\", "\\");
    Cow::Owned(plain)
}

/// `Mmm dd hh:mm:ss HOST TAG[PID]: TEXT`, also with an RFC 3339 time in front.
fn rfc3164(rest: &str, received: EventTime) -> Option<Message<'_>> {
    let (time, rest) = match rest.split_once(' ') {
        Some((stamp, rest)) if stamp.len() >= 19 => (EventTime::parse_rfc3339(stamp).ok()?, rest),
        _ => {
            let stamp = rest.get(..15)?;
            (legacy_time(stamp, received)?, rest[15..].strip_prefix(' ')?)
        }
    };
    // A first word that ends with a colon is the tag of a sender that names no host.
    let (host, rest) = match rest.split_once(' ')? {
        (word, _) if word.ends_with(':') => ("", rest),
        named => named,
    };
    let (app, process, text) = tag(rest);
    Some(Message { time: Some(time), host, app, process, text, ..Message::default() })
}

/// `sshd[123]: text` → program, process and text; a text without a tag stays whole.
fn tag(rest: &str) -> (&str, &str, &str) {
    let length =
        rest.bytes().take(64).take_while(|byte| byte.is_ascii_alphanumeric() || b"_-./@".contains(byte)).count();
    let (name, after) = rest.split_at(length);
    if name.is_empty() {
        return ("", "", rest);
    }
    if let Some(text) = after.strip_prefix(':') {
        return (name, "", text.strip_prefix(' ').unwrap_or(text));
    }
    let process =
        after.strip_prefix('[').and_then(|after| after.split_once(']')).filter(|(process, _)| process.len() <= 32);
    match process {
        Some((process, text)) => {
            let text = text.strip_prefix(':').unwrap_or(text);
            (name, process, text.strip_prefix(' ').unwrap_or(text))
        }
        None => ("", "", rest),
    }
}

/// `Nov 20 11:39:02` has neither year nor zone. Both follow from when it was received: the
/// year that puts it nearest, and the quarter of an hour by which it is off, which is the
/// sender's zone as long as it sends within minutes.
fn legacy_time(stamp: &str, received: EventTime) -> Option<EventTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| stamp.starts_with(name))? as i8 + 1;
    let number = |range: std::ops::Range<usize>| stamp.get(range)?.trim_start().parse::<i8>().ok();
    let (day, hour, minute, second) = (number(4..6)?, number(7..9)?, number(10..12)?, number(13..15)?);
    let now = jiff::Timestamp::from_nanosecond(i128::from(received.0)).ok()?;
    let this_year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    let at = |year: i16| {
        let date_time = civil::DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
        Some(date_time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let now = now.as_second();
    let nearest =
        [this_year - 1, this_year, this_year + 1].into_iter().filter_map(at).min_by_key(|secs| (secs - now).abs())?;
    let off = now - nearest;
    let zone = (off + ZONE_STEP / 2).div_euclid(ZONE_STEP) * ZONE_STEP;
    let zone = if zone.abs() <= ZONE_MAX { zone } else { 0 };
    Some(EventTime::from_secs(nearest).plus(Span::from_secs(zone)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-20T11:39:03Z.
    const RECEIVED: EventTime = EventTime::from_secs(1_795_174_743);

    #[test]
    fn a_message_of_rfc_5424_as_logger_sends_it() {
        let text = "<131>1 2026-11-20T11:39:02.990271+00:00 vm app - ID1 \
                    [timeQuality tzKnown=\"1\"][origin@32473 ip=\"1.2.3.4\" q=\"a\\\"b\\]\"] text";
        let message = parse(text, RECEIVED);
        assert_eq!((message.facility, message.severity), (16, 3));
        assert_eq!((message.host, message.app, message.process, message.id), ("vm", "app", "", "ID1"));
        assert_eq!(message.time, EventTime::parse_rfc3339("2026-11-20T11:39:02.990271Z").ok());
        assert_eq!(message.data[1], ("origin@32473.ip".to_owned(), "1.2.3.4".into()));
        assert_eq!(message.data[2].1, "a\"b]");
        assert_eq!(message.text, "text");
    }

    #[test]
    fn rsyslogs_extra_space_and_a_byte_order_mark_are_not_text() {
        let message = parse("<26>1 2026-11-20T11:39:02Z vm rs - - -  via rsyslog\n", RECEIVED);
        assert_eq!(message.text, "via rsyslog");
        assert_eq!(parse("<26>1 - - - - - - \u{feff}ä", RECEIVED).text, "ä");
        assert_eq!(parse("<26>1 - - - - - -", RECEIVED).text, "");
    }

    #[test]
    fn a_message_of_rfc_3164_gets_year_and_zone_from_its_receipt() {
        let message = parse("<131>Nov 20 11:39:02 vm app[77]: text: more", RECEIVED);
        assert_eq!((message.host, message.app, message.process, message.text), ("vm", "app", "77", "text: more"));
        assert_eq!(message.time, Some(EventTime::from_secs(1_795_174_742)));
        let elsewhere = parse("<131>Nov 20 12:39:02 vm app: text", RECEIVED);
        assert_eq!(elsewhere.time, message.time, "an hour ahead is a zone, not the future");
        let new_year = EventTime::parse_rfc3339("2027-01-01T00:00:05Z").expect("a time");
        let old_year = parse("<13>Dec 31 23:59:58 vm app: text", new_year).time;
        assert_eq!(old_year, EventTime::parse_rfc3339("2026-12-31T23:59:58Z").ok());
    }

    #[test]
    fn devices_that_follow_no_rfc_are_all_text() {
        for text in ["%SYS-5-CONFIG_I: Configured", "", "<999>x", "<>", "<13", "1 a b", "Nov 99 11:11:11 a b: c"] {
            let message = parse(text, RECEIVED);
            assert_eq!(message.text, text.trim_end(), "{text}");
            assert_eq!(message.severity, 5);
        }
        let iso = parse("<13>2026-11-20T11:39:02.5Z fw1 kernel: drop", RECEIVED);
        assert_eq!((iso.host, iso.app, iso.text), ("fw1", "kernel", "drop"));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_text_parses(text in "(<[0-9]{0,4}>)?(1 )?[ -~äé\\[\\]\"=\\\\]{0,120}") {
            let message = parse(&text, RECEIVED);
            prop_assert!(message.text.len() <= text.len());
            prop_assert!(message.severity <= 7 && message.facility <= 23);
        }

        #[test]
        fn a_damaged_message_parses(at in 0usize..90, with in "\\PC") {
            let good = "<131>1 2026-11-20T11:39:02Z vm app - ID1 [o@1 ip=\"1.2.3.4\"] text and more text follows";
            let mut text: String = good.chars().take(at).collect();
            text.push_str(&with);
            text.extend(good.chars().skip(at + 1));
            parse(&text, RECEIVED);
        }
    }
}
