//! How long trouble takes along an edge, learned from incidents that are over.
//!
//! Idea: one histogram of delays per kind of edge and per pair of entities, its bins widening
//! geometrically, its old counts decaying with each new one, so that a quantile costs a pass over
//! 32 numbers and the state never grows. A quantile is told from a minimum support on.
//! Use it where a delay spreads over orders of magnitude and only its order matters; the error
//! of a quantile is at most the width of its bin, a third of the value.

use serde::{Deserialize, Serialize};

/// Bins: the first ends at half a second, each further one a third later, the last takes the rest
/// (from an hour on).
const BINS: usize = 32;
const FIRST_END_S: f64 = 0.5;
const GROWTH: f64 = 4.0 / 3.0;

/// Settings of [`DelaySketch`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DelayParams {
    /// Decayed observations before a quantile is told.
    pub support_min: f64,
    /// Factor on old counts at each new observation, 0–1.
    pub keep: f64,
}

impl Default for DelayParams {
    fn default() -> Self {
        Self { support_min: 8.0, keep: 0.99 }
    }
}

/// Decaying counts of delays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DelaySketch {
    counts: Vec<f64>,
}

impl DelaySketch {
    /// Takes one delay in seconds; what is not a number counts as nothing.
    pub fn observe(&mut self, delay_s: f64, params: &DelayParams) {
        if !delay_s.is_finite() {
            return;
        }
        self.counts.resize(BINS, 0.0);
        for count in &mut self.counts {
            *count *= params.keep;
        }
        self.counts[bin(delay_s.max(0.0))] += 1.0;
    }

    /// Decayed number of observations.
    #[must_use]
    pub fn support(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The delay in seconds below which the share `q` (0–1) of observations lies; `None` below the
    /// minimum support. Within a bin observations count as spread evenly.
    #[must_use]
    pub fn quantile(&self, q: f64, params: &DelayParams) -> Option<f64> {
        let support = self.support();
        if support < params.support_min.max(f64::MIN_POSITIVE) {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * support;
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate() {
            if *count > 0.0 && below + count >= wanted {
                let start = if index == 0 { 0.0 } else { end_of(index - 1) };
                return Some(start + (end_of(index) - start) * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        Some(end_of(BINS - 1))
    }
}

fn end_of(index: usize) -> f64 {
    FIRST_END_S * GROWTH.powi(index as i32)
}

fn bin(delay_s: f64) -> usize {
    (0..BINS - 1).find(|index| delay_s < end_of(*index)).unwrap_or(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_third_of_the_truth_and_need_support() {
        let params = DelayParams { keep: 1.0, ..DelayParams::default() };
        let mut sketch = DelaySketch::default();
        for second in 1..=7 {
            sketch.observe(f64::from(second), &params);
        }
        assert_eq!(sketch.quantile(0.5, &params), None);
        for second in 8..=100 {
            sketch.observe(f64::from(second), &params);
        }
        for (q, truth) in [(0.5, 50.0), (0.9, 90.0)] {
            let told = sketch.quantile(q, &params).expect("there is support");
            assert!((told / truth - 1.0_f64).abs() < 1.0 / 3.0, "{q}: {told}");
        }
    }

    #[test]
    fn what_is_new_outweighs_what_was() {
        let params = DelayParams { keep: 0.9, ..DelayParams::default() };
        let mut sketch = DelaySketch::default();
        (0..100).for_each(|_| sketch.observe(600.0, &params));
        (0..30).for_each(|_| sketch.observe(5.0, &params));
        assert!(sketch.quantile(0.5, &params).expect("there is support") < 8.0);
        assert!(sketch.support() < 10.1, "the state forgets");
    }

    #[test]
    fn odd_delays_do_no_harm() {
        let params = DelayParams { support_min: 1.0, ..DelayParams::default() };
        let mut sketch = DelaySketch::default();
        for delay in [f64::NAN, f64::INFINITY, -5.0, 1e12] {
            sketch.observe(delay, &params);
        }
        assert!(sketch.quantile(1.0, &params).is_some_and(f64::is_finite));
    }
}
