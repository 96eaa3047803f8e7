//! The lists of a record: entities, causes, changes, evidence, alerts, links.

use super::super::incident::Incident;
use super::super::major::Tie;
use super::parts::{Findings, RecordScene};
use crate::alert::{Alert, label};
use crate::catalogue::CatalogueItem;
use crate::diagnose::explain_cause;
use crate::enrich::clip;
use crate::entity::entity_ref;
use crate::incident::{
    AlertEntry, AlertEntryStatus, CauseKind, ChangeEntry, EntityRef, EntityRole, EvidenceEntry, EvidenceSignal, Link,
    LinkRel, ProbableCause,
};

const ALERTS_SHOWN: usize = 50;
const ENTITIES_SHOWN: usize = 50;
const EVIDENCE_SHOWN: usize = 30;
/// Related incidents whose reasons are shown.
const HIERARCHY_SHOWN: usize = 10;
/// What the schema allows.
const EVIDENCE_MAX: usize = 50;

/// An entity with what the catalogue knows of it.
pub(super) fn dress(id: &str, role: Option<EntityRole>, item: Option<&CatalogueItem>) -> EntityRef {
    let mut entity = entity_ref(id, role);
    if let Some(item) = item {
        entity.external_ids = item.external_ids.clone();
        if !item.environment.is_empty() {
            entity.attributes.insert("deployment.environment.name".to_owned(), item.environment.clone());
        }
    }
    entity
}

pub(super) fn entities(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<EntityRef> {
    let cause = found.named.map(|c| scene.entities.text(c.entity));
    let role = |id: &str| match found.blast.affected.get(id) {
        _ if Some(id) == cause => EntityRole::Cause,
        Some(affected) if affected.alerting => EntityRole::Affected,
        _ => EntityRole::Related,
    };
    let mut ids: Vec<(&String, u8)> = found.blast.affected.iter().map(|(id, a)| (id, a.hops)).collect();
    let rank = |id: &str| match role(id) {
        EntityRole::Cause => 0,
        EntityRole::Affected => 1,
        EntityRole::Related => 2,
    };
    ids.sort_by_key(|(id, hops)| (rank(id), *hops, (*id).clone()));
    ids.into_iter().take(ENTITIES_SHOWN).map(|(id, _)| dress(id, Some(role(id)), scene.lookup.items.get(id))).collect()
}

pub(super) fn probable_causes(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<ProbableCause> {
    let causes = found.diagnosis.causes.iter().take(10).enumerate();
    causes
        .map(|(i, cause)| {
            let id = scene.entities.text(cause.entity);
            let (kind, reference) = match &cause.change {
                Some(change) => (CauseKind::Change, change.id.to_string()),
                None => (CauseKind::Entity, id.to_owned()),
            };
            ProbableCause {
                rank: i as u64 + 1,
                kind,
                reference,
                entity: Some(entity_ref(id, None)),
                score: round3(cause.confidence),
                explanation: clip(&explain_cause(cause, scene.entities), 1_024),
            }
        })
        .collect()
}

pub(super) fn changes(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<ChangeEntry> {
    let near = found.diagnosis.changes.iter();
    near.map(|(change, score)| ChangeEntry {
        id: change.id.to_string(),
        change_type: change.change_type.to_string(),
        at: change.at,
        entity_id: scene.entities.text(change.entity).to_owned(),
        artifact: change.artifact.as_deref().unwrap_or("").to_owned(),
        url: change.url.as_deref().filter(|u| is_link(u)).unwrap_or("").to_owned(),
        score: Some(round3(*score)),
    })
    .collect()
}

/// What is told of the evidence, and how much of it there is.
pub(super) struct Evidence {
    pub(super) shown: Vec<EvidenceEntry>,
    pub(super) whole: usize,
}

/// What detectors saw, strongest first, and why the grouping joined the alerts.
pub(super) fn evidence(incident: &Incident, found: &Findings<'_>, scene: &RecordScene<'_>) -> Evidence {
    let mut seen: Vec<(&Alert, f64)> = found
        .members
        .iter()
        .chain(&found.evidence)
        .filter_map(|a| a.observation.as_ref().map(|o| (*a, o.score)))
        .collect();
    seen.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.fingerprint.cmp(&b.0.fingerprint)));
    let observed = seen.iter().take(EVIDENCE_SHOWN).filter_map(|(alert, _)| {
        let o = alert.observation.as_ref()?;
        Some(EvidenceEntry {
            signal: o.signal,
            at: alert.starts_at,
            name: clip(&o.name, 200),
            entity_id: scene.entities.text(alert.entity).to_owned(),
            value: o.value.filter(|v| v.is_finite()),
            expected: o.expected.filter(|v| v.is_finite()),
            score: Some(round3(o.score)),
            detector: o.detector.name().to_owned(),
            text: clip(alert.summary(), 512),
            trace_id: String::new(),
            span_id: String::new(),
            url: String::new(),
        })
    });
    let linked = |alert: &&Alert| {
        let placement = scene.correlator.placement(alert.fingerprint)?;
        Some((placement, scene.alerts.get(placement.linked_to?)?))
    };
    let grouped = found.members.iter().take(EVIDENCE_SHOWN / 2).filter_map(|alert| {
        let (placement, other) = linked(alert)?;
        let [time, topology, text, learned] = placement.evidence.values();
        let naming = Some(placement.naming()).filter(|naming| !naming.is_empty());
        let naming = naming.map(|naming| format!(" ({naming})")).unwrap_or_default();
        Some(EvidenceEntry {
            signal: EvidenceSignal::Event,
            at: alert.starts_at,
            name: scene.names.text(alert.name).to_owned(),
            entity_id: scene.entities.text(alert.entity).to_owned(),
            value: None,
            expected: None,
            score: Some(round3(placement.score)),
            detector: "correlate".to_owned(),
            text: format!(
                "grouped with {} on {}: time {time:.2}, topology {topology:.2}, text {text:.2}{naming}, learned {learned:.2}",
                scene.names.text(other.name),
                scene.entities.text(other.entity),
            ),
            trace_id: String::new(),
            span_id: String::new(),
            url: String::new(),
        })
    });
    let related = hierarchy(incident, scene);
    let joined = found.members.iter().filter(|alert| linked(alert).is_some()).count();
    let ties = if incident.over.is_some() { related.len() } else { incident.under.len() };
    let whole = ties + seen.len() + joined;
    Evidence { shown: related.into_iter().chain(observed).chain(grouped).take(EVIDENCE_MAX).collect(), whole }
}

/// Why incidents are under this one, best related first, or why it is under another.
fn hierarchy(incident: &Incident, scene: &RecordScene<'_>) -> Vec<EvidenceEntry> {
    let over = incident.over.and_then(|number| scene.ledger.get(number));
    let mut ties: Vec<(&Incident, &Tie, &str)> = match over {
        Some(major) => {
            let own = major.under.values().zip(major.under.keys()).filter_map(|(tie, number)| {
                let child = scene.ledger.get(*number)?;
                (child.id == incident.id).then_some((major, tie, "under"))
            });
            own.collect()
        }
        None => {
            let children = incident.under.iter();
            children.filter_map(|(number, tie)| Some((scene.ledger.get(*number)?, tie, "over"))).collect()
        }
    };
    ties.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then_with(|| a.0.id.cmp(&b.0.id)));
    let entry = |(other, tie, place): (&Incident, &Tie, &str)| EvidenceEntry {
        signal: EvidenceSignal::Event,
        at: other.opened_at,
        name: other.id.clone(),
        entity_id: other.told.as_ref().map_or_else(String::new, |told| told.footprint.cause.clone()),
        value: None,
        expected: None,
        score: Some(round3(tie.score)),
        detector: "hierarchy".to_owned(),
        text: clip(&format!("{place} {}: {}", other.id, tie.why.join("; ")), 512),
        trace_id: String::new(),
        span_id: String::new(),
        url: String::new(),
    };
    ties.into_iter().take(HIERARCHY_SHOWN).map(entry).collect()
}

