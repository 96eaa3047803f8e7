//! The stages after `sense`, over one ordered stretch: dedup → suppress → correlate → ledger.

use rayon::prelude::*;

use super::pending::{OwnedEdge, sort};
use super::{Event, Pending, Tenant};
use crate::alert::{Alert, AlertRow, Sensed, Suppressor};
use crate::catalogue::Catalogue;
use crate::dedup::News;
use crate::diagnose::{Change, condition};
use crate::engine::Compiled;
use crate::enrich::Lookup;
use crate::incident::IncidentEvent;
use crate::sense::Moved;
use crate::signal::Relation;
use crate::suppress::{self, Scene};
use crate::time::EventTime;

/// Samples and log lines below which spreading a stretch over threads costs more than it saves.
const PARALLEL_MIN: usize = 2_048;

/// Source of the edges that a catalogue states.
const CATALOGUE_SOURCE: &str = "catalogue";

/// What the shards of `sense` found in one stretch, each with its event time.
struct Findings {
    sensed: Vec<(EventTime, Sensed)>,
    moved: Vec<(EventTime, Moved)>,
}

impl Tenant {
    /// Takes everything before `until` out of the waiting room, senses the telemetry, and
    /// answers one ordered list of events.
    pub(super) fn stretch(&mut self, until: EventTime, compiled: &Compiled) -> Vec<Pending> {
        let mut events = self.pending.take(until);
        let Findings { sensed, moved } = self.sense(until, compiled);
        for (at, moved) in moved {
            let key = moved.series;
            events.push(Pending::new(at.max(self.released), Event::Moved(Box::new(moved)), key));
        }
        for (at, sensed) in sensed {
            let key = sensed.fingerprint;
            // A window may have ended before the last watermark: it acts now.
            let time = at.max(self.released);
            events.push(Pending::new(time, Event::Sensed(Box::new(sensed)), key));
        }
        sort(&mut events);
        events
    }

    /// Runs the shards; their alerts come back in the order of the shards.
    fn sense(&mut self, until: EventTime, compiled: &Compiled) -> Findings {
        let workers = compiled.workers.as_ref().filter(|_| self.waiting_telemetry() >= PARALLEL_MIN);
        let streams_max = (compiled.config.limits.log_streams_max / self.logs.len()).max(1);
        let metrics = |shard: &mut crate::sense::MetricShard| {
            let (mut out, mut moved) = (Vec::new(), Vec::new());
            let counts = shard.release(until, &compiled.sense, &mut out, &mut moved);
            (out, moved, counts)
        };
        let logs = |shard: &mut crate::sense::LogShard| {
            let mut out = Vec::new();
            let errors = shard.release(until, streams_max, &compiled.sense, &mut out);
            (out, errors)
        };
        let (metric_results, log_results): (Vec<_>, Vec<_>) = match workers {
            Some(workers) => {
                let log_shards = &mut self.logs;
                let metric_shards = &mut self.metrics;
                workers.join(
                    || metric_shards.par_iter_mut().map(metrics).collect(),
                    || log_shards.par_iter_mut().map(logs).collect(),
                )
            }
            None => (self.metrics.iter_mut().map(metrics).collect(), self.logs.iter_mut().map(logs).collect()),
        };
        let (mut sensed, mut moved) = (Vec::new(), Vec::new());
        for (mut out, mut some, counts) in metric_results {
            sensed.append(&mut out);
            moved.append(&mut some);
            self.stats.reject_many("series not described", counts.unknown_series);
            self.stats.late += counts.out_of_order;
            self.stats.duplicates += counts.repeated;
            self.stats.rule_errors += counts.rule_errors;
        }
        for (mut out, errors) in log_results {
            sensed.append(&mut out);
            self.stats.rule_errors += errors;
        }
        self.stats.alerts_sensed += sensed.len() as u64;
        Findings { sensed, moved }
    }

    /// Runs one event through the stages.
    pub(super) fn handle(&mut self, event: Pending, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let now = event.time;
        match event.event {
            Event::Catalogue(catalogue) => self.learn_catalogue(&catalogue, now, compiled),
            Event::Edge(edge) => {
                self.learn_edge(&edge, now, compiled);
            }
            Event::Change(change) => {
                let change = *change;
                let entity = self.resolve_entity(&change.entity);
                let change = Change {
                    at: now,
                    id: change.id,
                    change_type: change.change_type,
                    entity,
                    artifact: change.artifact,
                    who: change.who,
                    url: change.url,
                    text: change.text,
                    followed: false,
                };
                self.changes.add(change, compiled.config.limits.changes_max);
            }
            Event::Action(action) => self.act(*action, now, compiled, out),
            Event::Alert(batch, row) => {
                self.take_alert(&AlertRow::wire(&batch, row), now, compiled, out);
            }
            Event::Moved(moved) => {
                let entity = self.resolve_entity(&moved.entity);
                self.departed.note(entity, moved.series, moved.departure, now);
            }
            Event::Sensed(sensed) => self.take_alert(&AlertRow::Own(&sensed), now, compiled, out),
        }
    }

