//! One question about a series: a level, the usual deviation from it and the
//! learned tail of that deviation. 20 bytes.

use crate::shared::Tail;
use serde::{Deserialize, Serialize};

/// Mean absolute deviation to standard deviation, for a Gaussian.
const DEVIATION_TO_SIGMA: f64 = 1.2533;
/// Deviations beyond this many teach no more than this: an outlier is not the norm.
const CLIP: f64 = 4.0;

/// Level, deviation, tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) level: f64,
    deviation: f32,
    pub(super) tail: Tail,
}

impl Track {
    pub(super) const fn new(level: f64) -> Self {
        Self { level, deviation: 0.0, tail: Tail::new(2.5, 0.8) }
    }

    /// One standard deviation in the unit of the series, at least `floor`.
    pub(super) fn sigma(&self, floor: f64) -> f64 {
        (DEVIATION_TO_SIGMA * f64::from(self.deviation)).max(floor)
    }

    /// A residual clipped to what may teach.
    pub(super) fn clipped(&self, residual: f64, floor: f64) -> f64 {
        let edge = CLIP * f64::from(self.deviation).max(floor);
        residual.clamp(-edge, edge)
    }

    /// Moves level, deviation and tail. `size` is the residual in sigmas.
    pub(super) fn learn(&mut self, residual: f64, size: f64, floor: f64, rates: Rates) {
        let taught = if rates.unclipped { residual } else { self.clipped(residual, floor) };
        self.level += rates.level * taught;
        self.deviation += (rates.deviation * (taught.abs() - f64::from(self.deviation))) as f32;
        self.tail.learn(size, rates.tail);
    }
}

/// How fast a track learns from one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) level: f64,
    pub(super) deviation: f64,
    pub(super) tail: f64,
    /// The first points teach whole: there is no scale to clip by yet.
    pub(super) unclipped: bool,
}
