//! The smallest difference that means anything in a series.
//!
//! A series that never moves has no deviation to measure by, and its last digit must be no news: a millionth of
//! the level is nothing there. A series of tiny values, or one that moves little far from zero (seconds
//! since 1970, a counter of bytes), moves within that millionth and means it. What tells them apart is how far the
//! series moves when it moves.

use serde::{Deserialize, Serialize};

/// Share of the level that is nothing while the series has shown no smaller steps.
const SHARE: f64 = 1e-6;
/// The same for a level of zero, in the unit of the series.
const ABSOLUTE: f64 = 1e-9;
/// Share of the level below which steps are what is left of a sum in floating point.
const ROUNDING: f64 = 1e-13;
/// Share of the usual step that means something.
const STEP_SHARE: f64 = 0.5;
/// Weight of one step once some are known.
const RATE: f32 = 0.01;
/// A step teaches at most this many usual ones: a spike is not the norm.
const CLIP: f32 = 4.0;
/// Steps that teach whole.
const UNCLIPPED: u16 = 8;

/// How far a series moves when it moves: 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Resolution {
    step: f32,
    seen: u16,
}

impl Resolution {
    /// Learns the difference of one point to the one before; 0 teaches nothing.
    pub fn learn(&mut self, difference: f64) {
        let size = difference.abs() as f32;
        if size == 0.0 || !size.is_finite() {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        let taught = if self.seen <= UNCLIPPED { size } else { size.min(CLIP * self.step) };
        self.step += RATE.max(1.0 / f32::from(self.seen)) * (taught - self.step);
    }

    /// The smallest difference that counts at `level`, above zero.
    #[must_use]
    pub fn floor(&self, level: f64) -> f64 {
        let still = ABSOLUTE + SHARE * level.abs();
        if self.seen == 0 {
            return still;
        }
        let moving = STEP_SHARE * f64::from(self.step);
        still.min(moving.max(ROUNDING * level.abs()).max(f64::from(f32::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: &[f64]) -> Resolution {
        let mut resolution = Resolution::default();
        (0..50).for_each(|i| resolution.learn(steps[i % steps.len()]));
        resolution
    }

    #[test]
    fn what_never_moves_has_a_millionth_and_what_moves_has_its_steps() {
        let still = Resolution::default().floor(100.0);
        assert!((1e-4..1.001e-4).contains(&still), "{still}");
        assert_eq!(after(&[0.0]).floor(100.0), still);
        assert_eq!(after(&[1.0, -2.0]).floor(100.0), still, "large steps change nothing");
        let tiny = after(&[2e-11, -2e-11, 0.0]).floor(5e-11);
        assert!((0.9e-11..1.1e-11).contains(&tiny), "{tiny}");
        let far = after(&[1.0]).floor(1.7e9);
        assert!((0.49..0.51).contains(&far), "{far}");
    }

    #[test]
    fn what_is_left_of_sums_is_no_step_and_a_spike_is_not_the_norm() {
        assert!(after(&[5e-17]).floor(0.3) >= 0.3e-13);
        let mut resolution = after(&[1e-11]);
        resolution.learn(1e9);
        assert!(resolution.floor(0.0) < 1e-11);
    }
}
