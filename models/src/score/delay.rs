//! Detection with a deadline, as operators judge it: an anomalous segment
//! counts as found when an alarm comes within `delay` points of its start
//! (AIOps Challenge 2018; Ren et al., "Time-series anomaly detection service
//! at Microsoft", KDD 2019), and the event view beside it: segments found
//! against runs of alarms that hit nothing. No point adjustment beyond the
//! deadline.

/// Scores and labels of one series, of one length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled<'a> {
    /// Larger is more anomalous.
    pub scores: &'a [f64],
    /// True where anomalous.
    pub labels: &'a [bool],
}

/// True positives, false positives, false negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Found.
    pub hit: usize,
    /// Alarms for nothing.
    pub false_alarm: usize,
    /// Not found.
    pub missed: usize,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            hit: self.hit + other.hit,
            false_alarm: self.false_alarm + other.false_alarm,
            missed: self.missed + other.missed,
        }
    }

    /// Harmonic mean of precision and recall; 0 when nothing was found.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let hit = 2.0 * self.hit as f64;
        if self.hit == 0 { 0.0 } else { hit / (hit + self.false_alarm as f64 + self.missed as f64) }
    }

    /// Share of alarms that are right; NaN without alarms.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.hit as f64 / (self.hit + self.false_alarm) as f64
    }

    /// Share of anomalies found; NaN without anomalies.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.hit as f64 / (self.hit + self.missed) as f64
    }
}

/// Labelled segments as first and one-past-last index.
#[must_use]
pub fn segments(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = None;
    for (index, label) in labels.iter().chain(std::iter::once(&false)).enumerate() {
        match (label, start) {
            (true, None) => start = Some(index),
            (false, Some(first)) => {
                out.push((first, index));
                start = None;
            }
            _ => {}
        }
    }
    out
}

