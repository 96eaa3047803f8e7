//! Weights of evidence learned from labelled pairs of alerts.
//!
//! Idea: the rule that combines the evidence is a logistic regression, so its weights can be fitted
//! as one: L2-regularised toward the weights in force (they are the prior's mean), by Newton's method
//! (iteratively reweighted least squares; McCullagh & Nelder, Generalized Linear Models, 1989). Both
//! classes weigh the same in sum, so that how many pairs of each were labelled moves no threshold.
//! A weight that would fall below zero is held at zero: no kind of evidence speaks against itself.
//! Use it on an operator's feedback or on a labelled replay; it proposes, and changes nothing.
//!
//! [`cross_validate`] says what the proposal gains on pairs it has not seen: the folds are
//! stretches of the given order, because neighbours in time resemble each other.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, GroupParams};

/// Four weights and the bias.
const TERMS: usize = 5;

/// Newton's method on five convex terms settles within ten steps; more means it never will.
const STEPS_MAX: usize = 50;

/// A step smaller than this on every term is none.
const STEP_MIN: f64 = 1e-9;

/// Two alerts that were compared, and whether they belong together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledPair {
    /// What spoke for it.
    pub evidence: Evidence,
    /// What somebody who knows says.
    pub together: bool,
}

/// Settings of [`learn`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearnParams {
    /// How firmly the weights in force are held: a weight one away from its prior costs as much as
    /// half this many pairs of even odds.
    pub strength: f64,
    /// Fewest pairs of each class.
    pub pairs_min: usize,
    /// Parts of the cross-validation.
    pub folds: usize,
}

impl Default for LearnParams {
    fn default() -> Self {
        Self { strength: 4.0, pairs_min: 10, folds: 5 }
    }
}

/// Why nothing can be learned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// Too few pairs of one class.
    #[error("`{together}` pairs that belong together and `{apart}` that do not, at least `{least}` of each are needed")]
    TooFew {
        /// Pairs labelled together.
        together: usize,
        /// Pairs labelled apart.
        apart: usize,
        /// What is needed.
        least: usize,
    },
    /// Evidence that is not a number between 0 and 1.
    #[error("evidence of pair `{index}` is not between 0 and 1")]
    Evidence {
        /// Its place, from 0.
        index: usize,
    },
}

/// Weights proposed, with how they fit the pairs they were learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Weight of time, topology, text, learned.
    pub weights: [f64; 4],
    /// The bias.
    pub bias: f64,
    /// Pairs that were used.
    pub pairs: usize,
    /// Pairs left out: too far apart in time to be linked whatever the weights.
    pub beyond: usize,
}

impl Proposal {
    /// The settings in force with the proposed weights.
    #[must_use]
    pub fn apply(&self, params: &GroupParams) -> GroupParams {
        GroupParams { weights: self.weights, bias: self.bias, ..params.clone() }
    }
}

/// How well a rule separates pairs; both classes weigh the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Mean negative log likelihood in nats; 0.693 is a coin.
    pub log_loss: f64,
    /// Mean of the shares of both classes on the right side of the threshold.
    pub accuracy: f64,
}

/// What the proposal is worth on pairs it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The weights in force.
    pub before: Fit,
    /// The weights learned on the other folds.
    pub after: Fit,
    /// Folds that could be judged.
    pub folds: usize,
}

/// Learns weights from `pairs`, held toward those of `prior`.
///
/// # Errors
/// [`LearnError`] with too few pairs of a class, or evidence out of range.
pub fn learn(pairs: &[LabelledPair], prior: &GroupParams, params: &LearnParams) -> Result<Proposal, LearnError> {
    let used = usable(pairs, prior)?;
    let (together, apart) = count(&used);
    if together.min(apart) < params.pairs_min.max(1) {
        return Err(LearnError::TooFew { together, apart, least: params.pairs_min.max(1) });
    }
    let mean = terms_of(prior);
    let mut free = [true; TERMS];
    loop {
        let fitted = fit(&used, &mean, &free, params.strength.max(1e-6));
        let negative = (0..4).find(|term| free[*term] && fitted[*term] < 0.0);
        match negative {
            Some(term) => free[term] = false,
            None => {
                let weights = std::array::from_fn(|kind| fitted[kind]);
                return Ok(Proposal { weights, bias: fitted[4], pairs: used.len(), beyond: pairs.len() - used.len() });
            }
        }
    }
}

