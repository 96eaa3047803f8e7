//! The zones of senders whose times name none.
//!
//! Such a time is read as UTC. That it is another zone's shows in two ways only: the time lies ahead
//! of its receipt by a zone's offset, which no delay can do; or it lies behind by the same
//! whole or half hours for many messages over minutes, each of them on the spot. A time that is merely
//! late is a message that was kept, and stays as it was sent.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_engine::time::{EventTime, Span};

const QUARTER: i64 = 15 * 60;
/// Zones are at most this far from UTC.
const ZONE_MAX: i64 = 14 * 3_600;
/// How far clocks and the way take a message off the spot.
const SLACK: i64 = 10;
/// Zones west of UTC are told after this many messages on the spot …
const SIGHTINGS: u32 = 20;
/// … over this many seconds.
const SIGHTED_SECS: i64 = 300;
/// Senders remembered; then all are forgotten.
const SENDERS_MAX: usize = 8_192;

/// What is known of one sender.
#[derive(Clone, Copy, Default)]
struct Sender {
    /// Seconds east of UTC.
    zone: i64,
    /// The zone it seems to be in, since when, and how often it was seen.
    seems: i64,
    since: i64,
    sightings: u32,
}

/// The zones of all senders.
#[derive(Default)]
pub(super) struct Zones {
    senders: Mutex<HashMap<u64, Sender>>,
    /// Senders in UTC need no look at the table.
    any: AtomicBool,
}

impl Zones {
    /// The instant of `time`, which `sender` wrote without a zone.
    pub(super) fn instant(&self, sender: u64, time: EventTime, received: EventTime) -> EventTime {
        let now = received.0.div_euclid(Span::from_secs(1).0);
        let behind = now - time.0.div_euclid(Span::from_secs(1).0);
        let fits = zone_that_fits(behind);
        if fits.is_none_or(|zone| zone == 0) && !self.any.load(Ordering::Relaxed) {
            return time;
        }
        let mut senders = self.senders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_known = senders.contains_key(&sender);
        if !is_known && fits.is_none_or(|zone| zone == 0) {
            return time;
        }
        if !is_known && senders.len() >= SENDERS_MAX {
            senders.clear();
        }
        self.any.store(true, Ordering::Relaxed);
        let known = senders.entry(sender).or_default();
        // What fits no zone was kept for a while, or its clock is wrong: it says nothing.
        if let Some(zone) = fits {
            known.sight(zone, behind, now);
        }
        time.plus(Span::from_secs(-known.zone))
    }
}

impl Sender {
    /// Notes a message that would be on the spot in `zone`.
    fn sight(&mut self, zone: i64, behind: i64, now: i64) {
        if zone == self.zone {
            self.sightings = 0;
        } else if behind + self.zone < -SLACK {
            // It would come before it was written.
            *self = Sender { zone, ..Sender::default() };
        } else if zone != self.seems || self.sightings == 0 {
            (self.seems, self.since, self.sightings) = (zone, now, 1);
        } else {
            self.sightings += 1;
            if self.sightings >= SIGHTINGS && now - self.since >= SIGHTED_SECS {
                *self = Sender { zone, ..Sender::default() };
            }
        }
    }
}

/// The zone in which a time that lies `behind` its receipt by so many seconds was written just now.
fn zone_that_fits(behind: i64) -> Option<i64> {
    let zone = -(behind + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
    let real = zone % (2 * QUARTER) == 0 || ZONES_OF_QUARTERS.contains(&zone);
    (real && zone.abs() <= ZONE_MAX && (behind + zone).abs() <= SLACK).then_some(zone)
}

/// Nepal, Eucla and Chatham; all other zones are whole and half hours.
const ZONES_OF_QUARTERS: [i64; 3] = [20_700, 31_500, 45_900];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_174_743;

    fn at(zones: &Zones, behind: i64, now: i64) -> i64 {
        let (time, received) = (EventTime::from_secs(now - behind), EventTime::from_secs(now));
        now - zones.instant(7, time, received).0 / 1_000_000_000
    }

    #[test]
    fn a_late_message_keeps_its_time() {
        let zones = Zones::default();
        for behind in [0, 5, 21 * 60, 900, 3_600, 3_601, 7 * 3_600 + 123] {
            assert_eq!(at(&zones, behind, NOW), behind);
        }
        // A backlog that is worked off within a second, and one that comes in over minutes.
        for late in 0..600 {
            assert_eq!(at(&zones, 7_200 - late, NOW + late), 7_200 - late);
        }
    }

    #[test]
    fn a_time_ahead_is_in_a_zone_at_once_and_a_backlog_of_its_sender_too() {
        let zones = Zones::default();
        assert_eq!(at(&zones, 1 - 3_600, NOW), 1);
        assert_eq!(at(&zones, 1 - 3_600, NOW + 1), 1);
        assert_eq!(at(&zones, 600 - 3_600, NOW + 1), 600, "ten minutes late");
        assert_eq!(at(&zones, 2 - 5 * 3_600 - 1_800, NOW), 2, "another zone further ahead");
        let zones = Zones::default();
        assert_eq!(
            (at(&zones, -1_234, NOW), at(&zones, -900, NOW)),
            (-1_234, -900),
            "a clock that is wrong is no zone"
        );
    }

    #[test]
    fn a_zone_behind_is_told_after_many_messages_over_minutes() {
        let zones = Zones::default();
        for second in (0..SIGHTED_SECS).step_by(15) {
            assert_eq!(at(&zones, 5 * 3_600 + 1, NOW + second), 5 * 3_600 + 1);
        }
        assert_eq!(at(&zones, 5 * 3_600 + 1, NOW + SIGHTED_SECS), 1);
        assert_eq!(at(&zones, 4 * 3_600 + 1, NOW + SIGHTED_SECS), 1, "summer time begins");
        let other = Zones::default();
        for second in 0..SIGHTED_SECS * 2 {
            assert_eq!(at(&other, 5 * 3_600 + second % 40, NOW + second) - second % 40, {
                // Some of these are late by up to 40 s: the ones on the spot tell the zone.
                if second < SIGHTED_SECS + 20 { 5 * 3_600 } else { 0 }
            });
        }
    }
}
