//! The blast radius: who is hurt now, who will be next, which customers that means.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::{CatalogueItem, Criticality};
use crate::entity::split_entity;
use crate::symbols::{Sym, Symbols};
use crate::topology::Topology;

/// Whom one cause hurts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Blast {
    /// Alerting entities and everything that depends on the cause, by name.
    pub(crate) affected: BTreeMap<String, Affected>,
    /// Customers and user groups of the affected, by name.
    pub(crate) customers: BTreeSet<String>,
    /// Those of them who use what alerts now.
    pub(crate) customers_now: BTreeSet<String>,
    /// The most critical of the affected items of the catalogue.
    pub(crate) criticality: Option<Criticality>,
}

/// How one entity is hurt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affected {
    /// It alerts now; otherwise it will be next.
    pub(crate) alerting: bool,
    /// Steps from the cause; 0 for the cause itself, `u8::MAX` when no way is known.
    pub(crate) hops: u8,
}

impl Blast {
    /// How many alert now.
    pub(crate) fn alerting(&self) -> usize {
        self.affected.values().filter(|a| a.alerting).count()
    }

    /// The affected entities of one type, by name.
    pub(crate) fn of_type<'a>(&'a self, entity_type: &'a str) -> impl Iterator<Item = &'a str> {
        self.affected
            .keys()
            .map(|id| split_entity(id))
            .filter(move |(kind, _)| *kind == entity_type)
            .map(|(_, name)| name)
    }

    /// Those of one type that alert now, by name.
    pub(crate) fn alerting_of_type(&self, entity_type: &str) -> Vec<&str> {
        let alerting = self.affected.iter().filter(|(_, affected)| affected.alerting);
        let split = alerting.map(|(id, _)| split_entity(id));
        split.filter(|(kind, _)| *kind == entity_type).map(|(_, name)| name).collect()
    }
}

/// Below this product of confidences an edge chain predicts nothing.
const CONFIDENCE_MIN: f64 = 0.3;

/// The blast radius of `cause`, given the entities that alert.
pub(crate) fn blast_radius(
    cause: Option<Sym>,
    alerting: &[Sym],
    topology: &Topology,
    entities: &Symbols,
    items: &BTreeMap<String, CatalogueItem>,
    hops_max: u8,
) -> Blast {
    let mut blast = Blast::default();
    if let Some(cause) = cause {
        blast
            .affected
            .insert(entities.text(cause).to_owned(), Affected { alerting: alerting.contains(&cause), hops: 0 });
        for reach in topology.dependents(cause, hops_max) {
            if reach.confidence >= CONFIDENCE_MIN {
                let affected = Affected { alerting: false, hops: reach.hops };
                blast.affected.insert(entities.text(reach.entity).to_owned(), affected);
            }
        }
    }
    for entity in alerting {
        blast
            .affected
            .entry(entities.text(*entity).to_owned())
            .or_insert(Affected { alerting: true, hops: u8::MAX })
            .alerting = true;
    }
    for (id, affected) in &blast.affected {
        if let Some(item) = items.get(id) {
            blast.customers.extend(item.customers.iter().cloned());
            if affected.alerting {
                blast.customers_now.extend(item.customers.iter().cloned());
            }
            blast.criticality = blast.criticality.max(Some(item.criticality));
        }
    }
    blast
}
