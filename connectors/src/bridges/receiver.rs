//! Where a bridge leads: to tickets, or to who is only told.

use std::sync::Arc;

use bellwether_engine::incident::IncidentRecord;
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