    fn learn_catalogue(&mut self, catalogue: &Catalogue, now: EventTime, compiled: &Compiled) {
        self.lookup = Lookup::of(catalogue);
        self.known.set_catalogue(&self.lookup);
        for edge in &catalogue.topology {
            let edge = OwnedEdge {
                from: edge.from.as_str().into(),
                to: edge.to.as_str().into(),
                relation: edge.relation,
                source: CATALOGUE_SOURCE.into(),
                confidence: edge.confidence,
            };
            self.learn_edge(&edge, now, compiled);
        }
        for item in &catalogue.services {
            if !item.owner.is_empty() {
                let edge = OwnedEdge {
                    from: item.entity.as_str().into(),
                    to: format!("team:{}", item.owner).into(),
                    relation: Relation::OwnedBy,
                    source: CATALOGUE_SOURCE.into(),
                    confidence: 1.0,
                };
                self.learn_edge(&edge, now, compiled);
            }
        }
        // It replaces the one before.
        let source = self.names.intern(CATALOGUE_SOURCE);
        self.topology.take_back(source, now);
    }

    fn learn_edge(&mut self, edge: &OwnedEdge, now: EventTime, compiled: &Compiled) {
        let from = self.resolve_entity(&edge.from);
        let to = self.resolve_entity(&edge.to);
        let source = self.names.intern(&edge.source);
        self.topology.claim(from, to, edge.relation, source, edge.confidence, now, &compiled.config.limits);
    }

    /// The symbol of an entity under its one name.
    fn resolve_entity(&mut self, id: &str) -> crate::symbols::Sym {
        match self.lookup.aliases.get(id) {
            Some(name) => self.entities.intern(name),
            None => self.entities.intern(id),
        }
    }

    /// `dedup`, then on with what is news.
    fn take_alert(&mut self, row: &AlertRow<'_>, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let fingerprint = row.fingerprint();
        let config = &compiled.config.dedup;
        let (news, evicted) = self.alerts.observe(row, now, config, &mut self.names, &mut self.entities);
        self.evict(evicted, now, compiled, out);
        match news {
            News::Fired => {
                self.rename(fingerprint);
                self.note_standing(fingerprint);
                self.stats.alerts_fired += 1;
                self.consider(fingerprint, now, compiled, out);
            }
            News::FiredAgain | News::Worse => {
                self.note_standing(fingerprint);
                self.stats.alerts_fired += u64::from(news == News::FiredAgain);
                self.count_row(fingerprint, now);
                self.consider(fingerprint, now, compiled, out);
            }
            News::Repeat => {
                self.stats.alerts_repeated += 1;
                self.count_row(fingerprint, now);
            }
            News::Recovered => {
                self.stats.alerts_recovered += 1;
                self.count_row(fingerprint, now);
                self.recovered(fingerprint, now, compiled, out);
            }
            News::UnknownRecovery => self.stats.recoveries_unknown += 1,
            News::Recalled => {
                self.rename(fingerprint);
                self.note_standing(fingerprint);
                self.stats.alerts_repeated += 1;
                self.consider(fingerprint, now, compiled, out);
            }
            News::ShedRepeat => self.stats.alerts_repeated += 1,
            News::ShedRecovered(shed) => {
                self.stats.alerts_recovered += 1;
                self.end_shed(fingerprint, &shed, now, compiled);
            }
        }
        if let Some(alert) = self.alerts.get(fingerprint)
            && alert.is_firing()
        {
            let at = alert.expires_at;
            self.wake_alert(fingerprint, at);
        }
    }

