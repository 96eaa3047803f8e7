//! The estate of one tenant: every entity and rule by its one name, who depends on whom, the catalogue.

use serde::{Deserialize, Serialize};

use super::graph::Topology;
use super::lookup::Lookup;
use super::view::{EdgeView, NearEdge};
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};

/// What exists.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Estate {
    /// Names of rules and sources.
    pub(crate) names: Symbols,
    pub(crate) entities: Symbols,
    pub(crate) topology: Topology,
    pub(crate) lookup: Lookup,
}

impl Estate {
    /// Room for `entities_max` entities, and for as many names.
    pub(crate) fn new(entities_max: usize) -> Estate {
        Estate {
            names: Symbols::new(entities_max),
            entities: Symbols::new(entities_max),
            topology: Topology::default(),
            lookup: Lookup::default(),
        }
    }

    /// The symbol of an entity under its one name.
    pub(crate) fn resolve(&mut self, id: &str) -> Sym {
        match self.lookup.aliases.get(id) {
            Some(name) => self.entities.intern(name),
            None => self.entities.intern(id),
        }
    }

    /// The one name of an entity that is known by another; `None` when it bears its one name.
    pub(crate) fn renamed(&mut self, entity: Sym) -> Option<Sym> {
        if self.lookup.aliases.is_empty() {
            return None;
        }
        let name = self.lookup.aliases.get(self.entities.text(entity))?;
        Some(self.entities.intern(name))
    }

    /// Whether anybody has told of this edge, by whatever names.
    pub(super) fn knows_edge(&self, from: &str, to: &str, relation: Relation) -> bool {
        let named = |id: &str| self.entities.get(self.lookup.aliases.get(id).map_or(id, String::as_str));
        let ends = named(from).zip(named(to));
        ends.is_some_and(|(from, to)| self.topology.has((from, to, relation)))
    }

    /// Every edge with everybody's word about it.
    pub(crate) fn view(&self) -> Vec<EdgeView> {
        self.topology.view(&self.entities, &self.names)
    }

    /// What is near some entities, see [`Topology::near`].
    pub(crate) fn near(&self, around: &[&str], hops: u8, edges_max: usize) -> Vec<NearEdge> {
        self.topology.near(&self.entities, around, hops, edges_max)
    }
}
