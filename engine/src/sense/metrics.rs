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

use bellwether_models::metric::Verdict;

use super::CompiledSense;
use super::departed::{self, Moved};
use super::raise::{Raise, short};
use super::series::{Series, SeriesMeta, SeriesView};
use crate::alert::{Observation, Sensed};
use crate::incident::EvidenceSignal;
use crate::signal::{AlertStatus, Severity};
use crate::time::EventTime;
use crate::waiting::{Timed, Waiting};

/// One sample that waits for the watermark.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) time: EventTime,
    pub(crate) series: u64,
    pub(crate) value: f64,
}

impl Timed for Sample {
    fn time(&self) -> EventTime {
        self.time
    }
}

/// One sample as the rules see it: counters as rates.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) time: EventTime,
    pub(super) series: u64,
    pub(super) value: f64,
}

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

/// The metric series of one shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MetricShard {
    pending: Waiting<Sample>,
    /// By id.
    #[serde(with = "crate::checkpoint::sorted_map")]
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

    /// Describes a series; a series that is known keeps its state.
    pub(crate) fn describe(&mut self, id: u64, meta: impl FnOnce() -> SeriesMeta, sense: &CompiledSense) {
        self.series.entry(id).or_insert_with(|| Series::new(meta(), sense));
    }

    /// Releases everything before `until`; alerts go to `out` with their event times.
    pub(crate) fn release(
        &mut self,
        until: EventTime,
        sense: &CompiledSense,
        out: &mut Vec<(EventTime, Sensed)>,
        moved: &mut Vec<(EventTime, Moved)>,
    ) -> ShardCounts {
        let mut counts = ShardCounts::default();
        let ready = take_ready(&mut self.pending, until);
        let mut rows = Vec::with_capacity(ready.len());
        for sample in &ready {
            if let Some(row) = self.watch(sample, sense, &mut counts, out, moved) {
                rows.push(row);
            }
        }
        self.apply_rules(&rows, sense, &mut counts, out);
        self.miss_heartbeats(until, sense, out);
        counts
    }

    /// Runs one sample through detector, exhaustion and heartbeats of its series.
    fn watch(
        &mut self,
        sample: &Sample,
        sense: &CompiledSense,
        counts: &mut ShardCounts,
        out: &mut Vec<(EventTime, Sensed)>,
        moved: &mut Vec<(EventTime, Moved)>,
    ) -> Option<Row> {
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
        let value = series.observed(at, sample.value);
        series.last_at = at;
        let value = value?;
        if let Some(verdict) = detect(series, at, value, sense, out) {
            departed::look(series, sample.series, at, value, &verdict, moved);
        }
        for i in 0..series.exhaustion.len() {
            let state = &mut series.exhaustion[i];
            let rule = &sense.exhaustion[usize::from(state.rule)];
            out.extend(rule.step(state, &series.meta, at, value));
        }
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
                    out.push(rule.alert(series, status, since, row.time, row.value));
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

/// The heartbeats of a series: bit offset and rule.
fn heartbeats<'a>(
    series: &Series,
    sense: &'a CompiledSense,
) -> impl Iterator<Item = (u64, &'a super::HeartbeatRule)> + use<'a> {
    let first = sense.metric_rules.len();
    let checks = series.checks;
    sense
        .heartbeats
        .iter()
        .enumerate()
        .map(move |(i, (rule, _))| (1_u64 << (first + i), rule))
        .filter(move |(bit, _)| checks & bit != 0)
}

/// A sample has come: ends what was missing, raises what went missing and came back.
fn beat(
    series: &mut Series,
    id: u64,
    at: EventTime,
    sense: &CompiledSense,
    deadlines: &mut BinaryHeap<Reverse<(EventTime, u64)>>,
    out: &mut Vec<(EventTime, Sensed)>,
) {
    if series.last_at == EventTime::MIN {
        let timeout = heartbeats(series, sense).map(|(_, rule)| rule.timeout).min();
        if let Some(timeout) = timeout {
            deadlines.push(Reverse((at.plus(timeout), id)));
        }
        return;
    }
    miss(series, at, sense, out);
    if series.missing == 0 {
        return;
    }
    for (bit, rule) in heartbeats(series, sense) {
        if series.missing & bit != 0 {
            let since = series.last_at.plus(rule.timeout);
            out.push(heartbeat_alert(series, rule, AlertStatus::Resolved, since, at));
        }
    }
    series.missing = 0;
    if let Some(next) = next_deadline_after(series, at, sense) {
        deadlines.push(Reverse((next, id)));
    }
}

/// Raises each heartbeat of the series whose deadline lies before `until`.
fn miss(series: &mut Series, until: EventTime, sense: &CompiledSense, out: &mut Vec<(EventTime, Sensed)>) {
    let due: Vec<(u64, &super::HeartbeatRule)> = heartbeats(series, sense)
        .filter(|(bit, rule)| series.missing & bit == 0 && series.last_at.plus(rule.timeout) < until)
        .collect();
    for (bit, rule) in due {
        series.missing |= bit;
        let at = series.last_at.plus(rule.timeout);
        out.push(heartbeat_alert(series, rule, AlertStatus::Firing, series.last_at, at));
    }
}

pub(super) fn next_deadline(series: &Series, sense: &CompiledSense) -> Option<EventTime> {
    next_deadline_after(series, series.last_at, sense)
}

fn next_deadline_after(series: &Series, last: EventTime, sense: &CompiledSense) -> Option<EventTime> {
    heartbeats(series, sense)
        .filter(|(bit, _)| series.missing & bit == 0)
        .map(|(_, rule)| last.plus(rule.timeout))
        .min()
}

pub(super) fn heartbeat_alert(
    series: &Series,
    rule: &super::HeartbeatRule,
    status: AlertStatus,
    since: EventTime,
    at: EventTime,
) -> (EventTime, Sensed) {
    let meta = &series.meta;
    let summary = match status {
        AlertStatus::Firing => format!("{} of {} has not been heard of for {}", meta.name, meta.entity, rule.timeout),
        AlertStatus::Resolved => format!("{} of {} is heard of again", meta.name, meta.entity),
    };
    Raise {
        summary,
        observation: Some(Observation {
            signal: EvidenceSignal::Metric,
            name: meta.name.clone(),
            value: None,
            expected: None,
            score: 1.0,
            detector: "heartbeat".into(),
        }),
        ..Raise::of_series((&rule.name, rule.severity), meta, status, since)
    }
    .at(at)
}

/// Name of the alerts of the anomaly detector.
pub(crate) const ANOMALY_ALERT: &str = "MetricAnomaly";

/// Score from which an anomaly is clear rather than faint.
const CLEAR_SCORE: f64 = 0.7;

/// Runs the anomaly detector of a series over one value.
fn detect(
    series: &mut Series,
    at: EventTime,
    value: f64,
    sense: &CompiledSense,
    out: &mut Vec<(EventTime, Sensed)>,
) -> Option<Verdict> {
    let verdict = series.detector.as_mut()?.update(&sense.detector, at.0, value);
    raise_anomaly(series, at, value, &verdict, sense, out);
    Some(verdict)
}

/// Raises or ends the anomaly alert of a series.
fn raise_anomaly(
    series: &mut Series,
    at: EventTime,
    value: f64,
    verdict: &Verdict,
    sense: &CompiledSense,
    out: &mut Vec<(EventTime, Sensed)>,
) {
    let state = &mut series.anomaly;
    let usual = value >= verdict.lower && value <= verdict.upper;
    let status = match (state.since, verdict.anomaly) {
        // Trouble that ends is not trouble.
        (None, true) if series.standing.is_back(at, value, verdict) => return,
        (None, true) => {
            series.standing.leave(at, verdict);
            state.since = Some(at);
            state.calm = 0;
            AlertStatus::Firing
        }
        (Some(_), _) if !usual => {
            state.calm = 0;
            return;
        }
        (Some(_), _) => {
            state.calm = state.calm.saturating_add(1);
            if state.calm < sense.anomalies.calm_points {
                return;
            }
            AlertStatus::Resolved
        }
        (None, false) => return,
    };
    let since = state.since.unwrap_or(at);
    if status == AlertStatus::Resolved {
        state.since = None;
    }
    let severity = match sense.anomalies.severity {
        clear if verdict.score >= CLEAR_SCORE => clear,
        Severity::Critical => Severity::Major,
        Severity::Major => Severity::Minor,
        Severity::Minor => Severity::Warning,
        Severity::Warning | Severity::Info => Severity::Info,
    };
    let meta = &series.meta;
    let summary = format!("{} on {}: {}", meta.name, meta.entity, verdict.reason.sentence(verdict, value));
    out.push(
        Raise {
            summary: if status == AlertStatus::Firing {
                summary
            } else {
                format!("{} on {} is back to {}", meta.name, meta.entity, short(value))
            },
            observation: Some(Observation {
                signal: EvidenceSignal::Metric,
                name: meta.name.clone(),
                value: Some(value),
                expected: Some(verdict.expected).filter(|v| v.is_finite()),
                score: verdict.score,
                detector: "anomaly".into(),
            }),
            ..Raise::of_series((ANOMALY_ALERT, severity), meta, status, since)
        }
        .at(at),
    );
}
