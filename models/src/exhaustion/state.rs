//! Per-series state: the samples of the running hour and a ring of hourly
//! medians of the last week.

use super::forecast::{FAR_NS, Forecast};
use super::params::{CheckedExhaustionParams, HOUR_NS};
use serde::{Deserialize, Serialize};

/// Hours kept: two days of growth and a full week for the season.
const HOURS_MAX: usize = 168;
/// Samples of an hour that enter its median; more are thinned by doubling the
/// stride, so the sample stays spread over the hour.
const SAMPLES_MAX: usize = 32;
/// Hours a first forecast needs.
const HOURS_MIN: usize = 6;

/// Forecaster of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exhaustion {
    hour_ends_ns: i64,
    decide_at_ns: i64,
    stride: u32,
    phase: u32,
    samples: Vec<f32>,
    hours: Vec<f32>,
    head: usize,
}

impl Default for Exhaustion {
    fn default() -> Self {
        Self {
            hour_ends_ns: i64::MIN,
            decide_at_ns: i64::MIN,
            stride: 1,
            phase: 0,
            samples: Vec::with_capacity(SAMPLES_MAX),
            hours: Vec::new(),
            head: 0,
        }
    }
}

impl Exhaustion {
    /// Takes one sample; `Some` at a decision point when the screen flags the
    /// series. Samples that are not finite are skipped; samples older than the
    /// running hour count into it.
    pub fn update(&mut self, params: &CheckedExhaustionParams, at_ns: i64, value: f64) -> Option<Forecast> {
        if !value.is_finite() {
            return None;
        }
        let mut decided = None;
        if at_ns >= self.hour_ends_ns {
            decided = self.turn_hour(params, at_ns);
        }
        self.sample(value as f32);
        decided
    }

    fn sample(&mut self, value: f32) {
        self.phase += 1;
        if self.phase < self.stride {
            return;
        }
        self.phase = 0;
        if self.samples.len() == SAMPLES_MAX {
            let mut index = 0;
            self.samples.retain(|_| { index += 1; index % 2 == 1 });
            self.stride *= 2;
        }
        self.samples.push(value);
    }

    fn turn_hour(&mut self, params: &CheckedExhaustionParams, at_ns: i64) -> Option<Forecast> {
        let first = self.hour_ends_ns == i64::MIN;
        self.close_hour();
        self.hour_ends_ns = at_ns.div_euclid(HOUR_NS).saturating_add(1).saturating_mul(HOUR_NS);
        if first || at_ns < self.decide_at_ns {
            return None;
        }
        self.decide_at_ns = at_ns.saturating_add(params.decide_every_ns);
        self.decide(params, at_ns)
    }

    fn close_hour(&mut self) {
        self.stride = 1;
        self.phase = 0;
        if self.samples.is_empty() {
            return;
        }
        self.samples.sort_unstable_by(f32::total_cmp);
        let median = self.samples[self.samples.len() / 2];
        self.samples.clear();
        if self.hours.len() < HOURS_MAX {
            self.hours.push(median);
        } else {
            self.hours[self.head] = median;
            self.head = (self.head + 1) % HOURS_MAX;
        }
    }

    /// Median of the hour `back` hours before the last closed one.
    fn hour(&self, back: usize) -> f64 {
        let len = self.hours.len();
        f64::from(self.hours[(self.head + len - 1 - back) % len])
    }

    fn decide(&self, params: &CheckedExhaustionParams, at_ns: i64) -> Option<Forecast> {
        let count = self.hours.len().min(48);
        if count < HOURS_MIN {
            return None;
        }
        let (slope, level, spread) = self.line(count);
        let room = params.limit - level;
        if slope * 4.0 * (params.horizon_ns as f64 / HOUR_NS as f64) + 2.0 * spread < room {
            return None;
        }
        let hours = |room: f64, slope: f64| if room <= 0.0 { 0.0 } else if slope <= 0.0 { f64::INFINITY } else { room / slope };
        let ns = |hours: f64| (hours * HOUR_NS as f64).min(FAR_NS as f64) as i64;
        let p50_ns = ns(hours(room, slope));
        Some(Forecast {
            at_ns,
            level,
            p10_ns: ns(hours(room - 2.0 * spread, slope * 1.3)),
            p50_ns,
            p90_ns: ns(hours(room + 2.0 * spread, slope * 0.7)),
            full_within_horizon: p50_ns <= params.horizon_ns,
        })
    }

    /// Least squares over the last `count` hours: slope per hour, level now,
    /// residual deviation.
    fn line(&self, count: usize) -> (f64, f64, f64) {
        let n = count as f64;
        let mean_t = (n - 1.0) / 2.0;
        let mean_y = (0..count).map(|back| self.hour(back)).sum::<f64>() / n;
        let (mut sty, mut stt) = (0.0, 0.0);
        for back in 0..count {
            let t = mean_t - back as f64;
            sty += t * (self.hour(back) - mean_y);
            stt += t * t;
        }
        let slope = sty / stt;
        let level = mean_y + slope * mean_t;
        let spread = (0..count).map(|back| (self.hour(back) - level + slope * back as f64).powi(2)).sum::<f64>() / n;
        (slope, level, spread.sqrt())
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
        for minute in 0..(60 * 40) {
            let at = minute * 60_000_000_000;
            last = climb.update(&params, at, 50.0 + minute as f64 / 60.0).or(last);
            assert!(flat.update(&params, at, 50.0).is_none());
        }
        let last = last.expect("the climb is flagged");
        let hours = last.p50_ns as f64 / HOUR_NS as f64;
        assert!((hours - 10.6).abs() < 1.2, "{hours}");
        assert!(last.full_within_horizon && last.p10_ns <= last.p50_ns && last.p50_ns <= last.p90_ns);
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
