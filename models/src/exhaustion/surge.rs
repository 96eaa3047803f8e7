//! Does it run out within the hour? What fills in minutes is full before the hourly forecast has
//! seen two levels of it. Here the level is that of a minute, and the way on is the line through the
//! last minutes, believed only while it holds: both halves of the window climb, at much the same
//! pace, and the climb stands well above the noise around it.

use super::forecast::Forecast;
use super::paths::line;
use crate::exhaustion::bands::Coverage;
use serde::{Deserialize, Serialize};

/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60_000_000_000;
/// Minutes that are kept.
const KEPT: usize = 30;
/// Windows that are tried after all that is kept, the longest first.
const WINDOWS: [usize; 3] = [20, 15, 10];
/// The shortest window.
const WINDOW_MIN: usize = 10;
/// How far ahead it looks, in minutes, and in windows: a line is not believed far beyond what it was
/// drawn through.
const REACH_MINUTES: f64 = 60.0;
const REACH_WINDOWS: f64 = 2.0;
/// The climb over the window is at least this many deviations of the levels around their line.
const CLEAR: f64 = 8.0;
/// Paces of the two halves are within this factor of each other.
const STEADY: f64 = 2.5;
/// Minutes in a row that say so before it is told.
const SURE: u8 = 3;
/// Minutes for which it says that what it told is not so any more.
const TAKEN_BACK: u8 = 5;
/// Half the width of the interval: at least this share of the middle.
const WIDTH_MIN: f64 = 0.2;

/// Levels of the last minutes of one series, mirrored so that everything rises: 150 bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Surge {
    minute: i64,
    sum: f64,
    count: u32,
    /// Means of the last minutes, oldest first; without a gap.
    levels: Vec<f32>,
    /// Minutes in a row that say it runs out.
    sure: u8,
    /// Minutes for which it is still to be said that it does not.
    taken_back: u8,
}

impl Surge {
    /// Takes one sample; `Some` when a minute closes that says it runs out, or takes that back.
    pub(super) fn update(&mut self, limit: f64, at_ns: i64, value: f64) -> Option<Forecast> {
        let minute = at_ns.div_euclid(MINUTE_NS);
        let mut told = None;
        if minute > self.minute {
            if self.count > 0 {
                told = self.close(limit, at_ns);
            }
            // Two scrapes may lie a minute apart; more is a gap, and a line over it a guess.
            if minute > self.minute.saturating_add(2) {
                self.levels.clear();
            }
            self.minute = minute;
        }
        self.sum += value;
        self.count += 1;
        told
    }

    fn close(&mut self, limit: f64, at_ns: i64) -> Option<Forecast> {
        if self.levels.len() == KEPT {
            self.levels.remove(0);
        }
        self.levels.push((self.sum / f64::from(self.count)) as f32);
        (self.sum, self.count) = (0.0, 0);
        let runs_out = self.runs_out(limit);
        let was_sure = self.sure == SURE;
        self.sure = if runs_out.is_some() { (self.sure + 1).min(SURE) } else { 0 };
        let is_sure = self.sure == SURE;
        self.taken_back = match (was_sure, is_sure) {
            (_, true) => 0,
            (true, false) => TAKEN_BACK,
            (false, false) => self.taken_back.saturating_sub(1),
        };
        let way = runs_out.filter(|_| is_sure).unwrap_or(Way::NOWHERE);
        (is_sure || self.taken_back > 0).then(|| self.forecast_of(way, at_ns, is_sure))
    }

    /// What is told now; `None` while nothing is.
    pub(super) fn told(&self, limit: f64) -> Option<Forecast> {
        let way = self.runs_out(limit).filter(|_| self.sure == SURE)?;
        Some(self.forecast_of(way, self.minute.saturating_mul(MINUTE_NS), true))
    }

    fn forecast_of(&self, Way { minutes, width }: Way, at_ns: i64, full_within_horizon: bool) -> Forecast {
        let ns = |minutes: f64| (minutes.max(0.0) * MINUTE_NS as f64) as i64;
        Forecast {
            at_ns,
            level: self.levels.last().map_or(f64::NAN, |level| f64::from(*level)),
            p10_ns: ns(minutes * (1.0 - width)),
            p50_ns: ns(minutes),
            p90_ns: ns(minutes * (1.0 + width)),
            full_within_horizon,
            coverage: Coverage::default(),
            faster_since_ns: None,
        }
    }

