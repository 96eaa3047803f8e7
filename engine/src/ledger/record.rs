//! Builds the record of one incident at one moment: diagnosis, enrichment, evidence, words.

mod lists;
mod words;

use std::collections::BTreeMap;

use super::Ledger;
use super::incident::{Incident, State, Told};
use super::major::{Footprint, NAMES_KEPT, REACH_MAX, reach_hash};
use crate::alert::Alert;
use crate::catalogue::{CatalogueItem, Criticality};
use crate::config::EngineConfig;
use crate::correlate::Correlator;
use crate::dedup::Alerts;
use crate::diagnose::{
    self, Blast, Cause, Changes, Class, DepartedSeries, Diagnosis, Next, Standing, blast_radius, classify, diagnose,
    who_is_next,
};
use crate::enrich::{
    Assessment, Facts, History, Lookup, Place, SlaClock, assess, clip, clock, find_owner, narrate, pick_assignee,
    signature,
};
use crate::entity::{is_network, split_entity};
use crate::incident::{IncidentRecord, IncidentStatus, ModelInfo, Owner, SchemaVersion};
use crate::signal::Severity;
use crate::symbols::Symbols;
use crate::time::EventTime;
use crate::topology::Topology;
use lists::{alert_entries, changes, dress, entities, evidence, links, probable_causes, round3};
use words::{dedup_key, description, labels, shared_labels, title};

/// Everything a record is built from beside the incident itself.
pub(crate) struct RecordScene<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) config: &'a EngineConfig,
    pub(crate) config_hash: &'a str,
    pub(crate) alerts: &'a Alerts,
    pub(crate) names: &'a Symbols,
    pub(crate) entities: &'a Symbols,
    pub(crate) topology: &'a Topology,
    pub(crate) lookup: &'a Lookup,
    pub(crate) changes: &'a Changes,
    pub(crate) standing: &'a Standing,
    pub(crate) departed: &'a DepartedSeries,
    pub(crate) history: &'a History,
    pub(crate) correlator: &'a Correlator,
    pub(crate) ledger: &'a Ledger,
}

/// Alerts examined for one record; the worst and earliest of a larger incident.
const ALERTS_EXAMINED_MAX: usize = 5_000;

/// The findings that the parts of a record share.
struct Findings<'a> {
    members: Vec<&'a Alert>,
    diagnosis: Diagnosis,
    blast: Blast,
    class: Class,
    assessment: Assessment,
    severity: Severity,
    owner: Owner,
    sla: Option<SlaClock>,
    primary: String,
    named: Option<Cause>,
    /// Who is expected to follow, soonest first.
    next: Vec<Next>,
}

impl<'a> Findings<'a> {
    /// The alert that began first.
    fn first(&self) -> Option<&'a Alert> {
        self.members.iter().copied().min_by_key(|alert| (alert.began_at, alert.fingerprint))
    }
}

/// The record of `incident` at `now`, and what it says for later comparison. `revision` is the
/// one it will carry.
pub(crate) fn build_record(
    incident: &Incident,
    now: EventTime,
    revision: u64,
    scene: &RecordScene<'_>,
) -> (IncidentRecord, Told) {
    let found = find(incident, now, scene);
    let similar = scene.history.similar(&signature(signature_parts(&found, scene)), scene.config.enrich.similar_min);
    let item = scene.lookup.items.get(&found.primary);
    let shared = shared_labels(&found.members);
    let summary = narrate(&facts(incident, now, &found, item, similar.first(), &shared, scene));
    let told = told(incident, now, &found, scene);
    let status = match incident.state {
        State::Candidate | State::Open => IncidentStatus::Open,
        State::Acknowledged => IncidentStatus::Acknowledged,
        State::Resolved => IncidentStatus::Resolved,
    };
    let record = IncidentRecord {
        schema_version: SchemaVersion::V1,
        id: incident.id.clone(),
        dedup_key: dedup_key(&found, scene),
        revision,
        status,
        status_reason: Some(incident.reason),
        severity: found.severity,
        impact: Some(found.assessment.impact),
        urgency: Some(found.assessment.urgency),
        priority: found.assessment.priority,
        confidence: found.diagnosis.causes.first().map(|c| round3(c.confidence)),
        title: clip(&title(&found, scene), 130),
        description: description(&summary, &found, &shared, scene),
        summary,
        class: found.class.name().to_owned(),
        started_at: (!found.members.is_empty()).then_some(found.diagnosis.onset),
        detected_at: Some(incident.detected_at),
        opened_at: incident.opened_at,
        updated_at: now,
        acknowledged_at: incident.acknowledged_at,
        resolved_at: incident.resolved_at,
        merged_into: None,
        parent_id: incident.parent.clone(),
        primary_entity: Some(dress(&found.primary, None, item)),
        entities: entities(&found, scene),
        environment: item.map(|i| i.environment.clone()).unwrap_or_default(),
        owner: Some(found.owner.clone()),
        probable_causes: probable_causes(&found, scene),
        changes: changes(&found, scene),
        evidence: evidence(incident, &found, scene),
        alert_count: incident.alert_count,
        alerts: alert_entries(&found, scene),
        truncated: found.members.len() < incident.members.len(),
        detail_ref: String::new(),
        links: links(&found, item),
        tickets: incident.tickets.clone(),
        similar,
        labels: labels(incident, now, &found, &shared, scene),
        model: Some(ModelInfo {
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: scene.config_hash.to_owned(),
            policy: "evidence".to_owned(),
            run_id: String::new(),
        }),
    };
    (record, told)
}

