//! What incidents are only told to: mail, webhooks, chats. Nothing there can be looked up, so nothing is before it is sent;
//! what is told again is told under the same id, by which whoever reads it knows it.
//!
//! ```text
//! revision ─▶ anything new since what was told last? ─▶ tell, under tenant/incident/revision ─▶ that is known now
//!                          │ no                              │ lost: again, under the same id, or the newest instead
//!                          ▼                                 ▼
//!                        done                             later
//! ```

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, StatusReason};
use bellwether_engine::time::EventTime;

use super::entry::{Entry, Shown};
use super::receiver::{Channel, Telling, Tells};
use super::step::{Around, Ask, Next, WRITES_MAX, WRITES_WITHIN, is_live, news, old_writes_are_forgotten};
use super::system::TEXT;
use super::template::TemplateError;

/// What is next for `entry` where it is told to `channel`.
pub(super) fn next(entry: &mut Entry, channel: &dyn Channel, around: &Around<'_>, now: EventTime) -> Next {
    let Some(record) = entry.wanted.clone() else { return Next::Rest };
    let Some(shown) = entry.shown.clone() else {
        let none = record.status == IncidentStatus::Merged || record.status_reason == Some(StatusReason::FalsePositive);
        if none {
            return done(entry, &record);
        }
        if let Some(until) = around.peers.muted_until(&entry.key.tenant, &entry.dedup_key).filter(|until| *until > now)
        {
            return Next::Wait(until);
        }
        let told = around.rules.text(&entry.key.tenant, &record);
        return tell(entry, &record, told, None, around, now);
    };
    let news = news(&shown, &record);
    let due = match channel.tells() {
        Tells::EachRevision => true,
        Tells::WhatIsNew => !news.is_empty(),
        Tells::WhatIsNewAndEachStatus => !news.is_empty() || shown.status != record.status,
    };
    if !due {
        return done(entry, &record);
    }
    let told = around.rules.comment(&entry.key.tenant, &record, &news);
    tell(entry, &record, told, Some(&shown), around, now)
}

fn done(entry: &mut Entry, record: &IncidentRecord) -> Next {
    entry.shown = Some(Shown::of(record));
    entry.wanted = None;
    entry.owed.clear();
    Next::Rest
}

fn tell(
    entry: &mut Entry,
    record: &IncidentRecord,
    text: Result<String, TemplateError>,
    shown: Option<&Shown>,
    around: &Around<'_>,
    now: EventTime,
) -> Next {
    let words = text.and_then(|text| Ok((text, around.rules.fields(&entry.key.tenant, record)?)));
    let (text, mut fields) = match words {
        Ok(words) => words,
        Err(error) => {
            entry.park(error.to_string(), true, now);
            return Next::Rest;
        }
    };
    // The end of what was told is told, however much was.
    old_writes_are_forgotten(entry, now);
    if let Some(first) = entry.writes.front().filter(|_| entry.writes.len() >= WRITES_MAX && is_live(record)) {
        return Next::Wait(first.plus(WRITES_WITHIN));
    }
    entry.writes.push_back(now);
    let mut field = |name: &str| around.system.fit(name, &fields.remove(name).unwrap_or_default());
    Next::Ask(Ask::Tell(Box::new(Telling {
        id: format!("{}/{}", entry.key, record.revision),
        tenant: entry.key.tenant.clone(),
        queue: field(super::system::QUEUE),
        also: around.rules.escalated(&entry.key.tenant, record, shown.map_or(0, |shown| shown.escalations)),
        opens: shown.is_none(),
        thread: entry.ticket.clone(),
        subject: field(super::system::SUBJECT),
        text: around.system.fit(TEXT, &text),
        record: Box::new(record.clone()),
    })))
}

/// Takes in that `telling` has arrived, and by what replies to it are known.
pub(super) fn told(entry: &mut Entry, telling: &Telling, replies: Option<String>) {
    entry.went_well();
    entry.ticket = replies.or(entry.ticket.take());
    entry.shown = Some(Shown::of(&telling.record));
    entry.owed.clear();
    if entry.revision <= telling.record.revision {
        entry.wanted = None;
    }
}
