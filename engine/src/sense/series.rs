//! One metric series: what it is, and the state of everything that watches it.

use serde::{Deserialize, Serialize};

use bellwether_models::exhaustion::Exhaustion;
use bellwether_models::metric::MetricModel;

use super::anomaly::AnomalyState;
use super::compiled::CompiledSense;
use super::conventions::Role;
use super::exhaustion::ExhaustionState;
use super::level::Level;
use super::meta::SeriesMeta;
use super::rules::RuleState;
use crate::memory::{allocation, hashed, pairs};
use crate::signal::SeriesType;
use crate::time::EventTime;

/// One series with everything that watches it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(super) meta: SeriesMeta,
    pub(super) role: Role,
    /// First sample.
    pub(super) first_at: EventTime,
    /// Rules, then heartbeats, then exhaustions that apply, one bit each.
    pub(super) checks: u64,
    pub(super) last_at: EventTime,
    /// When the last sample acted, used or not: later than `last_at` of a source that is behind.
    pub(super) heard_at: EventTime,
    /// Last raw value: counters are watched as rates.
    pub(super) last_value: f64,
    pub(super) model: Option<MetricModel>,
    pub(super) anomaly: AnomalyState,
    pub(super) level: Level,
    pub(super) rules: Vec<RuleState>,
    /// Heartbeats that are missing now, by bit.
    pub(super) missing: u64,
    pub(super) exhaustion: Vec<ExhaustionState>,
    /// What it tells the limits of.
    pub(super) limits: Box<[u64]>,
}

impl Series {
    pub(super) fn new(meta: SeriesMeta, sense: &CompiledSense) -> Series {
        let checks = applicable(&meta, sense);
        let rules = (0..sense.metric_rules.len())
            .filter(|i| checks & (1 << i) != 0)
            .map(|i| RuleState { rule: i as u8, since: None, firing: false })
            .collect();
        let meaning = sense.conventions.of(&meta);
        let first = sense.metric_rules.len() + sense.heartbeats.len();
        let mut exhaustion: Vec<ExhaustionState> = (0..sense.exhaustions_own)
            .filter(|i| checks & (1 << (first + i)) != 0)
            .map(|rule| sense.exhaustion[rule].state(rule, &meta))
            .collect();
        // What a person wrote about a series says it all.
        if exhaustion.is_empty() {
            let known = meaning.exhaustion.map(usize::from);
            exhaustion.extend(known.map(|rule| sense.exhaustion[rule].state(rule, &meta)));
        }
        let tells = sense.partners.iter().filter(|partner| partner.metric == meta.name);
        let limits = tells.map(|partner| partner.key(&meta)).collect();
        let watched = meaning.role != Role::Internal && sense.watches(&meta.name);
        let model = watched.then(|| MetricModel::new(sense.anomalies.model, &sense.detector));
        let series_type = meaning.series_type.unwrap_or(meta.series_type);
        Series {
            meta: SeriesMeta { series_type, ..meta },
            role: meaning.role,
            first_at: EventTime::MIN,
            checks,
            last_at: EventTime::MIN,
            heard_at: EventTime::MIN,
            last_value: f64::NAN,
            model,
            anomaly: AnomalyState::default(),
            level: Level::default(),
            rules,
            missing: 0,
            exhaustion,
            limits,
        }
    }

    /// About how many bytes it comes to take, in its shard and in what is derived from it.
    pub(super) fn bytes(&self) -> usize {
        let SeriesMeta { name, entity, unit, labels, .. } = &self.meta;
        let texts = allocation(name.len()) + allocation(entity.len()) + allocation(unit.len()) + pairs(labels);
        let model = self.model.as_ref().map_or(0, |model| allocation(model.bytes()));
        let watches = self.exhaustion.len() * (size_of::<ExhaustionState>() + Exhaustion::HELD_BYTES);
        let rules = allocation(self.rules.len() * size_of::<RuleState>()) + allocation(self.limits.len() * 8);
        hashed(size_of::<(u64, Series)>()) + texts + model + watches + rules
    }

    /// Reads the series by other conventions: what settings alone decide goes on as it was, and so does its
    /// model where it is still watched.
    pub(super) fn adopt(&mut self, sense: &CompiledSense) {
        let mut fresh = Series::new(self.meta.clone(), sense);
        (fresh.first_at, fresh.last_at, fresh.last_value) = (self.first_at, self.last_at, self.last_value);
        fresh.heard_at = self.heard_at;
        fresh.rules = std::mem::take(&mut self.rules);
        fresh.missing = self.missing;
        if fresh.model.is_some() && self.model.is_some() {
            (fresh.model, fresh.anomaly, fresh.level) = (self.model.take(), self.anomaly, self.level);
        }
        for state in &mut fresh.exhaustion {
            let own = usize::from(state.rule) < sense.exhaustions_own;
            if let Some(old) = self.exhaustion.iter().find(|old| own && old.rule == state.rule) {
                *state = old.clone();
            }
        }
        *self = fresh;
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
    let exhaustion = sense.exhaustion[..sense.exhaustions_own].iter().map(|rule| rule.selects(meta));
    rules
        .chain(heartbeats)
        .chain(exhaustion)
        .enumerate()
        .filter(|(_, applies)| *applies)
        .fold(0, |mask, (bit, _)| mask | (1 << bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::LabelSet;
    use crate::sense::config::SenseConfig;

    #[test]
    fn a_series_of_a_checkpoint_is_read_by_the_conventions_of_this_product() {
        let sense = CompiledSense::new(&SenseConfig::default()).expect("the defaults are sound");
        let (name, entity, unit) = ("node_filesystem_avail_bytes".into(), "host:a".into(), "".into());
        let meta = SeriesMeta { name, entity, unit, series_type: SeriesType::Gauge, labels: LabelSet::default() };
        let mut series = Series::new(meta, &sense);
        let (rule, seen) = (series.exhaustion[0].rule, EventTime::from_secs(7));
        // As another product would have left it: another number, which may not exist here.
        series.exhaustion[0].rule = 60_000;
        (series.role, series.last_at) = (Role::Unknown, seen);
        series.adopt(&sense);
        assert_eq!((series.exhaustion[0].rule, series.role, series.last_at), (rule, Role::Resource, seen));
    }
}
