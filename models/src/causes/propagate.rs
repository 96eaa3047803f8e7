//! How trouble spreads over the dependency graph.
//!
//! Each relation carries trouble in one direction more than in the other: a
//! failing callee hurts its callers nearly always, an overloaded caller hurts
//! its callee sometimes. The reach of a cause at an entity is the product of
//! those weights along the best path (max-product Dijkstra), so an entity that
//! never alerts itself (a switch nobody monitors) still carries its part.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::graph::{CauseEdge, Relation};

/// The weight with which trouble crosses one edge, per relation and direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Propagation {
    /// From callee to caller.
    pub calls: f64,
    /// From caller to callee: load, retries.
    pub calls_reverse: f64,
    /// From the host (or node, hypervisor) to what runs on it.
    pub runs_on: f64,
    /// From a process to its host: a noisy neighbour.
    pub runs_on_reverse: f64,
    /// From what is connected *to* (the switch) to what connects (the host).
    pub connects_to: f64,
    /// The other way: cables are sometimes written down from the wrong end.
    pub connects_to_reverse: f64,
    /// From a part to the whole.
    pub part_of: f64,
    /// From the whole to a part.
    pub part_of_reverse: f64,
}

impl Default for Propagation {
    fn default() -> Self {
        Self {
            calls: 0.9,
            calls_reverse: 0.15,
            runs_on: 0.95,
            runs_on_reverse: 0.25,
            connects_to: 0.9,
            connects_to_reverse: 0.3,
            part_of: 0.85,
            part_of_reverse: 0.4,
        }
    }
}

impl Propagation {
    /// Weights `(to hurts from, from hurts to)` of an edge of this relation.
    fn of(&self, relation: Relation) -> (f64, f64) {
        match relation {
            Relation::Calls => (self.calls, self.calls_reverse),
            Relation::RunsOn => (self.runs_on, self.runs_on_reverse),
            Relation::ConnectsTo => (self.connects_to, self.connects_to_reverse),
            Relation::PartOf => (self.part_of_reverse, self.part_of),
            Relation::OwnedBy => (0.0, 0.0),
        }
    }
}

/// Adjacency in the direction in which trouble flows, as compressed rows.
pub struct Flow {
    starts: Vec<u32>,
    targets: Vec<(u32, f64)>,
}

