//! How far a point stands out, on a scale that is the same for all series: what one threshold over
//! many series is put on.
//!
//! Two questions. Did the point leave its *neighbourhood*: the distance from the mean of the last
//! dozen points, or the step to it, in their own deviations? Did the series leave its *place*: the
//! distance outside a range that closes slowly, or a departure that is rare for it? Deviations are
//! root mean squares over days that hardly clip: a series that spikes every hour has grown a yardstick
//! by which its spikes are small, and no tail needs to be learned. Sizes count by their logarithm, as
//! under a power law, so that one glitch does not drown what comes elsewhere.
//!
//! A surprise is told whole when it exceeds what was told before, which fades; what goes on below
//! that counts half. Within three deviations nothing is a surprise.

use crate::shared::Resolution;
use serde::{Deserialize, Serialize};

/// Points the neighbourhood remembers, as the span of an exponential mean.
const NEAR_SPAN: f64 = 12.0;
/// Points over which deviations are taken: days of minutes.
const DEVIATION_SPAN: f64 = 5_000.0;
/// The same for the steps of the last hours: a restless stretch excuses them ...
const STEPS_SPAN: f64 = 300.0;
/// ... and a quiet one makes them at most this many times as large as the days do.
const STEPS_GAIN: f64 = 2.0;
/// A step holds the noise of two points, a distance little more than that of one.
const STEP_WEIGHT: f64 = 0.85;
/// Points the place remembers, and by which its range closes to 1/e.
const PLACE_MEMORY: f64 = 3_000.0;
const RANGE_MEMORY: f64 = 20_000.0;
/// What lies further out teaches no more than this many deviations: a glitch of nine digits must not
/// make a series deaf for months. Less takes the memory of what spikes repeatedly.
const TEACH_MAX: f64 = 1_000.0;
/// Rarity beyond this is the extrapolation of a tail.
const RARE_BITS_MAX: f64 = 64.0;
/// Sizes beyond this are not told apart: the first step of what never moved is no larger.
const SIZE_MAX: f64 = 1_000.0;
/// Points that teach whole, before there is a scale to clip by.
const POINTS_UNCLIPPED: u32 = 20;
/// Points before the first judgement of a distance.
const POINTS_MIN: u32 = 2;
/// Bits from which a departure counts as rare, once for each doubling.
const RARE_BITS: f64 = 8.0;
/// Within three deviations nothing is a surprise: `1 + 3`.
const TIMES_MIN: f64 = 4.0;
/// Bits of one doubling: three deviations are 10 bits and half the scale of scores, and alarms lie on it
/// about where the learned tails that raise them put them.
const BITS_PER_DOUBLING: f64 = 5.0;
/// Points over which what was told fades to 1/e: an hour of minutes.
const FADE: f64 = 60.0;
/// Share of a surprise that counts below what was told.
const GOING_ON: f64 = 0.5;

/// Weight of a point in an exponential mean of this span.
const fn rate(span: f64) -> f64 {
    2.0 / (span + 1.0)
}

/// Running scale of one series: 76 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Scale {
    /// The mean of the neighbourhood, and the mean square of the distance from it.
    near: f64,
    distances: f64,
    /// Mean squares of the steps, of days and of hours.
    steps: f64,
    steps_lately: f64,
    /// Where the series is, its mean distance from there, and the range it keeps.
    place: f64,
    deviation: f64,
    low: f64,
    high: f64,
    told: f32,
}

impl Scale {
    /// A scale whose series begins with `value`.
    pub(super) const fn new(value: f64) -> Self {
        Self {
            near: value,
            distances: 0.0,
            steps: 0.0,
            steps_lately: 0.0,
            place: value,
            deviation: 0.0,
            low: value,
            high: value,
            told: 0.0,
        }
    }

    /// Doublings by which a point stands out, 0 within what is usual; learns it. `seen` points came before, the last of
    /// them `step` lower; `departure` is the rarity, in bits, of how far the series stands from its level.
    pub(super) fn take(&mut self, seen: u32, (value, step): (f64, f64), resolution: Resolution, departure: f64) -> f64 {
        // By the point itself: what starts to move after months of zeros has a scale at once.
        let floor = resolution.floor(value);
        let distance = value - self.near;
        let deviations = [self.distances, self.steps, self.steps_lately].map(|square| square.sqrt() + floor);
        let [far, large, large_lately] =
            [distance.abs() / deviations[0], step.abs() / deviations[1], step.abs() / deviations[2]];
        let outside = (value - self.high).max(self.low - value).max(0.0) / (self.deviation + floor);
        self.learn(seen, (value, step), (distance, deviations), floor);
        if seen < POINTS_MIN {
            return 0.0;
        }
        let left = far.max(STEP_WEIGHT * large_lately.min(STEPS_GAIN * large)).min(SIZE_MAX);
        let moved = (1.0 + outside.min(SIZE_MAX)).max(departure.min(RARE_BITS_MAX) / RARE_BITS);
        let times = (1.0 + left) * moved;
        if times > TIMES_MIN { times.log2() } else { 0.0 }
    }

