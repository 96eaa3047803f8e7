//! The parts of an incident record.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// A configuration item as the record names it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "entity")]
pub struct EntityRef {
    /// `service:checkout`.
    pub id: String,
    /// OpenTelemetry entity type: service, host, k8s.pod, network.device, …
    #[serde(rename = "type")]
    pub entity_type: String,
    /// What it is to this incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EntityRole")]
    pub role: Option<EntityRole>,
    /// OpenTelemetry resource attributes: service.name, host.name, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "attributes_schema")]
    pub attributes: BTreeMap<String, String>,
    /// Ids of other systems: servicenow.sys_id, backstage.ref, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "plain_strmap_schema")]
    pub external_ids: BTreeMap<String, String>,
}

fn attributes_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    // The agreed schema also allows numbers, booleans and arrays, which this build never writes.
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "array"]}
    })
}

fn plain_strmap_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "additionalProperties": {"type": "string"}})
}

/// What an entity is to an incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntityRole {
    /// Where it began.
    Cause,
    /// Where it hurts.
    Affected,
    /// Near it.
    Related,
}

/// Who should act.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The owning team.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub team: String,
    /// The ticketing system's queue or group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub assignment_group: String,
    /// A person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub assignee: String,
    /// Whom to call next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub escalation: String,
}

/// What kind of thing a cause is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A configuration item.
    Entity,
    /// A change.
    Change,
    /// One metric of an entity.
    Metric,
    /// One log template.
    LogTemplate,
    /// One alert.
    Alert,
}

/// One ranked cause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbableCause {
    /// 1 is the most probable.
    #[schemars(range(min = 1))]
    pub rank: u64,
    /// What kind of thing.
    pub kind: CauseKind,
    /// Its id: an entity id, a change id, a metric name.
    #[serde(default, rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The entity it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EntityRef")]
    pub entity: Option<EntityRef>,
    /// 0–1.
    pub score: f64,
    /// Why, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub explanation: String,
}

/// A change near the onset.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEntry {
    /// Its id in the tool that made it.
    pub id: String,
    /// CDEvents type.
    #[serde(rename = "type")]
    pub change_type: String,
    /// When it took effect.
    pub at: EventTime,
    /// What was changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entity_id: String,
    /// A package URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact: String,
    /// Where a person can look at it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(url)]
    pub url: String,
    /// 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub score: Option<f64>,
}

/// Which signal a piece of evidence came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceSignal {
    /// A metric series.
    Metric,
    /// A log stream.
    Log,
    /// A trace.
    Trace,
    /// Another tool's alert.
    Alert,
    /// Anything else, and the engine's own reasoning.
    Event,
}

/// One reason for what the record says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceEntry {
    /// Where it came from.
    pub signal: EvidenceSignal,
    /// When.
    pub at: EventTime,
    /// Metric, template or rule name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The entity it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entity_id: String,
    /// What was seen.
    #[serde(default)]
    pub value: Option<f64>,
    /// What was expected.
    #[serde(default)]
    pub expected: Option<f64>,
    /// 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub score: Option<f64>,
    /// Which detector or stage says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detector: String,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub text: String,
    /// 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = r"^[0-9a-f]{32}$"))]
    pub trace_id: String,
    /// 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = r"^[0-9a-f]{16}$"))]
    pub span_id: String,
    /// Where a person can look at it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(url)]
    pub url: String,
}

/// Whether a listed alert fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertEntryStatus {
    /// The condition holds.
    Firing,
    /// The condition has ended.
    Resolved,
}

/// One alert of the incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertEntry {
    /// 16 hexadecimal digits.
    pub fingerprint: String,
    /// The tool that raised it.
    pub source: String,
    /// The rule's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Firing or resolved.
    pub status: AlertEntryStatus,
    /// When the condition began.
    pub starts_at: EventTime,
    /// When it ended.
    #[serde(default)]
    pub ends_at: Option<EventTime>,
    /// Identifying labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Descriptive texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Where a person can look at it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// What a link leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkRel {
    /// This incident.
    #[serde(rename = "self")]
    This,
    /// What to do.
    Runbook,
    /// What to watch.
    Dashboard,
    /// The tool that raised an alert.
    Source,
    /// A trace.
    Trace,
    /// Logs.
    Logs,
    /// A change.
    Change,
    /// A ticket.
    Ticket,
}

/// A place to look.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it leads to.
    pub rel: LinkRel,
    /// http or https.
    #[schemars(url)]
    pub href: String,
    /// What to call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A ticket in another system.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRef {
    /// Which system.
    pub system: String,
    /// Its key there.
    pub key: String,
    /// Where a person can look at it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The system's own word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
}

/// A past incident like this one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarIncident {
    /// Its id.
    pub id: String,
    /// 0–1.
    pub score: f64,
    /// Its ticket, when known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ticket: String,
    /// What fixed it, in the words of who did. From version 2 on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub resolution: String,
}

/// What computed the record.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Version of the engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine_version: String,
    /// Hash of the engine's configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config_hash: String,
    /// Name of the grouping policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// The backtest or experiment, when there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_id: String,
}
