//! One tenant: its tables, and the ordered stretch of events that the stages run over.
//!
//! Tenants share nothing. What arrives waits in `pending` until the watermark passes it; a
//! *stretch* is everything between two watermarks, in the order `(event time, kind, content)`.
//! Stages see that order only, so batches, arrival order within the lateness and threads
//! cannot change what they do. Timers fire between events, in the same order.

mod actions;
mod door;
mod feedback;
mod hierarchy;
mod joining;
mod learning;
mod lifecycle;
mod pending;
mod retune;
mod shedding;
mod stages;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::config::EngineConfig;
use crate::correlate::Correlator;
use crate::dedup::Alerts;
use crate::diagnose::{Changes, DepartedSeries, Standing};
use crate::engine::Compiled;
use crate::enrich::{History, Lookup};
use crate::incident::IncidentEvent;
use crate::ledger::Ledger;
use crate::mentions::KnownNames;
use crate::sense::{LogShard, MetricShard, SHARDS};
use crate::stats::TenantStats;
use crate::suppress::{Inhibitors, Silences};
use crate::symbols::Symbols;
use crate::time::{EventTime, Span};
use crate::topology::{EdgeView, Topology};
use crate::waiting::Waiting;

pub(crate) use pending::{Event, Pending, SavedPending};

/// What a timer is for. The order breaks ties between timers of one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// An alert expires, or what suppresses it ends.
    Alert(u64),
    /// An incident is due for a look.
    Incident(u64),
    /// Old groups and silences are put away.
    Sweep,
}

/// How often old groups and silences are put away.
const SWEEP_EVERY: Span = Span::from_mins(5);

/// Everything known of one tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) name: Arc<str>,
    /// Everything before this has been processed.
    pub(crate) released: EventTime,
    /// Latest event time seen.
    pub(crate) max_seen: EventTime,
    pub(crate) metrics: Vec<MetricShard>,
    pub(crate) logs: Vec<LogShard>,
    #[serde(skip)]
    pub(crate) pending: Waiting<Pending>,
    pub(crate) series_count: usize,
    names: Symbols,
    pub(crate) entities: Symbols,
    pub(crate) topology: Topology,
    lookup: Lookup,
    #[serde(skip)]
    known: KnownNames,
    changes: Changes,
    /// An index of `alerts`, made anew when a checkpoint is restored.
    #[serde(skip)]
    standing: Standing,
    departed: DepartedSeries,
    history: History,
    silences: Silences,
    inhibitors: Inhibitors,
    pub(crate) alerts: Alerts,
    pub(crate) correlator: Correlator,
    pub(crate) ledger: Ledger,
    timers: BTreeSet<(EventTime, Timer)>,
    pub(crate) stats: TenantStats,
}

impl Tenant {
    pub(crate) fn new(name: &str, config: &EngineConfig) -> Tenant {
        let limits = &config.limits;
        Tenant {
            name: name.into(),
            released: EventTime::MIN,
            max_seen: EventTime::MIN,
            metrics: (0..SHARDS).map(|_| MetricShard::default()).collect(),
            logs: (0..SHARDS).map(|_| LogShard::default()).collect(),
            pending: Waiting::default(),
            series_count: 0,
            names: Symbols::new(limits.entities_max),
            entities: Symbols::new(limits.entities_max),
            topology: Topology::default(),
            lookup: Lookup::default(),
            known: KnownNames::default(),
            changes: Changes::default(),
            standing: Standing::default(),
            departed: DepartedSeries::default(),
            history: History::default(),
            silences: Silences::default(),
            inhibitors: Inhibitors::default(),
            alerts: Alerts::new(limits.alerts_max, limits.alerts_shed_max),
            correlator: Correlator::new(&config.correlate),
            ledger: Ledger::default(),
            timers: BTreeSet::new(),
            stats: TenantStats::default(),
        }
    }

