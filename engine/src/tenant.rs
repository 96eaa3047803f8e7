//! One tenant: its tables, and the step that takes everything before a watermark through the stages.
//!
//! Tenants share nothing. Timers fire between events, in the same order of time, so that batches, arrival
//! order within the lateness and threads cannot change what the stages do.

use std::sync::Arc;

use serde::Deserialize;

use crate::admit::{Door, RestoreError, SavedPending, WaitingRoom};
use crate::clock::Bounds;
use crate::compiled::Compiled;
use crate::config::EngineConfig;
use crate::incident::IncidentEvent;
use crate::memory::{self, Class};
use crate::pieces::Pieces;
use crate::pipeline::Pipeline;
use crate::planted::panic_if_planted;
use crate::sense::Shards;
use crate::sense::stage::{self as sense, Found};
use crate::stats::TenantStats;
use crate::tables::{Room, Tables};
use crate::time::{EventTime, Span};
use crate::turn::Item;

/// Everything known of one tenant. A checkpoint holds its fields in this order; [`write`](Tenant::write) puts them
/// there.
#[derive(Debug, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) name: Arc<str>,
    pub(crate) waiting: WaitingRoom,
    pub(crate) shards: Shards,
    pub(crate) tables: Tables,
}

impl Tenant {
    pub(crate) fn new(name: &str, config: &EngineConfig) -> Tenant {
        Tenant {
            name: name.into(),
            waiting: WaitingRoom::default(),
            shards: Shards::default(),
            tables: Tables::new(config),
        }
    }

    /// The door, to let entries in by.
    pub(crate) fn door<'a>(&'a mut self, compiled: &'a Compiled, bounds: Bounds) -> Door<'a> {
        let series_bytes_max = self.room_of(Class::Metrics, compiled) + self.shards.series_bytes();
        let Tenant { waiting, shards, tables, .. } = self;
        Door { waiting, shards, stats: &mut tables.stats, compiled, bounds, series_bytes_max }
    }

    /// It is `now`; of the time that has passed, nothing is known of `unknown`.
    pub(crate) fn tick(&mut self, now: EventTime, unknown: Span) {
        if unknown > Span::ZERO {
            self.shards.pass_over(unknown);
        }
        self.waiting.tick(now);
    }

