//! `topology`: learns who depends on whom, from edges and the catalogue, and lets old words fade.

use super::estate::Estate;
use super::graph::EDGE_BYTES;
use super::lookup::Lookup;
use crate::catalogue::Catalogue;
use crate::event::{Event, OwnedEdge};
use crate::limits::LimitsConfig;
use crate::signal::Relation;
use crate::tables::Tables;
use crate::time::EventTime;
use crate::turn::{Item, Turn};

/// Source of the edges that a catalogue states.
const CATALOGUE_SOURCE: &str = "catalogue";

/// Takes what is about the estate.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let (estate, room) = (&mut tables.estate, &mut tables.room.edges);
    let config = &turn.compiled.config;
    match item {
        Item::Event(Event::Edge(edge)) => learn_if_there_is_room(estate, &edge, turn.now, &config.limits, room),
        Item::Event(Event::Catalogue(catalogue)) => {
            learn_catalogue(estate, &catalogue, turn.now, &config.limits);
            return Some(Item::NewCatalogue);
        }
        Item::AgeEdges => estate.topology.age(turn.now, config.correlate.edge_life),
        Item::Settings => {
            estate.names.set_capacity(config.limits.entities_max);
            estate.entities.set_capacity(config.limits.entities_max);
            return Some(Item::Settings);
        }
        other => return Some(other),
    }
    None
}

fn learn_catalogue(estate: &mut Estate, catalogue: &Catalogue, now: EventTime, limits: &LimitsConfig) {
    estate.lookup = Lookup::of(catalogue);
    for edge in &catalogue.topology {
        let edge = OwnedEdge {
            from: edge.from.as_str().into(),
            to: edge.to.as_str().into(),
            relation: edge.relation,
            source: CATALOGUE_SOURCE.into(),
            confidence: edge.confidence,
        };
        learn_edge(estate, &edge, now, limits);
    }
    for item in catalogue.services.iter().filter(|item| !item.owner.is_empty()) {
        let edge = OwnedEdge {
            from: item.entity.as_str().into(),
            to: format!("team:{}", item.owner).into(),
            relation: Relation::OwnedBy,
            source: CATALOGUE_SOURCE.into(),
            confidence: 1.0,
        };
        learn_edge(estate, &edge, now, limits);
    }
    // It replaces the one before.
    let source = estate.names.intern(CATALOGUE_SOURCE);
    estate.topology.take_back(source, now);
}

/// Learns an edge of a sender's. Where there is no room, one that is not known is refused with its names.
fn learn_if_there_is_room(
    estate: &mut Estate,
    edge: &OwnedEdge,
    now: EventTime,
    limits: &LimitsConfig,
    room: &mut usize,
) {
    let before = estate.topology.len();
    if *room < EDGE_BYTES && !estate.knows_edge(&edge.from, &edge.to, edge.relation) {
        estate.topology.refuse();
        return;
    }
    learn_edge(estate, edge, now, limits);
    if estate.topology.len() > before {
        *room = room.saturating_sub(EDGE_BYTES + edge.from.len() + edge.to.len());
    }
}

fn learn_edge(estate: &mut Estate, edge: &OwnedEdge, now: EventTime, limits: &LimitsConfig) {
    let from = estate.resolve(&edge.from);
    let to = estate.resolve(&edge.to);
    let source = estate.names.intern(&edge.source);
    estate.topology.claim(from, to, edge.relation, source, edge.confidence, now, limits);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::{CatalogueEdge, CatalogueItem};
    use crate::testing::Bench;

    fn edge(to: &str, confidence: f64) -> Item {
        let (from, to, source) = ("service:shop".into(), to.into(), "cmdb".into());
        Item::Event(Event::Edge(Box::new(OwnedEdge { from, to, relation: Relation::Calls, source, confidence })))
    }

    fn catalogue(topology: &[(&str, &str)], aliases: &[&str]) -> Item {
        let topology = topology.iter().map(|(from, to)| CatalogueEdge {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            relation: Relation::Calls,
            confidence: 0.9,
        });
        let item = CatalogueItem {
            entity: "service:shop".to_owned(),
            owner: "web".to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            ..CatalogueItem::default()
        };
        let catalogue = Catalogue { services: vec![item], topology: topology.collect(), ..Catalogue::default() };
        Item::Event(Event::Catalogue(Arc::new(catalogue)))
    }

    #[test]
    fn an_edge_is_learned_and_its_word_taken_back() {
        let mut bench = Bench::new();
        assert!(bench.take(take, 1, edge("service:pay", 0.9)).nothing());
        assert_eq!(bench.tables.estate.topology.len(), 1);
        bench.take(take, 2, edge("service:pay", 0.0));
        assert_eq!(bench.tables.estate.topology.len(), 0);
    }

    #[test]
    fn a_catalogue_replaces_the_edges_of_the_one_before_and_goes_on_as_news() {
        let mut bench = Bench::new();
        let done = bench.take(take, 1, catalogue(&[("service:shop", "service:pay"), ("service:pay", "db:a")], &[]));
        assert!(matches!(done.next, Some(Item::NewCatalogue)));
        assert_eq!(bench.tables.estate.topology.len(), 3, "two edges and an owner");
        bench.take(take, 2, catalogue(&[("service:shop", "service:pay")], &[]));
        assert_eq!(bench.tables.estate.topology.len(), 2);
    }

    #[test]
    fn an_edge_of_another_name_is_one_of_the_entity_itself() {
        let mut bench = Bench::new();
        bench.take(take, 1, catalogue(&[], &["service:webshop"]));
        let (from, to, source) = ("service:webshop".into(), "db:a".into(), "cmdb".into());
        let relation = Relation::Calls;
        bench.take(
            take,
            2,
            Item::Event(Event::Edge(Box::new(OwnedEdge { from, to, relation, source, confidence: 1.0 }))),
        );
        let estate = &bench.tables.estate;
        let shop = estate.entities.get("service:shop").expect("the catalogue names it");
        assert_eq!(estate.topology.dependencies(shop, 1).len(), 1);
        assert_eq!(estate.entities.get("service:webshop"), None);
    }

    #[test]
    fn what_is_not_about_the_estate_is_passed_on_as_it_is() {
        let mut bench = Bench::new();
        let done = bench.take(take, 1, Item::Live(7));
        assert!(matches!(done.next, Some(Item::Live(7))) && done.effects.is_empty());
    }
}
