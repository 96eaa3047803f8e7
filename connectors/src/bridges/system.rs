//! What a ticketing system is to the bridge: a handful of requests, each of which may be lost.
//!
//! A system tries once and says what is known of the outcome ([`SystemError`]). When to try again, whether
//! anything is sent before it was looked up, and what is a person's is the business of `step.rs`.

use std::collections::BTreeMap;

use bellwether_engine::time::{EventTime, Span};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Fields of a ticket by name, in the system's own words. The names below every system has; others are the site's.
pub type Fields = BTreeMap<String, String>;

/// Field: the one line that says what it is.
pub const SUBJECT: &str = "subject";
/// Field: the queue, project or group that it lies in.
pub const QUEUE: &str = "queue";
/// Field: where it is in its life.
pub const STATUS: &str = "status";
/// Field: how soon somebody must act.
pub const PRIORITY: &str = "priority";
/// Field: who has it; empty when nobody has.
pub const OWNER: &str = "owner";

/// Field: the key that a ticket is found again by. It is written when a person gives an incident a ticket that was
/// there before.
pub const KEY: &str = "key";

/// The fields that every system has.
pub(super) const COMMON_FIELDS: [&str; 5] = [SUBJECT, QUEUE, STATUS, PRIORITY, OWNER];

/// A ticket to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Under which it is found again: `tenant/incident`.
    pub key: String,
    /// Its fields.
    pub fields: Fields,
    /// Its first text.
    pub text: String,
}

/// A ticket as the system has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// Its id there. Where it was merged into another, that one's.
    pub id: String,
    /// The key it was made under; empty when the system has not kept it.
    pub key: String,
    /// What a change is made on the condition of; empty where the system has no such thing.
    pub version: String,
    /// Where a person can look at it.
    pub url: String,
    /// Its fields.
    pub fields: Fields,
}

/// How two tickets belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The incident of this one went into that of the other.
    DuplicateOf,
    /// The other is of the major incident over this one.
    PartOf,
    /// The incident of this one was split from that of the other.
    SplitFrom,
    /// This one goes on with what the other, which a person closed, was about.
    Follows,
}

/// What somebody did to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number: unique among the changes of a system, and in a feed by number growing but for those that were
    /// committed late.
    pub id: u64,
    /// Which ticket.
    pub ticket: String,
    /// When.
    pub at: EventTime,
    /// Who, in the system's words.
    pub who: String,
    /// What.
    pub what: Changed,
}

/// What a system's list of changes is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOrder {
    /// By their numbers.
    Number,
    /// By when they were made, of which the last few can be told late.
    Time,
}

/// From where changes are asked for: a feed goes by one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Those with a greater number.
    pub id: u64,
    /// Those that were made then or later.
    pub at: EventTime,
}

/// Some changes, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What others than we did.
    pub changes: Vec<Change>,
    /// Up to where everything is in it, ours too.
    pub upto: Since,
    /// Whether there are more to be asked for at once.
    pub more: bool,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Its status is this.
    Status(String),
    /// This one has it; empty for nobody.
    Owner(String),
    /// Its priority is this.
    Priority(String),
    /// Somebody wrote this.
    Comment(String),
    /// It belongs together with this other ticket.
    Linked(String),
    /// It was merged into this other ticket.
    Merged(String),
    /// Another field of it is different.
    Field(String),
    /// It has these fields now, where a system tells only that something was changed: what differs from what is known
    /// was changed.
    Now(Fields),
}

/// What is known when a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// It was not sent: nobody listens, or not in time.
    #[error("{0}")]
    Away(String),
    /// It was sent, and what became of it is not known.
    #[error("{0}")]
    Lost(String),
    /// The system has too much to do.
    #[error("it asks to wait {0}")]
    Throttled(Span),
    /// The ticket has changed since it was read.
    #[error("the ticket has changed since it was read")]
    Stale,
    /// There is no such ticket.
    #[error("there is no such ticket")]
    Gone,
    /// Who we are does not do: nothing will work until a person mends that.
    #[error("{0}")]
    Denied(String),
    /// This request will never be taken.
    #[error("{0}")]
    Refused(String),
}

/// The answer to a request.
pub type Answered<T> = Result<T, SystemError>;

