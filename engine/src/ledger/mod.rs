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
//! major one over them (`ledger/major.rs`), which is over when they are.

mod incident;
mod index;
mod major;
mod record;
mod worth;

use std::collections::BTreeMap;

use bellwether_models::group::GroupId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signal::Severity;
use crate::time::{EventTime, Span};

pub(crate) use incident::{Incident, State, Told};
use index::Index;
pub use major::MajorConfig;
pub(crate) use major::{Tie, tie};
pub(crate) use record::{RecordScene, build_record, closing_signature, would_tell};
pub(crate) use worth::worth_telling;

/// Settings of the `ledger` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// A new group waits this long for its other symptoms.
    pub group_wait: Span,
    /// Pause before the first update; it doubles with each one.
    pub update_every: Span,
    /// Longest pause between updates.
    pub update_every_max: Span,
    /// An incident whose alerts have all recovered is resolved after this long.
    pub resolve_after: Span,
    /// A relapse within this long after the resolution reopens it.
    pub reopen_within: Span,
    /// A resolved incident is closed after this long.
    pub close_after: Span,
    /// An incident nobody has heard of for this long is resolved as stale.
    pub stale_after: Span,
    /// Weight, 0–1, from which a group of alerts is an incident.
    pub open_weight: f64,
    /// Two incidents that name the same cause with at least this confidence, 0–1, are one.
    pub same_cause_min: f64,
    /// The owner follows the diagnosis for this long after the opening, unless somebody
    /// acknowledges; then a ticket no longer wanders because a guess moved.
    pub owner_settles_after: Span,
    /// What one alert of each severity weighs, 0–1; weights of different alerts add up.
    pub weights: SeverityWeights,
    /// When one incident is the major one over others.
    pub major: MajorConfig,
}

/// What one alert of each severity weighs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityWeights {
    /// Of an `info` alert.
    pub info: f64,
    /// Of a `warning`.
    pub warning: f64,
    /// Of a `minor` alert.
    pub minor: f64,
    /// Of a `major` alert.
    pub major: f64,
    /// Of a `critical` alert.
    pub critical: f64,
}

impl Default for SeverityWeights {
    fn default() -> Self {
        SeverityWeights { info: 0.05, warning: 0.25, minor: 0.5, major: 1.0, critical: 1.0 }
    }
}

impl SeverityWeights {
    /// The weight of one alert.
    pub(crate) fn of(&self, severity: Severity) -> f64 {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Minor => self.minor,
            Severity::Major => self.major,
            Severity::Critical => self.critical,
        }
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig {
            group_wait: Span::from_secs(30),
            update_every: Span::from_mins(1),
            update_every_max: Span::from_mins(15),
            resolve_after: Span::from_mins(5),
            reopen_within: Span::from_mins(30),
            close_after: Span::from_hours(24),
            stale_after: Span::from_hours(24),
            open_weight: 0.5,
            same_cause_min: 0.5,
            owner_settles_after: Span::from_mins(5),
            weights: SeverityWeights::default(),
            major: MajorConfig::default(),
        }
    }
}

/// The incidents of one tenant that are not closed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "SavedLedger")]
pub(crate) struct Ledger {
    incidents: BTreeMap<u64, Incident>,
    by_group: BTreeMap<GroupId, u64>,
    by_id: BTreeMap<String, u64>,
    next: u64,
    /// Groups that found the ledger full.
    pub(crate) refused: u64,
    /// Groups whose alerts all recovered before they were opened.
    pub(crate) transient: u64,
    /// Groups that never weighed enough.
    pub(crate) too_light: u64,
    #[serde(skip)]
    index: Index,
}

/// The ledger as a checkpoint holds it; the index follows from it.
#[derive(Deserialize)]
struct SavedLedger {
    incidents: BTreeMap<u64, Incident>,
    by_group: BTreeMap<GroupId, u64>,
    by_id: BTreeMap<String, u64>,
    next: u64,
    refused: u64,
    transient: u64,
    too_light: u64,
}

