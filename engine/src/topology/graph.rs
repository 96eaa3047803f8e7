//! The graph: each edge with every source's word about it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bellwether_models::group::Parts;
use serde::{Deserialize, Serialize};

use crate::limits::LimitsConfig;
use crate::memory::{allocation, ordered};
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};
use crate::time::EventTime;

/// One edge as seen from one of its ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Edge {
    /// The entity at the other end.
    pub(crate) other: Sym,
    /// What `from` is to `to`.
    pub(crate) relation: Relation,
    /// True when this end is `from`.
    pub(crate) outgoing: bool,
    /// The surest source's word, 0–1.
    pub(crate) confidence: f64,
}

/// One source's word about one edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) source: Sym,
    /// As the source said.
    pub(super) confidence: f64,
    /// What is left of it with age.
    pub(super) worth: f64,
    /// When it was told first.
    pub(super) since: EventTime,
    /// When it was told last.
    pub(super) seen_at: EventTime,
    /// At how many times it was told: an edge that stands three times in one export was told once.
    pub(super) told: u32,
}

pub(super) type EdgeKey = (Sym, Sym, Relation);

/// The tenant's graph.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Topology {
    pub(super) claims: BTreeMap<EdgeKey, Vec<Claim>>,
    adjacent: Vec<Vec<Edge>>,
    /// When each source told anything last.
    pub(super) heard: BTreeMap<Sym, EventTime>,
    /// When ages are looked at next.
    pub(super) next_aging: Option<EventTime>,
    epoch: u64,
    refused: u64,
    /// Edges that carry trouble: all but ownership.
    carrying: usize,
    /// The parts that these edges make, found when they are asked for and forgotten when edges come or go.
    #[serde(skip)]
    parts: OnceLock<Parts>,
}

/// What an edge takes: its place in the map, the list of its sources' words (which has room for four), and a
/// place at each of its ends.
pub(super) const EDGE_BYTES: usize = ordered(size_of::<(EdgeKey, Vec<Claim>)>())
    + allocation(4 * size_of::<Claim>())
    + 2 * (size_of::<Vec<Edge>>() + 2 * size_of::<Edge>());

impl Topology {
    /// Takes one source's word about one edge; confidence 0 takes the word back. Answers
    /// whether the graph changed.
    #[allow(clippy::too_many_arguments)] // the columns of an edge batch
    pub(super) fn claim(
        &mut self,
        from: Sym,
        to: Sym,
        relation: Relation,
        source: Sym,
        confidence: f64,
        seen_at: EventTime,
        limits: &LimitsConfig,
    ) -> bool {
        if from == to || !confidence.is_finite() {
            self.refused += 1;
            return false;
        }
        let key = (from, to, relation);
        if !self.claims.contains_key(&key) {
            if confidence <= 0.0 {
                return false;
            }
            if self.claims.len() >= limits.topology_edges_max {
                self.refused += 1;
                return false;
            }
        }
        let heard = self.heard.entry(source).or_insert(seen_at);
        *heard = seen_at.max(*heard);
        let claims = self.claims.entry(key).or_default();
        let before = surest(claims);
        let known = claims.iter().position(|claim| claim.source == source).map(|at| claims.remove(at));
        if confidence > 0.0 {
            let (since, told) = known.map_or((seen_at, 1), |claim| {
                (claim.since, claim.told.saturating_add(u32::from(claim.seen_at < seen_at)))
            });
            let worth = confidence.min(1.0);
            claims.push(Claim { source, confidence: worth, worth, since, seen_at, told });
        }
        self.settle(key, before)
    }

    /// Takes back every word of `source` that is older than `seen_at`.
    pub(super) fn take_back(&mut self, source: Sym, seen_at: EventTime) {
        let old = |claim: &Claim| claim.source == source && claim.seen_at < seen_at;
        let keys: Vec<EdgeKey> =
            self.claims.iter().filter(|(_, claims)| claims.iter().any(old)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(claims) = self.claims.get_mut(&key) {
                let before = surest(claims);
                claims.retain(|claim| !old(claim));
                self.settle(key, before);
            }
        }
    }

