//! How good chances and quantiles about tickets are. Calibration is in [`super::causes`].

/// Area under the ROC curve of `(score, is)`: the chance that one that is has a higher score than one that is
/// not, ties counting half. NaN where there are not both kinds.
#[must_use]
pub fn auc(answers: &[(f64, bool)]) -> f64 {
    let mut sorted = answers.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs, mut positives) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let are = tied.iter().filter(|(_, is)| *is).count() as f64;
        let are_not = tied.len() as f64 - are;
        pairs += are * (below + 0.5 * are_not);
        below += are_not;
        positives += are;
    }
    pairs / (positives * below)
}

/// Mean pinball loss of `(quantile said, truth)` at `level`, in the unit of the truth. NaN without answers.
#[must_use]
pub fn pinball(answers: &[(f64, f64)], level: f64) -> f64 {
    let loss = |(said, truth): &(f64, f64)| (level * (truth - said)).max((level - 1.0) * (truth - said));
    answers.iter().map(loss).sum::<f64>() / answers.len() as f64
}

/// Share of truths that lie at or below what was said. NaN without answers.
#[must_use]
pub fn covered(answers: &[(f64, f64)]) -> f64 {
    answers.iter().filter(|(said, truth)| truth <= said).count() as f64 / answers.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_by_hand() {
        // Pairs (.8 over .4), (.8 over .6), (.4 and .4 tied), (.4 under .6): 2.5 of 4.
        let answers = [(0.4, false), (0.8, true), (0.4, true), (0.6, false)];
        assert!((auc(&answers) - 2.5 / 4.0).abs() < 1e-12);
        assert!(auc(&[(0.5, true)]).is_nan() && auc(&[]).is_nan());
    }

    #[test]
    fn a_quantile_said_too_low_costs_nine_times_one_too_high() {
        assert!((pinball(&[(10.0, 20.0)], 0.9) - 9.0).abs() < 1e-12);
        assert!((pinball(&[(20.0, 10.0)], 0.9) - 1.0).abs() < 1e-12);
        assert!((covered(&[(20.0, 10.0), (10.0, 20.0), (5.0, 5.0)]) - 2.0 / 3.0).abs() < 1e-12);
    }
}
