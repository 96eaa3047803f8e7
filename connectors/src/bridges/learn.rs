//! What an answer of the system teaches of one incident's ticket, and what the engine is to be told of it.

use bellwether_engine::incident::TicketRef;
use bellwether_engine::input::Action;
use bellwether_engine::time::{EventTime, Span};

use super::channel;
use super::entry::{Ended, Entry, Intent, Trouble, View, Writing};
use super::mapping::Said;
use super::receiver::Receiver;
use super::step::{Around, Ask};
use super::system::{Fields, STATUS, SystemError, Ticket};

/// First and longest pause after a failure.
const PAUSE: [Span; 2] = [Span::from_secs(1), Span::from_secs(60)];
/// Longest pause after an answer that was lost: its ticket alone may be what the system stumbles over.
const LOST_PAUSE_MAX: Span = Span::from_secs(10);
/// Pause when the system does not let us in: a person has to mend that.
const DENIED_PAUSE: Span = Span::from_secs(30);
/// Longest pause that a system can ask for.
const THROTTLED_MAX: Span = Span::from_mins(30);

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Found(Vec<Ticket>),
    Created(String),
    Is(Ticket),
    Updated,
    Commented,
    Has(bool),
    Linked,
    /// By what replies are known.
    Told(Option<String>),
}

/// What is answered to `ask`.
pub(super) async fn answer(receiver: &Receiver, ask: &Ask) -> Result<Answer, SystemError> {
    let system = match (receiver, ask) {
        (Receiver::Channel(channel), Ask::Tell(telling)) => return Ok(Answer::Told(channel.tell(telling).await?)),
        (Receiver::Tickets(system), _) => system,
        (Receiver::Channel(_), _) => return Err(SystemError::Refused("there are no tickets".to_owned())),
    };
    Ok(match ask {
        Ask::Find { key } => Answer::Found(system.find(key).await?),
        Ask::Read { ticket } => Answer::Is(system.read(ticket).await?),
        Ask::HasComment { ticket, mark } => Answer::Has(system.has_comment(ticket, mark).await?),
        Ask::Create(draft) => Answer::Created(system.create(draft).await?),
        Ask::Update { ticket, version, fields } => {
            let said = system.update(ticket, version, fields).await?;
            tracing::debug!(ticket, said, "updated");
            Answer::Updated
        }
        Ask::Comment { ticket, mark, text } => {
            system.comment(ticket, mark, text).await?;
            Answer::Commented
        }
        Ask::Link { ticket, kind, other } => {
            system.link(ticket, *kind, other).await?;
            Answer::Linked
        }
        Ask::Tell(_) => return Err(SystemError::Refused("there are only tickets".to_owned())),
    })
}

/// How long nothing is sent to the system at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It is away: longer each time.
    Away,
    /// So long.
    For(Span),
}

/// What an answer has led to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Learned {
    /// What the engine is told.
    pub(super) actions: Vec<Action>,
    /// How long nothing is sent to the system.
    pub(super) pause: Option<Pause>,
}

/// Takes in what became of `ask`.
pub(super) fn learn(
    entry: &mut Entry,
    ask: &Ask,
    answered: Result<Answer, SystemError>,
    around: &Around<'_>,
    now: EventTime,
) -> Learned {
    match answered {
        Ok(answer) => Learned { actions: understand(entry, ask, answer, around, now), pause: None },
        Err(error) => Learned { actions: Vec::new(), pause: failed(entry, ask, error, now) },
    }
}

fn understand(entry: &mut Entry, ask: &Ask, answer: Answer, around: &Around<'_>, now: EventTime) -> Vec<Action> {
    entry.went_well();
    match answer {
        Answer::Found(tickets) => return found(entry, tickets, around, now),
        Answer::Created(id) => {
            if let Some(Intent { what: Writing::Create(draft), sure, .. }) = &mut entry.intent {
                *sure = true;
                entry.written = draft.fields.clone();
            }
            entry.ticket = Some(id);
            entry.view = View::Unknown;
        }
        Answer::Is(ticket) => return seen(entry, ticket, around, now),
        Answer::Updated => {
            if let Some(intent) = &mut entry.intent {
                intent.sure = true;
            }
            entry.view = View::Unknown;
        }
        Answer::Commented | Answer::Has(true) => {
            entry.view = View::Unknown;
            if let Some(Intent { what: Writing::Comment { shown, .. }, .. }) = entry.intent.take() {
                match (shown, &mut entry.closed) {
                    (Some(shown), _) => entry.shown = Some(shown),
                    (None, Some(closed)) => closed.said = true,
                    (None, None) => {}
                }
            }
        }
        Answer::Has(false) => entry.intent = None,
        Answer::Linked => {
            if let Ask::Link { kind, other, .. } = ask {
                entry.links.insert((*kind, other.clone()));
            }
            entry.view = View::Unknown;
        }
        Answer::Told(replies) => {
            let Ask::Tell(telling) = ask else { return Vec::new() };
            channel::told(entry, telling, replies);
            let status = around.rules.status(telling.record.status).to_owned();
            return told(entry, around.name, &status);
        }
    }
    Vec::new()
}

