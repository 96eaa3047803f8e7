//! Ranked causes of one incident, from alert onsets, the graph and the changes.
//!
//! Numbers are computed for each candidate: how much of the symptoms its
//! trouble would explain along the graph, how early it showed symptoms itself,
//! how strong they are, how little of it another alerting dependency explains,
//! how close a change came before, and whether what it alerts of is its own
//! condition. A weighted sum of them is the score; a
//! softmax with a place reserved for "none of these" makes confidences of the
//! scores. Temperature and that place are fitted on labelled incidents (see
//! [`crate::score::causes::reliability`] for the check).
//!
//! The idea that a cause is an anomalous entity without anomalous dependencies
//! is the traversal of PetShop (Hardt et al. 2023, arXiv:2311.04806); the
//! propagation weights do softly what the traversal does by yes and no.

use serde::{Deserialize, Serialize};

use super::graph::{CauseChange, CauseEdge, CauseNode};
use super::propagate::{Flow, Propagation, ReachScratch, Reached, reach};

/// What is named as a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CauseSubject {
    /// An entity, by its index in the nodes.
    Node(u32),
    /// A change, by its index in the changes.
    Change(usize),
}

/// The numbers behind one place in the ranking, each 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CauseReasons {
    /// Share of the symptoms (by strength) that trouble here would explain.
    pub explains: f64,
    /// How early its own first symptom is among all: 1 for the first.
    pub onset: f64,
    /// Strength of its own symptoms.
    pub strength: f64,
    /// How little of its trouble an alerting dependency explains: 1 when none does.
    pub unexplained: f64,
    /// Nearness and weight of the best change on it before its onset.
    pub change: f64,
    /// How telling its logs are.
    pub logs: f64,
    /// How often it was the cause before.
    pub history: f64,
    /// How much its alerts speak of its own condition.
    pub condition: f64,
    /// How many of the entities in trouble name it.
    pub named: f64,
}

/// One place of the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedCause {
    /// Entity or change.
    pub subject: CauseSubject,
    /// Weighted sum of the reasons; comparable within one ranking.
    pub score: f64,
    /// Calibrated probability that this is the cause, 0..1. All of a ranking
    /// sum to at most 1; a change shares the confidence of its entity.
    pub confidence: f64,
    /// The numbers behind it.
    pub because: CauseReasons,
}

/// Weights and limits of [`rank`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CauseParams {
    /// How trouble crosses edges.
    pub propagation: Propagation,
    /// Longest propagation path in edges.
    pub hops_max: u8,
    /// Onset differences below this do not order two entities (scrape and
    /// evaluation intervals, clock skew), in nanoseconds.
    pub onset_slack_ns: i64,
    /// Onset lead at which its evidence has fallen to 1/e, in nanoseconds.
    pub onset_scale_ns: i64,
    /// Age of a change at which its evidence has fallen to 1/e, in nanoseconds.
    pub change_scale_ns: i64,
    /// Weight of each reason in the score, in the order of [`CauseReasons`].
    pub weights: [f64; 9],
    /// Divides the scores before the softmax: higher is less sure.
    pub temperature: f64,
    /// Score of "none of these" in the softmax.
    pub unknown_score: f64,
    /// Chance that the cause is nothing that can be seen, however well something fits, 0..1.
    pub unseen: f64,
    /// Weight with which a condition reaches symptoms that no known way leads to, 0..1: no
    /// topology is complete.
    pub unknown_way: f64,
    /// Share of its own symptoms that an entity explains when they are effects alone, 0..1: slow
    /// answers came from somewhere, a full disk begins where it is. A change on it explains them
    /// as a condition does.
    pub own_effects: f64,
    /// Candidates examined in full; the rest are dropped by a cheaper score.
    pub candidates_max: usize,
}

