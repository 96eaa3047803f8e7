//! The incidents of one tenant that are not closed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bellwether_models::group::GroupId;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::config::LedgerConfig;
use super::incident::{Incident, State};
use super::index::Index;
use super::lessons::Lessons;
use super::major::Tie;
use crate::alert::Alert;
use crate::incident::StatusReason;
use crate::signal::Severity;
use crate::time::EventTime;

/// The incidents of one tenant that are not closed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "SavedLedger")]
pub(crate) struct Ledger {
    incidents: BTreeMap<u64, Incident>,
    by_group: BTreeMap<GroupId, u64>,
    by_id: BTreeMap<String, u64>,
    next: u64,
    /// What was called false.
    pub(crate) lessons: Lessons,
    /// What our own detectors opened.
    pub(crate) budget: Budget,
    /// Groups that found the ledger full, or had to make room.
    refused: u64,
    /// Groups whose alerts all recovered before they were opened.
    pub(super) transient: u64,
    /// Groups that never weighed enough.
    pub(super) too_light: u64,
    /// Groups of nothing but what was called false before.
    pub(super) taught: u64,
    /// How often somebody was told of what is in it, by rules of escalation.
    #[serde(skip)]
    pub(super) escalations: usize,
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
    lessons: Lessons,
    budget: Budget,
    refused: u64,
    transient: u64,
    too_light: u64,
    taught: u64,
}

