//! Running covariance of standardised rows and its inverse, renewed now and
//! then.

use serde::{Deserialize, Serialize};

/// Rows between two inversions: relations between series change slowly, and
/// an inversion costs as much as `dims` updates.
const RENEW_EVERY: u32 = 200;

/// Covariance and precision of `dims` series, both row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Precision {
    dims: usize,
    covariance: Vec<f64>,
    inverse: Vec<f64>,
    age: u32,
}

impl Precision {
    pub(super) fn new(dims: usize) -> Self {
        let mut inverse = vec![0.0; dims * dims];
        (0..dims).for_each(|i| inverse[i * dims + i] = 1.0);
        Self { dims, covariance: vec![0.0; dims * dims], inverse, age: 0 }
    }

    /// Learns one standardised row; `renew` forces a new inverse.
    pub(super) fn learn(&mut self, row: &[f64], rate: f64, ridge: f64, renew: bool) {
        for (products, a) in self.covariance.chunks_exact_mut(self.dims).zip(row) {
            for (product, b) in products.iter_mut().zip(row) {
                *product += rate * (a * b - *product);
            }
        }
        self.age += 1;
        if renew || self.age >= RENEW_EVERY {
            self.age = 0;
            let mut matrix = self.covariance.clone();
            (0..self.dims).for_each(|i| matrix[i * self.dims + i] += ridge);
            invert(&mut matrix, &mut self.inverse, self.dims);
        }
    }

    /// What series `index` leaves when the others explain it.
    pub(super) fn residual(&self, index: usize, row: &[f64]) -> f64 {
        let weights = &self.inverse[index * self.dims..(index + 1) * self.dims];
        let product: f64 = weights.iter().zip(row).map(|(w, z)| w * z).sum();
        product / weights[index]
    }
}

/// Gauss–Jordan without pivoting: a covariance plus a ridge is positive
/// definite, so no pivot vanishes. `matrix` is used up.
fn invert(matrix: &mut [f64], inverse: &mut [f64], dims: usize) {
    inverse.fill(0.0);
    (0..dims).for_each(|i| inverse[i * dims + i] = 1.0);
    for column in 0..dims {
        let pivot = matrix[column * dims + column];
        for side in [&mut *matrix, &mut *inverse] {
            side[column * dims..(column + 1) * dims].iter_mut().for_each(|x| *x /= pivot);
        }
        for row in (0..dims).filter(|row| *row != column) {
            let factor = matrix[row * dims + column];
            if factor != 0.0 {
                subtract_row(matrix, dims, row, column, factor);
                subtract_row(inverse, dims, row, column, factor);
            }
        }
    }
}

/// `matrix[row] -= factor * matrix[other]`.
fn subtract_row(matrix: &mut [f64], dims: usize, row: usize, other: usize, factor: f64) {
    let (from, to) = (other * dims, row * dims);
    for k in 0..dims {
        matrix[to + k] -= factor * matrix[from + k];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_matrix_is_one() {
        let matrix = [4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let mut inverse = [0.0; 9];
        invert(&mut matrix.clone(), &mut inverse, 3);
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| matrix[i * 3 + k] * inverse[k * 3 + j]).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_twin_leaves_little_and_a_stranger_everything() {
        let mut precision = Precision::new(3);
        for i in 0..2000 {
            let (a, b) = ((f64::from(i) * 0.7).sin(), (f64::from(i) * 1.9).sin());
            precision.learn(&[a, a, b], 0.01, 0.01, false);
        }
        assert!(precision.residual(0, &[1.0, 1.0, 0.0]).abs() < 0.1);
        assert!(precision.residual(0, &[1.0, -1.0, 0.0]) > 1.5);
        assert!((precision.residual(2, &[0.0, 0.0, 1.0]) - 1.0).abs() < 0.1);
    }
}
