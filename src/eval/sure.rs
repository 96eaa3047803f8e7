//! How sure a difference is: a paired bootstrap over units (Efron and
//! Tibshirani, "An Introduction to the Bootstrap", 1993). Units are drawn with
//! replacement, the same ones for both runs, and the figure is formed anew; the
//! interval is where the middle 95 % of the differences lie.

use super::units::Figure;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng};

/// Drawings of units: the edges of the interval then move by less than a
/// twentieth of its width from seed to seed.
pub const RESAMPLES: usize = 2_000;
/// The seed: the same runs give the same interval.
const SEED: u64 = 42;
/// Share of differences outside the interval, on each side.
const TAIL: f64 = 0.025;

/// A difference and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Figure of the first run.
    pub a: f64,
    /// Figure of the second.
    pub b: f64,
    /// Lower edge of the 95 % interval of `b - a`.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
}

/// The difference of a figure between paired rows of two runs, with its
/// interval; the edges are NaN when no resample defines the figure.
#[must_use]
pub fn difference(figure: &Figure, columns: &[String], pairs: &[(&[f64], &[f64])]) -> Difference {
    let over = |picked: &[usize], of_b: bool| {
        let row = |at: &usize| if of_b { pairs[*at].1 } else { pairs[*at].0 };
        figure.over(columns, picked.iter().map(row))
    };
    let mut picked: Vec<usize> = (0..pairs.len()).collect();
    let (a, b) = (over(&picked, false), over(&picked, true));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut differences = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        picked.iter_mut().for_each(|at| *at = below(&mut rng, pairs.len()));
        let difference = over(&picked, true) - over(&picked, false);
        if difference.is_finite() {
            differences.push(difference);
        }
    }
    differences.sort_unstable_by(f64::total_cmp);
    let edge = |share: f64| {
        let rank = (share * differences.len() as f64) as usize;
        differences.get(rank.min(differences.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    Difference { a, b, low: edge(TAIL), high: edge(1.0 - TAIL) }
}

/// Uniform below `count`; 0 when `count` is 0.
pub(crate) fn below(rng: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    ((u128::from(rng.next_u64()) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, f64)]) -> Difference {
        let rows: Vec<([f64; 1], [f64; 1])> = pairs.iter().map(|(a, b)| ([*a], [*b])).collect();
        let pairs: Vec<(&[f64], &[f64])> = rows.iter().map(|(a, b)| (a.as_slice(), b.as_slice())).collect();
        difference(&Figure::mean("x", "x"), &["x".to_owned()], &pairs)
    }

    #[test]
    fn a_constant_gain_is_sure_however_the_units_differ() {
        let pairs: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), f64::from(i) + 0.25)).collect();
        let got = of(&pairs);
        assert!((got.low - 0.25).abs() < 1e-9 && (got.high - 0.25).abs() < 1e-9, "{got:?}");
        assert_eq!((got.a, got.b), (19.5, 19.75));
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_approximation() {
        // 100 pairs, half +1, half -1: standard error 0.1, 95 % within 0.196.
        let pairs: Vec<(f64, f64)> = (0..100).map(|i| (0.0, if i % 2 == 0 { 1.0 } else { -1.0 })).collect();
        let got = of(&pairs);
        assert!((got.low + 0.196).abs() < 0.03 && (got.high - 0.196).abs() < 0.03, "{got:?}");
        assert_eq!(of(&pairs), got, "the same in every run");
    }

    #[test]
    fn without_units_nothing_is_known() {
        let got = of(&[]);
        assert!(got.a.is_nan() && got.low.is_nan() && got.high.is_nan());
    }
}
