//! The second expert of the panel: is the *shape* of the last period
//! like any shape seen before? A left matrix profile (Lu et al., "DAMP:
//! accurate time series anomaly detection on trillions of datapoints and
//! ultra-fast arriving data streams", KDD 2022), kept exactly but on a
//! decimated series, so that one period is about 64 points.
//!
//! The dot product of the newest window with the window `lag` points earlier
//! follows from the one before by one product in and one out, for every lag at
//! once: a loop over contiguous slices. Cost and memory are bounded by
//! `LAGS_MAX`; this expert is for the bench and for the few series that deserve
//! it, not for a million series.

use crate::shared::{Tail, find_season};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Points of one window after decimation.
const WINDOW: usize = 64;
/// Earlier windows compared, in decimated points: 256 periods.
const LAGS_MAX: usize = 16_384;
/// Points at which the season is looked for.
const CHECKPOINTS: [usize; 2] = [1_000, 4_000];
/// Window, in points, of a series without a season.
const WINDOW_DEFAULT: usize = 100;
/// The usual distance counts as this many sigmas: below the tail's quantile.
const USUAL_SIZE: f64 = 1.5;
/// Distances are shares of 1; a usual one below this is rounding.
const USUAL_MIN: f64 = 0.02;
/// Share of the overall variance below which a window counts as flat.
const FLAT_SHARE: f64 = 0.02;

/// Streaming shape expert.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Discord {
    raw: Vec<f64>,
    period: usize,
    profile: Option<Profile>,
}

impl Discord {
    /// Takes one point (a missing value counts as the one before) and returns
    /// the surprise of the shape that ends here, in bits; 0 while learning.
    pub fn update(&mut self, value: f64) -> f64 {
        let value = if value.is_finite() { value } else { self.raw.last().copied().unwrap_or(0.0) };
        let last_checkpoint = CHECKPOINTS[CHECKPOINTS.len() - 1];
        if self.raw.len() < last_checkpoint {
            self.raw.push(value);
            if CHECKPOINTS.contains(&self.raw.len()) {
                return self.begin();
            }
        } else if let Some(last) = self.raw.last_mut() {
            *last = value;
        }
        self.profile.as_mut().map_or(0.0, |profile| profile.update(value))
    }

    /// Chooses the window and replays what was seen.
    fn begin(&mut self) -> f64 {
        let found = find_season(&self.raw, 8).map_or(WINDOW_DEFAULT, |season| season.period);
        if self.profile.is_some() && found.abs_diff(self.period) * 4 < self.period {
            return self.profile.as_mut().map_or(0.0, |profile| profile.update(self.raw[self.raw.len() - 1]));
        }
        self.period = found;
        let mut profile = Profile::new(found, &self.raw);
        let bits = self.raw.iter().map(|value| profile.update(*value)).last();
        self.profile = Some(profile);
        bits.unwrap_or(0.0)
    }
}

/// Left matrix profile of a decimated series.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Profile {
    stride: usize,
    window: usize,
    gathered: usize,
    sum: f64,
    centre: f64,
    floor: f64,
    points: History,
    /// `dots[k]` belongs to the lag `LAGS_MAX - k`.
    dots: Vec<f64>,
    count: usize,
    mean: f64,
    tail: Tail,
    bits: f64,
}

/// The decimated points and their window statistics, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct History {
    values: Vec<f64>,
    means: Vec<f64>,
    variances: Vec<f64>,
    window_sum: f64,
    window_squares: VecDeque<f64>,
}

impl Profile {
    fn new(period: usize, seen: &[f64]) -> Self {
        let stride = period.div_ceil(WINDOW).max(1);
        let centre = seen.iter().sum::<f64>() / seen.len().max(1) as f64;
        let variance = seen.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / seen.len().max(1) as f64;
        Self {
            stride,
            window: (period / stride).max(8),
            gathered: 0,
            sum: 0.0,
            centre,
            floor: (FLAT_SHARE * variance).max(f64::MIN_POSITIVE),
            points: History::default(),
            dots: vec![0.0; LAGS_MAX],
            count: 0,
            mean: 0.0,
            tail: Tail::new(2.5, 0.8),
            bits: 0.0,
        }
    }

    fn update(&mut self, value: f64) -> f64 {
        self.gathered += 1;
        self.sum += value - self.centre;
        if self.gathered == self.stride {
            let point = self.sum / self.stride as f64;
            (self.gathered, self.sum) = (0, 0.0);
            self.bits = self.point(point);
        }
        self.bits
    }