impl Flow {
    /// The flow graph over `nodes` entities; edges that name an entity outside
    /// it are ignored, confidences are clamped to 0..1.
    #[must_use]
    pub fn new(nodes: usize, edges: &[CauseEdge], weights: &Propagation) -> Self {
        let mut arcs: Vec<(u32, u32, f64)> = Vec::with_capacity(edges.len() * 2);
        for edge in edges {
            let inside = (edge.from as usize) < nodes && (edge.to as usize) < nodes;
            if !inside || edge.from == edge.to {
                continue;
            }
            let trust = edge.confidence.clamp(0.0, 1.0);
            let (to_hurts_from, from_hurts_to) = weights.of(edge.relation);
            arcs.push((edge.to, edge.from, to_hurts_from * trust));
            arcs.push((edge.from, edge.to, from_hurts_to * trust));
        }
        arcs.retain(|arc| arc.2 > 0.0);
        arcs.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
        arcs.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
        let mut starts = vec![0_u32; nodes + 1];
        for arc in &arcs {
            starts[arc.0 as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let targets = arcs.iter().map(|arc| (arc.1, arc.2)).collect();
        Self { starts, targets }
    }

    /// What trouble at `node` reaches directly, with the weight of each step.
    #[must_use]
    pub fn out(&self, node: u32) -> &[(u32, f64)] {
        let first = self.starts[node as usize] as usize;
        let last = self.starts[node as usize + 1] as usize;
        &self.targets[first..last]
    }

    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no entities.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One entity reached from a cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// The entity.
    pub node: u32,
    /// Product of the weights along the best path, 0..1.
    pub weight: f64,
    /// Steps of that path.
    pub hops: u8,
}

/// Reusable buffers of [`reach`].
#[derive(Default)]
pub struct ReachScratch {
    best: Vec<f64>,
    heap: BinaryHeap<Front>,
    touched: Vec<u32>,
}

/// Everything that trouble at `start` reaches with a weight of at least
/// `weight_min` in at most `hops_max` steps, `start` itself first with weight 1,
/// then by falling weight; equal weights in order of the entity.
pub fn reach(
    flow: &Flow,
    start: u32,
    hops_max: u8,
    weight_min: f64,
    scratch: &mut ReachScratch,
    out: &mut Vec<Reached>,
) {
    out.clear();
    scratch.best.resize(flow.len(), 0.0);
    scratch.heap.clear();
    scratch.heap.push(Front { weight: 1.0, node: start, hops: 0 });
    scratch.best[start as usize] = 1.0;
    scratch.touched.push(start);
    while let Some(front) = scratch.heap.pop() {
        if front.weight < scratch.best[front.node as usize] {
            continue;
        }
        out.push(Reached { node: front.node, weight: front.weight, hops: front.hops });
        if front.hops == hops_max {
            continue;
        }
        for &(node, step) in flow.out(front.node) {
            let weight = front.weight * step;
            if weight >= weight_min && weight > scratch.best[node as usize] {
                scratch.best[node as usize] = weight;
                scratch.touched.push(node);
                scratch.heap.push(Front { weight, node, hops: front.hops + 1 });
            }
        }
    }
    for node in scratch.touched.drain(..) {
        scratch.best[node as usize] = 0.0;
    }
}

/// A place the search has come to; the heaviest is taken first.
struct Front {
    weight: f64,
    node: u32,
    hops: u8,
}

impl PartialEq for Front {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Front {}

impl PartialOrd for Front {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Front {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight.total_cmp(&other.weight).then(other.node.cmp(&self.node)).then(other.hops.cmp(&self.hops))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: u32, to: u32, relation: Relation) -> CauseEdge {
        CauseEdge { from, to, relation, confidence: 1.0 }
    }

    #[test]
    fn trouble_flows_from_callee_to_caller_through_a_silent_middle() {
        let edges = [edge(0, 1, Relation::Calls), edge(1, 2, Relation::RunsOn)];
        let flow = Flow::new(3, &edges, &Propagation::default());
        let mut out = Vec::new();
        reach(&flow, 2, 4, 0.01, &mut ReachScratch::default(), &mut out);
        let weights: Vec<(u32, f64)> = out.iter().map(|r| (r.node, r.weight)).collect();
        assert_eq!(weights.len(), 3);
        assert_eq!(weights[0], (2, 1.0));
        assert_eq!(weights[1].0, 1);
        assert!((weights[1].1 - 0.95).abs() < 1e-12);
        assert!((weights[2].1 - 0.95 * 0.9).abs() < 1e-12);
    }

    #[test]
    fn ownership_carries_no_trouble_and_bad_edges_are_ignored() {
        let edges = [edge(0, 1, Relation::OwnedBy), edge(0, 9, Relation::Calls), edge(1, 1, Relation::Calls)];
        let flow = Flow::new(2, &edges, &Propagation::default());
        assert!(flow.out(0).is_empty() && flow.out(1).is_empty());
    }

    #[test]
    fn the_best_of_two_paths_counts() {
        let weak = CauseEdge { from: 0, to: 2, relation: Relation::Calls, confidence: 0.1 };
        let edges = [weak, edge(0, 1, Relation::Calls), edge(1, 2, Relation::Calls)];
        let flow = Flow::new(3, &edges, &Propagation::default());
        let mut out = Vec::new();
        reach(&flow, 2, 4, 0.01, &mut ReachScratch::default(), &mut out);
        let at_zero = out.iter().find(|r| r.node == 0).map(|r| (r.weight, r.hops));
        assert_eq!(at_zero, Some((0.81, 2)));
    }
}
