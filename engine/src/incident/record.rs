//! The record itself: one incident at one revision.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{
    AlertEntry, ChangeEntry, EntityRef, EvidenceEntry, Link, ModelInfo, Owner, ProbableCause, SimilarIncident,
    TicketRef,
};
use super::service::{Article, Assignment, BusinessImpact, Escalation, ProblemRef, ServiceLevel, TimeLeft};
use crate::signal::Severity;
use crate::time::EventTime;

/// A version of the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum SchemaVersion {
    /// The first agreed version: what concerns the service desk is in labels.
    #[serde(rename = "1")]
    V1,
    /// What this build writes: agreements, assignment, impact, problem and knowledge are fields.
    #[default]
    #[serde(rename = "2")]
    V2,
}

impl SchemaVersion {
    /// All there are, the oldest first.
    pub const ALL: [SchemaVersion; 2] = [SchemaVersion::V1, SchemaVersion::V2];

    /// `1` or `2`.
    pub const fn name(self) -> &'static str {
        match self {
            SchemaVersion::V1 => "1",
            SchemaVersion::V2 => "2",
        }
    }
}

/// Where an incident is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    /// Nobody has taken it yet.
    Open,
    /// Somebody has taken it.
    Acknowledged,
    /// Its alerts have recovered or an operator said so; a relapse reopens it.
    Resolved,
    /// Over: a relapse is a new incident.
    Closed,
    /// Absorbed by `merged_into`.
    Merged,
}

impl IncidentStatus {
    /// As records write it.
    pub const fn name(self) -> &'static str {
        match self {
            IncidentStatus::Open => "open",
            IncidentStatus::Acknowledged => "acknowledged",
            IncidentStatus::Resolved => "resolved",
            IncidentStatus::Closed => "closed",
            IncidentStatus::Merged => "merged",
        }
    }
}

/// Why the status is what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// The engine found it.
    Detected,
    /// The engine learned more.
    Updated,
    /// An operator said so.
    Operator,
    /// The ticketing system said so.
    Ticket,
    /// Every alert recovered.
    AutoResolved,
    /// Nothing was heard of it for too long.
    Stale,
    /// It turned out to be part of another.
    Merged,
    /// Feedback says it was none.
    FalsePositive,
}

/// Impact × urgency: how soon somebody must act. P1 sorts first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Priority {
    /// At once.
    P1,
    /// Within the hour.
    P2,
    /// Today.
    P3,
    /// This week.
    P4,
    /// When there is time.
    P5,
}

