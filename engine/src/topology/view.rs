//! The topology as people look at it: who says each edge, how old the word is, and where the
//! sources disagree.
//!
//! Where an entity runs, what it is part of and who owns it are questions with one answer. Two
//! sources of which neither tells any of the other's answers are a conflict. Both edges stay: each
//! counts as its surest source says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::graph::{EdgeKey, Topology};
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};
use crate::time::EventTime;

/// One source's word about an edge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimView {
    /// Who says so.
    pub source: String,
    /// How sure, 0–1, with what age has left of it.
    pub confidence: f64,
    /// When it said so last.
    pub seen_at: EventTime,
}

/// One edge with everybody's word about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EdgeView {
    /// The entity at the beginning.
    pub from: String,
    /// What it is to the other.
    pub relation: Relation,
    /// The entity at the end.
    pub to: String,
    /// Who says so, surest first.
    pub claims: Vec<ClaimView>,
    /// What other sources say instead: `cmdb: host:b`.
    pub contradicted_by: Vec<String>,
}

/// An edge near some entities, as sure as its surest source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearEdge {
    /// The entity at the beginning.
    pub from: String,
    /// What it is to the other.
    pub relation: Relation,
    /// The entity at the end.
    pub to: String,
    /// 0–1.
    pub confidence: f64,
}

/// The relations of which an entity has one.
const ONE_ANSWER: [Relation; 3] = [Relation::RunsOn, Relation::PartOf, Relation::OwnedBy];

impl Topology {
    /// Every edge, by names.
    pub(crate) fn view(&self, entities: &Symbols, names: &Symbols) -> Vec<EdgeView> {
        let said = self.answers();
        let mut edges: Vec<EdgeView> = self
            .claims
            .iter()
            .map(|(&(from, to, relation), claims)| {
                let claim = |claim: &super::graph::Claim| ClaimView {
                    source: names.text(claim.source).to_owned(),
                    confidence: claim.worth,
                    seen_at: claim.seen_at,
                };
                let mut views: Vec<ClaimView> = claims.iter().map(claim).collect();
                views.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.source.cmp(&b.source)));
                let sources: Vec<Sym> = claims.iter().map(|claim| claim.source).collect();
                let others = said.get(&(from, relation)).map(|said| against(said, &sources)).unwrap_or_default();
                let mut contradicted_by: Vec<String> = others
                    .into_iter()
                    .map(|(source, other)| format!("{}: {}", names.text(source), entities.text(other)))
                    .collect();
                contradicted_by.sort_unstable();
                let (from, to) = (entities.text(from).to_owned(), entities.text(to).to_owned());
                EdgeView { from, relation, to, claims: views, contradicted_by }
            })
            .collect();
        edges.sort_by(|a, b| (&a.from, a.relation, &a.to).cmp(&(&b.from, b.relation, &b.to)));
        edges
    }

    /// The edges along which trouble travels within `hops` of `around`, the nearest first and at most `edges_max`; of
    /// one entity those that are surest.
    pub(crate) fn near(&self, entities: &Symbols, around: &[&str], hops: u8, edges_max: usize) -> Vec<NearEdge> {
        let mut seen: BTreeSet<Sym> = around.iter().filter_map(|name| entities.get(name)).collect();
        let mut ring: Vec<Sym> = seen.iter().copied().collect();
        let mut found: BTreeSet<EdgeKey> = BTreeSet::new();
        let mut edges = Vec::new();
        for _ in 0..hops {
            let mut next = Vec::new();
            for at in ring {
                let mut own: Vec<_> = self.edges(at).iter().filter(|edge| edge.relation != Relation::OwnedBy).collect();
                let name = |edge: &super::graph::Edge| entities.text(edge.other).to_owned();
                own.sort_by_cached_key(|edge| (std::cmp::Reverse((edge.confidence * 1e6) as u64), name(edge)));
                for edge in own {
                    let (from, to) = if edge.outgoing { (at, edge.other) } else { (edge.other, at) };
                    if !found.insert((from, to, edge.relation)) {
                        continue;
                    }
                    if edges.len() == edges_max {
                        return edges;
                    }
                    let (from, to) = (entities.text(from).to_owned(), entities.text(to).to_owned());
                    edges.push(NearEdge { from, relation: edge.relation, to, confidence: edge.confidence });
                    if seen.insert(edge.other) {
                        next.push(edge.other);
                    }
                }
            }
            ring = next;
        }
        edges
    }

    /// What each source answers, by the entity and the relation asked about.
    fn answers(&self) -> BTreeMap<(Sym, Relation), Answers> {
        let mut said: BTreeMap<(Sym, Relation), Answers> = BTreeMap::new();
        for (&(from, to, relation), claims) in &self.claims {
            if ONE_ANSWER.contains(&relation) {
                let answers = said.entry((from, relation)).or_default();
                claims.iter().for_each(|claim| {
                    answers.entry(claim.source).or_default().insert(to);
                });
            }
        }
        said
    }
}

