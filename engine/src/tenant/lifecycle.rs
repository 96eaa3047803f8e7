//! `correlate` and `ledger`: alerts join and leave incidents, incidents live and are told.

use std::collections::BTreeMap;

use bellwether_models::group::GroupId;

use super::Tenant;
use crate::alert::Alert;
use crate::engine::Compiled;
use crate::enrich::Past;
use crate::incident::{IncidentEvent, IncidentStatus, Owner, StatusReason, Verb, incident_id};
use crate::input::Action;
use crate::ledger::{RecordScene, State, build_record, closing_signature, worth_telling};
use crate::time::{EventTime, Span};

impl Tenant {
    /// Puts a live alert into its incident, old or new.
    pub(super) fn join(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if self.rejoin(fingerprint, now, compiled, out) {
            return;
        }
        let Some(alert) = self.alerts.get(fingerprint) else {
            return;
        };
        let assignment = self.correlator.assign(alert, now, &self.topology, &self.names);
        self.ensure_sweep(now);
        for closed in self.correlator.take_closed() {
            self.ledger.unbind(closed);
        }
        self.merge_groups(assignment.group, &assignment.merged, now, compiled, out);
        self.settle_relapse(fingerprint, assignment.group, assignment.opened);
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
        self.enlist(number, fingerprint, now, compiled, out);
    }

