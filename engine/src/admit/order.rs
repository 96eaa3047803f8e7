//! Rows of one alert act in their order, though the clock that dates them jumps.
//!
//! A row from a clock that is fast acts as of its arrival. The one before it may have been within what is put up with, and
//! waits for a time that is still to come; so may one that was corrected, before its clock was set right. Were the
//! next row of that alert not to wait for it, a recovery would be over before its alert began.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::time::{EventTime, Span};

/// Alerts remembered: beyond it, rows of others act at their own times.
const ALERTS_MAX: usize = 65_536;

/// Alerts with rows that act later than they arrived.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Order {
    #[serde(with = "crate::serial::sorted_map")]
    last: HashMap<u64, Row>,
}

/// The last of an alert's rows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    acts: EventTime,
    /// How much later its date is.
    off: Span,
}

impl Order {
    /// When a row of `alert` acts that would at `acts`, its date corrected by `off`; what is later than `sane` has not
    /// arrived by any right clock.
    pub(super) fn place(&mut self, alert: u64, acts: EventTime, off: Span, sane: EventTime) -> EventTime {
        // What is late acts as of now, in the order of its dates.
        let off = off.max(Span::ZERO);
        let is_ahead = off > Span::ZERO || acts > sane;
        if self.last.is_empty() && !is_ahead {
            return acts;
        }
        let before = self.last.get(&alert).copied();
        // By one clock, dates tell the order.
        let (acts, off) = match before {
            Some(before) if before.off != off && before.acts >= acts => {
                let after = before.acts.plus(Span(1));
                (after, Span(off.0.saturating_sub(after.since(acts).0)))
            }
            _ => (acts, off),
        };
        let latest = before.is_none_or(|before| acts >= before.acts);
        if latest && (before.is_some() || is_ahead && self.last.len() < ALERTS_MAX) {
            self.last.insert(alert, Row { acts, off });
        }
        acts
    }

    /// What acts before `released` has acted.
    pub(super) fn forget(&mut self, released: EventTime) {
        if !self.last.is_empty() {
            self.last.retain(|_, row| row.acts >= released);
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.last.capacity() * (size_of::<(u64, Row)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn placed(order: &mut Order, alert: u64, acts: i64, off: i64) -> EventTime {
        order.place(alert, at(acts), Span::from_secs(off), at(15))
    }

    #[test]
    fn a_corrected_row_acts_after_one_that_waits_for_a_later_time() {
        let mut order = Order::default();
        assert_eq!(placed(&mut order, 1, 22, 0), at(22));
        assert_eq!(placed(&mut order, 1, 15, 11), at(22).plus(Span(1)));
        assert_eq!(placed(&mut order, 2, 15, 11), at(15), "another alert waits for nothing");
    }

    #[test]
    fn a_row_of_a_clock_that_was_set_right_acts_after_those_of_before() {
        let mut order = Order::default();
        assert_eq!(placed(&mut order, 1, 16, 600), at(16));
        assert_eq!(placed(&mut order, 1, 14, 0), at(16).plus(Span(1)));
        assert_eq!(placed(&mut order, 1, 15, 0), at(16).plus(Span(2)));
    }

    #[test]
    fn by_one_clock_dates_tell_the_order() {
        let mut order = Order::default();
        assert_eq!(placed(&mut order, 1, 16, 600), at(16));
        assert_eq!(placed(&mut order, 1, 14, 600), at(14));
    }

    #[test]
    fn what_has_acted_is_forgotten_and_right_clocks_are_not_remembered() {
        let mut order = Order::default();
        placed(&mut order, 1, 14, 0);
        placed(&mut order, 1, 10, -300);
        assert_eq!(order.last.len(), 0);
        placed(&mut order, 1, 22, 0);
        order.forget(at(22));
        assert_eq!(order.last.len(), 1);
        order.forget(at(23));
        assert_eq!(order.last.len(), 0);
        for alert in 0..ALERTS_MAX as u64 + 9 {
            placed(&mut order, alert, 22, 0);
        }
        assert_eq!(order.last.len(), ALERTS_MAX);
    }
}