    /// What is taken of its memory by what, in bytes.
    fn bytes(&self) -> [(&'static str, usize); 8] {
        let held = self.tables.held();
        [
            ("waiting", self.waiting.bytes() + self.shards.waiting_bytes()),
            ("series", self.shards.series_bytes()),
            ("logs", self.shards.log_bytes()),
            ("alerts", held.alerts),
            ("incidents", held.incidents),
            ("names", held.names),
            ("topology", held.topology),
            ("changes", held.changes),
        ]
    }

    fn bytes_total(&self) -> usize {
        self.bytes().into_iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes by which a class may still grow.
    fn room_of(&self, class: Class, compiled: &Compiled) -> usize {
        class.mark(compiled.config.limits.tenant_bytes_max).saturating_sub(self.bytes_total())
    }

    /// Works out what may grow in the stretch to come.
    fn make_room(&mut self, compiled: &Compiled) {
        let max = compiled.config.limits.tenant_bytes_max;
        let (total, details) = (self.bytes_total(), self.tables.alerts.bytes());
        self.tables.alerts.bound_states(memory::room_of_states(max));
        self.tables.estate.names.bound(memory::room_of_names(max));
        self.tables.estate.entities.bound(memory::room_of_names(max));
        self.tables.room = Room {
            alerts: memory::room_of_alerts(max, total - details),
            edges: Class::Topology.mark(max).saturating_sub(total),
            changes: memory::room_of_changes(max),
        };
    }

    /// Takes everything before `until` through the stages.
    pub(crate) fn release(&mut self, until: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        if until <= self.waiting.released {
            return;
        }
        let logs_full = self.room_of(Class::Logs, compiled) == 0;
        self.make_room(compiled);
        let Tenant { name, waiting, shards, tables } = self;
        waiting.release_late(until, compiled.config.lateness, shards);
        panic_if_planted("sense", name, shards);
        let Found { sensed, moved } = sense::sense(shards, until, logs_full, compiled, &mut tables.stats);
        let mut pipeline = Pipeline::new(name, compiled, out);
        for pending in waiting.stretch(until, sensed, moved) {
            pipeline.fire_timers(pending.time, true, tables);
            pipeline.run(Item::Event(pending.event), pending.time, tables);
        }
        pipeline.fire_timers(until, false, tables);
        waiting.released = until;
    }

    /// Releases what the watermark has passed, and everything when too much waits.
    pub(crate) fn release_due(&mut self, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let mut until = self.waiting.watermark(compiled.config.lateness);
        let limits = &compiled.config.limits;
        let bytes_max = memory::room_of_waiting(limits.tenant_bytes_max);
        if self.waiting.len() + self.shards.waiting() > limits.pending_max
            || self.waiting.bytes() + self.shards.waiting_bytes() > bytes_max
        {
            self.tables.stats.released_early += 1;
            // What comes late acts at the watermark: it has to move for that to be released.
            until = self.waiting.latest().max(self.waiting.released).plus(Span(1));
        }
        self.release(until, compiled, out);
    }

    /// Goes on by the settings `now` instead of those `before`. Alerts that lose their rule end at the
    /// watermark; what is held back is looked at again at once.
    pub(crate) fn reconfigure(&mut self, before: &Arc<Compiled>, now: &Compiled, out: &mut Vec<IncidentEvent>) {
        let Tenant { name, waiting, shards, tables } = self;
        let at = waiting.released;
        let mut pipeline = Pipeline::new(name, now, out);
        pipeline.run(Item::Settings, at, tables);
        if before.config.sense != now.config.sense {
            let ended = sense::reconfigure(shards, &before.sense, &now.sense, at);
            tables.stats.alerts_sensed += ended.len() as u64;
            ended.into_iter().for_each(|(time, sensed)| waiting.push_sensed(time, sensed));
        }
        if before.config.suppress != now.config.suppress {
            pipeline.run(Item::SuppressAnew, at, tables);
        }
    }

    /// Writes it for a checkpoint, with what waits for the watermark; its series are pieces of their own.
    pub(crate) fn write(&self, pieces: &mut Pieces) {
        pieces.put(&self.name);
        pieces.put(&self.waiting);
        self.shards.write(pieces, &self.name);
        pieces.put(&self.tables);
        pieces.put(&SavedPending::of(&self.name, &self.waiting, &self.shards));
    }

    /// Rebuilds what a checkpoint leaves out, and lets in again what waited.
    pub(crate) fn revive(&mut self, pending: SavedPending) -> Result<(), RestoreError> {
        self.tables.revive();
        self.shards.revive();
        pending.restore(&self.name, &mut self.waiting, &mut self.shards)
    }

    /// The counters, with the gauges of every table.
    pub(crate) fn gauges(&self, config: &EngineConfig) -> TenantStats {
        let mut stats = self.tables.gauges();
        stats.bytes = self.bytes().map(|(table, bytes)| (table, bytes as u64)).into();
        stats.bytes_max = config.limits.tenant_bytes_max as u64;
        stats.budget = self.tables.ledger.budget.view(self.waiting.released, config.correlate.false_per_day);
        (stats.clocks_skewed, stats.clocks) = self.waiting.clocks();
        stats.series = self.shards.series() as u64;
        stats.log_streams = self.shards.streams() as u64;
        stats.log_templates = self.shards.templates() as u64;
        stats.evicted.insert("log_streams".into(), self.shards.evicted());
        stats.evicted.insert("sources".into(), self.waiting.sources_refused());
        stats
    }
}
