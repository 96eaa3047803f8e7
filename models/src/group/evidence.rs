//! The four kinds of evidence that two alerts belong together, and the rule
//! that makes one score of them.
//!
//! Each kind lies in 0..1 and stands on its own; the score is a logistic of
//! their weighted sum, so a weight can be read ("topology adds 3.1") and learned
//! from feedback by ordinary logistic regression.

use serde::{Deserialize, Serialize};

/// Evidence for "these two alerts belong together", each kind 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Nearness of the onsets.
    pub time: f64,
    /// Nearness in the topology.
    pub topology: f64,
    /// Likeness of names and text, or that one text names what the other is about.
    pub text: f64,
    /// How often alerts of these types belonged together before.
    pub learned: f64,
}

impl Evidence {
    /// The values in the order time, topology, text, learned.
    #[must_use]
    pub fn values(&self) -> [f64; 4] {
        [self.time, self.topology, self.text, self.learned]
    }
}

/// Where two alerts stand to each other in the topology.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proximity {
    /// Weighted distance between their entities; 0 for the same entity.
    Near(f64),
    /// Both entities are known and further apart than the search goes.
    Beyond,
    /// They are in two parts of the estate that nothing joins: the same words in both say the same of two things.
    Apart,
    /// At least one entity is not in the topology, and yet both are known to be in one part of the estate.
    Part,
    /// At least one entity is not in the topology: no evidence either way.
    Unknown,
    /// There is no topology: the other evidence must do.
    Absent,
}

/// Weights, scales and limits of grouping. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupParams {
    /// Weight of each kind of evidence: time, topology, text, learned.
    pub weights: [f64; 4],
    /// Added to the weighted sum: how unlikely two alerts belong together
    /// before anything is known.
    pub bias: f64,
    /// Score from which an alert joins a group.
    pub threshold: f64,
    /// Score from which an alert that links two groups merges them; above
    /// `threshold`, so that ids stay stable (hysteresis).
    pub merge_threshold: f64,
    /// Time evidence below which two alerts are never linked, however near they are: the next
    /// fault of the same entity is another fault. 0 turns it off.
    pub time_min: f64,
    /// Onset gap at which the time evidence has fallen to one half.
    pub time_scale_ns: i64,
    /// Added to `time_scale_ns` per unit of topology distance: propagation.
    pub time_hop_scale_ns: i64,
    /// Topology distance at which its evidence has fallen to 1/e.
    pub distance_scale: f64,
    /// Topology evidence when an entity is not in the topology.
    pub topology_unknown: f64,
    /// The same when there is no topology at all: higher, because then nearness in time is all that most
    /// alerts have, yet so low that alerts of other words link within some ten seconds only.
    pub topology_absent: f64,
    /// Taken off the weighted sum where both entities are in the topology and no path joins them:
    /// with 0 nearness in time and the same words link across a whole estate.
    pub beyond_penalty: f64,
    /// Added to the distance of a path through an entity with many neighbours, per natural
    /// logarithm of their number over eight: what hangs off one core switch is not near. 0 for none.
    pub hub_scale: f64,
    /// Text evidence where one alert's text names the other's entity, 0..1, while the name is rare;
    /// a name that stands in every text says nothing. 0 turns it off.
    pub mention: f64,
    /// Longest topology distance searched, in hops.
    pub hops_max: u8,
    /// Score of an alert against a group: mean over this many best links.
    pub links_mean: usize,
    /// A group without news for this long takes no more alerts.
    pub quiet_ns: i64,
    /// Comparisons per new alert: nearest in topology, then latest in time.
    pub pairs_max: usize,
    /// Nearest topology neighbours kept per entity.
    pub neighbours_max: usize,
    /// Alerts kept for grouping; the longest unheard are evicted and counted.
    pub members_max: usize,
    /// Neighbourhoods kept in the cache; it is emptied when full.
    pub neighbourhoods_max: usize,
}

impl Default for GroupParams {
    fn default() -> Self {
        Self {
            weights: [5.0, 5.0, 2.5, 2.5],
            bias: -5.5,
            threshold: 0.5,
            merge_threshold: 0.6,
            time_min: 0.3,
            time_scale_ns: 90_000_000_000,
            time_hop_scale_ns: 10_000_000_000,
            distance_scale: 3.0,
            topology_unknown: 0.08,
            topology_absent: 0.12,
            beyond_penalty: 0.0,
            hub_scale: 0.0,
            mention: 0.9,
            hops_max: 3,
            links_mean: 2,
            quiet_ns: 1_800_000_000_000,
            pairs_max: 32,
            neighbours_max: 256,
            members_max: 131_072,
            neighbourhoods_max: 16_384,
        }
    }
}

impl GroupParams {
    /// The weighted sum behind [`combine`](Self::combine), on the logit scale.
    #[must_use]
    pub fn logit(&self, evidence: &Evidence) -> f64 {
        let mut sum = self.bias;
        for part in self.contributions(evidence) {
            sum += part;
        }
        sum
    }

