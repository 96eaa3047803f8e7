//! `correlate`: puts alerts that belong together into one group.
//!
//! ```yaml
//! correlate:
//!   threshold: 0.5
//!   time_scale: 90s
//!   weights: {time: 5.0, topology: 5.0, text: 2.5, learned: 2.5}
//! ```
//!
//! The evidence and the rule that combines it live in `bellwether_models::group`; this stage
//! feeds the grouper in event-time order with the tenant's topology, and keeps for each alert
//! why it went where it went.

use std::collections::{BTreeMap, VecDeque};

use bellwether_models::group::{
    AlertView, Assignment, Counters, Evidence, GroupId, GroupParams, Grouper, LabelledPair, Link, Names, Why, WhyNot,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::mentions::name_of;
use crate::symbols::Symbols;
use crate::time::{EventTime, Span};
use crate::topology::{Delays, DelaysConfig, GroupDistance, Topology};

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
    /// How delays along edges are learned from resolved incidents.
    pub delays: DelaysConfig,
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

/// Why an alert went into its group, kept for the record.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) score: f64,
    pub(crate) evidence: Evidence,
    pub(crate) linked_to: Option<u64>,
    /// Its text names the other's entity.
    pub(crate) names: bool,
    /// The other's text names its entity.
    pub(crate) named: bool,
}

impl Placement {
    /// Who names whom, for people; empty where no text names the other's entity.
    pub(crate) fn naming(&self) -> &'static str {
        match (self.names, self.named) {
            (true, true) => "the texts name each other's entity",
            (true, false) => "its text names the other's entity",
            (false, true) => "the other's text names its entity",
            (false, false) => "",
        }
    }
}

/// The groups of one tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Correlator {
    grouper: Grouper,
    pub(crate) delays: Delays,
    placements: BTreeMap<u64, Placement>,
    /// Pairs that an operator has judged, oldest first.
    labels: VecDeque<LabelledPair>,
    #[serde(skip)]
    tokens: Vec<u32>,
}

/// Judged pairs kept to learn weights from: years of feedback; the oldest go first.
const LABELS_MAX: usize = 10_000;

/// Placements kept for explanations; the record shows fifty alerts.
const PLACEMENTS_MAX: usize = 50_000;

impl Correlator {
    pub(crate) fn new(config: &CorrelateConfig) -> Correlator {
        Correlator {
            grouper: Grouper::new(config.params()),
            delays: Delays::new(config.delays),
            placements: BTreeMap::new(),
            labels: VecDeque::new(),
            tokens: Vec::new(),
        }
    }

    /// Groups by other weights and thresholds from now on; groups that are there stay.
    pub(crate) fn retune(&mut self, config: &CorrelateConfig) {
        self.grouper.set_params(config.params());
        self.delays.set_config(config.delays);
    }

