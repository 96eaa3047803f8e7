//! The columns that later stages keep in an alert's row, so that what is known of an alert is found at once.
//!
//! Each is set by one stage: what it names by `mention`, what holds it back by `suppress`, the incident it
//! is part of by `ledger`. The one timer is kept by the loop.

use super::table::Alerts;
use crate::alert::{Alert, Suppression};
use crate::time::EventTime;

impl Alerts {
    /// The entities that an alert's texts name.
    pub(crate) fn set_mentioned(&mut self, fingerprint: u64, mentioned: Box<[u32]>) {
        if let Some(alert) = self.get_mut(fingerprint) {
            alert.mentioned = mentioned;
        }
    }

    /// What holds an alert back from now on.
    pub(crate) fn set_suppression(&mut self, fingerprint: u64, suppression: Option<Suppression>) {
        if let Some(alert) = self.get_mut(fingerprint) {
            alert.suppression = suppression;
        }
    }

    /// The incident that an alert, known in detail or not, is part of from now on.
    pub(crate) fn set_incident(&mut self, fingerprint: u64, incident: Option<u64>) {
        if let Some(alert) = self.get_mut(fingerprint) {
            alert.incident = incident;
        } else if let Some(alert) = self.shed_mut(fingerprint) {
            alert.incident = incident;
        }
    }

    /// Makes an alert a part of an incident, where it began at `began_at` if it was there before.
    pub(crate) fn place(&mut self, fingerprint: u64, incident: u64, began_at: Option<EventTime>) -> Option<&Alert> {
        let alert = self.get_mut(fingerprint)?;
        if alert.incident != Some(incident) {
            alert.began_at = began_at.unwrap_or(alert.starts_at);
        }
        alert.incident = Some(incident);
        Some(alert)
    }

    /// In its incident, an alert began at `began_at` if that is earlier.
    pub(crate) fn began_by(&mut self, fingerprint: u64, began_at: EventTime) {
        if let Some(alert) = self.get_mut(fingerprint) {
            alert.began_at = alert.began_at.min(began_at);
        }
    }

    /// When the one timer of an alert, known in detail or not, is set for.
    pub(crate) fn timer_mut(&mut self, fingerprint: u64) -> Option<&mut Option<EventTime>> {
        if self.get(fingerprint).is_some() {
            return self.get_mut(fingerprint).map(|alert| &mut alert.timer);
        }
        self.shed_mut(fingerprint).map(|alert| &mut alert.timer)
    }
}
