//! `ledger`: the life of incidents, one revision per change worth telling.
//!
//! ```yaml
//! ledger:
//!   group_wait: 30s       # let the symptoms gather before speaking
//!   update_every: 1m      # first update; the pause doubles with each one, up to 15m
//!   resolve_after: 5m     # quiet this long is resolved
//!   reopen_within: 30m
//!   close_after: 24h
//! ```
//!
//! A group of alerts is a *candidate* until it has waited `group_wait` and weighs enough; then
//! it is opened. Later it is updated (when something worth telling changed), resolved when
//! every alert has recovered, reopened when one relapses in time, and closed. Merges and splits
//! of groups become `merged` and `split` events that name both incidents. Related incidents get a
//! major one over them (`major.rs`), which is over when they are.

mod actions;
mod budget;
mod config;
mod desk;
mod escalating;
mod escalation;
mod feedback;
mod hierarchy;
mod incident;
mod index;
mod joining;
mod last_revision;
mod learning;
mod lessons;
mod life;
mod looks;
mod major;
mod members;
mod merging;
mod record;
mod room;
mod splitting;
pub(crate) mod stage;
mod step;
mod table;
#[cfg(test)]
mod tests;
mod worth;

pub use config::{LedgerConfig, SeverityWeights};
pub(crate) use incident::{Incident, Pause};
pub use lessons::LessonView;
pub use major::MajorConfig;
pub(crate) use major::Tie;
pub(crate) use step::Step;
pub(crate) use table::Ledger;
