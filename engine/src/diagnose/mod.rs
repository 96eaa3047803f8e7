//! `diagnose`: what began it, and whom it hurts.
//!
//! ```yaml
//! diagnose:
//!   change_window: 24h
//!   hops_max: 4
//! ```
//!
//! Causes are ranked by `bellwether_models::causes` over the alerting entities, the silent ones
//! around them, the topology and the recent changes. The answer may be "unknown": confidences
//! below [`DiagnoseConfig::confidence_min`] name no cause. The blast radius is everything that
//! depends on the first cause, up to business services and customers.

mod blast;
mod cause;
mod changes;
mod class;
mod config;
mod departed;
mod diagnosed;
mod next;
mod precedent;
mod ranking;
mod shared;
pub(crate) mod stage;
mod table;

pub(crate) use blast::Blast;
pub(crate) use cause::{Cause, Diagnosis, explain_cause};
pub(crate) use class::Class;
pub use config::DiagnoseConfig;
pub(crate) use diagnosed::Diagnosed;
pub(crate) use next::Next;
pub use ranking::{CauseWeights, RankingConfig};
pub(crate) use table::Suspects;
