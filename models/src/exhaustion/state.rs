//! Per-series state: the running hour and a ring of hourly levels of the last
//! ten days; the screen, and the decision.

use super::bands::{Bands, Coverage};
use super::contest::{Outlook, outlook};
use super::forecast::{FAR_NS, Forecast};
use super::hour::{Hour, MEDIAN};
use super::params::{CheckedExhaustionParams, HOUR_NS};
use super::passage::Passages;
use super::surge::Surge;
use crate::shared::ChangePoints;
use serde::{Deserialize, Serialize};

/// Hours kept: three teeth of the longest sawtooth looked for.
const HOURS_MAX: usize = 240;
/// Hours a first forecast needs.
const HOURS_MIN: usize = 8;
/// The screen looks at the largest rise over windows of these hours …
const SCREEN_WINDOWS: [usize; 3] = [3, 8, 24];
/// … and flags when this many times that pace could reach the limit.
const SCREEN_MARGIN: f64 = 4.0;
/// Shares of all ways that arrive before the edges of the interval: it is to
/// hold nine of ten outcomes.
const EDGES: [f64; 2] = [0.05, 0.95];
/// Hourly medians do not say when within minutes: the interval is wider by this
/// many hours on both sides.
const EDGE_HOURS: f64 = 0.1;
/// The verdict is yes when this share of the ways, this much wider than earlier
/// errors, arrives within the horizon. Where they spread (a sawtooth about to
/// drop, a curve that slows down) that asks for more than a coin's toss, on a
/// clean line for hardly more.
const VERDICT_SHARE: f64 = 0.62;
const VERDICT_WIDTH: f64 = 1.2;

/// Forecaster of one series: at most 1.5 KiB, and the sketch of the running hour
/// where another quantile than the median is watched. Levels of a resource that
/// falls to its limit are kept negated: inside, everything rises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exhaustion {
    hour_ends_ns: i64,
    decide_at_ns: i64,
    hour: Hour,
    hours: Vec<f32>,
    head: usize,
    hours_seen: u32,
    bands: Bands,
    /// Changes of the hourly rise, and when it last became faster.
    pace: ChangePoints,
    faster_since_ns: Option<i64>,
    surge: Surge,
    /// The last word of the hourly forecast, and of the minutes, that it runs out.
    runs_out: [bool; 2],
}

impl Default for Exhaustion {
    fn default() -> Self {
        Self {
            hour_ends_ns: i64::MIN,
            decide_at_ns: i64::MIN,
            hour: Hour::default(),
            hours: Vec::new(),
            head: 0,
            hours_seen: 0,
            bands: Bands::default(),
            pace: ChangePoints::default(),
            faster_since_ns: None,
            surge: Surge::default(),
            runs_out: [false; 2],
        }
    }
}

impl Exhaustion {
    /// What it comes to hold beside itself: ten days of hours, the bands that wait to be judged, minutes.
    pub const HELD_BYTES: usize = HOURS_MAX * size_of::<f32>() + 640;

    /// Takes one sample; `Some` at a decision point when the screen flags the
    /// series. Samples that are not finite are skipped; samples older than the
    /// running hour count into it.
    pub fn update(&mut self, params: &CheckedExhaustionParams, at_ns: i64, value: f64) -> Option<Forecast> {
        if !value.is_finite() {
            return None;
        }
        let decided = if at_ns >= self.hour_ends_ns { self.turn_hour(params, at_ns) } else { None };
        self.hour.add(params.quantile, params.sign * value);
        // A quantile of an hour is no level that fills.
        let median = params.quantile == MEDIAN;
        let soon = if median { self.surge.update(params.limit, at_ns, params.sign * value) } else { None };
        let soon = soon.map(|forecast| Forecast { level: params.sign * forecast.level, ..forecast });
        self.agree(decided, soon)
    }

    /// One word of the hourly forecast and that of the minutes: it runs out while either says so.
    fn agree(&mut self, hourly: Option<Forecast>, soon: Option<Forecast>) -> Option<Forecast> {
        let word = |forecast: &Option<Forecast>| forecast.is_some_and(|forecast| forecast.full_within_horizon);
        if hourly.is_some() {
            self.runs_out[0] = word(&hourly);
        }
        if soon.is_some() {
            self.runs_out[1] = word(&soon);
        }
        let told = if word(&soon) { soon } else { hourly.or(soon.filter(|_| !self.runs_out[0])) };
        told.map(|forecast| Forecast { full_within_horizon: self.runs_out[0] || self.runs_out[1], ..forecast })
    }

