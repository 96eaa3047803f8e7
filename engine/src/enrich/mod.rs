//! `enrich`: owner, priority, SLA clock, assignee, similar past incidents, narrative.
//!
//! ```yaml
//! enrich:
//!   similar_min: 0.35
//!   default_team: operations
//! ```
//!
//! Everything here comes from the tenant's catalogue and the tenant's own past. Priority is
//! impact × urgency (ITIL): impact by how critical the affected services are and how many,
//! urgency by how bad the alerts say it is and whether it spreads.

mod config;
mod enriched;
mod history;
mod narrative;
mod owner;
mod priority;
mod sla;
pub(crate) mod stage;

pub use config::EnrichConfig;
pub(crate) use enriched::Enriched;
pub(crate) use history::{History, Past};
pub(crate) use narrative::clip;
pub(crate) use sla::SlaClock;
