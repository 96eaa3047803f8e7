//! The door: rows come in, are checked, and wait for the watermark.
//!
//! Lateness is decided row by row against the latest event time seen so far, so that the cut
//! does not depend on how rows were batched. Late samples are counted and left out (their
//! series has moved on); everything else that is late is taken as of now, so that no recovery
//! is lost.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::pending::{OwnedChange, OwnedEdge};
use super::{Event, Pending, Tenant};
use crate::catalogue::Catalogue;
use crate::config::LimitsConfig;
use crate::engine::Compiled;
use crate::input::Action;
use crate::sense::{LogLine, SHARDS, Sample, SeriesMeta, shard_of};
use crate::signal::{
    AlertColumns, Batch, ChangeColumns, EdgeColumns, LogColumns, MetricColumns, SeriesColumns, SignalKind,
};
use crate::time::{EventTime, Span};

impl Tenant {
    /// Takes a batch in.
    pub(crate) fn admit_batch(&mut self, batch: &Batch, compiled: &Compiled) {
        self.stats.signals_received(batch.kind(), batch.len() as u64);
        match batch.kind() {
            SignalKind::Series => self.admit_series(batch, compiled),
            SignalKind::Metric => self.admit_metrics(batch, compiled),
            SignalKind::Log => self.admit_logs(batch, compiled),
            SignalKind::Alert => self.admit_alerts(batch, compiled),
            SignalKind::Change => self.admit_changes(batch, compiled),
            SignalKind::Edge => self.admit_edges(batch, compiled),
        }
    }

    /// Takes a catalogue in.
    pub(crate) fn admit_catalogue(&mut self, at: EventTime, catalogue: &Arc<Catalogue>) {
        // A catalogue describes the world from before the first signal on; it moves no clock.
        let time = at.max(self.released);
        self.pending.push(Pending::new(time, Event::Catalogue(catalogue.clone()), 0));
    }

    /// Takes an operator's or a bridge's word in.
    pub(crate) fn admit_action(&mut self, at: EventTime, action: &Action, lateness: Span) {
        let time = self.see(at, lateness);
        let key = xxh3_64(format!("{action:?}").as_bytes());
        self.pending.push(Pending::new(time, Event::Action(Box::new(action.clone())), key));
    }

    /// Notes an event time; answers the time at which the event acts.
    fn see(&mut self, at: EventTime, lateness: Span) -> EventTime {
        if at > self.max_seen {
            self.max_seen = at;
            return at;
        }
        let watermark = self.watermark(lateness);
        if at < watermark {
            self.stats.late += 1;
        }
        at.max(watermark)
    }

    fn believes(&mut self, at: EventTime, limits: &LimitsConfig) -> bool {
        let fits = at >= limits.time_min && at <= limits.time_max;
        if !fits {
            self.stats.reject("time out of range");
        }
        fits
    }

    fn admit_series(&mut self, batch: &Batch, compiled: &Compiled) {
        let columns = SeriesColumns::of(batch);
        for row in 0..columns.len() {
            let series = columns.row(row);
            let shard = &mut self.metrics[shard_of(series.series)];
            if shard.knows(series.series) {
                continue;
            }
            if self.series_count >= compiled.config.limits.series_max {
                self.stats.reject("too many series");
                continue;
            }
            self.series_count += 1;
            shard.describe(series.series, || SeriesMeta::of(&series), &compiled.sense);
        }
    }

