//! Samples at the door: two comparisons for the one that comes in time, its source's word for any other.

use super::door::Door;
use crate::origin::{Dated, Fate};
use crate::sense::Sample;
use crate::signal::{Batch, MetricColumns, SignalKind};
use crate::time::EventTime;

/// What these rows are.
const METRIC: Dated = Dated::Signal(SignalKind::Metric);

impl Door<'_> {
    pub(super) fn metrics(&mut self, batch: &Batch) {
        let columns = MetricColumns::of(batch);
        let limits = &self.compiled.config.limits;
        let (low, high) = (limits.time_min.0, limits.time_max.0);
        let (ahead, latest) = (self.bounds.ahead.0, self.bounds.latest.0);
        let mut floor = self.floor().0;
        let mut seen = EventTime::MIN;
        let (mut odd_time, mut odd_value) = (0_u64, 0_u64);
        let rows = columns.time.iter().zip(columns.series).zip(columns.value);
        for ((&dated, &series), &value) in rows {
            if dated < low || dated > high {
                odd_time += 1;
                continue;
            }
            if !value.is_finite() {
                odd_value += 1;
                continue;
            }
            let time = dated.saturating_add(ahead);
            let sample = Sample { time: EventTime(time), series, value };
            if time < floor || time > latest || self.waiting.sources.knows(series) {
                self.off_time(sample);
                floor = self.floor().0;
                continue;
            }
            if sample.time > seen {
                seen = sample.time;
                self.waiting.see(seen, self.bounds.moves_to);
                floor = self.floor().0;
            }
            self.shards.push_sample(sample);
        }
        self.stats.reject_many("time out of range", odd_time);
        self.stats.reject_many("value not finite", odd_value);
    }

    /// A sample whose time is not that of its arrival, or of a series that had such a one.
    fn off_time(&mut self, sample: Sample) {
        let (bounds, floor, lateness) = (self.bounds, self.floor(), self.compiled.config.lateness);
        let (arrival, waiting) = (bounds.arrival.unwrap_or(self.waiting.max_seen), &mut *self.waiting);
        let sources = &mut waiting.sources;
        let id = match sources.of_series(sample.series) {
            Some(id) => id,
            None => {
                let Some(meta) = self.shards.described(sample.series) else {
                    self.stats.reject("series not described");
                    return;
                };
                let id = sources.meet(meta.origin(), arrival);
                sources.note_series(sample.series, id);
                id
            }
        };
        let class = sources.class(id);
        let time = sources.time_of(id, sample.time, floor, &bounds);
        if sample.time > bounds.latest {
            self.stats.off_time.add(METRIC, class, Fate::Ahead, 1);
        }
        let sample = Sample { time, ..sample };
        let shards = &mut *self.shards;
        let mut acts = |acts, sample| shards.push_late(acts, sample);
        if time >= floor {
            sources.caught_up(id, floor, &mut acts);
            waiting.see(time, bounds.moves_to);
            self.shards.push_sample(sample);
            return;
        }
        if arrival.since(time) > self.compiled.config.sample_age_max {
            self.stats.off_time.add(METRIC, class, Fate::TooOld, 1);
            return;
        }
        sources.wait(id, sample, (floor, lateness), &mut acts);
    }
}
