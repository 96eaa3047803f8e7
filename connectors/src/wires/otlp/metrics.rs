//! Metric points to samples.
//!
//! A gauge or sum is one series. A histogram or summary becomes `<name>.count` and
//! `<name>.sum`, with `.min` and `.max` where they are sent; a summary's quantiles are series
//! of the name itself with a label `quantile`. Buckets are not kept. Sums and histograms with
//! delta temporality are levels per interval, so their series are gauges. A point marked "no
//! recorded value" is kept as the stale marker.

use bellwether_engine::signal::{MetricBuilder, SeriesType};
use bellwether_engine::time::EventTime;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, metric::Data};
use xxhash_rust::xxh3::Xxh3;

use super::attributes::{Label, all, of_list, of_resource};
use crate::intake::reject::{NOT_FINITE, Refusals};
use crate::limits::Limits;
use crate::resolve::series_table::Session;
use crate::wires::remote_write::STALE_NAN_BITS;

/// `DataPointFlags.NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u32 = 1;

pub(super) struct Decoder<'a, 's> {
    pub(super) session: &'a mut Session<'s>,
    pub(super) limits: &'a Limits,
    pub(super) received: EventTime,
    pub(super) samples: MetricBuilder,
    /// Data points taken.
    pub(super) accepted: u64,
    pub(super) refused: Refusals,
}

/// One point, whatever its kind.
struct Point<'p> {
    labels: Vec<Label<'p>>,
    time: EventTime,
    stale: bool,
}

impl Decoder<'_, '_> {
    pub(super) fn decode(&mut self, request: &ExportMetricsServiceRequest) {
        for of_resource_metrics in &request.resource_metrics {
            let resource = of_resource(of_resource_metrics.resource.as_ref());
            for scope in &of_resource_metrics.scope_metrics {
                for metric in &scope.metrics {
                    self.metric(metric, &resource);
                }
            }
        }
    }

    fn metric(&mut self, metric: &Metric, resource: &[Label<'_>]) {
        let level = SeriesType::Gauge;
        match &metric.data {
            None => self.refused.add("no_data", 1),
            Some(Data::Gauge(gauge)) => {
                for point in &gauge.data_points {
                    let at = self.point(&point.attributes, point.time_unix_nano, point.flags);
                    let value = point.value.map(number);
                    self.row(metric, resource, &at, &[("", value, level)]);
                }
            }
            Some(Data::Sum(sum)) => {
                let kind = total(sum.aggregation_temporality, sum.is_monotonic);
                for point in &sum.data_points {
                    let at = self.point(&point.attributes, point.time_unix_nano, point.flags);
                    let value = point.value.map(number);
                    self.row(metric, resource, &at, &[("", value, kind)]);
                }
            }
            Some(Data::Histogram(histogram)) => {
                let kind = total(histogram.aggregation_temporality, true);
                for point in &histogram.data_points {
                    let at = self.point(&point.attributes, point.time_unix_nano, point.flags);
                    let parts = histogram_parts(point.count, point.sum, point.min, point.max, kind);
                    self.row(metric, resource, &at, &parts);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let kind = total(histogram.aggregation_temporality, true);
                for point in &histogram.data_points {
                    let at = self.point(&point.attributes, point.time_unix_nano, point.flags);
                    let parts = histogram_parts(point.count, point.sum, point.min, point.max, kind);
                    self.row(metric, resource, &at, &parts);
                }
            }
            Some(Data::Summary(summary)) => {
                for point in &summary.data_points {
                    let mut at = self.point(&point.attributes, point.time_unix_nano, point.flags);
                    let counter = SeriesType::Counter;
                    let parts = [(".count", Some(point.count as f64), counter), (".sum", Some(point.sum), counter)];
                    self.row(metric, resource, &at, &parts);
                    for quantile in &point.quantile_values {
                        at.labels.retain(|(name, _)| *name != "quantile");
                        at.labels.push(("quantile", quantile.quantile.to_string().into()));
                        self.series(metric, "", level, resource, &at, quantile.value);
                    }
                }
            }
        }
    }

    fn point<'p>(
        &self,
        attributes: &'p [opentelemetry_proto::tonic::common::v1::KeyValue],
        nanos: u64,
        flags: u32,
    ) -> Point<'p> {
        let time = match nanos {
            0 => self.received,
            nanos => EventTime(i64::try_from(nanos).unwrap_or(i64::MAX)),
        };
        Point { labels: of_list(attributes), time, stale: flags & NO_RECORDED_VALUE != 0 }
    }

    /// The series of one data point, which is accepted or refused as a whole.
    fn row(
        &mut self,
        metric: &Metric,
        resource: &[Label<'_>],
        point: &Point<'_>,
        parts: &[(&str, Option<f64>, SeriesType)],
    ) {
        if let Some(reason) = self.limits.window(self.received).refusal(point.time) {
            self.refused.add(reason, 1);
            return;
        }
        if !point.stale && parts.iter().all(|(_, value, _)| value.is_none()) {
            self.refused.add("no_value", 1);
            return;
        }
        let mut all = true;
        for (suffix, value, kind) in parts {
            let Some(value) = (if point.stale { Some(f64::from_bits(STALE_NAN_BITS)) } else { *value }) else {
                continue;
            };
            all &= self.series(metric, suffix, *kind, resource, point, value);
        }
        self.accepted += u64::from(all);
    }

    fn series(
        &mut self,
        metric: &Metric,
        suffix: &str,
        kind: SeriesType,
        resource: &[Label<'_>],
        point: &Point<'_>,
        value: f64,
    ) -> bool {
        let key = key_of(&metric.name, suffix, kind, &point.labels, resource);
        let id = match self.session.known(key) {
            Some(id) => Ok(id),
            None => {
                let mut labels = all(&point.labels, resource);
                let name = format!("{}{suffix}", metric.name);
                self.session.describe(key, &name, &metric.unit, kind, &mut labels)
            }
        };
        match id {
            Ok(_) if !value.is_finite() && value.to_bits() != STALE_NAN_BITS => self.refused.add(NOT_FINITE, 1),
            Ok(id) => self.samples.push(point.time, id, value),
            Err(reason) => self.refused.add(reason, 1),
        }
        id.is_ok()
    }
}

fn key_of(name: &str, suffix: &str, kind: SeriesType, own: &[Label<'_>], resource: &[Label<'_>]) -> u128 {
    let mut hasher = Xxh3::with_seed(3);
    let mut feed = |text: &str| {
        hasher.update(&(text.len() as u32).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    feed(name);
    feed(suffix);
    feed(if kind == SeriesType::Counter { "c" } else { "g" });
    for (key, value) in own {
        feed(key);
        feed(value);
    }
    feed("");
    for (key, value) in resource {
        feed(key);
        feed(value);
    }
    hasher.digest128()
}

fn number(value: Value) -> f64 {
    match value {
        Value::AsDouble(value) => value,
        Value::AsInt(value) => value as f64,
    }
}

fn total(temporality: i32, monotonic: bool) -> SeriesType {
    if monotonic && temporality == AggregationTemporality::Cumulative as i32 {
        SeriesType::Counter
    } else {
        SeriesType::Gauge
    }
}

type Part = (&'static str, Option<f64>, SeriesType);

fn histogram_parts(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>, kind: SeriesType) -> [Part; 4] {
    [
        (".count", Some(count as f64), kind),
        (".sum", sum, kind),
        (".min", min, SeriesType::Gauge),
        (".max", max, SeriesType::Gauge),
    ]
}
