//! How long trouble takes along the edges of a tenant, learned from its resolved incidents.
//!
//! ```yaml
//! correlate:
//!   delays: {support_min: 8, keep: 0.99, delay_max: 30m, pairs_max: 10000}
//! ```
//!
//! Where both ends of an edge alerted in one incident, the gap of their onsets is a delay of this
//! kind of edge (relation and direction) and of this pair. The pair is asked first, then the kind;
//! with too little support neither answers.

use std::collections::BTreeMap;

use bellwether_models::group::{DelayParams, DelaySketch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph::Topology;
use crate::signal::Relation;
use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// Settings of the learned delays.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelaysConfig {
    /// Observations, older ones decayed, before a delay is believed.
    pub support_min: f64,
    /// What an old observation counts after a new one, 0–1.
    pub keep: f64,
    /// Longer gaps are no propagation.
    pub delay_max: Span,
    /// Pairs of entities with delays of their own; the least supported half makes room for more.
    pub pairs_max: usize,
}

impl Default for DelaysConfig {
    fn default() -> Self {
        let params = DelayParams::default();
        DelaysConfig {
            support_min: params.support_min,
            keep: params.keep,
            delay_max: Span::from_mins(30),
            pairs_max: 10_000,
        }
    }
}

impl DelaysConfig {
    fn params(&self) -> DelayParams {
        DelayParams { support_min: self.support_min, keep: self.keep.clamp(0.0, 1.0) }
    }
}

/// A learned delay in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delay {
    /// Half of the observations took no longer.
    pub p50_s: f64,
    /// Nine in ten took no longer.
    pub p90_s: f64,
}

/// The learned delays of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delays {
    config: DelaysConfig,
    /// By relation and whether trouble went from `from` to `to`.
    kinds: BTreeMap<(Relation, bool), DelaySketch>,
    /// By where trouble came from and went to.
    pairs: BTreeMap<(Sym, Sym), DelaySketch>,
    forgotten: u64,
}

/// Edges looked at for one incident.
const EDGES_MAX: usize = 10_000;

impl Delays {
    pub(crate) fn new(config: DelaysConfig) -> Delays {
        Delays { config, ..Delays::default() }
    }

    /// Learns and answers by other settings from now on.
    pub(crate) fn set_config(&mut self, config: DelaysConfig) {
        self.config = config;
    }

    /// Learns from the onsets of one incident's entities, which are in order of onset, then name.
    /// Answers how many delays it held.
    pub(crate) fn learn(&mut self, onsets: &[(Sym, EventTime)], topology: &Topology) -> usize {
        let params = self.config.params();
        let began: BTreeMap<Sym, EventTime> = onsets.iter().copied().collect();
        let (mut looked, mut learned) = (0, 0);
        for (entity, at) in onsets {
            for edge in topology.edges(*entity) {
                looked += 1;
                if looked > EDGES_MAX {
                    return learned;
                }
                // Each edge once, from where trouble was first; of two at once, from what others depend on.
                let Some(then) = began.get(&edge.other) else { continue };
                let first = at < then || (at == then && carries(edge.relation) != edge.outgoing);
                let gap = then.since(*at);
                if edge.relation == Relation::OwnedBy || !first || gap > self.config.delay_max {
                    continue;
                }
                let delay_s = gap.as_secs_f64();
                self.kinds.entry((edge.relation, edge.outgoing)).or_default().observe(delay_s, &params);
                self.pairs.entry((*entity, edge.other)).or_default().observe(delay_s, &params);
                learned += 1;
            }
        }
        if self.pairs.len() > self.config.pairs_max.max(2) {
            self.forget_least_supported();
        }
        learned
    }

    /// How long trouble takes from one entity to its neighbour over an edge of `relation`,
    /// `outgoing` as seen from the first.
    pub(crate) fn along(&self, from: Sym, to: Sym, relation: Relation, outgoing: bool) -> Option<Delay> {
        let params = self.config.params();
        let of = |sketch: &DelaySketch| {
            Some(Delay { p50_s: sketch.quantile(0.5, &params)?, p90_s: sketch.quantile(0.9, &params)? })
        };
        let pair = self.pairs.get(&(from, to)).and_then(of);
        pair.or_else(|| self.kinds.get(&(relation, outgoing)).and_then(of))
    }

