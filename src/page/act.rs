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

/// The silence that a form asks for, under `id`.
///
/// # Errors
/// [`Mistake`] with what is to be written instead.
pub(crate) fn silence(id: String, who: &str, now: EventTime, form: &Form) -> Result<Action, Mistake> {
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
    Ok(Action::Silence { id, matching, from: now, until: now.plus(lasts), who: who.to_owned(), why: form.line("why")? })
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
        let set = |text: &str| silence("s1".to_owned(), "ana", now, &form(text));
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
}
