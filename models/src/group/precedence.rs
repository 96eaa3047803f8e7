//! Which types of alert come before which, learned from a history of alerts alone.
//!
//! Idea: trouble travels from an entity to itself and its neighbours within a short lag. For each
//! ordered pair of types `u → v`, count how often `u` came within the lag before `v` on the same
//! entity or around it, and take off what independent streams of the same rates would give (the
//! second-order statistic a Hawkes process is fitted to; Bacry & Muzy 2016). What comes in bursts
//! exceeds chance in both directions, so a share of the reverse excess is taken off as well. The
//! rest, per alert of `v`, is the share of `v` that `u` explains; a type that nothing explains is
//! where trouble begins.
//!
//! Use it where an installation has weeks of alerts and nobody has written down what causes what.
//! Which entities count as around is what the topology says: without it edges are found far worse.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::tables::{Distance, NO_ENTITY};

/// One alert of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Onset in nanoseconds.
    pub time_ns: i64,
    /// Type of alert as a token.
    pub kind: u32,
    /// Entity as a number, [`NO_ENTITY`] for none: such alerts stand at one place together.
    pub entity: u32,
}

/// Settings of [`Precedence::learn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrecedenceParams {
    /// How long before an alert another may have come to explain it, in nanoseconds.
    pub lag_ns: i64,
    /// How far away the other may stand, in steps.
    pub hops_max: u8,
    /// Share of the excess in the other direction that is taken off, 0–1.
    pub reverse: f64,
    /// Types looked at, the most frequent ones: the table is their square.
    pub kinds_max: usize,
    /// Alerts of one entity within the lag that are looked at, the latest ones.
    pub recent_max: usize,
}

impl Default for PrecedenceParams {
    fn default() -> Self {
        Self { lag_ns: 45_000_000_000, hops_max: 1, reverse: 0.75, kinds_max: 1024, recent_max: 256 }
    }
}

/// That one type comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precedes {
    /// The earlier type.
    pub from: u32,
    /// The later type.
    pub to: u32,
    /// Excess over chance per alert of `to`: how many of them `from` explains. Above 1 where `from`
    /// comes several times before each.
    pub share: f64,
    /// The excess in standard deviations of chance.
    pub surprise: f64,
}

/// What was learned; see the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precedence {
    reverse: f64,
    /// The types in order.
    kinds: Vec<u32>,
    /// Alerts of each type.
    alerts: Vec<f64>,
    /// Times that row came within the lag before column.
    before: Vec<f64>,
    /// The same as chance would have it.
    chance: Vec<f64>,
}

impl Precedence {
    /// Learns from `history`, which is in order of time. Alerts of the same instant do not explain
    /// each other.
    #[must_use]
    pub fn learn(params: &PrecedenceParams, history: &[Occurrence], distance: &impl Distance) -> Self {
        let kinds = most_frequent(history, params.kinds_max);
        let index: HashMap<u32, usize> = kinds.iter().enumerate().map(|(place, kind)| (*kind, place)).collect();
        let around = surroundings(history, distance, params.hops_max);
        let mut out = Self {
            reverse: params.reverse,
            alerts: vec![0.0; kinds.len()],
            before: vec![0.0; kinds.len() * kinds.len()],
            chance: vec![0.0; kinds.len() * kinds.len()],
            kinds,
        };
        out.count(params, history, &index, &around);
        out.expect(params, history, &index, &around);
        out
    }

    /// The types that were looked at, in order.
    #[must_use]
    pub fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    /// That `from` comes before `to`; `None` when either was never seen or both are one.
    #[must_use]
    pub fn link(&self, from: u32, to: u32) -> Option<Precedes> {
        let (u, v) = (self.kinds.binary_search(&from).ok()?, self.kinds.binary_search(&to).ok()?);
        if u == v {
            return None;
        }
        let excess = self.excess(u, v) - self.reverse * self.excess(v, u).max(0.0);
        let chance = self.chance[u * self.kinds.len() + v];
        Some(Precedes { from, to, share: excess / self.alerts[v], surprise: excess / (chance + 1.0).sqrt() })
    }

