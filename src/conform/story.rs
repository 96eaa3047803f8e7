//! A course of one or several incidents that shows one rule, told delivery by delivery.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_engine::incident::{
    IncidentEvent, IncidentRecord, IncidentStatus, SchemaVersion, Verb, in_version, incident_id,
};
use bellwether_engine::time::{EventTime, Span};
use serde_json::{Map, Value, json};

use super::rules::Rule;

/// When the first incident of a plan opens: 2026-03-01T10:00:00Z.
const BEGIN: EventTime = EventTime::from_secs(1_772_359_200);

/// One revision on its way to the subscriber.
#[derive(Clone, Debug)]
pub struct Delivery {
    event: IncidentEvent,
    /// A verb that no version has.
    verb: Option<&'static str>,
    /// Fields that no version has, at the top and in the first entity.
    strange: bool,
    /// What it shows.
    pub(super) rule: Rule,
}

impl Delivery {
    /// `tenant/id/revision`.
    pub fn key(&self) -> String {
        self.event.key()
    }

    /// The subject.
    pub fn subject(&self) -> String {
        let subject = self.event.subject();
        match self.verb {
            Some(verb) => {
                subject.replacen(&format!(".incident.{}.", self.event.verb), &format!(".incident.{verb}."), 1)
            }
            None => subject,
        }
    }

    /// Why there is a revision, as the subject says it.
    pub fn verb(&self) -> &str {
        self.verb.unwrap_or(self.event.verb.name())
    }

    /// The event, with a verb that there is.
    pub fn event(&self) -> &IncidentEvent {
        &self.event
    }

    /// The record as JSON.
    pub fn record(&self) -> Value {
        let mut record = serde_json::to_value(&self.event.record).expect("a record has string keys and finite numbers");
        if self.strange {
            let strange = json!({"deep": [1, {"er": null}], "status": "closed", "revision": 0});
            let fields = record.as_object_mut().expect("a record is an object");
            fields.insert("of_a_later_version".to_owned(), strange.clone());
            if let Some(entity) = fields.get_mut("entities").and_then(|entities| entities.pointer_mut("/0")) {
                entity["of_a_later_version"] = strange;
            }
        }
        record
    }

    /// Whose it is, and its id.
    pub(super) fn incident(&self) -> (Arc<str>, String) {
        (self.event.tenant.clone(), self.event.record.id.clone())
    }
}

/// An incident that is being told.
#[derive(Clone, Debug)]
pub(super) struct Course {
    rule: Rule,
    tenant: Arc<str>,
    pub(super) record: IncidentRecord,
    began: EventTime,
}

impl Course {
    /// The incident with this number, of this tenant.
    pub(super) fn new(rule: Rule, tenant: &str, number: u64) -> Course {
        let began = BEGIN.plus(Span::from_secs(i64::try_from(number % 86_400).unwrap_or_default()));
        let id = incident_id("conformance", number, began);
        let of = json!({
            "schema_version": "2", "id": id, "dedup_key": format!("conformance-{number}"), "revision": 1,
            "status": "open", "severity": "major", "priority": "P3", "title": format!("Trouble number {number}"),
            "summary": "Made by the conformance kit.", "opened_at": began, "updated_at": began, "alert_count": 1,
            "primary_entity": {"id": "service:checkout", "type": "service"},
            "entities": [{"id": "service:checkout", "type": "service", "role": "affected"}],
            "labels": {"tenant": tenant},
        });
        let record = serde_json::from_value(of).expect("what is written here is a record");
        Course { rule, tenant: tenant.into(), record, began }
    }

    pub(super) fn id(&self) -> String {
        self.record.id.clone()
    }

    /// The revision with this number, changed.
    pub(super) fn tell(&self, revision: u64, verb: Verb, change: impl FnOnce(&mut IncidentRecord)) -> Delivery {
        let mut record = self.record.clone();
        record.revision = revision;
        let at = self.began.plus(Span::from_mins(i64::try_from(revision).unwrap_or_default()));
        record.updated_at = at;
        record.status = match verb {
            Verb::Acknowledged => IncidentStatus::Acknowledged,
            Verb::Resolved => IncidentStatus::Resolved,
            Verb::Closed => IncidentStatus::Closed,
            Verb::Merged => IncidentStatus::Merged,
            Verb::Opened | Verb::Updated | Verb::Reopened | Verb::Split | Verb::Escalated => IncidentStatus::Open,
        };
        match record.status {
            IncidentStatus::Acknowledged => record.acknowledged_at = Some(at),
            IncidentStatus::Resolved | IncidentStatus::Closed => record.resolved_at = Some(at),
            IncidentStatus::Open | IncidentStatus::Merged => {}
        }
        change(&mut record);
        let event = IncidentEvent { tenant: self.tenant.clone(), verb, record };
        Delivery { event, verb: None, strange: false, rule: self.rule }
    }

    /// The same as the verb has it.
    pub(super) fn plain(&self, revision: u64, verb: Verb) -> Delivery {
        self.tell(revision, verb, |_| {})
    }
}

impl Delivery {
    /// With a verb that no version has.
    pub(super) fn under(self, verb: &'static str) -> Delivery {
        Delivery { verb: Some(verb), ..self }
    }

    /// With fields that no version has.
    pub(super) fn strange(self) -> Delivery {
        Delivery { strange: true, ..self }
    }

    /// In an older version.
    pub(super) fn in_version(mut self, version: SchemaVersion) -> Delivery {
        self.event.record = in_version(self.event.record, version);
        self
    }
}

/// What the newest revision of each incident in `deliveries` says, with the rule that its story shows.
pub(super) fn standing(deliveries: &[Delivery]) -> Vec<(&Delivery, Map<String, Value>)> {
    let mut newest: std::collections::BTreeMap<(Arc<str>, String), &Delivery> = std::collections::BTreeMap::new();
    for delivery in deliveries {
        let held = newest.entry(delivery.incident()).or_insert(delivery);
        if delivery.event.record.revision > held.event.record.revision {
            *held = delivery;
        }
    }
    let record = |delivery: &Delivery| match delivery.record() {
        Value::Object(record) => record,
        _ => Map::new(),
    };
    newest.into_values().map(|delivery| (delivery, record(delivery))).collect()
}

/// Revisions of each incident that were sent at all.
pub(super) fn revisions_of(deliveries: &[Delivery]) -> BTreeSet<(Arc<str>, String, u64)> {
    let key = |delivery: &Delivery| {
        let (tenant, id) = delivery.incident();
        (tenant, id, delivery.event.record.revision)
    };
    deliveries.iter().map(key).collect()
}