/// What a revision of `incident` at `now` would tell, without its lists and words.
pub(crate) fn would_tell(incident: &Incident, now: EventTime, scene: &RecordScene<'_>) -> Told {
    told(incident, now, &find(incident, now, scene), scene)
}

fn find<'a>(incident: &Incident, now: EventTime, scene: &RecordScene<'a>) -> Findings<'a> {
    let mut members: Vec<&Alert> =
        incident.members.iter().filter_map(|fingerprint| scene.alerts.get(*fingerprint)).collect();
    members.sort_by_key(|a| {
        let worst_first = std::cmp::Reverse((a.is_live(), a.severity));
        (worst_first, a.began_at, a.fingerprint)
    });
    members.truncate(ALERTS_EXAMINED_MAX);
    let diagnosis = diagnose(
        members.iter().map(|alert| (*alert, alert.began_at)).chain(incident.left_alerts(scene.alerts)),
        &diagnose::Scene {
            config: &scene.config.diagnose,
            topology: scene.topology,
            entities: scene.entities,
            changes: scene.changes,
            alerts: scene.alerts,
            standing: scene.standing,
            departed: scene.departed,
        },
    );
    let named = diagnosis.named(&scene.config.diagnose).cloned();
    let primary_sym = diagnosis.primary();
    let primary = primary_sym.map_or_else(String::new, |e| scene.entities.text(e).to_owned());
    let alerting: Vec<_> = diagnosis.alerting.iter().map(|(e, _)| *e).collect();
    let blast = blast_radius(
        named.as_ref().map(|c| c.entity),
        &alerting,
        scene.topology,
        scene.entities,
        &scene.lookup.items,
        scene.config.diagnose.hops_max,
    );
    let by_change = named.as_ref().is_some_and(|c| c.change.is_some());
    let class = classify(by_change, &primary, members.iter().copied(), scene.names, scene.entities);
    let live_severity = members.iter().filter(|a| a.is_live()).map(|a| a.severity).max();
    let severity = live_severity.unwrap_or(incident.severity).max(incident.severity);
    let assessment = assess(&blast, severity);
    let settled = incident.owner_is_settled(now, &scene.config.ledger);
    let default_team = &scene.config.enrich.default_team;
    let fitting = find_owner(primary_sym, scene.lookup, scene.topology, scene.entities, default_team);
    let mut owner = match &incident.owner {
        Some(owner) if settled || owner.team == fitting.team => owner.clone(),
        _ => fitting,
    };
    if owner.assignee.is_empty() && scene.config.enrich.assign_people {
        let skills = scene.lookup.items.get(&primary).map_or(&[][..], |i| &i.skills[..]);
        let person = pick_assignee(&owner.team, skills, scene.lookup, scene.ledger.load());
        owner.assignee = person.unwrap_or_default();
    }
    let next = named.as_ref().map_or_else(Vec::new, |cause| {
        let around = (scene.topology, &scene.correlator.delays, scene.entities);
        let hops = scene.config.diagnose.hops_max;
        who_is_next(cause.entity, diagnosis.onset, &diagnosis.alerting, now, around, hops)
    });
    let sla = clock(&blast, scene.lookup, assessment.priority, incident.opened_at);
    Findings { members, diagnosis, blast, class, assessment, severity, owner, sla, primary, named, next }
}

