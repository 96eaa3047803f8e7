//! One record of the incident log: an event, the journal entry that caused it, when it was appended
//! and how much stands before it, as MessagePack.
//!
//! A format that names its fields and keeps every bit of a number: what a reader gets is the event
//! that the engine told.

use std::sync::Arc;

use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};

use crate::journal::Position;
use crate::sinks::Outgoing;

#[derive(Serialize)]
struct RecordOut<'a> {
    position: u64,
    at: EventTime,
    bytes_before: u64,
    event: &'a IncidentEvent,
}

#[derive(Deserialize)]
struct RecordIn {
    position: u64,
    #[serde(default)]
    at: EventTime,
    #[serde(default)]
    bytes_before: u64,
    event: IncidentEvent,
}

/// A record read back.
#[derive(Debug)]
pub(crate) struct Logged {
    /// The event.
    pub(super) outgoing: Outgoing,
    /// When it was appended.
    pub(super) at: EventTime,
    /// Bytes of all records before it.
    pub(super) bytes_before: u64,
    /// Bytes of all records up to it.
    pub(super) bytes_upto: u64,
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

/// The bytes of an event that is appended at `at`, after `bytes_before`.
pub(super) fn encode(position: Position, at: EventTime, bytes_before: u64, event: &IncidentEvent) -> Vec<u8> {
    let record = RecordOut { position: position.0, at, bytes_before, event };
    rmp_serde::to_vec_named(&record).expect("an event has only plain values")
}

/// The event in `bytes`, which are record `record` of the log.
pub(crate) fn decode(record: Position, bytes: &[u8]) -> Result<Logged, RecordError> {
    let read: Result<RecordIn, _> = rmp_serde::from_slice(bytes);
    let RecordIn { position, at, bytes_before, event } =
        read.map_err(|error| RecordError { record, reason: error.to_string() })?;
    let outgoing = Outgoing { position: Position(position), event: Arc::new(event) };
    Ok(Logged { outgoing, at, bytes_before, bytes_upto: bytes_before + bytes.len() as u64 })
}
