//! From what somebody wants done to an action: an entry of the journal with who said it.

use std::str::FromStr as _;

use bellwether_engine::expr::{ALERT_COLUMNS, Expression};
use bellwether_engine::input::{Action, TicketVerb, Voice};
use bellwether_engine::time::{EventTime, Span};

use super::form::{Form, Mistake};

/// The system that assignments and comments of ours are said to come from.
pub(crate) const OWN_SYSTEM: &str = "bellwether";
/// The longest that something may be kept quiet.
const SILENCE_MAX: Span = Span::from_hours(31 * 24);
/// How far ahead a window may be planned, and how often it may come.
const AHEAD_MAX: Span = Span::from_hours(366 * 24);
const TIMES_MAX: i64 = 60;
/// Digits of an alert's fingerprint.
const FINGERPRINT_DIGITS: usize = 16;

/// The deeds, as addresses name them, with what is said when they are done.
const DEEDS: [(&str, &str); 11] = [
    ("acknowledge", "You have it."),
    ("acknowledge-again", "You have it now."),
    ("assign", "It is given over."),
    ("resolve", "It is said to be fixed."),
    ("reopen", "It goes on."),
    ("close", "It is closed."),
    ("false_positive", "It is known as no incident, and so is what it was made of."),
    ("comment", "It is written down."),
    ("cause", "The cause is named; it teaches what comes."),
    ("merge", "The two are one."),
    ("detach", "The alert is split off."),
];

/// What is said when a deed is done; `None` for what is none.
pub(crate) fn said_of(deed: &str) -> Option<&'static str> {
    DEEDS.iter().find(|(known, _)| *known == deed).map(|(_, said)| *said)
}

/// The action that `deed` on an incident is.
///
/// # Errors
/// [`Mistake`] with what is to be written instead.
pub(crate) fn deed(deed: &str, incident: &str, who: &str, form: &Form) -> Result<Action, Mistake> {
    let (incident, who) = (incident.to_owned(), who.to_owned());
    let voice = Voice::Operator;
    let changed = |verb, text| {
        let (incident, key, who) = (incident.clone(), incident.clone(), who.clone());
        Action::TicketChanged { incident, system: OWN_SYSTEM.to_owned(), key, verb, who, text }
    };
    Ok(match deed {
        "acknowledge" => Action::Acknowledge { incident, who, voice },
        "acknowledge-again" => changed(TicketVerb::Reassigned, who.clone()),
        "assign" => changed(TicketVerb::Reassigned, form.line("to")?),
        "resolve" => Action::Resolve { incident, who, voice },
        "reopen" => Action::Reopen { incident, who },
        "close" => Action::Close { incident, who, voice },
        "false_positive" => Action::FalsePositive { incident, who },
        "comment" => changed(TicketVerb::Commented, form.lines("text")?),
        "cause" => {
            let cause = if form.get("cause").is_some() { form.line("cause") } else { form.line("other") };
            Action::Cause { incident, cause: cause?, who }
        }
        "merge" => {
            let into = form.line("into")?;
            if into == incident {
                return Err(Mistake::Other("an incident cannot be a part of itself: choose another".to_owned()));
            }
            Action::Merge { incident, into, who }
        }
        "detach" => Action::Detach { incident, alert: fingerprint(&form.line("alert")?)?, who },
        other => return Err(Mistake::Other(format!("`{other}` is nothing that can be done to an incident"))),
    })
}

/// A fingerprint as actions name it.
pub(crate) fn fingerprint(text: &str) -> Result<String, Mistake> {
    let good = text.len() == FINGERPRINT_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = || Mistake::Other(format!("`{text}` is no fingerprint: {FINGERPRINT_DIGITS} hexadecimal digits"));
    good.then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}

/// The silences that a form asks for: one, or a window that comes again, the first under `id`.
///
/// # Errors
/// [`Mistake`] with what is to be written instead.
pub(crate) fn silences(id: &str, who: &str, now: EventTime, form: &Form) -> Result<Vec<Action>, Mistake> {
    let matching = match (form.get("matching"), form.get("entity")) {
        (Some(_), _) => form.line("matching")?,
        (None, Some(_)) => format!("entity = {}", quoted(&form.line("entity")?)),
        (None, None) => return Err(Mistake::Missing("entity")),
    };
    Expression::compile(&matching, ALERT_COLUMNS).map_err(|error| Mistake::Other(error.to_string()))?;
    let lasts = Span::from_str(form.raw("for")).map_err(|error| Mistake::Other(error.to_string()))?;
    if lasts <= Span::ZERO || lasts > SILENCE_MAX {
        return Err(Mistake::Other("`for` is up to 31 days: `30m`, `2h`".to_owned()));
    }
    let first = match form.get("from") {
        Some(text) => begin(&text)?,
        None => now,
    };
    let (every, times) = again(form)?;
    if every.is_some_and(|every| lasts > every) {
        return Err(Mistake::Other("it would begin again before it ends: make `for` shorter".to_owned()));
    }
    let last = first.plus(Span(every.map_or(0, |every| every.0.saturating_mul(times - 1))));
    if first.plus(lasts) <= now || last.since(now) > AHEAD_MAX {
        return Err(Mistake::Other("`from` is a time of the next 366 days in UTC: `2026-12-24T22:00`".to_owned()));
    }
    let why = form.line("why")?;
    let one = |time: i64| {
        let from = first.plus(Span(every.map_or(0, |every| every.0 * time)));
        let id = if time == 0 { id.to_owned() } else { format!("{id}.{}", time + 1) };
        let (matching, who, why) = (matching.clone(), who.to_owned(), why.clone());
        Action::Silence { id, matching, from, until: from.plus(lasts), who, why }
    };
    Ok((0..times).map(one).collect())
}

