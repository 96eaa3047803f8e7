//! A daily profile with a weekend face, found by its success: predictions with
//! and without it are scored, and it counts only as far as it helps. Half-hour
//! slots for the day, hourly ones for what the weekend changes, linearly
//! interpolated; the first weekend already knows what a day is.

use serde::{Deserialize, Serialize};

/// Slots of a face; the day has two such halves of half-hours, the weekend one
/// of hours. Arrays up to 32 are what serde takes as they are.
const FACE: usize = 24;
const DAY_SECS: i64 = 86_400;
/// 1970-01-01 was a Thursday; days since then modulo 7 that are Saturday, Sunday.
const SATURDAY: i64 = 2;
const SUNDAY: i64 = 3;
/// Weight of a new observation in a slot seen often.
const SLOT_RATE: f64 = 0.01;
/// Weight of a new error in the contest of with against without.
const ERROR_RATE: f64 = 0.001;

/// Seasonal profile of one series, in the unit of the series: 368 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Season {
    /// Half-hours of the morning, of the afternoon, and the weekend's hourly
    /// differences from them.
    slots: [[f32; FACE]; 3],
    seen: [[u8; FACE]; 3],
    error_with: f32,
    error_without: f32,
}

/// Two neighbouring slots and the weight of the second.
#[derive(Debug, Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    weight: f64,
}

/// Where a moment falls in the profile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    day: Between,
    weekend: Option<Between>,
}

impl Between {
    /// Position of a second of the day among `count` slots from `offset`.
    fn of(second: i64, offset: usize, count: usize) -> Self {
        let position = second as f64 * (count as f64 / DAY_SECS as f64);
        let slot = (position as usize).min(count - 1);
        let next = if slot + 1 == count { 0 } else { slot + 1 };
        Self { first: offset + slot, second: offset + next, weight: position - slot as f64 }
    }
}

impl Phase {
    /// The phase of a moment, `at_ns` since the epoch.
    pub(super) fn of(at_ns: i64) -> Self {
        let secs = at_ns.div_euclid(1_000_000_000);
        let (day, second) = (secs.div_euclid(DAY_SECS).rem_euclid(7), secs.rem_euclid(DAY_SECS));
        let weekend = (day == SATURDAY || day == SUNDAY).then(|| Between::of(second, 2 * FACE, FACE));
        Self { day: Between::of(second, 0, 2 * FACE), weekend }
    }
}

impl Season {
    fn at(&self, between: Between) -> f64 {
        let slots = self.slots.as_flattened();
        let (a, b) = (f64::from(slots[between.first]), f64::from(slots[between.second]));
        a + between.weight * (b - a)
    }

    /// The profile at a phase, trusted or not.
    pub(super) fn profile(&self, phase: Phase) -> f64 {
        self.at(phase.day) + phase.weekend.map_or(0.0, |weekend| self.at(weekend))
    }

    /// How far the profile is trusted: 0 when it does not help, towards 1 when
    /// it explains everything.
    pub(super) fn trust(&self) -> f64 {
        if self.error_without > 0.0 {
            f64::from((1.0 - self.error_with / self.error_without).clamp(0.0, 1.0)).sqrt()
        } else {
            0.0
        }
    }

    /// Scores both predictions (residuals from the level, with and without the
    /// profile) and moves the two slots of a phase. `young` is the weight of a
    /// point while there are few.
    pub(super) fn learn(&mut self, phase: Phase, with: f64, without: f64, young: f64) {
        let rate = ERROR_RATE.max(young);
        self.error_with += (rate * (with * with - f64::from(self.error_with))) as f32;
        self.error_without += (rate * (without * without - f64::from(self.error_without))) as f32;
        let between = phase.weekend.unwrap_or(phase.day);
        let (slots, seen) = (self.slots.as_flattened_mut(), self.seen.as_flattened_mut());
        for (slot, weight) in [(between.first, 1.0 - between.weight), (between.second, between.weight)] {
            let rate = SLOT_RATE.max(0.5 / (1.0 + f64::from(seen[slot])));
            slots[slot] += (rate * weight * with) as f32;
            seen[slot] = seen[slot].saturating_add(u8::from(weight > 0.5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_course_earns_trust_and_noise_does_not() {
        let (mut daily, mut noise) = (Season::default(), Season::default());
        for minute in 0..(5 * 1440_i64) {
            let phase = Phase::of(minute * 60_000_000_000);
            let wave = (minute as f64 * std::f64::consts::TAU / 1440.0).sin();
            daily.learn(phase, wave - daily.profile(phase), wave, 0.0);
            let flip = if minute * 7919 % 13 < 6 { 1.0 } else { -1.0 };
            noise.learn(phase, flip - noise.profile(phase), flip, 0.0);
        }
        assert!(daily.trust() > 0.8, "{}", daily.trust());
        assert!(noise.trust() < 0.3, "{}", noise.trust());
    }
}
