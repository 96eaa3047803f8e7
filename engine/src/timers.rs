//! The timers of one tenant: when something is to be looked at without a row that says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// What a timer is for. The order breaks ties between timers of one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// An alert expires, or what suppresses it ends.
    Alert(u64),
    /// An incident is due for a look.
    Incident(u64),
    /// Old groups and silences are put away.
    Sweep,
}

/// The timers, in order of time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    due: BTreeSet<(EventTime, Timer)>,
}

impl Timers {
    /// Sets a timer besides those that are set.
    pub(crate) fn set(&mut self, at: EventTime, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Sets the one timer of something, of which `slot` knows when it is set for; the earlier one stays.
    pub(crate) fn bring_forward(&mut self, slot: &mut Option<EventTime>, at: EventTime, timer: Timer) {
        if let Some(old) = *slot {
            if old <= at {
                return;
            }
            self.due.remove(&(old, timer));
        }
        *slot = Some(at);
        self.due.insert((at, timer));
    }

    /// Whether this timer is set for `at`.
    pub(crate) fn is_set(&self, at: EventTime, timer: Timer) -> bool {
        self.due.contains(&(at, timer))
    }

    /// Puts a timer away.
    pub(crate) fn drop(&mut self, at: EventTime, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    /// Takes out the first timer before `until`, or at it when `inclusive`.
    pub(crate) fn take_due(&mut self, until: EventTime, inclusive: bool) -> Option<(EventTime, Timer)> {
        let (at, _) = *self.due.first()?;
        if at > until || (at == until && !inclusive) {
            return None;
        }
        self.due.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_wishes_the_earlier_stays_and_one_timer_is_set() {
        let at = EventTime::from_secs;
        let (mut timers, mut slot) = (Timers::default(), None);
        for secs in [30, 20, 25] {
            timers.bring_forward(&mut slot, at(secs), Timer::Alert(7));
        }
        assert_eq!(slot, Some(at(20)));
        assert_eq!(timers.take_due(at(20), false), None, "not before its time");
        assert_eq!(timers.take_due(at(20), true), Some((at(20), Timer::Alert(7))));
        assert_eq!(timers.take_due(EventTime::MAX, true), None);
    }

    #[test]
    fn timers_of_one_instant_come_alerts_first() {
        let mut timers = Timers::default();
        for timer in [Timer::Sweep, Timer::Incident(1), Timer::Alert(9)] {
            timers.set(EventTime(1), timer);
        }
        let order = [Timer::Alert(9), Timer::Incident(1), Timer::Sweep];
        assert_eq!(order.map(Some), [(); 3].map(|()| timers.take_due(EventTime(2), false).map(|(_, timer)| timer)));
    }
}