    /// Hours closed so far: it grows by one at each decision point.
    #[must_use]
    pub fn hours_seen(&self) -> u32 {
        self.hours_seen
    }

    /// Level of the last closed hour, in the unit of the series; NaN before the first.
    #[must_use]
    pub fn level(&self, params: &CheckedExhaustionParams) -> f64 {
        if self.hours.is_empty() { f64::NAN } else { params.sign * self.hour(0) }
    }

    /// Whether its last word was that the resource runs out within the horizon.
    #[must_use]
    pub fn runs_out(&self) -> bool {
        self.runs_out[0] || self.runs_out[1]
    }

    /// What it would say now, for who looks between two decisions: nothing is written down. `None` while
    /// the screen does not flag the series, or too little is known of it.
    #[must_use]
    pub fn forecast(&self, params: &CheckedExhaustionParams) -> Option<Forecast> {
        let soon = if params.quantile == MEDIAN { self.surge.told(params.limit) } else { None };
        let soon = soon.map(|forecast| Forecast {
            level: params.sign * forecast.level,
            coverage: self.coverage(),
            ..forecast
        });
        let hourly =
            || self.look_ahead(params, self.hour_ends_ns.saturating_sub(HOUR_NS)).map(|(forecast, _)| forecast);
        let told = soon.or_else(hourly)?;
        Some(Forecast { full_within_horizon: self.runs_out(), ..told })
    }

