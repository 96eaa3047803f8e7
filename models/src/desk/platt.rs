//! Chances held against what came back: a line through their log-odds (Platt, 1999), fitted over a rolling
//! window of answers given before the truth was learned.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Answers in the window: a week of the UCI incident log, so that each weekday is in it once and what has
/// changed since is not held against for longer.
const WINDOW: usize = 2_048;
/// New answers between two fits.
const EVERY: u32 = 32;
/// Weight, in answers, of the belief that nothing has to be corrected.
const PRIOR: f64 = 20.0;
/// Newton steps of a fit: it converges in three or four.
const NEWTON: usize = 6;
/// Log-odds beyond this tell nothing more.
const ODDS_MAX: f64 = 12.0;

/// A rolling correction of chances.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Platt {
    window: VecDeque<(f32, bool)>,
    since: u32,
    slope: f64,
    offset: f64,
}

impl Platt {
    /// What it holds at most.
    pub(super) const BYTES_MAX: usize = WINDOW * size_of::<(f32, bool)>() + 24;

    pub(super) fn new() -> Self {
        Self { window: VecDeque::new(), since: 0, slope: 1.0, offset: 0.0 }
    }

    /// The chance to be told for one that the model thinks.
    pub(super) fn corrected(&self, chance: f64) -> f64 {
        chance_of(self.slope * odds_of(chance) + self.offset)
    }

    /// What the model thought, and what came back.
    pub(super) fn learn(&mut self, chance: f64, came_true: bool) {
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back((odds_of(chance) as f32, came_true));
        self.since += 1;
        if self.since >= EVERY {
            self.since = 0;
            (self.slope, self.offset) = fitted(&self.window);
        }
    }
}

/// Slope and offset of the likeliest line, drawn to (1, 0).
fn fitted(window: &VecDeque<(f32, bool)>) -> (f64, f64) {
    let (mut slope, mut offset) = (1.0_f64, 0.0_f64);
    for _ in 0..NEWTON {
        // The prior counts as that many answers at even odds.
        let hold = PRIOR / 4.0;
        let (mut to_slope, mut to_offset) = (hold * (slope - 1.0), hold * offset);
        let (mut ss, mut so, mut oo) = (hold, 0.0, hold);
        for (odds, came_true) in window {
            let odds = f64::from(*odds);
            let said = chance_of(slope * odds + offset);
            let (error, weight) = (said - f64::from(u8::from(*came_true)), said * (1.0 - said));
            to_slope += error * odds;
            to_offset += error;
            ss += weight * odds * odds;
            so += weight * odds;
            oo += weight;
        }
        let determinant = ss * oo - so * so;
        slope -= (oo * to_slope - so * to_offset) / determinant;
        offset -= (ss * to_offset - so * to_slope) / determinant;
    }
    // A line that falls would turn the order of the answers round: no window is evidence enough for that.
    if slope > 0.0 && slope.is_finite() && offset.is_finite() { (slope, offset) } else { (1.0, 0.0) }
}

/// The chance of log-odds.
pub(super) fn chance_of(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn odds_of(chance: f64) -> f64 {
    (chance / (1.0 - chance)).ln().clamp(-ODDS_MAX, ODDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_past_a_chance_stays_as_it_is() {
        let platt = Platt::new();
        for chance in [0.0, 0.2, 0.9, 1.0] {
            assert!((platt.corrected(chance) - chance).abs() < 1e-4, "{chance}");
        }
    }

    #[test]
    fn who_is_too_sure_is_told_with_less_confidence_and_the_order_stays() {
        let mut platt = Platt::new();
        // Says .9 and .1, and is right in seven of ten.
        for n in 0..1_000 {
            platt.learn(if n % 2 == 0 { 0.9 } else { 0.1 }, (n % 2 == 0) == (n / 2 % 10 < 7));
        }
        assert!((platt.corrected(0.9) - 0.7).abs() < 0.02, "{}", platt.corrected(0.9));
        assert!((platt.corrected(0.1) - 0.3).abs() < 0.02);
        assert!(platt.corrected(0.95) > platt.corrected(0.9));
    }

    #[test]
    fn what_changed_is_followed_within_a_window() {
        let mut platt = Platt::new();
        (0..WINDOW).for_each(|_| platt.learn(0.5, true));
        (0..WINDOW).for_each(|n| platt.learn(0.5, n % 5 == 0));
        assert!((platt.corrected(0.5) - 0.2).abs() < 0.02, "{}", platt.corrected(0.5));
        assert_eq!(platt.window.len(), WINDOW);
    }
}
