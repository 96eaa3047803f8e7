//! Sinks: where incident events go.
//!
//! A sink tries once: it takes a batch of events in the order of their revisions, and answers
//! whether the receiver has them, or whose fault it is that it has not. When to try again, for how
//! long, and what to do with an event that is refused is the business of the reader in front of it
//! ([`crate::outbox`]), which delivers again what may have been lost; a sink whose receiver
//! remembers skips what is there.
//!
//! A new one is its file or folder here, which says everything about it ([`DeclaredSink`]), its line
//! below, its example, and its row in the README.

mod declare;

pub mod nats;
pub mod ndjson;
pub mod terminal;
mod versioned;

use std::sync::Arc;

use bellwether_engine::incident::IncidentEvent;
use futures::future::BoxFuture;

use crate::declared::list_of;
use crate::journal::Position;

pub use declare::{DeclaredSink, GIVE_UP_AFTER, Order};
pub use versioned::RecordVersion;

list_of! {
    /// Every sink, as it is written in the configuration: `- nats: {…}`.
    pub enum SinkConfig: DeclaredSink {
        /// The incident stream on NATS JetStream, and the bucket of latest records.
        Nats(nats::NatsSinkConfig),
        /// NDJSON in a file.
        Ndjson(ndjson::NdjsonSinkConfig),
        /// Lines on the terminal.
        Terminal(terminal::TerminalSinkConfig),
    }
}

/// One incident event on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The journal entry that caused it.
    pub position: Position,
    /// The event.
    pub event: Arc<IncidentEvent>,
}

/// Something that takes incident events.
pub trait Sink: Send {
    /// Its name in configuration and logs.
    fn name(&self) -> &str;

    /// Tries once to deliver `events`, which come in the order of the log, and of their revisions
    /// within an incident. When it returns, each is durable at the receiver or already was.
    /// Dropping the answer before it is there is a failure like any other.
    ///
    /// # Errors
    /// [`SinkError`]. Which events arrived is then unknown; the same events come again.
    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>>;
}

/// What a delivery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Events newly delivered.
    pub sent: u64,
    /// Events the receiver already had.
    pub skipped: u64,
}

/// Why events could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// What is configured cannot work.
    #[error("sink `{sink}`: {reason}")]
    Config {
        /// Which sink.
        sink: String,
        /// What, where, and the remedy.
        reason: String,
    },
    /// The receiver did not take the events within the sink's deadline.
    #[error("sink `{sink}`: {reason}")]
    Unavailable {
        /// Which sink.
        sink: String,
        /// What happened, and for how long.
        reason: String,
    },
    /// The receiver will never take this one event.
    #[error("sink `{sink}`: `{key}` is refused: {reason}")]
    Refused {
        /// Which sink.
        sink: String,
        /// The event's key.
        key: String,
        /// What the receiver says.
        reason: String,
    },
    /// Writing failed.
    #[error("sink `{sink}`: {reason}")]
    Io {
        /// Which sink.
        sink: String,
        /// What the system said.
        reason: String,
    },
}

impl SinkError {
    /// True when delivering the same events later may work.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, SinkError::Unavailable { .. } | SinkError::Io { .. })
    }

    /// A [`SinkError::Config`].
    pub fn config(sink: &str, reason: impl Into<String>) -> SinkError {
        SinkError::Config { sink: sink.to_owned(), reason: reason.into() }
    }

    /// A [`SinkError::Io`].
    pub fn io(sink: &str, reason: impl Into<String>) -> SinkError {
        SinkError::Io { sink: sink.to_owned(), reason: reason.into() }
    }

    /// A [`SinkError::Unavailable`].
    pub fn unavailable(sink: &str, reason: impl Into<String>) -> SinkError {
        SinkError::Unavailable { sink: sink.to_owned(), reason: reason.into() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use bellwether_engine::incident::{IncidentEvent, IncidentRecord, Verb, incident_id};
    use bellwether_engine::time::EventTime;

    use super::Outgoing;
    use crate::journal::Position;

    /// Revision `revision` of incident `incident` of `tenant`.
    pub(crate) fn event(tenant: &str, incident: u64, revision: u64) -> Outgoing {
        let at = EventTime::from_secs(1_772_359_200);
        let record = serde_json::json!({
            "schema_version": "2",
            "id": incident_id(tenant, incident, at),
            "dedup_key": format!("key-{incident}"),
            "revision": revision,
            "status": "open",
            "severity": "major",
            "priority": "P2",
            "title": "checkout is slow",
            "opened_at": "2026-03-01T10:00:00Z",
            "updated_at": "2026-03-01T10:00:00Z",
            "entities": [],
            "alert_count": 1,
        });
        let record: IncidentRecord = serde_json::from_value(record).expect("a record");
        Outgoing {
            position: Position(revision),
            event: Arc::new(IncidentEvent {
                tenant: tenant.into(),
                verb: if revision == 1 { Verb::Opened } else { Verb::Updated },
                record,
            }),
        }
    }
}