    /// Lets an alert of an incident that is not over go back to it. An alert of a resolved one
    /// is placed anew first: it may be part of the next trouble rather than a relapse.
    fn rejoin(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) -> bool {
        let Some(number) = self.alerts.get(fingerprint).and_then(|a| a.incident) else {
            return false;
        };
        let may_return = self.takes_more(number, now, compiled);
        let resolved = self.ledger.get(number).is_some_and(|i| i.state == State::Resolved);
        if may_return && !resolved {
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

    /// An alert of a resolved incident has been placed anew: alone it is a relapse of the old
    /// incident, beside live alerts it is part of theirs.
    fn settle_relapse(&mut self, fingerprint: u64, group: GroupId, alone: bool) {
        let Some(old) = self.alerts.get(fingerprint).and_then(|a| a.incident) else {
            return;
        };
        if alone {
            self.ledger.bind(group, old);
            if let Some(incident) = self.ledger.get_mut(old) {
                incident.group = group;
            }
        } else if self.ledger.of_group(group) != Some(old) {
            if let Some(incident) = self.ledger.get_mut(old) {
                incident.members.remove(&fingerprint);
            }
            if let Some(alert) = self.alerts.get_mut(fingerprint) {
                alert.incident = None;
            }
        }
    }

    /// Whether an incident still takes alerts: a resolved one does while it may reopen.
    fn takes_more(&self, number: u64, now: EventTime, compiled: &Compiled) -> bool {
        let window = compiled.config.ledger.reopen_within;
        self.ledger.get(number).is_some_and(|incident| {
            incident.state != State::Resolved || incident.resolved_at.is_some_and(|at| now.since(at) <= window)
        })
    }

    fn enlist(
        &mut self,
        number: u64,
        fingerprint: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(alert) = self.alerts.get_mut(fingerprint) else {
            return;
        };
        alert.incident = Some(number);
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

    /// Takes an alert that recovered or was suppressed out of what is live at its incident.
    pub(super) fn leave(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled) {
        let Some(number) = self.alerts.get(fingerprint).and_then(|a| a.incident) else {
            return;
        };
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.calm(fingerprint, now);
        if let Some(since) = incident.quiet_since {
            let due = match incident.state {
                State::Candidate => now,
                _ => since.plus(compiled.config.ledger.resolve_after),
            };
            self.wake_incident(number, due.max(now));
        }
    }

    /// An alert left the tables for lack of room.
    pub(super) fn forget(&mut self, evicted: &Alert, now: EventTime, compiled: &Compiled) {
        self.correlator.remove(evicted.fingerprint);
        let Some(number) = evicted.incident else {
            return;
        };
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.calm(evicted.fingerprint, now);
        incident.members.remove(&evicted.fingerprint);
        if incident.quiet_since.is_some() {
            self.wake_incident(number, now.plus(compiled.config.ledger.resolve_after));
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
        let into = self.ledger.get(winner).map(|i| i.id.clone()).unwrap_or_default();
        let told = self.ledger.get(loser).is_some_and(|i| i.is_told());
        if told && !into.is_empty() {
            self.tell_merged(loser, &into, now, compiled, out);
        }
        let Some(gone) = self.ledger.remove(loser) else {
            return winner;
        };
        self.timers.remove(&(gone.timer, super::Timer::Incident(loser)));
        for fingerprint in &gone.members {
            if let Some(alert) = self.alerts.get_mut(*fingerprint) {
                alert.incident = Some(winner);
            }
        }
        if let Some(incident) = self.ledger.get_mut(winner) {
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
        winner
    }

    fn tell_merged(
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
                    if let Some(alert) = self.alerts.get_mut(fingerprint) {
                        alert.incident = None;
                    }
                }
            }
            return;
        }
        let due = incident.detected_at.plus(config.group_wait);
        if now < due {
            self.wake_incident(number, due);
            return;
        }
        // One alert per rule and entity: the same rule over many series of one entity is one sign.
        let mut signs: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for alert in incident.live.iter().filter_map(|f| self.alerts.get(*f)) {
            let weight = config.weights.of(alert.severity);
            let sign = signs.entry((alert.name.0, alert.entity.0)).or_default();
            *sign = sign.max(weight);
        }
        let weight: f64 = signs.values().sum();
        if weight + 1e-9 >= config.open_weight {
            self.open(number, now, compiled, out);
        } else {
            self.ledger.too_light += 1;
        }
    }

    fn open(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let first = incident
            .members
            .iter()
            .filter_map(|f| self.alerts.get(*f))
            .min_by_key(|a| (a.starts_at, a.fingerprint))
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
    }

    fn look_at_active(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let config = &compiled.config.ledger;
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let quiet = incident.quiet_since.is_some_and(|since| now >= since.plus(config.resolve_after));
        let stale = now >= incident.last_news.plus(config.stale_after);
        if quiet || stale {
            let reason = if quiet { StatusReason::AutoResolved } else { StatusReason::Stale };
            self.resolve(number, reason, now, compiled, out);
            return;
        }
        self.split_off(number, now, compiled, out);
        self.update(number, now, compiled, out);
        self.plan(number, now, compiled);
    }

    /// Tells an update when there is something worth telling.
    fn update(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let Some(told) = incident.told.clone().filter(|_| incident.dirty) else {
            return;
        };
        let load = self.load();
        let scene = self.record_scene(compiled, &load);
        let (record, now_told) = build_record(incident, now, incident.revision + 1, &scene);
        let news = worth_telling(&told, &now_told);
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.dirty = false;
        if news.is_none() {
            return;
        }
        let longest = compiled.config.ledger.update_every_max.0;
        incident.pause_ns = incident.pause_ns.saturating_mul(2).min(longest);
        incident.revision += 1;
        incident.reason = StatusReason::Updated;
        incident.told = Some(now_told);
        self.stats.incident_events += 1;
        let mut record = record;
        record.status_reason = Some(StatusReason::Updated);
        out.push(IncidentEvent { tenant: self.name.clone(), verb: Verb::Updated, record });
    }

    /// Parts of a group that the topology no longer holds together become incidents of their own.
    fn split_off(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
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

    fn move_alert(&mut self, fingerprint: u64, from: u64, to: u64, now: EventTime) {
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

    fn resolve(
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
        self.tell(number, Verb::Resolved, now, compiled, out);
        self.wake_incident(number, now.plus(compiled.config.ledger.close_after));
    }

    fn reopen(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
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

    fn close(&mut self, number: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        self.tell(number, Verb::Closed, now, compiled, out);
        if let Some(event) = out.last_mut() {
            event.record.status = IncidentStatus::Closed;
        }
        let load = self.load();
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let signature = closing_signature(incident, &self.record_scene(compiled, &load));
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
                    self.alerts.forget(fingerprint);
                }
                None => {}
            }
        }
        self.ledger.remove(number);
    }

    /// Plans the next look at an active incident.
    fn plan(&mut self, number: u64, now: EventTime, compiled: &Compiled) {
        let config = &compiled.config.ledger;
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let stale = incident.last_news.plus(config.stale_after);
        let quiet = incident.quiet_since.map_or(EventTime::MAX, |since| since.plus(config.resolve_after));
        let update = match &incident.told {
            Some(told) if incident.dirty => told.at.plus(Span(incident.pause_ns)),
            _ => EventTime::MAX,
        };
        let next = stale.min(quiet).min(update).max(now.plus(Span(1)));
        self.wake_incident(number, next);
    }

    /// Tells one revision.
    fn tell(&mut self, number: u64, verb: Verb, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let load = self.load();
        let Some(incident) = self.ledger.get(number) else {
            return;
        };
        let scene = self.record_scene(compiled, &load);
        let (record, told) = build_record(incident, now, incident.revision + 1, &scene);
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        incident.revision += 1;
        incident.dirty = false;
        incident.told = Some(told);
        // The owner is chosen once: a ticket must not wander because a guess moved.
        if incident.owner.is_none() {
            incident.owner = record.owner.clone();
        }
        self.stats.incident_events += 1;
        out.push(IncidentEvent { tenant: self.name.clone(), verb, record });
    }

    /// Active incidents per assignee.
    fn load(&self) -> BTreeMap<String, u32> {
        let mut load = BTreeMap::new();
        let owners = self.ledger.iter().filter(|(_, i)| i.is_active());
        for owner in owners.filter_map(|(_, i)| i.owner.as_ref()) {
            if !owner.assignee.is_empty() {
                *load.entry(owner.assignee.clone()).or_default() += 1;
            }
        }
        load
    }

    fn record_scene<'a>(&'a self, compiled: &'a Compiled, load: &'a BTreeMap<String, u32>) -> RecordScene<'a> {
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
            history: &self.history,
            correlator: &self.correlator,
            load,
        }
    }

    /// An operator or a ticketing system says something.
    pub(super) fn act(&mut self, action: Action, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        match action {
            Action::Silence { id, matching, from, until, who, why } => {
                self.silences.set(&id, &matching, (from, until), &who, &why);
                self.silence_began(now, compiled, out);
            }
            Action::Acknowledge { incident, who } => {
                if let Some(number) = self.known(&incident, State::Open) {
                    if let Some(incident) = self.ledger.get_mut(number) {
                        incident.state = State::Acknowledged;
                        incident.reason = StatusReason::Operator;
                        incident.acknowledged_at = Some(now);
                        incident.acknowledged_by.clone_from(&who);
                        take_over(&mut incident.owner, &who);
                    }
                    self.tell(number, Verb::Acknowledged, now, compiled, out);
                    self.plan(number, now, compiled);
                }
            }
            Action::Resolve { incident, .. } => self.act_resolve(&incident, StatusReason::Operator, now, compiled, out),
            Action::FalsePositive { incident, .. } => {
                self.act_resolve(&incident, StatusReason::FalsePositive, now, compiled, out);
            }
            Action::Close { incident, .. } => {
                if let Some(number) = self.named(&incident) {
                    if self.ledger.get(number).is_some_and(|i| i.is_active()) {
                        self.resolve(number, StatusReason::Operator, now, compiled, out);
                    }
                    self.close(number, now, compiled, out);
                }
            }
            Action::Ticket { incident, ticket } => {
                let Some(number) = self.named(&incident) else {
                    return;
                };
                if let Some(incident) = self.ledger.get_mut(number) {
                    let same = |t: &&mut crate::incident::TicketRef| t.system == ticket.system && t.key == ticket.key;
                    match incident.tickets.iter_mut().find(same) {
                        Some(known) => *known = ticket,
                        None => incident.tickets.push(ticket),
                    }
                    incident.dirty = true;
                }
                self.wake_incident(number, now);
            }
        }
    }

    fn act_resolve(
        &mut self,
        id: &str,
        reason: StatusReason,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        if let Some(number) = self.named(id)
            && self.ledger.get(number).is_some_and(|i| i.is_active())
        {
            self.resolve(number, reason, now, compiled, out);
        }
    }

    /// A new silence may cover what fires now.
    fn silence_began(&mut self, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let mut firing: Vec<u64> = self.alerts.iter().filter(|a| a.is_firing()).map(|a| a.fingerprint).collect();
        firing.sort_unstable();
        for fingerprint in firing {
            self.consider(fingerprint, now, compiled, out);
        }
    }

    fn named(&mut self, id: &str) -> Option<u64> {
        let number = self.ledger.of_id(id);
        if number.is_none() {
            self.stats.actions_unknown += 1;
        }
        number
    }

    fn known(&mut self, id: &str, state: State) -> Option<u64> {
        let number = self.named(id)?;
        (self.ledger.get(number)?.state == state).then_some(number)
    }
}

fn take_over(owner: &mut Option<Owner>, who: &str) {
    owner.get_or_insert_default().assignee = who.to_owned();
}
