//! Builds the record of one judged incident at one moment: evidence, lists, words.

mod lists;
mod parts;
mod words;

use std::collections::BTreeMap;

pub(super) use parts::RecordScene;

use super::incident::{Incident, State};
use super::last_revision::{Footprint, LastRevision, NAMES_KEPT, REACH_MAX, reach_hash};
use crate::catalogue::Criticality;
use crate::diagnose::Diagnosed;
use crate::enrich::{Enriched, SlaClock, clip};
use crate::entity::{is_network, split_entity};
use crate::incident::{Assignment, DeadlineState, IncidentRecord, IncidentStatus, ModelInfo, SchemaVersion};
use crate::time::EventTime;
use lists::{alert_entries, changes, dress, entities, evidence, links, probable_causes, round3};
use parts::Findings;
use words::{business_impact, dedup_key, description, labels, title};

/// The record of `incident` at `now`. `revision` is the one it will carry.
pub(super) fn record(
    incident: &Incident,
    now: EventTime,
    revision: u64,
    judged: &Enriched,
    scene: &RecordScene<'_>,
) -> IncidentRecord {
    let found = &Findings::of(judged, scene);
    let item = scene.lookup.items.get(found.primary);
    let status = match incident.state {
        State::Candidate | State::Open => IncidentStatus::Open,
        State::Acknowledged => IncidentStatus::Acknowledged,
        State::Resolved => IncidentStatus::Resolved,
    };
    let evidence = evidence(incident, found, scene);
    let whole = [
        ("alerts", incident.members.len()),
        ("entities", found.blast.affected.len()),
        ("evidence", evidence.whole),
        ("probable_causes", found.diagnosis.causes.len()),
    ];
    let mut record = IncidentRecord {
        schema_version: SchemaVersion::V2,
        id: incident.id.clone(),
        dedup_key: dedup_key(found, scene),
        revision,
        status,
        status_reason: Some(incident.reason),
        severity: judged.severity,
        impact: Some(judged.assessment.impact),
        urgency: Some(judged.assessment.urgency),
        priority: judged.assessment.priority,
        confidence: found.diagnosis.causes.first().map(|c| round3(c.confidence)),
        title: clip(&title(found, scene), 130),
        description: description(&judged.words.summary, found, scene),
        summary: judged.words.summary.clone(),
        class: judged.found.class.name().to_owned(),
        started_at: (!found.members.is_empty()).then_some(found.diagnosis.onset),
        detected_at: Some(incident.detected_at),
        opened_at: incident.opened_at,
        updated_at: now,
        acknowledged_at: incident.acknowledged_at,
        resolved_at: incident.resolved_at,
        acknowledged_by: incident.acknowledged_by.clone(),
        merged_into: None,
        parent_id: incident.parent.clone(),
        primary_entity: Some(dress(found.primary, None, item)),
        entities: entities(found, scene),
        environment: item.map(|i| i.environment.clone()).unwrap_or_default(),
        owner: Some(judged.owner.clone()),
        assignment: Some(Assignment { by: judged.assigned_by, candidates: judged.words.candidates.clone() }),
        sla: judged.sla.as_ref().map(|clock| clock.level(judged.words.breach.map(round3))),
        ola: judged.ola.as_ref().map(|clock| clock.level(None)),
        time_left: judged.words.time_left,
        business_impact: Some(business_impact(found, scene)),
        problem: judged.words.problem.clone(),
        probable_causes: probable_causes(found, scene),
        changes: changes(found, scene),
        evidence: evidence.shown,
        alert_count: incident.alert_count,
        alerts: alert_entries(found, scene),
        truncated: false,
        detail_ref: String::new(),
        links: links(found, item),
        tickets: incident.tickets.clone(),
        similar: judged.words.similar.clone(),
        knowledge: judged.words.knowledge.clone(),
        escalations: incident.escalating.told.clone(),
        labels: labels(incident, found, scene),
        model: Some(ModelInfo {
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: scene.config_hash.to_owned(),
            policy: "evidence".to_owned(),
            run_id: String::new(),
        }),
    };
    let shown = [record.alerts.len(), record.entities.len(), record.evidence.len(), record.probable_causes.len()];
    for ((list, whole), _) in whole.into_iter().zip(shown).filter(|((_, whole), shown)| shown < whole) {
        record.note_cut(list, whole);
    }
    record
}

