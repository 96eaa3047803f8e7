//! The engine: a deterministic fold from a journal of signals to incident events.
pub mod catalogue;
pub(crate) mod columns;
pub mod incident;
pub mod input;
pub mod signal;
pub mod time;
