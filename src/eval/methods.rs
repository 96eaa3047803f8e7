//! What judges single series in the tables: ours, simple rivals, and the floors
//! `random` and `null`. Every method sees the points in order and one at a
//! time; a point's score uses nothing after it. One configuration for all sets.

use super::settings::Settings;
use crate::models_cmd::detect::verdicts;
use crate::progress::{SharedBar, shared_bar};
use anyhow::Result;
use bellwether_models::metric::Verdict;
use rayon::prelude::*;

/// The name of our row in every table.
pub const OURS: &str = "bellwether";

/// A rival: its name and its scores of a series.
pub type Rival = (&'static str, fn(&[f64]) -> Vec<f64>);

/// Simple rivals and the floors, in table order.
pub const RIVALS: &[Rival] = &[
    ("EWMA z", ewma_z),
    ("absolute difference", difference),
    ("random", random),
    ("null", |values| vec![0.0; values.len()]),
];

/// Times (nanoseconds since 1970) and values of one series.
#[derive(Debug, Clone)]
pub struct Points<'a> {
    /// Time of each point.
    pub at_ns: Vec<i64>,
    /// Value of each point.
    pub values: &'a [f64],
}

/// What ours says of every series, in their order; `bar` is pushed by one a point.
///
/// # Errors
/// When the parameters are out of range.
pub fn ours(settings: &Settings, series: &[Points<'_>], bar: &SharedBar) -> Result<Vec<Vec<Verdict>>> {
    series.par_iter().map(|one| verdicts(settings, &one.at_ns, one.values, bar)).collect()
}

/// A bar over the points of `series`.
#[must_use]
pub fn points_bar(series: &[Points<'_>]) -> SharedBar {
    shared_bar(Some(series.iter().map(|one| one.values.len() as u64).sum()), "points")
}

/// Scores by method, ours first, then by series.
#[must_use]
pub fn all(series: &[Points<'_>], verdicts: &[Vec<Verdict>]) -> Vec<(&'static str, Vec<Vec<f64>>)> {
    let own = verdicts.iter().map(|all| all.iter().map(|verdict| verdict.score).collect()).collect();
    let rival = |(name, judge): &Rival| (*name, series.par_iter().map(|one| judge(one.values)).collect());
    std::iter::once((OURS, own)).chain(RIVALS.iter().map(rival)).collect()
}

fn ewma_z(values: &[f64]) -> Vec<f64> {
    let (mut mean, mut variance, rate) = (values.first().copied().unwrap_or(0.0), 0.0_f64, 0.1);
    let judge = |value: &f64| {
        let residual = value - mean;
        let size = if variance > 0.0 { residual.abs() / variance.sqrt() } else { 0.0 };
        mean += rate * residual;
        variance = (1.0 - rate) * (variance + rate * residual * residual);
        size
    };
    values.iter().map(judge).collect()
}

fn difference(values: &[f64]) -> Vec<f64> {
    let steps = values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    std::iter::once(0.0).chain(steps).take(values.len()).collect()
}

/// Xorshift with a fixed seed per length: the same floor in every run.
fn random(values: &[f64]) -> Vec<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ values.len() as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    values.iter().map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rival_scores_every_point_and_the_floors_are_there() {
        for (name, judge) in RIVALS {
            for length in [0, 1, 7] {
                assert_eq!(judge(&vec![1.0; length]).len(), length, "{name}");
            }
        }
        for floor in ["random", "null"] {
            assert!(RIVALS.iter().any(|(name, _)| *name == floor), "{floor}");
        }
        assert_eq!(random(&[0.0; 9]), random(&[1.0; 9]), "the same in every run");
        assert_eq!(difference(&[1.0, 4.0, 2.0]), [0.0, 3.0, 2.0]);
    }
}
