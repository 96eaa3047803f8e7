//! Three hours of one series: for each minute its lowest and its highest value.

use bellwether_engine::time::EventTime;

/// Minutes that are kept.
pub(crate) const MINUTES: usize = 180;
const MINUTE_NS: i64 = 60_000_000_000;

/// The minute that a time in nanoseconds is in.
pub(super) fn minute_of(at: i64) -> i64 {
    at.div_euclid(MINUTE_NS)
}

/// A minute of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// When the minute began.
    pub(crate) at: EventTime,
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Point {
    /// The middle of what was seen.
    pub(crate) fn middle(&self) -> f64 {
        f64::midpoint(f64::from(self.low), f64::from(self.high))
    }
}

/// The minutes; one of which nothing is known is NaN.
#[derive(Debug)]
pub(super) struct Ring {
    newest: i64,
    slots: Box<[(f32, f32); MINUTES]>,
}

impl Ring {
    pub(super) fn new() -> Ring {
        Ring { newest: i64::MIN, slots: Box::new([(f32::NAN, f32::NAN); MINUTES]) }
    }

    /// The last minute that is known.
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// Takes in a value, in whatever order they come; what is older than the ring is passed over.
    pub(super) fn note(&mut self, minute: i64, value: f32) {
        if self.newest == i64::MIN || minute > self.newest {
            let from = self.newest.max(minute.saturating_sub(MINUTES as i64));
            (from..=minute).skip(1).for_each(|gap| self.slots[slot(gap)] = (f32::NAN, f32::NAN));
            self.newest = minute;
        } else if self.newest - minute >= MINUTES as i64 {
            return;
        }
        let (low, high) = &mut self.slots[slot(minute)];
        // `min` and `max` pass over NaN.
        (*low, *high) = (low.min(value), high.max(value));
    }

    /// The minutes between two times, by time.
    pub(super) fn between(&self, from: EventTime, until: EventTime) -> Vec<Point> {
        if self.newest == i64::MIN {
            return Vec::new();
        }
        let first = minute_of(from.0).max(self.newest.saturating_sub(MINUTES as i64 - 1));
        let last = minute_of(until.0).min(self.newest);
        let point = |minute: i64| {
            let (low, high) = self.slots[slot(minute)];
            (!low.is_nan()).then_some(Point { at: EventTime(minute.saturating_mul(MINUTE_NS)), low, high })
        };
        (first..=last).filter_map(point).collect()
    }
}

fn slot(minute: i64) -> usize {
    minute.rem_euclid(MINUTES as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ring: &Ring) -> Vec<(i64, f32, f32)> {
        let all = ring.between(EventTime(0), EventTime(i64::MAX));
        all.into_iter().map(|point| (minute_of(point.at.0), point.low, point.high)).collect()
    }

    #[test]
    fn a_minute_has_its_lowest_and_its_highest_value_in_whatever_order_they_come() {
        let mut ring = Ring::new();
        [(1_000, 5.0), (1_002, 7.0), (1_000, 3.0), (1_001, 4.0), (1_000, 9.0)]
            .into_iter()
            .for_each(|(minute, value)| ring.note(minute, value));
        assert_eq!(seen(&ring), [(1_000, 3.0, 9.0), (1_001, 4.0, 4.0), (1_002, 7.0, 7.0)]);
    }

    #[test]
    fn after_three_hours_a_minute_is_gone_and_a_gap_stays_one() {
        let mut ring = Ring::new();
        (0..10).for_each(|minute| ring.note(minute, 1.0));
        ring.note(185, 2.0);
        assert_eq!(seen(&ring).iter().map(|(minute, ..)| *minute).collect::<Vec<_>>(), [6, 7, 8, 9, 185]);
        ring.note(3, 8.0);
        assert_eq!(seen(&ring).len(), 5, "it is too old");
        ring.note(10_000, 3.0);
        assert_eq!(seen(&ring), [(10_000, 3.0, 3.0)]);
    }
}
