//! Causes: which entity or which change explains the symptoms.
//!
//! Three entrances, one idea. [`rank`] works on one incident's alerts: onset
//! times, strengths, the dependency graph and the changes before it.
//! [`case::rank_case`] works on raw series, log and span counts of a window
//! before and after a fault, for when nothing has alerted yet. [`telling::rank_suspects`] works on nothing but the
//! alerts of one fault, of entities about which nothing else is known.
//! All look for the entity whose trouble is *not* explained by a dependency
//! and *does* explain the others, and all may answer "unknown": the
//! confidences of a ranking sum to at most one, and what is missing is the
//! chance that the cause is none of the listed.

pub mod baseline;
pub mod case;
pub mod deviation;
mod graph;
pub mod propagate;
mod rank;
pub mod telling;
pub mod visits;

pub use graph::{CauseChange, CauseEdge, CauseNode, Relation};
pub use rank::{CauseParams, CauseReasons, CauseSubject, RankedCause, rank};
