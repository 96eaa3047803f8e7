//! One shard of the metric side of `sense`.
//!
//! Samples wait until the watermark passes them, are put in order of time, and go through
//! every watch of their series. A sample that repeats a time its series already has is a
//! re-send and is dropped; one older than that is late and is counted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use arrow::array::Array;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::compiled::CompiledSense;
use super::exhaustion::Reached;
use super::heartbeat::{beat, miss, next_deadline};
use super::meta::{SeriesMeta, SeriesView};
use super::partners::{Read, Reading};
use super::sample::{Row, Sample};
use super::series::Series;
use super::{anomaly, level};
use crate::alert::Sensed;
use crate::event::Moved;
use crate::time::EventTime;
use crate::waiting::Waiting;

/// What a shard counted in one stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ShardCounts {
    /// Samples of a series nobody described.
    pub(crate) unknown_series: u64,
    /// Samples older than one already used.
    pub(crate) out_of_order: u64,
    /// Samples that repeat a time.
    pub(crate) repeated: u64,
    /// Rules that DataFusion could not evaluate.
    pub(crate) rule_errors: u64,
}

/// What a shard found in one stretch.
#[derive(Debug, Default)]
pub(super) struct ShardFound {
    pub(super) sensed: Vec<(EventTime, Sensed)>,
    pub(super) moved: Vec<(EventTime, Moved)>,
    /// What is weighed against a limit that lies in any shard.
    pub(super) readings: Vec<Reading>,
}

/// The metric series of one shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MetricShard {
    pending: Waiting<Sample>,
    /// By id.
    #[serde(with = "crate::serial::sorted_map")]
    pub(super) series: HashMap<u64, Series, foldhash::fast::FixedState>,
    /// `(deadline, series)`: one entry per series with a heartbeat; deadlines are checked when
    /// they come up, because most have moved by then.
    pub(super) deadlines: BinaryHeap<Reverse<(EventTime, u64)>>,
}

impl MetricShard {
    pub(crate) fn push(&mut self, sample: Sample) {
        self.pending.push(sample);
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn knows(&self, series: u64) -> bool {
        self.series.contains_key(&series)
    }

    /// What a series is.
    pub(crate) fn meta(&self, series: u64) -> Option<SeriesView<'_>> {
        let meta = &self.series.get(&series)?.meta;
        let labels = meta.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        Some(SeriesView { name: &meta.name, entity: &meta.entity, labels })
    }

    /// Reads every series by other conventions.
    pub(super) fn adopt(&mut self, sense: &CompiledSense) {
        self.series.values_mut().for_each(|series| series.adopt(sense));
    }

    /// Describes a series that is not known; answers about how many bytes it comes to take.
    pub(crate) fn describe(&mut self, id: u64, meta: impl FnOnce() -> SeriesMeta, sense: &CompiledSense) -> usize {
        let series = Series::new(meta(), sense);
        let bytes = series.bytes();
        self.series.insert(id, series);
        bytes
    }

    /// About how many bytes the series come to take. Looks at every one.
    pub(super) fn series_bytes(&self) -> usize {
        self.series.values().map(Series::bytes).sum()
    }

