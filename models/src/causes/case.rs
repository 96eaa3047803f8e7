//! Ranked causes of one fault from raw telemetry: series before and during, and
//! what visits look like before and during.
//!
//! Each entity gets a surprise per kind of evidence (resources, own time,
//! latency, errors, behaviour). Latency and errors travel from callee to
//! caller, so an entity keeps only what its callees do not explain; resources
//! and behaviour do not travel and are kept whole. A softmax over the totals
//! with a fixed place for "unknown" gives confidences.

use serde::{Deserialize, Serialize};

use super::CauseEdge;
use super::deviation::deviation;

/// What a series measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndicatorKind {
    /// Processor use: more is worse.
    Cpu,
    /// Memory use: more is worse.
    Memory,
    /// Time on the network between caller and callee, seen at the callee.
    Network,
    /// Time inside the entity itself, callees left out.
    SelfTime,
    /// Response time, callees included.
    Latency,
    /// Share of answers that fail, in percent: more is worse.
    Failure,
    /// Requests or bytes: either way.
    Traffic,
}

/// One series of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Indicator {
    /// Its entity.
    pub entity: u32,
    /// What it measures.
    pub kind: IndicatorKind,
    /// Values before the fault (NaN: missing).
    pub before: Vec<f64>,
    /// Values just before the fault; they also count among `before`. May be empty.
    pub recent: Vec<f64>,
    /// Values from the fault on, in order of time.
    pub during: Vec<f64>,
}

/// How often something occurs in visits of an entity, before and during.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pattern {
    /// The entity visited.
    pub entity: u32,
    /// When the pattern is a call: the callee.
    pub callee: Option<u32>,
    /// Usual visits that show it (a share of `before_of`, not a count).
    pub before: f64,
    /// Comparable visits before.
    pub before_of: f64,
    /// Visits during that show it.
    pub during: f64,
    /// Comparable visits during.
    pub during_of: f64,
}

/// The alarm that the search starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// Entity that raised it.
    pub entity: u32,
    /// What it measured.
    pub kind: IndicatorKind,
}

/// Everything known of one fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// Number of entities; they are 0, 1, ….
    pub entities: u32,
    /// Dependencies between them.
    pub edges: Vec<CauseEdge>,
    /// Requests of each entity within the fault, where known (NaN or absent:
    /// not known). Latency and failures of few requests say little.
    pub volume: Vec<f64>,
    /// Series.
    pub indicators: Vec<Indicator>,
    /// Behaviour.
    pub patterns: Vec<Pattern>,
    /// The alarm, when one is given.
    pub alarm: Option<Alarm>,
}

/// The numbers behind one entity's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseReasons {
    /// Surprise of its resources.
    pub resources: f64,
    /// Surprise of its own and network time.
    pub own_time: f64,
    /// Surprise of its latency that callees do not explain.
    pub latency: f64,
    /// Surprise of its failures that callees do not explain.
    pub errors: f64,
    /// Surprise of its traffic.
    pub traffic: f64,
    /// Surprise of its behaviour in visits.
    pub behaviour: f64,
    /// How strongly its trouble would reach the alarm, 0..1; 1 without an alarm.
    pub reaches_alarm: f64,
}

/// One place of the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedEntity {
    /// The entity.
    pub entity: u32,
    /// Weighted sum of the reasons.
    pub score: f64,
    /// Probability that it is the cause; all sum to at most 1.
    pub confidence: f64,
    /// The numbers behind it.
    pub because: CaseReasons,
}

/// Weights of [`rank_case`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseParams {
    /// Robust sigmas that surprise nobody.
    pub sigmas_free: f64,
    /// Weight of processor use.
    pub cpu: f64,
    /// Weight of memory use.
    pub memory: f64,
    /// Weight of network time.
    pub network: f64,
    /// Weight of own time.
    pub self_time: f64,
    /// Weight of latency.
    pub latency: f64,
    /// Weight of failures.
    pub failure: f64,
    /// Weight of traffic.
    pub traffic: f64,
    /// Weight of behaviour.
    pub behaviour: f64,
    /// Share of a callee's surprise (own time, latency, failures, behaviour)
    /// that its caller is excused.
    pub excused: f64,
    /// Share of the resource surprise that is excused by what it runs on.
    pub excused_resources: f64,
    /// Requests at which latency and failures count half.
    pub volume_half: f64,
    /// Likelihood-ratio sigmas of a pattern that surprise nobody: there are
    /// hundreds of patterns, the best of which is chosen.
    pub pattern_free: f64,
    /// Factor on an entity that is seen only from its callers: it has neither
    /// callees nor resources of its own, and what its callers see of it may be
    /// what lies behind it.
    pub opaque: f64,
    /// Weight of an entity's place in the graph (share of entities that depend
    /// on it or that it depends on): the prior where nothing surprises.
    pub centrality: f64,
    /// Divides scores before the softmax.
    pub temperature: f64,
    /// Score of "unknown" in the softmax.
    pub unknown_score: f64,
}

