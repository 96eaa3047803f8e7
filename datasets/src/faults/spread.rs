//! How an illness travels: from the item struck, along the true edges, with delays.
//!
//! A walk in order of time. Each edge passes on a part of the strength after a delay, both
//! drawn once per edge and fault. What has several ways out (a service of four pods, a host on
//! two switches) feels each by its share, and the shares add up. What feels less than
//! [`FELT_MIN`] feels nothing and passes nothing on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::{FaultSpec, Manner, Symptom, becomes, plus, times};
use crate::estate::{Estate, Graph, Kind, Link, Metric};
use crate::rng::{mix, text, unit};

/// Below this strength nothing is felt.
pub(crate) const FELT_MIN: f64 = 0.15;

/// Above this strength an unreachable item no longer answers a ping.
const DARK_MIN: f64 = 0.7;

/// A link fills and drops packets this much after the requests began to rise.
const LINK_FILLS_SECS: f64 = 90.0;

/// How far load goes on from the item struck: its callees and theirs.
const LOAD_HOPS_MAX: usize = 2;

/// One item that feels a fault.
#[derive(Clone, PartialEq, Debug)]
pub struct Touch {
    /// Index of the item.
    pub entity: usize,
    /// How strongly, 0–1; the item struck itself has the fault's strength.
    pub strength: f64,
    /// How long after the fault's first trace.
    pub delay: Span,
    /// The neighbour through which it came; `None` for the item struck.
    pub via: Option<usize>,
    /// What is seen of it.
    pub symptoms: Vec<Symptom>,
    /// False for what is well and only looks ill to a blind monitor.
    pub ill: bool,
}

/// What a fault does to an estate.
#[derive(Clone, Copy, Debug)]
pub struct Strike<'a> {
    /// What kind.
    pub spec: &'a FaultSpec,
    /// Whom it strikes.
    pub root: usize,
    /// How hard, 0–1.
    pub strength: f64,
    /// Seed of this fault.
    pub seed: u64,
    /// Share of calls that can do without an answer, 0–1.
    pub tolerant: f64,
}

/// Everything that feels the fault, in order of time; the item struck comes first.
pub fn spread(estate: &Estate, graph: &Graph, strike: &Strike<'_>) -> Vec<Touch> {
    let mut touches = vec![Touch {
        entity: strike.root,
        strength: strike.strength,
        delay: Span::ZERO,
        via: None,
        symptoms: scaled(strike.spec.symptoms, strike.strength),
        ill: true,
    }];
    match strike.spec.manner {
        Manner::Blind => blind(estate, strike, &mut touches),
        Manner::Load => {
            load(estate, graph, strike, &mut touches);
            upward(estate, graph, strike, Manner::Slow, &mut touches);
        }
        manner => upward(estate, graph, strike, manner, &mut touches),
    }
    touches.sort_by_key(|t| (t.delay, t.entity));
    touches
}

/// Symptoms at `strength` of their full size.
fn scaled(symptoms: &[Symptom], strength: f64) -> Vec<Symptom> {
    symptoms
        .iter()
        .map(|s| Symptom { metric: s.metric, times: 1.0 + (s.times - 1.0) * strength, plus: s.plus * strength })
        .collect()
}

/// What an item is about to feel.
#[derive(Clone, Copy)]
struct Felt {
    /// The strongest single way.
    best: f64,
    /// The sum of shared ways.
    shared: f64,
    via: usize,
    manner: Manner,
}

impl Felt {
    fn strength(&self) -> f64 {
        self.best.max(self.shared).min(1.0)
    }
}

fn upward(estate: &Estate, graph: &Graph, strike: &Strike<'_>, manner: Manner, touches: &mut Vec<Touch>) {
    let mut felt: BTreeMap<usize, Felt> = BTreeMap::new();
    let mut settled: BTreeMap<usize, ()> = touches.iter().map(|t| (t.entity, ())).collect();
    let mut queue = BinaryHeap::new();
    let first = Felt { best: strike.strength * strike.spec.weight, shared: 0.0, via: strike.root, manner };
    pass_on(graph, strike, strike.root, 0, first, &mut felt, &mut queue);
    while let Some(Reverse((delay_ns, entity))) = queue.pop() {
        if settled.insert(entity, ()).is_some() {
            continue;
        }
        let here = felt[&entity];
        touches.push(Touch {
            entity,
            strength: here.strength(),
            delay: Span(delay_ns),
            via: Some(here.via),
            symptoms: inherited(estate.entities[entity].kind, here.manner, here.strength()),
            ill: true,
        });
        pass_on(graph, strike, entity, delay_ns, here, &mut felt, &mut queue);
    }
}

