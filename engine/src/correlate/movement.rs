//! Several entities that move together: when what nobody would be woken for alone is news.
//!
//! A series that moves is evidence and opens nothing. Entities that move at one time, beyond what their
//! own histories make likely, are trouble although no rule names it. Each entity has a rate at which it
//! moves anyway, learned from its own past; how unlikely it is that these moved in one window is the sum of
//! their bits. It has to pay for looking in every window and at every set of so many entities: a budget of
//! false ones a day is what is left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// What moves within this long moves together.
const WINDOW: Span = Span::from_mins(3);

/// Entities whose rates are kept.
const ENTITIES_MAX: usize = 65_536;

/// Movements in one window that are looked at: of a storm the first ones say enough.
const RECENT_MAX: usize = 1_024;

/// What an entity is taken to have done before it was known: so many movements ...
const PRIOR_MOVES: f64 = 2.0;

/// ... in so many hours. What has just been met is taken for restless: series that begin together also end their
/// learning together.
const PRIOR_HOURS: f64 = 1.0;

/// How often one entity moves.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Habit {
    since: EventTime,
    last: EventTime,
    moves: u32,
}

impl Habit {
    /// Bits of surprise that it moves within one window at `now`, before this movement was counted.
    fn bits(&self, now: EventTime) -> f64 {
        let hours = PRIOR_HOURS + now.since(self.since).as_secs_f64().max(0.0) / 3_600.0;
        let rate = (f64::from(self.moves) + PRIOR_MOVES) / hours;
        let chance = 1.0 - (-rate * WINDOW.as_secs_f64() / 3_600.0).exp();
        -chance.max(1e-9).log2()
    }
}

/// The movements of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Movements {
    habits: BTreeMap<Sym, Habit>,
    /// The latest movements, oldest first: when, where, which alert, and its surprise.
    recent: VecDeque<(EventTime, Sym, u64, f64)>,
}

impl Movements {
    /// Notes that a series of an entity moved at `now`; answers the alerts that move together with it beyond
    /// what is likely by `more` bits, itself among them, in order of time.
    pub(super) fn note(
        &mut self,
        (entity, alert): (Sym, u64),
        now: EventTime,
        false_per_day: f64,
        more: f64,
    ) -> Vec<u64> {
        while self.recent.front().is_some_and(|(at, ..)| now.since(*at) > WINDOW) || self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        if self.habits.len() >= ENTITIES_MAX && !self.habits.contains_key(&entity) {
            return Vec::new();
        }
        let habit = self.habits.entry(entity).or_insert(Habit { since: now, last: EventTime::MIN, moves: 0 });
        let bits = habit.bits(now);
        // Movements of one window are one, and as surprising as its first.
        let bits = self.recent.iter().find(|(_, other, ..)| *other == entity).map_or(bits, |(.., first)| *first);
        if now.since(habit.last) > WINDOW {
            habit.moves = habit.moves.saturating_add(1);
        }
        habit.last = now;
        self.recent.push_back((now, entity, alert, bits));
        if self.is_news(false_per_day, more) {
            self.recent.iter().map(|(_, _, alert, _)| *alert).collect()
        } else {
            Vec::new()
        }
    }

    /// Whether the entities of the window move together by more than chance.
    fn is_news(&self, false_per_day: f64, more: f64) -> bool {
        let mut seen = BTreeSet::new();
        let mut bits: Vec<f64> =
            self.recent.iter().filter(|(_, entity, ..)| seen.insert(*entity)).map(|(.., bits)| *bits).collect();
        bits.sort_unstable_by(|a, b| b.total_cmp(a));
        let windows = 86_400.0 / WINDOW.as_secs_f64() / false_per_day.max(1e-6);
        let (mut sum, mut sets) = (0.0, 0.0);
        bits.iter().enumerate().any(|(index, bits)| {
            let taken = index as f64;
            sum += bits;
            // Sets of so many of all that ever moved.
            sets += ((self.habits.len() as f64 - taken).max(1.0) / (taken + 1.0)).max(1.0).log2();
            index > 0 && sum >= windows.log2() + sets + more
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> EventTime {
        EventTime::from_secs(60 * minutes)
    }

    /// Ten entities, each moving every `every` minutes at its own time, for two days.
    fn habits(every: i64) -> Movements {
        let mut movements = Movements::default();
        for minute in 0..2_880 {
            for entity in 0..10_i64 {
                if (minute + entity * 37) % every == 0 {
                    movements.note((Sym(entity as u32), entity as u64), at(minute), 1.0, 0.0);
                }
            }
        }
        movements
    }

    #[test]
    fn entities_that_rarely_move_and_move_together_are_news() {
        let mut movements = habits(1_400);
        assert_eq!(movements.note((Sym(0), 100), at(3_000), 1.0, 0.0), [0_u64; 0], "one alone is not");
        assert_eq!(movements.note((Sym(1), 101), at(3_001), 1.0, 0.0), [100, 101]);
        assert_eq!(movements.note((Sym(2), 102), at(3_010), 1.0, 0.0), [0_u64; 0], "that is another time");
        let years = at(1_000 * 1_440);
        assert_eq!(movements.note((Sym(0), 103), years, 1.0, 0.0), [0_u64; 0], "nor alone after years of quiet");
    }

    #[test]
    fn a_restless_estate_may_move_as_it_always_does() {
        let mut movements = habits(20);
        for (index, entity) in (0..4).enumerate() {
            assert_eq!(movements.note((Sym(entity), index as u64), at(3_000), 1.0, 0.0), [0_u64; 0]);
        }
    }

    #[test]
    fn many_series_of_one_entity_are_one_movement() {
        let mut movements = habits(700);
        for alert in 100..150 {
            assert_eq!(movements.note((Sym(3), alert), at(3_000), 1.0, 0.0), [0_u64; 0]);
        }
    }
}
