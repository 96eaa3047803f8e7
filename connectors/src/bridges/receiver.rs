//! Where a bridge leads: to tickets, or to who is only told.

use std::sync::Arc;

use bellwether_engine::incident::IncidentRecord;
use bellwether_engine::time::Span;
use futures::future::BoxFuture;

use super::system::{Answered, FeedOrder, Page, Since, TicketSystem};

/// What is told of an incident at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// The same when it is told again: `tenant/incident/revision`.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// Where those read it who own it: an address, or whatever the channel calls so.
    pub queue: String,
    /// Where else they are whom a rule of escalation names now.
    pub also: Vec<String>,
    /// Whether nothing was told of it before.
    pub opens: bool,
    /// What was answered when it was told first: where it stands there.
    pub thread: Option<String>,
    /// The one line that says what it is.
    pub subject: String,
    /// What is new, in words; of one that was not told before, everything.
    pub text: String,
    /// The incident.
    pub record: Box<IncidentRecord>,
}

/// When an incident is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// With each revision: who hears of it is a program.
    EachRevision,
    /// When something is new for people.
    WhatIsNew,
    /// Then, and when its status is another.
    WhatIsNewAndEachStatus,
}

/// Something that incidents are told to.
pub trait Channel: Send + Sync {
    /// When an incident is told again.
    fn tells(&self) -> Tells;

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

    /// How long something may not be found after it was done; see [`TicketSystem::lag`].
    pub(super) fn lag(&self) -> Span {
        match self {
            Receiver::Tickets(system) => system.lag(),
            Receiver::Channel(_) => Span::ZERO,
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
