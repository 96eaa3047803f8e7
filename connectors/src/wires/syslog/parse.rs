//! One syslog message: RFC 5424, RFC 3164 and what devices make of it.

use std::borrow::Cow;

use bellwether_engine::time::EventTime;

use super::legacy::rfc3164;
use super::message::Message;

/// Facility user, severity notice: what RFC 3164 gives a message without a priority.
const DEFAULT_PRIORITY: u8 = 13;

/// Reads any text; what has no structure is all text. Blanks and NUL at its end are none.
pub fn parse(text: &str, received: EventTime) -> Message<'_> {
    let text = text.trim_end_matches(|end: char| end.is_whitespace() || end == '\0');
    let (prioritised, priority, rest) = match priority(text) {
        Some((priority, rest)) => (true, priority, rest),
        None => (false, DEFAULT_PRIORITY, text),
    };
    let message = rest
        .trim_start_matches(' ')
        .strip_prefix("1 ")
        .and_then(rfc5424)
        .or_else(|| rfc3164(rest, received))
        .unwrap_or_else(|| Message { text: rest.trim_start_matches(' '), ..Message::default() });
    Message {
        facility: priority >> 3,
        severity: priority & 7,
        prioritised,
        text: message.text.trim_start_matches('\u{feff}'),
        ..message
    }
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
    // Some leave out structured data, or all behind the identifier.
    let tail = fields.next().unwrap_or("-");
    let (data, text) = match tail.strip_prefix('-').filter(|text| text.is_empty() || text.starts_with(' ')) {
        Some(text) => (Vec::new(), text),
        None => structured_data(tail),
    };
    Some(Message {
        time,
        host,
        app,
        process,
        id,
        data,
        raw_data: tail[..tail.len() - text.len()].trim_matches(['-', ' ']),
        text: text.trim_start_matches(' '),
        ..Message::default()
    })
}

type Data<'a> = (Vec<(String, Cow<'a, str>)>, &'a str);

/// `[id name="value" …][…]`, and the text behind it. What is no element is text, so that a broken one
/// loses nothing.
fn structured_data(mut rest: &str) -> Data<'_> {
    let mut data = Vec::new();
    while let Some(after) = element(rest, &mut data) {
        rest = after;
    }
    (data, rest)
}

/// Takes one element off, with `\"`, `\\` and `\]` escaped inside values; `None` when there is none.
fn element<'a>(text: &'a str, data: &mut Vec<(String, Cow<'a, str>)>) -> Option<&'a str> {
    let before = data.len();
    let found = element_into(text, data);
    if found.is_none() {
        data.truncate(before);
    }
    found
}

fn element_into<'a>(text: &'a str, data: &mut Vec<(String, Cow<'a, str>)>) -> Option<&'a str> {
    let element = text.strip_prefix('[')?;
    let end = element.find([' ', ']'])?;
    let (id, mut rest) = element.split_at(end);
    let mut parameters = 0;
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(']') {
            // By the RFC ids are registered or hold an `@`; `[error]` is a text's first word.
            let known = parameters > 0 || id.contains('@') || matches!(id, "timeQuality" | "origin" | "meta");
            return (known && !id.is_empty()).then_some(after);
        }
        let (name, after) = rest.split_once("=\"")?;
        if name.is_empty() || name.contains([' ', ']', '"', '=']) {
            return None;
        }
        let end = value_end(after)?;
        data.push((format!("{id}.{name}"), unescaped(&after[..end])));
        rest = &after[end + 1..];
        parameters += 1;
    }
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
    fn a_message_of_rfc_3164_gets_its_year_from_its_receipt() {
        let message = parse("<131>Nov 20 11:39:02 vm app[77]: text: more", RECEIVED);
        assert_eq!((message.host, message.app, message.process, message.text), ("vm", "app", "77", "text: more"));
        assert_eq!(message.time, Some(EventTime::from_secs(1_795_174_742)));
        assert!(message.zoneless);
        let new_year = EventTime::parse_rfc3339("2027-01-01T00:00:05Z").expect("a time");
        let old_year = parse("<13>Dec 31 23:59:58 vm app: text", new_year).time;
        assert_eq!(old_year, EventTime::parse_rfc3339("2026-12-31T23:59:58Z").ok());
    }

    #[test]
    fn structured_data_that_is_missing_or_broken_costs_no_text_and_no_header() {
        let head = "<165>1 2026-11-20T11:39:02.133Z mx-1 mgd 3046";
        let data = "[junos@2636.1 username=\"ops\"]";
        for (tail, id, raw, text) in [
            ("UI_LOGOUT", "UI_LOGOUT", "", ""),
            ("UI_LOGOUT -", "UI_LOGOUT", "", ""),
            ("UI_LOGOUT [junos@2636.1 username=\"ops\"]", "UI_LOGOUT", data, ""),
            ("ID [junos@2636.1 username=\"ops\"] [x] gone", "ID", data, "[x] gone"),
            ("ID [junos@2636.1 username=\"ops\"][error] gone", "ID", data, "[error] gone"),
            ("- [error] disk is full", "", "", "[error] disk is full"),
            ("- - [error] disk is full", "", "", "[error] disk is full"),
            ("- disk is full", "", "", "disk is full"),
            ("- [a@1 b=\"c] disk is full", "", "", "[a@1 b=\"c] disk is full"),
            ("- [a@1 b=c] disk is full", "", "", "[a@1 b=c] disk is full"),
            ("- -5 degrees", "", "", "-5 degrees"),
            ("- [a@1]", "", "[a@1]", ""),
        ] {
            let text_sent = format!("{head} {tail}");
            let message = parse(&text_sent, RECEIVED);
            assert_eq!((message.host, message.app, message.id), ("mx-1", "mgd", id), "{tail}");
            assert_eq!((message.raw_data, message.text), (raw, text), "{tail}");
        }
    }

    #[test]
    fn nul_and_blanks_at_the_end_are_no_text() {
        assert_eq!(parse("<11>payment failed for card 7\0", RECEIVED).text, "payment failed for card 7");
        assert_eq!(parse("<11>payment failed \0\n\0", RECEIVED).text, "payment failed");
    }

    #[test]
    fn devices_that_follow_no_rfc_are_all_text() {
        for text in ["%SYS-5-CONFIG_I: Configured", "", "<999>x", "<>", "<13", "1 a b", "Nov 99 11:11:11 a b: c"] {
            let message = parse(text, RECEIVED);
            assert_eq!(message.text, text.trim_end(), "{text}");
            assert_eq!((message.severity, message.prioritised), (5, false));
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
