//! Builds the record of one incident at one moment: diagnosis, enrichment, evidence, words.

use std::collections::BTreeMap;

use super::incident::{Incident, State, Told};
use crate::alert::{Alert, label};
use crate::catalogue::CatalogueItem;
use crate::config::EngineConfig;
use crate::correlate::Correlator;
use crate::dedup::Alerts;
use crate::diagnose::{
    self, Blast, Cause, Changes, Class, DepartedSeries, Diagnosis, Standing, blast_radius, classify, diagnose,
    explain_cause,
};
use crate::enrich::{
    Assessment, Facts, History, Lookup, SlaClock, assess, clip, clock, find_owner, narrate, pick_assignee, signature,
};
use crate::entity::{entity_name, entity_ref};
use crate::incident::{
    AlertEntry, AlertEntryStatus, CauseKind, ChangeEntry, EntityRef, EntityRole, EvidenceEntry, EvidenceSignal,
    IncidentRecord, IncidentStatus, Link, LinkRel, ModelInfo, Owner, ProbableCause, SchemaVersion,
};
use crate::signal::Severity;
use crate::symbols::Symbols;
use crate::time::EventTime;
use crate::topology::Topology;

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
    /// Open incidents per person.
    pub(crate) load: &'a BTreeMap<String, u32>,
}

/// Alerts examined for one record; the worst and earliest of a larger incident.
const ALERTS_EXAMINED_MAX: usize = 5_000;
const ALERTS_SHOWN: usize = 50;
const ENTITIES_SHOWN: usize = 50;
const EVIDENCE_SHOWN: usize = 30;
/// Share of the alerts that must agree in a label for it to be worth a word.
const SHARED_LABEL_SHARE: f64 = 0.9;

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
    let summary = narrate(&facts(incident, &found, item, similar.first(), &shared, scene));
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
        evidence: evidence(&found, scene),
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

fn find<'a>(incident: &Incident, now: EventTime, scene: &RecordScene<'a>) -> Findings<'a> {
    let mut members: Vec<&Alert> =
        incident.members.iter().filter_map(|fingerprint| scene.alerts.get(*fingerprint)).collect();
    members.sort_by_key(|a| {
        let worst_first = std::cmp::Reverse((a.is_live(), a.severity));
        (worst_first, a.starts_at, a.fingerprint)
    });
    members.truncate(ALERTS_EXAMINED_MAX);
    let diagnosis = diagnose(
        members.iter().copied(),
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
        let person = pick_assignee(&owner.team, skills, scene.lookup, scene.load);
        owner.assignee = person.unwrap_or_default();
    }
    let sla = clock(&blast, scene.lookup, assessment.priority, incident.opened_at);
    Findings { members, diagnosis, blast, class, assessment, severity, owner, sla, primary, named }
}

fn facts<'a>(
    incident: &Incident,
    found: &'a Findings<'a>,
    item: Option<&'a CatalogueItem>,
    similar: Option<&'a crate::incident::SimilarIncident>,
    shared: &'a [String],
    scene: &'a RecordScene<'a>,
) -> Facts<'a> {
    let first = found.members.iter().min_by_key(|a| (a.starts_at, a.fingerprint));
    let says = first.map_or("", |a| if a.summary().is_empty() { scene.names.text(a.name) } else { a.summary() });
    let first_entity = first.map_or("", |a| scene.entities.text(a.entity));
    let guess = found.named.as_ref().or_else(|| found.diagnosis.causes.first());
    Facts {
        onset: found.diagnosis.onset,
        last_onset: found.diagnosis.alerting.last().map_or(found.diagnosis.onset, |(_, at)| *at),
        first: (first_entity, says),
        alerts: incident.alert_count,
        alerting: found.diagnosis.alerting.len(),
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
        runbook: item.map(|i| i.runbook.as_str()).filter(|r| !r.is_empty()),
        shared,
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
    }
}

/// Stable over re-firings: what it is about, not when.
fn dedup_key(found: &Findings<'_>, scene: &RecordScene<'_>) -> String {
    let name =
        found.members.iter().min_by_key(|a| (a.starts_at, a.fingerprint)).map_or("", |a| scene.names.text(a.name));
    let mut key = format!("{}/{}/{}", scene.tenant, found.primary, name);
    let mut end = key.len().min(255);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    key.truncate(end);
    key
}

