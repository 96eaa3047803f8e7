//! Conditions that stood when trouble began: alerts about the state of an entity itself, by entity.
//!
//! A full disk is told minutes before the service on it fails, often as an alert that weighs
//! too little to be an incident of its own. When causes are sought, such a condition near the
//! trouble is a suspect although it is not part of the incident.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::Alert;
use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// How much an alert must speak of a condition to stand.
const CONDITION_MIN: f64 = 0.7;

/// The condition alerts of one tenant, firing or over; as many as there are alerts, at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    by_entity: BTreeMap<Sym, BTreeSet<u64>>,
    /// The anomalies of series, of conditions or not.
    anomalies: BTreeMap<Sym, BTreeSet<u64>>,
    by_onset: BTreeSet<(EventTime, u64)>,
    /// The onset under which an alert stands in `by_onset`: it moves when the alert fires again.
    onset_of: BTreeMap<u64, EventTime>,
}

impl Conditions {
    /// An alert has fired.
    pub(super) fn note(&mut self, alert: &Alert) {
        if alert.is_anomaly() {
            self.anomalies.entry(alert.entity).or_default().insert(alert.fingerprint);
        }
        if alert.condition >= CONDITION_MIN {
            self.by_entity.entry(alert.entity).or_default().insert(alert.fingerprint);
            let before = self.onset_of.insert(alert.fingerprint, alert.starts_at);
            if let Some(before) = before {
                self.by_onset.remove(&(before, alert.fingerprint));
            }
            self.by_onset.insert((alert.starts_at, alert.fingerprint));
        }
    }

    /// An alert has left the tables.
    pub(super) fn forget(&mut self, alert: &Alert) {
        if let Some(onset) = self.onset_of.remove(&alert.fingerprint) {
            self.by_onset.remove(&(onset, alert.fingerprint));
        }
        for index in [&mut self.by_entity, &mut self.anomalies] {
            if let Some(of) = index.get_mut(&alert.entity) {
                of.remove(&alert.fingerprint);
                if of.is_empty() {
                    index.remove(&alert.entity);
                }
            }
        }
    }

    /// The anomalies of the series of `entity`, in order of fingerprint.
    pub(super) fn anomalies_at(&self, entity: Sym) -> impl Iterator<Item = u64> {
        self.anomalies.get(&entity).into_iter().flatten().copied()
    }

    /// The alerts of `entity`, in order of fingerprint.
    pub(super) fn at(&self, entity: Sym) -> impl Iterator<Item = u64> {
        self.by_entity.get(&entity).into_iter().flatten().copied()
    }

    /// The alerts that began within `around` of `onset`, in order of time.
    pub(super) fn near(&self, onset: EventTime, around: Span) -> impl Iterator<Item = u64> {
        let span = (onset.minus(around), 0)..=(onset.plus(around), u64::MAX);
        self.by_onset.range(span).map(|(_, fingerprint)| *fingerprint)
    }
}

/// Whether an alert fired at `onset` or since, and nothing holds it back.
pub(super) fn stands(alert: &Alert, onset: EventTime) -> bool {
    let over = !alert.is_firing() && alert.resolved_at.is_none_or(|at| at < onset);
    !over && alert.suppression.is_none()
}