fn pass_on(
    graph: &Graph,
    strike: &Strike<'_>,
    entity: usize,
    delay_ns: i64,
    here: Felt,
    felt: &mut BTreeMap<usize, Felt>,
    queue: &mut BinaryHeap<Reverse<(i64, usize)>>,
) {
    for link in graph.dependents(entity) {
        let bits = mix(strike.seed, link.edge as u64);
        let part = here.strength() * carried(link.relation, strike.tolerant, bits);
        let ways = match link.relation {
            Relation::PartOf => graph.fan_in(link.entity, Relation::PartOf),
            Relation::ConnectsTo => graph.fan_out(link.entity, Relation::ConnectsTo),
            _ => 1,
        };
        let there = felt.entry(link.entity).or_insert(Felt {
            best: 0.0,
            shared: 0.0,
            via: entity,
            manner: across(link.relation, here.manner),
        });
        if ways > 1 {
            there.shared += part / ways as f64;
        } else {
            there.best = there.best.max(part);
        }
        if there.strength() >= FELT_MIN {
            queue.push(Reverse((delay_ns + delay_of(&link, bits).0, link.entity)));
        }
    }
}

/// The part of the strength an edge passes on.
fn carried(relation: Relation, tolerant: f64, bits: u64) -> f64 {
    match relation {
        Relation::Calls if unit(mix(bits, 1)) < tolerant => 0.1,
        Relation::Calls => 0.72 + 0.2 * unit(mix(bits, 2)),
        Relation::RunsOn | Relation::ConnectsTo => 0.95,
        Relation::PartOf => 1.0,
        Relation::OwnedBy => 0.0,
    }
}

/// How long an edge of this kind takes: callers notice when their timeouts and queues fill,
/// what hangs off a dead switch notices at once.
fn delay_of(link: &Link, bits: u64) -> Span {
    let (low, high) = match link.relation {
        Relation::Calls => (5.0, 40.0),
        Relation::RunsOn => (1.0, 6.0),
        Relation::ConnectsTo => (0.2, 3.0),
        Relation::PartOf => (8.0, 25.0),
        Relation::OwnedBy => (0.0, 0.0),
    };
    Span::from_secs(1).times((low + (high - low) * unit(mix(bits, 3))) as i64 + 1)
}

/// A dead or lossy path is, one call further, a failing or a slow answer.
fn across(relation: Relation, manner: Manner) -> Manner {
    match (relation, manner) {
        (Relation::Calls | Relation::PartOf, Manner::Dark) => Manner::Fail,
        (Relation::Calls | Relation::PartOf, Manner::Lossy) => Manner::Slow,
        (_, manner) => manner,
    }
}

/// What is seen of an item of `kind` that feels an illness of `manner` at strength `m`.
fn inherited(kind: Kind, manner: Manner, m: f64) -> Vec<Symptom> {
    match manner {
        Manner::Slow | Manner::Load => slow(kind, m),
        Manner::Lossy => lossy(kind, m),
        Manner::Fail => fail(kind, m),
        Manner::Dark if m >= DARK_MIN => dark(kind, m),
        Manner::Dark => fail(kind, m),
        Manner::Blind => vec![becomes(Metric::Scraped, 0.0)],
    }
}

fn slow(kind: Kind, m: f64) -> Vec<Symptom> {
    let late = times(Metric::Latency, 1.0 + 9.0 * m);
    match kind {
        Kind::Service => vec![
            late,
            plus(Metric::Errors, 0.16 * (m - 0.3).max(0.0)),
            plus(Metric::Pool, 0.6 * m),
            plus(Metric::LogErrors, 30.0 * m),
        ],
        Kind::Database => vec![late, plus(Metric::Pool, 0.5 * m), plus(Metric::LogErrors, 15.0 * m)],
        Kind::Queue => vec![late, times(Metric::Backlog, 1.0 + 30.0 * m)],
        Kind::Pod => vec![plus(Metric::Cpu, 0.3 * m)],
        Kind::Cell | Kind::Line => vec![times(Metric::Traffic, 1.0 - 0.5 * m)],
        Kind::Business | Kind::External => {
            vec![late, plus(Metric::Errors, 0.1 * (m - 0.3).max(0.0))]
        }
        Kind::Cache | Kind::Scada | Kind::Plc => vec![late],
        _ => Vec::new(),
    }
}

