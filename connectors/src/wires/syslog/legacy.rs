//! RFC 3164, and what devices make of it: the header is a time, a host and a tag, in many spellings.

use bellwether_engine::time::EventTime;
use jiff::civil;

use super::message::Message;

/// `Mmm dd hh:mm:ss HOST TAG[PID]: TEXT`, also with a year, fractions, a zone or an ISO time, and as
/// Cisco writes it: a sequence number in front, a colon after the time, no host.
pub(super) fn rfc3164(rest: &str, received: EventTime) -> Option<Message<'_>> {
    let text = rest.trim_start_matches(' ');
    let (named, text) = sequence(text);
    let (clock_unset, text) = match text.strip_prefix('*') {
        Some(text) => (true, text),
        // The clock was right once.
        None => (false, text.strip_prefix('.').unwrap_or(text)),
    };
    let stamp = stamp(text, received)?;
    // The star says that the clock was never set.
    let time = (!clock_unset).then_some(stamp.time);
    let message = Message { time, zoneless: !stamp.zoned, host: named, ..Message::default() };
    if stamp.ended {
        return Some(Message { text: stamp.rest.trim_start_matches(' '), ..message });
    }
    let rest = stamp.rest;
    // A first word that ends with a colon is the tag of a sender that names no host; so is a program
    // with its process.
    let (word, after) = rest.split_once(' ')?;
    let (host, rest) = match word.ends_with(':') || word.ends_with(']') && !word.starts_with('[') {
        true => (named, rest),
        false => (bare_address(word)?, after.trim_start_matches(' ')),
    };
    // Cisco ASA with a device id: `fw-1 : %ASA-6-302013: …`.
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    let (app, process, text) = tag(rest);
    Some(Message { host, app, process, text, ..message })
}

/// An address without the brackets that relays put around it; `None` for other words in brackets,
/// which are no host.
fn bare_address(word: &str) -> Option<&str> {
    match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::IpAddr>().is_ok().then_some(address),
        None => (!word.starts_with('[')).then_some(word),
    }
}

/// What Cisco puts in front of the time: `45: `, `45: host: `, `45: host: 000046: ` or `: `. Returns
/// the host.
fn sequence(text: &str) -> (&str, &str) {
    let number = |text: &'_ str| -> Option<usize> {
        let digits = text.bytes().take(12).take_while(u8::is_ascii_digit).count();
        text[digits..].starts_with(": ").then_some(digits + 2)
    };
    let Some(length) = number(text) else { return ("", text) };
    let rest = &text[length..];
    let host = rest.split_once(": ").filter(|(word, _)| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        plain && word.bytes().any(|byte| byte.is_ascii_alphabetic()) && word.len() <= 255
    });
    match host {
        Some((host, rest)) => (host, &rest[number(rest).unwrap_or(0)..]),
        None => ("", rest),
    }
}

struct Stamp<'a> {
    time: EventTime,
    /// The text says its zone, or is an instant.
    zoned: bool,
    /// A colon stands behind it: no host follows.
    ended: bool,
    rest: &'a str,
}

/// Takes the next word off, without the blanks after it.
fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest.find(' ').unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start_matches(' ');
    (!word.is_empty()).then_some(word)
}

fn stamp(text: &str, received: EventTime) -> Option<Stamp<'_>> {
    let mut rest = text;
    let first = word(&mut rest)?;
    if first.len() >= 10 && first.as_bytes()[0].is_ascii_digit() {
        return iso(first, rest);
    }
    let mut next = first;
    if WEEKDAYS.contains(&next.trim_end_matches(',')) {
        next = word(&mut rest)?;
    }
    let mut year = year_of(next);
    if year.is_some() {
        next = word(&mut rest)?;
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(next))? as i8 + 1;
    let day: i8 = word(&mut rest)?.parse().ok()?;
    let mut clock = word(&mut rest)?;
    if year.is_none()
        && let Some(found) = year_of(clock)
    {
        year = Some(found);
        clock = word(&mut rest)?;
    }
    let (clock, mut ended) = without_colon(clock);
    let (clock, mut zone) = match clock.strip_suffix('Z') {
        Some(clock) => (clock, Some(0)),
        None => (clock, None),
    };
    let time = clock_time(clock)?;
    // A zone, a year or both may follow, the last with a colon.
    for _ in 0..2 {
        let mut after = rest;
        let Some((found, colon)) = word(&mut after).map(without_colon).filter(|_| !ended) else { break };
        match (zone, zone_of(found), year, year_of(found)) {
            (None, Some(secs), ..) => zone = Some(secs),
            (_, _, None, Some(found)) => year = Some(found),
            _ => break,
        }
        (rest, ended) = (after, colon);
    }
    let at = |year: i16| -> Option<i64> {
        let utc = civil::Date::new(year, month, day).ok()?.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        i64::try_from(utc.timestamp().as_nanosecond()).ok()
    };
    let nanos = match year {
        Some(year) => at(year)?,
        None => nearest(received, at)?,
    };
    Some(Stamp { time: EventTime(nanos.checked_sub(zone.unwrap_or(0) * SECOND)?), zoned: zone.is_some(), ended, rest })
}

