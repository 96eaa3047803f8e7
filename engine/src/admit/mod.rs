//! `admit`: rows come in, are checked, and wait until the watermark has passed them.
//!
//! ```yaml
//! lateness: 10s
//! ```
//!
//! What lies between two watermarks is a *stretch*: one list in the order `(event time, kind, content)`.
//! The stages see that order only, so batches, arrival order within the lateness and threads cannot
//! change what they do.

mod door;
mod pending;
mod room;
mod saved;

pub(crate) use door::Door;
pub(crate) use room::WaitingRoom;
pub(crate) use saved::{RestoreError, SavedPending};
