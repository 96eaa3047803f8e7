//! A steady load without a story: metrics, log lines and alerts at fixed rates, for benches and
//! for runs that look at bounds. Seeded, so that two runs see the same signals.
//!
//! Unlike the estate simulator it costs next to nothing to make, and it can name millions of
//! different alerts.

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, Batch, EdgeBuilder, EdgeRow, LogBuilder, LogRow, MetricBuilder, Relation,
    SeriesBuilder, SeriesType, Severity, SignalError, alert_fingerprint,
};
use bellwether_engine::time::EventTime;

/// 2026-01-01.
const START_SECS: i64 = 1_767_225_600;

/// Batches to a second of event time.
pub const BATCHES_PER_SEC: i64 = 10;

/// Different log templates in the load.
const TEMPLATES: usize = 40;

/// How much of what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadParams {
    /// Whose it is.
    pub tenant: &'static str,
    /// Metric series.
    pub series: usize,
    /// Seconds between the samples of a series.
    pub sample_every_secs: i64,
    /// Entities the signals are about.
    pub entities: usize,
    /// Log streams.
    pub streams: usize,
    /// Log lines in a batch.
    pub lines: usize,
    /// Alert rows in a batch.
    pub alerts: usize,
    /// Different alerts there are.
    pub fingerprints: usize,
    /// One row in so many is a recovery.
    pub recovery_in: usize,
}

impl Default for LoadParams {
    /// 10,000 samples, 2,000 lines over 200 streams and 200 alert rows of 8,000 alerts a second:
    /// the proportion 50 : 10 : 1.
    fn default() -> Self {
        LoadParams {
            tenant: "load",
            series: 100_000,
            sample_every_secs: 10,
            entities: 2_000,
            streams: 200,
            lines: 200,
            alerts: 20,
            fingerprints: 8_000,
            recovery_in: 50,
        }
    }
}

/// A small deterministic generator: a load needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// The load, a tenth of a second at a time.
pub struct Load {
    params: LoadParams,
    series: Vec<u64>,
    dice: Dice,
    batch: i64,
    next_alert: usize,
}

impl Load {
    /// The load and what comes before it: series and topology.
    ///
    /// # Errors
    /// When Arrow refuses a column, which would be a fault of this module.
    pub fn new(params: LoadParams) -> Result<(Load, Vec<Input>), SignalError> {
        let mut series = SeriesBuilder::new();
        let describe = |i: usize| {
            // Each entity has each metric once.
            let (name, entity) = (format!("metric.{}", i / params.entities), entity(i % params.entities));
            series.push(&name, &entity, "1", SeriesType::Gauge, &[])
        };
        let ids: Vec<u64> = (0..params.series).map(describe).collect();
        let mut edges = EdgeBuilder::new();
        for i in 1..params.entities {
            edges.push(&EdgeRow {
                time: at(0),
                from: &entity(i),
                to: &entity(i / 8),
                relation: Relation::Calls,
                source: "load",
                confidence: 0.9,
            });
        }
        let before = vec![Input::Batch(series.finish(params.tenant)?), Input::Batch(edges.finish(params.tenant)?)];
        Ok((Load { params, series: ids, dice: Dice(7), batch: 0, next_alert: 0 }, before))
    }

    /// The next tenth of a second: metrics, log lines, alerts.
    ///
    /// # Errors
    /// As [`Load::new`].
    pub fn tenth(&mut self) -> Result<[Input; 3], SignalError> {
        let time = at(self.batch);
        let batches = [self.metrics(time)?, self.logs(time)?, self.alerts(time)?];
        self.batch += 1;
        Ok(batches.map(Input::Batch))
    }

    fn metrics(&mut self, time: EventTime) -> Result<Batch, SignalError> {
        let slots = (self.params.sample_every_secs * BATCHES_PER_SEC) as usize;
        let slot = self.batch as usize % slots;
        let share = self.series.len() / slots;
        let mut metric = MetricBuilder::new();
        for id in &self.series[slot * share..(slot + 1) * share] {
            metric.push(time, *id, 50.0 + self.dice.roll(1_000) as f64 / 100.0);
        }
        metric.finish(self.params.tenant)
    }

    fn logs(&mut self, time: EventTime) -> Result<Batch, SignalError> {
        let mut log = LogBuilder::new();
        for _ in 0..self.params.lines {
            let stream = self.dice.roll(self.params.streams);
            let (template, number) = (self.dice.roll(TEMPLATES), self.dice.roll(100_000));
            let (user, took) = (number % 977, number % 83);
            log.push(&LogRow {
                time,
                entity: &entity(stream),
                severity: 9,
                body: &format!("worker {template} finished job {number} for user u{user} in {took} ms"),
                attributes: &[],
                trace_id: None,
            });
        }
        log.finish(self.params.tenant)
    }

    /// Alerts by turns, so that every one of the `fingerprints` comes as often as the others.
    fn alerts(&mut self, time: EventTime) -> Result<Batch, SignalError> {
        let mut alert = AlertBuilder::new();
        for _ in 0..self.params.alerts {
            let number = self.next_alert % self.params.fingerprints.max(1);
            self.next_alert += 1;
            // A step that shares no factor with a power of ten spreads neighbours over entities.
            let host = number.wrapping_mul(7_919) % self.params.entities;
            let (name, entity, check) = (format!("Rule{}", number % 20), entity(host), number.to_string());
            let labels = [("check", check.as_str()), ("region", "eu")];
            let recovers = self.dice.roll(self.params.recovery_in) == 0;
            alert.push(&AlertRow {
                time,
                source: "load",
                name: &name,
                entity: &entity,
                severity: Severity::Major,
                status: if recovers { AlertStatus::Resolved } else { AlertStatus::Firing },
                fingerprint: alert_fingerprint("load", &name, &entity, &labels),
                labels: &labels,
                annotations: &[("summary", "a threshold was crossed")],
                starts_at: time,
                ends_at: None,
                url: None,
            });
        }
        alert.finish(self.params.tenant)
    }
}

fn at(batch: i64) -> EventTime {
    EventTime::from_millis(START_SECS * 1_000 + batch * 1_000 / BATCHES_PER_SEC)
}

fn entity(number: usize) -> String {
    format!("service:s{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fingerprint_comes_and_a_second_load_is_the_same() {
        let params = LoadParams { series: 1_000, fingerprints: 50, ..LoadParams::default() };
        let seen = |load: &mut Load| -> Vec<usize> {
            (0..10).flat_map(|_| load.tenth().expect("sound").map(|input| input.rows())).collect()
        };
        let (mut one, _) = Load::new(params).expect("sound");
        let (mut two, before) = Load::new(params).expect("sound");
        assert_eq!(before.len(), 2);
        assert_eq!(seen(&mut one), seen(&mut two));
        assert_eq!(one.next_alert, 10 * params.alerts);
    }

    #[test]
    fn there_are_as_many_series_as_it_says() {
        let params = LoadParams { series: 10_000, ..LoadParams::default() };
        let (load, _) = Load::new(params).expect("sound");
        let different: std::collections::HashSet<u64> = load.series.iter().copied().collect();
        assert_eq!(different.len(), params.series);
    }
}
