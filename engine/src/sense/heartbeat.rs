//! Heartbeats: series that must keep arriving. What counts is when a sample acts, not when it was taken: a host
//! whose clock is slow is no silent host.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::compiled::CompiledSense;
use super::config::HeartbeatRule;
use super::raise::Raise;
use super::series::Series;
use crate::alert::{DetectorKind, Observation, Sensed};
use crate::incident::EvidenceSignal;
use crate::signal::AlertStatus;
use crate::time::EventTime;

/// The heartbeats of a series: bit offset and rule.
fn heartbeats<'a>(
    series: &Series,
    sense: &'a CompiledSense,
) -> impl Iterator<Item = (u64, &'a HeartbeatRule)> + use<'a> {
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
pub(super) fn beat(
    series: &mut Series,
    id: u64,
    at: EventTime,
    sense: &CompiledSense,
    deadlines: &mut BinaryHeap<Reverse<(EventTime, u64)>>,
    out: &mut Vec<(EventTime, Sensed)>,
) {
    if series.heard_at == EventTime::MIN {
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
            let since = series.heard_at.plus(rule.timeout);
            out.push(heartbeat_alert(series, rule, AlertStatus::Resolved, since, at));
        }
    }
    series.missing = 0;
    if let Some(next) = next_deadline_after(series, at, sense) {
        deadlines.push(Reverse((next, id)));
    }
}

/// Raises each heartbeat of the series whose deadline lies before `until`.
pub(super) fn miss(series: &mut Series, until: EventTime, sense: &CompiledSense, out: &mut Vec<(EventTime, Sensed)>) {
    let due: Vec<(u64, &HeartbeatRule)> = heartbeats(series, sense)
        .filter(|(bit, rule)| series.missing & bit == 0 && series.heard_at.plus(rule.timeout) < until)
        .collect();
    for (bit, rule) in due {
        series.missing |= bit;
        let at = series.heard_at.plus(rule.timeout);
        out.push(heartbeat_alert(series, rule, AlertStatus::Firing, series.heard_at, at));
    }
}

pub(super) fn next_deadline(series: &Series, sense: &CompiledSense) -> Option<EventTime> {
    next_deadline_after(series, series.heard_at, sense)
}

fn next_deadline_after(series: &Series, last: EventTime, sense: &CompiledSense) -> Option<EventTime> {
    heartbeats(series, sense)
        .filter(|(bit, _)| series.missing & bit == 0)
        .map(|(_, rule)| last.plus(rule.timeout))
        .min()
}

pub(super) fn heartbeat_alert(
    series: &Series,
    rule: &HeartbeatRule,
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
            detector: DetectorKind::Heartbeat,
            felt: false,
        }),
        ..Raise::of_series((&rule.name, rule.severity), meta, status, since)
    }
    .at(at)
}