impl Default for CaseParams {
    fn default() -> Self {
        Self {
            sigmas_free: 2.0,
            cpu: 1.0,
            memory: 1.0,
            network: 1.0,
            self_time: 1.0,
            latency: 0.8,
            failure: 1.0,
            traffic: 0.3,
            behaviour: 2.2,
            excused: 0.9,
            excused_resources: 1.1,
            volume_half: 100.0,
            pattern_free: 3.5,
            opaque: 0.7,
            centrality: 0.5,
            temperature: 0.55,
            unknown_score: 1.0,
        }
    }
}

/// Ranks all entities, best first; ties in order of the entity.
#[must_use]
pub fn rank_case(params: &CaseParams, case: &Case) -> Vec<RankedEntity> {
    let mut reasons = surprises(params, case);
    excuse_callers(params, case, &mut reasons);
    let reach = reach_of_alarm(case);
    let place = centrality(case);
    let opaque = opaque(case);
    let mut out: Vec<RankedEntity> = reasons
        .into_iter()
        .enumerate()
        .map(|(entity, mut because)| {
            because.reaches_alarm = reach[entity];
            let seen = if opaque[entity] { params.opaque } else { 1.0 };
            let surprise = reach[entity] * seen * total(case.alarm.as_ref(), &because);
            let score = surprise + params.centrality * place[entity];
            RankedEntity { entity: entity as u32, score, confidence: 0.0, because }
        })
        .collect();
    set_confidences(params, &mut out);
    out.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.entity.cmp(&b.entity)));
    out
}

/// How surprising one indicator is: 0 within the free sigmas, then by the
/// logarithm, counted only in the direction that hurts.
#[must_use]
pub fn surprise(params: &CaseParams, indicator: &Indicator) -> f64 {
    let Some(found) = deviation(&indicator.before, &indicator.recent, &indicator.during) else {
        return 0.0;
    };
    let harmful = match indicator.kind {
        IndicatorKind::Traffic => found.sigmas.abs(),
        _ => found.sigmas,
    };
    let strength = (harmful - params.sigmas_free).max(0.0).ln_1p();
    let size = 1.0 - (-4.0 * found.log_ratio.abs()).exp();
    strength * (0.5 + 0.5 * size)
}

/// How surprising one pattern is: the change of its share, times how sure that
/// change is (square root of the likelihood ratio of two shares against one).
fn pattern_surprise(params: &CaseParams, pattern: &Pattern) -> f64 {
    if pattern.before_of <= 0.0 || pattern.during_of <= 0.0 {
        return 0.0;
    }
    let (k0, n0) = (pattern.before, pattern.before_of);
    let (k1, n1) = (pattern.during, pattern.during_of);
    let both = (k0 + k1) / (n0 + n1);
    let fit = |k: f64, n: f64, share: f64| {
        let part = |count: f64, chance: f64| {
            if count > 0.0 { count * chance.max(1e-12).ln() } else { 0.0 }
        };
        part(k, share) + part(n - k, 1.0 - share)
    };
    let ratio = fit(k0, n0, k0 / n0) + fit(k1, n1, k1 / n1) - fit(k0, n0, both) - fit(k1, n1, both);
    let sure = (2.0 * ratio.max(0.0)).sqrt();
    (k1 / n1 - k0 / n0).abs() * (sure - params.pattern_free).max(0.0).ln_1p()
}

/// Per entity the strongest surprise of each kind.
fn surprises(params: &CaseParams, case: &Case) -> Vec<CaseReasons> {
    let mut out = vec![CaseReasons::default(); case.entities as usize];
    for indicator in &case.indicators {
        let Some(reasons) = out.get_mut(indicator.entity as usize) else {
            continue;
        };
        let counted = match indicator.kind {
            IndicatorKind::Cpu | IndicatorKind::Memory => 1.0,
            IndicatorKind::SelfTime => share_of_volume(params, indicator.during.len() as f64),
            _ => weight_of_volume(params, case, indicator.entity),
        };
        let value = counted * surprise(params, indicator);
        let (slot, weight) = match indicator.kind {
            IndicatorKind::Cpu => (&mut reasons.resources, params.cpu),
            IndicatorKind::Memory => (&mut reasons.resources, params.memory),
            IndicatorKind::Network => (&mut reasons.own_time, params.network),
            IndicatorKind::SelfTime => (&mut reasons.own_time, params.self_time),
            IndicatorKind::Latency => (&mut reasons.latency, params.latency),
            IndicatorKind::Failure => (&mut reasons.errors, params.failure),
            IndicatorKind::Traffic => (&mut reasons.traffic, params.traffic),
        };
        *slot = slot.max(weight * value);
    }
    for pattern in &case.patterns {
        let value = params.behaviour * pattern_surprise(params, pattern);
        if let Some(reasons) = out.get_mut(pattern.entity as usize) {
            reasons.behaviour = reasons.behaviour.max(value);
        }
    }
    out
}

