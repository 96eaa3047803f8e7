//! Major incidents in the life of a tenant: declared, joined, left, inherited.

use std::collections::BTreeMap;

use super::Tenant;
use crate::engine::Compiled;
use crate::incident::{IncidentEvent, StatusReason, Verb};
use crate::ledger::{Incident, Tie, tie};
use crate::time::EventTime;

/// Other incidents looked at for relations, the newest: with more open at once nobody reads on.
const RELATIVES_MAX: usize = 256;

/// Incidents considered as the major one, those that explain the newest best.
const RIVALS_MAX: usize = 16;

impl Tenant {
    /// Looks for the place of a told incident among the others: under a major one, or over some.
    pub(super) fn relate(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let config = &compiled.config.ledger.major;
        if config.incidents_min < 2 || self.leaves_parent(number, now, compiled, out) {
            return;
        }
        let Some(incident) = self.ledger.get(number).filter(|i| i.is_active() && i.over.is_none()) else {
            return;
        };
        let related = self.related(number, incident, now, compiled);
        if !incident.under.is_empty() {
            let free = related.into_iter().filter(|other| self.is_free(*other));
            let ties = free.filter_map(|other| Some((other, self.explanation(number, other, compiled)?))).collect();
            self.put_under(number, ties, now, compiled, out);
            return;
        }
        let score = |other: &u64| self.explanation(*other, number, compiled).map_or(0.0, |tie| tie.score);
        let majors = related.iter().filter(|other| self.ledger.get(**other).is_some_and(|i| !i.under.is_empty()));
        let best = majors.max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a))).copied();
        if let Some(major) = best {
            if let Some(tie) = self.explanation(major, number, compiled) {
                self.put_under(major, BTreeMap::from([(number, tie)]), now, compiled, out);
            }
            return;
        }
        if let Some((major, ties)) = self.major_of(number, related, now, compiled) {
            self.put_under(major, ties, now, compiled, out);
        }
    }

    /// The active incidents related to one, in order of their numbers.
    fn related(&self, number: u64, incident: &Incident, now: EventTime, compiled: &Compiled) -> Vec<u64> {
        let config = &compiled.config;
        let Some(own) = &incident.told else {
            return Vec::new();
        };
        let fresh = |other: &Incident| now.since(other.last_news) <= config.correlate.quiet;
        let others = self.ledger.active().rev().filter(|(other, i)| *other != number && fresh(i));
        let is_related = |told| tie(own, told, &config.ledger.major).score >= config.ledger.major.related_min;
        let mut related: Vec<u64> = others
            .take(RELATIVES_MAX)
            .filter(|(_, other)| other.told.as_ref().is_some_and(is_related))
            .map(|(other, _)| other)
            .collect();
        related.sort_unstable();
        related
    }

    /// Neither under another incident nor over any.
    fn is_free(&self, number: u64) -> bool {
        self.ledger.get(number).is_some_and(|i| i.over.is_none() && i.under.is_empty())
    }

    fn tie_between(&self, above: u64, below: u64, compiled: &Compiled) -> Option<Tie> {
        let told = |number: u64| self.ledger.get(number)?.told.as_ref();
        Some(tie(told(above)?, told(below)?, &compiled.config.ledger.major))
    }

    /// How one incident is related to another that it explains; `None` when it does not.
    fn explanation(&self, above: u64, below: u64, compiled: &Compiled) -> Option<Tie> {
        self.tie_between(above, below, compiled).filter(|tie| tie.explains > 0.0)
    }

    /// Of an incident and those related to it the one that explains its own relatives best, with
    /// these; `None` when none has enough.
    fn major_of(
        &self,
        number: u64,
        related: Vec<u64>,
        now: EventTime,
        compiled: &Compiled,
    ) -> Option<(u64, BTreeMap<u64, Tie>)> {
        let config = &compiled.config.ledger.major;
        let mut rivals: Vec<(f64, u64)> = related
            .into_iter()
            .filter(|other| self.is_free(*other))
            .filter_map(|other| Some((self.tie_between(other, number, compiled)?.explains, other)))
            .collect();
        rivals.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        rivals.truncate(RIVALS_MAX);
        let mut best: Option<(f64, u64, BTreeMap<u64, Tie>)> = None;
        for above in rivals.into_iter().map(|(_, other)| other).chain([number]) {
            let below = self.related(above, self.ledger.get(above)?, now, compiled);
            let free = below.into_iter().filter(|other| self.is_free(*other));
            let ties: BTreeMap<u64, Tie> =
                free.filter_map(|other| Some((other, self.explanation(above, other, compiled)?))).collect();
            if ties.len() + 1 < config.incidents_min {
                continue;
            }
            let explains: f64 = ties.values().map(|tie| tie.explains).sum();
            // Of two alike the one told first: numbers follow the order of event time.
            let better = best.as_ref().is_none_or(|(most, first, _)| {
                explains > most + 1e-9 || ((explains - most).abs() <= 1e-9 && above < *first)
            });
            if better {
                best = Some((explains, above, ties));
            }
        }
        best.map(|(_, above, ties)| (above, ties))
    }

    /// Puts incidents under a major one, and tells both sides.
    fn put_under(
        &mut self,
        major: u64,
        ties: BTreeMap<u64, Tie>,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(id) = self.ledger.get(major).map(|i| i.id.clone()) else {
            return;
        };
        let mut fresh = Vec::new();
        for (child, tie) in ties {
            let Some(above) = self.ledger.get_mut(major) else {
                return;
            };
            if above.under.len() >= compiled.config.ledger.major.children_max {
                break;
            }
            above.under.insert(child, tie);
            if let Some(below) = self.ledger.get_mut(child) {
                below.over = Some(major);
                below.parent = Some(id.clone());
            }
            fresh.push(child);
        }
        if fresh.is_empty() {
            return;
        }
        for number in std::iter::once(major).chain(fresh) {
            self.tell_place(number, now, compiled, out);
        }
    }

    fn tell_place(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.reason = StatusReason::Updated;
        }
        self.tell(number, Verb::Updated, now, compiled, out);
        self.plan(number, now, compiled);
    }

    /// A child that is hardly related any more leaves its major incident; answers whether it did.
    fn leaves_parent(
        &mut self,
        number: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) -> bool {
        let Some(over) = self.ledger.get(number).filter(|i| i.is_active()).and_then(|i| i.over) else {
            return false;
        };
        let release = compiled.config.ledger.major.release_min;
        if self.tie_between(over, number, compiled).is_some_and(|tie| tie.score >= release) {
            return false;
        }
        if let Some(major) = self.ledger.get_mut(over) {
            major.under.remove(&number);
            major.dirty = true;
        }
        self.wake_incident(over, now);
        if let Some(incident) = self.ledger.get_mut(number) {
            (incident.over, incident.parent) = (None, None);
        }
        self.tell_place(number, now, compiled, out);
        true
    }

    /// Whether an incident waits for those under it: a major incident is over when they are.
    pub(super) fn waits_for_children(&self, incident: &Incident) -> bool {
        incident.under.keys().any(|child| self.ledger.get(*child).is_some_and(Incident::is_active))
    }

    /// An incident has resolved: the one over it may follow.
    pub(super) fn wake_parent(&mut self, number: u64, now: EventTime) {
        if let Some(over) = self.ledger.get(number).and_then(|i| i.over) {
            self.wake_incident(over, now);
        }
    }

    /// `heir` has absorbed `gone`: it takes its place over others, or under one.
    pub(super) fn inherit_place(&mut self, heir: u64, loser: u64, gone: &Incident, now: EventTime) {
        if let Some(over) = gone.over {
            let tie = self.ledger.get_mut(over).and_then(|major| {
                major.dirty = true;
                major.under.remove(&loser)
            });
            let free = heir != over && self.is_free(heir) && gone.under.is_empty();
            if let Some(tie) = tie.filter(|_| free) {
                self.ledger.tie(over, heir, tie);
            }
            self.wake_incident(over, now);
        }
        let orphans: Vec<(u64, Tie)> = gone.under.iter().map(|(child, tie)| (*child, tie.clone())).collect();
        if orphans.is_empty() {
            return;
        }
        // Who has children gets no parent.
        let above = self.ledger.get(heir).and_then(|i| i.over);
        if let Some(major) = above.and_then(|above| self.ledger.get_mut(above)) {
            major.under.remove(&heir);
            major.dirty = true;
        }
        if let Some(heir) = self.ledger.get_mut(heir) {
            if heir.over.take().is_some() {
                heir.parent = None;
            }
            heir.dirty = true;
        }
        for (child, tie) in orphans {
            if child != heir {
                self.ledger.tie(heir, child, tie);
                self.wake_incident(child, now);
            }
        }
    }

    /// An incident is closed: its place is free. What was told of it stays told.
    pub(super) fn leave_place(&mut self, number: u64) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let (over, under) = (incident.over, incident.under.keys().copied().collect::<Vec<u64>>());
        if let Some(major) = over.and_then(|over| self.ledger.get_mut(over)) {
            major.under.remove(&number);
        }
        for child in under {
            if let Some(child) = self.ledger.get_mut(child) {
                child.over = None;
            }
        }
    }
}