/// Judges [`learn`] on stretches of `pairs` left out of the learning.
///
/// # Errors
/// [`LearnError`] as [`learn`], also when no fold leaves enough to learn from.
pub fn cross_validate(pairs: &[LabelledPair], prior: &GroupParams, params: &LearnParams) -> Result<Gain, LearnError> {
    let used = usable(pairs, prior)?;
    let folds = params.folds.clamp(2, used.len().max(2));
    let (mut before, mut after, mut judged, mut failed) = (Fit::default(), Fit::default(), 0, None);
    for fold in 0..folds {
        let (from, to) = (fold * used.len() / folds, (fold + 1) * used.len() / folds);
        let held = &used[from..to];
        let (together, apart) = count(held);
        if together == 0 || apart == 0 {
            continue;
        }
        let rest: Vec<LabelledPair> = used[..from].iter().chain(&used[to..]).copied().collect();
        match learn(&rest, prior, params) {
            Ok(proposal) => {
                add(&mut before, judge(held, prior));
                add(&mut after, judge(held, &proposal.apply(prior)));
                judged += 1;
            }
            Err(error) => failed = Some(error),
        }
    }
    if judged == 0 {
        let (together, apart) = count(&used);
        return Err(failed.unwrap_or(LearnError::TooFew { together, apart, least: params.pairs_min.max(1) }));
    }
    let mean = |sum: Fit| Fit { log_loss: sum.log_loss / judged as f64, accuracy: sum.accuracy / judged as f64 };
    Ok(Gain { before: mean(before), after: mean(after), folds: judged })
}

/// How well the rule of `params` separates `pairs`.
#[must_use]
pub fn judge(pairs: &[LabelledPair], params: &GroupParams) -> Fit {
    let (together, apart) = count(pairs);
    let mut fit = Fit::default();
    for pair in pairs {
        let share = 0.5 / if pair.together { together } else { apart }.max(1) as f64;
        let logit = params.logit(&pair.evidence);
        fit.log_loss += share * softplus(if pair.together { -logit } else { logit });
        let linked = params.combine(&pair.evidence) >= params.threshold;
        fit.accuracy += share * f64::from(u8::from(linked == pair.together));
    }
    fit
}

fn add(sum: &mut Fit, fit: Fit) {
    sum.log_loss += fit.log_loss;
    sum.accuracy += fit.accuracy;
}

fn usable(pairs: &[LabelledPair], prior: &GroupParams) -> Result<Vec<LabelledPair>, LearnError> {
    let bad = |pair: &LabelledPair| pair.evidence.values().iter().any(|value| !(0.0..=1.0).contains(value));
    if let Some(index) = pairs.iter().position(bad) {
        return Err(LearnError::Evidence { index });
    }
    Ok(pairs.iter().filter(|pair| pair.evidence.time >= prior.time_min).copied().collect())
}

fn count(pairs: &[LabelledPair]) -> (usize, usize) {
    let together = pairs.iter().filter(|pair| pair.together).count();
    (together, pairs.len() - together)
}

fn terms_of(params: &GroupParams) -> [f64; TERMS] {
    let [time, topology, text, learned] = params.weights;
    [time, topology, text, learned, params.bias]
}

/// The terms that minimise the penalised loss; terms that are not free are 0.
#[allow(clippy::needless_range_loop)] // rows and columns of a matrix
fn fit(pairs: &[LabelledPair], mean: &[f64; TERMS], free: &[bool; TERMS], strength: f64) -> [f64; TERMS] {
    let (together, apart) = count(pairs);
    let half = pairs.len() as f64 / 2.0;
    let mut terms: [f64; TERMS] = std::array::from_fn(|term| if free[term] { mean[term] } else { 0.0 });
    let loss = |terms: &[f64; TERMS]| {
        let mut sum = 0.0;
        for term in (0..TERMS).filter(|term| free[*term]) {
            sum += 0.5 * strength * (terms[term] - mean[term]).powi(2);
        }
        for pair in pairs {
            let logit = logit_of(terms, &pair.evidence);
            let weight = half / if pair.together { together } else { apart } as f64;
            sum += weight * softplus(if pair.together { -logit } else { logit });
        }
        sum
    };
    let mut now = loss(&terms);
    for _ in 0..STEPS_MAX {
        let mut gradient = [0.0; TERMS];
        let mut curve = [[0.0; TERMS]; TERMS];
        for term in 0..TERMS {
            curve[term][term] = if free[term] { strength } else { 1.0 };
            gradient[term] = if free[term] { strength * (terms[term] - mean[term]) } else { 0.0 };
        }
        for pair in pairs {
            add_pair(
                pair,
                half / if pair.together { together } else { apart } as f64,
                &terms,
                free,
                &mut gradient,
                &mut curve,
            );
        }
        let step = solve(curve, gradient);
        // Halved until it helps: far from the optimum a whole Newton step may overshoot.
        let mut size = 1.0;
        let (mut next, mut then);
        loop {
            next = std::array::from_fn(|term| terms[term] - size * step[term]);
            then = loss(&next);
            if then <= now || size < 1e-4 {
                break;
            }
            size /= 2.0;
        }
        if then > now {
            break;
        }
        (terms, now) = (next, then);
        if step.iter().all(|value| value.abs() < STEP_MIN) {
            break;
        }
    }
    terms
}

