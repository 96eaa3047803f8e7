//! When did the level change? Two cumulative sums, one for each direction
//! (Page, "Continuous inspection schemes", Biometrika 1954), over residuals
//! from the level of the present regime in its own deviations. A sum that
//! leaves its bound tells a change, and since when: it last was zero there,
//! the most likely onset. A new regime then begins.
//!
//! Use it to place the beginning of a shift and to cut a series into regimes.
//! Whether a point is odd is the detector's question.

use super::params::{ParamError, within};
use super::resolution::Resolution;
use super::version::{SavedError, known};
use serde::{Deserialize, Serialize};

/// Points that only teach a regime its level and deviation.
const LEARNING_POINTS: u32 = 30;
/// Weight of one point in level and deviation once the regime is old: a slow
/// drift is followed, not told.
const RATE: f64 = 0.002;
/// Residuals count, and teach, at most this many deviations: one outlier is no
/// change.
const CLIP: f64 = 4.0;
/// Larger values are cut: their differences must stay finite.
const VALUE_MAX: f64 = 1e150;
/// Mean absolute deviation to standard deviation, for a Gaussian.
const DEVIATION_TO_SIGMA: f64 = 1.2533;
/// Version of the saved form.
const VERSION: u16 = 2;
const WHAT: &str = "change point state";

/// Checked settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangeParams {
    slack: f64,
    bound: f64,
}

impl ChangeParams {
    /// `slack_sigmas`: half the smallest shift worth telling, 0.05 to 3.
    /// `bound_sigmas`: what a sum must gather, 2 to 1,000. With 0.5 and 12,
    /// independent noise raises a false change about once in 300,000 points
    /// (Siegmund, "Sequential analysis", 1985); neighbours that resemble each
    /// other need a higher bound.
    ///
    /// # Errors
    /// [`ParamError`] for the first value outside its range.
    pub fn new(slack_sigmas: f64, bound_sigmas: f64) -> Result<Self, ParamError> {
        Ok(Self {
            slack: within("slack_sigmas", slack_sigmas, 0.05, 3.0)?,
            bound: within("bound_sigmas", bound_sigmas, 2.0, 1_000.0)?,
        })
    }
}

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Points ago it began; 0 is the point that told it.
    pub points_ago: u32,
    /// The level before.
    pub before: f64,
    /// Mean of the points since.
    pub after: f64,
}

/// State of one series: 80 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct ChangePoints {
    seen: u32,
    level: f64,
    deviation: f64,
    resolution: Resolution,
    up: Sum,
    down: Sum,
}

/// One cumulative sum, and what came since it was zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sum {
    gathered: f64,
    points: u32,
    total: f64,
}

/// What is written.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    version: u16,
    seen: u32,
    level: f64,
    deviation: f64,
    resolution: Resolution,
    sums: [Sum; 2],
}

impl ChangePoints {
    /// Takes one point; `Some` when the level changed. A value that is not
    /// finite is left out.
    pub fn update(&mut self, params: &ChangeParams, value: f64) -> Option<Change> {
        if !value.is_finite() {
            return None;
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.seen == 0 {
            self.level = value;
        }
        let residual = value - self.level;
        let sigma = (DEVIATION_TO_SIGMA * self.deviation).max(self.resolution.floor(self.level));
        self.resolution.learn(residual);
        if self.seen >= LEARNING_POINTS {
            let size = (residual / sigma).clamp(-CLIP, CLIP);
            self.up.gather(size - params.slack, value);
            self.down.gather(-size - params.slack, value);
            let told = if self.up.gathered >= self.down.gathered { self.up } else { self.down };
            if told.gathered > params.bound {
                return Some(self.turn(&told));
            }
        }
        self.learn(residual, sigma);
        None
    }

    fn learn(&mut self, residual: f64, sigma: f64) {
        self.seen = self.seen.saturating_add(1);
        let rate = RATE.max(1.0 / f64::from(self.seen));
        let edge = if self.seen <= LEARNING_POINTS { f64::MAX } else { CLIP * sigma };
        let taught = residual.clamp(-edge, edge);
        self.level += rate * taught;
        self.deviation += rate * (taught.abs() - self.deviation);
    }

    /// Tells the change and begins a regime at the new level; its deviation is
    /// the old one's until it has learned its own.
    fn turn(&mut self, told: &Sum) -> Change {
        let after = told.total / f64::from(told.points.max(1));
        let change = Change { points_ago: told.points.saturating_sub(1), before: self.level, after };
        *self = Self { seen: 1, level: after, deviation: self.deviation, ..Self::default() };
        change
    }
}

impl Sum {
    fn gather(&mut self, step: f64, value: f64) {
        self.gathered = (self.gathered + step).max(0.0);
        if self.gathered > 0.0 {
            self.points = self.points.saturating_add(1);
            self.total += value;
        } else {
            *self = Self::default();
        }
    }
}

impl From<ChangePoints> for Saved {
    fn from(c: ChangePoints) -> Self {
        Self {
            version: VERSION,
            seen: c.seen,
            level: c.level,
            deviation: c.deviation,
            resolution: c.resolution,
            sums: [c.up, c.down],
        }
    }
}

impl TryFrom<Saved> for ChangePoints {
    type Error = SavedError;

