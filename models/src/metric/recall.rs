//! The third expert of the panel: has the series been *here* before? A
//! memory of short sub-sequences at their own level and size, and the distance
//! of the newest one to the nearest remembered: the novelty detector of
//! instance-based and resonance memories (Aggarwal, "Outlier analysis", 2017,
//! chapter 4; Carpenter and Grossberg, "The ART of adaptive pattern
//! recognition", 1988), with the calibrated tail of the other experts.
//!
//! A spike that comes back every week is remembered and soon no news; a quiet
//! afternoon at a level never kept is, although no single point of it is odd.
//! Only what is new is stored, so a few hundred sub-sequences describe months.

use super::detector::VALUE_MAX;
use crate::shared::{Resolution, Tail};
use serde::{Deserialize, Serialize};

/// Values of one sub-sequence, each the mean of `stride` points.
const WINDOW: usize = 8;
/// Sub-sequences remembered; the oldest goes. 64 KiB.
const REMEMBERED_MAX: usize = 2_000;
/// The newest stored are not compared with: they overlap the one judged.
const OVERLAPPING: usize = WINDOW;
/// A sub-sequence closer than this share of the usual distance is known.
const KNOWN_SHARE: f64 = 0.5;
/// Weight of the largest difference against the mean difference in a distance.
const LARGEST_WEIGHT: f32 = 0.7;
/// Points before the first judgement.
const LEARNING_POINTS: usize = 150;
/// Judgements before the usual distance is trusted.
const LEARNING_JUDGEMENTS: u32 = 20;
/// Weight of one point in level and deviation, the scale of distances.
const SCALE_RATE: f64 = 0.001;
/// Points further than this many deviations teach the scale no more than this.
const SCALE_CLIP: f64 = 5.0;
/// Points that teach the scale whole.
const POINTS_UNCLIPPED: f64 = 20.0;
/// Weight of one judgement in the usual distance and in the tail.
const USUAL_RATE: f64 = 0.002;
const TAIL_RATE: f64 = 0.002;
/// The usual distance counts as this many sigmas, and is at least this many
/// deviations: below that it is rounding.
const USUAL_SIZE: f64 = 1.5;
const USUAL_MIN: f64 = 0.02;
/// A distance teaches no more than this many usual ones.
const USUAL_CLIP: f64 = 6.0;

/// One remembered sub-sequence, relative to the first value of the series.
type Piece = [f32; WINDOW];

/// Memory of one series at one pace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recall {
    stride: usize,
    seen: usize,
    first: f64,
    last: f64,
    level: f64,
    deviation: f64,
    resolution: Resolution,
    gathered: usize,
    sum: f64,
    filled: usize,
    newest: Piece,
    remembered: Vec<Piece>,
    oldest: usize,
    judged: u32,
    usual: f64,
    tail: Tail,
    bits: f64,
}

impl Recall {
    /// An empty memory whose sub-sequences are eight means of `stride` points.
    #[must_use]
    pub fn new(stride: usize) -> Self {
        Self {
            stride: stride.max(1),
            seen: 0,
            first: 0.0,
            last: 0.0,
            level: 0.0,
            deviation: 0.0,
            resolution: Resolution::default(),
            gathered: 0,
            sum: 0.0,
            filled: 0,
            newest: [0.0; WINDOW],
            remembered: Vec::new(),
            oldest: 0,
            judged: 0,
            usual: 0.0,
            tail: Tail::new(2.5, 0.8),
            bits: 0.0,
        }
    }

    /// Takes one point (a missing value counts as the one before) and returns
    /// the surprise of the sub-sequence that ended last, in bits; 0 while
    /// learning.
    pub fn update(&mut self, value: f64) -> f64 {
        let value = if value.is_nan() { self.last } else { value.clamp(-VALUE_MAX, VALUE_MAX) };
        if self.seen == 0 {
            self.first = value;
        }
        self.resolution.learn(if self.seen == 0 { 0.0 } else { value - self.last });
        self.last = value;
        self.seen = self.seen.saturating_add(1);
        let value = value - self.first;
        self.learn_scale(value);
        self.gathered += 1;
        self.sum += value;
        if self.gathered == self.stride {
            let mean = self.sum / self.stride as f64;
            (self.gathered, self.sum) = (0, 0.0);
            self.newest.rotate_left(1);
            self.newest[WINDOW - 1] = mean as f32;
            self.filled = (self.filled + 1).min(WINDOW);
            if self.filled == WINDOW {
                self.judge();
            }
        }
        self.bits
    }

    fn learn_scale(&mut self, value: f64) {
        let young = 1.0 / self.seen as f64;
        let rate = young.max(SCALE_RATE);
        let edge = if young > 1.0 / POINTS_UNCLIPPED { f64::MAX } else { SCALE_CLIP * self.deviation };
        self.level += rate * (value - self.level).clamp(-edge, edge);
        self.deviation += rate * ((value - self.level).abs().min(edge) - self.deviation);
    }

