//! Sources, wires, the journal and sinks: everything that does I/O.
//!
//! ```text
//! sources/ what we read            ┐                                        ┌ sinks/ what takes
//! wires/   what others send us,    ├▶ intake/ ─▶ journal/ ─▶ (the engine) ──┤        the events
//! server/  and what listens        ┘                                        └
//! decode/  bytes → rows, no I/O       resolve/  labels → entities and series
//! ```
//!
//! A [`Source`] reads signals and hands them to its [`Intake`], which returns when they are in
//! the [`Journal`]. The engine folds the journal; its events go to every [`Sink`]. Each of
//! `sources`, `wires` and `sinks` holds its own list: adding one touches its file, which says
//! everything about it, its line in that list and its example.

pub mod bridges;
pub mod checkpoints;
pub mod declared;
pub mod decode;
pub mod exposition;
#[cfg(test)]
mod fuzz;
pub mod fuzzing;
pub mod host;
pub mod intake;
pub mod journal;
pub mod limits;
pub mod memory;
pub mod nats;
pub mod outbox;
pub mod partition;
pub mod private;
pub mod resolve;
pub mod server;
pub mod sinks;
pub mod sources;
pub mod wires;

pub use checkpoints::{Checkpoint, Checkpoints, CheckpointsError, Refusal};
pub use intake::reject::{BadRow, Reason, RejectLog, Rejection};
pub use intake::{AcceptError, Intake, Source, SourceError, Stop, Stopper, stop_pair};
pub use journal::{Journal, JournalConfig, JournalError, LocalJournal, Mark, Position, WriteBatch};
pub use sinks::{DeclaredSink, Delivered, Outgoing, Sink, SinkConfig, SinkError};
pub use sources::{DeclaredSource, SourceConfig};
