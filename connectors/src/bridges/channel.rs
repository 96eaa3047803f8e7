//! What incidents are only told to: mail, webhooks. Nothing there can be looked up, so nothing is before it is sent;
//! what is told again is told under the same id, by which whoever reads it knows it.
//!
//! ```text
//! revision ─▶ anything new since what was told last? ─▶ tell, under tenant/incident/revision ─▶ that is known now
//!                          │ no                              │ lost: again, under the same id, or the newest instead
//!                          ▼                                 ▼
//!                        done                             later
//! ```

use std::sync::Arc;

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, StatusReason};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;

use super::entry::{Entry, Shown};
use super::step::{Around, Ask, Next, WRITES_MAX, WRITES_WITHIN, is_live, news, old_writes_are_forgotten};
use super::system::{Answered, FeedOrder, Page, Since, TEXT, TicketSystem};
use super::template::TemplateError;

/// What is told of an incident at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// The same when it is told again: `tenant/incident/revision`.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// Where those read it who own it: an address, or whatever the channel calls so.
    pub queue: String,
    /// Whether nothing was told of it before.
    pub opens: bool,
    /// The one line that says what it is.
    pub subject: String,
    /// What is new, in words; of one that was not told before, everything.
    pub text: String,
    /// The incident.
    pub record: Box<IncidentRecord>,
}

/// Something that incidents are told to.
pub trait Channel: Send + Sync {
    /// Whether each revision is told; otherwise only what is new for people.
    fn tells_every_revision(&self) -> bool;

    /// Tells it once. By the answer replies are known; nothing is replied where there is none.
    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>>;

    /// What was replied; see [`TicketSystem::changes`].
    fn replies(&self, since: Option<Since>) -> BoxFuture<'_, Answered<Page>> {
        let _ = since;
        Box::pin(async { Ok(Page::default()) })
    }

    /// `text` as the channel takes it; see [`TicketSystem::fit`].
    fn fit(&self, field: &str, text: &str) -> String;
}

/// Where a bridge leads.
#[derive(Clone)]
pub enum Receiver {
    /// To tickets, which are kept as the incidents are.
    Tickets(Arc<dyn TicketSystem>),
    /// To who is told.
    Channel(Arc<dyn Channel>),
}

impl Receiver {
    /// `text` as `field` takes it.
    pub(super) fn fit(&self, field: &str, text: &str) -> String {
        match self {
            Receiver::Tickets(system) => system.fit(field, text),
            Receiver::Channel(channel) => channel.fit(field, text),
        }
    }

    /// What the list of changes goes by.
    pub(super) fn feed_order(&self) -> FeedOrder {
        match self {
            Receiver::Tickets(system) => system.feed_order(),
            Receiver::Channel(_) => FeedOrder::Time,
        }
    }

    /// What others did.
    pub(super) async fn changes(&self, since: Option<Since>) -> Answered<Page> {
        match self {
            Receiver::Tickets(system) => system.changes(since).await,
            Receiver::Channel(channel) => channel.replies(since).await,
        }
    }
}

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
        return tell(entry, &record, told, true, around, now);
    };
    let news = news(&shown, &record);
    if news.is_empty() && !channel.tells_every_revision() {
        return done(entry, &record);
    }
    let told = around.rules.comment(&entry.key.tenant, &record, &news);
    tell(entry, &record, told, false, around, now)
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
    opens: bool,
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
        opens,
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
