//! An incident that is over for good, as it is remembered and learned from.

use super::experience::TicketFields;
use crate::time::{EventTime, Span};

/// An incident that is closed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Closed {
    pub(crate) id: String,
    /// The key of its first ticket; empty where it had none.
    pub(crate) ticket: String,
    /// Hashes of what it was about.
    pub(crate) signature: Vec<u64>,
    /// What trouble is the same when it comes again.
    pub(crate) kind: String,
    /// The change that it followed; empty where there was none.
    pub(crate) change: String,
    /// What fixed it, in the words of who did.
    pub(crate) resolution: String,
    pub(crate) opened_at: EventTime,
    pub(crate) took: Span,
    /// The same in the time by which its agreement counts: working hours, without what somebody outside took.
    pub(crate) counted: Span,
    /// As it stood when it was opened.
    pub(crate) fields: TicketFields,
    /// The team that had it last.
    pub(crate) team: String,
    /// Whether its agreement was missed; `None` where nothing was promised.
    pub(crate) breached: Option<bool>,
}
