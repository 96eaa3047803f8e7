//! Do the intervals hold what they promise? At each decision a 90 % band for
//! the level half a day ahead is written down; when that hour comes the level
//! lies inside or not. The answer is counted for the user, and it moves the
//! width of the next intervals: adaptive conformal inference (Gibbs and Candès,
//! "Adaptive conformal inference under distribution shift", NeurIPS 2021), on
//! the logarithm of the width, from a start that is pooled over many series.

use super::contest::Outlook;
use super::passage::{error_after, sorted_quantile};
use serde::{Deserialize, Serialize};

/// Hours ahead for which a band is written down.
const AHEAD_HOURS: u32 = 12;
/// Share of levels a band promises to hold.
const PROMISED: f64 = 0.9;
/// Width of the first intervals, in widths of the earlier contests' errors:
/// what held nine of ten over made-up resources of all kinds.
const WIDTH_FIRST: f32 = 1.1;
/// Step of the logarithm of the width after a miss; a hit takes back a ninth.
const STEP: f64 = 0.05;
/// A series that never misses, and one that always does, end here.
const WIDTH_MIN: f64 = 0.7;
const WIDTH_MAX: f64 = 3.0;

/// How often the bands stated for one series held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Bands whose hour has come.
    pub checked: u32,
    /// Those that held the level.
    pub held: u32,
}

impl Coverage {
    /// Share of bands that held; `None` before the first is checked.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.checked > 0).then(|| f64::from(self.held) / f64::from(self.checked))
    }
}

/// A band whose hour is to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Band {
    due_hour: u32,
    middle: f32,
    half: f32,
}

/// Bands stated for one series, and what became of them: at most 160 bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bands {
    stated: Vec<Band>,
    width: f32,
    coverage: Coverage,
}

impl Default for Bands {
    fn default() -> Self {
        Self { stated: Vec::new(), width: WIDTH_FIRST, coverage: Coverage::default() }
    }
}

impl Bands {
    /// What the next interval is to be multiplied with.
    pub(super) fn width(&self) -> f64 {
        f64::from(self.width)
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The hour `hour` closed at `level`: the band stated for it is checked.
    pub(super) fn check(&mut self, hour: u32, level: f64) {
        let due = |band: &Band| band.due_hour <= hour;
        while let Some(band) = self.stated.first().copied().filter(due) {
            self.stated.remove(0);
            let held = (level - f64::from(band.middle)).abs() <= f64::from(band.half);
            self.coverage.checked = self.coverage.checked.saturating_add(1);
            self.coverage.held = self.coverage.held.saturating_add(u32::from(held));
            let missed = f64::from(u8::from(!held));
            let width = f64::from(self.width) * (STEP * (missed - (1.0 - PROMISED))).exp();
            self.width = width.clamp(WIDTH_MIN, WIDTH_MAX) as f32;
        }
    }

    /// Writes down the band for the level some hours after `hour`.
    pub(super) fn state(&mut self, hour: u32, outlook: &Outlook) {
        let ahead = AHEAD_HOURS as usize;
        let Some(middle) = outlook.path.get(ahead - 1) else { return };
        let mut sizes: Vec<f64> = outlook.trails.iter().map(|trail| error_after(trail, ahead).abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let half = (self.width() * sorted_quantile(&sizes, PROMISED)) as f32;
        let due_hour = hour.saturating_add(AHEAD_HOURS);
        // One a decision and all due after as long: never more than that many wait.
        if self.stated.len() < ahead && self.stated.last().is_none_or(|last| last.due_hour < due_hour) {
            self.stated.push(Band { due_hour, middle: *middle as f32, half });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(middle: f64, error: f64) -> Outlook {
        Outlook { path: vec![middle; 24], trails: vec![vec![error; 24]; 4] }
    }

    #[test]
    fn a_band_is_checked_when_its_hour_comes_and_counted() {
        let mut bands = Bands::default();
        bands.state(5, &outlook(50.0, 1.0));
        bands.check(16, 90.0);
        assert_eq!(bands.coverage().share(), None);
        bands.check(17, 50.5);
        assert_eq!(bands.coverage(), Coverage { checked: 1, held: 1 });
        bands.state(17, &outlook(50.0, 1.0));
        bands.check(29, 52.0);
        assert_eq!(bands.coverage().share(), Some(0.5));
    }

    #[test]
    fn the_width_finds_the_level_at_which_nine_of_ten_hold() {
        let mut bands = Bands::default();
        // Errors spread evenly over ±2 where the trails say 1: nine of ten lie within 1.8.
        for hour in 0..4_000_u32 {
            bands.check(hour, 50.0 + f64::from(hour * 37 % 400) / 100.0 - 2.0);
            bands.state(hour, &outlook(50.0, 1.0));
            assert!(bands.stated.len() <= AHEAD_HOURS as usize);
        }
        let share = bands.coverage().share().expect("many were checked");
        assert!((bands.width() - 1.8).abs() < 0.3 && (share - PROMISED).abs() < 0.02, "{} {share}", bands.width());
    }
}
