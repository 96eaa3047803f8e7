//! The incident record and the events of its life.
//!
//! [`IncidentRecord`] is what leaves the engine: a version of the agreed JSON Schema, which
//! these types generate ([`record_schema`]); who cannot read the newest gets an older ([`in_version`]). [`IncidentEvent`] is one revision of one
//! incident with the verb that caused it; `(incident id, revision)` is its identity, so a
//! replay repeats keys and a receiver drops what it already has.

mod event;
mod id;
mod parts;
mod record;
mod schema;
mod service;
mod versions;

pub use event::{IncidentEvent, RECORD_BYTES_MAX, Verb, sanitise_token, tenant_token};
pub use id::incident_id;
pub use parts::{
    AlertEntry, AlertEntryStatus, CauseKind, ChangeEntry, EntityRef, EntityRole, EvidenceEntry, EvidenceSignal, Link,
    LinkRel, ModelInfo, Owner, ProbableCause, SimilarIncident, TicketRef,
};
pub use record::{IncidentRecord, IncidentStatus, Priority, SchemaVersion, StatusReason};
pub use schema::{canonical_schema, record_schema};
pub use service::{
    Article, AssignedBy, Assignment, BusinessImpact, Candidate, Deadline, DeadlineState, Escalation, NextEntity,
    ProblemRef, ServiceLevel, TimeLeft,
};
pub use versions::in_version;
