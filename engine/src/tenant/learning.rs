//! What a tenant learns from incidents that are over.

use std::collections::BTreeMap;

use super::Tenant;
use crate::incident::StatusReason;
use crate::symbols::Sym;
use crate::time::EventTime;

impl Tenant {
    /// Learns of a resolved incident, once, how long trouble took along its edges and which
    /// changes it followed. What was no incident, and what nobody saw the end of, teaches nothing.
    pub(super) fn learn_of(&mut self, number: u64) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        if incident.learned || matches!(incident.reason, StatusReason::FalsePositive | StatusReason::Stale) {
            return;
        }
        let mut began: BTreeMap<Sym, EventTime> = BTreeMap::new();
        let members = incident.members.iter().filter_map(|f| self.alerts.get(*f)).map(|alert| (alert, alert.began_at));
        for (alert, began_at) in members.chain(incident.left_alerts(&self.alerts)) {
            let at = began.entry(alert.entity).or_insert(began_at);
            *at = (*at).min(began_at);
        }
        self.changes.learn(&began);
        let mut onsets: Vec<(Sym, EventTime)> = began.into_iter().collect();
        onsets.sort_by_key(|(entity, at)| (*at, self.entities.text(*entity)));
        let learned = self.correlator.delays.learn(&onsets, &self.topology);
        self.stats.delays_learned += learned as u64;
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.learned = true;
        }
    }
}
