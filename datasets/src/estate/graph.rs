//! The estate's edges by their ends, for walking along them.

use bellwether_engine::signal::Relation;

use super::Estate;

/// One step along an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Where it leads.
    pub entity: usize,
    /// What kind of edge it is.
    pub relation: Relation,
    /// Index into [`Estate::edges`].
    pub edge: usize,
}

/// Adjacency lists of an estate; index them by entity.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Edges by their `from`: what the entity depends on or is part of.
    pub out: Vec<Vec<Link>>,
    /// Edges by their `to`: what depends on the entity or is part of it.
    pub into: Vec<Vec<Link>>,
}

impl Graph {
    /// The adjacency lists of `estate`, in the order of its edges.
    pub fn of(estate: &Estate) -> Graph {
        let mut graph =
            Graph { out: vec![Vec::new(); estate.entities.len()], into: vec![Vec::new(); estate.entities.len()] };
        for (index, edge) in estate.edges.iter().enumerate() {
            let link = |entity| Link { entity, relation: edge.relation, edge: index };
            graph.out[edge.from].push(link(edge.to));
            graph.into[edge.to].push(link(edge.from));
        }
        graph
    }

    /// What feels it when `entity` is ill: its callers, what runs on it or hangs off it, and
    /// the wholes it is a part of.
    pub fn dependents(&self, entity: usize) -> impl Iterator<Item = Link> + '_ {
        let callers = self.into[entity]
            .iter()
            .filter(|l| matches!(l.relation, Relation::Calls | Relation::RunsOn | Relation::ConnectsTo));
        let wholes = self.out[entity].iter().filter(|l| l.relation == Relation::PartOf);
        callers.chain(wholes).copied()
    }

    /// How many edges of `relation` leave `entity`: its redundancy for that relation.
    pub fn fan_out(&self, entity: usize, relation: Relation) -> usize {
        self.out[entity].iter().filter(|l| l.relation == relation).count()
    }

    /// How many edges of `relation` enter `entity`: how many parts a whole has.
    pub fn fan_in(&self, entity: usize, relation: Relation) -> usize {
        self.into[entity].iter().filter(|l| l.relation == relation).count()
    }
}