    /// How much of a type others explain; `None` when it was never seen.
    #[must_use]
    pub fn explained(&self, kind: u32) -> Option<f64> {
        self.kinds.binary_search(&kind).ok()?;
        Some(self.kinds.iter().filter_map(|other| self.link(*other, kind)).map(|link| link.share.max(0.0)).sum())
    }

    /// Types as roots of trouble in which all of `among` took part, the likeliest first: those
    /// that others explain least. Types never seen come last; equal ones in order of the type.
    #[must_use]
    pub fn roots(&self, among: &[u32]) -> Vec<u32> {
        let mut scored: Vec<(f64, u32)> =
            among.iter().map(|kind| (self.explained(*kind).unwrap_or(f64::INFINITY), *kind)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored.into_iter().map(|(_, kind)| kind).collect()
    }

    /// Every ordered pair whose excess is positive, the most surprising first.
    #[must_use]
    pub fn links(&self) -> Vec<Precedes> {
        let pairs = self.kinds.iter().flat_map(|from| self.kinds.iter().map(move |to| (*from, *to)));
        let mut out: Vec<Precedes> =
            pairs.filter_map(|(from, to)| self.link(from, to)).filter(|link| link.share > 0.0).collect();
        out.sort_by(|a, b| b.surprise.total_cmp(&a.surprise).then((a.from, a.to).cmp(&(b.from, b.to))));
        out
    }

    fn excess(&self, u: usize, v: usize) -> f64 {
        let cell = u * self.kinds.len() + v;
        self.before[cell] - self.chance[cell]
    }

    fn count(
        &mut self,
        params: &PrecedenceParams,
        history: &[Occurrence],
        index: &HashMap<u32, usize>,
        around: &BTreeMap<u32, Vec<u32>>,
    ) {
        let width = self.kinds.len();
        let mut recent: HashMap<u32, VecDeque<(i64, usize)>> = HashMap::new();
        for alert in history {
            let Some(&kind) = index.get(&alert.kind) else { continue };
            self.alerts[kind] += 1.0;
            let since = alert.time_ns.saturating_sub(params.lag_ns);
            for place in &around[&alert.entity] {
                let Some(earlier) = recent.get(place) else { continue };
                let within = earlier.iter().rev().take_while(|(at, _)| *at >= since);
                for (_, other) in within.filter(|(at, _)| *at < alert.time_ns) {
                    self.before[other * width + kind] += 1.0;
                }
            }
            let own = recent.entry(alert.entity).or_default();
            while own.len() >= params.recent_max.max(1) || own.front().is_some_and(|(at, _)| *at < since) {
                own.pop_front();
            }
            own.push_back((alert.time_ns, kind));
        }
    }

    /// What streams of the same rates at the same places would give if they had nothing to do
    /// with each other.
    fn expect(
        &mut self,
        params: &PrecedenceParams,
        history: &[Occurrence],
        index: &HashMap<u32, usize>,
        around: &BTreeMap<u32, Vec<u32>>,
    ) {
        let (Some(first), Some(last)) = (history.first(), history.last()) else { return };
        let width = self.kinds.len();
        let mut at: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for alert in history {
            if let Some(&kind) = index.get(&alert.kind) {
                at.entry(alert.entity).or_insert_with(|| vec![0.0; width])[kind] += 1.0;
            }
        }
        let span = (last.time_ns.saturating_sub(first.time_ns)).max(1) as f64;
        let chance = (params.lag_ns as f64 / span).min(1.0);
        for (place, own) in &at {
            let mut near = vec![0.0; width];
            for other in around[place].iter().filter_map(|other| at.get(other)) {
                near.iter_mut().zip(other).for_each(|(sum, count)| *sum += count);
            }
            for (u, earlier) in near.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                let row = &mut self.chance[u * width..(u + 1) * width];
                row.iter_mut().zip(own).for_each(|(cell, later)| *cell += earlier * later * chance);
            }
        }
    }
}

