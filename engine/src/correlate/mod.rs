//! `correlate`: puts alerts that belong together into one group.
//!
//! ```yaml
//! correlate:
//!   threshold: 0.5
//!   time_scale: 90s
//!   weights: {time: 5.0, topology: 5.0, text: 2.5, learned: 2.5}
//! ```
//!
//! The evidence and the rule that combines it live in `bellwether_models::group`; this stage
//! feeds the grouper in event-time order with the tenant's topology, and keeps for each alert
//! why it went where it went.

mod config;
pub(crate) mod mention;
mod movement;
mod names;
pub(crate) mod stage;
mod table;

pub use config::{CorrelateConfig, EvidenceWeights};
pub(crate) use names::KnownNames;
pub(crate) use table::{Correlator, Placement};
