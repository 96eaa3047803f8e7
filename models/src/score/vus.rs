//! Volume under the precision–recall surface (Paparrizos et al., "Volume under
//! the surface: a new accuracy evaluation measure for time-series anomaly
//! detection", VLDB 2022): precision–recall with labels whose edges fade over
//! a buffer, averaged over buffers from 0 to `buffer_max`, so that an alarm a
//! little beside a segment is not worthless and no threshold is chosen.
//!
//! The definition follows the reference implementation in its details (250
//! thresholds at even ranks, square-root edges, recall scaled by the share of
//! segments touched), because a figure is only worth comparing when they agree.

use super::delay::segments;

/// Thresholds, at even ranks of the scores.
const THRESHOLDS: usize = 250;

/// VUS-PR of `scores` against `labels` (one length), buffers `0..=buffer_max`.
/// NaN without labelled points or without scores.
#[must_use]
pub fn vus_pr(scores: &[f64], labels: &[bool], buffer_max: usize) -> f64 {
    let labelled = segments(labels);
    if labelled.is_empty() || scores.len() != labels.len() {
        return f64::NAN;
    }
    let ranks = Ranks::new(scores);
    let total: f64 = (0..=buffer_max).map(|buffer| ranks.average_precision(&labelled, buffer)).sum();
    total / (buffer_max + 1) as f64
}

/// Each point's first threshold at which it raises an alarm.
struct Ranks {
    first: Vec<usize>,
    alarms: Vec<f64>,
}

impl Ranks {
    fn new(scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let step = (scores.len() - 1) as f64 / (THRESHOLDS - 1) as f64;
        let thresholds: Vec<f64> = (0..THRESHOLDS).map(|i| sorted[(i as f64 * step) as usize]).collect();
        let first: Vec<usize> = scores.iter().map(|score| thresholds.partition_point(|t| t > score)).collect();
        let mut alarms = vec![0.0; THRESHOLDS];
        for at in first.iter().filter(|at| **at < THRESHOLDS) {
            alarms[*at] += 1.0;
        }
        accumulate(&mut alarms);
        Self { first, alarms }
    }

    /// Area under precision–recall with edges fading over `buffer` points.
    fn average_precision(&self, labelled: &[(usize, usize)], buffer: usize) -> f64 {
        let mut inside = vec![0.0; THRESHOLDS + 1];
        let mut edges = vec![0.0; THRESHOLDS + 1];
        let mut positives = 0.0;
        for (start, end) in labelled {
            positives += (end - start) as f64;
            self.first[*start..*end].iter().for_each(|at| inside[*at] += 1.0);
        }
        for (index, weight) in edge_weights(labelled, buffer, self.first.len()) {
            edges[self.first[index]] += weight;
        }
        let mut touched = vec![0.0; THRESHOLDS + 1];
        let merged = merged(labelled, buffer, self.first.len());
        for (start, end) in &merged {
            let at = self.first[*start..*end].iter().min().copied().unwrap_or(THRESHOLDS);
            touched[at] += 1.0 / merged.len() as f64;
        }
        [&mut inside, &mut edges, &mut touched].into_iter().for_each(|bins| accumulate(bins));
        let (mut area, mut recall_before) = (0.0, 0.0);
        for k in 0..THRESHOLDS {
            let hits = inside[k] + edges[k];
            let wanted = (positives + positives + edges[k]) / 2.0;
            let recall = (hits / wanted).min(1.0) * touched[k];
            area += (recall - recall_before) * hits / self.alarms[k];
            recall_before = recall;
        }
        area
    }
}

fn accumulate(bins: &mut [f64]) {
    let mut sum = 0.0;
    for bin in bins {
        sum += *bin;
        *bin = sum;
    }
}

/// Unlabelled points beside segments and their weight: the square root of the
/// share of the buffer still left, at most 1 where two edges meet.
fn edge_weights(labelled: &[(usize, usize)], buffer: usize, length: usize) -> Vec<(usize, f64)> {
    let half = buffer / 2;
    let mut weights: std::collections::BTreeMap<usize, f64> = std::collections::BTreeMap::new();
    let fade = |distance: usize| (1.0 - distance as f64 / buffer as f64).sqrt();
    for (start, end) in labelled {
        for index in *end..(end + half).min(length) {
            *weights.entry(index).or_default() += fade(index + 1 - end);
        }
        for index in start.saturating_sub(half)..*start {
            *weights.entry(index).or_default() += fade(start - index);
        }
    }
    let is_labelled = |index: usize| labelled.iter().any(|(start, end)| (*start..*end).contains(&index));
    weights
        .into_iter()
        .filter(|(index, _)| !is_labelled(*index))
        .map(|(index, weight)| (index, weight.min(1.0)))
        .collect()
}

/// Segments widened by half a buffer, those that meet made one.
fn merged(labelled: &[(usize, usize)], buffer: usize, length: usize) -> Vec<(usize, usize)> {
    let half = buffer / 2;
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut end_before = None;
    for (start, end) in labelled {
        let wide = (start.saturating_sub(half), (end + half).min(length));
        let apart = end_before.is_none_or(|before: usize| before + 2 * half <= *start);
        match out.last_mut() {
            Some(last) if !apart => last.1 = wide.1,
            _ => out.push(wide),
        }
        end_before = Some(*end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 points, two segments; a score that peaks 3 points late.
    fn case() -> (Vec<f64>, Vec<bool>) {
        let labels: Vec<bool> = (0..400).map(|i| (100..110).contains(&i) || (300..305).contains(&i)).collect();
        let scores = (0..400_i32)
            .map(|i| {
                let near =
                    (-f64::from((i - 106).pow(2)) / 50.0).exp() + 0.5 * (-f64::from((i - 305).pow(2)) / 20.0).exp();
                near + 0.1 * f64::from((i * 7919) % 97) / 97.0
            })
            .collect();
        (scores, labels)
    }

    #[test]
    fn a_perfect_score_is_one_without_a_buffer_and_noise_is_low() {
        let labels: Vec<bool> = (0..500).map(|i| (200..250).contains(&i)).collect();
        let perfect: Vec<f64> = labels.iter().map(|l| f64::from(u8::from(*l))).collect();
        assert!((vus_pr(&perfect, &labels, 0) - 1.0).abs() < 1e-12);
        let noise: Vec<f64> = (0..500).map(|i| f64::from((i * 7919) % 499)).collect();
        assert!(vus_pr(&noise, &labels, 20) < 0.25);
        assert!(vus_pr(&noise, &[false; 500], 20).is_nan());
    }

    #[test]
    fn it_agrees_with_the_reference_implementation() {
        // Reference values: package `vus`, RangeAUC_volume_opt, same input.
        let (scores, labels) = case();
        for (buffer, expected) in [(0, REFERENCE_0), (10, REFERENCE_10), (40, REFERENCE_40)] {
            let got = vus_pr(&scores, &labels, buffer);
            assert!((got - expected).abs() < 1e-9, "{buffer}: {got}, reference {expected}");
        }
    }

    const REFERENCE_0: f64 = 0.749_294_141_588_259_2;
    const REFERENCE_10: f64 = 0.910_204_600_876_269_9;
    const REFERENCE_40: f64 = 0.970_943_719_135_806_5;
}
