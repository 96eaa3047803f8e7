//! The tickets of a state folder for who only looks, also beside a running process: what stands where, and why.

use std::path::Path;

use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::time::EventTime;
use serde::Serialize;

use super::entry::{Ended, Entry, Writing};
use super::store::{Looked, StoreError, look};
use super::tickets::memory_of;

/// How a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// It waits for a person.
    Parked,
    /// The system, or people there, want it otherwise.
    Conflict,
    /// Something goes wrong at the moment.
    Failing,
    /// It does not show the newest revision yet.
    Waiting,
    /// Its trouble opens no ticket for a time.
    Muted,
    /// Somebody deleted it, or merged it into another.
    Ended,
    /// It is as it should be.
    Mapped,
}

/// One incident's ticket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TicketRow {
    /// Whose bridge.
    pub bridge: String,
    /// Whose incident.
    pub tenant: String,
    /// Its id.
    pub incident: String,
    /// The newest revision told.
    pub revision: u64,
    /// Its ticket.
    pub ticket: Option<String>,
    /// Where a person can look at it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The system's word for where it is.
    pub status: String,
    /// Where the incident is, and how urgent it is, as the ticket shows it.
    pub shows: Option<(IncidentStatus, Priority)>,
    /// How it stands.
    pub state: TicketState,
    /// Why, one reason a line.
    pub why: Vec<String>,
}

/// The tickets of bridge `bridge` in the state folder `state`, those that need a person first.
///
/// # Errors
/// [`StoreError::Io`] when the memory cannot be read.
pub fn rows(state: &Path, bridge: &str, now: EventTime) -> Result<Vec<TicketRow>, StoreError> {
    let Looked { entries, mutes } = look(&memory_of(state, bridge))?;
    let muted = |entry: &Entry| {
        let trouble = (entry.key.tenant.clone(), entry.dedup_key.clone());
        mutes.get(&trouble).copied().filter(|until| *until > now)
    };
    let mut rows: Vec<TicketRow> = entries.iter().map(|entry| row(bridge, entry, muted(entry))).collect();
    rows.sort_by(|a, b| (a.state, &a.tenant, &a.incident).cmp(&(b.state, &b.tenant, &b.incident)));
    Ok(rows)
}

fn row(bridge: &str, entry: &Entry, muted: Option<EventTime>) -> TicketRow {
    let mut why = Vec::new();
    let mut state = TicketState::Mapped;
    let mut is = |wanted: TicketState, reason: String| {
        state = state.min(wanted);
        why.push(reason);
    };
    if let Some(parked) = &entry.parked {
        is(TicketState::Parked, format!("since {}: {}", parked.at, parked.reason));
    }
    for (field, value) in &entry.refused {
        is(TicketState::Conflict, format!("`{field}` was not taken as `{value}`"));
    }
    if let Some(closed) = entry.closed.as_ref().filter(|closed| closed.said) {
        is(
            TicketState::Conflict,
            format!("closed there as `{}` at {}, and the trouble goes on", closed.status, closed.at),
        );
    }
    match &entry.ended {
        Some(Ended::Deleted) => is(TicketState::Ended, "somebody deleted it".to_owned()),
        Some(Ended::Merged(into)) => is(TicketState::Ended, format!("somebody merged it into {into}")),
        None => {}
    }
    if let Some(trouble) = &entry.trouble {
        is(TicketState::Failing, format!("{} attempts, the last: {}", trouble.attempts, trouble.reason));
    }
    match entry.intent.as_ref().map(|intent| (&intent.what, intent.at)) {
        Some((Writing::Create(_), at)) => is(TicketState::Waiting, format!("being made since {at}")),
        Some((Writing::Update(_), at)) => is(TicketState::Waiting, format!("being changed since {at}")),
        Some((Writing::Comment { .. }, at)) => is(TicketState::Waiting, format!("being commented since {at}")),
        None => {}
    }
    let held_back = muted.filter(|_| entry.ticket.is_none() && entry.wanted.is_some());
    if let Some(until) = held_back {
        is(TicketState::Muted, format!("no ticket until {until}: somebody said that it will not be fixed"));
    } else if entry.wanted.is_some() && entry.intent.is_none() {
        is(TicketState::Waiting, format!("revision {} is not shown yet", entry.revision));
    }
    if let Some(until) = muted.filter(|_| held_back.is_none()) {
        why.push(format!("no other ticket for this trouble until {until}: somebody said that it will not be fixed"));
    }
    if !entry.theirs.is_empty() {
        let theirs: Vec<&str> = entry.theirs.iter().map(String::as_str).collect();
        why.push(format!("changed there, and left so: {}", theirs.join(", ")));
    }
    TicketRow {
        bridge: bridge.to_owned(),
        tenant: entry.key.tenant.clone(),
        incident: entry.key.incident.clone(),
        revision: entry.revision,
        ticket: entry.ticket.clone(),
        url: entry.url.clone(),
        status: entry.told.clone(),
        shows: entry.shown.as_ref().map(|shown| (shown.status, shown.priority)),
        state,
        why,
    }
}
