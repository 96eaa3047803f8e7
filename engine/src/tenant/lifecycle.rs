//! `ledger`: an incident opens, is told, changes, resolves, comes back and closes.

use std::collections::BTreeMap;

use super::Tenant;
use crate::engine::Compiled;
use crate::enrich::Past;
use crate::incident::{IncidentEvent, IncidentRecord, IncidentStatus, StatusReason, Verb, incident_id};
use crate::ledger::{RecordScene, State, Told, build_record, closing_signature, worth_telling};
use crate::time::{EventTime, Span};

impl Tenant {
    pub(super) fn tell_merged(
        &mut self,
        number: u64,
        into: &str,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.reason = StatusReason::Merged;
        }
        self.tell(number, Verb::Merged, now, compiled, out);
        if let Some(event) = out.last_mut() {
            event.record.status = IncidentStatus::Merged;
            event.record.merged_into = Some(into.to_owned());
        }
    }

    /// An incident is due for a look.
    pub(super) fn incident_timer(
        &mut self,
        number: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        match incident.state {
            State::Candidate => self.look_at_candidate(number, now, compiled, out),
            State::Open | State::Acknowledged => self.look_at_active(number, now, compiled, out),
            State::Resolved => {
                let due = incident.resolved_at.map_or(now, |at| at.plus(compiled.config.ledger.close_after));
                if now >= due {
                    self.close(number, now, compiled, out);
                } else {
                    self.wake_incident(number, due);
                }
            }
        }
    }

    fn look_at_candidate(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let config = &compiled.config.ledger;
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        if incident.live.is_empty() {
            self.ledger.transient += 1;
            if let Some(gone) = self.ledger.remove(number) {
                for fingerprint in gone.members {
                    self.alerts.set_incident(fingerprint, None);
                }
            }
            return;
        }
        let due = incident.detected_at.plus(config.group_wait);
        if now < due {
            self.wake_incident(number, due);
            return;
        }
        if self.fold_relapse(number, now, compiled, out) {
            return;
        }
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        // One alert per rule and entity: the same rule over many series of one entity is one sign.
        // Our own detectors have one rule for every metric: there, each metric is a sign.
        let mut signs: BTreeMap<(u32, u32, &str), f64> = BTreeMap::new();
        for fingerprint in &incident.live {
            let (name, entity, severity, of) = match (self.alerts.get(*fingerprint), self.alerts.shed(*fingerprint)) {
                (Some(alert), _) => {
                    let of = alert.observation.as_ref().map_or("", |observed| &*observed.name);
                    (alert.name, alert.entity, alert.severity, of)
                }
                (None, Some(shed)) => (shed.name, shed.entity, shed.severity, ""),
                (None, None) => continue,
            };
            let sign = signs.entry((name.0, entity.0, of)).or_default();
            *sign = sign.max(config.weights.of(severity));
        }
        let weight: f64 = signs.values().sum();
        if self.unite(number, None, now, compiled, out) {
            return;
        }
        if weight + 1e-9 >= config.open_weight {
            self.open(number, now, compiled, out);
        } else {
            self.ledger.too_light += 1;
        }
    }

    pub(super) fn open(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let first = incident
            .members
            .iter()
            .filter_map(|f| self.alerts.get(*f))
            .min_by_key(|a| (a.began_at, a.fingerprint))
            .map_or(0, |a| a.fingerprint);
        let id = incident_id(&self.name, first, now);
        self.ledger.name(number, id);
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.state = State::Open;
            incident.opened_at = now;
            incident.reason = StatusReason::Detected;
            incident.pause_ns = compiled.config.ledger.update_every.0;
            incident.epoch = self.topology.epoch();
        }
        self.stats.incidents_opened += 1;
        self.tell(number, Verb::Opened, now, compiled, out);
        self.plan(number, now, compiled);
        self.relate(number, now, compiled, out);
    }

    fn look_at_active(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let config = &compiled.config.ledger;
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let quiet = incident.quiet_since.is_some_and(|since| now >= since.plus(config.resolve_after))
            && !self.waits_for_children(incident);
        let stale = now >= incident.last_news.plus(config.stale_after);
        if quiet || stale {
            let reason = if quiet { StatusReason::AutoResolved } else { StatusReason::Stale };
            self.resolve(number, reason, now, compiled, out);
            return;
        }
        self.split_off(number, now, compiled, out);
        let built = self.build(number, now, compiled);
        let told = built.as_ref().map(|(_, told)| told);
        if self.unite(number, told, now, compiled, out) {
            return;
        }
        self.update(number, built, compiled, out);
        self.plan(number, now, compiled);
        self.relate(number, now, compiled, out);
    }

    /// The next revision of a told incident that something has happened to.
    fn build(&self, number: u64, now: EventTime, compiled: &Compiled) -> Option<(IncidentRecord, Told)> {
        let incident = self.ledger.get(number).filter(|i| i.dirty && i.told.is_some())?;
        Some(build_record(incident, now, incident.revision + 1, &self.record_scene(compiled)))
    }

    /// Tells the next revision when it says something worth telling.
    fn update(
        &mut self,
        number: u64,
        built: Option<(IncidentRecord, Told)>,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let (Some((record, now_told)), Some(incident)) = (built, self.ledger.get_mut(number)) else {
            return;
        };
        incident.dirty = false;
        if incident.told.as_ref().and_then(|told| worth_telling(told, &now_told)).is_none() {
            return;
        }
        let longest = compiled.config.ledger.update_every_max.0;
        incident.pause_ns = incident.pause_ns.saturating_mul(2).min(longest);
        incident.revision += 1;
        incident.reason = StatusReason::Updated;
        incident.told = Some(now_told);
        incident.owner = record.owner.clone();
        self.ledger.refile(number);
        self.stats.incident_events += 1;
        let mut record = record;
        record.status_reason = Some(StatusReason::Updated);
        out.push(IncidentEvent { tenant: self.name.clone(), verb: Verb::Updated, record });
    }

    pub(super) fn resolve(
        &mut self,
        number: u64,
        reason: StatusReason,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.state = State::Resolved;
        incident.reason = reason;
        incident.resolved_at = Some(now);
        self.learn_of(number);
        self.tell(number, Verb::Resolved, now, compiled, out);
        self.wake_incident(number, now.plus(compiled.config.ledger.close_after));
        self.wake_parent(number, now);
    }

    pub(super) fn reopen(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if let Some(incident) = self.ledger.get_mut(number) {
            incident.state = State::Open;
            incident.reason = StatusReason::Detected;
            incident.resolved_at = None;
            incident.acknowledged_at = None;
            incident.acknowledged_by.clear();
        }
        self.tell(number, Verb::Reopened, now, compiled, out);
        self.plan(number, now, compiled);
    }

    pub(super) fn close(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        self.tell(number, Verb::Closed, now, compiled, out);
        if let Some(event) = out.last_mut() {
            event.record.status = IncidentStatus::Closed;
        }
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let signature = closing_signature(incident, &self.record_scene(compiled));
        let past = Past {
            id: incident.id.clone(),
            ticket: incident.tickets.first().map(|t| t.key.clone()).unwrap_or_default(),
            signature,
            duration: incident.resolved_at.unwrap_or(now).since(incident.opened_at),
        };
        let members: Vec<u64> = incident.members.iter().copied().collect();
        if incident.reason != StatusReason::FalsePositive {
            self.history.add(past, compiled.config.limits.history_max);
        }
        for fingerprint in members {
            self.correlator.remove(fingerprint);
            match self.alerts.get_mut(fingerprint) {
                Some(alert) if alert.is_firing() => alert.incident = None,
                Some(_) => {
                    if let Some(gone) = self.alerts.forget(fingerprint) {
                        self.standing.forget(&gone);
                        self.drop_alert_timer(fingerprint, gone.timer);
                    }
                }
                None => self.alerts.set_incident(fingerprint, None),
            }
        }
        self.leave_place(number);
        self.ledger.remove(number);
    }

    /// Plans the next look at an active incident.
    pub(super) fn plan(&mut self, number: u64, now: EventTime, compiled: &Compiled) {
        let config = &compiled.config.ledger;
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let stale = incident.last_news.plus(config.stale_after);
        let waits = self.waits_for_children(incident);
        let quiet = incident.quiet_since.filter(|_| !waits);
        let quiet = quiet.map_or(EventTime::MAX, |since| since.plus(config.resolve_after));
        let update = match &incident.told {
            Some(told) if incident.dirty => told.at.plus(Span(incident.pause_ns)),
            _ => EventTime::MAX,
        };
        let next = stale.min(quiet).min(update).max(now.plus(Span(1)));
        self.wake_incident(number, next);
    }

    /// Tells one revision.
    pub(super) fn tell(
        &mut self,
        number: u64,
        verb: Verb,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let scene = self.record_scene(compiled);
        let (record, told) = build_record(incident, now, incident.revision + 1, &scene);
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.revision += 1;
        incident.dirty = false;
        incident.told = Some(told);
        incident.owner = record.owner.clone();
        self.ledger.refile(number);
        self.stats.incident_events += 1;
        out.push(IncidentEvent { tenant: self.name.clone(), verb, record });
    }

    pub(super) fn record_scene<'a>(&'a self, compiled: &'a Compiled) -> RecordScene<'a> {
        RecordScene {
            tenant: &self.name,
            config: &compiled.config,
            config_hash: &compiled.config_hash,
            alerts: &self.alerts,
            names: &self.names,
            entities: &self.entities,
            topology: &self.topology,
            lookup: &self.lookup,
            changes: &self.changes,
            standing: &self.standing,
            departed: &self.departed,
            history: &self.history,
            correlator: &self.correlator,
            ledger: &self.ledger,
        }
    }
}
