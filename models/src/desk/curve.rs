//! A distribution of hours, told by the chance to take longer than each of some thresholds
//! (distribution regression; Foresi and Peracchi, JASA 1995), and what is read off it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Hours for which the chance to take longer is learned: near where agreements lie, and as far as tickets reach.
pub(super) const HOURS: [f64; 17] =
    [0.25, 1.0, 4.0, 12.0, 24.0, 48.0, 72.0, 96.0, 120.0, 144.0, 168.0, 216.0, 264.0, 336.0, 408.0, 504.0, 720.0];
/// Where the curve begins: a minute, the resolution of ticketing systems.
const SHORTEST: f64 = 1.0 / 60.0;
/// Where it ends: beyond the last threshold hardly a ticket is still open.
const LONGEST: f64 = 1_440.0;
/// Points of the curve: the thresholds, and both ends.
const POINTS: usize = HOURS.len() + 2;

/// Shares done by the hours; linear over the logarithm of hours between thresholds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Curve {
    done: [f64; POINTS],
}

impl Curve {
    /// From the chances to take longer than each of [`HOURS`]; where they rise, as they should not, the
    /// lower one before holds.
    pub(super) fn of(longer: &[f64; HOURS.len()]) -> Self {
        let mut done = [0.0; POINTS];
        done[POINTS - 1] = 1.0;
        for (at, longer) in longer.iter().enumerate() {
            done[at + 1] = (1.0 - longer).clamp(done[at], 1.0);
        }
        Self { done }
    }

    /// The share done by `hours`.
    pub(super) fn share(&self, hours: f64) -> f64 {
        let log = hours.clamp(SHORTEST, LONGEST).ln();
        let at = (1..POINTS - 1).find(|at| log <= hours_at(*at).ln()).unwrap_or(POINTS - 1);
        let (from, to) = (hours_at(at - 1).ln(), hours_at(at).ln());
        self.done[at - 1] + (self.done[at] - self.done[at - 1]) * (log - from) / (to - from)
    }

    /// The hours by which `share` are done.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let share = share.clamp(0.0, 1.0);
        let at = (1..POINTS - 1).find(|at| share <= self.done[*at]).unwrap_or(POINTS - 1);
        let (from, to) = (hours_at(at - 1).ln(), hours_at(at).ln());
        let step = self.done[at] - self.done[at - 1];
        let part = if step > 0.0 { (share - self.done[at - 1]) / step } else { 0.0 };
        (from + (to - from) * part.clamp(0.0, 1.0)).exp()
    }
}

fn hours_at(point: usize) -> f64 {
    match point {
        0 => SHORTEST,
        point => HOURS.get(point - 1).copied().unwrap_or(LONGEST),
    }
}

/// Outcomes in the window: half a week of the UCI incident log, for how long tickets take changes sooner than who is right.
const WINDOW: usize = 1_024;
/// New outcomes between two looks at the window.
const EVERY: u32 = 32;
/// Fewest outcomes from which a level is corrected.
const ENOUGH: usize = 100;
/// How far a level goes from what the model promises to what the window says: while tickets become quicker the window, which
/// has the slow ones of weeks ago, says too much; half way p90 was nearer on each of four cuts than all the way.
const HALF_WAY: f64 = 0.5;

/// At which level of its curve a model has to be read so that the promised share is done by then: the quantile
/// of the levels at which the outcomes of a rolling window were (conformal prediction; Chernozhukov et al.,
/// PNAS 2021).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Levels {
    window: VecDeque<f32>,
    since: u32,
    half: f64,
    nine_tenths: f64,
}

impl Levels {
    /// What it holds at most.
    pub(super) const BYTES_MAX: usize = WINDOW * size_of::<f32>() + 24;

    pub(super) fn new() -> Self {
        Self { window: VecDeque::new(), since: 0, half: 0.5, nine_tenths: 0.9 }
    }

    /// The levels to read for a half and for nine tenths.
    pub(super) fn read_at(&self) -> (f64, f64) {
        (self.half, self.nine_tenths)
    }

    /// The level at which an outcome was.
    pub(super) fn learn(&mut self, level: f64) {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(level as f32);
        self.since += 1;
        if self.since >= EVERY && self.window.len() >= ENOUGH {
            self.since = 0;
            let mut sorted: Vec<f32> = self.window.iter().copied().collect();
            sorted.sort_unstable_by(f32::total_cmp);
            let at = |share: f64| {
                let rank = (share * (sorted.len() + 1) as f64).ceil() as usize;
                let found = f64::from(sorted[rank.clamp(1, sorted.len()) - 1]);
                share + HALF_WAY * (found - share)
            };
            (self.half, self.nine_tenths) = (at(0.5), at(0.9));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_both_ways() {
        let longer = std::array::from_fn(|at| 1.0 - (at + 1) as f64 / 20.0);
        let curve = Curve::of(&longer);
        assert!((curve.quantile(0.25) - 24.0).abs() < 1e-9, "the fifth threshold");
        assert!((curve.share(24.0) - 0.25).abs() < 1e-12);
        let between = curve.quantile(0.275);
        assert!((between - (24.0_f64 * 48.0).sqrt()).abs() < 1e-9, "half way by logarithm: {between}");
        for share in [0.0, 0.01, 0.3, 0.86, 0.99, 1.0] {
            assert!((curve.share(curve.quantile(share)) - share).abs() < 1e-9, "{share}");
        }
        assert_eq!((curve.share(-1.0), curve.share(1e9)), (0.0, 1.0));
    }

    #[test]
    fn chances_that_rise_are_held_down() {
        let mut longer = [0.5; HOURS.len()];
        longer[3] = 0.9;
        let curve = Curve::of(&longer);
        assert!(curve.done.is_sorted(), "{curve:?}");
        assert!(curve.quantile(0.5) <= HOURS[0] + 1e-9 && curve.quantile(0.9) > HOURS[16]);
    }

    #[test]
    fn who_promises_too_little_is_read_half_as_much_further_out_as_was_missed() {
        let mut levels = Levels::new();
        assert_eq!(levels.read_at(), (0.5, 0.9));
        // Nine in ten outcomes lie below .97 of the curve instead of below .9.
        (0..1_000).for_each(|n| levels.learn(0.97 * f64::from(n % 100) / 90.0));
        let (half, nine_tenths) = levels.read_at();
        assert!((nine_tenths - 0.935).abs() < 0.01 && (half - 0.52).abs() < 0.01, "{half} {nine_tenths}");
    }
}
