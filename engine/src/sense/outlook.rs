//! What the watches hold, for who looks: whose series and streams they are, which resources run out when,
//! and how far such forecasts have held.

use std::collections::{BTreeMap, HashSet};

use bellwether_models::exhaustion::Forecast;
use serde::Serialize;

use super::compiled::CompiledSense;
use super::exhaustion::{CompiledExhaustion, ExhaustionState};
use super::logs::LogShard;
use super::series::Series;
use super::table::Shards;
use crate::symbols::Symbols;
use crate::time::{EventTime, Span};

/// A resource that is expected to run out.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ForecastView {
    /// Whose.
    pub entity: String,
    /// Its metric.
    pub metric: String,
    /// Labels of the series that say which: a mount point, a volume.
    pub labels: BTreeMap<String, String>,
    /// The rule or convention that watches it.
    pub rule: String,
    /// The level that the forecast begins at; a share where `limit_of` is said.
    pub level: f64,
    /// Where it is used up.
    pub limit: f64,
    /// The metric that says how much there is as a whole, of which level and limit are shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_of: Option<String>,
    /// It falls to the limit.
    pub falling: bool,
    /// When the forecast was made.
    pub at: EventTime,
    /// Early edge of the interval.
    pub p10: EventTime,
    /// The middle.
    pub p50: EventTime,
    /// Late edge of the interval; `None` when it may well not run out at all.
    pub p90: Option<EventTime>,
    /// Whether an alert says so.
    pub alerting: bool,
    /// Bands stated for this series whose hour has come.
    pub bands_checked: u32,
    /// Those that held the level: nine of ten are promised.
    pub bands_held: u32,
}

/// The exhaustion watches of one tenant in figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ForecastTotals {
    /// Resources watched.
    pub watched: u64,
    /// Those that run out within their horizon, by the last word of their watch.
    pub running_out: u64,
    /// Bands stated whose hour has come.
    pub bands_checked: u64,
    /// Those that held the level.
    pub bands_held: u64,
}

/// What is watched of one tenant, in figures that take a look at every series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct WatchTotals {
    /// Entities that anything is known of: measured, logged, or named by alerts, topology or catalogue.
    pub entities: u64,
    /// How forecasts fare.
    pub forecasts: ForecastTotals,
}

impl Shards {
    /// The entities of series and log streams that are not among `named`.
    pub(crate) fn entities_beside(&self, named: &Symbols) -> u64 {
        self.measured()
            .chain(self.logged())
            .filter(|entity| named.get(entity).is_none())
            .collect::<HashSet<&str>>()
            .len() as u64
    }

    /// The entity of each series.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().flat_map(|shard| shard.series.values().map(|series| &*series.meta.entity))
    }

    /// The entity of each log stream.
    pub(crate) fn logged(&self) -> impl Iterator<Item = &str> {
        self.logs.iter().flat_map(LogShard::entities)
    }

    /// The log templates: id, text and lines.
    pub(crate) fn mined(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        self.logs.iter().flat_map(LogShard::templates)
    }

    /// The resources that are expected to run out, the soonest first.
    pub(crate) fn forecasts(&self, sense: &CompiledSense) -> Vec<ForecastView> {
        let of = |(series, state): (&Series, &ExhaustionState)| {
            let watch = sense.exhaustion.get(usize::from(state.rule))?;
            view(series, state, watch, &state.model.forecast(watch.params())?)
        };
        let mut found: Vec<ForecastView> = self.watched().filter_map(of).collect();
        found.sort_by(|a, b| (a.p50, &a.entity, &a.metric, &a.labels).cmp(&(b.p50, &b.entity, &b.metric, &b.labels)));
        found
    }

    /// The watches in figures. Looks at every series: as costly as a small part of a checkpoint.
    pub(crate) fn forecast_totals(&self) -> ForecastTotals {
        self.watched().fold(ForecastTotals::default(), |sum, (_, state)| {
            let coverage = state.model.coverage();
            ForecastTotals {
                watched: sum.watched + 1,
                running_out: sum.running_out + u64::from(state.model.runs_out()),
                bands_checked: sum.bands_checked + u64::from(coverage.checked),
                bands_held: sum.bands_held + u64::from(coverage.held),
            }
        })
    }

    fn watched(&self) -> impl Iterator<Item = (&Series, &ExhaustionState)> {
        let series = self.metrics.iter().flat_map(|shard| shard.series.values());
        series.flat_map(|series| series.exhaustion.iter().map(move |state| (series, state)))
    }
}

