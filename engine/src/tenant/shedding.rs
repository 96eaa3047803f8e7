//! Alerts that leave the tables for lack of room: what is kept of them, and what that ends.

use super::{Tenant, Timer};
use crate::dedup::{Evicted, ShedAlert};
use crate::engine::Compiled;
use crate::incident::IncidentEvent;
use crate::time::EventTime;

impl Tenant {
    /// Alerts had to make room for another. One that fires stays part of its incident.
    pub(super) fn evict(
        &mut self,
        evicted: Evicted,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        if let Some(mut alert) = evicted.detail {
            self.correlator.remove(alert.fingerprint);
            self.standing.forget(&alert);
            if alert.is_firing() {
                // Nobody would end what it inhibits: better told twice than never.
                alert.status = crate::signal::AlertStatus::Resolved;
                self.note_source(&alert, now, compiled, out);
            } else {
                self.drop_alert_timer(alert.fingerprint, alert.timer);
                self.take_out(alert.fingerprint, alert.incident, now, compiled);
            }
        }
        if let Some((fingerprint, lost)) = evicted.lost {
            self.drop_alert_timer(fingerprint, lost.timer);
            self.take_out(fingerprint, lost.incident, now, compiled);
        }
    }

    /// An alert is no part of its incident any more, as if it had never been.
    fn take_out(&mut self, fingerprint: u64, incident: Option<u64>, now: EventTime, compiled: &Compiled) {
        let Some((number, incident)) = incident.and_then(|n| Some((n, self.ledger.get_mut(n)?))) else {
            return;
        };
        incident.calm(fingerprint, now);
        incident.members.remove(&fingerprint);
        self.wake_when_quiet(number, now, compiled);
    }

    /// An alert whose details were shed has recovered.
    pub(super) fn end_shed(&mut self, fingerprint: u64, shed: &ShedAlert, now: EventTime, compiled: &Compiled) {
        self.drop_alert_timer(fingerprint, shed.timer);
        let Some((number, incident)) = shed.incident.and_then(|n| Some((n, self.ledger.get_mut(n)?))) else {
            return;
        };
        incident.alert_count += 1;
        incident.calm(fingerprint, now);
        self.wake_when_quiet(number, now, compiled);
    }

    /// The timer of an alert whose details were shed: nothing was heard of it, or it goes on.
    pub(super) fn shed_timer(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled) {
        let Some(shed) = self.alerts.shed_mut(fingerprint) else {
            return;
        };
        if shed.expires_at > now {
            shed.timer = Some(shed.expires_at);
            self.timers.insert((shed.expires_at, Timer::Alert(fingerprint)));
            return;
        }
        shed.timer = None;
        if let Some(shed) = self.alerts.forget_shed(fingerprint) {
            self.stats.alerts_expired += 1;
            self.end_shed(fingerprint, &shed, now, compiled);
        }
    }
}
