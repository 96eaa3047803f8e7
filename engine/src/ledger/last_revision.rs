//! What a revision of an incident said: the state that the next one is held against, and what relates
//! the incident to others.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::diagnose::Class;
use crate::incident::{DeadlineState, Priority};
use crate::signal::Severity;
use crate::time::EventTime;

/// What the last revision said: an update must say something else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct LastRevision {
    pub(crate) at: EventTime,
    pub(crate) severity: Severity,
    pub(crate) priority: Priority,
    pub(crate) class: Class,
    pub(crate) cause: String,
    /// The entity of the first cause; empty when none is named.
    pub(crate) root: String,
    /// That the cause lies at that entity, by a change or by itself, 0–1.
    pub(crate) confidence: f64,
    pub(crate) alerting: usize,
    pub(crate) affected: usize,
    pub(crate) alert_count: u64,
    pub(crate) tickets: usize,
    /// The major incident it is under.
    pub(crate) parent: Option<String>,
    /// How many incidents are under it.
    pub(crate) children: usize,
    /// How the clocks of the service's and of the team's agreement stand.
    pub(crate) clocks: [Option<DeadlineState>; 4],
    /// When one of them comes to stand otherwise.
    pub(crate) clocks_due: EventTime,
    pub(crate) footprint: Footprint,
}

/// Entities of a blast radius kept for comparison.
pub(super) const REACH_MAX: usize = 1_024;
/// Names of one kind kept for comparison.
pub(super) const NAMES_KEPT: usize = 16;

/// What relates an incident to others, as its last revision told it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Footprint {
    pub(crate) onset: EventTime,
    /// The entity of the named cause; empty when none is named.
    pub(crate) cause: String,
    /// Whether that entity alerts in this incident.
    pub(crate) at_home: bool,
    /// The change named as the cause; empty when none is.
    pub(crate) change: String,
    /// Hashes of what alerts or depends on the cause, sorted.
    pub(crate) reach: Vec<u64>,
    /// Business services and critical items that it hurts, by name.
    pub(crate) business: Vec<String>,
    /// Network devices before most of what alerts, by name.
    pub(crate) devices: Vec<String>,
    /// Places that nearly all of its alerts share.
    pub(crate) places: Vec<String>,
}

/// How an entity is kept in [`Footprint::reach`].
pub(super) fn reach_hash(entity: &str) -> u64 {
    xxh3_64(entity.as_bytes())
}

impl Footprint {
    pub(super) fn reaches(&self, entity: &str) -> bool {
        !entity.is_empty() && self.reach.binary_search(&reach_hash(entity)).is_ok()
    }
}
