//! What a template may name: the record with nothing left out, and the same in words where that is shorter.

use bellwether_engine::incident::{
    Article, Deadline, EntityRole, Escalation, IncidentRecord, LinkRel, ServiceLevel, TimeLeft,
};
use bellwether_engine::time::EventTime;
use serde::Serialize;

/// A record for templates. What is not there is empty.
#[derive(Serialize)]
pub(super) struct Page<'r> {
    tenant: &'r str,
    id: &'r str,
    dedup_key: &'r str,
    revision: u64,
    status: String,
    status_reason: String,
    severity: String,
    priority: &'static str,
    impact: u8,
    urgency: u8,
    title: &'r str,
    summary: &'r str,
    description: &'r str,
    class: &'r str,
    environment: &'r str,
    started_at: String,
    opened_at: String,
    updated_at: String,
    acknowledged_at: String,
    resolved_at: String,
    merged_into: &'r str,
    parent_id: &'r str,
    entity: &'r str,
    affected: Vec<&'r str>,
    team: &'r str,
    assignment_group: &'r str,
    assignee: &'r str,
    escalation: &'r str,
    cause: &'r str,
    cause_why: &'r str,
    confidence: u8,
    causes: Vec<Cause<'r>>,
    changes: Vec<ChangeLine<'r>>,
    alerts: Vec<AlertLine<'r>>,
    alert_count: u64,
    customers: String,
    business_services: String,
    users: u64,
    revenue_per_hour: f64,
    sla: Agreement<'r>,
    ola: Agreement<'r>,
    /// Nothing where nobody knows.
    time_left: TimeLeft,
    assigned_by: String,
    candidates: Vec<CandidateLine<'r>>,
    problem: Option<Problem<'r>>,
    knowledge: &'r [Article],
    escalations: &'r [Escalation],
    acknowledged_by: &'r str,
    runbooks: Vec<&'r str>,
    similar: Vec<Similar<'r>>,
    labels: &'r std::collections::BTreeMap<String, String>,
    news: &'r [String],
}

#[derive(Serialize)]
struct Cause<'r> {
    rank: u64,
    what: &'r str,
    entity: &'r str,
    score: u8,
    why: &'r str,
}

#[derive(Serialize)]
struct ChangeLine<'r> {
    id: &'r str,
    what: &'r str,
    entity: &'r str,
    at: String,
    url: &'r str,
}

#[derive(Serialize)]
struct AlertLine<'r> {
    name: &'r str,
    source: &'r str,
    status: String,
    since: String,
    url: &'r str,
}

#[derive(Serialize)]
struct Similar<'r> {
    id: &'r str,
    ticket: &'r str,
    score: u8,
    resolution: &'r str,
}

/// What was promised; empty words where nothing was.
#[derive(Default, Serialize)]
struct Agreement<'r> {
    name: &'r str,
    respond_by: String,
    respond: &'static str,
    resolve_by: String,
    resolve: &'static str,
    /// In percent.
    breach: u8,
}

impl<'r> Agreement<'r> {
    fn of(level: Option<&'r ServiceLevel>) -> Agreement<'r> {
        let Some(level) = level else { return Agreement::default() };
        let by =
            |deadline: Option<Deadline>| deadline.and_then(|it| it.by).map(|at| at.to_string()).unwrap_or_default();
        let state = |deadline: Option<Deadline>| deadline.map_or("", |it| it.state.name());
        Agreement {
            name: &level.name,
            respond_by: by(level.respond),
            respond: state(level.respond),
            resolve_by: by(level.resolve),
            resolve: state(level.resolve),
            breach: level.breach_probability.map_or(0, percent),
        }
    }
}

#[derive(Serialize)]
struct CandidateLine<'r> {
    team: &'r str,
    /// In percent; 0 where nothing was learned yet.
    confidence: u8,
    reasons: &'r [String],
}

#[derive(Serialize)]
struct Problem<'r> {
    id: &'r str,
    occurrences: u64,
    window_days: u64,
    minutes: u64,
    change: &'r str,
}

