//! Simple rankings to stand beside ours: what must be beaten to be worth having.

use super::case::{Case, IndicatorKind};
use super::propagate::{Flow, Propagation};

/// A simple way to rank entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// By the largest departure of any series in standard deviations.
    NSigma,
    /// By the largest relative change of any mean.
    RelativeChange,
    /// By PageRank over the calls, restarted in proportion to n-sigma.
    PageRank,
    /// In an order drawn from the entity's number.
    Random,
}

impl Baseline {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] = [Self::NSigma, Self::RelativeChange, Self::PageRank, Self::Random];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NSigma => "n-sigma",
            Self::RelativeChange => "relative change",
            Self::PageRank => "PageRank",
            Self::Random => "random",
        }
    }
}

/// Steps of PageRank: it has converged to the third digit long before.
const STEPS: usize = 50;

/// Share of a walk that goes on at each step, as in the original PageRank.
const DAMPING: f64 = 0.85;

/// Entities, best first; ties in order of the entity.
#[must_use]
pub fn rank(method: Baseline, case: &Case) -> Vec<u32> {
    let scores = match method {
        Baseline::NSigma => strongest(case, n_sigma),
        Baseline::RelativeChange => strongest(case, relative_change),
        Baseline::PageRank => page_rank(case, &strongest(case, n_sigma)),
        Baseline::Random => {
            (0..case.entities).map(|entity| xxhash_rust::xxh3::xxh3_64(&entity.to_le_bytes()) as f64).collect()
        }
    };
    let mut order: Vec<u32> = (0..case.entities).collect();
    order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b)));
    order
}

fn strongest(case: &Case, measure: fn(&[f64], &[f64]) -> f64) -> Vec<f64> {
    let mut out = vec![0.0_f64; case.entities as usize];
    for indicator in case.indicators.iter().filter(|indicator| indicator.kind != IndicatorKind::SelfTime) {
        if let Some(slot) = out.get_mut(indicator.entity as usize) {
            *slot = slot.max(measure(&indicator.before, &indicator.during));
        }
    }
    out
}

fn n_sigma(before: &[f64], during: &[f64]) -> f64 {
    let (Some((mean, deviation)), Some(_)) = (moments(before), moments(during)) else { return 0.0 };
    let far = during.iter().filter(|value| value.is_finite()).map(|value| (value - mean).abs()).fold(0.0, f64::max);
    far / deviation.max(1e-9)
}

fn relative_change(before: &[f64], during: &[f64]) -> f64 {
    let (Some((usual, _)), Some((now, _))) = (moments(before), moments(during)) else { return 0.0 };
    (now - usual).abs() / usual.abs().max(1e-9)
}

/// Mean and standard deviation of the finite values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if finite.is_empty() {
        return None;
    }
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let variance = finite.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / finite.len() as f64;
    Some((mean, variance.sqrt()))
}

/// Walks from symptom to dependency: against the flow of trouble.
fn page_rank(case: &Case, start: &[f64]) -> Vec<f64> {
    let entities = case.entities as usize;
    let flow = Flow::new(entities, &case.edges, &Propagation::default());
    let mut to_callees: Vec<Vec<usize>> = vec![Vec::new(); entities];
    for callee in 0..entities {
        for &(caller, weight) in flow.out(callee as u32) {
            if weight >= 0.5 {
                to_callees[caller as usize].push(callee);
            }
        }
    }
    let restart: Vec<f64> = start.iter().map(|value| value.ln_1p() + 1e-3).collect();
    let total: f64 = restart.iter().sum();
    let mut rank: Vec<f64> = restart.iter().map(|value| value / total).collect();
    for _ in 0..STEPS {
        let mut next: Vec<f64> = restart.iter().map(|value| (1.0 - DAMPING) * value / total).collect();
        for (caller, callees) in to_callees.iter().enumerate() {
            if callees.is_empty() {
                next[caller] += DAMPING * rank[caller];
            }
            for &callee in callees {
                next[callee] += DAMPING * rank[caller] / callees.len() as f64;
            }
        }
        rank = next;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes::case::Indicator;
    use crate::causes::{CauseEdge, Relation};

    fn case() -> Case {
        let indicator = |entity, during: f64| Indicator {
            entity,
            kind: IndicatorKind::Latency,
            before: vec![1.0, 1.1, 0.9, 1.0],
            recent: Vec::new(),
            during: vec![during; 3],
        };
        let calls = |from, to| CauseEdge { from, to, relation: Relation::Calls, confidence: 1.0 };
        Case {
            entities: 3,
            edges: vec![calls(0, 1), calls(1, 2)],
            indicators: vec![indicator(0, 5.0), indicator(1, 4.0), indicator(2, 1.0)],
            ..Case::default()
        }
    }

    #[test]
    fn the_strongest_departure_comes_first() {
        assert_eq!(rank(Baseline::NSigma, &case()), [0, 1, 2]);
        assert_eq!(rank(Baseline::RelativeChange, &case()), [0, 1, 2]);
    }

    #[test]
    fn page_rank_prefers_what_others_depend_on() {
        assert_eq!(rank(Baseline::PageRank, &case())[2], 0);
    }

    #[test]
    fn random_is_the_same_every_time() {
        assert_eq!(rank(Baseline::Random, &case()), rank(Baseline::Random, &case()));
    }
}