    /// Puts an alert into a group.
    pub(crate) fn assign(
        &mut self,
        alert: &Alert,
        now: EventTime,
        topology: &Topology,
        (names, entities): (&Symbols, &Symbols),
    ) -> Assignment {
        let name = names.text(alert.name);
        let mut tokens = std::mem::take(&mut self.tokens);
        alert.tokens(name, &mut tokens);
        // A number of the name that does not depend on when the name was first seen.
        let kind = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) as u32;
        let hub = self.grouper.params().hub_scale;
        let assignment = self.grouper.assign(
            &AlertView {
                id: alert.fingerprint,
                time_ns: alert.starts_at.max(EventTime(now.0.saturating_sub(ONSET_AGE_MAX.0))).0,
                kind,
                entity: alert.entity.0,
                tokens: &tokens,
                names: Names { own: name_of(entities.text(alert.entity)), mentioned: &alert.mentioned },
            },
            &GroupDistance::new(topology, &self.delays, hub),
        );
        self.tokens = tokens;
        if assignment.fresh && self.placements.len() < PLACEMENTS_MAX {
            let Assignment { score, evidence, linked_to, .. } = assignment;
            let naming = |by: u64, of: u64| self.grouper.mentions(by, of);
            let placement = Placement {
                score,
                evidence,
                linked_to,
                names: linked_to.is_some_and(|other| naming(alert.fingerprint, other)),
                named: linked_to.is_some_and(|other| naming(other, alert.fingerprint)),
            };
            self.placements.insert(alert.fingerprint, placement);
        }
        assignment
    }

    /// Keeps a group awake: one of its alerts was heard of again.
    pub(crate) fn touch(&mut self, alert: &Alert, now: EventTime, topology: &Topology) {
        let hub = self.grouper.params().hub_scale;
        if self.grouper.group_of(alert.fingerprint).is_some() {
            self.grouper.assign(
                &AlertView {
                    id: alert.fingerprint,
                    time_ns: now.0,
                    kind: 0,
                    entity: alert.entity.0,
                    tokens: &[],
                    names: Names::default(),
                },
                &GroupDistance::new(topology, &self.delays, hub),
            );
        }
    }

    /// Takes an alert out for good.
    pub(crate) fn remove(&mut self, fingerprint: u64) {
        self.grouper.remove(fingerprint);
        self.placements.remove(&fingerprint);
    }

    /// Closes groups that have been quiet; answers their ids.
    pub(crate) fn close_quiet(&mut self, now: EventTime) -> Vec<GroupId> {
        self.grouper.close_quiet(now.0);
        self.grouper.take_closed()
    }

    /// Ids of groups that closed by themselves since the last call.
    pub(crate) fn take_closed(&mut self) -> Vec<GroupId> {
        self.grouper.take_closed()
    }

    /// Splits a group whose parts no longer link; answers the new groups with their alerts.
    pub(crate) fn split(&mut self, group: GroupId, topology: &Topology) -> Vec<(GroupId, Vec<u64>)> {
        let hub = self.grouper.params().hub_scale;
        let parts = self.grouper.split(group, &GroupDistance::new(topology, &self.delays, hub));
        parts.into_iter().filter(|part| *part != group).map(|part| (part, self.grouper.alerts_of(part))).collect()
    }

    /// Why an alert went into its group when it did.
    pub(crate) fn placement(&self, fingerprint: u64) -> Option<&Placement> {
        self.placements.get(&fingerprint)
    }

    /// What a link of this evidence would score without each kind of it.
    pub(crate) fn without(&self, evidence: &Evidence) -> [f64; 4] {
        let params = self.grouper.params();
        let (whole, parts) = (params.logit(evidence), params.contributions(evidence));
        std::array::from_fn(|kind| match kind {
            // Onsets too far apart forbid the link whatever the rest says.
            0 => 0.0,
            _ => 1.0 / (1.0 + (parts[kind] - whole).exp()),
        })
    }

    /// Why an alert is in its group now.
    pub(crate) fn why(&mut self, fingerprint: u64, topology: &Topology) -> Option<Why> {
        let hub = self.grouper.params().hub_scale;
        self.grouper.why(fingerprint, &GroupDistance::new(topology, &self.delays, hub))
    }

    /// Why an alert is not in another group.
    pub(crate) fn why_not(&mut self, fingerprint: u64, group: GroupId, topology: &Topology) -> Option<WhyNot> {
        let hub = self.grouper.params().hub_scale;
        self.grouper.why_not(fingerprint, group, &GroupDistance::new(topology, &self.delays, hub))
    }

    /// The best links of an active alert into a group, its own or another.
    pub(crate) fn links_to(&mut self, fingerprint: u64, group: GroupId, topology: &Topology) -> Vec<Link> {
        let hub = self.grouper.params().hub_scale;
        let distance = GroupDistance::new(topology, &self.delays, hub);
        self.grouper.links(fingerprint, group, &distance)
    }

    /// Somebody who knows has judged an alert's links: they are kept as labels, and the types of
    /// the alerts are learned as belonging together or not.
    pub(crate) fn teach(&mut self, fingerprint: u64, links: &[Link], together: bool) {
        for link in links {
            if let (Some(a), Some(b)) = (self.grouper.kind_of(fingerprint), self.grouper.kind_of(link.alert)) {
                self.grouper.learned_mut().observe(a, b, together);
            }
            if self.labels.len() >= LABELS_MAX {
                self.labels.pop_front();
            }
            self.labels.push_back(LabelledPair { evidence: link.evidence, together });
        }
    }

    /// The pairs that operators have judged, oldest first.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &LabelledPair> {
        self.labels.iter()
    }

    /// What has been done and shed.
    pub(crate) fn counters(&self) -> Counters {
        self.grouper.counters()
    }

    /// Alerts in groups now.
    pub(crate) fn len(&self) -> usize {
        self.grouper.len()
    }
}

/// An onset older than this before the alert came is not believed: a condition may have begun
/// long ago, but it did not begin this trouble.
const ONSET_AGE_MAX: Span = Span::from_mins(30);