/// By source, what it answers.
type Answers = BTreeMap<Sym, BTreeSet<Sym>>;

/// The answers of those sources that share none with any of `sources`.
fn against(said: &Answers, sources: &[Sym]) -> Vec<(Sym, Sym)> {
    let ours: BTreeSet<Sym> = sources.iter().filter_map(|source| said.get(source)).flatten().copied().collect();
    let others = said.iter().filter(|(source, theirs)| !sources.contains(source) && theirs.is_disjoint(&ours));
    others.flat_map(|(source, theirs)| theirs.iter().map(|to| (*source, *to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitsConfig;

    #[test]
    fn sources_that_answer_otherwise_contradict_and_those_that_know_more_do_not() {
        let (mut entities, mut names) = (Symbols::new(100), Symbols::new(100));
        let mut topology = Topology::default();
        let mut claim = |from: &str, relation, to: &str, source: &str, confidence| {
            let (from, to) = (entities.intern(from), entities.intern(to));
            let limits = LimitsConfig::default();
            topology.claim(from, to, relation, names.intern(source), confidence, EventTime::from_secs(7), &limits);
        };
        claim("service:shop", Relation::RunsOn, "host:a", "traces", 0.9);
        claim("service:shop", Relation::RunsOn, "host:b", "traces", 0.9);
        claim("service:shop", Relation::RunsOn, "host:a", "kubernetes", 1.0);
        claim("service:shop", Relation::RunsOn, "host:old", "cmdb", 0.5);
        claim("service:shop", Relation::Calls, "service:pay", "cmdb", 0.5);
        claim("service:shop", Relation::Calls, "service:mail", "traces", 0.5);
        let view = topology.view(&entities, &names);
        let shown: Vec<(&str, usize, String)> =
            view.iter().map(|edge| (edge.to.as_str(), edge.claims.len(), edge.contradicted_by.join("; "))).collect();
        let none = String::new;
        assert_eq!(
            shown,
            [
                ("service:mail", 1, none()),
                ("service:pay", 1, none()),
                ("host:a", 2, "cmdb: host:old".to_owned()),
                ("host:b", 1, "cmdb: host:old".to_owned()),
                ("host:old", 1, "kubernetes: host:a; traces: host:a; traces: host:b".to_owned()),
            ]
        );
        assert_eq!(
            (view[2].claims[0].source.as_str(), view[2].claims[0].seen_at),
            ("kubernetes", EventTime::from_secs(7))
        );
    }

    #[test]
    fn what_is_near_is_told_nearest_first_and_no_more_than_is_asked_for() {
        let (mut entities, mut names) = (Symbols::new(100), Symbols::new(100));
        let mut topology = Topology::default();
        let mut claim = |from: &str, relation, to: &str, confidence| {
            let (from, to) = (entities.intern(from), entities.intern(to));
            let limits = LimitsConfig::default();
            topology.claim(from, to, relation, names.intern("cmdb"), confidence, EventTime::from_secs(7), &limits);
        };
        claim("service:shop", Relation::Calls, "service:pay", 0.5);
        claim("service:shop", Relation::Calls, "service:mail", 0.9);
        claim("service:shop", Relation::OwnedBy, "team:web", 1.0);
        claim("service:pay", Relation::RunsOn, "host:a", 0.9);
        claim("host:a", Relation::ConnectsTo, "switch:s", 0.9);
        let near = |hops, max| {
            let edges = topology.near(&entities, &["service:shop", "service:unknown"], hops, max);
            edges.into_iter().map(|edge| format!("{}>{}", edge.from, edge.to)).collect::<Vec<_>>()
        };
        assert_eq!(near(1, 9), ["service:shop>service:mail", "service:shop>service:pay"]);
        assert_eq!(near(2, 9)[2..], ["service:pay>host:a"]);
        assert_eq!(near(9, 1), ["service:shop>service:mail"]);
    }
}