    /// When it is full, if the line through the last minutes says so, or it is.
    fn runs_out(&self, limit: f64) -> Option<Way> {
        let levels: Vec<f64> = self.levels.iter().map(|level| f64::from(*level)).collect();
        let (first, now) = (*levels.first()?, *levels.last()?);
        if now >= limit {
            // What was always so did not run out: it came here lately, or it stands where it was told.
            let came = first < limit || self.sure == SURE;
            return came.then_some(Way { minutes: 0.0, width: 0.0 });
        }
        let whole = levels.len();
        let shorter = WINDOWS.into_iter().filter(|window| *window < whole);
        std::iter::once(whole).filter(|whole| *whole >= WINDOW_MIN).chain(shorter).find_map(|window| {
            let way = climb(&levels[whole - window..], limit)?;
            (way.minutes <= REACH_MINUTES.min(REACH_WINDOWS * window as f64)).then_some(way)
        })
    }
}

/// A way to the limit.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Minutes until it is there.
    minutes: f64,
    /// Half the width of the interval, as a share of that.
    width: f64,
}

impl Way {
    const NOWHERE: Way = Way { minutes: u16::MAX as f64, width: 0.0 };
}

/// The line through `levels` where it climbs clearly and steadily.
fn climb(levels: &[f64], limit: f64) -> Option<Way> {
    let steps = levels.len() as f64 - 1.0;
    let (level, pace) = line(levels);
    let (_, before) = line(&levels[..levels.len() / 2]);
    let (_, after) = line(&levels[levels.len() / 2..]);
    let residual = |(i, value): (usize, &f64)| value - (level - pace * (steps - i as f64));
    let spread = (levels.iter().enumerate().map(|at| residual(at).powi(2)).sum::<f64>() / (steps + 1.0)).sqrt();
    let steady = before > 0.0 && after > 0.0 && before <= STEADY * after && after <= STEADY * before;
    let climbed = pace * steps;
    let width = (2.0 * spread / climbed).clamp(WIDTH_MIN, 0.9);
    let now = levels[levels.len() - 1];
    (steady && climbed >= CLEAR * spread).then_some(Way { minutes: (limit - now) / pace, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at which it was told that the level runs out, of levels sampled four times a minute.
    fn told(minutes: i64, limit: f64, level: impl Fn(f64) -> f64) -> Vec<i64> {
        let mut surge = Surge::default();
        let one = |step: i64| surge.update(limit, step * MINUTE_NS / 4, level(step as f64 / 4.0));
        let all: Vec<Option<Forecast>> = (0..minutes * 4).map(one).collect();
        let out = |(step, forecast): (usize, Option<Forecast>)| {
            forecast.filter(|forecast| forecast.full_within_horizon).map(|_| step as i64 / 4)
        };
        all.into_iter().enumerate().filter_map(out).collect()
    }

    fn noise(minute: f64) -> f64 {
        ((minute * 4.0 * 7919.0) % 13.0 - 6.0) / 6.0
    }

    #[test]
    fn a_volume_that_fills_in_forty_minutes_is_told_well_before_and_while_it_is_full() {
        let told = told(60, 64.0, |minute| (1.6 * minute + 0.2 * noise(minute)).min(64.0));
        assert!((14..=18).contains(&told[0]), "{told:?}");
        assert_eq!(told.len() as i64, 60 - told[0], "it stays told");
    }

    #[test]
    fn what_wobbles_jumps_or_is_far_from_its_limit_is_not_told() {
        assert!(told(300, 100.0, |minute| 50.0 + 20.0 * noise(minute)).is_empty());
        assert!(told(300, 100.0, |minute| if minute < 30.0 { 10.0 } else { 80.0 }).is_empty());
        assert!(told(300, 1_000.0, |minute| minute).is_empty(), "far away");
        assert!(told(300, 100.0, |minute| 30.0 + (minute % 8.0) * 5.0).is_empty(), "a sawtooth");
        assert!(told(300, 0.0, |_| 0.0).is_empty(), "what was always empty did not run out");
    }

    #[test]
    fn over_a_gap_there_is_no_line() {
        let mut surge = Surge::default();
        for minute in 0..9 {
            assert_eq!(surge.update(64.0, minute * MINUTE_NS, minute as f64), None);
        }
        for minute in 30..39 {
            assert_eq!(surge.update(64.0, minute * MINUTE_NS, minute as f64), None);
        }
    }
}
