//! One metric series: what it is, and the state of everything that watches it.

use serde::{Deserialize, Serialize};

use bellwether_models::exhaustion::Exhaustion;
use bellwether_models::metric::Detector;

use super::CompiledSense;
use super::departed::Standing;
use crate::alert::{LabelSet, own_labels};
use crate::signal::{SeriesRow, SeriesType};
use crate::time::EventTime;

/// Most rules, heartbeats and exhaustions together: one bit each in a series' mask.
pub(crate) const CHECKS_MAX: usize = 64;

/// What a series is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct SeriesMeta {
    pub(crate) name: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) unit: Box<str>,
    pub(crate) series_type: SeriesType,
    pub(crate) labels: LabelSet,
}

/// What a series is, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesView<'a> {
    /// The metric.
    pub name: &'a str,
    /// What it is measured of.
    pub entity: &'a str,
    /// Its labels.
    pub labels: Vec<(&'a str, &'a str)>,
}

impl SeriesMeta {
    pub(crate) fn of(row: &SeriesRow<'_>) -> SeriesMeta {
        SeriesMeta {
            name: row.name.into(),
            entity: row.entity.into(),
            unit: row.unit.into(),
            series_type: row.series_type,
            labels: own_labels(row.labels),
        }
    }
}

/// State of one rule on one series.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// The rule's bit.
    pub(super) rule: u8,
    /// The condition has held since.
    pub(super) since: Option<EventTime>,
    /// An alert has been raised.
    pub(super) firing: bool,
}

/// State of the anomaly alert of one series.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct AnomalyState {
    /// When the open anomaly began.
    pub(super) since: Option<EventTime>,
    /// Usual points in a row since.
    pub(super) calm: u8,
}

/// State of one exhaustion watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ExhaustionState {
    pub(super) rule: u8,
    pub(super) model: Exhaustion,
    /// When the open warning began.
    pub(super) since: Option<EventTime>,
    /// Decisions in a row that see no end.
    pub(super) calm: u8,
}

/// One series with everything that watches it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(super) meta: SeriesMeta,
    /// Rules, then heartbeats, then exhaustions that apply, one bit each.
    pub(super) checks: u64,
    pub(super) last_at: EventTime,
    /// Last raw value: counters are watched as rates.
    pub(super) last_value: f64,
    pub(super) detector: Option<Box<Detector>>,
    pub(super) anomaly: AnomalyState,
    pub(super) standing: Standing,
    pub(super) rules: Vec<RuleState>,
    /// Heartbeats that are missing now, by bit.
    pub(super) missing: u64,
    pub(super) exhaustion: Vec<ExhaustionState>,
}

impl Series {
    pub(super) fn new(meta: SeriesMeta, sense: &CompiledSense) -> Series {
        let checks = applicable(&meta, sense);
        let rules = (0..sense.metric_rules.len())
            .filter(|i| checks & (1 << i) != 0)
            .map(|i| RuleState { rule: i as u8, since: None, firing: false })
            .collect();
        let first = sense.metric_rules.len() + sense.heartbeats.len();
        let exhaustion = (0..sense.exhaustion.len())
            .filter(|i| checks & (1 << (first + i)) != 0)
            .map(|i| ExhaustionState { rule: i as u8, model: sense.exhaustion[i].model(), since: None, calm: 0 })
            .collect();
        let detector = sense.watches(&meta.name).then(|| Box::new(Detector::new(&sense.detector)));
        Series {
            meta,
            checks,
            last_at: EventTime::MIN,
            last_value: f64::NAN,
            detector,
            anomaly: AnomalyState::default(),
            standing: Standing::default(),
            rules,
            missing: 0,
            exhaustion,
        }
    }

    /// The value that detectors see: the level of a gauge, the rate per second of a counter.
    /// `None` for a counter's first sample and its restarts.
    pub(super) fn observed(&mut self, at: EventTime, raw: f64) -> Option<f64> {
        let (before, before_at) = (self.last_value, self.last_at);
        self.last_value = raw;
        match self.meta.series_type {
            SeriesType::Gauge => Some(raw),
            SeriesType::Counter => {
                let seconds = at.since(before_at).as_secs_f64();
                let grown = raw - before;
                (before_at != EventTime::MIN && grown >= 0.0 && seconds > 0.0).then(|| grown / seconds)
            }
        }
    }
}

fn applicable(meta: &SeriesMeta, sense: &CompiledSense) -> u64 {
    let rules = sense.metric_rules.iter().map(|rule| rule.selects(&meta.name));
    let heartbeats = sense.heartbeats.iter().map(|(_, glob)| glob.matches(&meta.name));
    let exhaustion = sense.exhaustion.iter().map(|rule| rule.selects(&meta.name));
    rules
        .chain(heartbeats)
        .chain(exhaustion)
        .enumerate()
        .filter(|(_, applies)| *applies)
        .fold(0, |mask, (bit, _)| mask | (1 << bit))
}