/// The forecast as people read it; `None` when no end is in sight.
fn view(
    series: &Series,
    state: &ExhaustionState,
    watch: &CompiledExhaustion,
    forecast: &Forecast,
) -> Option<ForecastView> {
    let alerting = state.since.is_some();
    if !(forecast.is_in_sight() || alerting) {
        return None;
    }
    let (rule, at) = (watch.rule(), EventTime(forecast.at_ns));
    let after = |nanos: i64| at.plus(Span(nanos));
    Some(ForecastView {
        entity: series.meta.entity.to_string(),
        metric: series.meta.name.to_string(),
        labels: series.meta.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        rule: rule.name.clone(),
        level: forecast.level,
        limit: watch.limit(),
        limit_of: rule.limit_of.clone(),
        falling: rule.falling,
        at,
        p10: after(forecast.p10_ns),
        p50: after(forecast.p50_ns),
        p90: forecast.late_edge_ns().map(after),
        alerting,
        bands_checked: forecast.coverage.checked,
        bands_held: forecast.coverage.held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::LabelSet;
    use crate::sense::config::SenseConfig;
    use crate::sense::meta::SeriesMeta;
    use crate::sense::metrics::ShardFound;
    use crate::sense::sample::Sample;
    use crate::signal::SeriesType;

    fn fed(level: impl Fn(i64) -> f64) -> (Shards, CompiledSense) {
        let sense = CompiledSense::new(&SenseConfig::default()).expect("the defaults are sound");
        let mut shards = Shards::default();
        let meta = || SeriesMeta {
            name: "node_filesystem_avail_bytes".into(),
            entity: "host:a".into(),
            unit: "".into(),
            series_type: SeriesType::Gauge,
            labels: LabelSet::default(),
        };
        assert!(shards.describe(7, meta, &sense, 10));
        for step in 0..6 * 60 {
            let time = EventTime::from_secs(1_772_000_000 + 600 * step);
            shards.push_sample(Sample { time, series: 7, value: level(step) });
        }
        let mut found = ShardFound::default();
        for shard in &mut shards.metrics {
            shard.release(EventTime::MAX, &sense, &mut found);
        }
        (shards, sense)
    }

    #[test]
    fn what_falls_to_its_limit_is_listed_with_when_and_what_stands_is_not() {
        let (shards, sense) = fed(|step| 1e9 * (1.0 - step as f64 / 400.0));
        let found = shards.forecasts(&sense);
        let [disk] = &found[..] else { panic!("{found:?}") };
        assert_eq!((disk.entity.as_str(), disk.falling, disk.limit), ("host:a", true, 0.0));
        assert!(disk.p10 <= disk.p50 && disk.p90.is_none_or(|late| disk.p50 <= late), "{disk:?}");
        let hours = disk.p50.since(disk.at).as_secs_f64() / 3_600.0;
        assert!((5.0..8.5).contains(&hours), "{hours} h: 6.8 are left");
        let totals = shards.forecast_totals();
        assert_eq!((totals.watched, totals.running_out), (1, 1));
        assert!(totals.bands_checked > 0 && totals.bands_held <= totals.bands_checked, "{totals:?}");
        let (shards, sense) = fed(|_| 1e9);
        assert_eq!((shards.forecasts(&sense), shards.forecast_totals().watched), (Vec::new(), 1));
        let mut named = Symbols::new(10);
        assert_eq!(shards.entities_beside(&named), 1);
        named.intern("host:a");
        assert_eq!(shards.entities_beside(&named), 0, "it is counted where it is named");
    }
}
