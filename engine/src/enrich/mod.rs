//! `enrich`: priority, agreements, who should have it, what was like it, what it is one of, the narrative.
//!
//! ```yaml
//! enrich:
//!   similar_min: 0.35
//!   default_team: operations
//! ```
//!
//! Everything here comes from the tenant's catalogue and the tenant's own past. Priority is
//! impact × urgency (ITIL), by a matrix that a site may state: impact by how critical the affected services are and
//! how many, urgency by how bad the alerts say it is and whether it spreads.

mod closed;
mod config;
mod enriched;
mod experience;
mod history;
mod knowledge;
mod narrative;
mod owner;
mod priority;
mod problems;
mod sla;
pub(crate) mod stage;

pub(crate) use closed::Closed;
pub use config::{EnrichConfig, PriorityMatrix};
pub(crate) use enriched::Enriched;
pub(crate) use experience::{Experience, TicketFields};
pub(crate) use history::History;
pub(crate) use knowledge::Knowledge;
pub(crate) use narrative::clip;
pub(crate) use owner::owner_of;
pub(crate) use problems::{OpenProblem, Problems};
pub(crate) use sla::SlaClock;