    /// About how many bytes the samples take that wait.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.bytes()
    }

    /// A resource has come so far towards the limit that another series tells; answers an alert to raise or to end.
    pub(super) fn weigh(
        &mut self,
        (series, watch): (u64, usize),
        now: Reached,
        sense: &CompiledSense,
    ) -> Option<(EventTime, Sensed)> {
        let series = self.series.get_mut(&series)?;
        let state = series.exhaustion.get_mut(watch)?;
        sense.exhaustion[usize::from(state.rule)].step(state, &series.meta, now)
    }

    /// Releases everything before `until`; what is found goes to `found` with its event times.
    pub(super) fn release(&mut self, until: EventTime, sense: &CompiledSense, found: &mut ShardFound) -> ShardCounts {
        let mut counts = ShardCounts::default();
        let ready = take_ready(&mut self.pending, until);
        let mut rows = Vec::with_capacity(ready.len());
        for sample in &ready {
            if let Some(row) = self.watch(sample, sense, &mut counts, found) {
                rows.push(row);
            }
        }
        self.apply_rules(&rows, sense, &mut counts, &mut found.sensed);
        self.miss_heartbeats(until, sense, &mut found.sensed);
        counts
    }

    /// Runs one sample through detector, exhaustion and heartbeats of its series.
    fn watch(
        &mut self,
        sample: &Sample,
        sense: &CompiledSense,
        counts: &mut ShardCounts,
        found: &mut ShardFound,
    ) -> Option<Row> {
        let ShardFound { sensed: out, moved, readings } = found;
        let Some(series) = self.series.get_mut(&sample.series) else {
            counts.unknown_series += 1;
            return None;
        };
        if sample.time <= series.last_at {
            if sample.time == series.last_at {
                counts.repeated += 1;
            } else {
                counts.out_of_order += 1;
            }
            return None;
        }
        let at = sample.time;
        if !sense.heartbeats.is_empty() {
            beat(series, sample.series, at, sense, &mut self.deadlines, out);
        }
        if series.first_at == EventTime::MIN {
            series.first_at = at;
        }
        let value = series.observed(at, sample.value);
        series.last_at = at;
        let value = value?;
        if let Some(model) = &mut series.model {
            let verdict = model.update(&sense.detector, at.0, value);
            let felt = series.role.is_felt() && at.since(series.first_at) >= sense.anomalies.learning;
            let Series { anomaly, level, meta, .. } = series;
            anomaly::raise(anomaly, (level, meta, felt), (at, value), &verdict, sense, out);
            level::look(level, (sample.series, meta), at, value, &verdict, moved);
        }
        for (watch, state) in series.exhaustion.iter_mut().enumerate() {
            if let Some(key) = state.partner {
                readings.push(Reading { at, key, value, of: Read::Resource { series: sample.series, watch } });
                continue;
            }
            let rule = &sense.exhaustion[usize::from(state.rule)];
            out.extend(rule.step(state, &series.meta, Reached { at, value, whole: None }));
        }
        readings.extend(series.limits.iter().map(|key| Reading { at, key: *key, value, of: Read::Limit }));
        Some(Row { time: at, series: sample.series, value })
    }

    fn apply_rules(
        &mut self,
        rows: &[Row],
        sense: &CompiledSense,
        counts: &mut ShardCounts,
        out: &mut Vec<(EventTime, Sensed)>,
    ) {
        for (bit, rule) in sense.metric_rules.iter().enumerate() {
            let selected: Vec<Row> =
                rows.iter().copied().filter(|row| self.series[&row.series].checks & (1 << bit) != 0).collect();
            if selected.is_empty() {
                continue;
            }
            let (answers, error) = rule.answers(&selected, |id| &self.series[&id].meta);
            counts.rule_errors += u64::from(error.is_some());
            for (i, row) in selected.iter().enumerate() {
                let series = self.series.get_mut(&row.series).expect("the row came from it");
                let Some(state) = series.rules.iter_mut().find(|s| usize::from(s.rule) == bit) else {
                    continue;
                };
                let holds = answers.is_valid(i) && answers.value(i);
                if let Some((status, since)) = rule.step(state, row.time, holds) {
                    out.push(rule.alert(&series.meta, status, since, row.time, row.value));
                }
            }
        }
    }

    /// Raises the heartbeats whose deadlines lie before `until`.
    fn miss_heartbeats(&mut self, until: EventTime, sense: &CompiledSense, out: &mut Vec<(EventTime, Sensed)>) {
        while let Some(Reverse((deadline, id))) = self.deadlines.peek().copied() {
            if deadline >= until {
                break;
            }
            self.deadlines.pop();
            let Some(series) = self.series.get_mut(&id) else {
                continue;
            };
            miss(series, until, sense, out);
            if let Some(next) = next_deadline(series, sense) {
                self.deadlines.push(Reverse((next, id)));
            }
        }
    }
}

/// Takes the samples before `until` out of `pending`, in order of time, series and bits.
fn take_ready(pending: &mut Waiting<Sample>, until: EventTime) -> Vec<Sample> {
    let mut ready = pending.take(until);
    ready.sort_unstable_by_key(|s| (s.time, s.series, s.value.to_bits()));
    ready
}
