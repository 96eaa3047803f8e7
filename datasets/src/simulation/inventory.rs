//! What the engine is told of an estate: catalogue and discovered edges, with their faults.
//!
//! Pods and what they run on are discovered (they come and go), the rest is written down. Both
//! forget a share of the true edges and have another share wrong: one end is another item of
//! the same kind, as after a move that nobody recorded.

use bellwether_engine::catalogue::{Catalogue, CatalogueEdge, CatalogueItem};

use super::plan::Plan;
use crate::estate::{Edge, Estate, Kind};
use crate::rng::Rng;

/// How sure a discovered edge is.
const DISCOVERED: f64 = 0.95;
/// How sure a written edge is.
const WRITTEN: f64 = 0.9;

/// The inventory of one tenant, as its part of the engine is told it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inventory {
    /// Written down by people.
    pub catalogue: Catalogue,
    /// Found by the cluster.
    pub discovered: Vec<CatalogueEdge>,
}

/// The inventory that the engine is told of tenant `tenant` under `plan`.
pub fn inventory_of(plan: &Plan, tenant: usize) -> Inventory {
    let estate = &plan.estate;
    let mut inventory = Inventory {
        catalogue: Catalogue {
            teams: estate.tenants[tenant].teams.clone(),
            services: items(estate, tenant),
            slas: estate.tenants[tenant].slas.clone(),
            ..Catalogue::default()
        },
        discovered: Vec::new(),
    };
    let mut rng = Rng::new(plan.seed, &format!("catalogue of {tenant}"));
    for edge in estate.edges.iter().filter(|e| estate.entities[e.from].tenant == tenant) {
        // Both draws are made for each edge, so that one share does not move the other.
        let (missing, wrong) = (rng.chance(plan.noise.edges_missing), rng.chance(plan.noise.edges_wrong));
        if missing {
            continue;
        }
        let mut edge = *edge;
        if wrong {
            edge.to = stranger(estate, &edge, &mut rng);
        }
        let pod = estate.entities[edge.from].kind == Kind::Pod;
        let entry = CatalogueEdge {
            from: estate.entities[edge.from].id.clone(),
            to: estate.entities[edge.to].id.clone(),
            relation: edge.relation,
            confidence: if pod { DISCOVERED } else { WRITTEN },
        };
        let list = if pod { &mut inventory.discovered } else { &mut inventory.catalogue.topology };
        list.push(entry);
    }
    inventory
}

/// Another item of the same kind and tenant as the edge's end, or the end itself when there is
/// none.
fn stranger(estate: &Estate, edge: &Edge, rng: &mut Rng) -> usize {
    let end = &estate.entities[edge.to];
    let others: Vec<usize> = (0..estate.entities.len())
        .filter(|i| {
            let other = &estate.entities[*i];
            *i != edge.to && *i != edge.from && other.kind == end.kind && other.tenant == end.tenant
        })
        .collect();
    if others.is_empty() { edge.to } else { *rng.pick(&others) }
}

fn items(estate: &Estate, tenant: usize) -> Vec<CatalogueItem> {
    let known = |kind: Kind| kind != Kind::Pod;
    estate
        .entities
        .iter()
        .filter(|e| e.tenant == tenant && known(e.kind))
        .map(|e| CatalogueItem {
            entity: e.id.clone(),
            owner: e.owner.clone(),
            criticality: e.criticality,
            sla: e.sla.clone(),
            customers: e.customers.clone(),
            environment: estate.tenants[tenant].environment.clone(),
            runbook: e.runbook.clone(),
            aliases: e.aliases.clone(),
            ..CatalogueItem::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bellwether_engine::time::Span;

    use super::*;
    use crate::estate::{EstateParams, random_estate};

    fn plan(missing: f64, wrong: f64) -> Plan {
        let estate = random_estate(&EstateParams { seed: 5, entities: 400, tenants: 1 }).expect("400 is enough");
        let mut plan = Plan::quiet(5, estate, Span::from_mins(1));
        plan.noise.edges_missing = missing;
        plan.noise.edges_wrong = wrong;
        plan
    }

    fn pairs(inventory: &Inventory) -> Vec<(String, String)> {
        let all = inventory.catalogue.topology.iter().chain(&inventory.discovered);
        all.map(|e| (e.from.clone(), e.to.clone())).collect()
    }

    #[test]
    fn a_perfect_catalogue_knows_every_edge_and_none_else() {
        let plan = plan(0.0, 0.0);
        let mut inventory = pairs(&inventory_of(&plan, 0));
        let id = |i: usize| plan.estate.entities[i].id.clone();
        let mut truth: Vec<(String, String)> = plan.estate.edges.iter().map(|e| (id(e.from), id(e.to))).collect();
        inventory.sort();
        truth.sort();
        assert_eq!(inventory, truth);
    }

    #[test]
    fn an_imperfect_one_has_the_shares_it_was_asked_for() {
        let (perfect, imperfect) = (pairs(&inventory_of(&plan(0.0, 0.0), 0)), pairs(&inventory_of(&plan(0.2, 0.1), 0)));
        let kept = imperfect.len() as f64 / perfect.len() as f64;
        let wrong = imperfect.iter().filter(|p| !perfect.contains(p)).count() as f64 / imperfect.len() as f64;
        assert!((kept - 0.8).abs() < 0.06, "{kept}");
        assert!((wrong - 0.1).abs() < 0.05, "{wrong}");
    }
}