/// 0–1 in percent.
fn percent(score: f64) -> u8 {
    (score.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// The word that the record has for something.
fn word<T: Serialize>(of: T) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl<'r> Page<'r> {
    pub(super) fn of(tenant: &'r str, record: &'r IncidentRecord, news: &'r [String]) -> Page<'r> {
        let time = |at: Option<EventTime>| at.map(|at| at.to_string()).unwrap_or_default();
        let owner = record.owner.as_ref();
        let first = record.probable_causes.first();
        let impact = record.business_impact.as_ref();
        let entity = |entity: Option<&'r bellwether_engine::incident::EntityRef>| entity.map_or("", |e| e.id.as_str());
        Page {
            tenant,
            id: &record.id,
            dedup_key: &record.dedup_key,
            revision: record.revision,
            status: word(record.status),
            status_reason: record.status_reason.map(word).unwrap_or_default(),
            severity: word(record.severity),
            priority: record.priority.name(),
            impact: record.impact.unwrap_or_default(),
            urgency: record.urgency.unwrap_or_default(),
            title: &record.title,
            summary: &record.summary,
            description: &record.description,
            class: &record.class,
            environment: &record.environment,
            started_at: time(record.started_at),
            opened_at: record.opened_at.to_string(),
            updated_at: record.updated_at.to_string(),
            acknowledged_at: time(record.acknowledged_at),
            resolved_at: time(record.resolved_at),
            merged_into: record.merged_into.as_deref().unwrap_or_default(),
            parent_id: record.parent_id.as_deref().unwrap_or_default(),
            entity: entity(record.primary_entity.as_ref()),
            affected: (record.entities.iter())
                .filter(|entity| entity.role == Some(EntityRole::Affected))
                .map(|entity| entity.id.as_str())
                .collect(),
            team: owner.map_or("", |owner| &owner.team),
            assignment_group: owner.map_or("", |owner| &owner.assignment_group),
            assignee: owner.map_or("", |owner| &owner.assignee),
            escalation: owner.map_or("", |owner| &owner.escalation),
            cause: first.map_or("", |cause| &cause.reference),
            cause_why: first.map_or("", |cause| &cause.explanation),
            confidence: record.confidence.map_or(0, percent),
            causes: (record.probable_causes.iter())
                .map(|cause| Cause {
                    rank: cause.rank,
                    what: &cause.reference,
                    entity: entity(cause.entity.as_ref()),
                    score: percent(cause.score),
                    why: &cause.explanation,
                })
                .collect(),
            changes: (record.changes.iter())
                .map(|change| ChangeLine {
                    id: &change.id,
                    what: &change.change_type,
                    entity: &change.entity_id,
                    at: change.at.to_string(),
                    url: &change.url,
                })
                .collect(),
            alerts: (record.alerts.iter())
                .map(|alert| AlertLine {
                    name: &alert.name,
                    source: &alert.source,
                    status: word(alert.status),
                    since: alert.starts_at.to_string(),
                    url: &alert.url,
                })
                .collect(),
            alert_count: record.alert_count,
            customers: impact.map(|impact| impact.customers.join(", ")).unwrap_or_default(),
            business_services: impact.map(|impact| impact.business_services.join(", ")).unwrap_or_default(),
            users: impact.and_then(|impact| impact.users).unwrap_or_default(),
            revenue_per_hour: impact.and_then(|impact| impact.revenue_per_hour).unwrap_or_default(),
            sla: Agreement::of(record.sla.as_ref()),
            ola: Agreement::of(record.ola.as_ref()),
            time_left: record.time_left.unwrap_or_default(),
            assigned_by: record.assignment.as_ref().map(|it| word(it.by)).unwrap_or_default(),
            candidates: (record.assignment.iter())
                .flat_map(|assignment| &assignment.candidates)
                .map(|it| CandidateLine {
                    team: &it.team,
                    confidence: it.confidence.map_or(0, percent),
                    reasons: &it.reasons,
                })
                .collect(),
            problem: record.problem.as_ref().map(|it| Problem {
                id: &it.id,
                occurrences: it.occurrences,
                window_days: it.window_days,
                minutes: it.minutes,
                change: &it.change,
            }),
            knowledge: &record.knowledge,
            escalations: &record.escalations,
            acknowledged_by: &record.acknowledged_by,
            runbooks: (record.links.iter())
                .filter(|link| link.rel == LinkRel::Runbook)
                .map(|link| link.href.as_str())
                .collect(),
            similar: (record.similar.iter())
                .map(|past| Similar {
                    id: &past.id,
                    ticket: &past.ticket,
                    score: percent(past.score),
                    resolution: &past.resolution,
                })
                .collect(),
            labels: &record.labels,
            news,
        }
    }
}

/// A record with next to nothing.
pub(super) fn sparse() -> IncidentRecord {
    record_of(serde_json::json!({}))
}

/// A record with everything that a template can name.
pub(super) fn full() -> IncidentRecord {
    let at = "2026-03-01T10:00:00Z";
    record_of(serde_json::json!({
        "status_reason": "detected", "impact": 1, "urgency": 2, "confidence": 0.9, "summary": "s", "description": "d",
        "class": "database", "started_at": at, "acknowledged_at": at, "resolved_at": at, "environment": "production",
        "primary_entity": {"id": "service:a", "type": "service"},
        "entities": [{"id": "service:a", "type": "service", "role": "affected"}],
        "owner": {"team": "t", "assignment_group": "g", "assignee": "a", "escalation": "e"},
        "probable_causes": [{"rank": 1, "kind": "entity", "ref": "host:a", "score": 0.9, "explanation": "e"}],
        "changes": [{"id": "c", "type": "deployed", "at": at}],
        "alerts": [{"fingerprint": "00ff00ff00ff00ff", "source": "s", "name": "n", "status": "firing", "starts_at": at}],
        "links": [{"rel": "runbook", "href": "https://runbooks.test/a"}],
        "similar": [{"id": "inc_1", "score": 0.5, "ticket": "17", "resolution": "vacuumed"}],
        "acknowledged_by": "a", "knowledge": [{"id": "disks.md", "title": "Disks", "score": 0.5}],
        "assignment": {"by": "catalogue", "candidates": [{"team": "t", "confidence": 0.9, "reasons": ["it owns it"]}]},
        "sla": {"name": "gold", "respond": {"by": at, "state": "met"}, "resolve": {"by": at, "state": "at_risk"},
            "breach_probability": 0.6},
        "ola": {"name": "internal", "resolve": {"state": "paused"}},
        "time_left": {"p50_hours": 1.0, "p90_hours": 4.5},
        "business_impact": {"entities_alerting": 1, "entities_at_risk": 2, "services": 1, "services_alerting": 1,
            "customers": ["retail"], "business_services": ["shop"], "users": 400, "revenue_per_hour": 1200.0},
        "escalations": [{"rule": "late", "at": at, "kind": "team", "to": "t", "time": 1}],
        "problem": {"id": "prb_0123456789abcdef", "occurrences": 4, "window_days": 30, "first_at": at, "minutes": 90},
    }))
}

fn record_of(more: serde_json::Value) -> IncidentRecord {
    let mut record = serde_json::json!({
        "schema_version": "2", "id": "inc_01KDV0000000000000000000AA", "dedup_key": "k", "revision": 1,
        "status": "open", "severity": "major", "priority": "P2", "title": "t", "opened_at": "2026-03-01T10:00:00Z",
        "updated_at": "2026-03-01T10:00:00Z", "entities": [], "alert_count": 1,
    });
    if let (Some(record), serde_json::Value::Object(more)) = (record.as_object_mut(), more) {
        record.extend(more);
    }
    serde_json::from_value(record).expect("the samples are records")
}