/// When it begins, in UTC: as forms write it, or with its zone.
fn begin(text: &str) -> Result<EventTime, Mistake> {
    let zoned = || text.parse::<jiff::Timestamp>().ok();
    let civil = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let at = zoned().or_else(civil).and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    at.map(EventTime).ok_or_else(|| Mistake::Other(format!("`{text}` is no time: `2026-12-24T22:00`, in UTC")))
}

/// After what time it comes again, and how often it comes.
fn again(form: &Form) -> Result<(Option<Span>, i64), Mistake> {
    let every = match form.raw("repeat").trim() {
        "" | "once" => return Ok((None, 1)),
        "daily" => Span::from_hours(24),
        "weekly" => Span::from_hours(7 * 24),
        other => return Err(Mistake::Other(format!("`{other}` is none of `once`, `daily`, `weekly`"))),
    };
    let times = form.get("times").unwrap_or_else(|| "4".to_owned()).parse::<i64>().ok();
    let times = times.filter(|times| (1..=TIMES_MAX).contains(times));
    times.map(|times| (Some(every), times)).ok_or_else(|| Mistake::Other(format!("`times` is 1 to {TIMES_MAX}")))
}

/// The same silence, over as of `now`.
pub(crate) fn ended(silence: &Action, who: &str, now: EventTime) -> Option<Action> {
    let Action::Silence { id, matching, from, why, .. } = silence else { return None };
    let (id, matching, why, from) = (id.clone(), matching.clone(), why.clone(), (*from).min(now));
    Some(Action::Silence { id, matching, from, until: now, who: who.to_owned(), why })
}

/// A text of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes())
    }

    #[test]
    fn every_deed_is_an_action_of_its_incident_by_who_did_it() {
        let full = form("to=ben&text=hello&cause=host:a&into=inc_2&alert=00C0FFEE00C0FFEE");
        for (name, _) in DEEDS {
            let action = deed(name, "inc_1", "ana", &full).expect(name);
            let text = serde_json::to_string(&action).expect("JSON");
            assert!(text.contains("inc_1") && text.contains("ana"), "{text}");
        }
        assert!(deed("drop", "inc_1", "ana", &full).is_err());
        assert!(deed("merge", "inc_2", "ana", &full).is_err(), "into itself");
        assert!(deed("detach", "inc_1", "ana", &form("alert=xyz")).is_err());
    }

    #[test]
    fn a_silence_is_of_an_entity_or_an_expression_and_ends() {
        let now = EventTime::from_secs(1_000);
        let set = |text: &str| silences("s1", "ana", now, &form(text)).map(|mut all| all.remove(0));
        let Ok(Action::Silence { matching, until, .. }) = set("entity=host:o'brien&for=2h&why=work") else {
            panic!("it is one")
        };
        assert_eq!((matching.as_str(), until), ("entity = 'host:o''brien'", now.plus(Span::from_hours(2))));
        assert!(set("matching=entity+%3D&for=2h&why=x").is_err(), "it does not compile");
        assert!(
            set("entity=host:a&for=2h").is_err()
                && set("entity=host:a&for=9000h&why=x").is_err()
                && set("for=2h&why=x").is_err()
        );
        let over = ended(&set("entity=host:a&for=2h&why=work").expect("it is one"), "ben", EventTime::from_secs(1_500));
        assert!(
            matches!(over, Some(Action::Silence { until, who, .. }) if until == EventTime::from_secs(1_500) && who == "ben")
        );
    }

    #[test]
    fn a_window_is_planned_ahead_and_comes_again_each_under_a_name_of_its_own() {
        let now = EventTime::from_secs(1_800_000_000);
        let set = |more: &str| silences("s1", "ana", now, &form(&format!("entity=host:a&why=work&{more}")));
        let windows = set("for=2h&from=2027-02-01T22:00&repeat=weekly&times=3").expect("they are windows");
        let shown: Vec<(&str, String, Span)> = windows
            .iter()
            .map(|action| match action {
                Action::Silence { id, from, until, .. } => (id.as_str(), from.to_string(), until.since(*from)),
                other => panic!("{other:?}"),
            })
            .collect();
        let two = Span::from_hours(2);
        let starts = ["2027-02-01T22:00:00Z", "2027-02-08T22:00:00Z", "2027-02-15T22:00:00Z"].map(str::to_owned);
        let [first, second, third] = starts;
        assert_eq!(shown, [("s1", first, two), ("s1.2", second, two), ("s1.3", third, two)]);
        assert_eq!(set("for=2h&from=2027-02-01T22:00:00%2B01:00").map(|all| all.len()), Ok(1), "with its zone");
        for wrong in [
            "for=25h&repeat=daily",
            "for=2h&repeat=hourly",
            "for=2h&repeat=daily&times=61",
            "for=2h&from=tomorrow",
            "for=2h&from=2020-01-01T00:00",
            "for=2h&from=2029-01-01T00:00",
        ] {
            assert!(set(wrong).is_err(), "{wrong}");
        }
    }
}
