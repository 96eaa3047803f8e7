//! A catalogue ready for look-ups by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::catalogue::{Catalogue, CatalogueItem, Criticality, KnowledgeArticle, Maintenance, Sla, Team};
use crate::entity::{is_service, split_entity};
use crate::escalation::EscalationRule;

/// A catalogue ready for look-ups by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub(crate) items: BTreeMap<String, CatalogueItem>,
    pub(crate) teams: BTreeMap<String, Team>,
    pub(crate) slas: BTreeMap<String, Sla>,
    pub(crate) calendars: BTreeMap<String, Calendar>,
    pub(crate) maintenance: Vec<Maintenance>,
    pub(crate) knowledge: Vec<KnowledgeArticle>,
    pub(crate) escalations: Vec<EscalationRule>,
    /// Other names of an item, to its one name.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Lookup {
    /// Whether what users feel of this entity is trouble: a service, or what the catalogue calls important.
    pub(crate) fn matters(&self, entity: &str) -> bool {
        let important = |item: &CatalogueItem| matches!(item.criticality, Criticality::Critical | Criticality::High);
        is_service(split_entity(entity).0) || self.items.get(entity).is_some_and(important)
    }

    /// The team that a person is in.
    pub(crate) fn team_of(&self, person: &str) -> Option<&Team> {
        self.teams.values().find(|team| team.members.iter().any(|member| member.name == person))
    }

    pub(crate) fn of(catalogue: &Catalogue) -> Lookup {
        let mut lookup = Lookup {
            maintenance: catalogue.maintenance.clone(),
            knowledge: catalogue.knowledge.clone(),
            escalations: catalogue.escalations.clone(),
            ..Lookup::default()
        };
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
        for calendar in &catalogue.calendars {
            lookup.calendars.insert(calendar.name.clone(), calendar.clone());
        }
        lookup
    }
}