    /// Draws the consequences of a change to the words about one edge, which was as sure as
    /// `before`; answers whether there are any.
    pub(super) fn settle(&mut self, key: EdgeKey, before: f64) -> bool {
        let after = self.claims.get(&key).map_or(0.0, |claims| surest(claims));
        if self.claims.get(&key).is_some_and(Vec::is_empty) {
            self.claims.remove(&key);
        }
        if before == after {
            return false;
        }
        if key.2 != Relation::OwnedBy {
            self.carrying += usize::from(before == 0.0);
            self.carrying -= usize::from(after == 0.0);
            self.forget_parts(key, (before > 0.0, after > 0.0));
        }
        self.set_adjacent(key, after);
        self.epoch += 1;
        true
    }

    /// The edges at `entity`, incoming and outgoing.
    pub(crate) fn edges(&self, entity: Sym) -> &[Edge] {
        self.adjacent.get(entity.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether any edge along which trouble travels touches `entity`.
    pub(crate) fn knows(&self, entity: Sym) -> bool {
        self.edges(entity).iter().any(|edge| edge.relation != Relation::OwnedBy)
    }

    /// The connected part of the estate that an entity is in, where it is in one.
    pub(crate) fn part(&self, entity: Sym) -> Option<u64> {
        let parts = self.parts.get_or_init(|| {
            let carrying = |edge: &&Edge| edge.outgoing && edge.relation != Relation::OwnedBy;
            let edges = self.adjacent.iter().enumerate();
            Parts::of(
                self.adjacent.len(),
                edges.flat_map(|(from, edges)| {
                    edges.iter().filter(carrying).map(move |edge| (from as u32, edge.other.0))
                }),
            )
        });
        parts.part(entity.0)
    }

    /// Another edge within a part leaves the parts as they are.
    fn forget_parts(&mut self, (from, to, _): EdgeKey, (was, is): (bool, bool)) {
        let within = |parts: &Parts| parts.part(from.0).is_some() && parts.part(from.0) == parts.part(to.0);
        if was != is && !(is && self.parts.get().is_some_and(within)) {
            self.parts = OnceLock::new();
        }
    }

    /// Whether there is any such edge.
    pub(crate) fn carries_trouble(&self) -> bool {
        self.carrying > 0
    }

    /// Changes whenever the graph does.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Edges refused: over the limit, or no edge at all.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// An edge was refused before it had names.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// About how many bytes the edges take.
    pub(crate) fn bytes(&self) -> usize {
        self.claims.len() * EDGE_BYTES
    }

    /// Whether anybody has told of this edge.
    pub(super) fn has(&self, key: EdgeKey) -> bool {
        self.claims.contains_key(&key)
    }

    /// How many edges there are.
    pub(crate) fn len(&self) -> usize {
        self.claims.len()
    }

    fn set_adjacent(&mut self, (from, to, relation): EdgeKey, confidence: f64) {
        for (at, other, outgoing) in [(from, to, true), (to, from, false)] {
            let index = at.0 as usize;
            if self.adjacent.len() <= index {
                self.adjacent.resize_with(index + 1, Vec::new);
            }
            let edges = &mut self.adjacent[index];
            edges.retain(|e| !(e.other == other && e.relation == relation && e.outgoing == outgoing));
            if confidence > 0.0 {
                edges.push(Edge { other, relation, outgoing, confidence });
            }
        }
    }
}

pub(super) fn surest(claims: &[Claim]) -> f64 {
    claims.iter().map(|claim| claim.worth).fold(0.0, f64::max)
}

/// The owners of `entity` by `owned_by` edges, surest first, then by name.
pub(crate) fn owners<'a>(topology: &Topology, entities: &'a Symbols, entity: Sym) -> Vec<&'a str> {
    let mut owners: Vec<(f64, &str)> = topology
        .edges(entity)
        .iter()
        .filter(|e| e.outgoing && e.relation == Relation::OwnedBy)
        .map(|e| (e.confidence, entities.text(e.other)))
        .collect();
    owners.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    owners.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> LimitsConfig {
        LimitsConfig::default()
    }

