//! From a payload to what the engine is to do: no I/O, everything checked.

use bellwether_engine::incident::TicketRef;
use bellwether_engine::input::{Action, TicketVerb, Voice};
use serde::Deserialize;

use crate::intake::reject::{BadRow, Reason};

/// Longest text of a payload in bytes: ids, names, links.
const TEXT_BYTES_MAX: usize = 1_024;
/// Longest payload in bytes: every text at its longest, each byte escaped.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Digits of an alert's fingerprint.
const FINGERPRINT_DIGITS: usize = 16;

/// The kinds of feedback.
const KINDS: [&str; 11] = [
    "acknowledge",
    "resolve",
    "reopen",
    "close",
    "false_positive",
    "retract",
    "attach",
    "detach",
    "merge",
    "cause",
    "solve",
];
/// What can have become of a ticket.
const VERBS: [&str; 14] = [
    "created",
    "updated",
    "acknowledged",
    "resolved",
    "closed",
    "reassigned",
    "commented",
    "reopened",
    "prioritised",
    "merged",
    "linked",
    "deleted",
    "waiting",
    "continued",
];

/// One message, read.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    /// Under which it may come again.
    pub(crate) id: Option<String>,
    /// In this order.
    pub(crate) actions: Vec<Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    id: Option<String>,
    incident: Option<String>,
    who: String,
    problem: Option<String>,
    alert: Option<String>,
    into: Option<String>,
    cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticket {
    id: Option<String>,
    incident: String,
    key: String,
    #[serde(default)]
    url: String,
    status: Option<String>,
    who: Option<String>,
    resolution: Option<Resolution>,
    text: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Resolution {
    Fixed,
    FalsePositive,
}

/// What an operator says: `kind` of an incident.
///
/// # Errors
/// [`BadRow`] naming the field and what belongs there.
pub(crate) fn feedback(kind: &str, payload: &[u8]) -> Result<Said, BadRow> {
    if !KINDS.contains(&kind) {
        return Err(unknown("kind of feedback", kind, &KINDS));
    }
    let Feedback { id, incident, who, problem, alert, into, cause } = parse(payload)?;
    if let Some(id) = &id {
        check("id", id)?;
    }
    // A problem is of many incidents.
    let incident = takes("incident", kind, incident, kind != "solve")?;
    let problem = takes("problem", kind, problem, kind == "solve")?;
    check("who", &who)?;
    let fingerprint = takes("alert", kind, alert, ["attach", "detach"].contains(&kind))?;
    let other = takes("into", kind, into, kind == "merge")?;
    let cause = takes("cause", kind, cause, kind == "cause")?;
    if !fingerprint.is_empty() {
        check_fingerprint(&fingerprint)?;
    }
    let voice = Voice::Operator;
    let action = match kind {
        "acknowledge" => Action::Acknowledge { incident, who, voice },
        "resolve" => Action::Resolve { incident, who, voice },
        "reopen" => Action::Reopen { incident, who },
        "close" => Action::Close { incident, who, voice },
        "false_positive" => Action::FalsePositive { incident, who },
        "retract" => Action::Retract { incident, who },
        "attach" => Action::Attach { incident, alert: fingerprint, who },
        "detach" => Action::Detach { incident, alert: fingerprint, who },
        "cause" => Action::Cause { incident, cause, who },
        "solve" => Action::Solve { problem, who },
        _ => Action::Merge { incident, into: other, who },
    };
    Ok(Said { id, actions: vec![action] })
}

/// What a ticketing system says: a ticket of `system` was `verb`.
///
/// # Errors
/// [`BadRow`] naming the field and what belongs there.
pub(crate) fn ticket(verb: &str, system: &str, payload: &[u8]) -> Result<Said, BadRow> {
    if !VERBS.contains(&verb) {
        return Err(unknown("verb of a ticket", verb, &VERBS));
    }
    check("system", system)?;
    let Ticket { id, incident, key, url, status, who, resolution, text } = parse(payload)?;
    for (field, text) in [("id", id.as_deref()), ("status", status.as_deref()), ("who", who.as_deref())] {
        text.map_or(Ok(()), |text| check(field, text))?;
    }
    check("incident", &incident)?;
    check("key", &key)?;
    if !url.is_empty() {
        check("url", &url)?;
    }
    let ends = ["resolved", "closed"].contains(&verb);
    if resolution.is_some() && !ends {
        return Err(BadRow::new(Reason::Unknown, "resolution", format!("a ticket that is {verb} has none")));
    }
    let who = who.unwrap_or_else(|| system.to_owned());
    if let Some(changed) = changed(verb) {
        let text = text.unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadRow::new(Reason::TooLong, "text", format!("it is longer than {TEXT_BYTES_MAX} bytes")));
        }
        let system = system.to_owned();
        let action = Action::TicketChanged { incident, system, key, verb: changed, who, text };
        return Ok(Said { id, actions: vec![action] });
    }
    if text.is_some() {
        return Err(BadRow::new(Reason::Unknown, "text", format!("a ticket that is {verb} has none")));
    }
    let status = status.unwrap_or_else(|| verb.to_owned());
    let ticket = TicketRef { system: system.to_owned(), key, url, status };
    let voice = Voice::Ticket;
    let mut actions = vec![Action::Ticket { incident: incident.clone(), ticket }];
    if verb == "acknowledged" {
        actions.push(Action::Acknowledge { incident: incident.clone(), who: who.clone(), voice });
    }
    if ends && resolution == Some(Resolution::FalsePositive) {
        actions.push(Action::FalsePositive { incident: incident.clone(), who: who.clone() });
    } else if verb == "resolved" {
        actions.push(Action::Resolve { incident: incident.clone(), who: who.clone(), voice });
    }
    if verb == "closed" {
        actions.push(Action::Close { incident, who, voice });
    }
    Ok(Said { id, actions })
}

