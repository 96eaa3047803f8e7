//! Entities: all of them in a line each, and one with what is known of it.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use super::others::{ChangeView, changes_at};
use crate::catalogue::{CatalogueItem, Criticality, Maintenance, Team};
use crate::sense::Shards;
use crate::signal::Relation;
use crate::tables::Tables;
use crate::topology::{Edge, EdgeView, owners};

/// One entity in a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EntityLine {
    /// `type:name`.
    pub name: Box<str>,
    /// Who owns it, by the catalogue or the surest edge; empty where nobody says.
    pub owner: Box<str>,
    /// How much it matters, where the catalogue has it.
    pub criticality: Option<Criticality>,
    /// Edges at it along which trouble travels.
    pub edges: u32,
    /// Series that are measured of it.
    pub series: u32,
}

/// One entity with what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EntityView {
    /// `type:name`.
    pub name: String,
    /// What the catalogue says.
    pub item: Option<CatalogueItem>,
    /// Who owns it, surest first.
    pub owners: Vec<String>,
    /// The owning team, where the catalogue has it.
    pub team: Option<Team>,
    /// Work on it that is planned, or goes on.
    pub maintenance: Vec<Maintenance>,
    /// Its edges with everybody's word, by name; the first ones.
    pub edges: Vec<EdgeView>,
    /// How many edges there are.
    pub edges_known: usize,
    /// Changes of it, the latest first.
    pub changes: Vec<ChangeView>,
}

/// What teams are called as entities.
const TEAM: &str = "team:";

/// The name of a team, without what it is.
fn team(owner: &str) -> &str {
    owner.strip_prefix(TEAM).unwrap_or(owner)
}

/// How many edges carry trouble: all but ownership.
fn carrying(edges: &[Edge]) -> u32 {
    edges.iter().filter(|edge| edge.relation != Relation::OwnedBy).count() as u32
}

/// Every entity that anything is known of, by name.
pub(crate) fn entities(tables: &Tables, shards: &Shards) -> Vec<EntityLine> {
    let estate = &tables.estate;
    let mut series: HashMap<&str, u32> = HashMap::new();
    shards.measured().for_each(|entity| *series.entry(entity).or_default() += 1);
    // Streams alone measure nothing, and are of something.
    shards.logged().for_each(|entity| {
        series.entry(entity).or_default();
    });
    let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
    for sym in estate.entities.all() {
        lines.insert(estate.entities.text(sym), 0);
    }
    lines.extend(estate.lookup.items.keys().map(|name| (name.as_str(), 0)));
    for (name, count) in series {
        let name = estate.lookup.aliases.get(name).map_or(name, String::as_str);
        *lines.entry(name).or_default() += count;
    }
    // Another name of an item is no entity of its own, and a team owns and is not watched.
    let is_one = |name: &str| !name.is_empty() && !name.starts_with(TEAM) && !estate.lookup.aliases.contains_key(name);
    lines.retain(|name, _| is_one(name));
    lines
        .into_iter()
        .map(|(name, series)| {
            let item = estate.lookup.items.get(name);
            let sym = estate.entities.get(name);
            let by_edge =
                || sym.and_then(|sym| owners(&estate.topology, &estate.entities, sym).first().copied()).unwrap_or("");
            let owner = item.map(|item| item.owner.as_str()).filter(|owner| !owner.is_empty()).unwrap_or_else(by_edge);
            EntityLine {
                name: name.into(),
                owner: team(owner).into(),
                criticality: item.map(|item| item.criticality),
                edges: sym.map_or(0, |sym| carrying(estate.topology.edges(sym))),
                series,
            }
        })
        .collect()
}

/// One entity by any of its names; `None` when nothing is known of it.
pub(crate) fn entity(tables: &Tables, shards: &Shards, name: &str, edges_max: usize) -> Option<EntityView> {
    let estate = &tables.estate;
    let name = estate.lookup.aliases.get(name).map_or(name, String::as_str);
    let item = estate.lookup.items.get(name).cloned();
    let sym = estate.entities.get(name);
    let known = || shards.measured().chain(shards.logged()).any(|entity| entity == name);
    if item.is_none() && sym.is_none() && !known() {
        return None;
    }
    let (edges, edges_known) =
        sym.map_or((Vec::new(), 0), |sym| estate.topology.view_at(&estate.entities, &estate.names, sym, edges_max));
    let mut owned_by: Vec<String> = item.iter().map(|item| item.owner.clone()).filter(|one| !one.is_empty()).collect();
    for owner in sym.map(|sym| owners(&estate.topology, &estate.entities, sym)).unwrap_or_default() {
        if !owned_by.iter().any(|known| known == team(owner)) {
            owned_by.push(team(owner).to_owned());
        }
    }
    let team = owned_by.first().and_then(|owner| estate.lookup.teams.get(team(owner)).cloned());
    let maintenance = estate.lookup.maintenance.iter().filter(|work| work.entity == name).cloned().collect();
    let changes = sym.map(|sym| changes_at(tables, sym)).unwrap_or_default();
    Some(EntityView { name: name.to_owned(), item, owners: owned_by, team, maintenance, edges, edges_known, changes })
}
