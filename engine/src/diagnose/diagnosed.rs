//! One incident with its diagnosis.

use super::blast::Blast;
use super::cause::{Cause, Diagnosis};
use super::class::Class;
use super::next::Next;
use crate::case::Case;
use crate::signal::Severity;
use crate::symbols::Sym;

/// What the stage has found out of an incident.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosed {
    pub(crate) case: Case,
    /// The alerts that were looked at, the worst first.
    pub(crate) members: Vec<u64>,
    /// Series of the entities that alert which moved, the clearest first.
    pub(crate) evidence: Vec<u64>,
    /// The alert that began first.
    pub(crate) first: Option<u64>,
    /// The worst that fires now.
    pub(crate) live_severity: Option<Severity>,
    /// All of it is forecasts: nothing has happened yet.
    pub(crate) to_come: bool,
    /// Labels that nearly all alerts share, as `name=value`.
    pub(crate) shared: Vec<String>,
    pub(crate) diagnosis: Diagnosis,
    /// The first cause when it is sure enough to be named.
    pub(crate) named: Option<Cause>,
    /// The entity to look at first, and its id.
    pub(crate) primary: (Option<Sym>, String),
    pub(crate) blast: Blast,
    pub(crate) class: Class,
    /// Who is expected to follow, soonest first.
    pub(crate) next: Vec<Next>,
}