    fn admit_metrics(&mut self, batch: &Batch, compiled: &Compiled) {
        let columns = MetricColumns::of(batch);
        let limits = &compiled.config.limits;
        let lateness = compiled.config.lateness;
        let (low, high) = (limits.time_min.0, limits.time_max.0);
        let mut max_seen = self.max_seen.0;
        let mut floor = self.watermark(lateness).0;
        let (mut late, mut odd_time, mut odd_value) = (0_u64, 0_u64, 0_u64);
        let rows = columns.time.iter().zip(columns.series).zip(columns.value);
        for ((&time, &series), &value) in rows {
            if time < low || time > high {
                odd_time += 1;
                continue;
            }
            if time > max_seen {
                max_seen = time;
                floor = floor.max(time.saturating_sub(lateness.0));
            } else if time < floor {
                late += 1;
                continue;
            }
            if !value.is_finite() {
                odd_value += 1;
                continue;
            }
            self.metrics[shard_of(series)].push(Sample { time: EventTime(time), series, value });
        }
        self.max_seen = EventTime(max_seen);
        self.stats.late += late;
        self.stats.reject_many("time out of range", odd_time);
        self.stats.reject_many("value not finite", odd_value);
    }

    fn admit_logs(&mut self, batch: &Batch, compiled: &Compiled) {
        let shared = Arc::new(batch.clone());
        let columns = LogColumns::of(&shared);
        for row in 0..columns.len() {
            let at = EventTime(columns.time[row]);
            if !self.believes(at, &compiled.config.limits) {
                continue;
            }
            let time = self.see(at, compiled.config.lateness);
            let line = LogLine::new(&shared, &columns, row, time);
            self.logs[shard_of(line.stream())].push(line);
        }
    }

    fn admit_alerts(&mut self, batch: &Batch, compiled: &Compiled) {
        let shared = Arc::new(batch.clone());
        let columns = AlertColumns::of(&shared);
        for row in 0..columns.len() {
            let at = EventTime(columns.time[row]);
            if !self.believes(at, &compiled.config.limits) {
                continue;
            }
            if columns.status(row).is_none() {
                self.stats.reject("unknown alert status");
                continue;
            }
            let time = self.see(at, compiled.config.lateness);
            let event = Event::Alert(shared.clone(), row as u32);
            self.pending.push(Pending::new(time, event, columns.fingerprint[row]));
        }
    }

    fn admit_changes(&mut self, batch: &Batch, compiled: &Compiled) {
        let columns = ChangeColumns::of(batch);
        for row in 0..columns.len() {
            let change = columns.row(row);
            if !self.believes(change.time, &compiled.config.limits) {
                continue;
            }
            let time = self.see(change.time, compiled.config.lateness);
            let key = xxh3_64(change.id.as_bytes());
            let own = |text: Option<&str>| text.map(Into::into);
            let event = Event::Change(Box::new(OwnedChange {
                id: change.id.into(),
                change_type: change.change_type.into(),
                entity: change.entity.into(),
                artifact: own(change.artifact),
                who: own(change.who),
                url: own(change.url),
                text: own(change.text),
            }));
            self.pending.push(Pending::new(time, event, key));
        }
    }

    fn admit_edges(&mut self, batch: &Batch, compiled: &Compiled) {
        let columns = EdgeColumns::of(batch);
        for row in 0..columns.len() {
            let Some(edge) = columns.row(row) else {
                self.stats.reject("unknown relation");
                continue;
            };
            if !self.believes(edge.time, &compiled.config.limits) {
                continue;
            }
            let time = self.see(edge.time, compiled.config.lateness);
            let key = xxh3_64(format!("{}|{}|{}", edge.from, edge.to, edge.source).as_bytes());
            let event = Event::Edge(Box::new(OwnedEdge {
                from: edge.from.into(),
                to: edge.to.into(),
                relation: edge.relation,
                source: edge.source.into(),
                confidence: edge.confidence,
            }));
            self.pending.push(Pending::new(time, event, key));
        }
    }

    /// Signals that wait for the watermark.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len() + self.waiting_telemetry()
    }

    /// Samples and log lines among them: what the shards of `sense` have to do.
    pub(crate) fn waiting_telemetry(&self) -> usize {
        let metrics: usize = self.metrics.iter().map(|s| s.pending()).sum();
        let logs: usize = self.logs.iter().map(|s| s.pending().len()).sum();
        debug_assert_eq!(self.metrics.len(), SHARDS);
        metrics + logs
    }
}