const SECOND: i64 = 1_000_000_000;

/// The year that puts the time nearest to its receipt.
fn nearest(received: EventTime, at: impl Fn(i16) -> Option<i64>) -> Option<i64> {
    let now = jiff::Timestamp::from_nanosecond(i128::from(received.0)).ok()?;
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    [year - 1, year, year + 1].into_iter().filter_map(at).min_by_key(|nanos| (nanos - received.0).unsigned_abs())
}

/// `2026-11-20T11:39:02.5+01:00`, `2026-11-20 11:39:02`, the date also with slashes.
fn iso<'a>(first: &'a str, mut rest: &'a str) -> Option<Stamp<'a>> {
    let (first, mut ended) = without_colon(first);
    if let Ok(time) = EventTime::parse_rfc3339(first) {
        return Some(Stamp { time, zoned: true, ended, rest });
    }
    let civil = match first.len() {
        // A date alone: the time is the next word.
        10 => {
            let clock;
            (clock, ended) = without_colon(word(&mut rest)?);
            let clock = clock.strip_suffix('Z').unwrap_or(clock);
            let date: civil::Date = first.replace('/', "-").parse().ok()?;
            date.to_datetime(clock_time(clock)?)
        }
        _ => first.parse().ok()?,
    };
    let mut after = rest;
    let zone = word(&mut after).map(without_colon).and_then(|(found, colon)| Some((zone_of(found)?, colon)));
    if let Some((_, colon)) = zone {
        (rest, ended) = (after, colon);
    }
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let nanos = i64::try_from(utc.as_nanosecond()).ok()?;
    let zone_secs = zone.map_or(0, |(secs, _)| secs);
    Some(Stamp { time: EventTime(nanos.checked_sub(zone_secs * SECOND)?), zoned: zone.is_some(), ended, rest })
}

fn without_colon(word: &str) -> (&str, bool) {
    word.strip_suffix(':').map_or((word, false), |word| (word, true))
}

/// `11:39:02`, with a fraction after a dot or a comma.
fn clock_time(text: &str) -> Option<civil::Time> {
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| (part.len() <= 2).then(|| part.parse::<i8>().ok()).flatten());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0i32, |nanos, digit| nanos * 10 + i32::from(digit - b'0'));
    // A leap second is the second before.
    civil::Time::new(hour, minute, if second == 60 { 59 } else { second }, nanos).ok()
}

fn year_of(word: &str) -> Option<i16> {
    let year = (word.len() == 4).then(|| word.parse().ok()).flatten()?;
    (2000..2090).contains(&year).then_some(year)
}

