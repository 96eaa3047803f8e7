//! One shard of the metric side of `sense`.
//!
//! Samples wait until the watermark passes them, are put in order of time, and go through
//! every watch of their series. A sample that repeats a time its series already has is a
//! re-send and is dropped; one older than that is out of order and is counted. A late sample is watched like
//! any other, in the order of its source; what it tells acts later than it is dated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::Array;
use serde::{Deserialize, Serialize};

use super::compiled::CompiledSense;
use super::exhaustion::Reached;
use super::heartbeat::{beat, miss, next_deadline};
use super::kept::{Kept, SeriesById};
use super::meta::{SeriesMeta, SeriesView};
use super::partners::{Read, Reading};
use super::raise::acting;
use super::sample::{LateSample, Row, Sample};
use super::series::Series;
use super::{anomaly, level};
use crate::alert::Sensed;
use crate::event::Moved;
use crate::origin::SourceClass;
use crate::pieces::Pieces;
use crate::time::{EventTime, Span};
use crate::waiting::Waiting;

/// What a shard counted in one stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ShardCounts {
    /// Samples of a series nobody described.
    pub(crate) unknown_series: u64,
    /// Samples older than one already used, by the class of their source.
    pub(crate) out_of_order: [u64; SourceClass::ALL.len()],
    /// Late samples that were used, by the class of their source.
    pub(crate) behind: [u64; SourceClass::ALL.len()],
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
///
/// A checkpoint holds its fields in this order; [`write`](Self::write) puts them there.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct MetricShard {
    pending: Waiting<Sample>,
    /// Late samples, which act as of the watermark's place when they came or their source passed them.
    late: Vec<LateSample>,
    /// By id.
    #[serde(deserialize_with = "crate::serial::sorted_map::deserialize")]
    pub(super) series: SeriesById,
    /// `(deadline, series)`: one entry per series with a heartbeat; deadlines are checked when
    /// they come up, because most have moved by then.
    pub(super) deadlines: BinaryHeap<Reverse<(EventTime, u64)>>,
    /// While a snapshot is taken.
    #[serde(skip)]
    kept: Option<Box<Kept>>,
}

impl MetricShard {
    pub(crate) fn push(&mut self, sample: Sample) {
        self.pending.push(sample);
    }

    /// Writes it for a checkpoint; its series are a piece of their own.
    pub(super) fn write(&self, pieces: &mut Pieces, tenant: &Arc<str>, number: usize) {
        pieces.put(&self.pending);
        pieces.put(&self.late);
        pieces.series(tenant, number);
        pieces.put(&self.deadlines);
    }

    /// From here on, what series are now is kept until it is written.
    pub(super) fn keep(&mut self) {
        self.kept = Some(Box::default());
    }

    /// Whether what series were is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// What was kept is not needed.
    pub(super) fn let_go(&mut self) {
        self.kept = None;
    }

    /// The series as they are.
    pub(super) fn write_series(&self) -> Vec<u8> {
        Kept::default().write(&self.series, usize::MAX).unwrap_or_default()
    }

    /// Writes up to `most` further series as they were when [`keep`](Self::keep) was called. Answers all of them once
    /// there are no more; nothing is kept from there on.
    pub(super) fn take_series(&mut self, most: usize) -> Option<Vec<u8>> {
        let written = self.kept.get_or_insert_default().write(&self.series, most)?;
        self.kept = None;
        Some(written)
    }

    pub(crate) fn push_late(&mut self, acts: EventTime, sample: Sample) {
        self.late.push(LateSample { acts, sample });
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.late.len()
    }

    /// About how many samples act before `until`.
    pub(super) fn due(&self, until: EventTime) -> usize {
        self.pending.due(until) + self.late.len()
    }

    /// What a series is that is known.
    pub(crate) fn described(&self, series: u64) -> Option<&SeriesMeta> {
        self.series.get(&series).map(|series| &series.meta)
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
        let counter = meta.series_type == crate::signal::SeriesType::Counter;
        Some(SeriesView { name: &meta.name, entity: &meta.entity, unit: &meta.unit, counter, labels })
    }

    /// Reads every series by other conventions.
    pub(super) fn adopt(&mut self, sense: &CompiledSense) {
        debug_assert!(!self.is_kept(), "a snapshot is being taken");
        self.series.values_mut().for_each(|series| series.adopt(sense));
    }

    /// Puts off by `unknown` what is missed of each series.
    pub(super) fn pass_over(&mut self, unknown: Span) {
        debug_assert!(!self.is_kept(), "a snapshot is being taken");
        for series in self.series.values_mut().filter(|series| series.heard_at != EventTime::MIN) {
            series.heard_at = series.heard_at.plus(unknown);
        }
        let deadlines = std::mem::take(&mut self.deadlines).into_iter();
        self.deadlines = deadlines.map(|Reverse((at, id))| Reverse((at.plus(unknown), id))).collect();
    }

    /// Describes a series that is not known; answers about how many bytes it comes to take.
    pub(crate) fn describe(&mut self, id: u64, meta: impl FnOnce() -> SeriesMeta, sense: &CompiledSense) -> usize {
        let series = Series::new(meta(), sense);
        let bytes = series.bytes();
        self.series.insert(id, series);
        if let Some(kept) = &mut self.kept {
            kept.is_new(id);
        }
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
        let series = moving(&mut self.series, &mut self.kept, series)?;
        let state = series.exhaustion.get_mut(watch)?;
        sense.exhaustion[usize::from(state.rule)].step(state, &series.meta, now)
    }

