//! The words of a record: its key, title and description, and the labels with what no field holds.

use std::collections::BTreeMap;

use super::super::incident::Incident;
use super::parts::{Findings, RecordScene};
use crate::diagnose::explain_cause;
use crate::enrich::Enriched;
use crate::entity::entity_name;
use crate::time::EventTime;

/// Entities expected to follow that a label lists: id, likely time, time by which nine in ten follow.
const NEXT_SHOWN: usize = 10;
/// Ids of incidents under a major one that a label lists; the count is beside them.
const CHILDREN_SHOWN: usize = 100;

/// Stable over re-firings: what it is about, not when.
pub(super) fn dedup_key(found: &Findings<'_>, scene: &RecordScene<'_>) -> String {
    let name = found.first.map_or("", |a| scene.names.text(a.name));
    let mut key = format!("{}/{}/{}", scene.tenant, found.primary, name);
    let mut end = key.len().min(255);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    key.truncate(end);
    key
}

pub(super) fn title(found: &Findings<'_>, scene: &RecordScene<'_>) -> String {
    let primary = entity_name(found.primary);
    let hurt = found.diagnosis.alerting.len();
    let spread = match hurt {
        0 | 1 => String::new(),
        more => format!(": {more} entities in trouble"),
    };
    if let Some(change) = found.named.and_then(|c| c.change.as_ref()) {
        return format!("Change {} on {primary}{spread}", change.id);
    }
    let own = found
        .members
        .iter()
        .filter(|a| scene.entities.text(a.entity) == found.primary)
        .min_by_key(|a| (std::cmp::Reverse(a.severity), a.began_at, a.fingerprint));
    match own {
        Some(alert) => format!("{} on {primary}{spread}", scene.names.text(alert.name)),
        None => format!("{primary} ({}){spread}", found.class.name()),
    }
}

pub(super) fn description(summary: &str, found: &Findings<'_>, scene: &RecordScene<'_>) -> String {
    let mut text = String::from(summary);
    let mut section = |head: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str("\n\n");
            text.push_str(head);
            for line in lines {
                text.push_str("\n- ");
                text.push_str(&line);
            }
        }
    };
    let causes = found.diagnosis.causes.iter().take(5).map(|cause| {
        let sure = cause.confidence * 100.0;
        let name = entity_name(scene.entities.text(cause.entity));
        format!("{name} ({sure:.0} %): {}", explain_cause(cause, scene.entities))
    });
    section("Probable causes", causes.collect());
    let timeline =
        found.diagnosis.alerting.iter().take(15).map(|(entity, at)| format!("{at} {}", scene.entities.text(*entity)));
    section("Order of first symptoms", timeline.collect());
    section("What nearly all alerts share", found.shared.to_vec());
    clip_bytes(text, 15_000)
}

fn clip_bytes(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
    }
    text
}

pub(super) fn labels(
    incident: &Incident,
    now: EventTime,
    found: &Findings<'_>,
    judged: &Enriched,
    scene: &RecordScene<'_>,
) -> BTreeMap<String, String> {
    let mut labels = incident.labels.clone();
    let mut set = |name: &str, value: String| {
        labels.insert(name.to_owned(), value);
    };
    set("tenant", scene.tenant.to_owned());
    set("alerts.distinct", incident.members.len().to_string());
    set("alerts.firing", incident.live.len().to_string());
    set("impact.entities_alerting", found.blast.alerting().to_string());
    let next = found.blast.affected.len().saturating_sub(found.blast.alerting());
    set("impact.entities_at_risk", next.to_string());
    set("impact.services", found.blast.of_type("service").count().to_string());
    set("impact.services_alerting", found.blast.alerting_of_type("service").len().to_string());
    let business: Vec<&str> = found.blast.of_type("business").take(20).collect();
    if !business.is_empty() {
        set("impact.business_services", business.join(", "));
    }
    if let Some((_, at)) = found.diagnosis.alerting.last() {
        set("alerts.last_onset", at.to_string());
    }
    if !found.next.is_empty() {
        let told = found.next.iter().take(NEXT_SHOWN);
        let told = told.map(|n| format!("{} {} {}", n.entity, n.likely_at, n.expected_by));
        set("impact.next", told.collect::<Vec<_>>().join(", "));
    }
    if !found.blast.customers.is_empty() {
        let customers: Vec<&str> = found.blast.customers.iter().map(String::as_str).take(20).collect();
        set("impact.customers", customers.join(", "));
    }
    if !incident.under.is_empty() {
        set("major.incidents", incident.under.len().to_string());
        let mut ids: Vec<&str> =
            incident.under.keys().filter_map(|n| scene.ledger.get(*n)).map(|child| child.id.as_str()).collect();
        ids.sort_unstable();
        set("major.children", ids.into_iter().take(CHILDREN_SHOWN).collect::<Vec<_>>().join(", "));
    }
    if !found.shared.is_empty() {
        set("shared", found.shared.join(", "));
    }
    if let Some(sla) = found.sla {
        set("sla.name", sla.name.clone());
        if let Some(at) = sla.respond_by {
            set("sla.respond_by", at.to_string());
        }
        if let Some(at) = sla.resolve_by {
            set("sla.resolve_by", at.to_string());
            if let Some(chance) = judged.words.breach {
                set("sla.breach_probability", format!("{chance:.2}"));
            }
            if incident.is_active() && now > at {
                set("sla.breached", "true".to_owned());
            }
        }
    }
    if !incident.acknowledged_by.is_empty() {
        set("acknowledged_by", incident.acknowledged_by.clone());
    }
    labels
}
