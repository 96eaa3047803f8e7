//! Entities whose own metrics have left their usual level, told or not.
//!
//! A host with a noisy neighbour raises no alert when the tool's threshold lies higher; its
//! processor use has risen all the same. Such a departure is too little to wake anybody and
//! enough to make the entity a suspect when what depends on it is in trouble. Only metrics that
//! speak of a state of the entity count (see `condition.rs`): slow answers are what a suspect must
//! explain.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::Departure;
use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// A departure that ended longer ago than this explains no incident that is still told.
const KEPT: Span = Span::from_hours(6);

/// The departed series of one tenant, by entity; as many as there are series, at most.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DepartedSeries {
    by_entity: BTreeMap<Sym, BTreeMap<u64, Departure>>,
    /// When which entity left a level, for [`KEPT`].
    recent: BTreeSet<(EventTime, Sym)>,
    /// When each entity left a level, those within a minute as one, oldest first.
    bursts: BTreeMap<Sym, VecDeque<EventTime>>,
}

/// Departures that lie this near count as one.
const BURST: Span = Span::from_mins(1);

/// Bursts remembered of one entity.
const BURSTS_MAX: usize = 64;

/// What an entity did up to this long before trouble is what it does anyway; and what begins within as long of the
/// trouble comes together with it.
const NEAR: Span = Span::from_mins(10);

/// What an entity is taken to have done in an hour before it was watched.
const PRIOR_BURSTS: f64 = 0.2;

/// How likely the entity where trouble began left a level.
const HIT: f64 = 0.9;

/// A chance to do so anyway that is smaller says no more.
const CHANCE_MIN: f64 = 0.02;

/// Surprise below which coming together with trouble says nothing: a burst an hour.
pub(super) const SURPRISING: f64 = 0.5;

impl DepartedSeries {
    /// A series of `entity` has left its level, or has come back at `now`. What is over stays a
    /// while: an incident is diagnosed again when all is well, and must not forget why.
    pub(super) fn note(&mut self, entity: Sym, series: u64, departure: Departure, now: EventTime) {
        let of = self.by_entity.entry(entity).or_default();
        of.retain(|_, old| old.until.is_none_or(|until| now.since(until) < KEPT));
        of.insert(series, departure);
        self.recent.insert((departure.since, entity));
        if departure.until.is_none() {
            let bursts = self.bursts.entry(entity).or_default();
            if bursts.back().is_none_or(|last| departure.since.since(*last) >= BURST) {
                bursts.push_back(departure.since);
            }
            if bursts.len() > BURSTS_MAX {
                bursts.pop_front();
            }
        }
        while let Some((since, entity)) = self.recent.first().copied().filter(|(since, _)| now.since(*since) > KEPT) {
            self.recent.pop_first();
            if self.bursts.get(&entity).is_some_and(|bursts| bursts.back().is_none_or(|last| *last <= since)) {
                self.bursts.remove(&entity);
            }
        }
    }

    /// How much it says, 0–1, that `entity` left a level at `onset`: little where it does so every few
    /// minutes, a busy host say, or has just been met. The logarithm of how much likelier it is with trouble
    /// there than without, as a share of the most that can be.
    pub(crate) fn surprise(&self, entity: Sym, onset: EventTime) -> f64 {
        let ends = onset.minus(NEAR);
        let habit = ends.minus(KEPT)..ends;
        let before = self.bursts.get(&entity).map_or(0, |bursts| bursts.iter().filter(|at| habit.contains(at)).count());
        let of = self.by_entity.get(&entity).into_iter().flat_map(BTreeMap::values);
        let since = of.map(|departure| departure.watched).min().unwrap_or(ends);
        let watched = Span(ends.since(since).0.clamp(0, KEPT.0));
        let rate = (before as f64 + PRIOR_BURSTS) / (3_600.0 + watched.as_secs_f64());
        let chance = 1.0 - (-rate * NEAR.as_secs_f64()).exp();
        ((HIT / chance).ln() / (HIT / CHANCE_MIN).ln()).clamp(0.0, 1.0)
    }

    /// The entities anywhere that left a level within `around` of `onset` and rarely do, in order of time, each
    /// once; `None` when there are more than `most`.
    pub(crate) fn near(&self, onset: EventTime, around: Span, most: usize) -> Option<Vec<Sym>> {
        let mut found = Vec::new();
        for (since, entity) in self.recent.range((onset.minus(around), Sym(0))..) {
            if *since > onset.plus(around) {
                break;
            }
            if !found.contains(entity) && self.surprise(*entity, *since) > SURPRISING {
                found.push(*entity);
            }
            if found.len() > most {
                return None;
            }
        }
        Some(found)
    }

    /// What was away at `entity` at `onset` or since, in order of the series.
    pub(crate) fn at(&self, entity: Sym, onset: EventTime) -> impl Iterator<Item = &Departure> {
        let of = self.by_entity.get(&entity).into_iter().flat_map(BTreeMap::values);
        of.filter(move |departure| departure.until.is_none_or(|until| until >= onset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> EventTime {
        EventTime::from_secs(60 * minutes)
    }

    /// Entity 1 left a level every `every` minutes from minute 0 to minute 60.
    fn restless(every: usize) -> DepartedSeries {
        let mut departed = DepartedSeries::default();
        for minute in (0..60).step_by(every) {
            let since = at(minute as i64);
            departed.note(Sym(1), minute as u64, Departure { watched: at(0), since, until: None, bits: 20.0 }, since);
        }
        departed
    }

    #[test]
    fn what_an_entity_does_every_few_minutes_says_little_when_it_does_so_again() {
        let (often, once) = (restless(5), restless(60));
        assert!(often.surprise(Sym(1), at(70)) < 0.1, "twelve in the hour before");
        assert!((0.55..0.65).contains(&once.surprise(Sym(1), at(70))), "one in the hour before");
        let met = often.surprise(Sym(2), at(70));
        assert!((0.8..0.9).contains(&met), "of another nothing is known");
        assert_eq!(restless(60).surprise(Sym(1), at(5)), met, "what began just now is no habit");
        assert_eq!(restless(60).surprise(Sym(1), at(60 * 48)), 1.0, "it was calm for days");
    }
}