impl Priority {
    /// `P1` … `P5`.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::P1 => "P1",
            Priority::P2 => "P2",
            Priority::P3 => "P3",
            Priority::P4 => "P4",
            Priority::P5 => "P5",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One incident at one revision.
///
/// Optional text is absent rather than null; the two life-cycle times that a ticketing
/// system clears (`acknowledged_at`, `resolved_at`) and `merged_into` may be null.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentRecord {
    /// Which fields there are.
    pub schema_version: SchemaVersion,
    /// `inc_` and a ULID; new for each occurrence.
    #[schemars(regex(pattern = r"^inc_[0-9A-HJKMNP-TV-Z]{26}$"))]
    pub id: String,
    /// Stable over re-firings; at most 255 bytes, PagerDuty's limit.
    #[schemars(length(min = 1, max = 255))]
    pub dedup_key: String,
    /// Counts up by one for each event of this incident.
    #[schemars(range(min = 1))]
    pub revision: u64,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "StatusReason")]
    pub status_reason: Option<StatusReason>,
    /// The worst severity of its alerts.
    pub severity: Severity,
    /// 1 (wide) to 3 (narrow).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u8", range(min = 1, max = 3))]
    pub impact: Option<u8>,
    /// 1 (now) to 3 (can wait).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u8", range(min = 1, max = 3))]
    pub urgency: Option<u8>,
    /// From impact and urgency.
    pub priority: Priority,
    /// How sure the engine is of the first probable cause, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub confidence: Option<f64>,
    /// One line.
    #[schemars(length(max = 130))]
    pub title: String,
    /// The narrative: three to six sentences.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub summary: String,
    /// The narrative with its evidence, impact and next steps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 15000))]
    pub description: String,
    /// What kind of incident: `change`, `network`, `capacity`, `database`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 100))]
    pub class: String,
    /// First symptom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EventTime")]
    pub started_at: Option<EventTime>,
    /// First alert read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EventTime")]
    pub detected_at: Option<EventTime>,
    /// First revision.
    pub opened_at: EventTime,
    /// This revision.
    pub updated_at: EventTime,
    /// When somebody took it.
    #[serde(default)]
    pub acknowledged_at: Option<EventTime>,
    /// When it recovered.
    #[serde(default)]
    pub resolved_at: Option<EventTime>,
    /// Who took it. From version 2 on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub acknowledged_by: String,
    /// The incident that absorbed this one.
    #[serde(default)]
    pub merged_into: Option<String>,
    /// The major incident over this one, or the one it was split from.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// What to look at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EntityRef")]
    pub primary_entity: Option<EntityRef>,
    /// Cause, affected and related entities.
    #[schemars(length(max = 50))]
    pub entities: Vec<EntityRef>,
    /// `deployment.environment.name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// Who should act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Owner")]
    pub owner: Option<Owner>,
    /// Why the owner has it, and who else may resolve it. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Assignment")]
    pub assignment: Option<Assignment>,
    /// What was promised to those it hurts (service level agreement). From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceLevel")]
    pub sla: Option<ServiceLevel>,
    /// What the owning team promised (operational level agreement). From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceLevel")]
    pub ola: Option<ServiceLevel>,
    /// How much longer it takes; absent when it is over, or where too little was learned. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TimeLeft")]
    pub time_left: Option<TimeLeft>,
    /// Whom it hurts, in figures. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BusinessImpact")]
    pub business_impact: Option<BusinessImpact>,
    /// The problem that it is one of. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProblemRef")]
    pub problem: Option<ProblemRef>,
    /// Who was told by rules of escalation, the first first. From version 2 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub escalations: Vec<Escalation>,
    /// Ranked causes, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub probable_causes: Vec<ProbableCause>,
    /// Changes near the onset, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub changes: Vec<ChangeEntry>,
    /// Why the engine thinks so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub evidence: Vec<EvidenceEntry>,
    /// What was heard of all alerts of the incident, also of those not listed: each notification counts. How
    /// many alerts there are is in `labels`, under `alerts.distinct`.
    pub alert_count: u64,
    /// The most telling alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub alerts: Vec<AlertEntry>,
    /// True when lists were cut to keep the record short; `labels` says how long each of them is as a whole,
    /// under `truncated.<list>`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Where the full record is when `truncated`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail_ref: String,
    /// Runbook, dashboard, source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Tickets that bridges opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<TicketRef>,
    /// Similar past incidents, most similar first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub similar: Vec<SimilarIncident>,
    /// What to read about it, the best first. From version 2 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub knowledge: Vec<Article>,
    /// Everything else that is named: `truncated.*`, `alerts.*`, `major.*`, `tenant`; in version 1 also
    /// `sla.*`, `impact.*` and `acknowledged_by`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ModelInfo")]
    pub model: Option<ModelInfo>,
}

impl IncidentRecord {
    /// Says that `list` does not hold all of its `whole` entries. The first word counts: what is cut again
    /// was as long as it was.
    pub(crate) fn note_cut(&mut self, list: &str, whole: usize) {
        self.truncated = true;
        self.labels.entry(format!("{CUT_PREFIX}{list}")).or_insert_with(|| whole.to_string());
    }
}

/// What labels begin with that say how long a list is which was cut.
pub(super) const CUT_PREFIX: &str = "truncated.";