    /// Releases everything before `until`; what is found goes to `found` with its event times.
    pub(super) fn release(&mut self, until: EventTime, sense: &CompiledSense, found: &mut ShardFound) -> ShardCounts {
        let mut counts = ShardCounts::default();
        let ready = take_ready(&mut self.pending, until);
        let late = take_late(&mut self.late, until);
        let mut rows = Vec::with_capacity(ready.len() + late.len());
        let mut late = late.iter().peekable();
        for sample in &ready {
            // What is late acts before what comes in time: it is older.
            while let Some(late) = late.next_if(|late| late.acts <= sample.time) {
                rows.extend(self.watch_late(late, sense, &mut counts, found));
            }
            rows.extend(self.watch(sample, sample.time, sense, &mut counts, found));
        }
        for late in late {
            rows.extend(self.watch_late(late, sense, &mut counts, found));
        }
        self.apply_rules(&rows, sense, &mut counts, &mut found.sensed);
        self.miss_heartbeats(until, sense, &mut found.sensed);
        counts
    }

    /// Runs a late sample through the watches of its series: nothing that it tells acts before it does.
    fn watch_late(
        &mut self,
        late: &LateSample,
        sense: &CompiledSense,
        counts: &mut ShardCounts,
        found: &mut ShardFound,
    ) -> Option<Row> {
        let (sensed, moved) = (found.sensed.len(), found.moved.len());
        let row = self.watch(&late.sample, late.acts, sense, counts, found);
        let told = found.sensed.split_off(sensed);
        found.sensed.extend(told.into_iter().map(|told| acting(late.acts, told)));
        found.moved[moved..].iter_mut().for_each(|(at, _)| *at = late.acts.max(*at));
        row
    }

    /// Runs one sample, which acts at `acts`, through detector, exhaustion and heartbeats of its series.
    fn watch(
        &mut self,
        sample: &Sample,
        acts: EventTime,
        sense: &CompiledSense,
        counts: &mut ShardCounts,
        found: &mut ShardFound,
    ) -> Option<Row> {
        let ShardFound { sensed: out, moved, readings } = found;
        let Some(series) = moving(&mut self.series, &mut self.kept, sample.series) else {
            counts.unknown_series += 1;
            return None;
        };
        let at = sample.time;
        if at == series.last_at {
            counts.repeated += 1;
            return None;
        }
        // Whatever it says and whenever it was said, something is heard now.
        if !sense.heartbeats.is_empty() && acts > series.heard_at {
            beat(series, sample.series, acts, sense, &mut self.deadlines, out);
        }
        series.heard_at = series.heard_at.max(acts);
        if at < series.last_at {
            counts.out_of_order[series.meta.origin().class as usize] += 1;
            return None;
        }
        if acts > at {
            counts.behind[series.meta.origin().class as usize] += 1;
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
            let Series { anomaly, level, meta, first_at, .. } = series;
            anomaly::raise(anomaly, (level, meta, felt), (at, value), &verdict, sense, out);
            level::look(level, (sample.series, meta), (*first_at, at), value, &verdict, moved);
        }
        for (watch, state) in series.exhaustion.iter_mut().enumerate() {
            if let Some(key) = state.partner {
                readings.push(Reading { at, acts, key, value, of: Read::Resource { series: sample.series, watch } });
                continue;
            }
            let rule = &sense.exhaustion[usize::from(state.rule)];
            out.extend(rule.step(state, &series.meta, Reached { at, value, whole: None }));
        }
        readings.extend(series.limits.iter().map(|key| Reading { at, acts, key: *key, value, of: Read::Limit }));
        Some(Row { time: at, acts, series: sample.series, value })
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
                let series = moving(&mut self.series, &mut self.kept, row.series).expect("the row came from it");
                let Some(state) = series.rules.iter_mut().find(|s| usize::from(s.rule) == bit) else {
                    continue;
                };
                let holds = answers.is_valid(i) && answers.value(i);
                if let Some((status, since)) = rule.step(state, row.time, holds) {
                    let told = rule.alert(&series.meta, status, since, row.time, row.value);
                    out.push(acting(row.acts, told));
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
            let Some(series) = moving(&mut self.series, &mut self.kept, id) else {
                continue;
            };
            miss(series, until, sense, out);
            if let Some(next) = next_deadline(series, sense) {
                self.deadlines.push(Reverse((next, id)));
            }
        }
    }
}

/// A series that is about to move on; it is written first where a snapshot wants it as it is.
fn moving<'a>(series: &'a mut SeriesById, kept: &mut Option<Box<Kept>>, id: u64) -> Option<&'a mut Series> {
    let series = series.get_mut(&id)?;
    if let Some(kept) = kept {
        kept.keep(id, series);
    }
    Some(series)
}

/// Takes the late samples that act before `until` out of `late`, in the order in which they act.
fn take_late(late: &mut Vec<LateSample>, until: EventTime) -> Vec<LateSample> {
    if late.is_empty() {
        return Vec::new();
    }
    let (mut due, stay): (Vec<LateSample>, Vec<LateSample>) = late.drain(..).partition(|late| late.acts < until);
    *late = stay;
    due.sort_unstable_by_key(|LateSample { acts, sample }| (*acts, sample.time, sample.series, sample.value.to_bits()));
    due
}

/// Takes the samples before `until` out of `pending`, in order of time, series and bits.
fn take_ready(pending: &mut Waiting<Sample>, until: EventTime) -> Vec<Sample> {
    let mut ready = pending.take(until);
    ready.sort_unstable_by_key(|s| (s.time, s.series, s.value.to_bits()));
    ready
}