    /// Reads once what an alert speaks of and what it names, and keeps the index of standing conditions.
    fn note_standing(&mut self, fingerprint: u64) {
        if let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.condition = condition(alert, &self.names, &self.entities);
            alert.mentioned = self.known.read(alert, &self.names, &self.entities);
            self.standing.note(alert);
        }
    }

    /// Gives a new alert its entity's one name.
    fn rename(&mut self, fingerprint: u64) {
        if self.lookup.aliases.is_empty() {
            return;
        }
        let Some(entity) = self.alerts.get(fingerprint).map(|a| a.entity) else {
            return;
        };
        let Some(name) = self.lookup.aliases.get(self.entities.text(entity)) else {
            return;
        };
        let entity = self.entities.intern(name);
        if let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.entity = entity;
        }
    }

    /// Counts a further row of an alert at its incident, and keeps its group awake.
    fn count_row(&mut self, fingerprint: u64, now: EventTime) {
        let Some(alert) = self.alerts.get(fingerprint) else {
            return;
        };
        if let Some(incident) = alert.incident.and_then(|n| self.ledger.get_mut(n)) {
            incident.alert_count += 1;
            incident.last_news = now;
        }
        if alert.is_live() {
            self.correlator.touch(alert, now, &self.topology);
        }
    }

    /// `suppress`, then `correlate` with what is let through.
    pub(super) fn consider(
        &mut self,
        fingerprint: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        self.note_inhibitor(fingerprint, now, compiled, out);
        let Some(alert) = self.alerts.get(fingerprint) else {
            return;
        };
        let verdict = suppress::verdict(alert, now, &self.scene(compiled));
        let until = verdict.as_ref().and_then(|s| s.until);
        let by = verdict.as_ref().map(|s| s.by);
        let was = alert.suppression.is_some();
        if let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.suppression = verdict;
        }
        match by {
            None => self.join(fingerprint, now, compiled, out),
            Some(by) => {
                if !was {
                    self.stats.suppressed(by.name());
                }
                self.leave(fingerprint, now, compiled);
                if let Some(until) = until {
                    self.wake_alert(fingerprint, until);
                }
            }
        }
    }

    fn scene<'a>(&'a self, compiled: &'a Compiled) -> Scene<'a> {
        Scene {
            flapping: &compiled.config.suppress.flapping,
            inhibit: &compiled.inhibit,
            inhibitors: &self.inhibitors,
            silences: &self.silences,
            maintenance: &self.lookup.maintenance,
            topology: &self.topology,
            names: &self.names,
            entities: &self.entities,
        }
    }

    /// An alert that inhibits others has fired or recovered: the others are looked at again.
    fn note_inhibitor(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if compiled.inhibit.is_empty() {
            return;
        }
        if let Some(alert) = self.alerts.get(fingerprint) {
            let alert = alert.clone();
            self.note_source(&alert, now, compiled, out);
        }
    }

    /// Notes a source of inhibitions, and looks at the alerts it concerns.
    pub(super) fn note_source(
        &mut self,
        alert: &Alert,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let firing = alert.is_firing();
        let is_source = self.inhibitors.note(&compiled.inhibit, alert, &self.names, &self.entities);
        if !is_source {
            return;
        }
        let concerned = |a: &&Alert| {
            let inhibited = a.suppression.as_ref().is_some_and(|s| s.by == Suppressor::Inhibition);
            a.fingerprint != alert.fingerprint && a.is_firing() && inhibited != firing
        };
        let mut again: Vec<u64> = self.alerts.iter().filter(concerned).map(|a| a.fingerprint).collect();
        again.sort_unstable();
        for other in again {
            self.reconsider(other, now, compiled, out);
        }
    }

    /// Looks again at whether an alert is suppressed; acts only when that changed.
    pub(super) fn reconsider(
        &mut self,
        fingerprint: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(alert) = self.alerts.get(fingerprint) else {
            return;
        };
        let was = alert.suppression.is_some();
        let verdict = suppress::verdict(alert, now, &self.scene(compiled));
        let is = verdict.is_some();
        let until = verdict.as_ref().and_then(|s| s.until);
        if is && !was {
            self.stats.suppressed(verdict.as_ref().map_or("", |s| s.by.name()));
        }
        if let Some(alert) = self.alerts.get_mut(fingerprint) {
            alert.suppression = verdict;
        }
        match (was, is) {
            (true, false) => self.join(fingerprint, now, compiled, out),
            (false, true) => self.leave(fingerprint, now, compiled),
            _ => {}
        }
        if let Some(until) = until {
            self.wake_alert(fingerprint, until);
        }
    }

    /// An alert's timer: it expires, or what suppressed it has ended.
    pub(super) fn alert_timer(
        &mut self,
        fingerprint: u64,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        let Some(alert) = self.alerts.get_mut(fingerprint) else {
            self.shed_timer(fingerprint, now, compiled);
            return;
        };
        alert.timer = None;
        if !alert.is_firing() {
            return;
        }
        if self.alerts.expire(fingerprint, now) {
            self.stats.alerts_expired += 1;
            self.recovered(fingerprint, now, compiled, out);
            return;
        }
        let suppressed = self.alerts.get(fingerprint).is_some_and(|a| a.suppression.is_some());
        if suppressed {
            self.reconsider(fingerprint, now, compiled, out);
        }
        if let Some(alert) = self.alerts.get(fingerprint) {
            let at = alert.expires_at;
            self.wake_alert(fingerprint, at);
        }
    }

    fn recovered(&mut self, fingerprint: u64, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        self.note_inhibitor(fingerprint, now, compiled, out);
        self.leave(fingerprint, now, compiled);
    }
}
