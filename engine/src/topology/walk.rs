//! Walks over the topology: weighted neighbourhoods for grouping, and who is hurt by whom.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use bellwether_models::group::{Begins, Distance};

use super::delays::Delays;
use super::graph::{Edge, Topology};
use crate::signal::Relation;
use crate::symbols::Sym;

/// Entities visited in one walk: a core switch reaches thousands, nobody reads that many.
const VISITED_MAX: usize = 4_096;

/// How far one step of this relation is, before confidence.
fn step_length(relation: Relation) -> Option<f32> {
    match relation {
        Relation::RunsOn => Some(0.6),
        Relation::Calls => Some(0.8),
        Relation::ConnectsTo => Some(0.8),
        Relation::PartOf => Some(1.0),
        // Two services of one team have nothing else in common.
        Relation::OwnedBy => None,
    }
}

/// An entity that a walk came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    /// The entity.
    pub(crate) entity: Sym,
    /// Steps from the start.
    pub(crate) hops: u8,
    /// Product of the confidences on the way.
    pub(crate) confidence: f64,
    /// The relation of the last step.
    pub(crate) relation: Relation,
    /// The entity before it on the way.
    pub(crate) via: Sym,
}

#[derive(Clone, Copy, PartialEq)]
struct Frontier {
    distance: f32,
    entity: Sym,
    turned: bool,
    hops: u8,
}

impl Eq for Frontier {}

impl PartialOrd for Frontier {
    fn partial_cmp(&self, other: &Frontier) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Frontier {
    // The heap is a max-heap: the nearest entity is the greatest.
    fn cmp(&self, other: &Frontier) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.entity.cmp(&self.entity))
    }
}

impl Topology {
    /// Everything hurt when `cause` fails, nearest first: its callers, what runs on it, what
    /// is connected behind it, and what those are part of. `cause` itself is not included.
    pub(crate) fn dependents(&self, cause: Sym, hops_max: u8) -> Vec<Reach> {
        self.breadth_first(cause, hops_max, hurts)
    }

    /// Everything `entity` needs, nearest first.
    pub(crate) fn dependencies(&self, entity: Sym, hops_max: u8) -> Vec<Reach> {
        self.breadth_first(entity, hops_max, |edge| {
            edge.outgoing && edge.relation != Relation::OwnedBy && edge.relation != Relation::PartOf
        })
    }

    /// Where trouble at `entity` may come from, nearest first: what it needs, and its parts with
    /// what they need.
    pub(crate) fn suspects(&self, entity: Sym, hops_max: u8) -> Vec<Reach> {
        self.breadth_first(entity, hops_max, |edge| match edge.relation {
            Relation::Calls | Relation::RunsOn | Relation::ConnectsTo => edge.outgoing,
            Relation::PartOf => !edge.outgoing,
            Relation::OwnedBy => false,
        })
    }

    fn breadth_first(&self, start: Sym, hops_max: u8, follow: impl Fn(&Edge) -> bool) -> Vec<Reach> {
        let mut seen = BTreeSet::from([start]);
        let mut found: Vec<Reach> = Vec::new();
        let mut layer = vec![(start, 1.0)];
        for hops in 1..=hops_max {
            let mut next = Vec::new();
            for (at, confidence) in layer {
                for edge in self.edges(at) {
                    if found.len() >= VISITED_MAX || !follow(edge) {
                        continue;
                    }
                    if !seen.insert(edge.other) {
                        continue;
                    }
                    let confidence = confidence * edge.confidence;
                    found.push(Reach { entity: edge.other, hops, confidence, relation: edge.relation, via: at });
                    next.push((edge.other, confidence));
                }
            }
            if next.is_empty() {
                break;
            }
            layer = next;
        }
        found
    }
}

/// Whether trouble crosses `edge` from this end to the other. A cable carries it from what is
/// connected *to* (the switch) to what connects (the host), never from host to host.
fn hurts(edge: &Edge) -> bool {
    match edge.relation {
        Relation::Calls | Relation::RunsOn | Relation::ConnectsTo => !edge.outgoing,
        Relation::PartOf => edge.outgoing,
        Relation::OwnedBy => false,
    }
}

/// The topology as the grouper asks for it, with the delays learned along its edges.
pub(crate) struct GroupDistance<'a> {
    topology: &'a Topology,
    delays: &'a Delays,
    hub_scale: f64,
}

/// Neighbours from which an entity is a hub: a service with more is called by half the estate.
const HUB_NEIGHBOURS: f64 = 8.0;

/// Steps over which one condition may be why there is another.
const CONDITION_HOPS: u8 = 4;

/// Steps over which demand goes.
const DEMAND_HOPS: u8 = 3;

impl<'a> GroupDistance<'a> {
    /// `hub_scale` lengthens ways through entities with many neighbours; 0 for not at all.
    pub(crate) fn new(topology: &'a Topology, delays: &'a Delays, hub_scale: f64) -> GroupDistance<'a> {
        GroupDistance { topology, delays, hub_scale }
    }

    /// What it costs to pass through an entity with so many neighbours.
    fn passage(&self, neighbours: usize) -> f32 {
        (self.hub_scale * (neighbours as f64 / HUB_NEIGHBOURS).ln().max(0.0)) as f32
    }
}

