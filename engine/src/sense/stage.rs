//! `sense` over one stretch: the shards run side by side, and what they found comes back in their order.

use rayon::prelude::*;

use super::compiled::CompiledSense;
use super::logs::LogShard;
use super::metrics::MetricShard;
use super::table::Shards;
use crate::alert::Sensed;
use crate::compiled::Compiled;
use crate::event::Moved;
use crate::stats::TenantStats;
use crate::time::EventTime;

/// Samples and log lines below which spreading a stretch over threads costs more than it saves.
const PARALLEL_MIN: usize = 2_048;

/// What the shards found in one stretch, each with its event time.
pub(crate) struct Found {
    pub(crate) sensed: Vec<(EventTime, Sensed)>,
    pub(crate) moved: Vec<(EventTime, Moved)>,
}

/// Runs the shards over everything before `until`; their alerts come back in the order of the shards.
pub(crate) fn sense(shards: &mut Shards, until: EventTime, compiled: &Compiled, stats: &mut TenantStats) -> Found {
    let workers = compiled.workers.as_ref().filter(|_| shards.waiting() >= PARALLEL_MIN);
    let streams_max = (compiled.config.limits.log_streams_max / shards.logs.len()).max(1);
    let metrics = |shard: &mut MetricShard| {
        let (mut out, mut moved) = (Vec::new(), Vec::new());
        let counts = shard.release(until, &compiled.sense, &mut out, &mut moved);
        (out, moved, counts)
    };
    let logs = |shard: &mut LogShard| {
        let mut out = Vec::new();
        let errors = shard.release(until, streams_max, &compiled.sense, &mut out);
        (out, errors)
    };
    let Shards { metrics: metric_shards, logs: log_shards, .. } = shards;
    let (metric_results, log_results): (Vec<_>, Vec<_>) = match workers {
        Some(workers) => workers.join(
            || metric_shards.par_iter_mut().map(metrics).collect(),
            || log_shards.par_iter_mut().map(logs).collect(),
        ),
        None => (metric_shards.iter_mut().map(metrics).collect(), log_shards.iter_mut().map(logs).collect()),
    };
    let mut found = Found { sensed: Vec::new(), moved: Vec::new() };
    for (mut out, mut some, counts) in metric_results {
        found.sensed.append(&mut out);
        found.moved.append(&mut some);
        stats.reject_many("series not described", counts.unknown_series);
        stats.late += counts.out_of_order;
        stats.duplicates += counts.repeated;
        stats.rule_errors += counts.rule_errors;
    }
    for (mut out, errors) in log_results {
        found.sensed.append(&mut out);
        stats.rule_errors += errors;
    }
    stats.alerts_sensed += found.sensed.len() as u64;
    found
}

/// Watches by the settings `now` instead of those `before`; answers the alerts that end at `at` with their rules.
pub(crate) fn reconfigure(
    shards: &mut Shards,
    before: &CompiledSense,
    now: &CompiledSense,
    at: EventTime,
) -> Vec<(EventTime, Sensed)> {
    let mut ended = Vec::new();
    for shard in &mut shards.metrics {
        shard.reconfigure(before, now, at, &mut ended);
    }
    for shard in &mut shards.logs {
        shard.reconfigure(before, now);
    }
    ended
}
