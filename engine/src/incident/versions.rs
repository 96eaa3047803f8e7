//! A record in the words of an older version, for who cannot read the newest yet.

use super::record::{IncidentRecord, SchemaVersion};
use super::service::DeadlineState;

/// Fields that version 1 does not have; `similar` has entries that are shorter there.
pub(super) const SINCE_V2: [&str; 9] = [
    "acknowledged_by",
    "assignment",
    "business_impact",
    "escalations",
    "knowledge",
    "ola",
    "problem",
    "sla",
    "time_left",
];

/// `record` as `version` has it. What version 1 has no field for becomes the labels it had; what it never had is
/// left out.
#[must_use]
pub fn in_version(mut record: IncidentRecord, version: SchemaVersion) -> IncidentRecord {
    if version >= record.schema_version {
        return record;
    }
    record.schema_version = SchemaVersion::V1;
    let labels = &mut record.labels;
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
    };
    set("acknowledged_by", std::mem::take(&mut record.acknowledged_by));
    if let Some(impact) = record.business_impact.take() {
        set("impact.entities_alerting", impact.entities_alerting.to_string());
        set("impact.entities_at_risk", impact.entities_at_risk.to_string());
        set("impact.services", impact.services.to_string());
        set("impact.services_alerting", impact.services_alerting.to_string());
        set("impact.business_services", impact.business_services.join(", "));
        set("impact.customers", impact.customers.join(", "));
        let next = impact.next.iter().map(|next| format!("{} {} {}", next.entity_id, next.likely_at, next.expected_by));
        set("impact.next", next.collect::<Vec<_>>().join(", "));
    }
    if let Some(sla) = record.sla.take() {
        set("sla.name", sla.name);
        let by = |deadline: Option<super::Deadline>| deadline.and_then(|deadline| deadline.by);
        set("sla.respond_by", by(sla.respond).map(|at| at.to_string()).unwrap_or_default());
        set("sla.resolve_by", by(sla.resolve).map(|at| at.to_string()).unwrap_or_default());
        set("sla.breach_probability", sla.breach_probability.map(|p| format!("{p:.2}")).unwrap_or_default());
        if sla.resolve.is_some_and(|deadline| deadline.state == DeadlineState::Breached) && record.resolved_at.is_none()
        {
            set("sla.breached", "true".to_owned());
        }
    }
    (record.assignment, record.ola, record.time_left, record.problem) = (None, None, None, None);
    record.knowledge.clear();
    record.escalations.clear();
    record.similar.iter_mut().for_each(|similar| similar.resolution.clear());
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::incident::record_schema;

    fn record() -> IncidentRecord {
        let at = "2026-03-01T10:00:00Z";
        let next = json!({"entity_id": "service:pay", "likely_at": at, "expected_by": at});
        let record = json!({
            "schema_version": "2", "id": "inc_01KDV0000000000000000000AA", "dedup_key": "k", "revision": 1,
            "status": "open", "severity": "major", "priority": "P2", "title": "slow", "opened_at": at, "updated_at": at,
            "entities": [], "alert_count": 1, "labels": {"tenant": "acme"}, "acknowledged_by": "ana",
            "assignment": {"by": "catalogue", "candidates": [{"team": "db", "confidence": 0.8, "reasons": ["it owns it"]}]},
            "sla": {"name": "gold", "respond": {"by": at, "state": "met"}, "resolve": {"by": at, "state": "breached"},
                "breach_probability": 0.5},
            "ola": {"name": "internal", "resolve": {"state": "paused"}},
            "time_left": {"p50_hours": 1.0, "p90_hours": 4.5},
            "business_impact": {"entities_alerting": 2, "entities_at_risk": 1, "services": 2, "services_alerting": 1,
                "customers": ["retail", "wholesale"], "users": 400, "revenue_per_hour": 1200.5, "next": [next]},
            "problem": {"id": "prb_0123456789abcdef", "occurrences": 4, "window_days": 30, "first_at": at, "minutes": 90},
            "knowledge": [{"id": "disks.md", "title": "Disks", "score": 0.4}],
            "escalations": [{"rule": "late", "at": at, "kind": "team", "to": "db", "time": 1}],
            "similar": [{"id": "inc_1", "score": 0.9, "resolution": "vacuumed"}],
        });
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn version_1_has_its_labels_and_nothing_that_came_later() {
        let old = in_version(record(), SchemaVersion::V1);
        let json = serde_json::to_value(&old).expect("JSON");
        SINCE_V2.iter().for_each(|field| assert_eq!(json.get(field), None, "{field}"));
        assert_eq!(json["schema_version"], "1");
        assert_eq!(json["similar"], json!([{"id": "inc_1", "score": 0.9}]));
        let label = |name: &str| old.labels.get(name).map(String::as_str);
        assert_eq!(label("impact.customers"), Some("retail, wholesale"));
        assert_eq!(label("impact.next"), Some("service:pay 2026-03-01T10:00:00Z 2026-03-01T10:00:00Z"));
        assert_eq!((label("sla.name"), label("sla.breached")), (Some("gold"), Some("true")));
        assert_eq!((label("acknowledged_by"), label("impact.business_services")), (Some("ana"), None));
        assert_eq!(in_version(old.clone(), SchemaVersion::V2), old, "nothing is made up");
    }

    #[test]
    fn each_version_is_valid_by_its_own_schema_and_not_by_the_others() {
        for of in SchemaVersion::ALL {
            let json = serde_json::to_value(in_version(record(), of)).expect("JSON");
            for by in SchemaVersion::ALL {
                let schema = record_schema(by);
                let properties = schema["properties"].as_object().expect("properties");
                let known = json.as_object().expect("an object").keys().all(|field| properties.contains_key(field));
                let named = properties["schema_version"]["const"] == json["schema_version"];
                assert_eq!(known && named, of == by, "{} by {}", of.name(), by.name());
            }
        }
    }
}
