//! What every model promises, whatever its idea: one suite for each kind of
//! model, and one line in the suite's list for each implementation.
//!
//! | kind | trait | implementations |
//! |---|---|---|
//! | one value at a time to a score | [`detectors::PointDetector`] | default detector, screen, several series |
//! | a line to a template | [`miners::TemplateMiner`] | miner |
//! | a level to a time to full | [`forecasters::Forecaster`] | exhaustion |
//!
//! Promised by all: equal input gives equal output, nothing looks ahead, what is
//! saved goes on as if it had not been, hostile input neither panics nor
//! poisons, state stays bounded.

mod detectors;
mod forecasters;
mod miners;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng};

/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60_000_000_000;

/// A seeded generator; tests print its seed where they fail.
struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `count`.
    fn below(&mut self, count: u64) -> u64 {
        self.0.next_u64() % count
    }
}

/// Values and times no sender should send, and some do.
fn hostile(seed: u64, count: usize) -> Vec<(i64, f64)> {
    let mut random = Random::new(seed);
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, -0.0, 0.0, 1e300, -1e-300];
    let times = [i64::MIN, i64::MAX, 0, -1, 1];
    let mut at = 0_i64;
    let mut one = || {
        at = match random.below(10) {
            0 => times[random.below(times.len() as u64) as usize],
            1 => at,
            2 => at.saturating_sub(MINUTE_NS),
            _ => at.saturating_add(MINUTE_NS),
        };
        let odd = random.below(3) == 0;
        (at, if odd { values[random.below(values.len() as u64) as usize] } else { random.unit() * 100.0 })
    };
    (0..count).map(|_| one()).collect()
}
