//! `sense` over one stretch: the shards run side by side, and what they found comes back in their order.

use rayon::prelude::*;

use super::compiled::CompiledSense;
use super::exhaustion::Reached;
use super::logs::{LogRoom, LogShard};
use super::metrics::{MetricShard, ShardFound};
use super::raise::acting;
use super::table::{Shards, shard_of};
use crate::alert::Sensed;
use crate::compiled::Compiled;
use crate::event::Moved;
use crate::memory::room_of_shapes;
use crate::origin::{Dated, Fate, SourceClass};
use crate::signal::SignalKind;
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
///
/// `full`: there is no room for further log streams and templates.
pub(crate) fn sense(
    shards: &mut Shards,
    until: EventTime,
    full: bool,
    compiled: &Compiled,
    stats: &mut TenantStats,
) -> Found {
    let workers = compiled.workers.0.as_ref().filter(|_| shards.due(until) >= PARALLEL_MIN);
    let room = LogRoom {
        shapes: room_of_shapes(compiled.config.limits.tenant_bytes_max, shards.logs.len()),
        streams: if full { 0 } else { (compiled.config.limits.log_streams_max / shards.logs.len()).max(1) },
        templates: !full && shards.templates() < compiled.config.limits.templates_max,
    };
    let metrics = |shard: &mut MetricShard| {
        let mut found = ShardFound::default();
        let counts = shard.release(until, &compiled.sense, &mut found);
        (found, counts)
    };
    let logs = |shard: &mut LogShard| {
        let mut out = Vec::new();
        let errors = shard.release(until, room, &compiled.sense, &mut out);
        (out, errors)
    };
    let Shards { metrics: metric_shards, logs: log_shards, limits, .. } = shards;
    let (metric_results, log_results): (Vec<_>, Vec<_>) = match workers {
        Some(workers) => workers.join(
            || metric_shards.par_iter_mut().map(metrics).collect(),
            || log_shards.par_iter_mut().map(logs).collect(),
        ),
        None => (metric_shards.iter_mut().map(metrics).collect(), log_shards.iter_mut().map(logs).collect()),
    };
    let mut found = Found { sensed: Vec::new(), moved: Vec::new() };
    let mut readings = Vec::new();
    for (mut of_shard, counts) in metric_results {
        found.sensed.append(&mut of_shard.sensed);
        found.moved.append(&mut of_shard.moved);
        readings.append(&mut of_shard.readings);
        stats.reject_many("series not described", counts.unknown_series);
        for (fate, rows) in [(Fate::OutOfOrder, counts.out_of_order), (Fate::Behind, counts.behind)] {
            for (class, rows) in SourceClass::ALL.into_iter().zip(rows) {
                stats.off_time.add(Dated::Signal(SignalKind::Metric), class, fate, rows);
            }
        }
        stats.duplicates += counts.repeated;
        stats.rule_errors += counts.rule_errors;
    }
    limits.run(readings, |reading, series, watch, limit| {
        let now = Reached { at: reading.at, value: reading.value, whole: Some(limit) };
        let told = metric_shards[shard_of(series)].weigh((series, watch), now, &compiled.sense);
        found.sensed.extend(told.map(|told| acting(reading.acts, told)));
    });
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
    shards.weigh();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::DetectorKind;
    use crate::sense::Sample;
    use crate::sense::meta::SeriesMeta;
    use crate::signal::{AlertStatus, SeriesType};
    use crate::testing::at;
    use bellwether_models::metric::MetricModelKind;

    struct Watched {
        shards: Shards,
        stats: TenantStats,
        compiled: Compiled,
    }

    fn compiled(sense: &serde_json::Value) -> Compiled {
        let config = serde_json::from_value(serde_json::json!({ "sense": sense })).expect("they are settings");
        Compiled::new(config, crate::compiled::Workers::default()).expect("they can be used")
    }

    impl Watched {
        /// One series, `disk.used` of `host:a`.
        fn by(sense: serde_json::Value) -> Watched {
            let compiled = compiled(&sense);
            let mut shards = Shards::default();
            let meta = || SeriesMeta {
                name: "disk.used".into(),
                entity: "host:a".into(),
                unit: "1".into(),
                series_type: SeriesType::Gauge,
                labels: Box::default(),
            };
            assert!(shards.describe(7, meta, &compiled.sense, 10));
            Watched { shards, stats: TenantStats::default(), compiled }
        }

        fn sample(&mut self, secs: i64, value: f64) {
            self.shards.push_sample(Sample { time: at(secs), series: 7, value });
        }

        /// What is raised and ended before second `secs`: by what, and whether it fires.
        fn until(&mut self, secs: i64) -> Vec<(DetectorKind, AlertStatus)> {
            let found = sense(&mut self.shards, at(secs), false, &self.compiled, &mut self.stats);
            let kind =
                |sensed: &Sensed| sensed.observation.as_ref().map(|seen| seen.detector).expect("it saw something");
            found.sensed.iter().map(|(_, sensed)| (kind(sensed), sensed.status)).collect()
        }
    }

    fn rule() -> serde_json::Value {
        let rule = serde_json::json!({"name": "Full", "metric": "disk*", "when": "value > 90", "for": "20s"});
        serde_json::json!({"rules": [rule], "anomalies": {"enabled": false}})
    }

    #[test]
    fn a_rule_fires_when_it_has_held_long_enough_and_ends_when_it_holds_no_more() {
        let mut watched = Watched::by(rule());
        for (secs, value) in [(0, 95.0), (10, 95.0)] {
            watched.sample(secs, value);
        }
        assert_eq!(watched.until(11), []);
        watched.sample(20, 95.0);
        assert_eq!(watched.until(21), [(DetectorKind::Rule, AlertStatus::Firing)]);
        watched.sample(30, 50.0);
        assert_eq!(watched.until(31), [(DetectorKind::Rule, AlertStatus::Resolved)]);
        assert_eq!(watched.stats.alerts_sensed, 2);
    }

    #[test]
    fn a_series_that_is_silent_is_missed_and_ends_that_by_a_sample() {
        let beat = serde_json::json!({"name": "Silent", "metric": "*", "timeout": "1m"});
        let mut watched = Watched::by(serde_json::json!({"heartbeats": [beat], "anomalies": {"enabled": false}}));
        watched.sample(0, 1.0);
        assert_eq!(watched.until(60), []);
        assert_eq!(watched.until(120), [(DetectorKind::Heartbeat, AlertStatus::Firing)]);
        watched.sample(130, 1.0);
        assert_eq!(watched.until(131), [(DetectorKind::Heartbeat, AlertStatus::Resolved)]);
    }

    #[test]
    fn each_metric_model_raises_an_anomaly_and_goes_on_from_a_checkpoint() {
        for model in MetricModelKind::ALL.map(MetricModelKind::name) {
            let mut watched = Watched::by(serde_json::json!({"anomalies": {"model": model}}));
            for minute in 0..800 {
                watched.sample(minute * 60, 10.0 + ((minute * 7_919) % 101) as f64 * 0.01);
            }
            watched.until(800 * 60);
            let bytes = watched.shards.to_bytes();
            watched.shards = postcard::from_bytes(&bytes).expect("it reads");
            watched.sample(800 * 60, 900.0);
            assert_eq!(watched.until(801 * 60), [(DetectorKind::Anomaly, AlertStatus::Firing)], "{model}");
        }
    }

    #[test]
    fn a_sample_that_comes_again_or_too_late_or_of_no_series_is_counted() {
        let mut watched = Watched::by(rule());
        for secs in [10, 10] {
            watched.sample(secs, 1.0);
        }
        watched.until(11);
        watched.sample(5, 1.0);
        watched.shards.push_sample(Sample { time: at(6), series: 8, value: 1.0 });
        watched.until(12);
        let stats = &watched.stats;
        assert_eq!((stats.duplicates, stats.off_time.left_out(), stats.rejected["series not described"]), (1, 1, 1));
    }

    #[test]
    fn a_resource_runs_out_against_the_limit_that_another_series_tells() {
        let mut watched = Watched::by(serde_json::json!({"anomalies": {"enabled": false}}));
        let series = |name: &'static str| SeriesMeta {
            name: name.into(),
            entity: "process:shop".into(),
            unit: "".into(),
            series_type: SeriesType::Gauge,
            labels: Box::default(),
        };
        // Another shard each: a shard is the upper half of the number.
        let (used, most) = (1_u64 << 32, 2_u64 << 32);
        for (id, name) in [(used, "process_open_fds"), (most, "process_max_fds")] {
            assert!(watched.shards.describe(id, || series(name), &watched.compiled.sense, 10));
        }
        let mut told = Vec::new();
        for minute in 0..40 {
            for (series, value) in [(used, 100.0 + 20.0 * f64::from(minute)), (most, 1_024.0)] {
                watched.shards.push_sample(Sample { time: at(i64::from(minute) * 60), series, value });
            }
            let until = at(i64::from(minute) * 60 + 1);
            told.extend(sense(&mut watched.shards, until, false, &watched.compiled, &mut watched.stats).sensed);
        }
        let [(_, alert)] = &told[..] else { panic!("it is told once, not {told:?}") };
        assert_eq!((&*alert.name, &*alert.entity), ("FileDescriptorsRunOut", "process:shop"));
        let seen = alert.observation.as_ref().expect("it saw something");
        assert_eq!(seen.expected, Some(1_024.0));
        assert!(alert.summary.contains("% of process_max_fds (1024) and reaches 100 % in about"), "{}", alert.summary);
    }

    #[test]
    fn a_shard_is_written_a_few_series_at_a_time_as_it_was_whatever_moves_on_meanwhile() {
        let mut watched = Watched::by(rule());
        let meta = |id: u64| SeriesMeta {
            name: format!("disk.{id}").into(),
            entity: "host:a".into(),
            unit: "".into(),
            series_type: SeriesType::Gauge,
            labels: Box::default(),
        };
        let described = |watched: &mut Watched, id| {
            assert!(watched.shards.describe(id, || meta(id), &watched.compiled.sense, 100));
        };
        (10..20).for_each(|id| described(&mut watched, id));
        let sampled = |watched: &mut Watched, secs: i64| {
            for (series, value) in [(7, 1.0), (10, 95.0), (13, 2.0), (16, 95.0), (19, 4.0)] {
                watched.shards.push_sample(Sample { time: at(secs), series, value });
            }
            watched.until(secs + 1);
        };
        sampled(&mut watched, 0);
        for most in [1, 2, 3, 100] {
            let then = watched.shards.write_series(0);
            watched.shards.keep();
            let (mut steps, mut taken) = (0, None);
            while taken.is_none() {
                steps += 1;
                let round = steps + 100 * most as i64;
                sampled(&mut watched, 10 * round);
                described(&mut watched, 1_000 * most as u64 + steps as u64);
                taken = watched.shards.take_series(0, most);
            }
            assert!(taken == Some(then), "{most} at a time");
            assert!(steps > 1 || most == 100, "{most} at a time in {steps}");
        }
    }

    #[test]
    fn an_alert_whose_rule_is_taken_away_ends() {
        let mut watched = Watched::by(rule());
        for secs in [0, 20] {
            watched.sample(secs, 95.0);
        }
        assert_eq!(watched.until(21).len(), 1);
        let now = compiled(&serde_json::json!({"anomalies": {"enabled": false}}));
        let ended = reconfigure(&mut watched.shards, &watched.compiled.sense, &now.sense, at(30));
        assert_eq!(
            ended.iter().map(|(when, sensed)| (*when, sensed.status)).collect::<Vec<_>>(),
            [(at(30), AlertStatus::Resolved)]
        );
    }
}