/// What a revision of a judged incident at `now` says, for later comparison.
pub(super) fn told(incident: &Incident, now: EventTime, judged: &Enriched, scene: &RecordScene<'_>) -> LastRevision {
    let found = &judged.found;
    LastRevision {
        at: now,
        severity: judged.severity,
        priority: judged.assessment.priority,
        class: found.class,
        cause: found.named.as_ref().map_or_else(String::new, |cause| match &cause.change {
            Some(change) => change.id.to_string(),
            None => found.primary.1.clone(),
        }),
        root: found.named.as_ref().map_or_else(String::new, |cause| scene.entities.text(cause.entity).to_owned()),
        confidence: found.diagnosis.confidence_of_root(),
        alerting: found.diagnosis.alerting.len(),
        affected: found.blast.affected.len(),
        alert_count: incident.alert_count,
        tickets: incident.tickets.len(),
        parent: incident.over.and(incident.parent.clone()),
        children: incident.under.len(),
        clocks: clocks_of(judged),
        clocks_due: [&judged.sla, &judged.ola]
            .into_iter()
            .flatten()
            .map(|clock| clock.due)
            .min()
            .unwrap_or(EventTime::MAX),
        footprint: footprint(found, scene),
    }
}

/// How the clocks of both agreements stand.
fn clocks_of(judged: &Enriched) -> [Option<DeadlineState>; 4] {
    let [sla, ola] = [&judged.sla, &judged.ola].map(|clock| clock.as_ref().map_or([None; 2], SlaClock::states));
    [sla[0], sla[1], ola[0], ola[1]]
}

/// Alerting entities asked which devices they are behind.
const DEVICES_ASKED_MAX: usize = 32;
/// Steps from an entity to a device that it is behind.
const DEVICE_HOPS: u8 = 3;

/// What relates the incident to others.
fn footprint(found: &Diagnosed, scene: &RecordScene<'_>) -> Footprint {
    let mut reach: Vec<u64> = found.blast.affected.keys().take(REACH_MAX).map(|id| reach_hash(id)).collect();
    reach.sort_unstable();
    let matters = |id: &&String| {
        let item = scene.lookup.items.get(*id);
        split_entity(id).0 == "business" || item.is_some_and(|item| item.criticality == Criticality::Critical)
    };
    let asked: Vec<_> = found.diagnosis.alerting.iter().take(DEVICES_ASKED_MAX).map(|(entity, _)| *entity).collect();
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    for entity in &asked {
        let own = std::iter::once(*entity);
        let needed = scene.topology.dependencies(*entity, DEVICE_HOPS).into_iter().map(|reach| reach.entity);
        for id in own.chain(needed).map(|entity| scene.entities.text(entity)) {
            if is_network(split_entity(id).0) {
                *before.entry(id).or_default() += 1;
            }
        }
    }
    let most = before.into_iter().filter(|(_, count)| count * 2 > asked.len());
    Footprint {
        onset: found.diagnosis.onset,
        cause: found.named.as_ref().map_or_else(String::new, |cause| scene.entities.text(cause.entity).to_owned()),
        at_home: found.named.as_ref().is_some_and(|c| found.diagnosis.alerting.iter().any(|(e, _)| *e == c.entity)),
        change: found
            .named
            .as_ref()
            .and_then(|cause| cause.change.as_ref())
            .map_or_else(String::new, |change| change.id.to_string()),
        reach,
        business: found.blast.affected.keys().filter(matters).take(NAMES_KEPT).cloned().collect(),
        devices: most.map(|(id, _)| id.to_owned()).take(NAMES_KEPT).collect(),
        places: found.shared.clone(),
    }
}