    /// The rule name of an alert.
    pub(crate) fn alert_name(&self, alert: &Alert) -> &str {
        self.names.text(alert.name)
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn revive(&mut self) {
        self.alerts.reindex();
        self.standing = Standing::of(&self.alerts);
        self.known.set_catalogue(&self.lookup);
        self.silences.recompile();
    }

    /// Where the watermark stands, given what has been seen.
    pub(crate) fn watermark(&self, lateness: Span) -> EventTime {
        if self.max_seen == EventTime::MIN {
            return EventTime::MIN;
        }
        self.max_seen.minus(lateness).max(self.released)
    }

    /// Runs the stages over everything before `until`.
    pub(crate) fn release(&mut self, until: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if until <= self.released {
            return;
        }
        let events = self.stretch(until, compiled);
        for event in events {
            self.fire_timers(event.time, true, compiled, out);
            self.handle(event, compiled, out);
        }
        self.fire_timers(until, false, compiled, out);
        self.released = until;
    }

    /// Fires the timers before `until`, and those at it when `inclusive`.
    fn fire_timers(&mut self, until: EventTime, inclusive: bool, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        while let Some((at, timer)) = self.timers.first().copied() {
            if at > until || (at == until && !inclusive) {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::Alert(fingerprint) => self.alert_timer(fingerprint, at, compiled, out),
                Timer::Incident(number) => self.incident_timer(number, at, compiled, out),
                Timer::Sweep => self.sweep(at),
            }
        }
    }

    /// Puts old groups and silences away.
    fn sweep(&mut self, now: EventTime) {
        for group in self.correlator.close_quiet(now) {
            self.ledger.unbind(group);
        }
        self.silences.sweep(now);
        if self.correlator.len() > 0 {
            self.timers.insert((now.plus(SWEEP_EVERY), Timer::Sweep));
        }
    }

    /// Starts the sweeping when there is something to sweep.
    fn ensure_sweep(&mut self, now: EventTime) {
        if self.correlator.len() == 1 {
            self.timers.insert((now.plus(SWEEP_EVERY), Timer::Sweep));
        }
    }

    /// Wakes an alert at `at`: each has one timer, the earlier one stays.
    fn wake_alert(&mut self, fingerprint: u64, at: EventTime) {
        let Some(alert) = self.alerts.get_mut(fingerprint) else {
            return;
        };
        if let Some(old) = alert.timer {
            if old <= at {
                return;
            }
            self.timers.remove(&(old, Timer::Alert(fingerprint)));
        }
        alert.timer = Some(at);
        self.timers.insert((at, Timer::Alert(fingerprint)));
    }

    /// Puts away the timer of an alert that is no longer there.
    fn drop_alert_timer(&mut self, fingerprint: u64, timer: Option<EventTime>) {
        if let Some(at) = timer {
            self.timers.remove(&(at, Timer::Alert(fingerprint)));
        }
    }

    /// Wakes an incident at `at`: each has one timer, the earlier one stays.
    fn wake_incident(&mut self, number: u64, at: EventTime) {
        let Some(incident) = self.ledger.get_mut(number) else {
            return;
        };
        if self.timers.contains(&(incident.timer, Timer::Incident(number))) {
            if incident.timer <= at {
                return;
            }
            self.timers.remove(&(incident.timer, Timer::Incident(number)));
        }
        incident.timer = at;
        self.timers.insert((at, Timer::Incident(number)));
    }

    /// Gauges for the statistics.
    pub(crate) fn gauges(&self) -> TenantStats {
        let mut stats = self.stats.clone();
        stats.series = self.metrics.iter().map(MetricShard::series_count).sum::<usize>() as u64;
        stats.log_streams = self.logs.iter().map(LogShard::stream_count).sum::<usize>() as u64;
        stats.log_templates = self.logs.iter().map(LogShard::template_count).sum::<usize>() as u64;
        stats.alerts_known = self.alerts.len() as u64;
        stats.alerts_shed = self.alerts.shed_len() as u64;
        stats.alerts_grouped = self.correlator.len() as u64;
        stats.entities = self.entities.len() as u64;
        stats.topology_edges = self.topology.len() as u64;
        stats.changes = self.changes.len() as u64;
        stats.history = self.history.len() as u64;
        stats.incidents_live = self.ledger.active_len() as u64;
        stats.incidents_kept = self.ledger.len() as u64;
        let evicted = &mut stats.evicted;
        evicted.insert("alerts".into(), self.alerts.evicted());
        evicted.insert("alert_states".into(), self.alerts.lost());
        evicted.insert("groups".into(), self.correlator.counters().evicted);
        evicted.insert("log_streams".into(), self.logs.iter().map(LogShard::evicted).sum());
        evicted.insert("names".into(), self.names.overflowed());
        evicted.insert("entities".into(), self.entities.overflowed());
        evicted.insert("delays".into(), self.correlator.delays.forgotten());
        evicted.insert("topology_edges".into(), self.topology.refused());
        evicted.insert("changes".into(), self.changes.forgotten());
        evicted.insert("history".into(), self.history.forgotten());
        evicted.insert("silences".into(), self.silences.refused());
        evicted.insert("incidents".into(), self.ledger.refused);
        stats.candidates_transient = self.ledger.transient;
        stats.candidates_light = self.ledger.too_light;
        stats
    }

    /// Every edge with everybody's word about it.
    pub(crate) fn topology_view(&self) -> Vec<EdgeView> {
        self.topology.view(&self.entities, &self.names)
    }
}
