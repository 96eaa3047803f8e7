//! `correlate`: alerts join and leave incidents; groups that become one or fall apart take their
//! incidents with them.

use std::collections::BTreeSet;

use bellwether_models::group::GroupId;

use super::Tenant;
use crate::alert::Alert;
use crate::engine::Compiled;
use crate::incident::{IncidentEvent, Verb};
use crate::ledger::{Incident, State, Told, would_tell};
use crate::time::{EventTime, Span};

/// Share of a resolved incident's alerts that must come back for it to be back.
const RELAPSE_SHARE_MIN: f64 = 0.2;

impl Tenant {
    /// Puts a live alert into its incident, old or new.
    pub(super) fn join(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if self.rejoin(fingerprint, now, compiled, out) {
            return;
        }
        self.topology.age(now, compiled.config.correlate.edge_life);
        let Some(alert) = self.alerts.get(fingerprint) else {
            return;
        };
        let assignment = self.correlator.assign(alert, now, &self.topology, (&self.names, &self.entities));
        self.ensure_sweep(now);
        for closed in self.correlator.take_closed() {
            self.ledger.unbind(closed);
        }
        self.merge_groups(assignment.group, &assignment.merged, now, compiled, out);
        let old = self.leave_old_place(fingerprint, assignment.group);
        let known = self.ledger.of_group(assignment.group).filter(|n| self.takes_more(*n, now, compiled));
        let number = match known {
            Some(number) => number,
            None => {
                let limit = compiled.config.limits.incidents_max;
                let Some(number) = self.ledger.start(assignment.group, now, &compiled.config.ledger, limit) else {
                    return;
                };
                number
            }
        };
        if let (Some(old), Some(incident)) = (old, self.ledger.get_mut(number)) {
            incident.relapses.insert(fingerprint, old);
        }
        self.enlist(number, fingerprint, now, compiled, out);
    }