impl Default for CauseParams {
    fn default() -> Self {
        Self {
            propagation: Propagation::default(),
            hops_max: 6,
            onset_slack_ns: 15_000_000_000,
            onset_scale_ns: 90_000_000_000,
            change_scale_ns: 1_800_000_000_000,
            weights: [4.5, 2.5, 1.0, 2.0, 2.0, 1.0, 0.7, 2.5, 3.0],
            temperature: 0.5,
            unknown_score: 6.0,
            unseen: 0.07,
            unknown_way: 0.3,
            own_effects: 0.5,
            candidates_max: 512,
        }
    }
}

/// How much of its own trouble an entity explains away by naming who fails it.
const BLAMED: f64 = 0.8;

/// Path weights below this explain nothing worth the search.
const REACH_MIN: f64 = 0.05;

/// Nearness of a change above which the change itself is named before its entity.
const CHANGE_NAMED_MIN: f64 = 0.25;

/// Power of a change's nearness that is its part of the confidence of its entity: where the cause
/// is an entity with a change close before, the change is nearly always it.
const CHANGE_PART: f64 = 0.2;

/// Ranks the causes of one incident, best first; ties in order of the subject.
///
/// `nodes` are the alerting entities and the silent ones around them (a silent
/// common dependency can be the cause). `out` is cleared first and stays empty
/// when nothing alerts. The result depends on the values alone, not on the
/// order of `edges` or `changes` (but subjects are indices into them).
pub fn rank(
    params: &CauseParams,
    nodes: &[CauseNode],
    edges: &[CauseEdge],
    changes: &[CauseChange],
    out: &mut Vec<RankedCause>,
) {
    out.clear();
    let Some(scene) = Scene::new(params, nodes, edges) else {
        return;
    };
    let change_of = nearest_changes(params, nodes, &scene, changes);
    let mut scratch = ReachScratch::default();
    let mut reached = Vec::new();
    let mut parents = vec![0.0_f64; nodes.len()];
    let candidates = scene.candidates(params, nodes, &change_of, &mut scratch, &mut reached);
    let mut explains = Vec::with_capacity(candidates.len());
    for &candidate in &candidates {
        reach(&scene.flow, candidate, params.hops_max, REACH_MIN, &mut scratch, &mut reached);
        let (change, _) = change_of[candidate as usize];
        explains.push(scene.explained_by(params, nodes, (candidate, change), &reached, &mut parents));
    }
    for (position, &candidate) in candidates.iter().enumerate() {
        let node = &nodes[candidate as usize];
        let (near, change) = change_of[candidate as usize];
        let because = CauseReasons {
            explains: explains[position],
            onset: scene.onset_reason(params, node),
            strength: if node.alerting { node.strength.clamp(0.0, 1.0) } else { 0.0 },
            unexplained: if node.blames { 1.0 - BLAMED } else { 1.0 }.min(1.0 - parents[candidate as usize]).max(0.0),
            change: near,
            logs: node.logs.clamp(0.0, 1.0),
            history: node.history.clamp(0.0, 1.0),
            condition: if node.alerting { node.condition.clamp(0.0, 1.0) } else { 0.0 },
            named: node.named.clamp(0.0, 1.0),
        };
        let score = weighted(&params.weights, &because);
        out.push(RankedCause { subject: CauseSubject::Node(candidate), score, confidence: 0.0, because });
        if let Some(change) = change {
            let subject = CauseSubject::Change(change);
            out.push(RankedCause { subject, score: score + near - CHANGE_NAMED_MIN, confidence: 0.0, because });
        }
    }
    set_confidences(params, &change_of, changes, out);
    out.sort_by(|a, b| b.score.total_cmp(&a.score).then(order_of(a.subject).cmp(&order_of(b.subject))));
}

/// Changes before nodes, then by index: the order of equal scores.
fn order_of(subject: CauseSubject) -> (u8, usize) {
    match subject {
        CauseSubject::Change(index) => (0, index),
        CauseSubject::Node(index) => (1, index as usize),
    }
}

fn weighted(weights: &[f64; 9], r: &CauseReasons) -> f64 {
    let reasons = [r.explains, r.onset, r.strength, r.unexplained, r.change, r.logs, r.history, r.condition, r.named];
    weights.iter().zip(reasons).map(|(weight, reason)| weight * reason).sum()
}

