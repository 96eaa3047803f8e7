//! One series among several: where it usually is, how far it strays, and how
//! much of an excursion is going on right now.

use super::params::CheckedMultiParams;
use serde::{Deserialize, Serialize};

/// Deviations beyond this teach no more than this, in sigmas.
pub(super) const TEACH_MAX: f64 = 30.0;
/// Deviations beyond this count no more than this.
pub(super) const COUNT_MAX: f64 = 50.0;
/// A sigma is at least this share of the widest excursion: a series that never
/// moved must not turn a rounding into an event.
const SIGMA_FLOOR_SHARE: f64 = 0.015;
/// For what a series does on its own the share is larger: one excursion seen
/// makes smaller ones ordinary, and the yardstick of a hardly moving series
/// must not be its stillness.
const EXCURSION_FLOOR_SHARE: f64 = 0.06;
/// What the others leave of a series is usually at least this, in sigmas.
const LEFTOVER_FLOOR: f64 = 0.02;
/// Rows that teach whole, before there is a scale to clip by.
const ROWS_UNCLIPPED: u32 = 10;
/// Mean absolute deviation to standard deviation, for a Gaussian.
const DEVIATION_TO_SIGMA: f64 = 1.2533;
/// Sigmas that are nothing unusual.
const USUAL_SIGMAS: f64 = 3.0;
/// Share of rows above the usual range, and below it.
const OUTSIDE_SHARE: f64 = 0.001;
/// Widths an edge of the range moves towards a value outside it.
const EDGE_STEP: f64 = 0.05;
/// While there are few rows an edge moves by this many widths over their number.
const EDGE_STEP_YOUNG: f64 = 20.0;
/// A range is at least this many sigmas wide.
const WIDTH_SIGMAS: f64 = 4.0;
/// What one sigma beyond the usual counts against one width of the range.
const SIGMA_WEIGHT: f64 = 0.01;
/// A value outside counts no more than this many widths.
const OUTSIDE_MAX: f64 = 5.0;

/// Running statistics of one series.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Series {
    mean: f64,
    deviation: f64,
    widest: f64,
    leftover: f64,
    low: f64,
    high: f64,
    /// How far beyond what is usual lately, in sigmas.
    pub(super) beyond: f64,
    /// How far outside the usual range lately, in widths of it.
    pub(super) outside: f64,
    /// How far what the others leave is beyond what is usual lately, in what they usually leave.
    pub(super) estranged: f64,
}

impl Series {
    /// Takes one value; returns its distance from the mean in sigmas. `rate` is
    /// the weight of one row, `rows` how many came before. A value that is not
    /// finite counts as expected and teaches nothing.
    pub(super) fn take(&mut self, params: &CheckedMultiParams, value: f64, rate: f64, rows: u32) -> f64 {
        let (mut size, mut beyond, mut outside) = (0.0, 0.0, 0.0);
        if value.is_finite() {
            if rows == 0 {
                (self.mean, self.low, self.high) = (value, value, value);
            }
            size = self.standardise(value, rate, rows);
            beyond = self.beyond(value);
            outside = self.outside(value, rows);
        }
        self.beyond += params.beyond_rate * (beyond - self.beyond);
        self.outside += params.outside_rate * (outside - self.outside);
        size
    }

    fn standardise(&mut self, value: f64, rate: f64, rows: u32) -> f64 {
        let residual = value - self.mean;
        self.widest = self.widest.max(residual.abs());
        let sigma = (DEVIATION_TO_SIGMA * self.deviation).max(SIGMA_FLOOR_SHARE * self.widest).max(1e-6);
        let edge = if rows < ROWS_UNCLIPPED { f64::MAX } else { TEACH_MAX * sigma };
        let taught = residual.clamp(-edge, edge);
        self.mean += rate * taught;
        self.deviation += rate * (taught.abs() - self.deviation);
        (residual / sigma).clamp(-COUNT_MAX, COUNT_MAX)
    }

    /// Sigmas beyond the usual, on the wider yardstick.
    fn beyond(&self, value: f64) -> f64 {
        let sigma = (DEVIATION_TO_SIGMA * self.deviation).max(EXCURSION_FLOOR_SHARE * self.widest).max(1e-6);
        (((value - self.mean) / sigma).abs().min(TEACH_MAX) - USUAL_SIGMAS).max(0.0)
    }

    /// Widths by which the value lies outside the usual range; moves the range,
    /// whose edges are quantiles tracked by stochastic steps.
    fn outside(&mut self, value: f64, rows: u32) -> f64 {
        let floor = (WIDTH_SIGMAS * DEVIATION_TO_SIGMA * self.deviation).max(EXCURSION_FLOOR_SHARE * self.widest);
        let width = (self.high - self.low).max(floor).max(1e-6);
        let over = ((value - self.high).max(self.low - value) / width).clamp(0.0, OUTSIDE_MAX);
        let step = width * EDGE_STEP.max(EDGE_STEP_YOUNG / (f64::from(rows) + 1.0)).min(1.0);
        self.high += if value > self.high { step.min(value - self.high) } else { -OUTSIDE_SHARE * step };
        self.low -= if value < self.low { step.min(self.low - value) } else { -OUTSIDE_SHARE * step };
        (self.high, self.low) = (self.high.max(self.mean), self.low.min(self.mean));
        over
    }

    /// What the others leave, in units of what they usually leave.
    pub(super) fn leftover_size(&mut self, params: &CheckedMultiParams, leftover: f64, rate: f64) -> f64 {
        let usual = (DEVIATION_TO_SIGMA * self.leftover).max(LEFTOVER_FLOOR);
        self.leftover += rate * (leftover.min(TEACH_MAX * usual) - self.leftover);
        let size = leftover / usual;
        let estranged = (size.min(COUNT_MAX) - USUAL_SIGMAS).max(0.0);
        self.estranged += params.beyond_rate * (estranged - self.estranged);
        size
    }

    /// How far it is from everything it usually does: the root of the sum of all three.
    pub(super) fn strangeness(&self) -> f64 {
        (self.outside + SIGMA_WEIGHT * (self.beyond + self.estranged)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi::MultiParams;

    #[test]
    fn a_shift_out_of_the_range_counts_and_a_swing_inside_does_not() {
        let params = MultiParams::default().check().expect("in range");
        let mut series = Series::default();
        let wave = |i: u32| 5.0 + (f64::from(i) * 0.05).sin();
        for i in 0..5000 {
            series.take(&params, wave(i), 1.0 / f64::from(i + 1), i);
        }
        assert!(series.outside < 0.01 && series.beyond < 0.01, "{series:?}");
        let mut outside = 0.0_f64;
        for i in 5000..5060 {
            series.take(&params, wave(i) + 4.0, 1.0 / f64::from(i + 1), i);
            outside = outside.max(series.outside);
        }
        assert!(outside > 0.1 && series.beyond > 0.3, "{outside} {series:?}");
    }
}
