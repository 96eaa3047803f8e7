//! The default detector: a local level, a slow level and a daily season, each
//! residual measured against its own robust scale and turned into bits of
//! surprise by a learned tail.
//!
//! * `fast` asks whether the point leaves its neighbourhood (spikes, drops);
//! * `slow` asks whether the neighbourhood left the day's usual course
//!   (level shifts, missing peaks, traffic at night);
//! * a run of equal values longer than ever seen is `Stuck`.
//!
//! Residuals are clipped before they teach, so an anomaly does not become the
//! norm, unless it stays: then the level follows and the shift is reported once.

use super::params::CheckedParams;
use super::season::{Place, Season};
use super::verdict::{Reason, Verdict, score_from_bits};
use crate::shared::Tail;
use serde::{Deserialize, Serialize};

/// A level and the mean absolute deviation from it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Track {
    level: f64,
    deviation: f32,
    tail: Tail,
}

/// Per-series state of the streaming detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    seen: u32,
    stuck_run: u32,
    stuck_run_max: u32,
    step_secs: f32,
    season_gain: f32,
    last_at_ns: i64,
    last_value: f64,
    fast: Track,
    slow: Track,
    reported_at_ns: i64,
    reported_bits: f32,
    season: Option<Box<Season>>,
}

/// Deviations beyond this many scales teach no more than this.
const CLIP: f64 = 4.0;
/// Points the slow level remembers.
const SLOW_MEMORY: f64 = 300.0;
/// Seconds in a week, for the false-alarm budget.
const WEEK_SECS: f64 = 604_800.0;

impl Track {
    const NEW: Self = Self { level: 0.0, deviation: 0.0, tail: Tail::new(2.5, 0.8) };

    /// Residual in units of the scale, never dividing by nothing.
    fn size(&self, residual: f64, floor: f64) -> f64 {
        residual.abs() / (1.2533 * f64::from(self.deviation)).max(floor)
    }

    fn learn(&mut self, residual: f64, floor: f64, rate: f64, scale_rate: f64) {
        let scale = f64::from(self.deviation).max(floor);
        let clipped = residual.clamp(-CLIP * scale, CLIP * scale);
        self.level += rate * clipped;
        self.deviation += (scale_rate * (clipped.abs() - f64::from(self.deviation))) as f32;
    }
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(_params: &CheckedParams) -> Self {
        Self {
            seen: 0,
            stuck_run: 0,
            stuck_run_max: 0,
            step_secs: 60.0,
            season_gain: 0.0,
            last_at_ns: i64::MIN,
            last_value: 0.0,
            fast: Track::NEW,
            slow: Track::NEW,
            reported_at_ns: i64::MIN,
            reported_bits: 0.0,
            season: None,
        }
    }