    /// Lets an alert of an incident that is not over go back to it. An alert of a resolved one,
    /// and one that has long been calm, is placed anew first: it may be part of the next trouble
    /// rather than a relapse.
    fn rejoin(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) -> bool {
        let Some(number) = self.alerts.get(fingerprint).and_then(|a| a.incident) else {
            return false;
        };
        let may_return = self.takes_more(number, now, compiled);
        let resolved = self.ledger.get(number).is_some_and(|i| i.state == State::Resolved);
        let calm = self.alerts.get(fingerprint).is_some_and(|alert| {
            let since = alert.resolved_at.unwrap_or(alert.starts_at);
            alert.starts_at.since(since) > compiled.config.ledger.resolve_after
        });
        if may_return && !resolved && !calm {
            self.enlist(number, fingerprint, now, compiled, out);
            return true;
        }
        // Its old place must not pull others to what is over.
        self.correlator.remove(fingerprint);
        if !may_return && let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.incident = None;
        }
        false
    }

    /// An alert of an incident has been placed anew: unless that is where it was, it is no longer
    /// part of the incident, which is the answer.
    fn leave_old_place(&mut self, fingerprint: u64, group: GroupId) -> Option<u64> {
        let alert = self.alerts.get(fingerprint)?;
        let (old, began_at) = (alert.incident?, alert.began_at);
        if self.ledger.of_group(group) == Some(old) {
            return None;
        }
        if let Some(incident) = self.ledger.get_mut(old) {
            incident.lose(fingerprint, began_at);
        }
        if let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.incident = None;
        }
        Some(old)
    }

    /// A candidate of nothing but alerts that were part of one earlier incident is a relapse of
    /// that, not trouble of its own. Answers whether it was, and is gone.
    pub(super) fn fold_relapse(
        &mut self,
        number: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) -> bool {
        let Some(incident) = self.ledger.get(number) else {
            return false;
        };
        let mut olds = incident.live.iter().map(|fingerprint| incident.relapses.get(fingerprint).copied());
        let Some(Some(old)) = olds.next() else {
            return false;
        };
        if olds.any(|other| other != Some(old)) || !self.takes_more(old, now, compiled) {
            return false;
        }
        if !self.is_relapse(&incident.live, old) {
            return false;
        }
        let Some(gone) = self.ledger.remove(number) else {
            return false;
        };
        self.ledger.unbind(gone.group);
        for fingerprint in &gone.members {
            // A group of relapses must not attract others to what is over.
            self.correlator.remove(*fingerprint);
            self.place(*fingerprint, old);
        }
        if let Some(incident) = self.ledger.get_mut(old) {
            incident.members.extend(&gone.members);
        }
        for fingerprint in gone.live {
            self.enlist(old, fingerprint, now, compiled, out);
        }
        true
    }

    /// Whether these alerts, which were part of `old`, are its return: always while it goes on;
    /// once it is over when they are a good part of it, or where its cause was. One of two hundred
    /// that comes back alone has another reason.
    fn is_relapse(&self, alerts: &BTreeSet<u64>, old: u64) -> bool {
        let Some(incident) = self.ledger.get(old).filter(|incident| incident.state == State::Resolved) else {
            return true;
        };
        let all = incident.members.len() + alerts.len();
        let root = incident.told.as_ref().map_or("", |told| &*told.root);
        let at_root = |fingerprint: &u64| {
            self.alerts.get(*fingerprint).is_some_and(|alert| self.entities.text(alert.entity) == root)
        };
        alerts.len() as f64 >= RELAPSE_SHARE_MIN * all as f64 || alerts.iter().any(at_root)
    }

    /// Whether an incident still takes alerts: a resolved one does while it may reopen.
    fn takes_more(&self, number: u64, now: EventTime, compiled: &Compiled) -> bool {
        let window = compiled.config.ledger.reopen_within;
        self.ledger.get(number).is_some_and(|incident| {
            incident.state != State::Resolved || incident.resolved_at.is_some_and(|at| now.since(at) <= window)
        })
    }

    pub(super) fn enlist(
        &mut self,
        number: u64,
        fingerprint: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(alert) = self.place(fingerprint, number) else {
            return;
        };
        let (severity, rows) = (alert.severity, alert.count);
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        let worse = severity > incident.severity;
        incident.admit(fingerprint, severity, rows, now);
        let config = &compiled.config.ledger;
        let due = match (incident.state, &incident.told) {
            (State::Candidate, _) => now.plus(config.group_wait),
            (State::Resolved, _) => {
                self.reopen(number, now, compiled, out);
                return;
            }
            (_, Some(told)) if worse => told.at.plus(config.update_every).max(now),
            (_, Some(told)) => told.at.plus(Span(incident.pause_ns)).max(now),
            (_, None) => now,
        };
        self.wake_incident(number, due);
    }

    /// Makes an alert a part of an incident. What comes back began when it began there first.
    fn place(&mut self, fingerprint: u64, number: u64) -> Option<&Alert> {
        let began_at = self.ledger.get_mut(number).and_then(|incident| incident.left.remove(&fingerprint));
        let alert = self.alerts.get_mut(fingerprint)?;
        if alert.incident != Some(number) {
            alert.began_at = began_at.unwrap_or(alert.starts_at);
        }
        alert.incident = Some(number);
        Some(alert)
    }

    /// Takes an alert that recovered or was suppressed out of what is live at its incident.
    pub(super) fn leave(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled) {
        let Some(number) = self.alerts.get(fingerprint).and_then(|a| a.incident) else {
            return;
        };
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.calm(fingerprint, now);
        self.wake_when_quiet(number, now, compiled);
    }

    /// An incident without a live alert is looked at when it may end.
    pub(super) fn wake_when_quiet(&mut self, number: u64, now: EventTime, compiled: &Compiled) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        if let Some(since) = incident.quiet_since {
            let due = match incident.state {
                State::Candidate => now,
                _ => since.plus(compiled.config.ledger.resolve_after),
            };
            self.wake_incident(number, due.max(now));
        }
    }

    /// Groups have become one: so do their incidents.
    fn merge_groups(
        &mut self,
        group: GroupId,
        merged: &[GroupId],
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        for other in merged {
            let Some(b) = self.ledger.of_group(*other) else {
                continue;
            };
            self.ledger.unbind(*other);
            match self.ledger.of_group(group) {
                None => self.ledger.bind(group, b),
                Some(a) if a == b => {}
                Some(a) => {
                    let winner = self.merge_incidents(a, b, now, compiled, out);
                    self.ledger.bind(group, winner);
                    if let Some(incident) = self.ledger.get_mut(winner) {
                        incident.group = group;
                    }
                }
            }
        }
    }

    /// Makes one of an incident and another that names the same cause; answers whether it did.
    /// The groups stay apart, as their evidence does; both now lead to the one incident. `would_tell`
    /// is what the incident would tell now, where that has been found already.
    pub(super) fn unite(
        &mut self,
        number: u64,
        would_tell: Option<&Told>,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) -> bool {
        let Some(other) = self.same_cause(number, would_tell, now, compiled) else {
            return false;
        };
        let groups = [number, other].map(|n| self.ledger.get(n).map(|incident| incident.group));
        let winner = self.merge_incidents(other, number, now, compiled, out);
        for group in groups.into_iter().flatten() {
            self.ledger.bind(group, winner);
        }
        true
    }

    /// The oldest active incident that names the cause that this one would name now.
    fn same_cause(&self, number: u64, told_next: Option<&Told>, now: EventTime, compiled: &Compiled) -> Option<u64> {
        let config = &compiled.config;
        let sure = |told: &Told| !told.root.is_empty() && told.confidence >= config.ledger.same_cause_min;
        let incident = self.ledger.get(number)?;
        // A diagnosis costs more than a look at what has been told.
        if incident.live.is_empty() || !self.ledger.any_cause_besides(number) {
            return None;
        }
        let own = match (told_next, &incident.told) {
            (Some(next), _) => next.clone(),
            (None, Some(told)) if !incident.dirty => told.clone(),
            (None, _) => would_tell(incident, now, &self.record_scene(compiled)),
        };
        if !sure(&own) {
            return None;
        }
        let alike = |other: &Incident| {
            let same = |told: &Told| {
                let by_one_change = told.cause == own.cause && told.cause != told.root;
                sure(told) && (by_one_change || self.is_live_at(other, &told.root))
            };
            other.told.as_ref().is_some_and(same)
        };
        let fresh = |other: &Incident| now.since(other.last_news) <= config.correlate.quiet;
        let mut others = self.ledger.active_at(&own.root).filter(|(other, i)| *other != number && fresh(i));
        others.find(|(_, other)| alike(other)).map(|(other, _)| other)
    }

    /// Whether an alert of `incident` about the entity `root` still fires: what is well again causes
    /// nothing new.
    fn is_live_at(&self, incident: &Incident, root: &str) -> bool {
        let alerts = incident.live.iter().filter_map(|fingerprint| self.alerts.get(*fingerprint));
        alerts.into_iter().any(|alert| self.entities.text(alert.entity) == root)
    }

    /// The one already told absorbs the other; of two alike, the older.
    fn merge_incidents(
        &mut self,
        a: u64,
        b: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) -> u64 {
        let rank = |tenant: &Tenant, number: u64| {
            let incident = tenant.ledger.get(number);
            (!incident.is_some_and(|i| i.is_active()), !incident.is_some_and(|i| i.is_told()), number)
        };
        let (winner, loser) = if rank(self, a) <= rank(self, b) { (a, b) } else { (b, a) };
        self.merge_into(winner, loser, now, compiled, out);
        winner
    }

    /// One incident takes over the alerts and tickets of another, which is over.
    pub(super) fn merge_into(
        &mut self,
        winner: u64,
        loser: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let into = self.ledger.get(winner).map(|i| i.id.clone()).unwrap_or_default();
        let told = self.ledger.get(loser).is_some_and(|i| i.is_told());
        if told && !into.is_empty() {
            self.tell_merged(loser, &into, now, compiled, out);
        }
        let Some(gone) = self.ledger.remove(loser) else {
            return;
        };
        self.timers.remove(&(gone.timer, super::Timer::Incident(loser)));
        self.inherit_place(winner, loser, &gone, now);
        for fingerprint in &gone.members {
            self.alerts.set_incident(*fingerprint, Some(winner));
        }
        if let Some(incident) = self.ledger.get_mut(winner) {
            for fingerprint in &gone.members {
                let back = incident.left.remove(fingerprint);
                if let (Some(began_at), Some(alert)) = (back, self.alerts.get_mut(*fingerprint)) {
                    alert.began_at = alert.began_at.min(began_at);
                }
            }
            // What the one had lost to the other began with the one.
            for (fingerprint, began_at) in gone.left.iter().filter(|(left, _)| incident.members.contains(left)) {
                if let Some(alert) = self.alerts.get_mut(*fingerprint) {
                    alert.began_at = alert.began_at.min(*began_at);
                }
            }
            incident.inherit_left(gone.left);
            incident.members.extend(&gone.members);
            incident.live.extend(&gone.live);
            incident.alert_count += gone.alert_count;
            incident.severity = incident.severity.max(gone.severity);
            incident.detected_at = incident.detected_at.min(gone.detected_at);
            incident.tickets.extend(gone.tickets);
            if !incident.live.is_empty() {
                incident.quiet_since = None;
            }
            incident.dirty = true;
        }
        self.wake_incident(winner, now);
    }

    /// Parts of a group that the topology no longer holds together become incidents of their own.
    pub(super) fn split_off(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let epoch = self.topology.epoch();
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        if incident.epoch == epoch {
            return;
        }
        incident.epoch = epoch;
        let (group, parent) = (incident.group, incident.id.clone());
        let parts = self.correlator.split(group, &self.topology);
        let mut born = Vec::new();
        for (part, alerts) in parts {
            let limit = compiled.config.limits.incidents_max;
            let Some(child) = self.ledger.start(part, now, &compiled.config.ledger, limit) else {
                continue;
            };
            for fingerprint in alerts {
                self.move_alert(fingerprint, number, child, now);
            }
            if let Some(incident) = self.ledger.get_mut(child) {
                incident.parent = Some(parent.clone());
            }
            born.push(child);
        }
        if born.is_empty() {
            return;
        }
        self.tell(number, Verb::Split, now, compiled, out);
        for child in born {
            if self.ledger.get(child).is_some_and(|i| !i.live.is_empty()) {
                self.open(child, now, compiled, out);
            } else {
                self.ledger.remove(child);
            }
        }
    }

    pub(super) fn move_alert(&mut self, fingerprint: u64, from: u64, to: u64, now: EventTime) {
        let Some(alert) = self.alerts.get_mut(fingerprint) else {
            return;
        };
        alert.incident = Some(to);
        let (severity, rows, live) = (alert.severity, alert.count, alert.is_live());
        if let Some(old) = self.ledger.get_mut(from) {
            old.members.remove(&fingerprint);
            old.calm(fingerprint, now);
            old.alert_count = old.alert_count.saturating_sub(rows);
        }
        if let Some(new) = self.ledger.get_mut(to) {
            new.admit(fingerprint, severity, rows, now);
            if !live {
                new.calm(fingerprint, now);
            }
        }
    }
}
