//! What a list shows of an incident: a few hundred bytes, ready to be compared.

use std::sync::Arc;

use bellwether_engine::incident::{
    Deadline, DeadlineState, EntityRole, IncidentEvent, IncidentRecord, IncidentStatus, Priority, StatusReason, Verb,
};
use bellwether_engine::signal::Severity;
use bellwether_engine::time::EventTime;

/// Names kept of whom an incident hurts,
const HURTS_MAX: usize = 12;
/// and of what is in trouble, for who searches and for the pages of entities.
const NAMES_MAX: usize = 64;

/// One incident in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) tenant: Arc<str>,
    pub(crate) id: Box<str>,
    pub(crate) revision: u64,
    pub(crate) status: IncidentStatus,
    pub(crate) priority: Priority,
    pub(crate) severity: Severity,
    pub(crate) title: Box<str>,
    pub(crate) class: Box<str>,
    /// First symptom, or where that is not known the first revision.
    pub(crate) began: EventTime,
    pub(crate) opened: EventTime,
    pub(crate) updated: EventTime,
    pub(crate) resolved: Option<EventTime>,
    /// Whom it hurts: business services, else services.
    pub(crate) hurts: Vec<Box<str>>,
    /// Everything else that is in trouble, for who searches.
    pub(crate) names: Vec<Box<str>>,
    pub(crate) team: Box<str>,
    pub(crate) assignee: Box<str>,
    pub(crate) sla: Sla,
    pub(crate) confidence: Option<f64>,
    pub(crate) alerts: u64,
    pub(crate) merged_into: Option<Box<str>>,
    pub(crate) under: Option<Box<str>>,
    pub(crate) ticket: Option<Box<str>>,
}

/// The clocks of its service level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sla {
    pub(crate) name: Box<str>,
    pub(crate) respond_by: Option<EventTime>,
    pub(crate) resolve_by: Option<EventTime>,
    /// Somebody outside is waited for.
    pub(crate) paused: bool,
    /// That it is not kept, 0–1.
    pub(crate) risk: Option<f64>,
}

impl Sla {
    /// As a record says it.
    pub(crate) fn of(record: &IncidentRecord) -> Sla {
        let Some(sla) = &record.sla else { return Sla::default() };
        let by = |deadline: Option<Deadline>| deadline.and_then(|deadline| deadline.by);
        Sla {
            name: sla.name.as_str().into(),
            respond_by: by(sla.respond),
            resolve_by: by(sla.resolve),
            paused: sla.resolve.is_some_and(|deadline| deadline.state == DeadlineState::Paused),
            risk: sla.breach_probability,
        }
    }

    /// What it is about now: an answer while nobody has taken it, then a fix.
    pub(crate) fn next(&self, status: IncidentStatus) -> Option<(&'static str, EventTime)> {
        let answer = self.respond_by.filter(|_| status == IncidentStatus::Open).map(|at| ("answer", at));
        answer.or_else(|| self.resolve_by.map(|at| ("fix", at)))
    }
}

impl Line {
    /// Of a revision.
    pub(crate) fn of(event: &IncidentEvent) -> Line {
        let record = &event.record;
        let owner = record.owner.clone().unwrap_or_default();
        let team = if owner.team.is_empty() { owner.assignment_group } else { owner.team };
        let affected = record.entities.iter().filter(|entity| entity.role != Some(EntityRole::Related));
        let names: Vec<Box<str>> = affected.take(NAMES_MAX).map(|entity| entity.id.as_str().into()).collect();
        Line {
            tenant: event.tenant.clone(),
            id: record.id.as_str().into(),
            revision: record.revision,
            status: record.status,
            priority: record.priority,
            severity: record.severity,
            title: record.title.as_str().into(),
            class: record.class.as_str().into(),
            began: record.started_at.unwrap_or(record.opened_at),
            opened: record.opened_at,
            updated: record.updated_at,
            resolved: record.resolved_at,
            hurts: hurts(record),
            names,
            team: team.into(),
            assignee: owner.assignee.into(),
            sla: Sla::of(record),
            confidence: record.confidence,
            alerts: record.alert_count,
            merged_into: record.merged_into.as_deref().map(Into::into),
            under: record.parent_id.as_deref().map(Into::into),
            ticket: record.tickets.first().map(|ticket| ticket.key.as_str().into()),
        }
    }

