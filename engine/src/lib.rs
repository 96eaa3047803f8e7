//! The engine: a deterministic fold from a journal of signals to incident events.
//!
//! Start at [`Engine`]; its module shows the stages in order. Signals are Arrow batches
//! ([`signal`]), what the engine reads are journal entries ([`input`]), what it says are
//! incident events ([`incident`]).

mod alert;
pub mod catalogue;
pub mod checkpoint;
pub(crate) mod columns;
mod config;
pub mod correlate;
pub mod dedup;
pub mod diagnose;
mod engine;
pub mod enrich;
pub mod entity;
mod explain;
pub mod expr;
pub mod incident;
pub mod input;
pub mod ledger;
mod mentions;
pub mod sense;
pub mod signal;
mod stats;
pub mod suppress;
mod symbols;
mod tenant;
pub mod time;
pub mod topology;
mod waiting;

pub use checkpoint::CheckpointError;
pub use config::{EngineConfig, LimitsConfig};
pub use engine::{BuildError, Engine, TENANTS_MAX, check_settings};
pub use explain::{Explanation, LearnedDelay, MemberReason, Placed, Related};
pub use sense::SeriesView;
pub use stats::{EngineStats, TenantStats};
