//! One incident, as far as figures need it: a few hundred bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_engine::incident::{
    CauseKind, DeadlineState, EntityRole, IncidentRecord, IncidentStatus, Priority, StatusReason,
};
use bellwether_engine::input::{Action, TicketVerb};
use bellwether_engine::time::EventTime;

use crate::wiring::said::Word;

/// Names kept of whom it hurt; a storm has thousands.
const NAMES_MAX: usize = 64;
/// Rules kept.
const RULES_MAX: usize = 50;

/// What a person said of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedCause {
    /// It was the first that was told.
    First,
    /// It was another.
    Other,
}

/// One incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub(super) tenant: Arc<str>,
    pub(super) priority: Priority,
    pub(super) class: String,
    status: IncidentStatus,
    pub(super) merged: bool,
    pub(super) called_false: bool,
    pub(super) by_change: bool,
    /// It told that something runs out.
    pub(super) foretold: bool,
    pub(super) began: Option<EventTime>,
    pub(super) detected: Option<EventTime>,
    pub(super) opened: EventTime,
    pub(super) acknowledged: Option<EventTime>,
    pub(super) resolved: Option<EventTime>,
    pub(super) notifications: u64,
    pub(super) reopenings: u64,
    /// Team and queue.
    pub(super) teams: Vec<String>,
    names: Vec<Box<str>>,
    /// By rule, how many alerts.
    pub(super) rules: BTreeMap<String, u64>,
    pub(super) respond: Option<DeadlineState>,
    pub(super) resolve: Option<DeadlineState>,
    pub(super) confidence: Option<f64>,
    pub(super) named: Option<NamedCause>,
    /// Somebody did something about it.
    touched: bool,
}

impl Case {
    /// Of its newest record, of how often it went on after it was over, and of what people said of it.
    pub fn of(tenant: &Arc<str>, record: &IncidentRecord, reopenings: u64, words: &[Arc<Word>]) -> Case {
        let owner = record.owner.clone().unwrap_or_default();
        let teams = [owner.team, owner.assignment_group].into_iter().filter(|team| !team.is_empty());
        let business = record.business_impact.iter().flat_map(|impact| &impact.business_services);
        let hurt = record.entities.iter().filter(|entity| entity.role != Some(EntityRole::Related));
        let names = business.map(String::as_str).chain(hurt.map(|entity| entity.id.as_str()));
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        for alert in record.alerts.iter().filter(|alert| !alert.name.is_empty()).take(RULES_MAX) {
            *rules.entry(alert.name.clone()).or_default() += 1;
        }
        let first = record.probable_causes.first();
        let said = words.iter().rev().find_map(|word| match &word.action {
            Action::Cause { cause, .. } => Some(cause.as_str()),
            _ => None,
        });
        let named = said.zip(first).map(|(said, first)| {
            let same = first.reference == said || first.entity.as_ref().is_some_and(|entity| entity.id == said);
            if same { NamedCause::First } else { NamedCause::Other }
        });
        Case {
            tenant: tenant.clone(),
            priority: record.priority,
            class: record.class.clone(),
            status: record.status,
            merged: record.status == IncidentStatus::Merged,
            called_false: record.status_reason == Some(StatusReason::FalsePositive),
            by_change: first.is_some_and(|cause| cause.kind == CauseKind::Change),
            foretold: record.evidence.iter().any(|one| one.detector == "exhaustion"),
            began: record.started_at,
            detected: record.detected_at,
            opened: record.opened_at,
            acknowledged: record.acknowledged_at,
            resolved: record.resolved_at,
            notifications: record.alert_count,
            reopenings,
            teams: teams.collect(),
            names: names.take(NAMES_MAX).map(Into::into).collect(),
            rules,
            respond: record.sla.as_ref().and_then(|sla| sla.respond).map(|deadline| deadline.state),
            resolve: record.sla.as_ref().and_then(|sla| sla.resolve).map(|deadline| deadline.state),
            confidence: record.confidence.filter(|_| first.is_some()),
            named,
            touched: record.acknowledged_at.is_some() || words.iter().any(|word| is_a_deed(&word.action)),
        }
    }

    /// Whether somebody still has to do something about it.
    pub(super) fn status_is_live(&self) -> bool {
        matches!(self.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
    }

    /// Over, without anybody having done anything.
    pub(super) fn is_untouched(&self) -> bool {
        !self.status_is_live() && !self.touched && !self.called_false
    }

    /// Whether it hurt `service`, with or without what it is.
    pub(super) fn is_of(&self, service: &str) -> bool {
        self.names
            .iter()
            .any(|name| **name == *service || name.split_once(':').is_some_and(|(_, name)| name == service))
    }
}

/// Whether somebody did something by it: a ticket that is opened by itself is nobody's deed.
fn is_a_deed(action: &Action) -> bool {
    match action {
        Action::Ticket { .. } | Action::Silence { .. } | Action::Solve { .. } => false,
        Action::TicketChanged { verb, .. } => *verb != TicketVerb::Linked,
        _ => true,
    }
}
