//! What everything that works for one bridge shares: its name, its system, its rules and its memory.

use std::sync::Arc;

use bellwether_engine::time::Span;

use super::mapping::Rules;
use super::receiver::Receiver;
use super::step::{Around, Peers};
use super::tickets::Tickets;

/// One bridge's. Clones share everything.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) system: Receiver,
    pub(super) rules: Arc<Rules>,
    pub(super) tickets: Tickets,
    /// After this long a request whose answer was lost is not on its way any more.
    pub(super) settle: Span,
}

impl Shared {
    /// What a step looks at.
    pub(super) fn around<'a>(&'a self, peers: &'a dyn Peers) -> Around<'a> {
        Around { rules: &self.rules, system: &self.system, name: &self.name, settle: self.settle, peers }
    }
}
