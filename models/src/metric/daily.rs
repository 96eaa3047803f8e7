//! What surprises at this minute of every day: a nightly backup, the switch of
//! a batch at seven. The season of the detector has slots of half an hour and
//! knows courses, not moments; this memory keeps, for each minute of the day,
//! the surprise that usually comes then, and that much of a surprise is no news.
//!
//! It knows yesterday and before, never the last half day: what goes on now
//! does not excuse itself. One day counts a quarter, so a fault that happened
//! to come at the same minute yesterday is still told; the third backup is not.

use serde::{Deserialize, Serialize};

/// Slots of the day: minutes.
const SLOTS: usize = 1_440;
const SLOT_SECS: i64 = 60;
const DAY_SECS: i64 = 86_400;
/// Slots to either side that count as the same moment: schedules drift.
const SLOTS_AROUND: usize = 2;
/// Weight of one day in what is usual.
const DAY_RATE: f64 = 0.25;
/// What was seen at a slot longer ago than this belongs to an earlier day.
const SAME_DAY_SECS: i64 = DAY_SECS / 2;
/// Days without a point after which nothing is remembered.
const DAYS_FORGOTTEN: i64 = 60;

/// Usual surprise by the minute of the day: 24 KiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Daily {
    slots: Box<[Slot]>,
}

/// One minute of the day.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Slot {
    /// Seconds since 1970 of the latest point.
    at_secs: i64,
    /// Largest surprise of that day, in bits.
    today: f32,
    /// What was usual before that day, in bits.
    usual: f32,
}

impl Default for Daily {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); SLOTS].into_boxed_slice() }
    }
}

impl Daily {
    /// The surprise that usually comes at this time of the day, in bits; learns
    /// that this time it was `bits`.
    pub(super) fn usual(&mut self, at_ns: i64, bits: f64) -> f64 {
        let at_secs = at_ns.div_euclid(1_000_000_000);
        let place = (at_secs.rem_euclid(DAY_SECS) / SLOT_SECS) as usize;
        let around = (0..=2 * SLOTS_AROUND).map(|step| (place + SLOTS + step - SLOTS_AROUND) % SLOTS);
        let usual = around.map(|slot| self.slots[slot].usual_at(at_secs)).fold(0.0, f64::max);
        self.slots[place].learn(at_secs, bits);
        usual
    }
}

impl Slot {
    /// What was usual here before the day of `at_secs`.
    fn usual_at(&self, at_secs: i64) -> f64 {
        let since = at_secs.saturating_sub(self.at_secs);
        if since <= SAME_DAY_SECS {
            return f64::from(self.usual);
        }
        let days = (since.saturating_add(DAY_SECS / 2) / DAY_SECS).clamp(1, DAYS_FORGOTTEN);
        let after = f64::from(self.usual) + DAY_RATE * f64::from(self.today - self.usual);
        after * (1.0 - DAY_RATE).powi(days as i32 - 1)
    }

    fn learn(&mut self, at_secs: i64, bits: f64) {
        if at_secs.saturating_sub(self.at_secs) > SAME_DAY_SECS {
            *self = Self { at_secs, today: 0.0, usual: self.usual_at(at_secs) as f32 };
        }
        self.at_secs = self.at_secs.max(at_secs);
        self.today = self.today.max(bits as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    /// Bits at minute `at` of day `day`, and what was usual then.
    fn see(daily: &mut Daily, day: i64, minute: i64, bits: f64) -> f64 {
        daily.usual((day * 1_440 + minute) * MINUTE_NS, bits)
    }

    #[test]
    fn what_comes_daily_becomes_usual_and_one_day_does_not_make_it_so() {
        let mut daily = Daily::default();
        let usual: Vec<f64> = (0..8).map(|day| see(&mut daily, day, 180, 40.0)).collect();
        assert_eq!(usual[..2], [0.0, 10.0]);
        assert!(usual[7] > 30.0 && usual.is_sorted(), "{usual:?}");
    }

    #[test]
    fn the_last_hours_and_other_minutes_excuse_nothing() {
        let mut daily = Daily::default();
        see(&mut daily, 3, 180, 40.0);
        assert_eq!(see(&mut daily, 3, 181, 40.0), 0.0);
        assert_eq!(see(&mut daily, 4, 190, 40.0), 0.0);
        assert_eq!(see(&mut daily, 4, 182, 0.0), 10.0);
    }

    #[test]
    fn midnight_parts_no_moment_and_a_habit_given_up_fades() {
        let mut daily = Daily::default();
        (0..8).for_each(|day| _ = see(&mut daily, day, 1_439, 40.0));
        assert!(see(&mut daily, 9, 0, 0.0) > 30.0);
        assert!(see(&mut daily, 30, 1_439, 0.0) < 1.0);
        assert!(see(&mut daily, i64::MAX / (1_440 * MINUTE_NS) - 1, 1_439, 0.0) < 1e-3);
    }
}