/// What the key has led to.
fn found(entry: &mut Entry, tickets: Vec<Ticket>, around: &Around<'_>, now: EventTime) -> Vec<Action> {
    let ours = tickets.into_iter().find(|ticket| !entry.former.contains(&ticket.id));
    let Some(ticket) = ours else {
        entry.view = View::Absent;
        // What was to be made was not made.
        entry.intent = None;
        return Vec::new();
    };
    if let Some(Intent { what: Writing::Create(draft), .. }) = &entry.intent {
        // It was made. What it does not have now, somebody may have changed since.
        entry.written = draft.fields.clone();
    }
    entry.ticket = Some(ticket.id.clone());
    seen(entry, ticket, around, now)
}

/// A ticket was read.
fn seen(entry: &mut Entry, ticket: Ticket, around: &Around<'_>, now: EventTime) -> Vec<Action> {
    let intent = entry.intent.take();
    let own = entry.key.to_string();
    if entry.ticket.as_ref().is_some_and(|id| *id != ticket.id) {
        let into = ticket.id.clone();
        entry.view = View::Unknown;
        entry.ended = Some(Ended::Merged(into));
        return Vec::new();
    }
    if ticket.key == own {
        entry.adopted = false;
    } else if !(entry.adopted && ticket.key.is_empty()) {
        entry.view = View::Unknown;
        let has = if ticket.key.is_empty() { "nothing".to_owned() } else { format!("`{}`", ticket.key) };
        let reason = format!(
            "ticket {} has {has} where its key `{own}` should be: without it a lost answer would make a second ticket; \
             let the bridge's user write that field, then `bellwether tickets retry {own}`",
            ticket.id
        );
        entry.park(reason, false, now);
        return Vec::new();
    }
    match intent {
        Some(Intent { what: Writing::Create(draft), sure, .. }) => compare(entry, &draft.fields, &ticket, sure),
        Some(Intent { what: Writing::Update(fields), sure, .. }) => compare(entry, &fields, &ticket, sure),
        Some(comment) => entry.intent = Some(comment),
        None => {}
    }
    entry.url.clone_from(&ticket.url);
    let status = ticket.fields.get(STATUS).cloned().unwrap_or_default();
    if around.rules.said(&status) == Some(Said::Deleted) {
        entry.ended = Some(Ended::Deleted);
    }
    entry.view = View::Known(ticket);
    told(entry, around.name, &status)
}

/// Tells the engine of the ticket, where it does not know it so.
pub(super) fn told(entry: &mut Entry, system: &str, status: &str) -> Vec<Action> {
    let Some(key) = entry.ticket.clone().filter(|_| entry.told != status) else { return Vec::new() };
    status.clone_into(&mut entry.told);
    let ticket = TicketRef { system: system.to_owned(), key, url: entry.url.clone(), status: status.to_owned() };
    vec![Action::Ticket { incident: entry.key.incident.clone(), ticket }]
}

/// Compares what was written with what is there. `sure` says that it has arrived.
fn compare(entry: &mut Entry, fields: &Fields, ticket: &Ticket, sure: bool) {
    for (name, value) in fields {
        let is = ticket.fields.get(name).cloned().unwrap_or_default();
        if is == *value {
            entry.refused.remove(name);
            entry.heard.remove(name);
            entry.written.insert(name.clone(), is);
        } else if sure {
            // Not taken, or somebody was quick: in neither case is it written again.
            entry.refused.insert(name.clone(), value.clone());
            entry.written.insert(name.clone(), value.clone());
            entry.heard.insert(name.clone(), is);
        }
        // Otherwise it is as it was, and is written again, or somebody has changed it, and it is theirs.
    }
}

/// Takes in that a request did not succeed; how long all tickets of the system are left alone.
fn failed(entry: &mut Entry, ask: &Ask, error: SystemError, now: EventTime) -> Option<Pause> {
    entry.view = View::Unknown;
    if ask.is_intent() && !matches!(error, SystemError::Lost(_)) {
        // The system has not taken it.
        entry.intent = None;
        entry.writes.pop_back();
    }
    let attempts = entry.trouble.as_ref().map_or(0, |trouble| trouble.attempts) + 1;
    let (pause, own) = match &error {
        SystemError::Stale => {
            entry.went_well();
            return None;
        }
        SystemError::Gone if ask.is_of_ticket() => {
            entry.ended = Some(Ended::Deleted);
            // What became of it does not matter any more, and is not asked for again.
            entry.intent = None;
            return None;
        }
        SystemError::Gone => {
            entry.park("nothing is there under that address or queue, or we may not see it", true, now);
            return None;
        }
        // A link is not worth that the ticket waits for a person.
        SystemError::Refused(reason) => {
            match ask {
                Ask::Link { kind, other, .. } => drop(entry.links.insert((*kind, other.clone()))),
                _ => entry.park(reason.clone(), true, now),
            }
            return None;
        }
        SystemError::Throttled(pause) => (Some(Pause::For((*pause).clamp(PAUSE[0], THROTTLED_MAX))), Span::ZERO),
        SystemError::Denied(_) => (Some(Pause::For(DENIED_PAUSE)), Span::ZERO),
        SystemError::Away(_) => (Some(Pause::Away), Span::ZERO),
        SystemError::Lost(_) => (None, doubled(attempts).min(LOST_PAUSE_MAX)),
    };
    entry.trouble = Some(Trouble { reason: error.to_string(), attempts, again: now.plus(own) });
    pause
}

/// The pause after so many failures in a row.
pub(super) fn doubled(attempts: u32) -> Span {
    PAUSE[0].times(1 << attempts.clamp(1, 7).saturating_sub(1)).min(PAUSE[1])
}