impl Distance for GroupDistance<'_> {
    /// Ways go towards what an entity needs first, and then towards what needs that: two entities
    /// on such a way may share a cause. A way down and up again leads over a shared victim, which
    /// two faults may have as well as one.
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
        // By entity and whether the way has turned.
        let mut best: BTreeMap<(Sym, bool), f32> = BTreeMap::from([((Sym(entity), false), 0.0)]);
        let mut told: BTreeSet<Sym> = BTreeSet::from([Sym(entity)]);
        let first = Frontier { distance: 0.0, entity: Sym(entity), turned: false, hops: 0 };
        let mut heap = BinaryHeap::from([first]);
        while let Some(at) = heap.pop() {
            if at.distance > best[&(at.entity, at.turned)] {
                continue;
            }
            if told.insert(at.entity) {
                out.push((at.entity.0, at.distance));
                if out.len() >= VISITED_MAX {
                    return;
                }
            }
            if at.hops == hops_max {
                continue;
            }
            let edges = self.topology.edges(at.entity);
            let passage = if at.hops == 0 { 0.0 } else { self.passage(edges.len()) };
            for edge in edges {
                let Some(length) = step_length(edge.relation) else {
                    continue;
                };
                let down = hurts(edge);
                if at.turned && !down {
                    continue;
                }
                let distance = at.distance + passage + length / edge.confidence.max(0.05) as f32;
                let known = best.entry((edge.other, down)).or_insert(f32::INFINITY);
                if distance < *known {
                    *known = distance;
                    heap.push(Frontier { distance, entity: edge.other, turned: down, hops: at.hops + 1 });
                }
            }
        }
    }

    fn knows(&self, entity: u32) -> bool {
        self.topology.knows(Sym(entity))
    }

    fn part(&self, entity: u32) -> Option<u64> {
        self.topology.part(Sym(entity))
    }

    fn delay_s(&self, a: u32, b: u32) -> Option<f64> {
        self.delays.between(Sym(a), Sym(b), self.topology).map(|delay| delay.p90_s)
    }

    /// A condition passes from what something stands on, hangs on or consists of. What is called passes slow answers
    /// on, which strain who waits and flaw nobody. Demand goes where it is sent.
    fn brings(&self, (from, what): (u32, Begins), (to, then): (u32, Begins)) -> bool {
        let (from, to) = (Sym(from), Sym(to));
        let reaches = |found: Vec<Reach>, sought: Sym| found.iter().any(|reach| reach.entity == sought);
        let carries = |edge: &Edge| match edge.relation {
            Relation::RunsOn | Relation::ConnectsTo => edge.outgoing,
            Relation::PartOf => true,
            Relation::Calls => edge.outgoing && then == Begins::Strain,
            Relation::OwnedBy => false,
        };
        reaches(self.topology.breadth_first(to, CONDITION_HOPS, carries), from)
            || (what == Begins::Demand && reaches(self.topology.dependencies(from, DEMAND_HOPS), to))
    }

    fn exists(&self) -> bool {
        self.topology.carries_trouble()
    }

    fn epoch(&self) -> u64 {
        self.topology.epoch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitsConfig;
    use crate::time::EventTime;

    /// web calls db, db runs on host, host and printer connect to switch.
    fn estate() -> (Topology, [Sym; 5]) {
        let [web, db, host, switch, printer] = [Sym(0), Sym(1), Sym(2), Sym(3), Sym(4)];
        let mut topology = Topology::default();
        for (from, to, relation) in [
            (web, db, Relation::Calls),
            (db, host, Relation::RunsOn),
            (host, switch, Relation::ConnectsTo),
            (printer, switch, Relation::ConnectsTo),
        ] {
            let limits = LimitsConfig::default();
            topology.claim(from, to, relation, Sym(9), 1.0, EventTime::MIN, &limits);
        }
        (topology, [web, db, host, switch, printer])
    }

    #[test]
    fn a_switch_hurts_everything_behind_it_and_a_host_hurts_no_neighbour() {
        let (topology, [web, db, host, switch, printer]) = estate();
        let mut hurt: Vec<Sym> = topology.dependents(switch, 5).iter().map(|r| r.entity).collect();
        hurt.sort();
        assert_eq!(hurt, vec![web, db, host, printer]);
        let hurt: Vec<Sym> = topology.dependents(host, 5).iter().map(|r| r.entity).collect();
        assert_eq!(hurt, vec![db, web]);
    }

    #[test]
    fn a_way_through_a_hub_is_longer_and_a_way_to_it_is_not() {
        let (mut topology, [_, _, host, switch, printer]) = estate();
        for leaf in 100..200 {
            let limits = LimitsConfig::default();
            topology.claim(Sym(leaf), switch, Relation::ConnectsTo, Sym(9), 1.0, EventTime::MIN, &limits);
        }
        let delays = Delays::default();
        let far = |hub_scale, to: Sym| {
            let mut near = Vec::new();
            GroupDistance::new(&topology, &delays, hub_scale).within(host.0, 3, &mut near);
            near.iter().find(|(entity, _)| *entity == to.0).map(|(_, far)| *far)
        };
        assert_eq!(far(0.0, switch), far(1.0, switch));
        assert!(far(1.0, printer) > far(0.0, printer).map(|near| near + 2.0));
    }

    #[test]
    fn silent_entities_do_not_break_the_chain() {
        let (topology, [web, _, _, switch, _]) = estate();
        let mut near = Vec::new();
        GroupDistance::new(&topology, &Delays::default(), 0.0).within(web.0, 3, &mut near);
        assert!(near.iter().any(|(entity, _)| *entity == switch.0), "{near:?}");
    }
}