fn add_pair(
    pair: &LabelledPair,
    weight: f64,
    terms: &[f64; TERMS],
    free: &[bool; TERMS],
    gradient: &mut [f64; TERMS],
    curve: &mut [[f64; TERMS]; TERMS],
) {
    let [time, topology, text, learned] = pair.evidence.values();
    let values = [time, topology, text, learned, 1.0];
    let chance = 1.0 / (1.0 + (-logit_of(terms, &pair.evidence)).exp());
    let error = weight * (chance - f64::from(u8::from(pair.together)));
    let bend = weight * chance * (1.0 - chance);
    for row in (0..TERMS).filter(|row| free[*row]) {
        gradient[row] += error * values[row];
        for column in (0..TERMS).filter(|column| free[*column]) {
            curve[row][column] += bend * values[row] * values[column];
        }
    }
}

fn logit_of(terms: &[f64; TERMS], evidence: &Evidence) -> f64 {
    let [time, topology, text, learned] = evidence.values();
    terms[4] + terms[0] * time + terms[1] * topology + terms[2] * text + terms[3] * learned
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Solves `curve · x = right` by elimination; the penalty makes `curve` positive definite, so no
/// pivot is zero.
#[allow(clippy::needless_range_loop)] // rows and columns of a matrix
fn solve(mut curve: [[f64; TERMS]; TERMS], mut right: [f64; TERMS]) -> [f64; TERMS] {
    for pivot in 0..TERMS {
        for row in pivot + 1..TERMS {
            let factor = curve[row][pivot] / curve[pivot][pivot];
            for column in pivot..TERMS {
                curve[row][column] -= factor * curve[pivot][column];
            }
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..TERMS).rev() {
        let known: f64 = (row + 1..TERMS).map(|column| curve[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / curve[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs whose truth follows the topology alone, in an order without pattern.
    fn pairs(count: usize) -> Vec<LabelledPair> {
        let share = |index: usize, step: usize| (index * step % 101) as f64 / 101.0;
        let pair = |index| {
            let (time, topology, text) = (0.2 + 0.8 * share(index, 37), share(index, 53), share(index, 71));
            let evidence = Evidence { time, topology, text, learned: 0.0 };
            LabelledPair { evidence, together: topology > 0.5 }
        };
        (0..count).map(pair).collect()
    }

    #[test]
    fn weights_move_toward_what_the_labels_follow_and_the_gain_is_seen_on_pairs_left_out() {
        let prior = GroupParams::default();
        let params = LearnParams::default();
        let learned = learn(&pairs(400), &prior, &params).expect("enough");
        assert!(learned.weights[1] > prior.weights[1] && learned.weights[0] < prior.weights[0], "{learned:?}");
        let gain = cross_validate(&pairs(400), &prior, &params).expect("enough");
        assert!(gain.after.log_loss < 0.8 * gain.before.log_loss, "{gain:?}");
        assert!(gain.after.accuracy > gain.before.accuracy && gain.folds == params.folds, "{gain:?}");
    }

    #[test]
    fn the_firmer_the_prior_the_less_the_weights_move() {
        let prior = GroupParams::default();
        let moved = |strength| {
            let learned = learn(&pairs(100), &prior, &LearnParams { strength, ..Default::default() }).expect("enough");
            (0..4).map(|kind| (learned.weights[kind] - prior.weights[kind]).abs()).sum::<f64>()
        };
        assert!(moved(1.0) > moved(10.0) && moved(10.0) > moved(1_000.0));
        assert!(moved(1e9) < 1e-3);
    }

    #[test]
    fn no_weight_falls_below_zero() {
        let mut turned = pairs(300);
        // The nearer in time, the surer apart.
        turned.iter_mut().for_each(|pair| pair.together = pair.evidence.time < 0.5);
        let params = LearnParams { strength: 0.01, ..Default::default() };
        let learned = learn(&turned, &GroupParams::default(), &params).expect("enough");
        assert!(learned.weights.iter().all(|weight| *weight >= 0.0), "{learned:?}");
    }

    #[test]
    fn too_few_labels_and_broken_evidence_are_said_and_far_pairs_are_left_out() {
        let prior = GroupParams { time_min: 0.15, ..GroupParams::default() };
        let few = learn(&pairs(10), &prior, &LearnParams::default());
        assert!(matches!(few, Err(LearnError::TooFew { .. })), "{few:?}");
        let mut broken = pairs(50);
        broken[7].evidence.text = f64::NAN;
        assert_eq!(learn(&broken, &prior, &LearnParams::default()), Err(LearnError::Evidence { index: 7 }));
        let mut far = pairs(100);
        far[3].evidence.time = 0.0;
        assert_eq!(learn(&far, &prior, &LearnParams::default()).expect("enough").beyond, 1);
    }
}
