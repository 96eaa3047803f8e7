//! `dedup`: knows an alert again by its fingerprint.
//!
//! ```yaml
//! dedup:
//!   stale_after: 24h      # an alert never heard of again counts as recovered
//! ```
//!
//! A repeat costs one look-up and a count. What is news (first firing, firing again, worse,
//! recovered) goes on to the next stage. The table is bounded: when it is full, alerts that
//! have recovered leave first, then those first seen longest ago; of these the details go and
//! the state stays (`shed.rs`), so that their recovery still ends what they began.

mod columns;
mod conditions;
mod config;
mod shed;
pub(crate) mod stage;
mod table;

pub use config::DedupConfig;
pub(crate) use shed::ShedAlert;
pub(crate) use table::{Alerts, News};