impl From<SavedLedger> for Ledger {
    fn from(saved: SavedLedger) -> Ledger {
        let mut index = Index::default();
        for (number, incident) in &saved.incidents {
            index.file(*number, Some(incident));
        }
        for (group, number) in &saved.by_group {
            index.bind(*group, *number, None);
        }
        let SavedLedger { incidents, by_group, by_id, next, refused, transient, too_light } = saved;
        Ledger { incidents, by_group, by_id, next, refused, transient, too_light, index }
    }
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.incidents.len()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Incident> {
        self.incidents.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Incident> {
        self.incidents.get_mut(&number)
    }

    /// The active incidents, oldest first.
    pub(crate) fn active(&self) -> impl DoubleEndedIterator<Item = (u64, &Incident)> {
        self.index.active().filter_map(|number| Some((number, self.incidents.get(&number)?)))
    }

    /// How many incidents are active.
    pub(crate) fn active_len(&self) -> usize {
        self.index.active().len()
    }

    /// The active incidents whose first cause lies at the entity `root`, oldest first.
    pub(crate) fn active_at(&self, root: &str) -> impl Iterator<Item = (u64, &Incident)> {
        self.index.at_root(root).filter_map(|number| Some((number, self.incidents.get(&number)?)))
    }

    /// Whether an active incident besides `number` has told of a cause.
    pub(crate) fn any_cause_besides(&self, number: u64) -> bool {
        self.index.any_root_besides(number)
    }

    /// Active incidents of each person.
    pub(crate) fn load(&self) -> &BTreeMap<String, u32> {
        self.index.load()
    }

    /// An incident has been told: it is looked up by what it says now.
    pub(crate) fn refile(&mut self, number: u64) {
        self.index.file(number, self.incidents.get(&number));
    }

    /// Puts one incident under another; both are to be told.
    pub(crate) fn tie(&mut self, above: u64, below: u64, tie: Tie) {
        let Some(major) = self.incidents.get_mut(&above) else {
            return;
        };
        major.under.insert(below, tie);
        major.dirty = true;
        let id = major.id.clone();
        if let Some(child) = self.incidents.get_mut(&below) {
            child.over = Some(above);
            child.parent = Some(id);
            child.dirty = true;
        }
    }

    /// The incident of a group.
    pub(crate) fn of_group(&self, group: GroupId) -> Option<u64> {
        self.by_group.get(&group).copied()
    }

    /// The incident with this id.
    pub(crate) fn of_id(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// Starts a candidate for a group; `None` when the ledger is full.
    pub(crate) fn start(
        &mut self,
        group: GroupId,
        now: EventTime,
        config: &LedgerConfig,
        incidents_max: usize,
    ) -> Option<u64> {
        if self.incidents.len() >= incidents_max {
            self.refused += 1;
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.incidents.insert(number, Incident::candidate(group, now, now.plus(config.group_wait)));
        self.bind(group, number);
        Some(number)
    }

    /// Gives an opened incident its id.
    pub(crate) fn name(&mut self, number: u64, id: String) {
        self.by_id.insert(id.clone(), number);
        if let Some(incident) = self.incidents.get_mut(&number) {
            incident.id = id;
        }
    }

    /// Lets a group's name lead to this incident.
    pub(crate) fn bind(&mut self, group: GroupId, number: u64) {
        let before = self.by_group.insert(group, number);
        self.index.bind(group, number, before);
    }

    /// Forgets a group's name: it takes no more alerts.
    pub(crate) fn unbind(&mut self, group: GroupId) {
        if let Some(number) = self.by_group.remove(&group) {
            self.index.unbind(group, number);
        }
    }

    /// Takes an incident out for good.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Incident> {
        let incident = self.incidents.remove(&number)?;
        self.by_id.remove(&incident.id);
        self.index.file(number, None);
        for group in self.index.take_groups(number) {
            self.by_group.remove(&group);
        }
        Some(incident)
    }
}
