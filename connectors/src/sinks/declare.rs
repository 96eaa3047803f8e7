//! What a sink declares of itself, beside its configuration.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Sink, SinkError};
use crate::declared::Probe;

/// A sink's configuration, from which everything else about it follows.
pub trait DeclaredSink: Send + Sync {
    /// Its name; unique among the sinks of one configuration.
    fn name(&self) -> &str;

    /// Who gets the events, for people.
    fn describe(&self) -> String;

    /// Whether the receiver knows what it has, so that what comes again does not double.
    fn remembers(&self) -> bool;

    /// Which revisions of an incident it has to be given.
    fn order(&self) -> Order;

    /// After how long of nothing but failures its reader waits for a person.
    fn give_up_after(&self) -> Duration {
        GIVE_UP_AFTER
    }

    /// The files it names.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    /// Looks whether the receiver is there.
    fn probe(&self) -> Probe<'_> {
        None
    }

    /// Opens the sink: connects, checks, and learns what the receiver has.
    ///
    /// # Errors
    /// [`SinkError`]: a receiver that is away can be tried again, anything else says what to change.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, SinkError>>;
}

/// After how long of nothing but failures a reader is parked.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3_600);

/// Which revisions of an incident a receiver has to be given. Those that it is given are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each one: the receiver is a record of what was told.
    EveryRevision,
    /// The newest: the receiver shows how things stand. Older ones that would be handed over with it
    /// are passed over.
    Newest,
}