    /// The score of a pair, 0..1: logistic of bias plus contributions, 0 when the onsets are
    /// too far apart.
    #[must_use]
    pub fn combine(&self, evidence: &Evidence) -> f64 {
        if evidence.time < self.time_min {
            return 0.0;
        }
        1.0 / (1.0 + (-self.logit(evidence)).exp())
    }

    /// What each kind of evidence adds on the logit scale, in the order time,
    /// topology, text, learned. No topology evidence at all, 0, is that no path joins the two.
    #[must_use]
    pub fn contributions(&self, evidence: &Evidence) -> [f64; 4] {
        let values = evidence.values();
        let mut parts: [f64; 4] = std::array::from_fn(|kind| self.weights[kind] * values[kind]);
        if evidence.topology <= 0.0 {
            parts[1] -= self.beyond_penalty;
        }
        parts
    }
}

/// Evidence from the gap of two onsets, `distance` apart in the topology:
/// 1 / (1 + (gap / scale)²), one half at the scale. The tail is heavy because
/// slow propagation is common and another onset a minute later is not proof of
/// another fault. `delay_s`, the seconds that trouble has been seen to take between
/// the two, stands in for what the distance allows where it is known.
#[must_use]
pub fn time_evidence(params: &GroupParams, a_ns: i64, b_ns: i64, distance: f64, delay_s: Option<f64>) -> f64 {
    let gap = a_ns.abs_diff(b_ns) as f64;
    let allowed = delay_s.map_or(params.time_hop_scale_ns as f64 * distance.max(0.0), |delay| delay.max(0.0) * 1e9);
    let scale = params.time_scale_ns as f64 + allowed;
    let ratio = gap / scale.max(1.0);
    1.0 / (1.0 + ratio * ratio)
}

/// Evidence from the topology: exp(-distance / scale), 0 beyond the search,
/// the configured middle where nothing is known.
#[must_use]
pub fn topology_evidence(params: &GroupParams, proximity: Proximity) -> f64 {
    match proximity {
        Proximity::Near(distance) => (-distance.max(0.0) / params.distance_scale.max(1e-9)).exp(),
        Proximity::Beyond | Proximity::Apart => 0.0,
        // No nearer than the search goes.
        Proximity::Part => topology_evidence(params, Proximity::Near(f64::from(params.hops_max))),
        Proximity::Unknown => params.topology_unknown,
        Proximity::Absent => params.topology_absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_and_bias_add_up_to_the_logit_of_the_score() {
        let params = GroupParams::default();
        let evidence = Evidence { time: 0.9, topology: 0.4, text: 0.2, learned: 0.0 };
        let sum: f64 = params.bias + params.contributions(&evidence).iter().sum::<f64>();
        let score = params.combine(&evidence);
        assert!((sum - (score / (1.0 - score)).ln()).abs() < 1e-9);
    }

    #[test]
    fn time_evidence_halves_at_the_scale_and_is_symmetric() {
        let params = GroupParams::default();
        let scale = params.time_scale_ns;
        assert!((time_evidence(&params, 0, scale, 0.0, None) - 0.5).abs() < 1e-12);
        assert_eq!(time_evidence(&params, 5, 900, 1.0, None), time_evidence(&params, 900, 5, 1.0, None));
        assert!(time_evidence(&params, 0, scale, 2.0, None) > 0.5, "distance allows for propagation");
        let slow = time_evidence(&params, 0, 3 * scale, 1.0, Some(600.0));
        assert!(slow > 0.5 && slow > time_evidence(&params, 0, 3 * scale, 1.0, None), "what was learned stands in");
        assert!(time_evidence(&params, i64::MIN, i64::MAX, 0.0, None) < 1e-9);
    }

    #[test]
    fn onsets_too_far_apart_are_never_linked_however_near_the_entities() {
        let params = GroupParams::default();
        let near = |time| Evidence { time, topology: 1.0, text: 1.0, learned: 1.0 };
        assert!(params.combine(&near(params.time_min)) > params.threshold);
        assert_eq!(params.combine(&near(params.time_min * 0.99)), 0.0);
    }

    #[test]
    fn where_no_path_joins_two_the_same_words_at_the_same_time_need_not_do() {
        let same = Evidence { time: 1.0, topology: 0.0, text: 1.0, learned: 0.0 };
        let lenient = GroupParams::default();
        let strict = GroupParams { beyond_penalty: 2.5, ..GroupParams::default() };
        assert!(lenient.combine(&same) >= lenient.threshold && strict.combine(&same) < strict.threshold);
        let near = Evidence { topology: 0.5, ..same };
        assert_eq!(lenient.combine(&near), strict.combine(&near));
    }

    #[test]
    fn unknown_topology_lies_between_near_and_beyond() {
        let params = GroupParams::default();
        let near = topology_evidence(&params, Proximity::Near(1.0));
        let unknown = topology_evidence(&params, Proximity::Unknown);
        assert_eq!(topology_evidence(&params, Proximity::Near(0.0)), 1.0);
        assert!(near > unknown && unknown > topology_evidence(&params, Proximity::Beyond));
    }
}
