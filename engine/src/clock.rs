//! The time of arrival, as the ticks of the journal tell it.
//!
//! Whoever writes the journal writes the time of day into it, so what stands between two ticks arrived
//! between them. That is what event times are measured against: a row from the future tells of a clock that
//! is fast, and no sender's clock can move another's rows into the past. A journal without regular ticks (a
//! folder of files, a backtest) has no time of arrival; there the latest event time is the clock.
//!
//! The host's own clock may be set back. Engine time never is: it goes on from where it stood, ahead of the
//! ticks, and takes that back by going a sixteenth slower (clocks are *slewed*, as `adjtime(3)` does). What
//! is dated by the ticks' clock is moved by the same amount, so that it still comes in time.

use serde::{Deserialize, Serialize};

use crate::time::{EventTime, Span, TIME_SECS_MAX, TIME_SECS_MIN};

/// Ticks further apart than this are not regular: nothing is known of what arrived between them.
const EVERY_MAX: Span = Span::from_secs(60);
/// How far apart ticks are until two of them have said so.
const EVERY_FIRST: Span = Span::from_secs(5);
/// One part in so many of the time that passes goes into taking back what engine time is ahead.
const SLEW: i64 = 16;
/// A row this far ahead of its arrival is put up with, however short the lateness: clocks that are kept by
/// NTP differ by less.
const AHEAD_MIN: Span = Span::from_secs(10);

/// The clock of the engine.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Clock {
    /// The last tick; [`EventTime::MIN`] before the first.
    last: EventTime,
    /// By how much engine time is ahead of the ticks.
    ahead: Span,
    /// How far apart ticks are.
    every: Span,
    /// Two ticks have followed each other as regular ones do.
    regular: bool,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { last: EventTime::MIN, ahead: Span::ZERO, every: EVERY_FIRST, regular: false }
    }
}

impl Clock {
    /// It is `at` now, by the clock of who writes the journal. Answers how much time has passed of which nobody
    /// knows: the program did not run, or its clock was set.
    pub(crate) fn tick(&mut self, at: EventTime) -> Span {
        // A host that has not been told the time yet.
        if at < EventTime::from_secs(TIME_SECS_MIN) || at > EventTime::from_secs(TIME_SECS_MAX) {
            return Span::ZERO;
        }
        let (step, before) = (at.since(self.last), self.now());
        self.last = at;
        if before == EventTime::MIN {
            return Span::ZERO;
        }
        if step < Span::ZERO {
            self.ahead = Span(self.ahead.0.saturating_sub(step.0));
            return Span::ZERO;
        }
        // A leap forward after one back is the way home: it takes back what it can.
        let taken_back = if step > EVERY_MAX { step.0 - self.every.0 } else { step.0 / SLEW };
        self.ahead = Span(self.ahead.0 - self.ahead.0.min(taken_back));
        if step > Span::ZERO && step <= EVERY_MAX {
            // One that was delayed is followed by one that comes soon: the distance shrinks slowly.
            self.every = step.max(Span(self.every.0 / 2));
            self.regular = true;
        }
        let leaps = self.regular && step > EVERY_MAX;
        if leaps { Span((self.now().since(before).0 - self.every.0).max(0)) } else { Span::ZERO }
    }

    /// Engine time: never goes back. [`EventTime::MIN`] before the first tick.
    pub(crate) fn now(&self) -> EventTime {
        if self.last == EventTime::MIN { EventTime::MIN } else { self.last.plus(self.ahead) }
    }

    /// By how much engine time is ahead of the ticks.
    pub(crate) fn ahead(&self) -> Span {
        self.ahead
    }

    /// What event times are measured against until the next tick.
    pub(crate) fn bounds(&self, lateness: Span) -> Bounds {
        if !self.regular {
            return Bounds {
                arrival: None,
                ahead: self.ahead,
                every: self.every,
                sane: EventTime::MAX,
                latest: EventTime::MAX,
                moves_to: EventTime::MAX,
            };
        }
        let (now, every) = (self.now(), self.every);
        Bounds {
            arrival: Some(now),
            ahead: self.ahead,
            every,
            sane: now.plus(every),
            latest: now.plus(lateness.max(every.times(2)).max(AHEAD_MIN)),
            moves_to: now.plus(every.max(Span(lateness.0 / 2))),
        }
    }
}

/// What event times are measured against between two ticks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Bounds {
    /// When it arrives, to within a tick; `None` where nothing tells.
    pub(crate) arrival: Option<EventTime>,
    /// What is added to every event time: engine time is ahead of the ticks by this.
    pub(crate) ahead: Span,
    /// How far apart ticks are.
    pub(crate) every: Span,
    /// No right clock shows more than this.
    pub(crate) sane: EventTime,
    /// What is later comes from a clock that is fast, and waits for nothing.
    pub(crate) latest: EventTime,
    /// Rows move the watermark as if they were no later than this.
    pub(crate) moves_to: EventTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> EventTime {
        EventTime::from_secs(1_767_225_600 + secs)
    }

    fn ticked(secs: impl IntoIterator<Item = i64>) -> Clock {
        let mut clock = Clock::default();
        for secs in secs {
            clock.tick(at(secs));
        }
        clock
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up_and_is_met_again_in_time() {
        let mut clock = ticked((0..=3_600).step_by(5));
        let mut before = clock.now();
        // An hour back; then a day by the right clock.
        for secs in (0..86_400).step_by(5) {
            clock.tick(at(secs));
            let now = clock.now();
            assert!(now >= before, "engine time went back at {secs}");
            if secs > 0 && clock.ahead() > Span::ZERO {
                assert!(now.since(before) >= Span(4_600_000_000), "it goes on: {:?}", now.since(before));
            }
            before = now;
        }
        assert_eq!((clock.ahead(), clock.now()), (Span::ZERO, at(86_395)));
    }

    #[test]
    fn a_clock_that_is_set_back_and_mended_leaves_no_trace() {
        let mut clock = ticked([0, 5, 10]);
        for secs in [-3_585, -3_580, 25, 30] {
            clock.tick(at(secs));
        }
        assert_eq!((clock.ahead(), clock.now()), (Span::ZERO, at(30)));
    }

    #[test]
    fn a_leap_is_told_but_for_what_would_have_passed() {
        let mut clock = ticked([0, 5, 10]);
        assert_eq!([15, 1_015, 1_020].map(|secs| clock.tick(at(secs))), [0, 995, 0].map(Span::from_secs));
    }

    #[test]
    fn ticks_that_are_far_apart_or_alone_tell_of_no_arrival() {
        assert_eq!(ticked([0]).bounds(Span::ZERO).arrival, None);
        assert_eq!(ticked([0, 600, 1_200]).bounds(Span::ZERO).arrival, None);
        let bounds = ticked([0, 5]).bounds(Span::from_secs(10));
        assert_eq!((bounds.arrival, bounds.latest, bounds.moves_to), (Some(at(5)), at(15), at(10)));
    }

    #[test]
    fn a_host_that_does_not_know_the_time_yet_judges_nobody() {
        let mut clock = Clock::default();
        for secs in [7, 12, 17] {
            clock.tick(EventTime::from_secs(secs));
        }
        assert_eq!((clock.now(), clock.bounds(Span::ZERO).arrival), (EventTime::MIN, None));
    }
}