    fn learn(&mut self, seen: u32, (value, step): (f64, f64), (distance, deviations): (f64, [f64; 3]), floor: f64) {
        let seen_or_more = |rate: f64| rate.max(1.0 / f64::from(seen.max(1)));
        let whole = seen <= POINTS_UNCLIPPED;
        let taught = |size: f64, deviation: f64| {
            let edge = if whole { f64::MAX } else { TEACH_MAX * deviation };
            size.clamp(-edge, edge)
        };
        let [far, large, large_lately] =
            [taught(distance, deviations[0]), taught(step, deviations[1]), taught(step, deviations[2])];
        let days = seen_or_more(const { rate(DEVIATION_SPAN) });
        let hours = seen_or_more(const { rate(STEPS_SPAN) });
        self.distances += days * (far * far - self.distances);
        self.steps += days * (large * large - self.steps);
        self.steps_lately += hours * (large_lately * large_lately - self.steps_lately);
        let young = 1.0 / (f64::from(seen) + 1.0);
        self.near += const { rate(NEAR_SPAN) }.max(young) * far;

        let edge = if whole { f64::MAX } else { TEACH_MAX * (self.deviation + floor) };
        let taught = (value - self.place).clamp(-edge, edge);
        let weight = (1.0 / PLACE_MEMORY).max(young);
        self.deviation += weight * (taught.abs() - self.deviation);
        self.place += weight * taught;
        self.high -= (self.high - self.place) / RANGE_MEMORY;
        self.low += (self.place - self.low) / RANGE_MEMORY;
        self.high = self.high.max(value.min(self.high + edge));
        self.low = self.low.min(value.max(self.low - edge));
    }

    /// What an alarm scores that no point of its own shows: a habit given up.
    pub(super) const ALARM_BITS: f64 = 2.0 * BITS_PER_DOUBLING;

    /// What of so many doublings is told, in bits.
    pub(super) fn tell(&mut self, doublings: f64) -> f64 {
        self.told *= (1.0 - 1.0 / FADE) as f32;
        let is_news = doublings > f64::from(self.told);
        if is_news {
            self.told = doublings as f32;
        }
        BITS_PER_DOUBLING * doublings * if is_news { 1.0 } else { GOING_ON }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of each of these values, with nothing known of departures.
    fn bits(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut values = values.into_iter();
        let mut last = values.next().expect("a first value");
        let (mut scale, mut resolution) = (Scale::new(last), Resolution::default());
        let mut judge = |(seen, value): (usize, f64)| {
            let step = value - last;
            let doublings = scale.take(seen as u32 + 1, (value, step), resolution, 0.0);
            resolution.learn(step);
            last = value;
            scale.tell(doublings)
        };
        values.enumerate().map(&mut judge).collect()
    }

    /// A restless course that is not periodic.
    fn usual(i: usize) -> f64 {
        100.0 + ((i * 7919) % 101) as f64 * 0.05
    }

    #[test]
    fn a_spike_that_comes_every_hour_becomes_small_and_a_first_one_is_large() {
        let hourly = bits((0..6_000).map(|i| usual(i) + if i >= 1_000 && i % 60 == 0 { 50.0 } else { 0.0 }));
        let (first, late) = (hourly[1_019], hourly[5_939]);
        assert!(first > 3.0 * late, "{first} at first, {late} after days");
    }

    #[test]
    fn what_goes_on_counts_half_and_a_growing_burst_is_told_again() {
        let burst = bits((0..3_000).map(|i| match i {
            2_500 => 140.0,
            2_501 => 70.0,
            2_502 => 400.0,
            _ => usual(i),
        }));
        assert!(burst[2_499] > 20.0, "{:?}", &burst[2_499..2_502]);
        assert!(burst[2_501] > 20.0, "{:?}", &burst[2_499..2_502]);
        let down = bits((0..3_000).map(|i| if (2_500..2_502).contains(&i) { 140.0 } else { usual(i) }));
        assert!(down[2_500] < 0.6 * down[2_499], "{:?}", &down[2_499..2_502]);
    }

    #[test]
    fn a_glitch_of_nine_digits_is_forgotten_within_a_fortnight() {
        let glitch = bits((0..25_000).map(|i| match i {
            2_000 => 1e9,
            22_160 => 140.0,
            _ => usual(i),
        }));
        assert!(glitch[22_159] > 10.0, "{}", glitch[22_159]);
    }

    #[test]
    fn zeros_that_begin_to_move_are_large_once_and_not_for_ever() {
        let rare = bits((0..4_000).map(|i| if i >= 1_000 && i % 40 == 0 { 1e7 } else { 0.0 }));
        assert!(rare[999] >= 30.0 || rare[1_039] >= 30.0, "{} {}", rare[999], rare[1_039]);
        assert!(
            rare[3_000..].iter().all(|bits| *bits < 30.0),
            "{:?}",
            rare[3_000..].iter().copied().fold(0.0, f64::max)
        );
    }
}