    #[test]
    fn an_edge_lives_as_long_as_one_source_claims_it() {
        let mut topology = Topology::default();
        let (a, b, cmdb, traces) = (Sym(0), Sym(1), Sym(2), Sym(3));
        let t = EventTime::from_secs(1);
        assert!(topology.claim(a, b, Relation::Calls, cmdb, 0.9, t, &limits()));
        assert!(!topology.claim(a, b, Relation::Calls, traces, 0.5, t, &limits()));
        assert!(topology.claim(a, b, Relation::Calls, cmdb, 0.0, t, &limits()));
        assert!(topology.knows(a), "traces still say so");
        assert!(topology.claim(a, b, Relation::Calls, traces, 0.0, t, &limits()));
        assert!(!topology.knows(a) && !topology.knows(b));
        assert_eq!(topology.len(), 0);
        assert!(!topology.carries_trouble());
    }

    #[test]
    fn a_source_that_tells_all_anew_takes_back_what_it_leaves_out() {
        let mut topology = Topology::default();
        let (a, b, c, catalogue, traces) = (Sym(0), Sym(1), Sym(2), Sym(8), Sym(9));
        let at = EventTime::from_secs;
        topology.claim(a, b, Relation::Calls, catalogue, 0.9, at(1), &limits());
        topology.claim(a, c, Relation::Calls, catalogue, 0.9, at(1), &limits());
        topology.claim(a, c, Relation::Calls, traces, 0.5, at(1), &limits());
        topology.claim(b, c, Relation::Calls, catalogue, 0.9, at(2), &limits());
        topology.take_back(catalogue, at(2));
        let left: Vec<(Sym, Sym, f64)> = topology.claims.iter().map(|(k, claims)| (k.0, k.1, surest(claims))).collect();
        assert_eq!(left, [(a, c, 0.5), (b, c, 0.9)]);
        assert_eq!(topology.edges(a).len(), 1);
    }

    #[test]
    fn parts_follow_the_edges_that_come_and_go() {
        let mut topology = Topology::default();
        let (source, t) = (Sym(99), EventTime::from_secs(1));
        let mut tell = |from: u32, to: u32, relation, confidence| {
            topology.claim(Sym(from), Sym(to), relation, source, confidence, t, &limits());
            let joined = topology.part(Sym(0)).is_some() && topology.part(Sym(0)) == topology.part(Sym(19));
            let saved = serde_json::to_vec(&topology.adjacent).expect("saves");
            let again = Topology { adjacent: serde_json::from_slice(&saved).expect("reads"), ..Topology::default() };
            assert_eq!(again.part(Sym(19)), topology.part(Sym(19)), "after a restart it is the same");
            joined
        };
        for at in (0..9).chain(10..19) {
            assert!(!tell(at, at + 1, Relation::Calls, 0.9));
        }
        assert!(!tell(4, 14, Relation::OwnedBy, 0.9), "an owner joins nothing");
        assert!(tell(9, 10, Relation::RunsOn, 0.9));
        assert!(tell(3, 12, Relation::Calls, 0.5));
        assert!(tell(9, 10, Relation::RunsOn, 0.0), "the other edge is left");
        assert!(!tell(3, 12, Relation::Calls, 0.0));
    }

    #[test]
    fn edges_beyond_the_limit_are_refused_and_counted() {
        let mut topology = Topology::default();
        let limits = LimitsConfig { topology_edges_max: 1, ..limits() };
        let t = EventTime::from_secs(1);
        assert!(topology.claim(Sym(0), Sym(1), Relation::Calls, Sym(9), 1.0, t, &limits));
        assert!(!topology.claim(Sym(0), Sym(2), Relation::Calls, Sym(9), 1.0, t, &limits));
        assert!(!topology.claim(Sym(0), Sym(0), Relation::Calls, Sym(9), 1.0, t, &limits));
        assert_eq!(topology.refused(), 2);
    }
}
