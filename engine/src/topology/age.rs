//! What age does to an edge.
//!
//! A word that is said once states a fact, and stands. A word that is said again and again (traces,
//! a nightly export) is an observation: when its source goes on telling others and leaves it out, it
//! fades. Age is counted by the source's own clock, from when it told this edge to when it told
//! anything, so that a source that is down for a week takes nothing with it.

use super::graph::{Claim, EdgeKey, Topology, surest};
use crate::time::{EventTime, Span};

/// Words from which a source counts as repeating itself about an edge.
const TOLD_MIN: u32 = 3;

/// Intervals between two words that may go by in silence.
const INTERVALS: i64 = 3;

/// Halvings after which a word is forgotten.
const HALVINGS_MAX: i64 = 4;

/// How often all edges are looked at.
const EVERY: Span = Span::from_hours(1);

impl Topology {
    /// Whether ages are to be looked at.
    pub(crate) fn is_aging_due(&self, now: EventTime) -> bool {
        self.next_aging.is_none_or(|next| now >= next)
    }

    /// Lets the words fade that are repeated no more, at most once an hour; each counts half for
    /// each `life` of silence, or for each three of the intervals at which it used to be told.
    pub(super) fn age(&mut self, now: EventTime, life: Span) {
        if !self.is_aging_due(now) {
            return;
        }
        self.next_aging = Some(now.plus(EVERY));
        let mut changed: Vec<(EdgeKey, f64)> = Vec::new();
        for (key, claims) in &mut self.claims {
            let before = surest(claims);
            for claim in claims.iter_mut() {
                let heard = self.heard.get(&claim.source).copied().unwrap_or(claim.seen_at);
                claim.worth = claim.confidence * left(claim, heard, life);
            }
            claims.retain(|claim| claim.worth > 0.0);
            if surest(claims) != before || claims.is_empty() {
                changed.push((*key, before));
            }
        }
        for (key, before) in changed {
            self.settle(key, before);
        }
    }
}

/// The share of a word that is left when its source was heard of at `heard`.
fn left(claim: &Claim, heard: EventTime, life: Span) -> f64 {
    if claim.told < TOLD_MIN || life.0 <= 0 {
        return 1.0;
    }
    let interval = claim.seen_at.since(claim.since).0 / i64::from(claim.told - 1);
    let allowed = life.0.max(interval.saturating_mul(INTERVALS));
    match heard.since(claim.seen_at).0 / allowed {
        halvings if halvings >= HALVINGS_MAX => 0.0,
        halvings => 0.5_f64.powi(halvings.max(0) as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitsConfig;
    use crate::signal::Relation;
    use crate::symbols::Sym;

    const A: Sym = Sym(0);
    const B: Sym = Sym(1);
    const C: Sym = Sym(2);
    const TRACES: Sym = Sym(8);
    const CMDB: Sym = Sym(9);

    fn hour(hours: i64) -> EventTime {
        EventTime::from_secs(hours * 3_600)
    }

    fn tell(topology: &mut Topology, to: Sym, source: Sym, hours: i64) {
        topology.claim(A, to, Relation::Calls, source, 0.8, hour(hours), &LimitsConfig::default());
    }

    fn sure(topology: &mut Topology, to: Sym, now: i64) -> Option<f64> {
        topology.age(hour(now), Span::from_hours(24));
        topology.edges(A).iter().find(|edge| edge.other == to).map(|edge| edge.confidence)
    }

    #[test]
    fn what_is_repeated_no_more_fades_and_is_forgotten_and_what_was_said_once_stands() {
        let mut topology = Topology::default();
        for at in 0..200 {
            tell(&mut topology, B, TRACES, at);
            if at < 10 {
                tell(&mut topology, C, TRACES, at);
            }
        }
        (0..TOLD_MIN).for_each(|_| tell(&mut topology, C, CMDB, 0));
        topology.claim(B, C, Relation::Calls, CMDB, 0.9, hour(190), &LimitsConfig::default());
        assert_eq!(sure(&mut topology, C, 201), Some(0.8), "the catalogue said so, at one time");
        assert_eq!(topology.claims[&(A, C, Relation::Calls)].len(), 1, "the traces are forgotten");
        assert_eq!(sure(&mut topology, B, 900), Some(0.8), "its source is silent altogether");
    }

    #[test]
    fn it_counts_half_after_a_life_a_quarter_after_two_and_whole_when_told_again() {
        let mut topology = Topology::default();
        for at in 0..10 {
            tell(&mut topology, B, TRACES, at);
        }
        let epoch = topology.epoch();
        for (at, expected) in [(30, Some(0.8)), (40, Some(0.4)), (60, Some(0.2)), (90, Some(0.1))] {
            tell(&mut topology, C, TRACES, at);
            assert_eq!(sure(&mut topology, B, at), expected, "{at} hours");
        }
        assert!(topology.epoch() > epoch, "cached ways are found anew");
        tell(&mut topology, B, TRACES, 91);
        assert_eq!(sure(&mut topology, B, 92), Some(0.8));
        tell(&mut topology, C, TRACES, 300);
        assert_eq!(sure(&mut topology, B, 300), None);
        assert!(topology.carries_trouble() && topology.len() == 1);
    }

    #[test]
    fn a_weekly_export_may_leave_out_weeks_by_its_own_pace() {
        let mut topology = Topology::default();
        for week in 0..4 {
            tell(&mut topology, B, CMDB, week * 168);
        }
        tell(&mut topology, C, CMDB, 3 * 168 + 100);
        assert_eq!(sure(&mut topology, B, 3 * 168 + 101), Some(0.8));
        tell(&mut topology, C, CMDB, 7 * 168);
        assert_eq!(sure(&mut topology, B, 7 * 168), Some(0.4));
    }

    #[test]
    fn edges_are_looked_at_once_an_hour() {
        let mut topology = Topology::default();
        (0..10).for_each(|at| tell(&mut topology, B, TRACES, at));
        assert_eq!(sure(&mut topology, B, 10), Some(0.8));
        tell(&mut topology, C, TRACES, 10 + 200);
        topology.next_aging = Some(hour(211));
        assert_eq!(sure(&mut topology, B, 210), Some(0.8));
        assert_eq!(sure(&mut topology, B, 211), None);
    }
}