/// Point counts with a deadline over several series: a segment found in time
/// counts with all its points, one found late or never is missed with all.
#[must_use]
pub fn delay_counts(series: &[Labelled<'_>], threshold: f64, delay: usize) -> Counts {
    let mut counts = Counts::default();
    for one in series {
        for (first, end) in segments(one.labels) {
            let in_time = one.scores[first..end.min(first + delay + 1)].iter().any(|s| *s >= threshold);
            *(if in_time { &mut counts.hit } else { &mut counts.missed }) += end - first;
        }
        let outside = one.scores.iter().zip(one.labels).filter(|(score, label)| !**label && **score >= threshold);
        counts.false_alarm += outside.count();
    }
    counts
}

/// The threshold with the best pooled [`delay_counts`] F1, and that F1.
#[must_use]
pub fn best_delay_threshold(series: &[Labelled<'_>], delay: usize) -> (f64, f64) {
    // One entry per decision: the score at which it flips, points won, points lost.
    let mut flips: Vec<(f64, usize, usize)> = Vec::new();
    let mut anomalous = 0;
    for one in series {
        for (first, end) in segments(one.labels) {
            let top = one.scores[first..end.min(first + delay + 1)].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            flips.push((top, end - first, 0));
            anomalous += end - first;
        }
        let outside = one.scores.iter().zip(one.labels).filter(|(_, label)| !**label);
        flips.extend(outside.map(|(score, _)| (*score, 0, 1)));
    }
    flips.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut counts = Counts { missed: anomalous, ..Counts::default() };
    let mut best = (f64::INFINITY, 0.0);
    for (index, (score, won, lost)) in flips.iter().enumerate() {
        counts.hit += won;
        counts.missed -= won;
        counts.false_alarm += lost;
        let last_of_score = flips.get(index + 1).is_none_or(|next| next.0 < *score);
        if last_of_score && counts.f1() > best.1 {
            best = (*score, counts.f1());
        }
    }
    best
}

/// Event counts: segments touched by an alarm, segments not touched, and runs
/// of consecutive alarms that touch no segment.
#[must_use]
pub fn event_counts(series: &[Labelled<'_>], threshold: f64) -> Counts {
    let mut counts = Counts::default();
    for one in series {
        for (first, end) in segments(one.labels) {
            let found = one.scores[first..end].iter().any(|s| *s >= threshold);
            *(if found { &mut counts.hit } else { &mut counts.missed }) += 1;
        }
        let alarms: Vec<bool> = one.scores.iter().map(|s| *s >= threshold).collect();
        let runs = segments(&alarms);
        counts.false_alarm += runs.iter().filter(|(first, end)| !one.labels[*first..*end].contains(&true)).count();
    }
    counts
}

/// Event counts of alarms that are told once: a segment is told when an alarm begins in it, an alarm
/// that begins in none is false.
#[must_use]
pub fn told_counts(alarms: &[bool], labels: &[bool]) -> Counts {
    let mut counts = Counts::default();
    for (first, end) in segments(labels) {
        let told = alarms[first..end.min(alarms.len())].contains(&true);
        *(if told { &mut counts.hit } else { &mut counts.missed }) += 1;
    }
    counts.false_alarm = alarms.iter().zip(labels).filter(|(alarm, label)| **alarm && !**label).count();
    counts
}

/// Thresholds tried by [`best_event_threshold`] and [`told_curve`].
const THRESHOLDS_MAX: usize = 400;

/// Thresholds from high to low: up to 400 of the scores that occur, denser among
/// the high ones.
fn thresholds(series: &[Labelled<'_>]) -> Vec<f64> {
    let mut scores: Vec<f64> = series.iter().flat_map(|one| one.scores.iter().copied()).filter(|s| *s > 0.0).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    ranks(scores.len()).map(|rank| scores[rank]).collect()
}

/// [`told_counts`] where an alarm begins when the score rises to the threshold:
/// one that never ends tells nothing after its beginning.
#[must_use]
pub fn told_at(one: &Labelled<'_>, threshold: f64) -> Counts {
    let mut above = false;
    let begins = |score: &f64| {
        let before = std::mem::replace(&mut above, *score >= threshold);
        above && !before
    };
    let alarms: Vec<bool> = one.scores.iter().map(begins).collect();
    told_counts(&alarms, one.labels)
}

/// Thresholds from high to low with their pooled [`told_at`].
#[must_use]
pub fn told_curve(series: &[Labelled<'_>]) -> Vec<(f64, Counts)> {
    let pooled = |threshold: f64| {
        (threshold, series.iter().map(|one| told_at(one, threshold)).fold(Counts::default(), Counts::and))
    };
    thresholds(series).into_iter().map(pooled).collect()
}

/// The threshold with the best pooled [`told_at`] F1.
#[must_use]
pub fn best_told_threshold(series: &[Labelled<'_>]) -> f64 {
    let mut best = (f64::INFINITY, 0.0);
    for (threshold, counts) in told_curve(series) {
        if counts.f1() > best.1 {
            best = (threshold, counts.f1());
        }
    }
    best.0
}

/// The threshold with the best pooled [`event_counts`] F1, and that F1. Tries
/// up to 400 of the scores that occur, denser among the high ones.
#[must_use]
pub fn best_event_threshold(series: &[Labelled<'_>]) -> (f64, f64) {
    let mut best = (f64::INFINITY, 0.0);
    for threshold in thresholds(series) {
        let f1 = event_counts(series, threshold).f1();
        if f1 > best.1 {
            best = (threshold, f1);
        }
    }
    best
}

/// Ranks from 0 to `count`, in geometric steps.
fn ranks(count: usize) -> impl Iterator<Item = usize> {
    let ratio = (count.max(2) as f64).powf(1.0 / THRESHOLDS_MAX as f64);
    let mut last = None;
    (0..THRESHOLDS_MAX).filter_map(move |i| {
        let rank = (ratio.powi(i as i32) as usize).saturating_sub(1);
        let fresh = rank < count && last != Some(rank);
        last = Some(rank);
        fresh.then_some(rank)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 10] = [false, false, true, true, true, false, false, true, false, false];

    #[test]
    fn a_segment_found_late_is_missed_whole() {
        let scores = [0.0, 0.9, 0.0, 0.0, 0.8, 0.0, 0.0, 0.7, 0.0, 0.0];
        let one = [Labelled { scores: &scores, labels: &LABELS }];
        assert_eq!(delay_counts(&one, 0.5, 1), Counts { hit: 1, false_alarm: 1, missed: 3 });
        assert_eq!(delay_counts(&one, 0.5, 2), Counts { hit: 4, false_alarm: 1, missed: 0 });
        let best = best_delay_threshold(&one, 2);
        assert_eq!(best.0, 0.7);
        assert!((best.1 - 8.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn an_alarm_run_that_touches_a_segment_is_no_false_event() {
        let scores = [0.0, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9];
        let one = [Labelled { scores: &scores, labels: &LABELS }];
        let counts = event_counts(&one, 0.5);
        assert_eq!(counts, Counts { hit: 1, false_alarm: 1, missed: 1 });
        assert!((counts.f1() - 0.5).abs() < 1e-12);
        assert!((counts.precision() - 0.5).abs() < 1e-12 && (counts.recall() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn an_alarm_that_is_told_once_tells_the_segment_it_begins_in() {
        let mut alarms = [false; 10];
        for at in [0, 4, 9] {
            alarms[at] = true;
        }
        assert_eq!(told_counts(&alarms, &LABELS), Counts { hit: 1, false_alarm: 2, missed: 1 });
        assert_eq!(told_counts(&[], &[]), Counts::default());
    }

    #[test]
    fn an_alarm_that_never_ends_tells_nothing_after_its_beginning() {
        let scores = [0.1, 0.9, 0.3, 0.1, 0.1, 0.1, 0.1, 0.95, 0.1, 0.1];
        let curve = told_curve(&[Labelled { scores: &scores, labels: &LABELS }]);
        let of = |threshold: f64| curve.iter().find(|(at, _)| *at == threshold).map(|(_, counts)| *counts);
        assert_eq!(of(0.95), Some(Counts { hit: 1, false_alarm: 0, missed: 1 }));
        assert_eq!(of(0.9), Some(Counts { hit: 1, false_alarm: 1, missed: 1 }));
        assert_eq!(of(0.1), Some(Counts { hit: 0, false_alarm: 1, missed: 2 }));
    }

    #[test]
    fn segments_reach_the_end() {
        assert_eq!(segments(&[true, false, true]), [(0, 1), (2, 3)]);
        assert!(segments(&[]).is_empty());
    }

    #[test]
    fn the_best_event_threshold_is_a_score_that_occurs() {
        let scores = [0.1, 0.1, 0.9, 0.1, 0.1, 0.2, 0.1, 0.8, 0.1, 0.1];
        let one = [Labelled { scores: &scores, labels: &LABELS }];
        assert_eq!(best_event_threshold(&one), (0.8, 1.0));
    }
}
