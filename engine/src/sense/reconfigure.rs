//! Other settings while series are being watched: what has not changed goes on as it was, and
//! an alert whose rule is taken away or changed ends, for nothing else would end it.

use std::cmp::Reverse;

use super::anomaly::{ANOMALY_ALERT, AnomalyState};
use super::compiled::CompiledSense;
use super::config::HeartbeatRule;
use super::heartbeat::{heartbeat_alert, next_deadline};
use super::metrics::MetricShard;
use super::raise::Raise;
use super::series::Series;
use crate::alert::Sensed;
use crate::signal::AlertStatus;
use crate::time::EventTime;

/// One change of settings at one moment.
struct Change<'a> {
    before: &'a CompiledSense,
    now: &'a CompiledSense,
    at: EventTime,
}

impl MetricShard {
    /// Watches every series by `now` instead of `before`; alerts that end are appended to `out`
    /// with time `at`, in order of the series.
    pub(crate) fn reconfigure(
        &mut self,
        before: &CompiledSense,
        now: &CompiledSense,
        at: EventTime,
        out: &mut Vec<(EventTime, Sensed)>,
    ) {
        debug_assert!(!self.is_kept(), "a snapshot is being taken");
        let change = Change { before, now, at };
        let mut ids: Vec<u64> = self.series.keys().copied().collect();
        ids.sort_unstable();
        self.deadlines.clear();
        for id in ids {
            let Some(series) = self.series.get_mut(&id) else { continue };
            change.apply(series, out);
            if series.heard_at != EventTime::MIN
                && let Some(deadline) = next_deadline(series, now)
            {
                self.deadlines.push(Reverse((deadline, id)));
            }
        }
    }
}

impl Change<'_> {
    fn apply(&self, series: &mut Series, out: &mut Vec<(EventTime, Sensed)>) {
        let mut fresh = Series::new(series.meta.clone(), self.now);
        fresh.first_at = series.first_at;
        fresh.last_at = series.last_at;
        fresh.heard_at = series.heard_at;
        fresh.last_value = series.last_value;
        self.rules(series, &mut fresh, out);
        self.heartbeats(series, &mut fresh, out);
        self.exhaustion(series, &mut fresh, out);
        self.anomalies(series, &mut fresh, out);
        *series = fresh;
    }

    fn rules(&self, series: &Series, fresh: &mut Series, out: &mut Vec<(EventTime, Sensed)>) {
        for state in &series.rules {
            let rule = &self.before.metric_rules[usize::from(state.rule)];
            let same = self.now.metric_rules.iter().position(|other| other.is_same(rule));
            let slot = same.and_then(|at| fresh.rules.iter_mut().find(|slot| usize::from(slot.rule) == at));
            match slot {
                Some(slot) => (slot.since, slot.firing) = (state.since, state.firing),
                None if state.firing => {
                    let since = state.since.unwrap_or(self.at);
                    out.push(rule.alert(&series.meta, AlertStatus::Resolved, since, self.at, series.last_value));
                }
                None => {}
            }
        }
    }

    fn heartbeats(&self, series: &Series, fresh: &mut Series, out: &mut Vec<(EventTime, Sensed)>) {
        let bit = |sense: &CompiledSense, index: usize| 1_u64 << (sense.metric_rules.len() + index);
        for (index, (rule, _)) in self.before.heartbeats.iter().enumerate() {
            if series.missing & bit(self.before, index) == 0 {
                continue;
            }
            let is_same = |(other, _): &(HeartbeatRule, _)| other == rule;
            match self.now.heartbeats.iter().position(is_same) {
                Some(same) => fresh.missing |= bit(self.now, same),
                None => out.push(heartbeat_alert(series, rule, AlertStatus::Resolved, series.heard_at, self.at)),
            }
        }
    }

    fn exhaustion(&self, series: &Series, fresh: &mut Series, out: &mut Vec<(EventTime, Sensed)>) {
        for state in &series.exhaustion {
            let rule = &self.before.exhaustion[usize::from(state.rule)];
            let same = self.now.exhaustion.iter().position(|other| other.is_same(rule));
            let slot = same.and_then(|at| fresh.exhaustion.iter_mut().find(|slot| usize::from(slot.rule) == at));
            match (slot, state.since) {
                (Some(slot), _) => {
                    let number = slot.rule;
                    *slot = state.clone();
                    slot.rule = number;
                }
                (None, Some(since)) => out.push(rule.ended(&series.meta, since, self.at)),
                (None, None) => {}
            }
        }
    }

    fn anomalies(&self, series: &Series, fresh: &mut Series, out: &mut Vec<(EventTime, Sensed)>) {
        let (old, new) = (&self.before.anomalies, &self.now.anomalies);
        let same = old.detector == new.detector && old.model == new.model;
        if same && fresh.model.is_some() && series.model.is_some() {
            fresh.model.clone_from(&series.model);
            fresh.anomaly = series.anomaly;
            fresh.level = series.level;
            return;
        }
        fresh.anomaly = AnomalyState::default();
        let Some(since) = series.anomaly.since else { return };
        let meta = &series.meta;
        let ended = Raise {
            summary: format!("{} on {} is watched otherwise from now on", meta.name, meta.entity),
            ..Raise::of_series((ANOMALY_ALERT, old.severity), meta, AlertStatus::Resolved, since)
        };
        out.push(ended.at(self.at));
    }
}