fn lossy(kind: Kind, m: f64) -> Vec<Symptom> {
    match kind {
        Kind::Host => vec![plus(Metric::Loss, 0.1 * m)],
        Kind::Switch | Kind::Router | Kind::Firewall => {
            vec![plus(Metric::Loss, 0.08 * m), plus(Metric::LogErrors, 15.0 * m)]
        }
        Kind::Pod => Vec::new(),
        _ => slow(kind, m),
    }
}

fn fail(kind: Kind, m: f64) -> Vec<Symptom> {
    match kind {
        Kind::Service | Kind::Database | Kind::Scada => vec![
            plus(Metric::Errors, 0.6 * m),
            times(Metric::Latency, 1.0 + 2.0 * m),
            plus(Metric::LogErrors, 60.0 * m),
        ],
        Kind::Business | Kind::External => vec![plus(Metric::Errors, 0.6 * m), times(Metric::Latency, 1.0 + 2.0 * m)],
        Kind::Queue => vec![times(Metric::Backlog, 1.0 + 40.0 * m)],
        Kind::Pod => vec![times(Metric::Cpu, 1.0 - 0.6 * m)],
        Kind::Cell | Kind::Line => vec![times(Metric::Traffic, 1.0 - m)],
        _ => Vec::new(),
    }
}

fn dark(kind: Kind, m: f64) -> Vec<Symptom> {
    match kind {
        Kind::Host | Kind::Pod => vec![becomes(Metric::Up, 0.0), becomes(Metric::Scraped, 0.0)],
        Kind::Switch | Kind::Router | Kind::Firewall | Kind::Plc | Kind::Monitor => {
            vec![becomes(Metric::Up, 0.0)]
        }
        Kind::Scada => {
            vec![becomes(Metric::Up, 0.0), plus(Metric::Errors, 0.9 * m), plus(Metric::LogErrors, 60.0 * m)]
        }
        _ => fail(kind, m),
    }
}

/// Load goes on to what is called, to the pods that carry it and to the link it comes in by.
fn load(estate: &Estate, graph: &Graph, strike: &Strike<'_>, touches: &mut Vec<Touch>) {
    let mut ring = vec![(strike.root, strike.strength, 0i64)];
    for _ in 0..=LOAD_HOPS_MAX {
        let mut next = Vec::new();
        for (entity, strength, delay_ns) in ring {
            let below =
                graph.out[entity].iter().filter(|l| matches!(l.relation, Relation::Calls | Relation::ConnectsTo));
            let pods = graph.into[entity].iter().filter(|l| l.relation == Relation::PartOf);
            for link in below.chain(pods) {
                if touches.iter().any(|t| t.entity == link.entity) {
                    continue;
                }
                let bits = mix(strike.seed, link.edge as u64);
                let part = strength * (0.55 + 0.25 * unit(mix(bits, 4)));
                if part < FELT_MIN {
                    continue;
                }
                let fills = if link.relation == Relation::ConnectsTo { LINK_FILLS_SECS } else { 0.0 };
                let delay = delay_ns + Span::from_secs((5.0 + fills + 20.0 * unit(mix(bits, 5))) as i64).0;
                touches.push(Touch {
                    entity: link.entity,
                    strength: part,
                    delay: Span(delay),
                    via: Some(entity),
                    symptoms: loaded(estate.entities[link.entity].kind, part),
                    ill: true,
                });
                next.push((link.entity, part, delay));
            }
        }
        ring = next;
    }
}

/// What is seen of an item that must carry more than usual: caches and limits in front of it
/// keep part of the crowd away.
fn loaded(kind: Kind, m: f64) -> Vec<Symptom> {
    let more = times(Metric::Traffic, 1.0 + 1.5 * m);
    match kind {
        Kind::Pod => vec![plus(Metric::Cpu, 0.85 * m)],
        Kind::Service => vec![more, times(Metric::Latency, 1.0 + 1.5 * m), plus(Metric::Pool, 0.35 * m)],
        Kind::Database => vec![more, times(Metric::Latency, 1.0 + 1.5 * m), plus(Metric::Pool, 0.35 * m)],
        Kind::Queue => vec![more, times(Metric::Backlog, 1.0 + 20.0 * m)],
        Kind::Switch | Kind::Router | Kind::Firewall => {
            vec![plus(Metric::LinkUse, 0.9 * m), plus(Metric::Loss, 0.06 * m)]
        }
        _ => vec![more],
    }
}