/// What was done to a ticket that is not its state; `None` for what is.
fn changed(verb: &str) -> Option<TicketVerb> {
    Some(match verb {
        "reassigned" => TicketVerb::Reassigned,
        "commented" => TicketVerb::Commented,
        "reopened" => TicketVerb::Reopened,
        "prioritised" => TicketVerb::Prioritised,
        "merged" => TicketVerb::Merged,
        "linked" => TicketVerb::Linked,
        "deleted" => TicketVerb::Deleted,
        "waiting" => TicketVerb::Waiting,
        "continued" => TicketVerb::Continued,
        _ => return None,
    })
}

fn parse<'p, T: Deserialize<'p>>(payload: &'p [u8]) -> Result<T, BadRow> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(BadRow::new(Reason::TooLong, "", format!("the payload is longer than {PAYLOAD_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(payload).map_err(|error| {
        let reason = if error.is_data() { Reason::Type } else { Reason::Syntax };
        BadRow::new(reason, "", error.to_string())
    })
}

/// The text of `field`, where `kind` has one, and empty where it has none.
fn takes(field: &str, kind: &str, text: Option<String>, wanted: bool) -> Result<String, BadRow> {
    match (text, wanted) {
        (Some(text), true) => check(field, &text).map(|()| text),
        (None, true) => Err(BadRow::new(Reason::Missing, field, format!("`{kind}` needs it"))),
        (Some(_), false) => Err(BadRow::new(Reason::Unknown, field, format!("`{kind}` has none"))),
        (None, false) => Ok(String::new()),
    }
}

fn check(field: &str, text: &str) -> Result<(), BadRow> {
    if text.trim().is_empty() {
        return Err(BadRow::new(Reason::Missing, field, "it is empty"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(BadRow::new(Reason::TooLong, field, format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(BadRow::new(Reason::Word, field, "it has control characters"));
    }
    Ok(())
}

fn check_fingerprint(text: &str) -> Result<(), BadRow> {
    if text.len() == FINGERPRINT_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let detail = format!("`{}` is no fingerprint: {FINGERPRINT_DIGITS} hexadecimal digits", short(text));
    Err(BadRow::new(Reason::Word, "alert", detail))
}

fn unknown(what: &str, word: &str, known: &[&str]) -> BadRow {
    BadRow::new(Reason::Word, "", format!("unknown {what} `{}`, known: {}", short(word), known.join(", ")))
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
