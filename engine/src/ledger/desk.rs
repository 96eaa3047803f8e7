//! What the ledger works with in one turn.

use super::table::Ledger;
use crate::alert::Alert;
use crate::case::{Case, Purpose};
use crate::correlate::Correlator;
use crate::dedup::Alerts;
use crate::incident::Verb;
use crate::stats::TenantStats;
use crate::time::EventTime;
use crate::topology::Estate;
use crate::turn::{Item, Turn};

use super::config::LedgerConfig;
use super::incident::State;
use super::step::Step;

/// The ledger's own table, what it reads of others, and the turn.
pub(super) struct Desk<'a, 't> {
    pub(super) ledger: &'a mut Ledger,
    /// Of these the ledger keeps the columns that say where an alert is part of.
    pub(super) alerts: &'a mut Alerts,
    pub(super) estate: &'a Estate,
    pub(super) correlator: &'a Correlator,
    pub(super) stats: &'a mut TenantStats,
    pub(super) turn: &'a mut Turn<'t>,
}

impl<'t> Desk<'_, 't> {
    pub(super) fn now(&self) -> EventTime {
        self.turn.now
    }

    pub(super) fn config(&self) -> &'t LedgerConfig {
        &self.turn.compiled.config.ledger
    }

    /// Asks to come back with this.
    pub(super) fn then(&mut self, step: Step) {
        self.turn.then(Item::Ledger(step));
    }

    /// Asks for an incident to be judged.
    pub(super) fn judge(&mut self, incident: u64, purpose: Purpose) {
        self.turn.run(Item::Case(Case { incident, purpose }));
    }

    /// Asks for a revision of an incident.
    pub(super) fn tell(&mut self, incident: u64, verb: Verb) {
        self.turn.tell(incident, verb);
    }

    pub(super) fn wake(&mut self, incident: u64, at: EventTime) {
        self.turn.wake_incident(incident, at);
    }

    /// Whether an alert only supports, dates and explains.
    pub(super) fn is_evidence(&self, alert: &Alert) -> bool {
        alert.is_evidence(self.estate.lookup.matters(self.estate.entities.text(alert.entity)))
    }

    /// An alert of an incident is no longer live: the incident is quiet when nothing that people felt is, though
    /// some odd series may not have calmed down.
    pub(super) fn calm(&mut self, number: u64, alert: u64) {
        let now = self.now();
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.calm(alert, now);
        let Some(incident) = self.ledger.get(number).filter(|incident| incident.quiet_since.is_none()) else {
            return;
        };
        let evidence = |alert: &u64| self.alerts.get(*alert).is_some_and(|alert| self.is_evidence(alert));
        if incident.live.iter().all(evidence)
            && !incident.members.iter().all(evidence)
            && let Some(incident) = self.ledger.get_mut(number)
        {
            incident.quiet_since = Some(now);
        }
    }

    /// An incident without a live alert is looked at when it may end.
    pub(super) fn wake_when_quiet(&mut self, number: u64) {
        let now = self.now();
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        if let Some(since) = incident.quiet_since {
            let due = match incident.state {
                State::Candidate => now,
                _ => since.plus(self.config().resolve_after),
            };
            self.wake(number, due.max(now));
        }
    }

    /// An incident has changed by an operator's word: it is looked at as soon as may be.
    pub(super) fn look_again(&mut self, number: u64) {
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.dirty = true;
        }
        self.wake(number, self.now());
    }

    /// The incident that an action names; what is not known is counted.
    pub(super) fn named(&mut self, id: &str) -> Option<u64> {
        let number = self.ledger.of_id(id);
        if number.is_none() {
            self.stats.actions_unknown += 1;
        }
        number
    }

    pub(super) fn is_active(&self, number: u64) -> bool {
        self.ledger.get(number).is_some_and(|incident| incident.is_active())
    }
}