fn facts<'a>(
    incident: &'a Incident,
    now: EventTime,
    found: &'a Findings<'a>,
    item: Option<&'a CatalogueItem>,
    similar: Option<&'a crate::incident::SimilarIncident>,
    shared: &'a [String],
    scene: &'a RecordScene<'a>,
) -> Facts<'a> {
    let first = found.first();
    let says = first.map_or("", |a| if a.summary().is_empty() { scene.names.text(a.name) } else { a.summary() });
    let first_entity = first.map_or("", |a| scene.entities.text(a.entity));
    let in_order = found.diagnosis.alerting.iter().map(|(entity, _)| scene.entities.text(*entity));
    let guess = found.named.as_ref().or_else(|| found.diagnosis.causes.first());
    Facts {
        onset: found.diagnosis.onset,
        last_onset: found.diagnosis.alerting.last().map_or(found.diagnosis.onset, |(_, at)| *at),
        first: (first_entity, says),
        then: in_order.filter(|entity| *entity != first_entity).collect(),
        alerts: incident.alert_count,
        over: incident.resolved_at,
        cause: guess.map(|cause| (cause, scene.entities.text(cause.entity))),
        cause_is_sure: found.named.is_some(),
        blast: &found.blast,
        class: found.class,
        owner: &found.owner,
        priority: found.assessment.priority,
        impact: found.assessment.impact,
        urgency: found.assessment.urgency,
        sla: found.sla.as_ref(),
        similar,
        place: place(incident),
        next: found.next.first(),
        now,
        runbook: item.map(|i| i.runbook.as_str()).filter(|r| !r.is_empty()),
        shared,
    }
}

/// Its place among the incidents, as the narrative says it.
fn place(incident: &Incident) -> Place<'_> {
    match (&incident.parent, incident.under.len()) {
        (_, children @ 1..) => Place::Over(children),
        (Some(parent), _) if incident.over.is_some() => Place::Under(parent),
        _ => Place::Alone,
    }
}

fn told(incident: &Incident, now: EventTime, found: &Findings<'_>, scene: &RecordScene<'_>) -> Told {
    Told {
        at: now,
        severity: found.severity,
        priority: found.assessment.priority,
        cause: found.named.as_ref().map_or_else(String::new, |cause| match &cause.change {
            Some(change) => change.id.to_string(),
            None => found.primary.clone(),
        }),
        root: found.named.as_ref().map_or_else(String::new, |cause| scene.entities.text(cause.entity).to_owned()),
        confidence: found.diagnosis.confidence_of_root(),
        alerting: found.diagnosis.alerting.len(),
        affected: found.blast.affected.len(),
        alert_count: incident.alert_count,
        tickets: incident.tickets.len(),
        parent: incident.over.and(incident.parent.clone()),
        children: incident.under.len(),
        footprint: footprint(found, scene),
    }
}

/// Alerting entities asked which devices they are behind.
const DEVICES_ASKED_MAX: usize = 32;
/// Steps from an entity to a device that it is behind.
const DEVICE_HOPS: u8 = 3;

/// What relates the incident to others.
fn footprint(found: &Findings<'_>, scene: &RecordScene<'_>) -> Footprint {
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
        places: shared_labels(&found.members),
    }
}

fn signature_parts<'a>(found: &'a Findings<'_>, scene: &'a RecordScene<'_>) -> impl Iterator<Item = &'a str> {
    let names = found.members.iter().map(|a| scene.names.text(a.name));
    let entities = found.diagnosis.alerting.iter().map(|(e, _)| scene.entities.text(*e));
    std::iter::once(found.class.name()).chain(std::iter::once(found.primary.as_str())).chain(entities).chain(names)
}

/// Signature of a closing incident, for the history.
pub(crate) fn closing_signature(incident: &Incident, scene: &RecordScene<'_>) -> Vec<u64> {
    let found = find(incident, incident.resolved_at.unwrap_or(incident.opened_at), scene);
    signature(signature_parts(&found, scene))
}