/// What holds for the whole incident.
struct Scene {
    flow: Flow,
    earliest_ns: i64,
    strength_sum: f64,
}

impl Scene {
    /// `None` when no entity alerts.
    fn new(params: &CauseParams, nodes: &[CauseNode], edges: &[CauseEdge]) -> Option<Self> {
        let alerting = || nodes.iter().filter(|node| node.is_symptom());
        let earliest_ns = alerting().map(|node| node.onset_ns).min()?;
        let strength_sum = alerting().map(symptom_weight).sum();
        Some(Self { flow: Flow::new(nodes.len(), edges, &params.propagation), earliest_ns, strength_sum })
    }

    /// Alerting entities and the silent ones that reach at least two of them, are
    /// named by one or carry a change, at most `candidates_max`, by the strength they reach in
    /// one step.
    fn candidates(
        &self,
        params: &CauseParams,
        nodes: &[CauseNode],
        change_of: &[(f64, Option<usize>)],
        scratch: &mut ReachScratch,
        reached: &mut Vec<Reached>,
    ) -> Vec<u32> {
        let mut scored: Vec<(f64, u32)> = Vec::new();
        for index in 0..nodes.len() as u32 {
            let node = &nodes[index as usize];
            let mut near = if node.alerting { 1.0 + node.strength } else { 0.0 };
            let mut hit = usize::from(node.alerting) * 2;
            reach(&self.flow, index, 2, REACH_MIN, scratch, reached);
            for other in reached.iter().skip(1) {
                let symptom = &nodes[other.node as usize];
                if symptom.is_symptom() {
                    near += other.weight * symptom_weight(symptom);
                    hit += 1;
                }
            }
            let (change, _) = change_of[index as usize];
            if hit >= 2 || (hit >= 1 && (change > 0.0 || node.named > 0.0)) {
                scored.push((near + change, index));
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.truncate(params.candidates_max);
        scored.into_iter().map(|(_, index)| index).collect()
    }

    /// The share of all symptoms that trouble at a candidate, with the nearest `change` on it,
    /// explains; raises `parents` of what it reaches by as much as it explains of each.
    fn explained_by(
        &self,
        params: &CauseParams,
        nodes: &[CauseNode],
        (candidate, change): (u32, f64),
        reached: &[Reached],
        parents: &mut [f64],
    ) -> f64 {
        let own = &nodes[candidate as usize];
        let unknown_way = if own.alerting { params.unknown_way * own.condition.clamp(0.0, 1.0) } else { 0.0 };
        let begins_there = own.condition.max(change).clamp(0.0, 1.0);
        let own_share = params.own_effects + (1.0 - params.own_effects) * begins_there;
        let mut explained = 0.0;
        if unknown_way > 0.0 {
            for symptom in nodes.iter().filter(|node| node.is_symptom()) {
                explained += unknown_way * order_factor(params, own, symptom) * symptom_weight(symptom);
            }
        }
        for other in reached {
            let symptom = &nodes[other.node as usize];
            if !symptom.is_symptom() {
                continue;
            }
            let order = order_factor(params, own, symptom);
            let way = if other.node == candidate { own_share } else { other.weight };
            explained += (way - unknown_way).max(0.0) * order * symptom_weight(symptom);
            if other.node != candidate && own.alerting {
                let pull = other.weight * order * symptom_weight(own);
                let parent = &mut parents[other.node as usize];
                *parent = parent.max(pull);
            }
        }
        explained / self.strength_sum
    }

    fn onset_reason(&self, params: &CauseParams, node: &CauseNode) -> f64 {
        if node.onset_ns == i64::MAX {
            return 0.0;
        }
        let late = node.onset_ns.saturating_sub(self.earliest_ns);
        node.trust.clamp(0.0, 1.0) * decay(late.saturating_sub(params.onset_slack_ns), params.onset_scale_ns)
    }
}

/// Symptoms count by strength, but none is worth nothing.
fn symptom_weight(node: &CauseNode) -> f64 {
    0.3 + 0.7 * node.strength.clamp(0.0, 1.0)
}

/// How well a cause of which nothing was seen fits a symptom's time.
const UNSEEN_ORDER: f64 = 0.5;

/// How well a cause at `own` fits a symptom's time: 1 when it came first, less
/// the later it was seen itself (detectors of causes may be slow).
fn order_factor(params: &CauseParams, own: &CauseNode, symptom: &CauseNode) -> f64 {
    if own.onset_ns == i64::MAX {
        return UNSEEN_ORDER;
    }
    let late = own.onset_ns.saturating_sub(symptom.onset_ns).saturating_sub(params.onset_slack_ns);
    let (seen, trust) = (0.25 + 0.75 * decay(late, params.onset_scale_ns), own.trust.clamp(0.0, 1.0));
    trust * seen + (1.0 - trust) * UNSEEN_ORDER
}

/// 1 up to zero, then falling to 1/e at `scale`.
fn decay(past_ns: i64, scale_ns: i64) -> f64 {
    if past_ns <= 0 {
        return 1.0;
    }
    (-(past_ns as f64) / (scale_ns.max(1) as f64)).exp()
}

/// For each entity the nearness × weight of its best change, and the change
/// when that is near enough to be named itself.
fn nearest_changes(
    params: &CauseParams,
    nodes: &[CauseNode],
    scene: &Scene,
    changes: &[CauseChange],
) -> Vec<(f64, Option<usize>)> {
    let mut best: Vec<(f64, Option<usize>)> = vec![(0.0, None); nodes.len()];
    for (index, change) in changes.iter().enumerate() {
        let Some(node) = nodes.get(change.node as usize) else {
            continue;
        };
        let onset = node.onset_ns.min(scene.earliest_ns.saturating_add(params.onset_scale_ns));
        let before = onset.saturating_sub(change.at_ns);
        if before < -params.onset_slack_ns {
            continue;
        }
        let near = decay(before, params.change_scale_ns) * change.weight.clamp(0.0, 1.0);
        let slot = &mut best[change.node as usize];
        if near > slot.0 {
            *slot = (near, (near >= CHANGE_NAMED_MIN).then_some(index));
        }
    }
    best
}

/// Softmax over the entities and "none of these", less the chance of what cannot be seen; a
/// change takes its part of the probability of its entity by how near it is.
fn set_confidences(
    params: &CauseParams,
    change_of: &[(f64, Option<usize>)],
    changes: &[CauseChange],
    ranking: &mut [RankedCause],
) {
    let is_node = |cause: &RankedCause| matches!(cause.subject, CauseSubject::Node(_));
    let top =
        ranking.iter().filter(|cause| is_node(cause)).map(|cause| cause.score).fold(params.unknown_score, f64::max);
    let temperature = params.temperature.max(1e-6);
    let mass = |score: f64| ((score - top) / temperature).exp();
    let total: f64 = mass(params.unknown_score)
        + ranking.iter().filter(|cause| is_node(cause)).map(|cause| mass(cause.score)).sum::<f64>();
    let node_score: Vec<(u32, f64)> = ranking
        .iter()
        .filter_map(|cause| match cause.subject {
            CauseSubject::Node(node) => Some((node, cause.score)),
            CauseSubject::Change(_) => None,
        })
        .collect();
    for (node, score) in node_score {
        let whole = (1.0 - params.unseen.clamp(0.0, 1.0)) * mass(score) / total;
        let (near, named) = change_of[node as usize];
        let share = if named.is_some() { near.clamp(0.0, 1.0).powf(CHANGE_PART) } else { 0.0 };
        for cause in ranking.iter_mut() {
            match cause.subject {
                CauseSubject::Node(index) if index == node => cause.confidence = whole * (1.0 - share),
                CauseSubject::Change(index) if changes[index].node == node => {
                    cause.confidence = whole * share;
                }
                CauseSubject::Node(_) | CauseSubject::Change(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
