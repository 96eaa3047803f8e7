//! How well rankings name the cause, and how honest their confidence is.

/// Share of cases whose true cause is among the first `k`. `ranks` holds the
/// place of the true cause in each case, 1 for the first, `None` when it is not
/// listed. No cases give 0.
#[must_use]
pub fn as_at(ranks: &[Option<usize>], k: usize) -> f64 {
    if ranks.is_empty() {
        return 0.0;
    }
    let hits = ranks.iter().flatten().filter(|rank| **rank <= k).count();
    hits as f64 / ranks.len() as f64
}

/// Mean of AS@1 to AS@5.
#[must_use]
pub fn avg_at_5(ranks: &[Option<usize>]) -> f64 {
    (1..=5).map(|k| as_at(ranks, k)).sum::<f64>() / 5.0
}

/// One bin of a reliability curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Mean stated confidence of its answers.
    pub confidence: f64,
    /// Share of them that were right.
    pub accuracy: f64,
    /// Number of answers.
    pub answers: usize,
}

/// Reliability curve of answers `(confidence, right)`: `bins` equal widths over
/// 0..1, empty ones left out, in order.
#[must_use]
pub fn reliability(answers: &[(f64, bool)], bins: usize) -> Vec<Bin> {
    let bins = bins.max(1);
    let mut sums = vec![(0.0, 0.0, 0_usize); bins];
    for &(confidence, right) in answers {
        let place = ((confidence.clamp(0.0, 1.0) * bins as f64) as usize).min(bins - 1);
        sums[place].0 += confidence;
        sums[place].1 += f64::from(u8::from(right));
        sums[place].2 += 1;
    }
    let bin = |(confidence, right, answers): (f64, f64, usize)| Bin {
        confidence: confidence / answers as f64,
        accuracy: right / answers as f64,
        answers,
    };
    sums.into_iter().filter(|(_, _, answers)| *answers > 0).map(bin).collect()
}

/// Expected calibration error (Guo et al. 2017): mean distance between stated
/// confidence and accuracy over ten bins, weighted by answers. No answers give 0.
#[must_use]
pub fn calibration_error(answers: &[(f64, bool)]) -> f64 {
    let part = |bin: Bin| (bin.confidence - bin.accuracy).abs() * bin.answers as f64;
    reliability(answers, 10).into_iter().map(part).sum::<f64>() / answers.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let ranks = [Some(1), Some(2), Some(6), None];
        assert_eq!([as_at(&ranks, 1), as_at(&ranks, 3), as_at(&ranks, 10)], [0.25, 0.5, 0.75]);
        assert!((avg_at_5(&ranks) - (0.25 + 4.0 * 0.5) / 5.0).abs() < 1e-12);
        assert_eq!(as_at(&[], 1), 0.0);
    }

    #[test]
    fn honest_confidence_has_no_error_and_boasting_has() {
        let honest: Vec<(f64, bool)> = (0..10).map(|i| (0.8, i < 8)).collect();
        assert!(calibration_error(&honest) < 1e-12);
        let boasting: Vec<(f64, bool)> = (0..10).map(|i| (1.0, i < 5)).collect();
        assert!((calibration_error(&boasting) - 0.5).abs() < 1e-12);
        let two = [(0.95, true), (0.95, true), (0.15, true), (0.15, false)];
        assert!((calibration_error(&two) - (0.05 * 2.0 + 0.35 * 2.0) / 4.0).abs() < 1e-12);
        assert_eq!(reliability(&two, 10).len(), 2);
    }
}
