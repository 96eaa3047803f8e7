//! What others did to a ticket, as it comes from the system's feed: what is theirs from then on, and what the engine
//! is to be told.

use bellwether_engine::incident::IncidentStatus;
use bellwether_engine::input::{Action, TicketVerb, Voice};
use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;

use super::entry::{Closed, Ended, Entry, View};
use super::learn::told;
use super::mapping::{Rules, Said};
use super::system::{Change, Changed, OWNER, PRIORITY, STATUS};

/// Bytes of a text that goes into the journal.
const TEXT_BYTES_MAX: usize = 1_024;

/// What follows from a change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// What the engine is told.
    pub(super) actions: Vec<Action>,
    /// The same trouble is to open no ticket for a time.
    pub(super) mutes: bool,
}

/// Takes in a change that somebody else made. `system` is the bridge's name.
pub(super) fn heard(entry: &mut Entry, change: &Change, rules: &Rules, system: &str, now: EventTime) -> Heard {
    // Whatever it was: the ticket is another than the one that was read.
    entry.view = View::Unknown;
    entry.touched = now;
    let mut heard = Heard::default();
    take(entry, change, &change.what, rules, system, now, &mut heard);
    heard
}

fn take(
    entry: &mut Entry,
    change: &Change,
    what: &Changed,
    rules: &Rules,
    system: &str,
    now: EventTime,
    heard: &mut Heard,
) {
    let said = |entry: &Entry, verb: TicketVerb, text: &str| changed(entry, change, system, verb, text);
    match what {
        Changed::Status(word) => status(entry, change, word, rules, system, now, heard),
        Changed::Owner(owner) => {
            entry.theirs.insert(OWNER.to_owned());
            heard.actions.push(said(entry, TicketVerb::Reassigned, owner));
            // Who takes it for themselves works on it; who is given it may not know yet.
            if *owner == change.who && lives(entry) {
                heard.actions.push(acknowledge(entry, &change.who));
            }
        }
        Changed::Priority(priority) => {
            entry.theirs.insert(PRIORITY.to_owned());
            heard.actions.push(said(entry, TicketVerb::Prioritised, priority));
        }
        Changed::Comment(text) => heard.actions.push(said(entry, TicketVerb::Commented, text)),
        Changed::Linked(other) => heard.actions.push(said(entry, TicketVerb::Linked, other)),
        Changed::Merged(other) => {
            entry.ended = Some(Ended::Merged(other.clone()));
            heard.actions.push(said(entry, TicketVerb::Merged, other));
        }
        Changed::Field(_) => {}
        Changed::Now(fields) => {
            for (name, value) in fields {
                let known = entry.heard.get(name).or(entry.written.get(name)).map_or("", String::as_str);
                if known == value {
                    continue;
                }
                entry.heard.insert(name.clone(), value.clone());
                let what = match name.as_str() {
                    STATUS => Changed::Status(value.clone()),
                    OWNER => Changed::Owner(value.clone()),
                    PRIORITY => Changed::Priority(value.clone()),
                    other => Changed::Field(other.to_owned()),
                };
                take(entry, change, &what, rules, system, now, heard);
            }
        }
    }
}

/// What the engine is told of a change.
fn changed(entry: &Entry, change: &Change, system: &str, verb: TicketVerb, text: &str) -> Action {
    Action::TicketChanged {
        incident: entry.key.incident.clone(),
        system: system.to_owned(),
        key: entry.ticket.clone().unwrap_or_default(),
        verb,
        who: short(&change.who),
        text: short(text),
    }
}

fn status(
    entry: &mut Entry,
    change: &Change,
    word: &str,
    rules: &Rules,
    system: &str,
    now: EventTime,
    heard: &mut Heard,
) {
    let was_end = rules.is_end(&entry.told);
    let waited = rules.said(&entry.told) == Some(Said::Waiting);
    let live = lives(entry);
    heard.actions.extend(told(entry, system, word));
    let changed = |entry: &Entry, verb: TicketVerb| changed(entry, change, system, verb, word);
    let said = rules.said(word);
    match said == Some(Said::Waiting) {
        true => heard.actions.push(changed(entry, TicketVerb::Waiting)),
        false if waited => heard.actions.push(changed(entry, TicketVerb::Continued)),
        false => {}
    }
    if said.is_some_and(Said::is_end) {
        entry.closed.get_or_insert(Closed { at: now, status: word.to_owned(), said: false });
    } else {
        entry.closed = None;
        if was_end {
            heard.actions.push(changed(entry, TicketVerb::Reopened));
        }
        if entry.ended == Some(Ended::Deleted) {
            entry.ended = None;
        }
    }
    let (incident, who, voice) = (entry.key.incident.clone(), short(&change.who), Voice::Ticket);
    match said {
        Some(Said::Acknowledged) if live => heard.actions.push(acknowledge(entry, &change.who)),
        Some(Said::Resolved) if live => heard.actions.push(Action::Resolve { incident, who, voice }),
        Some(Said::Closed) if live => heard.actions.push(Action::Close { incident, who, voice }),
        Some(Said::FalsePositive) => heard.actions.push(Action::FalsePositive { incident, who }),
        Some(Said::WontFix) => {
            heard.mutes = true;
            if live {
                heard.actions.push(Action::Close { incident, who, voice });
            }
        }
        Some(Said::Deleted) => {
            entry.ended = Some(Ended::Deleted);
            heard.actions.push(changed(entry, TicketVerb::Deleted));
        }
        _ => {}
    }
}

fn acknowledge(entry: &Entry, who: &str) -> Action {
    Action::Acknowledge { incident: entry.key.incident.clone(), who: short(who), voice: Voice::Ticket }
}

/// Whether the engine has not said that the incident is over for good.
fn lives(entry: &Entry) -> bool {
    let status = entry.wanted.as_ref().map(|record| record.status);
    let status = status.or(entry.shown.as_ref().map(|shown| shown.status));
    !matches!(status, Some(IncidentStatus::Closed | IncidentStatus::Merged))
}

/// A text as the journal takes it.
fn short(text: &str) -> String {
    cut_to(text, TEXT_BYTES_MAX).to_owned()
}
