//! The streaming detector over the series of one entity.

use super::params::CheckedMultiParams;
use super::precision::Precision;
use crate::metric::score_from_bits;
use serde::{Deserialize, Serialize};

/// Deviations beyond this teach no more than this, in sigmas.
const TEACH_MAX: f64 = 30.0;
/// Deviations beyond this count no more than this.
const COUNT_MAX: f64 = 50.0;
/// A sigma is at least this share of the widest excursion: a series that never
/// moved must not turn a rounding into an event.
const SIGMA_FLOOR_SHARE: f64 = 0.015;
/// What the others leave of a series is usually at least this, in sigmas.
const LEFTOVER_FLOOR: f64 = 0.02;
/// Rows that teach whole, before there is a scale to clip by.
const ROWS_UNCLIPPED: u32 = 10;
/// One unit of score stands for this many bits: a root mean square of 4 over
/// all series is as rare as a one-in-1024 point.
const BITS_PER_UNIT: f64 = 2.5;
/// Mean absolute deviation to standard deviation, for a Gaussian.
const DEVIATION_TO_SIGMA: f64 = 1.2533;

/// State for one entity: `dims * (2 * dims + 6)` numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiDetector {
    rows: u32,
    series: Vec<Series>,
    standard: Vec<f64>,
    smooth: Vec<f64>,
    precision: Precision,
}

/// Running statistics of one series.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Series {
    mean: f64,
    deviation: f64,
    widest: f64,
    leftover: f64,
}

impl MultiDetector {
    /// A detector for `dims` series that has seen nothing.
    #[must_use]
    pub fn new(_params: &CheckedMultiParams, dims: usize) -> Self {
        Self {
            rows: 0,
            series: vec![Series::default(); dims],
            standard: vec![0.0; dims],
            smooth: vec![0.0; dims],
            precision: Precision::new(dims),
        }
    }

    /// Number of series.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.series.len()
    }

    /// Judges one row of `dims` values and learns from it. Writes the share of
    /// each series in the surprise (summing to 1, or all 0) to `contributions`
    /// and returns the score in `[0, 1)`. Values that are not finite count as
    /// expected; a row shorter than `dims` lacks its last values.
    pub fn update(&mut self, params: &CheckedMultiParams, values: &[f64], contributions: &mut [f64]) -> f64 {
        /// Larger values are cut: what lies beyond overflows in the statistics.
        const VALUE_MAX: f64 = 1e18;
        contributions.fill(0.0);
        if self.series.is_empty() {
            return 0.0;
        }
        let rate = params.rate.max(1.0 / (f64::from(self.rows) + 1.0));
        for index in 0..self.dims() {
            let value = values.get(index).copied().unwrap_or(f64::NAN);
            // Infinities stay what they are: not finite, expected.
            let value = if value.is_finite() { value.clamp(-VALUE_MAX, VALUE_MAX) } else { value };
            self.standard[index] = self.series[index].standardise(value, rate, self.rows);
            self.smooth[index] += params.smooth_rate * (self.standard[index] - self.smooth[index]);
            self.standard[index] = self.standard[index].clamp(-TEACH_MAX, TEACH_MAX);
        }
        self.rows = self.rows.saturating_add(1);
        let first = self.rows == params.learning_rows;
        self.precision.learn(&self.standard, rate, params.ridge, first);
        if self.rows <= params.learning_rows {
            return 0.0;
        }
        self.judge(rate, contributions)
    }

    fn judge(&mut self, rate: f64, contributions: &mut [f64]) -> f64 {
        let (mut total, mut shares) = (0.0_f64, 0.0_f64);
        for index in 0..self.dims() {
            let leftover = self.precision.residual(index, &self.smooth).abs();
            let size = self.series[index].leftover_size(leftover, rate);
            total += size.min(COUNT_MAX).powi(2);
            // A series that stayed where it is was left by another: its own
            // deviation weighs its share. Uncapped, for two beyond it differ.
            let share = size * self.smooth[index].abs();
            shares += share;
            if let Some(out) = contributions.get_mut(index) {
                *out = share;
            }
        }
        if shares > 0.0 {
            contributions.iter_mut().for_each(|share| *share /= shares);
        }
        score_from_bits(BITS_PER_UNIT * (total / self.dims() as f64).sqrt())
    }
}

impl Series {
    /// Distance from the mean in sigmas; learns mean and deviation.
    fn standardise(&mut self, value: f64, rate: f64, rows: u32) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        if rows == 0 {
            self.mean = value;
        }
        let residual = value - self.mean;
        self.widest = self.widest.max(residual.abs());
        let sigma = (DEVIATION_TO_SIGMA * self.deviation).max(SIGMA_FLOOR_SHARE * self.widest).max(1e-6);
        let edge = if rows < ROWS_UNCLIPPED { f64::MAX } else { TEACH_MAX * sigma };
        let taught = residual.clamp(-edge, edge);
        self.mean += rate * taught;
        self.deviation += rate * (taught.abs() - self.deviation);
        (residual / sigma).clamp(-COUNT_MAX, COUNT_MAX)
    }

    /// What the others leave, in units of what they usually leave.
    fn leftover_size(&mut self, leftover: f64, rate: f64) -> f64 {
        let usual = (DEVIATION_TO_SIGMA * self.leftover).max(LEFTOVER_FLOOR);
        self.leftover += rate * (leftover.min(TEACH_MAX * usual) - self.leftover);
        leftover / usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi::MultiParams;

    #[test]
    fn a_series_that_leaves_its_companions_is_named() {
        let params = MultiParams::default().check().expect("in range");
        let mut detector = MultiDetector::new(&params, 3);
        let mut shares = [0.0; 3];
        let mut usual: f64 = 0.0;
        for i in 0..4000 {
            let wave = (f64::from(i) * 0.05).sin();
            let row = [wave, 10.0 + 3.0 * wave + 0.01 * f64::from(i % 5), -wave];
            let score = detector.update(&params, &row, &mut shares);
            usual = usual.max(if i > 2000 { score } else { 0.0 });
        }
        // Within its own range, but against its companions.
        let mut odd: f64 = 0.0;
        for i in 4000..4010 {
            let wave = (f64::from(i) * 0.05).sin();
            odd = odd.max(detector.update(&params, &[wave, 10.0 + 3.0 * wave, 1.0], &mut shares));
        }
        assert!(odd > usual, "{odd} against {usual}");
        assert!(shares[2] > 0.3, "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn short_rows_extremes_and_nan_do_not_panic() {
        let params = MultiParams::default().check().expect("in range");
        let mut detector = MultiDetector::new(&params, 2);
        let mut shares = [0.0; 1];
        for i in 0..400 {
            let row = match i % 3 {
                0 => vec![f64::NAN],
                1 => vec![f64::MAX, -f64::MAX],
                _ => vec![1.0, f64::INFINITY],
            };
            assert!(detector.update(&params, &row, &mut shares).is_finite());
        }
        assert_eq!(MultiDetector::new(&params, 0).update(&params, &[], &mut []), 0.0);
    }
}
