//! What is next for an incident, wherever it leads.

use bellwether_engine::time::EventTime;

use super::entry::Entry;
use super::receiver::Receiver;
use super::step::{Around, Next};
use super::{channel, step};

/// What is next for `entry`.
pub(super) fn next(entry: &mut Entry, around: &Around<'_>, now: EventTime) -> Next {
    if entry.parked.is_some() {
        return Next::Rest;
    }
    if let Some(trouble) = entry.trouble.as_ref().filter(|trouble| trouble.again > now) {
        return Next::Wait(trouble.again);
    }
    match around.system {
        Receiver::Tickets(_) => step::next(entry, around, now),
        Receiver::Channel(channel) => channel::next(entry, &**channel, around, now),
    }
}
