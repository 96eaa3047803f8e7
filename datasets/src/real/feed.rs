//! Samples of many series gathered, sorted by time and put into batches.

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, Batch, EdgeBuilder, EdgeRow, MetricBuilder, Relation, SeriesBuilder, SeriesType,
    SignalError,
};
use bellwether_engine::time::{EventTime, Span};

/// Samples of one batch span at most this much, so that the other series of the same minute
/// are not late.
const BATCH_SPAN: Span = Span::from_secs(5);

/// One case being put together.
pub(super) struct Feed {
    tenant: &'static str,
    series: SeriesBuilder,
    edges: EdgeBuilder,
    samples: Vec<(EventTime, u64, f64)>,
}

impl Feed {
    pub(super) fn new(tenant: &'static str) -> Feed {
        Feed { tenant, series: SeriesBuilder::new(), edges: EdgeBuilder::new(), samples: Vec::new() }
    }

    /// Describes a gauge; returns its id. `labels` are sorted by name.
    pub(super) fn gauge(&mut self, name: &str, entity: &str, unit: &str, labels: &[(&str, &str)]) -> u64 {
        self.series.push(name, entity, unit, SeriesType::Gauge, labels)
    }

    /// Adds a sample; what is missing (NaN) is left out.
    pub(super) fn sample(&mut self, at_secs: f64, series: u64, value: f64) {
        if value.is_finite() && at_secs.is_finite() {
            self.samples.push((EventTime::from_millis((at_secs * 1_000.0) as i64), series, value));
        }
    }

    /// Adds an edge.
    pub(super) fn edge(&mut self, from: &str, relation: Relation, to: &str) {
        self.edges.push(&EdgeRow { time: EventTime(0), from, to, relation, source: "traces", confidence: 0.9 });
    }

    /// What describes the case and its samples before `until`; keeps the others.
    pub(super) fn take_before(&mut self, until: EventTime) -> Vec<Input> {
        self.samples.sort_by_key(|(at, series, _)| (*at, *series));
        let split = self.samples.partition_point(|(at, _, _)| *at < until);
        let first = self.samples.first().map_or(EventTime(0), |(at, _, _)| *at);
        let rest = self.samples.split_off(split);
        let samples = std::mem::replace(&mut self.samples, rest);
        let mut out = Vec::new();
        if !self.series.is_empty() {
            out.push(batch(self.series.finish(self.tenant)));
        }
        if !self.edges.is_empty() {
            out.push(batch(at_time(&mut self.edges, self.tenant, first)));
        }
        self.batches(&samples, &mut out);
        out
    }

    /// The samples that are left.
    pub(super) fn take_rest(&mut self) -> Vec<Input> {
        self.samples.sort_by_key(|(at, series, _)| (*at, *series));
        let samples = std::mem::take(&mut self.samples);
        let mut out = Vec::new();
        self.batches(&samples, &mut out);
        out
    }

    fn batches(&self, samples: &[(EventTime, u64, f64)], out: &mut Vec<Input>) {
        let mut builder = MetricBuilder::new();
        let mut since = EventTime::MIN;
        for (at, series, value) in samples {
            if !builder.is_empty() && at.since(since) > BATCH_SPAN {
                out.push(batch(builder.finish(self.tenant)));
            }
            if builder.is_empty() {
                since = *at;
            }
            builder.push(*at, *series, *value);
        }
        if !builder.is_empty() {
            out.push(batch(builder.finish(self.tenant)));
        }
        out.extend(samples.last().map(|(at, _, _)| Input::Tick(*at)));
    }

    /// One alert as a batch.
    pub(super) fn alarm(&self, row: &AlertRow<'_>) -> Input {
        let mut builder = AlertBuilder::new();
        builder.push(row);
        batch(builder.finish(self.tenant))
    }
}

/// The edges, dated `at`: they are known from the first sample on.
fn at_time(edges: &mut EdgeBuilder, tenant: &str, at: EventTime) -> Result<Batch, SignalError> {
    use bellwether_engine::signal::EdgeColumns;
    let undated = edges.finish(tenant)?;
    let columns = EdgeColumns::of(&undated);
    let mut dated = EdgeBuilder::new();
    for row in (0..columns.len()).filter_map(|row| columns.row(row)) {
        dated.push(&EdgeRow { time: at, ..row });
    }
    dated.finish(tenant)
}

fn batch(built: Result<Batch, SignalError>) -> Input {
    Input::Batch(built.expect("the tenant's name is fixed and plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_in_order_of_time_and_missing_ones_not_at_all() {
        let mut feed = Feed::new("case");
        let series = feed.gauge("latency", "service:a", "s", &[]);
        feed.edge("service:a", Relation::Calls, "service:b");
        for (at, value) in [(300.0, 3.0), (100.0, 1.0), (200.0, f64::NAN), (400.0, 4.0)] {
            feed.sample(at, series, value);
        }
        let before = feed.take_before(EventTime::from_secs(300));
        let after = feed.take_rest();
        let rows = |inputs: &[Input]| inputs.iter().map(Input::rows).sum::<usize>();
        // Series, edge, one sample and a tick; then two samples and a tick.
        assert_eq!((rows(&before), rows(&after)), (4, 3));
    }
}
