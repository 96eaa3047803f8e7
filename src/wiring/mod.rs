//! From sources to sinks: who hands what to whom, and what is durable when.

pub mod arrivals;
pub mod gauges;
pub mod memory;
pub mod outbox;
