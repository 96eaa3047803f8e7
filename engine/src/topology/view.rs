//! The topology as people look at it: who says each edge, how old the word is, and where the
//! sources disagree.
//!
//! Where an entity runs, what it is part of and who owns it are questions with one answer. Two
//! sources of which neither tells any of the other's answers are a conflict. Both edges stay: each
//! counts as its surest source says.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::graph::{Claim, Edge, EdgeKey, Topology};
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};
use crate::time::EventTime;

/// One source's word about an edge.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ClaimView {
    /// Who says so.
    pub source: String,
    /// How sure, 0–1, with what age has left of it.
    pub confidence: f64,
    /// When it said so last.
    pub seen_at: EventTime,
}

/// One edge with everybody's word about it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
        let said = answers(self.claims.iter());
        let edge = |(key, claims): (&EdgeKey, &Vec<Claim>)| edge(*key, claims, &said, (entities, names));
        let mut edges: Vec<EdgeView> = self.claims.iter().map(edge).collect();
        edges.sort_by(|a, b| (&a.from, a.relation, &a.to).cmp(&(&b.from, b.relation, &b.to)));
        edges
    }

    /// The edges at one entity, the surest `edges_max` of them by names, and how many there are. What contradicts them is
    /// looked for among what is said of the same entities alone.
    pub(crate) fn view_at(
        &self,
        entities: &Symbols,
        names: &Symbols,
        at: Sym,
        edges_max: usize,
    ) -> (Vec<EdgeView>, usize) {
        let mut own: Vec<&Edge> = self.edges(at).iter().collect();
        let known = own.len();
        let order = |edge: &&Edge| (std::cmp::Reverse((edge.confidence * 1e6) as u64), entities.text(edge.other));
        own.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        own.truncate(edges_max);
        let key = |edge: &Edge| match edge.outgoing {
            true => (at, edge.other, edge.relation),
            false => (edge.other, at, edge.relation),
        };
        let froms: BTreeSet<Sym> = own.iter().map(|edge| key(edge).0).collect();
        let of =
            |from: Sym| self.claims.range((from, Sym(0), Relation::ALL[0])..).take_while(move |(key, _)| key.0 == from);
        let said = answers(froms.into_iter().flat_map(of));
        let view = |one: &&Edge| Some(edge(key(one), self.claims.get(&key(one))?, &said, (entities, names)));
        let mut edges: Vec<EdgeView> = own.iter().filter_map(view).collect();
        edges.sort_by(|a, b| (&a.from, a.relation, &a.to).cmp(&(&b.from, b.relation, &b.to)));
        (edges, known)
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
                let name = |edge: &Edge| entities.text(edge.other).to_owned();
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
}

/// One edge with everybody's word about it, `said` being what there is to contradict it.
fn edge(
    (from, to, relation): EdgeKey,
    claims: &[Claim],
    said: &BTreeMap<(Sym, Relation), Answers>,
    (entities, names): (&Symbols, &Symbols),
) -> EdgeView {
    let claim = |claim: &Claim| ClaimView {
        source: names.text(claim.source).to_owned(),
        confidence: claim.worth,
        seen_at: claim.seen_at,
    };
    let mut views: Vec<ClaimView> = claims.iter().map(claim).collect();
    views.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.source.cmp(&b.source)));
    let sources: Vec<Sym> = claims.iter().map(|claim| claim.source).collect();
    let others = said.get(&(from, relation)).map(|said| against(said, &sources)).unwrap_or_default();
    let other = |(source, other): (Sym, Sym)| format!("{}: {}", names.text(source), entities.text(other));
    let mut contradicted_by: Vec<String> = others.into_iter().map(other).collect();
    contradicted_by.sort_unstable();
    let (from, to) = (entities.text(from).to_owned(), entities.text(to).to_owned());
    EdgeView { from, relation, to, claims: views, contradicted_by }
}

/// What each source answers, by the entity and the relation asked about.
fn answers<'c>(claims: impl Iterator<Item = (&'c EdgeKey, &'c Vec<Claim>)>) -> BTreeMap<(Sym, Relation), Answers> {
    let mut said: BTreeMap<(Sym, Relation), Answers> = BTreeMap::new();
    for (&(from, to, relation), claims) in claims {
        if ONE_ANSWER.contains(&relation) {
            let answers = said.entry((from, relation)).or_default();
            claims.iter().for_each(|claim| {
                answers.entry(claim.source).or_default().insert(to);
            });
        }
    }
    said
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
        let host = entities.get("host:a").expect("it is named");
        let shop = entities.get("service:shop").expect("it is named");
        assert_eq!(topology.view_at(&entities, &names, shop, 9), (view.clone(), 5), "one entity sees the same");
        assert_eq!(topology.view_at(&entities, &names, host, 9), (vec![view[2].clone()], 1), "from either end");
        assert_eq!(topology.view_at(&entities, &names, shop, 2).0.len(), 2);
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