/// A ticketing system. A request that is dropped before its answer is lost.
pub trait TicketSystem: Send + Sync {
    /// Every ticket that was made under `key`, whatever its state, the oldest first.
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Answered<Vec<Ticket>>>;

    /// Makes a ticket; its id.
    fn create<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Answered<String>>;

    /// A ticket as it is now.
    fn read<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Answered<Ticket>>;

    /// Changes fields of a ticket that has not changed since `version`; what the system said of it, if anything.
    fn update<'a>(&'a self, ticket: &'a str, version: &'a str, fields: &'a Fields) -> BoxFuture<'a, Answered<String>>;

    /// Writes `text` under a ticket, to be known again by `mark`.
    fn comment<'a>(&'a self, ticket: &'a str, mark: &'a str, text: &'a str) -> BoxFuture<'a, Answered<()>>;

    /// Whether we have written something under a ticket with this mark.
    fn has_comment<'a>(&'a self, ticket: &'a str, mark: &'a str) -> BoxFuture<'a, Answered<bool>>;

    /// Links two tickets; two that are linked stay so.
    fn link<'a>(&'a self, ticket: &'a str, kind: LinkKind, other: &'a str) -> BoxFuture<'a, Answered<()>>;

    /// What the list of changes goes by.
    fn feed_order(&self) -> FeedOrder;

    /// How long a ticket may not be found by its key after it was made.
    fn lag(&self) -> Span {
        Span::ZERO
    }

    /// What others than we did since then, in order, a page of it; `None` asks only up to where there is something.
    fn changes(&self, since: Option<Since>) -> BoxFuture<'_, Answered<Page>>;

    /// `text` as `field` takes it (the first text of a ticket and comments are the fields `text` and `comment`): cut
    /// by the system's own count, and without what it would drop or trip over.
    fn fit(&self, field: &str, text: &str) -> String;
}

/// The field name that [`TicketSystem::fit`] knows the first text of a ticket by.
pub const TEXT: &str = "text";
/// The field name that [`TicketSystem::fit`] knows a comment by.
pub const COMMENT: &str = "comment";

/// Makes a type a [`TicketSystem`] by methods of its own of the same names, which are asynchronous, and its `fit`; its
/// list of changes goes by `$order`, and `$lag` says how long one may not be found, where that is a time.
macro_rules! ticket_system {
    ($System:ty, $order:expr $(, $lag:path)?) => {
        impl $crate::bridges::system::TicketSystem for $System {
            fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Answered<Vec<Ticket>>> {
                Box::pin(self.find(key))
            }

            fn create<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Answered<String>> {
                Box::pin(self.create(draft))
            }

            fn read<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Answered<Ticket>> {
                Box::pin(self.read(ticket))
            }

            fn update<'a>(
                &'a self,
                ticket: &'a str,
                version: &'a str,
                fields: &'a Fields,
            ) -> BoxFuture<'a, Answered<String>> {
                Box::pin(self.update(ticket, version, fields))
            }

            fn comment<'a>(&'a self, ticket: &'a str, mark: &'a str, text: &'a str) -> BoxFuture<'a, Answered<()>> {
                Box::pin(self.comment(ticket, mark, text))
            }

            fn has_comment<'a>(&'a self, ticket: &'a str, mark: &'a str) -> BoxFuture<'a, Answered<bool>> {
                Box::pin(self.has_comment(ticket, mark))
            }

            fn link<'a>(&'a self, ticket: &'a str, kind: LinkKind, other: &'a str) -> BoxFuture<'a, Answered<()>> {
                Box::pin(self.link(ticket, kind, other))
            }

            fn feed_order(&self) -> $crate::bridges::system::FeedOrder {
                $order
            }

            $(
                fn lag(&self) -> bellwether_engine::time::Span {
                    $lag(self)
                }
            )?

            fn changes(
                &self,
                since: Option<$crate::bridges::system::Since>,
            ) -> BoxFuture<'_, Answered<$crate::bridges::system::Page>> {
                Box::pin(self.read_changes(since))
            }

            fn fit(&self, field: &str, text: &str) -> String {
                self.fit(field, text)
            }
        }
    };
}

pub(super) use ticket_system;