    /// One decimated point.
    fn point(&mut self, point: f64) -> f64 {
        let window = self.window;
        self.points.push(point, window);
        let newest = self.points.values.len() - 1;
        let lags = newest.min(LAGS_MAX);
        let from = newest - lags;
        let leaving = if newest >= window { self.points.values[newest - window] } else { 0.0 };
        roll(&mut self.dots[LAGS_MAX - lags..], &self.points.values[from..newest], point, 1.0);
        if newest >= window {
            let old_from = from.max(window);
            let skip = old_from - from;
            let old = &self.points.values[old_from - window..newest - window];
            roll(&mut self.dots[LAGS_MAX - lags + skip..], old, leaving, -1.0);
        }
        if newest < 4 * window {
            return 0.0;
        }
        let start = from.max(window);
        let end = newest + 1 - window;
        let dots = &self.dots[LAGS_MAX - lags + (start - from)..];
        let nearest =
            nearest(dots, &self.points.means[start..end], &self.points.variances[start..end], self.view(newest));
        let bits = self.judge((1.0 - nearest).max(0.0).sqrt());
        self.points.trim();
        bits
    }

    fn view(&self, newest: usize) -> View {
        View {
            size: self.window as f64,
            mean: self.points.means[newest],
            variance: self.points.variances[newest],
            floor: self.floor,
        }
    }

    /// Distance to the nearest earlier shape into bits: as a multiple of the
    /// usual distance, so a series that never repeats exactly is judged by how
    /// well it repeats.
    fn judge(&mut self, distance: f64) -> f64 {
        self.count += 1;
        let young = 1.0 / self.count as f64;
        let rate = young.max(0.0005);
        let size = USUAL_SIZE * distance / self.mean.max(USUAL_MIN);
        let ready = self.count > 2 * self.window;
        let bits = if ready { self.tail.bits(size) } else { 0.0 };
        self.mean += rate * (distance - self.mean);
        if ready {
            self.tail.learn(size, 0.001_f64.max(0.5 * young).min(0.01));
        }
        bits
    }
}

/// What the newest window looks like.
#[derive(Debug, Clone, Copy)]
struct View {
    size: f64,
    mean: f64,
    variance: f64,
    floor: f64,
}

impl History {
    fn push(&mut self, point: f64, window: usize) {
        self.values.push(point);
        self.window_sum += point;
        self.window_squares.push_back(point);
        if self.window_squares.len() > window {
            self.window_sum -= self.window_squares.pop_front().unwrap_or(0.0);
        }
        let size = self.window_squares.len() as f64;
        let mean = self.window_sum / size;
        let variance = self.window_squares.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size;
        self.means.push(mean);
        self.variances.push(variance);
    }

    /// Forgets what no lag reaches any more, in large steps.
    fn trim(&mut self) {
        if self.values.len() > 2 * LAGS_MAX {
            let drop = self.values.len() - LAGS_MAX - 2 * WINDOW;
            self.values.drain(..drop);
            self.means.drain(..drop);
            self.variances.drain(..drop);
        }
    }
}

/// `dots[k] += sign * point * values[k]`.
fn roll(dots: &mut [f64], values: &[f64], point: f64, sign: f64) {
    let factor = sign * point;
    for (dot, value) in dots.iter_mut().zip(values) {
        *dot += factor * value;
    }
}

/// Highest likeness of the newest window with any earlier one that does not
/// overlap it: 1 is the same shape and size, 0 is unrelated.
fn nearest(dots: &[f64], means: &[f64], variances: &[f64], view: View) -> f64 {
    let inverse = 1.0 / view.size;
    let mut best = -1.0_f64;
    for ((dot, mean), variance) in dots.iter().zip(means).zip(variances) {
        let covariance = dot * inverse - mean * view.mean;
        let scale = 0.5 * (view.variance + variance) + view.floor;
        best = best.max((covariance + view.floor) / scale);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_of_another_shape_stands_out_and_repeats_do_not() {
        let beat = |i: usize| {
            let phase = (i % 80) as f64 / 80.0;
            (-(phase - 0.3).powi(2) * 200.0).exp() + 0.3 * (phase * 12.0).sin()
        };
        let mut discord = Discord::default();
        let mut usual: f64 = 0.0;
        let mut odd: f64 = 0.0;
        for i in 0..6000 {
            let value = if (5000..5040).contains(&i) { 0.2 } else { beat(i) };
            let bits = discord.update(value);
            match i {
                3000..5000 => usual = usual.max(bits),
                5000..5080 => odd = odd.max(bits),
                _ => {}
            }
        }
        assert!(odd > 2.0 * usual && odd > 10.0, "odd {odd}, usual {usual}");
    }

    #[test]
    fn constants_and_missing_values_are_silent() {
        let mut discord = Discord::default();
        for i in 0..5000 {
            let bits = discord.update(if i % 7 == 0 { f64::NAN } else { 4.0 });
            assert!(bits.is_finite() && bits < 6.0, "{bits} at {i}");
        }
    }
}