/// 1 where the number of requests is not known, less the fewer there were.
fn weight_of_volume(params: &CaseParams, case: &Case, entity: u32) -> f64 {
    match case.volume.get(entity as usize) {
        Some(requests) if requests.is_finite() => share_of_volume(params, *requests),
        _ => 1.0,
    }
}

fn share_of_volume(params: &CaseParams, requests: f64) -> f64 {
    requests.max(0.0) / (requests.max(0.0) + params.volume_half)
}

/// Takes from each caller what its callees explain, and from what runs on
/// something the resources that this explains.
fn excuse_callers(params: &CaseParams, case: &Case, reasons: &mut [CaseReasons]) {
    let seen = reasons.to_vec();
    for edge in &case.edges {
        let (Some(cause), true) = (seen.get(edge.to as usize), edge.from != edge.to) else { continue };
        let Some(symptom) = reasons.get_mut(edge.from as usize) else { continue };
        let own = &seen[edge.from as usize];
        let trust = edge.confidence.clamp(0.0, 1.0);
        if edge.relation == super::Relation::RunsOn {
            lower(&mut symptom.resources, own.resources - trust * params.excused_resources * cause.resources);
            continue;
        }
        let excuse = trust * params.excused;
        lower(&mut symptom.latency, own.latency - excuse * cause.latency.max(cause.own_time));
        lower(&mut symptom.errors, own.errors - excuse * cause.errors);
        lower(&mut symptom.behaviour, own.behaviour - excuse * cause.behaviour);
    }
}

fn lower(slot: &mut f64, to: f64) {
    *slot = slot.min(to.max(0.0));
}

/// Entities without callees and without resources of their own, in a case that
/// has calls.
fn opaque(case: &Case) -> Vec<bool> {
    let mut out = vec![!case.edges.is_empty(); case.entities as usize];
    let seen_inside = case.edges.iter().map(|edge| edge.from).chain(
        case.indicators
            .iter()
            .filter(|indicator| matches!(indicator.kind, IndicatorKind::Cpu | IndicatorKind::Memory))
            .map(|indicator| indicator.entity),
    );
    for entity in seen_inside {
        if let Some(slot) = out.get_mut(entity as usize) {
            *slot = false;
        }
    }
    out
}

fn total(alarm: Option<&Alarm>, r: &CaseReasons) -> f64 {
    let mut parts = [r.resources, r.own_time, r.latency, r.errors, r.traffic, r.behaviour];
    if let Some(alarm) = alarm {
        // An alarm names the kind of trouble: other kinds count half.
        let named = match alarm.kind {
            IndicatorKind::Failure => 3,
            IndicatorKind::Latency | IndicatorKind::SelfTime | IndicatorKind::Network => 2,
            _ => usize::MAX,
        };
        for (kind, part) in parts.iter_mut().enumerate() {
            if named != usize::MAX && kind != named {
                *part *= 0.3;
            }
        }
    }
    let strongest = parts.iter().copied().fold(0.0, f64::max);
    let rest: f64 = parts.iter().sum::<f64>() - strongest;
    strongest + 0.25 * rest
}

/// How strongly trouble at each entity reaches the alarm: 0.95 per call, 0
/// where no path leads; 1 everywhere without an alarm.
fn reach_of_alarm(case: &Case) -> Vec<f64> {
    let Some(alarm) = case.alarm else {
        return vec![1.0; case.entities as usize];
    };
    let mut reach = vec![0.0; case.entities as usize];
    let mut wave = vec![alarm.entity];
    let mut weight = 1.0;
    while !wave.is_empty() {
        let mut next = Vec::new();
        for entity in wave {
            match reach.get_mut(entity as usize) {
                Some(slot) if *slot == 0.0 => *slot = weight,
                _ => continue,
            }
            next.extend(case.edges.iter().filter(|edge| edge.from == entity).map(|edge| edge.to));
        }
        weight *= 0.95;
        wave = next;
    }
    reach
}

/// Share of entities that each is linked with, directly.
fn centrality(case: &Case) -> Vec<f64> {
    let mut degree = vec![0.0; case.entities as usize];
    for edge in &case.edges {
        for end in [edge.from, edge.to] {
            if let Some(slot) = degree.get_mut(end as usize) {
                *slot += 1.0;
            }
        }
    }
    let most = degree.iter().copied().fold(1.0, f64::max);
    degree.iter().map(|count| count / most).collect()
}

fn set_confidences(params: &CaseParams, ranking: &mut [RankedEntity]) {
    let top = ranking.iter().map(|place| place.score).fold(params.unknown_score, f64::max);
    let mass = |score: f64| ((score - top) / params.temperature.max(1e-6)).exp();
    let total: f64 = mass(params.unknown_score) + ranking.iter().map(|place| mass(place.score)).sum::<f64>();
    for place in ranking {
        place.confidence = mass(place.score) / total;
    }
}
