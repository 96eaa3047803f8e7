//! The streaming detector over the series of one entity.

use super::params::CheckedMultiParams;
use super::precision::Precision;
use super::series::{COUNT_MAX, Series, TEACH_MAX};
use crate::metric::score_from_bits;
use serde::{Deserialize, Serialize};

/// What one series one width outside its usual range adds to the load of a row.
const OUTSIDE_WEIGHT: f64 = 10.0;
/// What one sigma beyond three adds, in one series.
const BEYOND_WEIGHT: f64 = 0.3;
/// Load from which a row raises an alarm: once in some 2,000 training rows of the public sets, their
/// own troubles included.
const ALARM_LOAD: f64 = 10.77;
/// Bits of a series that is one width outside its range: one such series is half the scale of scores.
const BITS_PER_ROOT: f64 = 10.0;

/// What one row looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowVerdict {
    /// How unusual it is, in `[0, 1)`; 0 while learning.
    pub score: f64,
    /// Whether an alarm begins with it.
    pub anomaly: bool,
}

/// State for one entity: `dims * (2 * dims + 11)` numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiDetector {
    rows: u32,
    /// Whether the row before was above the alarm.
    above: bool,
    series: Vec<Series>,
    standard: Vec<f64>,
    smooth: Vec<f64>,
    precision: Precision,
}

impl MultiDetector {
    /// A detector for `dims` series that has seen nothing.
    #[must_use]
    pub fn new(_params: &CheckedMultiParams, dims: usize) -> Self {
        Self {
            rows: 0,
            above: false,
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
    /// each series in the surprise (summing to 1, or all 0) to `contributions`.
    /// Values that are not finite count as expected; a row shorter than `dims`
    /// lacks its last values.
    pub fn update(&mut self, params: &CheckedMultiParams, values: &[f64], contributions: &mut [f64]) -> RowVerdict {
        let (score, load) = self.look(params, values, contributions);
        let above = load >= ALARM_LOAD;
        let anomaly = above && !self.above;
        self.above = above;
        RowVerdict { score, anomaly }
    }

    /// The score of a row, and what alarms are decided by.
    fn look(&mut self, params: &CheckedMultiParams, values: &[f64], contributions: &mut [f64]) -> (f64, f64) {
        /// Larger values are cut: what lies beyond overflows in the statistics.
        const VALUE_MAX: f64 = 1e18;
        contributions.fill(0.0);
        if self.series.is_empty() {
            return (0.0, 0.0);
        }
        let rate = params.rate.max(1.0 / (f64::from(self.rows) + 1.0));
        for index in 0..self.dims() {
            let value = values.get(index).copied().unwrap_or(f64::NAN);
            // Infinities stay what they are: not finite, expected.
            let value = if value.is_finite() { value.clamp(-VALUE_MAX, VALUE_MAX) } else { value };
            self.standard[index] = self.series[index].take(params, value, rate, self.rows);
            self.smooth[index] += params.smooth_rate * (self.standard[index] - self.smooth[index]);
            self.standard[index] = self.standard[index].clamp(-TEACH_MAX, TEACH_MAX);
        }
        self.rows = self.rows.saturating_add(1);
        // The relations come from the first half of the learning rows and once more from all of them.
        // What they leave is measured from then on: on rows that they were not fitted to.
        let relations = params.learning_rows.div_ceil(2);
        let renew = self.rows == relations || self.rows == params.learning_rows;
        self.precision.learn(&self.standard, rate, params.ridge, renew);
        if self.rows <= relations {
            return (0.0, 0.0);
        }
        let measured = f64::from(self.rows - relations);
        let judged = self.judge(params, params.rate.max(1.0 / measured), contributions);
        if self.rows <= params.learning_rows {
            contributions.fill(0.0);
            return (0.0, 0.0);
        }
        judged
    }

    /// Each series by three parts: what the others leave of it, what is outside its own range, and
    /// what is beyond three sigmas. For the alarm they are added as they are, so that one series far
    /// out is enough. For the score each series counts by a root: what many do a little at once is
    /// stranger than what one does loudly, as some series of an entity always will.
    fn judge(&mut self, params: &CheckedMultiParams, rate: f64, contributions: &mut [f64]) -> (f64, f64) {
        let (mut total, mut shares) = (0.0_f64, 0.0_f64);
        for index in 0..self.dims() {
            let leftover = self.precision.residual(index, &self.smooth).abs();
            let size = self.series[index].leftover_size(params, leftover, rate);
            total += size.min(COUNT_MAX).powi(2);
            // A series that stayed where it is was left by another: its own
            // deviation weighs its share. Uncapped, for two beyond it differ.
            let share = size * self.smooth[index].abs();
            shares += share;
            if let Some(out) = contributions.get_mut(index) {
                *out = share;
            }
        }
        let left = (total / self.dims() as f64).sqrt();
        let own = |series: &Series| OUTSIDE_WEIGHT * series.outside + BEYOND_WEIGHT * series.beyond;
        let load = left + self.series.iter().map(own).sum::<f64>();
        for (share, series) in contributions.iter_mut().zip(&self.series) {
            let related = if shares > 0.0 { left * *share / shares } else { 0.0 };
            *share = related + own(series);
        }
        let sum: f64 = contributions.iter().sum();
        if sum > 0.0 {
            contributions.iter_mut().for_each(|share| *share /= sum);
        }
        let strangeness: f64 = self.series.iter().map(Series::strangeness).sum();
        (score_from_bits(BITS_PER_ROOT * strangeness), load)
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
            let score = detector.update(&params, &row, &mut shares).score;
            usual = usual.max(if i > 2000 { score } else { 0.0 });
        }
        // Within its own range, but against its companions.
        let mut odd: f64 = 0.0;
        for i in 4000..4010 {
            let wave = (f64::from(i) * 0.05).sin();
            odd = odd.max(detector.update(&params, &[wave, 10.0 + 3.0 * wave, 1.0], &mut shares).score);
        }
        assert!(odd > usual, "{odd} against {usual}");
        assert!(shares[2] > 0.3, "{shares:?}");
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_many_do_a_little_is_stranger_than_what_one_does_loudly() {
        let params = MultiParams::default().check().expect("in range");
        let highest = |shifted: usize, by: f64| {
            let mut detector = MultiDetector::new(&params, 8);
            let noise = |row: i32, column: usize| f64::from((row * 7919 + column as i32 * 104_729) % 101) * 0.01;
            let mut judge = |row: i32| {
                let shift = |column: usize| if row >= 2_000 && column < shifted { by } else { 0.0 };
                let values: Vec<f64> = (0..8).map(|column| noise(row, column) + shift(column)).collect();
                detector.update(&params, &values, &mut [0.0; 8]).score
            };
            (0..2_020).map(&mut judge).skip(2_000).fold(0.0, f64::max)
        };
        let (many, one) = (highest(8, 1.0), highest(1, 4.0));
        assert!(many > one, "{many} for eight, {one} for one");
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
            assert!(detector.update(&params, &row, &mut shares).score.is_finite());
        }
        assert_eq!(MultiDetector::new(&params, 0).update(&params, &[], &mut []).score, 0.0);
    }
}
