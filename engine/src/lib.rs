//! The engine: a deterministic fold from a journal of signals to incident events.
//!
//! Start at [`Engine`]; `pipeline.rs` shows the stages in order. Signals are Arrow batches
//! ([`signal`]), what the engine reads are journal entries ([`input`]), what it says are
//! incident events ([`incident`]).

mod action;
mod admit;
mod alert;
pub mod calendar;
mod case;
pub mod catalogue;
mod checkpoint;
mod clock;
mod columns;
mod compiled;
mod condition;
mod config;
pub mod correlate;
pub mod dedup;
pub mod diagnose;
mod engine;
pub mod enrich;
mod entity;
pub mod escalation;
mod event;
mod explain;
pub mod expr;
mod guard;
pub mod incident;
pub mod input;
pub mod ledger;
mod limits;
mod memory;
mod origin;
mod pieces;
mod pipeline;
#[doc(hidden)]
pub mod planted;
pub mod sense;
mod serial;
pub mod shown;
pub mod signal;
mod snapshot;
mod stats;
pub mod suppress;
mod symbols;
mod tables;
mod tenant;
#[cfg(test)]
mod testing;
pub mod time;
mod timers;
pub mod topology;
mod turn;
mod view;
mod waiting;

pub use checkpoint::{CheckpointError, Sealed, State};
pub use compiled::{BuildError, Workers, check_settings};
pub use config::EngineConfig;
pub use engine::{Engine, TENANTS_MAX};
pub use explain::{Explanation, LearnedDelay, MemberReason, Placed, Related};
pub use guard::{Fault, guarded};
pub use limits::LimitsConfig;
pub use origin::{ClockView, OffTime, SourceClass};
pub use sense::{ForecastTotals, ForecastView, SeriesView, WatchTotals};
pub use snapshot::Snapshot;
pub use stats::{BudgetView, EngineStats, TenantStats};
pub use view::{
    AlertView, AlertsSeen, AlertsWanted, ChangeView, EntityLine, EntityView, Held, Place, ProblemView, Seen,
    TemplateView,
};
