//! `admit`: rows come in, are checked, and wait until the watermark has passed them.
//!
//! ```yaml
//! lateness: 10s
//! ```
//!
//! Event times are measured against the time of arrival (`clock.rs`). What is far from it is looked at by
//! its source (`sources.rs`): a clock that is off is corrected, late samples wait in the order of their own
//! source (`lane.rs`), and everything else that is late acts as of now.
//!
//! Rows of one alert keep their order through all of it (`order.rs`, and by their dates where they act at one instant).
//!
//! What lies between two watermarks is a *stretch*: one list in the order `(event time, kind, content)`.
//! The stages see that order only, so batches, arrival order within the lateness and threads cannot
//! change what they do.

mod door;
mod lane;
mod order;
mod pending;
mod room;
mod samples;
mod saved;
mod sources;

pub(crate) use door::Door;
pub(crate) use room::WaitingRoom;
pub(crate) use saved::{RestoreError, SavedPending};