    /// The longer of the two delays between neighbours; `None` where no edge joins them or nothing
    /// is known of it.
    pub(crate) fn between(&self, a: Sym, b: Sym, topology: &Topology) -> Option<Delay> {
        if self.kinds.is_empty() {
            return None;
        }
        let (a, b) = if topology.edges(a).len() <= topology.edges(b).len() { (a, b) } else { (b, a) };
        let mut longest: Option<Delay> = None;
        for edge in topology.edges(a).iter().filter(|edge| edge.other == b) {
            let there = self.along(a, b, edge.relation, edge.outgoing);
            let back = self.along(b, a, edge.relation, !edge.outgoing);
            for delay in [there, back].into_iter().flatten() {
                if longest.is_none_or(|known| delay.p90_s > known.p90_s) {
                    longest = Some(delay);
                }
            }
        }
        longest
    }

    /// What each kind of edge takes, with its support: relation, whether along the edge's direction.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Relation, bool, f64, Option<Delay>)> {
        let nobody = Sym(u32::MAX);
        self.kinds.iter().map(move |((relation, outgoing), sketch)| {
            (*relation, *outgoing, sketch.support(), self.along(nobody, nobody, *relation, *outgoing))
        })
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget_least_supported(&mut self) {
        let mut supports: Vec<f64> = self.pairs.values().map(DelaySketch::support).collect();
        let middle = supports.len() / 2;
        let (_, median, _) = supports.select_nth_unstable_by(middle, f64::total_cmp);
        let (median, before) = (*median, self.pairs.len());
        // Equal supports go together: which entity was seen first must decide nothing.
        self.pairs.retain(|_, sketch| sketch.support() > median);
        self.forgotten += (before - self.pairs.len()) as u64;
    }
}

/// Whether trouble usually goes along this relation from `from` to `to`.
fn carries(relation: Relation) -> bool {
    relation == Relation::PartOf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitsConfig;

    fn estate() -> (Topology, [Sym; 3]) {
        let [web, api, host] = [Sym(0), Sym(1), Sym(2)];
        let mut topology = Topology::default();
        for (from, to, relation) in [(web, api, Relation::Calls), (api, host, Relation::RunsOn)] {
            topology.claim(from, to, relation, Sym(9), 1.0, EventTime::MIN, &LimitsConfig::default());
        }
        (topology, [web, api, host])
    }

    fn onsets(of: &[(Sym, i64)]) -> Vec<(Sym, EventTime)> {
        of.iter().map(|(entity, secs)| (*entity, EventTime::from_secs(*secs))).collect()
    }

    #[test]
    fn delays_are_kept_by_kind_and_direction_and_by_pair() {
        let (topology, [web, api, host]) = estate();
        let mut delays = Delays::new(DelaysConfig::default());
        for _ in 0..20 {
            assert_eq!(delays.learn(&onsets(&[(host, 0), (api, 10), (web, 100)]), &topology), 2);
        }
        let up = delays.along(api, web, Relation::Calls, false).expect("support");
        assert!((60.0..140.0).contains(&up.p50_s), "{up:?}");
        let climb = delays.along(host, api, Relation::RunsOn, false).expect("support");
        assert!((7.0..14.0).contains(&climb.p50_s), "{climb:?}");
        assert_eq!(delays.along(web, api, Relation::Calls, true), None, "nothing ever went down");
        // Another pair of that kind is told what the kind takes.
        assert_eq!(delays.along(Sym(7), Sym(8), Relation::Calls, false), Some(up));
        assert_eq!(delays.between(web, api, &topology), Some(up));
        assert_eq!(delays.between(web, host, &topology), None, "no edge joins them");
    }

    #[test]
    fn too_long_a_gap_teaches_nothing_and_pairs_are_bounded() {
        let (topology, [web, api, _]) = estate();
        let config = DelaysConfig { pairs_max: 2, ..DelaysConfig::default() };
        let mut delays = Delays::new(config);
        assert_eq!(delays.learn(&onsets(&[(api, 0), (web, 7_200)]), &topology), 0);
        let mut wide = Topology::default();
        for leaf in 10..20 {
            wide.claim(Sym(leaf), Sym(1), Relation::Calls, Sym(9), 1.0, EventTime::MIN, &LimitsConfig::default());
        }
        let mut all = vec![(Sym(1), 0)];
        all.extend((10..20).map(|leaf| (Sym(leaf), 5)));
        delays.learn(&onsets(&all), &wide);
        assert!(delays.pairs.len() <= 2 && delays.forgotten() > 0);
    }
}