    /// Judges one point and learns from it. Points come in time order; a point
    /// that is not newer than the last is judged but moves no clock. A value
    /// that is not finite is `Missing` and teaches nothing.
    pub fn update(&mut self, params: &CheckedParams, at_ns: i64, value: f64) -> Verdict {
        if !value.is_finite() {
            return self.quiet(Reason::Missing);
        }
        if self.seen == 0 {
            self.begin(at_ns, value);
            return self.quiet(Reason::Learning);
        }
        self.tick(at_ns);
        let place = Place::of(at_ns);
        let seasonal = self.season.as_ref().map_or(0.0, |season| season.at(place));
        let floor = 1e-9 + 1e-6 * self.slow.level.abs();
        let expected = self.fast.level + seasonal;
        let residual = value - expected;
        let residual_slow = value - seasonal - self.slow.level;
        let fast_size = self.fast.size(residual, floor);
        let slow_size = self.slow.size(residual_slow, floor);
        let fast_bits = self.fast.tail.bits(fast_size);
        let slow_bits = self.slow.tail.bits(slow_size) - 1.0;
        let bits = fast_bits.max(slow_bits).min(1000.0);
        let half = self.fast.tail.size_at(self.alarm_bits(params)) * (1.2533 * f64::from(self.fast.deviation)).max(floor);

        let young = 1.0 / f64::from(self.seen + 1);
        let rate = params.local_rate.max(young);
        self.fast.learn(residual, floor, rate, 0.01f64.max(young));
        self.slow.learn(residual_slow, floor, (1.0 / SLOW_MEMORY).max(young), 0.003f64.max(young));
        let tail_rate = 0.001f64.max(0.5 * young).min(0.01);
        self.fast.tail.learn(fast_size, tail_rate);
        self.slow.tail.learn(slow_size, tail_rate);
        self.learn_season(place, residual_slow, floor);
        self.last_value = value;
        self.seen = self.seen.saturating_add(1);

        let learning = self.seen < params.learning_points;
        let reason = match (learning, bits >= self.alarm_bits(params)) {
            (true, _) => Reason::Learning,
            (false, false) => Reason::None,
            (false, true) if slow_bits > fast_bits => Reason::LevelShift,
            (false, true) if residual > 0.0 => Reason::Spike,
            (false, true) => Reason::Drop,
        };
        let anomaly = !learning && reason != Reason::None && self.report(params, at_ns, bits);
        Verdict {
            score: if learning { 0.0 } else { score_from_bits(bits) },
            anomaly,
            expected,
            lower: expected - half,
            upper: expected + half,
            reason,
        }
    }

    /// Surprise an alarm needs under the false-alarm budget.
    fn alarm_bits(&self, params: &CheckedParams) -> f64 {
        let points_per_week = WEEK_SECS / f64::from(self.step_secs).max(1e-3);
        (points_per_week / params.alerts_per_week).log2().max(6.0)
    }

    fn begin(&mut self, at_ns: i64, value: f64) {
        self.seen = 1;
        self.last_at_ns = at_ns;
        self.last_value = value;
        self.fast.level = value;
        self.slow.level = value;
    }

    fn tick(&mut self, at_ns: i64) {
        if at_ns > self.last_at_ns {
            let step = at_ns.saturating_sub(self.last_at_ns) as f64 / 1e9;
            let known = f64::from(self.step_secs);
            let rate = 0.02f64.max(1.0 / f64::from(self.seen));
            self.step_secs = (known + rate * (step.min(4.0 * known.max(step * rate)) - known)) as f32;
            self.last_at_ns = at_ns;
        }
    }

    fn learn_season(&mut self, place: Place, residual: f64, floor: f64) {
        let season = self.season.get_or_insert_with(Box::default);
        let scale = f64::from(self.slow.deviation).max(floor);
        season.learn(place, residual.clamp(-CLIP * scale, CLIP * scale), 0.02);
    }

    /// True when this alarm is news: nothing reported within the refractory
    /// period, or something clearly bigger than what was reported.
    fn report(&mut self, params: &CheckedParams, at_ns: i64, bits: f64) -> bool {
        let within = self.reported_at_ns != i64::MIN && at_ns.saturating_sub(self.reported_at_ns) < params.refractory_ns;
        if within && bits < 2.0 * f64::from(self.reported_bits) {
            return false;
        }
        self.reported_at_ns = at_ns;
        self.reported_bits = bits as f32;
        true
    }

    fn quiet(&self, reason: Reason) -> Verdict {
        let expected = self.fast.level;
        Verdict { score: 0.0, anomaly: false, expected, lower: expected, upper: expected, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::DetectorParams;

    fn params() -> CheckedParams {
        DetectorParams::default().check().expect("defaults are in range")
    }

    #[test]
    fn state_fits_its_budget() {
        assert!(size_of::<Detector>() <= 512, "{}", size_of::<Detector>());
    }

    #[test]
    fn nonsense_neither_panics_nor_alarms() {
        let params = params();
        let mut detector = Detector::new(&params);
        for (at, value) in [(0, f64::NAN), (i64::MAX, f64::INFINITY), (i64::MIN, 1.0), (i64::MAX, f64::MAX), (0, -f64::MAX)] {
            assert!(!detector.update(&params, at, value).anomaly);
        }
    }
}