pub(super) fn alert_entries(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<AlertEntry> {
    let map = |pairs: &crate::alert::LabelSet| {
        pairs.iter().map(|(name, value)| (name.to_string(), clip(value, 512))).collect()
    };
    // The worst come first; the one that showed trouble first is there in any case.
    let first = found.first;
    let mut shown: Vec<&Alert> = found.members.iter().take(ALERTS_SHOWN).copied().collect();
    if let Some(first) = first.filter(|first| !shown.iter().any(|alert| alert.fingerprint == first.fingerprint)) {
        shown.pop();
        shown.push(first);
    }
    shown
        .into_iter()
        .map(|alert| AlertEntry {
            fingerprint: format!("{:016x}", alert.fingerprint),
            source: scene.names.text(alert.source).to_owned(),
            name: scene.names.text(alert.name).to_owned(),
            status: if alert.is_firing() { AlertEntryStatus::Firing } else { AlertEntryStatus::Resolved },
            starts_at: alert.starts_at,
            ends_at: alert.resolved_at.filter(|_| !alert.is_firing()),
            labels: map(&alert.labels),
            annotations: map(&alert.annotations),
            url: alert.url.as_deref().filter(|u| is_link(u)).unwrap_or("").to_owned(),
        })
        .collect()
}

/// Only http and https go out: the page turns these into links.
fn is_link(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

pub(super) fn links(found: &Findings<'_>, item: Option<&CatalogueItem>) -> Vec<Link> {
    let from_item = item
        .into_iter()
        .flat_map(|item| [(LinkRel::Runbook, item.runbook.as_str()), (LinkRel::Dashboard, item.dashboard.as_str())]);
    let from_alerts = found.members.iter().take(5).flat_map(|alert| {
        [
            (LinkRel::Runbook, label(&alert.annotations, "runbook_url").unwrap_or("")),
            (LinkRel::Source, alert.url.as_deref().unwrap_or("")),
        ]
    });
    let mut links: Vec<Link> = Vec::new();
    for (rel, href) in from_item.chain(from_alerts) {
        if is_link(href) && !links.iter().any(|l| l.href == href) && links.len() < 10 {
            links.push(Link { rel, href: href.to_owned(), text: String::new() });
        }
    }
    links
}

pub(super) fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
