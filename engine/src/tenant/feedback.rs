//! What an operator says about the grouping: this alert belongs here, this one does not, these two
//! incidents are one.
//!
//! The word is obeyed at once, and it teaches: the pairs of alerts it is about go with their
//! evidence into a bounded store of labels, from which weights can be learned
//! (`bellwether models learn-groups`), and their types into the learned co-occurrence. The weights in
//! force stay what the operator has configured.

use bellwether_models::group::GroupId;

use super::Tenant;
use crate::engine::Compiled;
use crate::incident::{IncidentEvent, Verb};
use crate::time::EventTime;

impl Tenant {
    /// An alert belongs to this incident, wherever it is now.
    pub(super) fn attach(
        &mut self,
        incident: &str,
        alert: &str,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some((number, fingerprint)) = self.named_alert(incident, alert) else {
            return;
        };
        let old = self.alerts.get(fingerprint).and_then(|a| a.incident).filter(|old| self.ledger.get(*old).is_some());
        let active = self.ledger.get(number).is_some_and(|i| i.is_active());
        if old == Some(number) || !active {
            self.stats.actions_unknown += 1;
            return;
        }
        let group = self.ledger.get(number).map(|i| i.group);
        let partners =
            group.map_or_else(Vec::new, |group| self.correlator.links_to(fingerprint, group, &self.topology));
        self.correlator.teach(fingerprint, &partners, true);
        self.correlator.remove(fingerprint);
        match old {
            Some(old) if self.ledger.get(old).is_some_and(|i| i.members.len() == 1) => {
                self.absorb(old, number, now, compiled, out);
                return;
            }
            Some(old) => {
                self.move_alert(fingerprint, old, number, now);
                self.wake_when_quiet(old, now, compiled);
                self.look_again(old, now);
            }
            None => self.enlist(number, fingerprint, now, compiled, out),
        }
        self.look_again(number, now);
    }

    /// An alert does not belong to this incident: it becomes one of its own.
    pub(super) fn detach(
        &mut self,
        incident: &str,
        alert: &str,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some((number, fingerprint)) = self.named_alert(incident, alert) else {
            return;
        };
        let Some(from) = self.ledger.get(number).filter(|i| i.members.contains(&fingerprint) && i.members.len() > 1)
        else {
            self.stats.actions_unknown += 1;
            return;
        };
        let (group, parent) = (from.group, from.id.clone());
        let partners = self.correlator.links_to(fingerprint, group, &self.topology);
        self.correlator.teach(fingerprint, &partners, false);
        self.correlator.remove(fingerprint);
        let limit = compiled.config.limits.incidents_max;
        // A group that nothing joins: what the evidence said of this alert was wrong.
        let alone = GroupId(xxhash_rust::xxh3::xxh3_64(format!("{fingerprint}|{}", now.0).as_bytes()));
        let Some(child) = self.ledger.start(alone, now, &compiled.config.ledger, limit) else {
            return;
        };
        self.move_alert(fingerprint, number, child, now);
        if let Some(incident) = self.ledger.get_mut(child) {
            incident.parent = Some(parent);
        }
        self.tell(number, Verb::Split, now, compiled, out);
        self.wake_when_quiet(number, now, compiled);
        if self.ledger.get(child).is_some_and(|i| !i.live.is_empty()) {
            self.open(child, now, compiled, out);
        } else {
            self.ledger.remove(child);
            self.alerts.set_incident(fingerprint, None);
        }
    }

    /// Two incidents are one.
    pub(super) fn merge_as_told(
        &mut self,
        incident: &str,
        into: &str,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let (Some(gone), Some(kept)) = (self.named(incident), self.named(into)) else {
            return;
        };
        let active = |number| self.ledger.get(number).is_some_and(|i| i.is_active());
        if gone == kept || !active(gone) || !active(kept) {
            self.stats.actions_unknown += 1;
            return;
        }
        let members: Vec<u64> = self.ledger.get(gone).map_or_else(Vec::new, |i| i.members.iter().copied().collect());
        if let Some(group) = self.ledger.get(kept).map(|i| i.group) {
            for fingerprint in members.into_iter().take(MERGE_TAUGHT_MAX) {
                let partners = self.correlator.links_to(fingerprint, group, &self.topology);
                self.correlator.teach(fingerprint, &partners, true);
            }
        }
        self.absorb(gone, kept, now, compiled, out);
    }

    /// One incident goes on with the alerts of another, whatever their age.
    fn absorb(&mut self, gone: u64, kept: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let group = self.ledger.get(gone).map(|i| i.group);
        self.merge_into(kept, gone, now, compiled, out);
        if let Some(group) = group {
            self.ledger.bind(group, kept);
        }
        self.look_again(kept, now);
    }

    /// An incident has changed by an operator's word: it is looked at as soon as may be.
    fn look_again(&mut self, number: u64, now: EventTime) {
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.dirty = true;
        }
        self.wake_incident(number, now);
    }

    /// The incident and the alert that an action names; what is not known is counted.
    fn named_alert(&mut self, incident: &str, alert: &str) -> Option<(u64, u64)> {
        let number = self.named(incident)?;
        let fingerprint = u64::from_str_radix(alert, 16).ok().filter(|f| self.alerts.get(*f).is_some());
        if fingerprint.is_none() {
            self.stats.actions_unknown += 1;
        }
        Some((number, fingerprint?))
    }
}

/// Alerts of a merged incident whose pairs are learned from: the first ones tell enough.
const MERGE_TAUGHT_MAX: usize = 50;