    /// Whether somebody still has to do something about it.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
    }

    /// Whether an entity is in trouble by it.
    pub(crate) fn touches(&self, entity: &str) -> bool {
        self.names.iter().any(|name| **name == *entity)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let names = self.hurts.iter().chain(&self.names).map(|name| name.len() + size_of::<Box<str>>()).sum::<usize>();
        size_of::<Line>() + names + self.id.len() + self.title.len() + self.team.len() + self.assignee.len()
    }

    /// Whether every word of what somebody looks for is somewhere in it.
    pub(crate) fn has(&self, words: &[String]) -> bool {
        let texts =
            [&*self.id, &self.title, &self.class, &self.team, &self.assignee, &self.tenant, self.priority.name()];
        let texts = texts.into_iter().chain(self.hurts.iter().chain(&self.names).map(|name| &**name));
        let texts: Vec<String> =
            texts.chain(self.ticket.as_deref()).map(str::to_lowercase).filter(|text| !text.is_empty()).collect();
        words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
    }
}

fn hurts(record: &IncidentRecord) -> Vec<Box<str>> {
    let business = record.business_impact.iter().flat_map(|impact| &impact.business_services);
    let named: Vec<Box<str>> = business.take(HURTS_MAX).map(|name| name.as_str().into()).collect();
    if !named.is_empty() {
        return named;
    }
    let services = record.entities.iter().filter_map(|entity| entity.id.strip_prefix("service:"));
    services.take(HURTS_MAX).map(Into::into).collect()
}

/// What a revision said, as far as the next may say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) verb: Verb,
    pub(crate) at: EventTime,
    pub(crate) status: IncidentStatus,
    pub(crate) reason: Option<StatusReason>,
    pub(crate) priority: Priority,
    pub(crate) alerts: u64,
    pub(crate) entities: usize,
    pub(crate) cause: Box<str>,
    pub(crate) confidence: Option<f64>,
    pub(crate) assignee: Box<str>,
    pub(crate) tickets: usize,
    pub(crate) merged_into: Option<Box<str>>,
    /// Whom rules of escalation told then, and which.
    pub(crate) escalated: Box<[Box<str>]>,
}

impl Told {
    /// Of a revision.
    pub(crate) fn of(event: &IncidentEvent) -> Told {
        let record = &event.record;
        let now = record.escalations.iter().filter(|it| event.verb == Verb::Escalated && it.at == record.updated_at);
        let escalated = now.map(|it| format!("{} {} is told: {}", it.kind, it.to, it.rule).into()).collect();
        Told {
            escalated,
            verb: event.verb,
            at: record.updated_at,
            status: record.status,
            reason: record.status_reason,
            priority: record.priority,
            alerts: record.alert_count,
            entities: record.entities.len(),
            cause: record.probable_causes.first().map(|cause| cause.reference.as_str().into()).unwrap_or_default(),
            confidence: record.confidence,
            assignee: record.owner.as_ref().map(|owner| owner.assignee.as_str().into()).unwrap_or_default(),
            tickets: record.tickets.len(),
            merged_into: record.merged_into.as_deref().map(Into::into),
        }
    }

    /// What it says that the one before did not, in words.
    pub(crate) fn news(&self, before: Option<&Told>) -> Vec<String> {
        let mut news = Vec::new();
        let Some(before) = before else {
            news.push(format!("{} of {} alert notifications", self.priority, self.alerts));
            if !self.cause.is_empty() {
                news.push(format!("cause {}", self.cause));
            }
            return news;
        };
        if self.priority != before.priority {
            news.push(format!("{} → {}", before.priority, self.priority));
        }
        if self.cause != before.cause {
            let name = |cause: &str| if cause.is_empty() { "unknown".to_owned() } else { cause.to_owned() };
            news.push(format!("cause {} → {}", name(&before.cause), name(&self.cause)));
        }
        let sure = |told: &Told| told.confidence.map_or(0, |sure| (sure * 100.0).round() as i64);
        if (sure(self) - sure(before)).abs() >= 5 {
            news.push(format!("{} % → {} % sure", sure(before), sure(self)));
        }
        if self.entities != before.entities {
            news.push(format!("{} → {} entities", before.entities, self.entities));
        }
        if self.alerts != before.alerts {
            news.push(format!("{} → {} notifications", before.alerts, self.alerts));
        }
        if self.assignee != before.assignee {
            news.push(if self.assignee.is_empty() {
                "nobody has it".to_owned()
            } else {
                format!("{} has it", self.assignee)
            });
        }
        if self.tickets != before.tickets {
            news.push(format!("{} tickets", self.tickets));
        }
        news.extend(self.escalated.iter().map(|told| told.to_string()));
        if let Some(into) = &self.merged_into {
            news.push(format!("into {into}"));
        }
        news
    }
}
