//! `enrich`: owner, priority, SLA clock, assignee, similar past incidents, narrative.
//!
//! ```yaml
//! enrich:
//!   policy: default
//!   default_team: operations
//! ```
//!
//! Everything here comes from the tenant's catalogue and the tenant's own past. Priority is
//! impact × urgency (ITIL): impact by how critical the affected services are and how many,
//! urgency by how bad the alerts say it is and whether it spreads.

mod history;
mod narrative;
mod owner;
mod priority;
mod sla;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, CatalogueItem, Maintenance, Sla, Team};

pub(crate) use history::{History, Past, signature};
pub(crate) use narrative::{Facts, Place, clip, narrate};
pub(crate) use owner::{find_owner, pick_assignee};
pub(crate) use priority::{Assessment, assess};
pub(crate) use sla::{SlaClock, clock};

/// Settings of the `enrich` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// The team that gets what nobody owns.
    pub default_team: String,
    /// Past incidents at least this similar, 0–1, are shown.
    pub similar_min: f64,
    /// Assign people by skill and load, not only teams.
    pub assign_people: bool,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        EnrichConfig { default_team: "operations".to_owned(), similar_min: 0.35, assign_people: true }
    }
}

/// A catalogue ready for look-ups by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub(crate) items: BTreeMap<String, CatalogueItem>,
    pub(crate) teams: BTreeMap<String, Team>,
    pub(crate) slas: BTreeMap<String, Sla>,
    pub(crate) maintenance: Vec<Maintenance>,
    /// Other names of an item, to its one name.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Lookup {
    pub(crate) fn of(catalogue: &Catalogue) -> Lookup {
        let mut lookup = Lookup { maintenance: catalogue.maintenance.clone(), ..Lookup::default() };
        for item in &catalogue.services {
            for alias in &item.aliases {
                lookup.aliases.insert(alias.clone(), item.entity.clone());
            }
            lookup.items.insert(item.entity.clone(), item.clone());
        }
        for team in &catalogue.teams {
            lookup.teams.insert(team.name.clone(), team.clone());
        }
        for sla in &catalogue.slas {
            lookup.slas.insert(sla.name.clone(), sla.clone());
        }
        lookup
    }
}
