//! What the grouper takes, keeps and answers: alerts as it sees them, groups, and where an alert went.

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::names::Names;

/// A group's name: derived from its first alert, so the same data gives the
/// same ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupId(pub u64);

/// An alert as the grouper takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertView<'a> {
    /// Identity of the alert: the same id again is a repeat (its fingerprint).
    pub id: u64,
    /// Event time of this occurrence in nanoseconds.
    pub time_ns: i64,
    /// Type of alert as a token (rule, alarm code).
    pub kind: u32,
    /// Dense id of its entity, [`NO_ENTITY`] for none.
    pub entity: u32,
    /// Words as [`super::tokenize`] gives them: sorted, each once.
    pub tokens: &'a [u32],
    /// The name of its entity and the names in its text.
    pub names: Names<'a>,
}

/// Where an alert went, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its group now.
    pub group: GroupId,
    /// False for a repeat of an alert that was already there.
    pub fresh: bool,
    /// Whether it opened the group.
    pub opened: bool,
    /// Score against the group, 0..1; 0 when it opened one.
    pub score: f64,
    /// Evidence of its best link into the group.
    pub evidence: Evidence,
    /// The alert at the other end of that link.
    pub linked_to: Option<u64>,
    /// Groups that this alert joined to `group`; their ids are gone.
    pub merged: Vec<GroupId>,
    /// The best group it did not join.
    pub runner_up: Option<RunnerUp>,
}

/// The best group that an alert did not join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunnerUp {
    /// That group.
    pub group: GroupId,
    /// Score against it, 0..1.
    pub score: f64,
    /// Evidence of the best link into it.
    pub evidence: Evidence,
}

/// One open group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its name.
    pub id: GroupId,
    /// Active alerts in it.
    pub alerts: usize,
    /// First onset in nanoseconds.
    pub first_ns: i64,
    /// Latest news in nanoseconds.
    pub last_ns: i64,
}

/// One open group in the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) members: Vec<u32>,
}

/// One comparison of a new alert with an active one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) slot: u32,
    pub(super) group: u32,
    pub(super) score: f64,
    pub(super) evidence: Evidence,
}

/// The score of an alert against one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupScore {
    pub(super) group: u32,
    pub(super) score: f64,
    pub(super) best: Pair,
}
