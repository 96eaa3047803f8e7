//! The UCR archive's question (Wu and Keogh, "Current time series anomaly
//! detection benchmarks are flawed", TKDE 2021): one anomaly per series; does
//! the highest score lie on it?

/// Points of slack around the anomaly, at least.
const SLACK_MIN: usize = 100;

/// True when the first highest score from `train_len` on lies within the
/// anomaly (first and last index), extended on both sides by its own length or
/// 100 points, whichever is more.
#[must_use]
pub fn found(scores: &[f64], train_len: usize, anomaly: (usize, usize)) -> bool {
    let mut best = (f64::NEG_INFINITY, None);
    for (index, score) in scores.iter().enumerate().skip(train_len) {
        if *score > best.0 {
            best = (*score, Some(index));
        }
    }
    let slack = (anomaly.1 - anomaly.0 + 1).max(SLACK_MIN);
    best.1.is_some_and(|at| at + slack >= anomaly.0 && at <= anomaly.1 + slack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_counts_within_the_slack_and_not_in_training() {
        let mut scores = vec![0.0; 1000];
        scores[10] = 9.0;
        scores[450] = 5.0;
        assert!(found(&scores, 100, (500, 510)));
        assert!(!found(&scores, 100, (551, 560)));
        assert!(!found(&scores, 0, (500, 510)));
        assert!(!found(&[], 0, (5, 6)));
    }
}