    fn try_from(saved: Saved) -> Result<Self, SavedError> {
        known(WHAT, saved.version, VERSION)?;
        let numbers = [saved.level, saved.deviation, saved.sums[0].gathered, saved.sums[1].gathered];
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(SavedError::Broken { what: WHAT, why: "a number is not finite" });
        }
        let [up, down] = saved.sums;
        let Saved { seen, level, deviation, resolution, .. } = saved;
        Ok(Self { seen, level, deviation, resolution, up, down })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    /// Noise of deviation 1, about Gaussian.
    fn noise(rng: &mut Xoshiro256PlusPlus) -> f64 {
        (0..12).map(|_| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0
    }

    fn params() -> ChangeParams {
        ChangeParams::new(0.5, 12.0).expect("in range")
    }

    fn changes(values: impl Iterator<Item = f64>) -> Vec<(usize, Change)> {
        let mut state = ChangePoints::default();
        values.enumerate().filter_map(|(i, value)| state.update(&params(), value).map(|c| (i, c))).collect()
    }

    #[test]
    fn a_shift_of_two_sigmas_is_found_with_its_onset_and_levels() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let found = changes((0..2000).map(|i| noise(&mut rng) + if i < 1000 { 50.0 } else { 52.0 }));
        assert_eq!(found.len(), 1, "{found:?}");
        let (at, change) = found[0];
        let onset = at - change.points_ago as usize;
        assert!((995..1005).contains(&onset) && at < 1030, "{found:?}");
        assert!((change.before - 50.0).abs() < 0.3 && (change.after - 52.0).abs() < 0.8, "{found:?}");
    }

    #[test]
    fn noise_and_single_outliers_are_no_change() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let found = changes((0..50_000).map(|i| noise(&mut rng) + if i % 997 == 0 { 500.0 } else { 0.0 }));
        assert!(found.len() <= 1, "{found:?}");
    }

    #[test]
    fn up_and_back_down_are_two_changes() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
        let found = changes((0..1500).map(|i| noise(&mut rng) + if (500..1000).contains(&i) { -4.0 } else { 0.0 }));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].1.after < -3.0 && found[1].1.after > -1.5, "{found:?}");
    }

    #[test]
    fn the_state_is_small_and_comes_back_from_its_saved_form() {
        assert_eq!(size_of::<ChangePoints>(), 80);
        let mut state = ChangePoints::default();
        (0..100).for_each(|i| assert_eq!(state.update(&params(), f64::from(i % 7)), None));
        let text = serde_json::to_string(&state).expect("serialises");
        assert_eq!(serde_json::from_str::<ChangePoints>(&text).expect("reads"), state);
        let later = text.replace("\"version\":2", "\"version\":3");
        assert!(serde_json::from_str::<ChangePoints>(&later).is_err());
    }

    #[test]
    fn extremes_do_not_panic() {
        let mut state = ChangePoints::default();
        for value in [f64::MAX, -f64::MAX, f64::NAN, 0.0, f64::INFINITY].repeat(40) {
            state.update(&params(), value);
        }
    }
}
