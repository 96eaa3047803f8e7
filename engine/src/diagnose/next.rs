//! Who will be next, and when: learned delays summed along the way from what alerts already.
//!
//! Each silent entity that depends on the cause is reached over one shortest way. From the last
//! entity on it that alerts on, the median delays of its edges add up to a likely time, and their
//! ninetieth percentiles to a time by which it is expected (a cautious sum: delays that are not all
//! late together make it too late, not too early). Without a learned delay on the way nothing is said.

use std::collections::BTreeMap;

use crate::symbols::{Sym, Symbols};
use crate::time::{EventTime, Span};
use crate::topology::{Delays, Topology};

/// One entity that is expected to follow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Next {
    /// Entity id.
    pub(crate) entity: String,
    /// When it is as likely to have followed as not.
    pub(crate) likely_at: EventTime,
    /// By when it will have followed in nine of ten cases.
    pub(crate) expected_by: EventTime,
}

/// The silent dependents of `cause` that are still expected at `now`, soonest first, then by name.
/// `onsets` are the alerting entities, `onset` the first of them.
pub(crate) fn who_is_next(
    cause: Sym,
    onset: EventTime,
    onsets: &[(Sym, EventTime)],
    now: EventTime,
    (topology, delays, entities): (&Topology, &Delays, &Symbols),
    hops_max: u8,
) -> Vec<Next> {
    let began: BTreeMap<Sym, EventTime> = onsets.iter().copied().collect();
    let start = began.get(&cause).copied().unwrap_or(onset);
    // When trouble was, or is expected to be, at each entity on the way.
    let mut at: BTreeMap<Sym, (EventTime, EventTime)> = BTreeMap::from([(cause, (start, start))]);
    let mut next = Vec::new();
    for reach in topology.dependents(cause, hops_max) {
        if let Some(known) = began.get(&reach.entity) {
            at.insert(reach.entity, (*known, *known));
            continue;
        }
        let Some((likely, by)) = at.get(&reach.via).copied() else { continue };
        let edges = topology.edges(reach.via);
        let Some(edge) = edges.iter().find(|e| e.other == reach.entity && e.relation == reach.relation) else {
            continue;
        };
        let Some(delay) = delays.along(reach.via, reach.entity, reach.relation, edge.outgoing) else { continue };
        let after = |from: EventTime, secs: f64| from.plus(Span((secs * 1e9) as i64));
        let times = (after(likely, delay.p50_s), after(by, delay.p90_s));
        at.insert(reach.entity, times);
        if times.1 > now {
            let entity = entities.text(reach.entity).to_owned();
            next.push(Next { entity, likely_at: times.0, expected_by: times.1 });
        }
    }
    next.sort_by(|a, b| (a.likely_at, &a.entity).cmp(&(b.likely_at, &b.entity)));
    next
}