/// The most frequent types, in order of the type.
fn most_frequent(history: &[Occurrence], kinds_max: usize) -> Vec<u32> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for alert in history {
        *counts.entry(alert.kind).or_default() += 1;
    }
    let mut order: Vec<(usize, u32)> = counts.into_iter().map(|(kind, count)| (count, kind)).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    order.truncate(kinds_max);
    let mut kinds: Vec<u32> = order.into_iter().map(|(_, kind)| kind).collect();
    kinds.sort_unstable();
    kinds
}

/// For each entity that alerts, itself and those within `hops_max` steps.
fn surroundings(history: &[Occurrence], distance: &impl Distance, hops_max: u8) -> BTreeMap<u32, Vec<u32>> {
    let mut out: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut near = Vec::new();
    for alert in history {
        out.entry(alert.entity).or_insert_with(|| {
            near.clear();
            if alert.entity != NO_ENTITY && distance.knows(alert.entity) {
                distance.within(alert.entity, hops_max, &mut near);
            }
            std::iter::once(alert.entity).chain(near.iter().map(|(other, _)| *other)).collect()
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tables::NoTopology;
    use super::*;

    /// Two entities that are neighbours.
    struct Pair;

    impl Distance for Pair {
        fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
            if hops_max > 0 && entity < 2 {
                out.push((1 - entity, 1.0));
            }
        }

        fn knows(&self, entity: u32) -> bool {
            entity < 2
        }
    }

    fn at(second: i64, kind: u32, entity: u32) -> Occurrence {
        Occurrence { time_ns: second * 1_000_000_000, kind, entity }
    }

    /// Every ten minutes 7 on entity 0, 8 on entity 1 five seconds later, 9 on entity 1 after
    /// another five; 5 comes by itself at odd times.
    fn chain() -> Vec<Occurrence> {
        let mut history = Vec::new();
        for round in 0..200 {
            let start = round * 600;
            history.extend([at(start, 7, 0), at(start + 5, 8, 1), at(start + 10, 9, 1)]);
            history.push(at(start + 200 + (round * 37) % 300, 5, 1));
        }
        history
    }

    #[test]
    fn what_begins_a_chain_is_its_root_and_what_it_brings_is_explained() {
        let learned = Precedence::learn(&PrecedenceParams::default(), &chain(), &Pair);
        assert_eq!(learned.roots(&[9, 8, 7]), [7, 8, 9]);
        assert!(learned.explained(7).is_some_and(|share| share < 0.05), "{:?}", learned.explained(7));
        assert!(learned.link(7, 8).is_some_and(|link| link.share > 0.8 && link.surprise > 20.0));
        assert!(learned.link(8, 7).is_some_and(|link| link.share < 0.0), "{:?}", learned.link(8, 7));
        assert!(learned.explained(5).is_some_and(|share| share < 0.05), "chance explains nothing");
        let mut first: Vec<(u32, u32)> = learned.links().iter().take(3).map(|link| (link.from, link.to)).collect();
        first.sort_unstable();
        assert_eq!(first, [(7, 8), (7, 9), (8, 9)]);
    }

    #[test]
    fn without_topology_a_step_between_entities_is_not_seen() {
        let learned = Precedence::learn(&PrecedenceParams::default(), &chain(), &NoTopology);
        assert!(learned.link(7, 8).is_some_and(|link| link.share <= 0.0));
        assert!(learned.link(8, 9).is_some_and(|link| link.share > 0.8));
    }

    #[test]
    fn bounds_hold_and_the_unseen_comes_last() {
        let params = PrecedenceParams { kinds_max: 2, recent_max: 1, ..PrecedenceParams::default() };
        let learned = Precedence::learn(&params, &chain(), &Pair);
        assert_eq!(learned.kinds(), [5, 7], "equal counts in order of the type");
        assert_eq!(learned.roots(&[400, 7]), [7, 400]);
        assert_eq!(learned.link(7, 7), None);
        let none = Precedence::learn(&params, &[], &Pair);
        assert!(none.kinds().is_empty() && none.links().is_empty());
    }
}