/// A monitor that no longer sees takes most of what it watches for dead.
fn blind(estate: &Estate, strike: &Strike<'_>, touches: &mut Vec<Touch>) {
    let tenant = estate.entities[strike.root].tenant;
    for (index, entity) in estate.entities.iter().enumerate() {
        let watched = matches!(entity.kind, Kind::Host | Kind::Pod);
        let bits = mix(strike.seed, text(&entity.id));
        if entity.tenant != tenant || !watched || unit(bits) > 0.7 * strike.strength {
            continue;
        }
        touches.push(Touch {
            entity: index,
            strength: strike.strength,
            delay: Span::from_secs((40.0 * unit(mix(bits, 1))) as i64),
            via: Some(strike.root),
            symptoms: inherited(entity.kind, Manner::Blind, 1.0),
            ill: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultKind;

    /// web -> api -> db, db on a host, the host on one of two switches.
    fn estate() -> (Estate, [usize; 6]) {
        let mut estate = Estate::default();
        let tenant = estate.add_tenant("t");
        let web = estate.add(tenant, Kind::Service, "web");
        let api = estate.add(tenant, Kind::Service, "api");
        let db = estate.add(tenant, Kind::Database, "db");
        let host = estate.add(tenant, Kind::Host, "h");
        let left = estate.add(tenant, Kind::Switch, "left");
        let right = estate.add(tenant, Kind::Switch, "right");
        estate.link(web, Relation::Calls, api);
        estate.link(api, Relation::Calls, db);
        estate.link(db, Relation::RunsOn, host);
        estate.link(host, Relation::ConnectsTo, left);
        (estate, [web, api, db, host, left, right])
    }

    fn touched(estate: &Estate, kind: FaultKind, root: usize) -> Vec<Touch> {
        let strike = Strike { spec: kind.spec(), root, strength: 1.0, seed: 3, tolerant: 0.0 };
        spread(estate, &Graph::of(estate), &strike)
    }

    #[test]
    fn an_illness_climbs_to_its_dependents_and_weakens() {
        let (estate, [web, api, db, host, ..]) = estate();
        let touches = touched(&estate, FaultKind::SlowDisk, host);
        let order: Vec<usize> = touches.iter().map(|t| t.entity).collect();
        assert_eq!(order, vec![host, db, api, web]);
        assert!(touches.windows(2).all(|w| w[0].delay < w[1].delay && w[0].strength > w[1].strength));
    }

    #[test]
    fn what_is_below_feels_nothing() {
        let (estate, [_, api, db, ..]) = estate();
        let touches = touched(&estate, FaultKind::BadDeploy, api);
        assert!(touches.iter().all(|t| t.entity != db));
    }

    #[test]
    fn a_second_switch_halves_the_loss() {
        let (mut estate, [_, _, _, host, left, right]) = estate();
        let alone = touched(&estate, FaultKind::PacketLoss, left);
        estate.link(host, Relation::ConnectsTo, right);
        let shared = touched(&estate, FaultKind::PacketLoss, left);
        let at_host = |touches: &[Touch]| touches.iter().find(|t| t.entity == host).map(|t| t.strength);
        let (alone, shared) = (at_host(&alone).expect("felt"), at_host(&shared).expect("felt"));
        assert!((shared - alone / 2.0).abs() < 1e-9, "{alone} {shared}");
    }

    #[test]
    fn load_goes_down_and_slowness_up() {
        let (estate, [web, api, db, ..]) = estate();
        let touches = touched(&estate, FaultKind::TrafficSpike, api);
        let of = |entity| touches.iter().find(|t| t.entity == entity).expect("felt");
        assert!(of(db).symptoms.iter().any(|s| s.metric == Metric::Traffic && s.times > 1.5));
        assert!(of(web).symptoms.iter().all(|s| s.metric != Metric::Traffic));
    }

    #[test]
    fn the_same_seed_spreads_the_same() {
        let (estate, [.., left, _]) = estate();
        assert_eq!(touched(&estate, FaultKind::SwitchDown, left), touched(&estate, FaultKind::SwitchDown, left));
    }
}