fn title(found: &Findings<'_>, scene: &RecordScene<'_>) -> String {
    let primary = entity_name(&found.primary);
    let hurt = found.diagnosis.alerting.len();
    let spread = match hurt {
        0 | 1 => String::new(),
        more => format!(": {more} entities in trouble"),
    };
    if let Some(change) = found.named.as_ref().and_then(|c| c.change.as_ref()) {
        return format!("Change {} on {primary}{spread}", change.id);
    }
    let own = found
        .members
        .iter()
        .filter(|a| scene.entities.text(a.entity) == found.primary)
        .min_by_key(|a| (std::cmp::Reverse(a.severity), a.starts_at, a.fingerprint));
    match own {
        Some(alert) => format!("{} on {primary}{spread}", scene.names.text(alert.name)),
        None => format!("{primary} ({}){spread}", found.class.name()),
    }
}

fn description(summary: &str, found: &Findings<'_>, shared: &[String], scene: &RecordScene<'_>) -> String {
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
    section("What nearly all alerts share", shared.to_vec());
    clip_bytes(text, 15_000)
}

fn clip_bytes(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
    }
    text
}

/// An entity with what the catalogue knows of it.
fn dress(id: &str, role: Option<EntityRole>, item: Option<&CatalogueItem>) -> EntityRef {
    let mut entity = entity_ref(id, role);
    if let Some(item) = item {
        entity.external_ids = item.external_ids.clone();
        if !item.environment.is_empty() {
            entity.attributes.insert("deployment.environment.name".to_owned(), item.environment.clone());
        }
    }
    entity
}

fn entities(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<EntityRef> {
    let cause = found.named.as_ref().map(|c| scene.entities.text(c.entity));
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

fn probable_causes(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<ProbableCause> {
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

fn changes(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<ChangeEntry> {
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

/// What detectors saw, strongest first, and why the grouping joined the alerts.
fn evidence(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<EvidenceEntry> {
    let mut seen: Vec<(&Alert, f64)> =
        found.members.iter().filter_map(|a| a.observation.as_ref().map(|o| (*a, o.score))).collect();
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
            detector: o.detector.to_string(),
            text: clip(alert.summary(), 512),
            trace_id: String::new(),
            span_id: String::new(),
            url: String::new(),
        })
    });
    let grouped = found.members.iter().take(EVIDENCE_SHOWN / 2).filter_map(|alert| {
        let placement = scene.correlator.placement(alert.fingerprint)?;
        let other = scene.alerts.get(placement.linked_to?)?;
        let [time, topology, text, learned] = placement.evidence.values();
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
                "grouped with {} on {}: time {time:.2}, topology {topology:.2}, text {text:.2}, learned {learned:.2}",
                scene.names.text(other.name),
                scene.entities.text(other.entity),
            ),
            trace_id: String::new(),
            span_id: String::new(),
            url: String::new(),
        })
    });
    observed.chain(grouped).collect()
}

fn alert_entries(found: &Findings<'_>, scene: &RecordScene<'_>) -> Vec<AlertEntry> {
    let map = |pairs: &crate::alert::LabelSet| {
        pairs.iter().map(|(name, value)| (name.to_string(), clip(value, 512))).collect()
    };
    let shown = found.members.iter().take(ALERTS_SHOWN);
    shown
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

fn links(found: &Findings<'_>, item: Option<&CatalogueItem>) -> Vec<Link> {
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

fn labels(
    incident: &Incident,
    now: EventTime,
    found: &Findings<'_>,
    shared: &[String],
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
    if !found.blast.customers.is_empty() {
        let customers: Vec<&str> = found.blast.customers.iter().map(String::as_str).take(20).collect();
        set("impact.customers", customers.join(", "));
    }
    if !shared.is_empty() {
        set("shared", shared.join(", "));
    }
    if let Some(sla) = &found.sla {
        set("sla.name", sla.name.clone());
        if let Some(at) = sla.respond_by {
            set("sla.respond_by", at.to_string());
        }
        if let Some(at) = sla.resolve_by {
            set("sla.resolve_by", at.to_string());
            let limit = at.since(incident.opened_at);
            let own = signature(signature_parts(found, scene));
            let chance = scene.history.chance_longer_than(limit, &own, scene.config.enrich.similar_min);
            if let Some(chance) = chance {
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

/// `name=value` pairs that nearly all alerts carry and that are not the same for every alert
/// of the tenant anyway (that is the tenant's job, so only places are considered).
fn shared_labels(members: &[&Alert]) -> Vec<String> {
    const PLACES: [&str; 8] = ["region", "zone", "site", "datacenter", "line", "cluster", "environment", "customer"];
    let mut shared = Vec::new();
    for place in PLACES {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for value in members.iter().filter_map(|a| label(&a.labels, place)) {
            *counts.entry(value).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value)));
        if let Some((value, count)) = most
            && members.len() > 1
            && *count as f64 >= SHARED_LABEL_SHARE * members.len() as f64
        {
            shared.push(format!("{place}={value}"));
        }
    }
    shared
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

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
