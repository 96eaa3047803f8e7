//! The suite of forecasters: whatever says when a level reaches its limit.

use super::{MINUTE_NS, Random, hostile};
use bellwether_models::exhaustion::{CheckedExhaustionParams, Exhaustion, ExhaustionParams, Forecast};

/// A forecaster of a level with the limit 100, as the suite sees it.
pub(super) trait Forecaster {
    /// Takes one sample; a forecast where there is one.
    fn update(&mut self, at_ns: i64, value: f64) -> Option<Forecast>;

    /// Another one that goes on from here.
    fn restored(&self) -> Box<dyn Forecaster>;

    /// Bytes of the saved state.
    fn saved_bytes(&self) -> usize;
}

/// A name, and how one is made.
type Subject = (&'static str, fn() -> Box<dyn Forecaster>);

/// Every implementation.
const SUBJECTS: [Subject; 1] = [("exhaustion", || {
    let params = ExhaustionParams::default().check().expect("defaults are in range");
    Box::new(Hourly(params, Exhaustion::default()))
})];

struct Hourly(CheckedExhaustionParams, Exhaustion);

impl Forecaster for Hourly {
    fn update(&mut self, at_ns: i64, value: f64) -> Option<Forecast> {
        self.1.update(&self.0, at_ns, value)
    }

    fn restored(&self) -> Box<dyn Forecaster> {
        let saved = postcard::to_stdvec(&self.1).expect("saves");
        Box::new(Self(self.0.clone(), postcard::from_bytes(&saved).expect("reads")))
    }

    fn saved_bytes(&self) -> usize {
        postcard::to_stdvec(&self.1).expect("saves").len()
    }
}

/// Samples every ten minutes: from `from` by `pace` an hour, with a little noise.
fn level(seed: u64, hours: i64, from: f64, pace: f64) -> Vec<(i64, f64)> {
    let mut random = Random::new(seed);
    let one = |step: i64| (step * 10 * MINUTE_NS, from + pace * step as f64 / 6.0 + 0.2 * random.unit());
    (0..hours * 6).map(one).collect()
}

fn forecasts(new: fn() -> Box<dyn Forecaster>, samples: &[(i64, f64)]) -> Vec<Option<Forecast>> {
    let mut forecaster = new();
    samples.iter().map(|(at, value)| forecaster.update(*at, *value)).collect()
}

#[test]
fn equal_samples_get_equal_forecasts_and_none_waits_for_what_follows() {
    for (name, new) in SUBJECTS {
        let samples = [level(1, 100, 40.0, 0.5), hostile(2, 300)].concat();
        let whole = forecasts(new, &samples);
        assert_eq!(whole, forecasts(new, &samples), "{name}");
        assert_eq!(whole[..450], forecasts(new, &samples[..450]), "{name}");
        assert!(whole.iter().any(Option::is_some), "{name} never speaks");
    }
}

#[test]
fn quantiles_are_in_order_whatever_comes() {
    for (name, new) in SUBJECTS {
        for seed in 0..8 {
            let samples = [level(seed, 60, 60.0, 0.6), hostile(seed, 600)].concat();
            for forecast in forecasts(new, &samples).into_iter().flatten() {
                let ordered =
                    0 <= forecast.p10_ns && forecast.p10_ns <= forecast.p50_ns && forecast.p50_ns <= forecast.p90_ns;
                assert!(ordered, "{name} seed {seed}: {forecast:?}");
            }
        }
    }
}

#[test]
fn a_flat_level_is_never_called_full_and_a_climb_is_in_time() {
    for (name, new) in SUBJECTS {
        let full = |samples: &[(i64, f64)]| {
            forecasts(new, samples).into_iter().flatten().filter(|forecast| forecast.full_within_horizon).count()
        };
        assert_eq!(full(&level(3, 240, 50.0, 0.0)), 0, "{name}");
        assert_eq!(full(&level(4, 240, 90.0, -0.3)), 0, "{name}");
        // From 40 by one an hour: full after 60 hours; judged up to hour 54.
        assert!(full(&level(5, 54, 40.0, 1.0)) > 0, "{name}");
    }
}

#[test]
fn what_was_saved_goes_on_as_if_it_had_not_been() {
    for (name, new) in SUBJECTS {
        let samples = level(6, 120, 30.0, 0.5);
        let mut forecaster = new();
        let mut saved = new();
        for (place, (at, value)) in samples.iter().enumerate() {
            if place % 97 == 0 {
                saved = saved.restored();
            }
            assert_eq!(forecaster.update(*at, *value), saved.update(*at, *value), "{name} at {place}");
        }
    }
}

#[test]
fn state_does_not_grow_with_the_samples_seen() {
    for (name, new) in SUBJECTS {
        let mut forecaster = new();
        let mut most = 0;
        for (place, (at, value)) in level(7, 1200, 50.0, 0.0).into_iter().enumerate() {
            forecaster.update(at, value);
            let bytes = forecaster.saved_bytes();
            if place < 300 * 6 {
                most = most.max(bytes);
            }
            assert!(bytes <= most + most / 10 + 64, "{name}: {bytes} bytes after {most}");
        }
    }
}
