//! One record of the incident log: an event and the journal entry that caused it, as MessagePack.
//!
//! A format that names its fields and keeps every bit of a number: what a reader gets is the event
//! that the engine told.

use std::sync::Arc;

use bellwether_engine::incident::IncidentEvent;
use serde::{Deserialize, Serialize};

use crate::journal::Position;
use crate::sinks::Outgoing;

#[derive(Serialize)]
struct RecordOut<'a> {
    position: u64,
    event: &'a IncidentEvent,
}

#[derive(Deserialize)]
struct RecordIn {
    position: u64,
    event: IncidentEvent,
}

/// A record of the log is whole but is not one this build knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {record} of the incident log is whole but does not read: {reason}; use the build that wrote it")]
pub struct RecordError {
    /// Where in the log.
    pub record: Position,
    /// What is wrong.
    pub reason: String,
}

/// The bytes of an event.
pub(super) fn encode(position: Position, event: &IncidentEvent) -> Vec<u8> {
    rmp_serde::to_vec_named(&RecordOut { position: position.0, event }).expect("an event has only plain values")
}

/// The event in `bytes`, which are record `record` of the log.
pub(super) fn decode(record: Position, bytes: &[u8]) -> Result<Outgoing, RecordError> {
    let read: Result<RecordIn, _> = rmp_serde::from_slice(bytes);
    let RecordIn { position, event } = read.map_err(|error| RecordError { record, reason: error.to_string() })?;
    Ok(Outgoing { position: Position(position), event: Arc::new(event) })
}