impl From<SavedLedger> for Ledger {
    fn from(saved: SavedLedger) -> Ledger {
        let mut index = Index::default();
        let escalations = saved.incidents.values().map(|incident| incident.escalating.told.len()).sum();
        for (number, incident) in &saved.incidents {
            index.file(*number, Some(incident));
        }
        for (group, number) in &saved.by_group {
            index.bind(*group, *number, None);
        }
        let SavedLedger { incidents, by_group, by_id, next, lessons, budget, refused, transient, too_light, taught } =
            saved;
        Ledger {
            incidents,
            by_group,
            by_id,
            next,
            lessons,
            budget,
            refused,
            transient,
            too_light,
            taught,
            escalations,
            index,
        }
    }
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.incidents.len()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Incident> {
        self.incidents.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Incident> {
        self.incidents.get_mut(&number)
    }

    /// The active incidents, oldest first.
    pub(crate) fn active(&self) -> impl DoubleEndedIterator<Item = (u64, &Incident)> {
        self.index.active().filter_map(|number| Some((number, self.incidents.get(&number)?)))
    }

    /// What has not been told, oldest first.
    pub(super) fn candidates(&self) -> impl Iterator<Item = u64> {
        self.incidents.iter().filter(|(_, incident)| incident.state == State::Candidate).map(|(number, _)| *number)
    }

    /// How often somebody was told of what is in it, by rules of escalation.
    pub(crate) fn escalations(&self) -> usize {
        self.escalations
    }

    /// How many incidents are active.
    pub(crate) fn active_len(&self) -> usize {
        self.index.active().len()
    }

    /// The same by the priority that was told last.
    pub(crate) fn active_by_priority(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for told in self.active().filter_map(|(_, incident)| incident.told.as_ref()) {
            *counts.entry(told.priority.name().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The ids of the incidents that were told and are not closed.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
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

    /// Groups that found the ledger full.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Groups whose alerts all recovered before they were opened.
    pub(crate) fn transient(&self) -> u64 {
        self.transient
    }

    /// Looks at groups that did not weigh enough.
    pub(crate) fn too_light(&self) -> u64 {
        self.too_light
    }

    /// Groups of nothing but what was called false before.
    pub(crate) fn taught(&self) -> u64 {
        self.taught
    }

    /// When the one timer of an incident was set for last.
    pub(crate) fn timer_mut(&mut self, number: u64) -> Option<&mut EventTime> {
        self.incidents.get_mut(&number).map(|incident| &mut incident.timer)
    }

    /// Whether an incident still takes alerts: a resolved one does while it may reopen, unless it was none.
    pub(super) fn takes_more(&self, number: u64, now: EventTime, config: &LedgerConfig) -> bool {
        self.get(number).is_some_and(|incident| {
            let may_reopen =
                |at| now.since(at) <= config.reopen_within && incident.reason != StatusReason::FalsePositive;
            incident.state != State::Resolved || incident.resolved_at.is_some_and(may_reopen)
        })
    }

    /// Whether an alert that fires again goes back to its incident as it is. An alert of a resolved one,
    /// and one that has long been calm, is placed anew: it may be part of the next trouble rather than
    /// a relapse.
    pub(crate) fn takes_back(&self, number: u64, alert: &Alert, now: EventTime, config: &LedgerConfig) -> bool {
        let resolved = self.get(number).is_some_and(|incident| incident.state == State::Resolved);
        let since = alert.resolved_at.unwrap_or(alert.starts_at);
        let calm = alert.starts_at.since(since) > config.resolve_after;
        self.takes_more(number, now, config) && !resolved && !calm
    }

    /// Whether an incident waits for those under it: a major incident is over when they are.
    pub(super) fn waits_for_children(&self, incident: &Incident) -> bool {
        incident.under.keys().any(|child| self.get(*child).is_some_and(Incident::is_active))
    }

    /// Neither under another incident nor over any.
    pub(super) fn is_free(&self, number: u64) -> bool {
        self.get(number).is_some_and(|incident| incident.over.is_none() && incident.under.is_empty())
    }

    /// An incident has been told: it is looked up by what it says now.
    pub(super) fn refile(&mut self, number: u64) {
        self.index.file(number, self.incidents.get(&number));
    }

    /// Puts one incident under another; both are to be told.
    pub(super) fn tie(&mut self, above: u64, below: u64, tie: Tie) {
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

    /// The incident that was resolved first.
    pub(super) fn oldest_resolved(&self) -> Option<u64> {
        let resolved = self.incidents.iter().filter(|(_, incident)| incident.state == State::Resolved);
        resolved.min_by_key(|(number, incident)| (incident.resolved_at, **number)).map(|(number, _)| *number)
    }

    /// The candidate of the least severity, the newest of them.
    pub(super) fn least_candidate(&self) -> Option<(u64, Severity)> {
        let candidates = self.incidents.iter().filter(|(_, incident)| incident.state == State::Candidate);
        let least = candidates.min_by_key(|(number, incident)| (incident.severity, Reverse(**number)));
        least.map(|(number, incident)| (*number, incident.severity))
    }

    /// Takes out what makes room for others, and counts it.
    pub(super) fn shed(&mut self, number: u64) -> Option<Incident> {
        self.refused += 1;
        self.remove(number)
    }

    /// Starts a candidate for a group; `None` when the ledger is full.
    pub(super) fn start(
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
    pub(super) fn name(&mut self, number: u64, id: String) {
        self.by_id.insert(id.clone(), number);
        if let Some(incident) = self.incidents.get_mut(&number) {
            incident.id = id;
        }
    }

    /// The next revision of an incident follows this one, which was told last.
    pub(crate) fn count_from(&mut self, id: &str, revision: u64) {
        if let Some(incident) = self.of_id(id).and_then(|number| self.incidents.get_mut(&number)) {
            incident.revision = revision;
        }
    }

    /// Lets a group's name lead to this incident.
    pub(super) fn bind(&mut self, group: GroupId, number: u64) {
        let before = self.by_group.insert(group, number);
        self.index.bind(group, number, before);
    }

    /// Forgets a group's name: it takes no more alerts.
    pub(super) fn unbind(&mut self, group: GroupId) {
        if let Some(number) = self.by_group.remove(&group) {
            self.index.unbind(group, number);
        }
    }

    /// Takes an incident out for good.
    pub(super) fn remove(&mut self, number: u64) -> Option<Incident> {
        let incident = self.incidents.remove(&number)?;
        self.escalations = self.escalations.saturating_sub(incident.escalating.told.len());
        self.by_id.remove(&incident.id);
        self.index.file(number, None);
        for group in self.index.take_groups(number) {
            self.by_group.remove(&group);
        }
        Some(incident)
    }
}
