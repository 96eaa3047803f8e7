//! The service catalogue: who owns what, how much it matters, what was promised.
//!
//! ```yaml
//! teams:
//!   - {name: database, assignment_group: DBA, escalation: dba-lead}
//! services:
//!   - {entity: service:checkout, owner: shop, criticality: critical, sla: gold, customers: [retail]}
//!   - {entity: host:db-1, owner: database, skills: [postgres]}
//! slas:
//!   - {name: gold, respond: {P1: 15m, P2: 1h}, resolve: {P1: 4h, P2: 8h}}
//! topology:
//!   - {from: service:checkout, to: service:db, relation: calls}
//! maintenance:
//!   - {entity: host:db-2, from: 2026-03-01T02:00:00Z, to: 2026-03-01T04:00:00Z, reason: patching}
//! ```
//!
//! A catalogue belongs to one tenant and replaces the tenant's earlier one. It enters the
//! engine through the journal, so that a replay sees the catalogue of the time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::Priority;
use crate::signal::Relation;
use crate::time::{EventTime, Span};

/// Everything one tenant knows about its estate beside telemetry.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Who can act.
    #[serde(default)]
    pub teams: Vec<Team>,
    /// What is known of each configuration item.
    #[serde(default)]
    pub services: Vec<CatalogueItem>,
    /// What was promised.
    #[serde(default)]
    pub slas: Vec<Sla>,
    /// Edges known beforehand.
    #[serde(default)]
    pub topology: Vec<CatalogueEdge>,
    /// Planned work, during which alerts are expected.
    #[serde(default)]
    pub maintenance: Vec<Maintenance>,
}

/// A team.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Its queue in the ticketing system.
    #[serde(default)]
    pub assignment_group: String,
    /// Whom to call when it does not answer.
    #[serde(default)]
    pub escalation: String,
    /// Its people.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// A person.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The login in the ticketing system.
    pub name: String,
    /// What the person is good at.
    #[serde(default)]
    pub skills: Vec<String>,
    /// How many open incidents the person can carry.
    #[serde(default = "default_capacity")]
    pub capacity: u32,
}

fn default_capacity() -> u32 {
    3
}

/// How much an item matters; OpenTelemetry's `service.criticality`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Hardly anybody notices.
    Low,
    /// Some notice.
    #[default]
    Medium,
    /// Many notice.
    High,
    /// The business stops.
    Critical,
}

/// One configuration item.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueItem {
    /// `type:name`.
    pub entity: String,
    /// The owning team.
    #[serde(default)]
    pub owner: String,
    /// How much it matters.
    #[serde(default)]
    pub criticality: Criticality,
    /// Name of an entry of `slas`.
    #[serde(default)]
    pub sla: String,
    /// The customers or user groups that depend on it.
    #[serde(default)]
    pub customers: Vec<String>,
    /// `deployment.environment.name`.
    #[serde(default)]
    pub environment: String,
    /// Where to read what to do.
    #[serde(default)]
    pub runbook: String,
    /// Where to look.
    #[serde(default)]
    pub dashboard: String,
    /// What fixing it takes.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Other names of the same item.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Ids of other systems: `servicenow.sys_id`, `backstage.ref`, …
    #[serde(default)]
    pub external_ids: BTreeMap<String, String>,
}

/// What was promised, by priority.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sla {
    /// Its name.
    pub name: String,
    /// Somebody acknowledges within.
    #[serde(default)]
    pub respond: BTreeMap<Priority, Span>,
    /// It is resolved within.
    #[serde(default)]
    pub resolve: BTreeMap<Priority, Span>,
}

/// An edge known beforehand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEdge {
    /// The dependent item.
    pub from: String,
    /// What it depends on, is part of, or is owned by.
    pub to: String,
    /// What `from` is to `to`.
    pub relation: Relation,
    /// How sure, 0–1.
    #[serde(default = "default_confidence")]
    pub confidence: f64,
}

fn default_confidence() -> f64 {
    0.9
}

/// Planned work on one item and everything that runs on it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// `type:name`.
    pub entity: String,
    /// When it begins.
    pub from: EventTime,
    /// When it ends.
    pub to: EventTime,
    /// What is done.
    #[serde(default)]
    pub reason: String,
}