/// Seconds east of UTC: `+01:00`, `-0500`, and the names that have one meaning among devices.
fn zone_of(word: &str) -> Option<i64> {
    if let Some(digits) = word.strip_prefix(['+', '-']) {
        let digits = digits.as_bytes();
        let (hours, minutes) = match digits {
            [a, b, b':', c, d] | [a, b, c, d] => ([*a, *b], [*c, *d]),
            _ => return None,
        };
        let number = |two: [u8; 2]| std::str::from_utf8(&two).ok()?.parse::<i64>().ok();
        let secs = number(hours)? * 3_600 + number(minutes)? * 60;
        return (secs <= 14 * 3_600).then_some(if word.starts_with('-') { -secs } else { secs });
    }
    let hours = match word {
        "UTC" | "GMT" | "Z" => 0,
        "BST" | "CET" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" => 9,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3_600)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

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

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T11:39:03Z.
    const RECEIVED: EventTime = EventTime::from_secs(1_795_174_743);

    #[test]
    fn a_header_is_known_in_every_spelling() {
        for (text, at, host, app, body) in [
            ("Nov 20 11:39:02 web-1 app[3]: boom", "11:39:02Z", "web-1", "app", "boom"),
            (" Nov 20 11:39:02 ISE-1 CISE_Failed 0002 1 0 x", "11:39:02Z", "ISE-1", "", "CISE_Failed 0002 1 0 x"),
            ("Nov 20 11:39:02.123 web-1 app[3]: boom", "11:39:02.123Z", "web-1", "app", "boom"),
            ("Nov 20 2026 11:39:02 web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Nov 20 2026 11:39:02: %ASA-6-302013: Built", "11:39:02Z", "", "", "%ASA-6-302013: Built"),
            ("Nov 20 2026 11:39:02 fw-1 : %ASA-6-302013: Built", "11:39:02Z", "fw-1", "", "%ASA-6-302013: Built"),
            ("Nov 20 11:39:02 2026 web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Fri Nov 20 11:39:02 2026 web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Nov 20 12:39:02 CET web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Nov 20 12:39:02 +01:00 web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Nov 20 11:39:02Z web-1 app: boom", "11:39:02Z", "web-1", "app", "boom"),
            ("Nov 20 11:39:02 web-1.example.com app: boom", "11:39:02Z", "web-1.example.com", "app", "boom"),
            ("Nov 20 11:39:02 [10.0.0.7] app: boom", "11:39:02Z", "10.0.0.7", "app", "boom"),
            ("Nov 20 11:39:02 app[3]: boom", "11:39:02Z", "", "app", "boom"),
            ("2026-11-20T11:39:02.5Z fw1 kernel: drop", "11:39:02.5Z", "fw1", "kernel", "drop"),
            ("2026-11-20T11:39:02.5 fw1 kernel: drop", "11:39:02.5Z", "fw1", "kernel", "drop"),
            ("2026-11-20 11:39:02 fw1 kernel: drop", "11:39:02Z", "fw1", "kernel", "drop"),
            ("2026/11/20 11:39:02 fw1 kernel: drop", "11:39:02Z", "fw1", "kernel", "drop"),
            ("45: Nov 20 11:39:02.123: %SYS-5-CONFIG_I: x", "11:39:02.123Z", "", "", "%SYS-5-CONFIG_I: x"),
            ("45: .Nov 20 11:39:02 UTC: %SYS-5-CONFIG_I: x", "11:39:02Z", "", "", "%SYS-5-CONFIG_I: x"),
            ("45: r-1: 000046: Nov 20 11:39:02: %SYS-5-X: x", "11:39:02Z", "r-1", "", "%SYS-5-X: x"),
            (": 2026 Nov 20 11:39:02 UTC: %ETHPORT-5-IF: x", "11:39:02Z", "", "", "%ETHPORT-5-IF: x"),
        ] {
            let message = rfc3164(text, RECEIVED).expect(text);
            let time = EventTime::parse_rfc3339(&format!("2026-11-20T{at}")).ok();
            assert_eq!((message.time, message.host, message.app, message.text), (time, host, app, body), "{text}");
        }
        let unset = rfc3164("45: *Mar  1 00:01:11.123: %SYS-5-CONFIG_I: x", RECEIVED).expect("a header");
        assert_eq!((unset.time, unset.text), (None, "%SYS-5-CONFIG_I: x"), "a clock that was never set");
    }

    #[test]
    fn a_zone_is_known_from_an_instant_only() {
        let zoneless = |text| rfc3164(text, RECEIVED).expect(text).zoneless;
        assert!(zoneless("Nov 20 11:39:02 web-1 app: x") && zoneless("2026-11-20 11:39:02 web-1 app: x"));
        assert!(!zoneless("Nov 20 11:39:02 UTC web-1 app: x") && !zoneless("2026-11-20T11:39:02Z web-1 app: x"));
    }

    #[test]
    fn what_only_begins_like_a_header_is_text() {
        for text in [
            "Nov 99 11:11:11 a b: c",
            "November rain in web-1 app: x",
            "Nov 20 11:39 web-1 app: x",
            "Nov 20 11:39:02 [ERROR] no host here",
            "Nov 20 11:39:02",
            "10 apples",
            "2026-11-20",
            "1234567890 x y",
            "45: text without a time",
        ] {
            assert_eq!(rfc3164(text, RECEIVED), None, "{text}");
        }
    }
}
