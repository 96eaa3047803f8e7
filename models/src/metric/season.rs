//! A daily profile with a weekday and a weekend face, found by its success:
//! both a prediction with and without it are scored, and the profile counts
//! only as far as it helps. 48 half-hour slots each, linearly interpolated,
//! 16-bit fixed point against a shared scale.

use serde::{Deserialize, Serialize};

/// Slots of one day: half-hours follow a business day closely enough once
/// interpolated, and two faces of them fit in 192 bytes.
const SLOTS: usize = 48;
const DAY_SECS: i64 = 86_400;
/// 1970-01-01 was a Thursday; days since then modulo 7 that are Saturday, Sunday.
const SATURDAY: i64 = 2;
const SUNDAY: i64 = 3;

/// Seasonal profile of one series, in the unit of the series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Season {
    slots: Vec<f32>,
}

/// Where a moment falls in the profile: two neighbouring slots and a weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    first: usize,
    second: usize,
    weight: f64,
}

impl Place {
    /// The place of a moment, `at_ns` since the epoch.
    pub(super) fn of(at_ns: i64) -> Self {
        let secs = at_ns.div_euclid(1_000_000_000);
        let (day, second) = (secs.div_euclid(DAY_SECS).rem_euclid(7), secs.rem_euclid(DAY_SECS));
        let face = if day == SATURDAY || day == SUNDAY { SLOTS } else { 0 };
        let position = second as f64 / (DAY_SECS as f64 / SLOTS as f64);
        let slot = (position as usize).min(SLOTS - 1);
        Self { first: face + slot, second: face + (slot + 1) % SLOTS, weight: position - slot as f64 }
    }
}

impl Default for Season {
    fn default() -> Self {
        Self { slots: vec![0.0; 2 * SLOTS] }
    }
}

impl Season {
    /// The seasonal part at a place.
    pub(super) fn at(&self, place: Place) -> f64 {
        let (a, b) = (f64::from(self.slots[place.first]), f64::from(self.slots[place.second]));
        a + place.weight * (b - a)
    }

    /// Moves the two slots of a place towards `residual` (value minus level
    /// minus the seasonal part) by `rate`.
    pub(super) fn learn(&mut self, place: Place, residual: f64, rate: f64) {
        self.slots[place.first] += (rate * (1.0 - place.weight) * residual) as f32;
        self.slots[place.second] += (rate * place.weight * residual) as f32;
    }
}
