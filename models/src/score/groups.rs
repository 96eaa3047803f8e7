//! How well groups match the truth: BCubed precision, recall and F1, and how
//! much smaller the groups make the list.

use std::collections::BTreeMap;

/// Figures of one grouping.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupScore {
    /// Mean over alerts of the share of its group that truly belongs with it.
    pub precision: f64,
    /// Mean over alerts of the share of those that belong with it that its group has.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// 1 - groups / alerts: how much shorter the list has become.
    pub reduction: f64,
}

/// BCubed figures (Bagga & Baldwin 1998) of `groups` against `truth`, one entry
/// per alert each. No alerts give zeros.
///
/// # Panics
/// When the two differ in length.
#[must_use]
pub fn bcubed(groups: &[u64], truth: &[u64]) -> GroupScore {
    let truth: Vec<Option<u64>> = truth.iter().copied().map(Some).collect();
    bcubed_among_noise(groups, &truth)
}

/// BCubed figures over the alerts that have a truth. Noise (no truth) is not
/// judged itself, but where it is in a group it lowers the group's precision.
/// The reduction is over all.
///
/// # Panics
/// When the two differ in length.
#[must_use]
pub fn bcubed_among_noise(groups: &[u64], truth: &[Option<u64>]) -> GroupScore {
    assert_eq!(groups.len(), truth.len(), "one truth per alert");
    let mut both: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let (mut group_sizes, mut truth_sizes) = (BTreeMap::<u64, f64>::new(), BTreeMap::<u64, f64>::new());
    let mut judged = 0.0;
    for (&group, &label) in groups.iter().zip(truth) {
        *group_sizes.entry(group).or_default() += 1.0;
        let Some(label) = label else { continue };
        *both.entry((group, label)).or_default() += 1.0;
        *truth_sizes.entry(label).or_default() += 1.0;
        judged += 1.0;
    }
    if judged == 0.0 {
        return GroupScore::default();
    }
    let (mut precision, mut recall) = (0.0, 0.0);
    for ((group, label), count) in &both {
        precision += count * count / group_sizes[group] / judged;
        recall += count * count / truth_sizes[label] / judged;
    }
    let f1 = 2.0 * precision * recall / (precision + recall);
    GroupScore { precision, recall, f1, reduction: 1.0 - group_sizes.len() as f64 / groups.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn a_perfect_grouping_scores_one_whatever_its_names() {
        let score = bcubed(&[7, 7, 9], &[1, 1, 2]);
        close(score.f1, 1.0);
        close(score.reduction, 1.0 / 3.0);
    }

    #[test]
    fn everything_in_one_group_has_full_recall_and_poor_precision() {
        let score = bcubed(&[0; 4], &[1, 1, 2, 3]);
        close(score.recall, 1.0);
        close(score.precision, (2.0 * 0.5 + 0.25 + 0.25) / 4.0);
    }

    #[test]
    fn a_split_of_one_of_two_incidents_costs_recall_only() {
        // By hand: truth {a,b,c} and {d}; groups {a,b}, {c}, {d}.
        let score = bcubed(&[0, 0, 1, 2], &[5, 5, 5, 6]);
        close(score.precision, 1.0);
        close(score.recall, (2.0 / 3.0 + 2.0 / 3.0 + 1.0 / 3.0 + 1.0) / 4.0);
        close(bcubed(&[], &[]).f1, 0.0);
    }

    #[test]
    fn noise_in_a_group_costs_precision_and_is_not_judged_itself() {
        let score = bcubed_among_noise(&[1, 1, 2], &[Some(1), None, None]);
        close(score.precision, 0.5);
        close(score.recall, 1.0);
    }
}
