//! The streaming detector over the series of one entity.

use super::params::CheckedMultiParams;
use crate::metric::score_from_bits;
use crate::shared::Tail;
use serde::{Deserialize, Serialize};

/// Standardised residuals beyond this teach no more than this.
const CLIP: f64 = 6.0;

/// State for one entity: `dims * (components + 2)` numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiDetector {
    dims: usize,
    rows: u32,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    /// Row-major `components x dims`, each row an eigenvector times its eigenvalue.
    basis: Vec<f64>,
    standard: Vec<f64>,
    tail: Tail,
}

impl MultiDetector {
    /// A detector for `dims` series that has seen nothing.
    #[must_use]
    pub fn new(params: &CheckedMultiParams, dims: usize) -> Self {
        let components = params.components.min(dims);
        Self {
            dims,
            rows: 0,
            mean: vec![0.0; dims],
            deviation: vec![0.0; dims],
            basis: vec![0.0; components * dims],
            standard: vec![0.0; dims],
            tail: Tail::new(2.5, 0.8),
        }
    }

    /// Number of series.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Judges one row of `dims` values and learns from it. Writes the share of
    /// each series in the surprise (summing to 1, or all 0) to `contributions`
    /// and returns the score in `[0, 1)`. Values that are not finite count as
    /// expected. Slices shorter than `dims` are treated as missing values.
    pub fn update(&mut self, params: &CheckedMultiParams, values: &[f64], contributions: &mut [f64]) -> f64 {
        let young = 1.0 / f64::from(self.rows + 1);
        let rate = params.rate.max(young);
        self.standardise(values, rate);
        let explained_from = self.rows > params.learning_rows;
        self.project(rate, explained_from);
        let total: f64 = self.standard.iter().map(|r| r * r).sum();
        for (out, residual) in contributions.iter_mut().zip(&self.standard) {
            *out = if total > 0.0 { residual * residual / total } else { 0.0 };
        }
        self.rows = self.rows.saturating_add(1);
        if !explained_from {
            return 0.0;
        }
        let size = (total / self.dims.max(1) as f64).sqrt();
        let bits = self.tail.bits(size);
        self.tail.learn(size, 0.001f64.max(0.5 * young));
        score_from_bits(bits.min(1000.0))
    }

    /// Writes standardised, clipped residuals to `self.standard` and learns
    /// mean and deviation.
    fn standardise(&mut self, values: &[f64], rate: f64) {
        for i in 0..self.dims {
            let value = values.get(i).copied().filter(|v| v.is_finite());
            let Some(value) = value else {
                self.standard[i] = 0.0;
                continue;
            };
            if self.rows == 0 {
                self.mean[i] = value;
            }
            let residual = value - self.mean[i];
            let scale = (1.2533 * self.deviation[i]).max(1e-9 + 1e-3 * self.mean[i].abs());
            let z = residual / scale;
            self.standard[i] = z.clamp(-100.0, 100.0);
            let clipped = z.clamp(-CLIP, CLIP) * scale;
            self.mean[i] += rate * clipped;
            self.deviation[i] += rate * (clipped.abs() - self.deviation[i]);
        }
    }

    /// Removes what the basis explains from `self.standard` and turns the basis
    /// towards this row.
    fn project(&mut self, rate: f64, subtract: bool) {
        let mut learner: Vec<f64> = self.standard.iter().map(|z| z.clamp(-CLIP, CLIP)).collect();
        for axis in self.basis.chunks_exact_mut(self.dims.max(1)) {
            let norm = axis.iter().map(|a| a * a).sum::<f64>().sqrt();
            if norm < 1e-12 {
                axis.copy_from_slice(&learner);
                break;
            }
            let score: f64 = axis.iter().zip(&learner).map(|(a, z)| a * z).sum::<f64>() / norm;
            let seen: f64 = axis.iter().zip(&self.standard).map(|(a, z)| a * z).sum::<f64>() / norm;
            for ((axis, learner), standard) in axis.iter_mut().zip(&mut learner).zip(&mut self.standard) {
                let unit = *axis / norm;
                *axis += rate * (score * *learner - *axis);
                *learner -= score * unit;
                if subtract {
                    *standard -= seen * unit;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multi::MultiParams;

    #[test]
    fn a_series_that_leaves_its_companions_is_named() {
        let params = MultiParams { components: 1.0, ..MultiParams::default() }.check().expect("in range");
        let mut detector = MultiDetector::new(&params, 3);
        let mut shares = [0.0; 3];
        let mut usual: f64 = 0.0;
        for i in 0..3000 {
            let wave = (f64::from(i) * 0.05).sin();
            let row = [wave, 10.0 + 3.0 * wave + 0.01 * f64::from(i % 5), -wave];
            usual = usual.max(if i > 1500 { detector.update(&params, &row, &mut shares) } else { detector.update(&params, &row, &mut shares); 0.0 });
        }
        let wave = (3000.0_f64 * 0.05).sin();
        let score = detector.update(&params, &[wave, 10.0 + 3.0 * wave, 4.0], &mut shares);
        assert!(score > usual, "{score} against {usual}");
        assert!(shares[2] > 0.5, "{shares:?}");
    }

    #[test]
    fn short_rows_and_nan_do_not_panic() {
        let params = MultiParams::default().check().expect("in range");
        let mut detector = MultiDetector::new(&params, 2);
        let mut shares = [0.0; 1];
        for _ in 0..200 {
            let score = detector.update(&params, &[f64::NAN], &mut shares);
            assert!(score.is_finite());
        }
        assert_eq!(MultiDetector::new(&params, 0).update(&params, &[], &mut []), 0.0);
    }
}
