//! The words of a record: its key, title and description, whom it hurts, and the labels with what no field holds.

use std::collections::BTreeMap;

use super::super::incident::Incident;
use super::parts::{Findings, RecordScene};
use crate::diagnose::explain_cause;
use crate::entity::entity_name;
use crate::incident::{BusinessImpact, NextEntity};

/// Entities expected to follow that a record lists.
const NEXT_SHOWN: usize = 10;
/// Business services and customers that a record lists.
const NAMES_SHOWN: usize = 20;
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

/// Whom it hurts, in figures.
pub(super) fn business_impact(found: &Findings<'_>, scene: &RecordScene<'_>) -> BusinessImpact {
    let blast = found.blast;
    let in_trouble = || {
        let alerting = blast.affected.iter().filter(|(_, affected)| affected.alerting);
        alerting.filter_map(|(id, _)| scene.lookup.items.get(id))
    };
    let next = found.next.iter().take(NEXT_SHOWN);
    BusinessImpact {
        entities_alerting: blast.alerting() as u64,
        entities_at_risk: blast.affected.len().saturating_sub(blast.alerting()) as u64,
        services: blast.of_type("service").count() as u64,
        services_alerting: blast.alerting_of_type("service").len() as u64,
        business_services: blast.of_type("business").take(NAMES_SHOWN).map(str::to_owned).collect(),
        customers: blast.customers.iter().take(NAMES_SHOWN).cloned().collect(),
        users: in_trouble().map(|item| item.users).max().filter(|users| *users > 0),
        revenue_per_hour: in_trouble().map(|item| item.revenue_per_hour).reduce(f64::max).filter(|cost| *cost > 0.0),
        next: next
            .map(|next| NextEntity {
                entity_id: next.entity.to_string(),
                likely_at: next.likely_at,
                expected_by: next.expected_by,
            })
            .collect(),
    }
}

pub(super) fn labels(incident: &Incident, found: &Findings<'_>, scene: &RecordScene<'_>) -> BTreeMap<String, String> {
    let mut labels = incident.labels.clone();
    let mut set = |name: &str, value: String| {
        labels.insert(name.to_owned(), value);
    };
    set("tenant", scene.tenant.to_owned());
    set("alerts.distinct", incident.members.len().to_string());
    set("alerts.firing", incident.live.len().to_string());
    if let Some((_, at)) = found.diagnosis.alerting.last() {
        set("alerts.last_onset", at.to_string());
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
    labels
}