    fn judge(&mut self) {
        let distance = self.nearest();
        let scale = self.deviation.max(self.resolution.floor(self.level + self.first));
        let trusted = self.judged >= LEARNING_JUDGEMENTS;
        let known = distance.is_some_and(|d| trusted && d / scale <= KNOWN_SHARE * self.usual);
        if !known {
            self.remember();
        }
        if let Some(distance) = distance.filter(|_| self.seen >= LEARNING_POINTS) {
            self.bits = self.surprise(distance / scale, trusted);
        }
    }

    /// Bits of a distance in deviations; learns what is usual.
    fn surprise(&mut self, distance: f64, trusted: bool) -> f64 {
        self.judged = self.judged.saturating_add(1);
        let young = 1.0 / f64::from(self.judged);
        let usual = self.usual.max(USUAL_MIN);
        let size = USUAL_SIZE * distance / usual;
        let bits = if trusted { self.tail.bits(size) } else { 0.0 };
        self.usual += young.max(USUAL_RATE) * (distance.min(USUAL_CLIP * usual) - self.usual);
        if trusted {
            self.tail.learn(size, TAIL_RATE.max(0.5 * young).min(0.01));
        }
        bits
    }

    fn remember(&mut self) {
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.push(self.newest);
        } else {
            self.remembered[self.oldest] = self.newest;
            self.oldest = (self.oldest + 1) % REMEMBERED_MAX;
        }
    }

    /// Distance to the nearest remembered sub-sequence that does not overlap,
    /// in the unit of the series; `None` when there is none.
    fn nearest(&self) -> Option<f64> {
        let (newer, older) = self.remembered.split_at(self.oldest);
        let from_newer = newer.len().min(OVERLAPPING);
        let newer = &newer[..newer.len() - from_newer];
        let older = &older[..older.len().saturating_sub(OVERLAPPING - from_newer)];
        let least = |pieces: &[Piece]| pieces.iter().map(|p| apart(&self.newest, p)).fold(f32::INFINITY, f32::min);
        let nearest = least(newer).min(least(older));
        nearest.is_finite().then(|| f64::from(nearest))
    }
}

/// Largest and mean absolute difference, weighed. Lanes are summed as a tree,
/// so that the loop runs on vectors.
fn apart(a: &Piece, b: &Piece) -> f32 {
    let gaps: Piece = std::array::from_fn(|i| (a[i] - b[i]).abs());
    let sums: [f32; 4] = std::array::from_fn(|i| gaps[i] + gaps[i + 4]);
    let tops: [f32; 4] = std::array::from_fn(|i| gaps[i].max(gaps[i + 4]));
    let sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    let top = tops[0].max(tops[2]).max(tops[1].max(tops[3]));
    LARGEST_WEIGHT * top + (1.0 - LARGEST_WEIGHT) / WINDOW as f32 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of 288 points that never repeats exactly.
    fn day(i: usize) -> f64 {
        (i as f64 * std::f64::consts::TAU / 288.0).sin() * 10.0 + ((i * 7919) % 101) as f64 * 0.01
    }

    fn highest(recall: &mut Recall, points: std::ops::Range<usize>, value: impl Fn(usize) -> f64) -> f64 {
        points.map(|i| recall.update(value(i))).fold(0.0, f64::max)
    }

    #[test]
    fn a_level_kept_at_the_wrong_hour_is_new_and_the_same_again_is_not() {
        let mut recall = Recall::new(6);
        let odd = |i: usize| if i % 288 < 72 { 0.0 } else { day(i) };
        highest(&mut recall, 0..288 * 10, day);
        let usual = highest(&mut recall, 288 * 10..288 * 12, day);
        let first = highest(&mut recall, 288 * 12..288 * 13, odd);
        highest(&mut recall, 288 * 13..288 * 15, day);
        let again = highest(&mut recall, 288 * 15..288 * 16, odd);
        assert!(first > 2.0 * usual && first > 10.0, "first {first}, usual {usual}");
        assert!(again < 0.7 * first, "first {first}, again {again}");
    }

    #[test]
    fn what_is_known_is_not_stored_again_and_memory_is_bounded() {
        let mut recall = Recall::new(1);
        highest(&mut recall, 0..20_000, |i| (i % 10) as f64);
        assert!(recall.remembered.len() < 400, "{}", recall.remembered.len());
        let mut restless = Recall::new(1);
        highest(&mut restless, 0..20_000, |i| ((i * i * 31) % 10_007) as f64 * (i as f64));
        assert!(restless.remembered.len() <= REMEMBERED_MAX);
    }

    #[test]
    fn constants_extremes_and_missing_values_are_no_news() {
        let mut recall = Recall::new(3);
        let top = highest(&mut recall, 0..3000, |i| if i % 7 == 0 { f64::NAN } else { 4.0 });
        assert!(top < 6.0, "{top}");
        for value in [f64::MAX, -f64::MAX, 1.0, f64::INFINITY].repeat(20) {
            assert!(!recall.update(value).is_nan());
        }
    }
}
