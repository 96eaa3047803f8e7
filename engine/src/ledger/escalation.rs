//! Rules of escalation are asked about an incident, and what is due is taken as told.

use super::desk::Desk;
use super::incident::{Incident, State};
use super::life::scene;
use super::record::record;
use crate::case::Purpose;
use crate::enrich::Enriched;
use crate::escalation::{EscalationRule, Fact, Until};
use crate::incident::{Deadline, IncidentRecord, ServiceLevel, Verb};

/// Notes which conditions hold for an incident as it has been judged.
pub(super) fn note(desk: &mut Desk<'_, '_>, number: u64, judged: &Enriched) {
    let rules = &desk.estate.lookup.escalations;
    let told = match judged.found.case.purpose {
        Purpose::Weigh => false,
        Purpose::Tell { verb, .. } => !matches!(verb, Verb::Merged | Verb::Closed),
        Purpose::Update => true,
    };
    let now = desk.now();
    let Some(incident) = desk.ledger.get(number).filter(|_| told) else {
        return;
    };
    if rules.is_empty() && incident.escalating.is_idle() {
        return;
    }
    // What is under a major incident is escalated there.
    let concerns = |rule: &&EscalationRule| {
        let stopped = incident.state == State::Acknowledged && rule.until == Until::Acknowledged;
        incident.is_active() && incident.over.is_none() && !stopped
    };
    let mut holding: Vec<&str> = Vec::new();
    if rules.iter().any(|rule| concerns(&rule)) {
        let record = record(incident, now, incident.revision, judged, &scene(desk));
        let fact = |name: &str| fact(&record, incident, name);
        let holds = |rule: &&EscalationRule| concerns(rule) && rule.holds(fact, &record.labels);
        holding = rules.iter().filter(holds).map(|rule| rule.name.as_str()).collect();
    }
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    incident.escalating.hold(&holding, now);
}

/// Takes what is due as told; whether anything is.
pub(super) fn take_due(desk: &mut Desk<'_, '_>, number: u64) -> bool {
    let (now, lookup) = (desk.now(), &desk.estate.lookup);
    let told = desk.ledger.get_mut(number).map_or(0, |incident| incident.escalating.take(now, lookup));
    desk.ledger.escalations += told;
    told > 0
}

/// Other rules may hold now: where there are any, every incident that goes on is asked.
pub(super) fn look_again(desk: &mut Desk<'_, '_>) {
    if desk.estate.lookup.escalations.is_empty() {
        return;
    }
    let active: Vec<u64> = desk.ledger.active().map(|(number, _)| number).collect();
    active.into_iter().for_each(|number| desk.look_again(number));
}

/// What a condition reads of an incident.
fn fact<'r>(record: &'r IncidentRecord, incident: &Incident, name: &str) -> Fact<'r> {
    let text = |text: &'r str| if text.is_empty() { Fact::Nothing } else { Fact::Text(text) };
    let number = |number: Option<f64>| number.map_or(Fact::Nothing, Fact::Number);
    let whole = |count: u64| Fact::Number(count as f64);
    let state = |deadline: Option<Deadline>| deadline.map_or(Fact::Nothing, |it| Fact::Text(it.state.name()));
    let respond = |level: &Option<ServiceLevel>| state(level.as_ref().and_then(|level| level.respond));
    let resolve = |level: &Option<ServiceLevel>| state(level.as_ref().and_then(|level| level.resolve));
    let owner = record.owner.as_ref();
    let impact = record.business_impact.as_ref();
    match name {
        "status" => Fact::Text(record.status.name()),
        "priority" => Fact::Text(record.priority.name()),
        "severity" => Fact::Text(record.severity.name()),
        "class" => text(&record.class),
        "environment" => text(&record.environment),
        "entity" => record.primary_entity.as_ref().map_or(Fact::Nothing, |entity| text(&entity.id)),
        "entity_type" => record.primary_entity.as_ref().map_or(Fact::Nothing, |entity| text(&entity.entity_type)),
        "team" => owner.map_or(Fact::Nothing, |owner| text(&owner.team)),
        "assignee" => owner.map_or(Fact::Nothing, |owner| text(&owner.assignee)),
        "sla" => record.sla.as_ref().map_or(Fact::Nothing, |level| text(&level.name)),
        "sla_respond" => respond(&record.sla),
        "sla_resolve" => resolve(&record.sla),
        "ola_respond" => respond(&record.ola),
        "ola_resolve" => resolve(&record.ola),
        "problem" => record.problem.as_ref().map_or(Fact::Nothing, |problem| text(&problem.id)),
        "breach_probability" => number(record.sla.as_ref().and_then(|level| level.breach_probability)),
        "confidence" => number(record.confidence),
        "impact" => number(record.impact.map(f64::from)),
        "urgency" => number(record.urgency.map(f64::from)),
        "alerts" => whole(record.alert_count),
        "services" => impact.map_or(Fact::Nothing, |impact| whole(impact.services)),
        "users" => impact.and_then(|impact| impact.users).map_or(Fact::Nothing, whole),
        "revenue_per_hour" => number(impact.and_then(|impact| impact.revenue_per_hour)),
        "children" => whole(incident.under.len() as u64),
        _ => Fact::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::INCIDENT_COLUMNS;
    use crate::time::EventTime;

    #[test]
    fn every_column_has_its_fact() {
        let at = "2026-03-01T10:00:00Z";
        let clock = serde_json::json!({"by": at, "state": "on_track"});
        let level = serde_json::json!({"name": "gold", "respond": clock, "resolve": clock, "breach_probability": 0.5});
        let record: IncidentRecord = serde_json::from_value(serde_json::json!({
            "schema_version": "2", "id": "inc_0", "dedup_key": "k", "revision": 1, "status": "open",
            "severity": "major", "priority": "P2", "impact": 1, "urgency": 2, "confidence": 0.5, "title": "t",
            "class": "c", "environment": "e", "opened_at": at, "updated_at": at, "entities": [], "alert_count": 1,
            "primary_entity": {"id": "service:a", "type": "service"}, "owner": {"team": "t", "assignee": "a"},
            "sla": level, "ola": level,
            "problem": {"id": "prb_0", "occurrences": 1, "window_days": 1, "first_at": at, "minutes": 0},
            "business_impact": {"entities_alerting": 1, "entities_at_risk": 0, "services": 1, "services_alerting": 1,
                "users": 4, "revenue_per_hour": 1.5},
        }))
        .expect("a record");
        let incident = Incident::candidate(bellwether_models::group::GroupId(0), EventTime(0), EventTime(0));
        for (name, _) in INCIDENT_COLUMNS {
            assert_ne!(fact(&record, &incident, name), Fact::Nothing, "{name}");
        }
    }
}