    /// How often bands stated for the level half a day ahead held so far: the
    /// promise is nine of ten.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.bands.coverage()
    }

    fn turn_hour(&mut self, params: &CheckedExhaustionParams, at_ns: i64) -> Option<Forecast> {
        let first = self.hour_ends_ns == i64::MIN;
        self.close_hour(params);
        self.hour_ends_ns = at_ns.div_euclid(HOUR_NS).saturating_add(1).saturating_mul(HOUR_NS);
        if first || at_ns < self.decide_at_ns {
            return None;
        }
        // A little early is on time: samples do not fall on the full hour.
        self.decide_at_ns = at_ns.saturating_add(params.decide_every_ns - params.decide_every_ns / 10);
        self.decide(params, at_ns)
    }

    fn close_hour(&mut self, params: &CheckedExhaustionParams) {
        let Some(level) = self.hour.close(params.quantile) else { return };
        if !self.hours.is_empty() {
            self.follow_pace(params, f64::from(level) - self.hour(0));
        }
        self.hours_seen = self.hours_seen.saturating_add(1);
        if self.hours.len() < HOURS_MAX {
            self.hours.push(level);
        } else {
            self.hours[self.head] = level;
            self.head = (self.head + 1) % HOURS_MAX;
        }
        self.bands.check(self.hours_seen, f64::from(level));
    }

    /// Did the hourly rise change, and since when? Slower is no onset.
    fn follow_pace(&mut self, params: &CheckedExhaustionParams, rise: f64) {
        if let Some(change) = self.pace.update(&params.pace, rise) {
            let hours_ago = i64::from(change.points_ago).saturating_add(1);
            let since_ns = self.hour_ends_ns.saturating_sub(hours_ago.saturating_mul(HOUR_NS));
            self.faster_since_ns = (change.after > change.before).then_some(since_ns);
        }
    }

    /// Level of the hour `back` hours before the last closed one.
    fn hour(&self, back: usize) -> f64 {
        let len = self.hours.len();
        f64::from(self.hours[(self.head + len - 1 - back) % len])
    }

    /// Could the fastest rise of the last days, carried on with a margin, reach
    /// the limit within the horizon?
    fn screen(&self, params: &CheckedExhaustionParams) -> bool {
        let horizon = params.horizon_ns as f64 / HOUR_NS as f64;
        let now = self.hour(0);
        let room = params.limit - now;
        SCREEN_WINDOWS.iter().filter(|window| self.hours.len() > **window).any(|window| {
            let pace = (now - self.hour(*window)) / *window as f64;
            SCREEN_MARGIN * pace.max(0.0) * horizon >= room
        }) || self.high_tide(params)
    }

    /// A swing that came within a tenth of the limit in the last day.
    fn high_tide(&self, params: &CheckedExhaustionParams) -> bool {
        let day = || (0..self.hours.len().min(24)).map(|back| self.hour(back));
        let (low, high) = day().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        params.limit - high < 0.5 * (high - low)
    }

    /// How far ahead a verdict dares to look: as far as it looked back, and
    /// while two days are not known, an eighth of that, for a morning's rise
    /// is no trend.
    fn reach_ns(&self) -> i64 {
        let known = i64::from(self.hours_seen);
        HOUR_NS.saturating_mul(known) / if known < 2 * 24 { 8 } else { 1 }
    }

    fn decide(&mut self, params: &CheckedExhaustionParams, at_ns: i64) -> Option<Forecast> {
        let (forecast, outlook) = self.look_ahead(params, at_ns)?;
        self.bands.state(self.hours_seen, &outlook);
        Some(forecast)
    }

    /// The hourly forecast, and the ways it comes from; `None` while the screen does not flag the series.
    fn look_ahead(&self, params: &CheckedExhaustionParams, at_ns: i64) -> Option<(Forecast, Outlook)> {
        if self.hours.len() < HOURS_MIN || !self.screen(params) {
            return None;
        }
        let past: Vec<f64> = (0..self.hours.len()).rev().map(|back| self.hour(back)).collect();
        let horizon = params.horizon_ns as f64 / HOUR_NS as f64;
        let outlook = outlook(&past, (3.0 * horizon).ceil() as usize);
        let now = self.hour(0);
        let ways = Passages::of(&outlook, now, params.limit, self.bands.width());
        let careful = Passages::of(&outlook, now, params.limit, VERDICT_WIDTH);
        let ns = |hours: f64| (hours.max(0.0) * HOUR_NS as f64).min(FAR_NS as f64) as i64;
        let p50_ns = ns(ways.quantile(0.5));
        let forecast = Forecast {
            at_ns,
            level: params.sign * now,
            p10_ns: ns(ways.quantile(EDGES[0]) - EDGE_HOURS).min(p50_ns),
            p50_ns,
            p90_ns: ns(ways.quantile(EDGES[1]) + EDGE_HOURS).max(p50_ns),
            full_within_horizon: ns(careful.quantile(VERDICT_SHARE)) <= params.horizon_ns.min(self.reach_ns()),
            coverage: self.bands.coverage(),
            faster_since_ns: self.faster_since_ns,
        };
        Some((forecast, outlook))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhaustion::ExhaustionParams;

    #[test]
    fn a_steady_climb_is_forecast_and_a_flat_line_is_silent() {
        let params = ExhaustionParams::default().check().expect("in range");
        let (mut climb, mut flat) = (Exhaustion::default(), Exhaustion::default());
        let mut last = None;
        for minute in 0..(60 * 49) {
            let at = minute * 60_000_000_000;
            last = climb.update(&params, at, 40.0 + minute as f64 / 60.0).or(last);
            assert!(flat.update(&params, at, 50.0).is_none());
        }
        let last = last.expect("the climb is flagged");
        let hours = last.p50_ns as f64 / HOUR_NS as f64;
        assert!(last.full_within_horizon);
        assert!((hours - 12.5).abs() < 0.7, "{hours}");
        assert!(last.p10_ns <= last.p50_ns && last.p50_ns <= last.p90_ns);
    }

    #[test]
    fn what_it_would_say_now_is_what_it_said_at_the_decision_and_changes_nothing() {
        let params = ExhaustionParams::default().check().expect("in range");
        let mut state = Exhaustion::default();
        let mut last = None;
        for minute in 0..(60 * 49) {
            let level = 40.0 + minute as f64 / 60.0;
            if let Some(forecast) = state.update(&params, minute * 60_000_000_000, level) {
                last = Some(forecast);
                let before = state.clone();
                assert_eq!(state.forecast(&params), last);
                assert_eq!(state, before);
            }
        }
        assert!(last.is_some_and(|forecast| forecast.is_in_sight() && state.runs_out()));
    }

    /// Forecasts over samples every ten minutes; the value is given the hour.
    fn forecasts(params: ExhaustionParams, hours: u32, value: impl Fn(f64) -> f64) -> Vec<Forecast> {
        let params = params.check().expect("in range");
        let mut state = Exhaustion::default();
        let one = |step: u32| state.update(&params, i64::from(step) * HOUR_NS / 6, value(f64::from(step) / 6.0));
        (0..6 * hours).filter_map(one).collect()
    }

    #[test]
    fn what_falls_to_its_limit_is_forecast_as_its_mirror_image() {
        let noise = |hour: f64| (hour * 6.0 * 7919.0) % 13.0 * 0.02;
        let rising = forecasts(ExhaustionParams::default(), 90, |hour| 40.0 + 0.5 * hour + noise(hour));
        let days_left = ExhaustionParams { limit: 0.0, falling: true, ..ExhaustionParams::default() };
        let falling = forecasts(days_left, 90, |hour| 60.0 - 0.5 * hour - noise(hour));
        assert_eq!(rising.len(), falling.len());
        let (rising, falling) = (rising.last().expect("flagged"), falling.last().expect("flagged"));
        assert!((falling.level - (100.0 - rising.level)).abs() < 1e-3, "{falling:?}");
        assert!(falling.p50_ns.abs_diff(rising.p50_ns) < HOUR_NS as u64 / 60, "{rising:?} {falling:?}");
        assert_eq!(falling.full_within_horizon, rising.full_within_horizon);
    }

    #[test]
    fn a_latency_budget_is_watched_at_its_quantile() {
        // Three answers in a hundred slow down hour by hour; the median stays.
        let budget = |quantile| ExhaustionParams { limit: 500.0, quantile, ..ExhaustionParams::default() };
        let told = |params: ExhaustionParams| {
            let params = params.check().expect("in range");
            let mut state = Exhaustion::default();
            let value = |step: i64| if step % 33 == 5 { 100.0 + 6.0 * step as f64 / 240.0 } else { 20.0 };
            let one = |step| state.update(&params, step * HOUR_NS / 240, value(step));
            (0..240 * 60).filter_map(one).any(|forecast| forecast.full_within_horizon)
        };
        assert!(told(budget(0.99)));
        assert!(!told(budget(0.5)));
    }

    #[test]
    fn a_late_onset_is_dated() {
        let noise = |hour: f64| (hour * 6.0 * 7919.0) % 13.0 * 0.02;
        let value = |hour: f64| 40.0 + noise(hour) + 2.0 * (hour - 70.0).max(0.0);
        let all = forecasts(ExhaustionParams::default(), 90, value);
        let since = all.last().and_then(|forecast| forecast.faster_since_ns).expect("the onset is seen");
        assert!(since.abs_diff(70 * HOUR_NS) <= 3 * HOUR_NS as u64, "{}", since / HOUR_NS);
        let steady = forecasts(ExhaustionParams::default(), 90, |hour| 40.0 + 0.6 * hour + noise(hour));
        assert!(!steady.is_empty() && steady.iter().all(|forecast| forecast.faster_since_ns.is_none()));
    }

    #[test]
    fn a_watched_climb_counts_how_often_its_bands_held() {
        let params = ExhaustionParams::default().check().expect("in range");
        let mut state = Exhaustion::default();
        for step in 0..(6 * 90) {
            state.update(&params, step * HOUR_NS / 6, 20.0 + step as f64 / 10.0 + (step * 7919 % 13) as f64 * 0.1);
        }
        let coverage = state.coverage();
        assert!(coverage.checked > 40, "{coverage:?}");
        assert!(coverage.share().is_some_and(|share| share > 0.8), "{coverage:?}");
    }

    #[test]
    fn extreme_times_do_not_panic() {
        let params = ExhaustionParams::default().check().expect("in range");
        let mut state = Exhaustion::default();
        for at in [i64::MIN, i64::MAX, 0, i64::MAX] {
            state.update(&params, at, 1.0);
            state.update(&params, at, f64::NAN);
        }
    }
}
