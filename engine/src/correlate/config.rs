//! Settings of the `correlate` stage.

use bellwether_models::group::GroupParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::topology::DelaysConfig;

/// Settings of the `correlate` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorrelateConfig {
    /// Weight of each kind of evidence, on the logit scale.
    pub weights: EvidenceWeights,
    /// How unlikely two alerts belong together before anything is known, on the logit scale.
    pub bias: f64,
    /// Score from which an alert joins a group, 0–1.
    pub threshold: f64,
    /// Score from which an alert that links two groups merges them, 0–1.
    pub merge_threshold: f64,
    /// Gap between two onsets at which the time evidence is one half.
    pub time_scale: Span,
    /// A group without news for this long takes no more alerts.
    pub quiet: Span,
    /// Longest way through the topology, in steps.
    pub hops_max: u8,
    /// Distance in the topology, in steps, at which its evidence has lost two thirds.
    pub distance_scale: f64,
    /// Time evidence below which alerts are never linked, 0–1.
    pub time_min: f64,
    /// Topology evidence for an entity that the topology does not know, 0–1.
    pub topology_unknown: f64,
    /// Topology evidence where there is no topology at all, 0–1.
    pub topology_absent: f64,
    /// Taken off on the logit scale where both entities are in the topology and no way joins them.
    /// With 0, alerts of one rule at one time are one incident wherever they are.
    pub beyond_penalty: f64,
    /// How much further, in steps, a way through an entity with many neighbours counts, per natural
    /// logarithm of their number over eight.
    pub hub_scale: f64,
    /// Text evidence where one alert's text names the other's entity, 0–1, while the name is rare in
    /// texts; with 0 only words in common count.
    pub mention: f64,
    /// A topology edge that its source told again and again and leaves out for this long, while it
    /// tells others, counts half, a quarter after twice this long, and is forgotten after four times;
    /// 0 keeps every edge as it was told.
    pub edge_life: Span,
    /// The score against a group is the mean over this many best links.
    pub links_mean: usize,
    /// Incidents a day that may come of nothing: entities that move together by chance.
    #[serde(skip_serializing_if = "is_default_budget")]
    pub false_per_day: f64,
    /// How delays along edges are learned from resolved incidents.
    pub delays: DelaysConfig,
}

/// Incidents a day that may come of chance.
const FALSE_PER_DAY: f64 = 1.0;

/// A setting that came later is left out where it says nothing: configurations of before keep their hash.
fn is_default_budget(budget: &f64) -> bool {
    *budget == FALSE_PER_DAY
}

/// Weight of each kind of evidence.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceWeights {
    /// Nearness of onsets.
    pub time: f64,
    /// Nearness in the topology.
    pub topology: f64,
    /// Likeness of names and texts.
    pub text: f64,
    /// How often such alerts came together before.
    pub learned: f64,
}

impl Default for EvidenceWeights {
    fn default() -> Self {
        let [time, topology, text, learned] = GroupParams::default().weights;
        EvidenceWeights { time, topology, text, learned }
    }
}

impl Default for CorrelateConfig {
    fn default() -> Self {
        let params = GroupParams::default();
        CorrelateConfig {
            weights: EvidenceWeights::default(),
            bias: params.bias,
            threshold: params.threshold,
            merge_threshold: params.merge_threshold,
            time_scale: Span(params.time_scale_ns),
            quiet: Span(params.quiet_ns),
            hops_max: params.hops_max,
            distance_scale: params.distance_scale,
            time_min: params.time_min,
            topology_unknown: params.topology_unknown,
            topology_absent: params.topology_absent,
            beyond_penalty: params.beyond_penalty,
            hub_scale: params.hub_scale,
            mention: params.mention,
            edge_life: Span::from_hours(24),
            links_mean: params.links_mean,
            false_per_day: FALSE_PER_DAY,
            delays: DelaysConfig::default(),
        }
    }
}

impl CorrelateConfig {
    /// The same as the grouper takes them.
    pub fn params(&self) -> GroupParams {
        let weights = self.weights;
        GroupParams {
            weights: [weights.time, weights.topology, weights.text, weights.learned],
            bias: self.bias,
            threshold: self.threshold,
            merge_threshold: self.merge_threshold.max(self.threshold),
            time_scale_ns: self.time_scale.0.max(1),
            quiet_ns: self.quiet.0.max(1),
            hops_max: self.hops_max,
            distance_scale: self.distance_scale,
            time_min: self.time_min,
            topology_unknown: self.topology_unknown,
            topology_absent: self.topology_absent,
            beyond_penalty: self.beyond_penalty,
            hub_scale: self.hub_scale.max(0.0),
            mention: self.mention.clamp(0.0, 1.0),
            links_mean: self.links_mean,
            ..GroupParams::default()
        }
    }
}
