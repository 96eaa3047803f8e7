//! The life of an incident: it opens, is told, resolves, comes back and closes.

use super::budget::{Evidence, Worth};
use super::desk::Desk;
use super::hierarchy::leave_place;
use super::incident::{Incident, State};
use super::last_revision::LastRevision;
use super::learning::learn_of;
use super::record::{RecordScene, record};
use super::step::Step;
use crate::alert::Alert;
use crate::enrich::{Closed, Enriched};
use crate::incident::{
    AssignedBy, DeadlineState, IncidentEvent, IncidentRecord, IncidentStatus, StatusReason, Verb, incident_id,
};
use crate::time::{EventTime, Span};
use crate::turn::Item;

/// Opens a candidate.
pub(super) fn open(desk: &mut Desk<'_, '_>, number: u64) {
    let (now, epoch, pause_ns) = (desk.now(), desk.estate.topology.epoch(), desk.config().update_every.0);
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let members = incident.members.iter().filter_map(|alert| desk.alerts.get(*alert));
    let first = members.min_by_key(|alert| (alert.began_at, alert.fingerprint)).map_or(0, |alert| alert.fingerprint);
    desk.ledger.name(number, incident_id(desk.turn.tenant, first, now));
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.state = State::Open;
        incident.opened_at = now;
        incident.reason = StatusReason::Detected;
        incident.pause_ns = pause_ns;
        incident.epoch = epoch;
    }
    desk.stats.incidents_opened += 1;
    if let Some(evidence) = by_findings(desk, number) {
        desk.ledger.budget.note_opened(number, evidence, now);
    }
    desk.tell(number, Verb::Opened);
    desk.then(Step::Plan(number));
    desk.then(Step::Relate(number));
}

/// What speaks for an incident, where that is nothing but what our own detectors found.
pub(super) fn by_findings(desk: &Desk<'_, '_>, number: u64) -> Option<Evidence> {
    let live = &desk.ledger.get(number)?.live;
    let known = || live.iter().map(|alert| desk.alerts.get(*alert));
    let all = !live.is_empty() && known().all(|alert| alert.is_some_and(Alert::is_finding));
    let moved = known().flatten().any(Alert::is_anomaly);
    all.then_some(if moved { Evidence::Series } else { Evidence::Logs })
}

/// An incident is over.
pub(super) fn resolve(desk: &mut Desk<'_, '_>, number: u64, reason: StatusReason) {
    let now = desk.now();
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    incident.state = State::Resolved;
    incident.reason = reason;
    incident.resolved_at = Some(now);
    incident.pause(false, now);
    let over = incident.over;
    learn_of(desk, number);
    desk.ledger.budget.judge(number, Worth::Unacted);
    desk.tell(number, Verb::Resolved);
    desk.wake(number, now.plus(desk.config().close_after));
    if let Some(over) = over {
        // The one over it may follow.
        desk.wake(over, now);
    }
}

/// A resolved incident is back.
pub(super) fn reopen(desk: &mut Desk<'_, '_>, number: u64) {
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.state = State::Open;
        incident.reason = StatusReason::Detected;
        incident.resolved_at = None;
        incident.acknowledged_at = None;
        incident.acknowledged_by.clear();
    }
    desk.tell(number, Verb::Reopened);
    desk.then(Step::Plan(number));
}

/// Plans the next look at an active incident.
pub(super) fn plan(desk: &mut Desk<'_, '_>, number: u64) {
    let config = desk.config();
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let stale = incident.last_news.plus(config.stale_after);
    let waits = desk.ledger.waits_for_children(incident);
    let quiet = incident.quiet_since.filter(|_| !waits);
    let quiet = quiet.map_or(EventTime::MAX, |since| since.plus(config.resolve_after));
    let update = match &incident.told {
        Some(told) if incident.dirty => told.at.plus(Span(incident.pause_ns)),
        _ => EventTime::MAX,
    };
    let clocks = incident.told.as_ref().map_or(EventTime::MAX, |told| told.clocks_due);
    let escalation = incident.escalating.due(&desk.estate.lookup);
    let next = stale.min(quiet).min(update).min(clocks).min(escalation).max(desk.now().plus(Span(1)));
    desk.wake(number, next);
}

/// Tells a revision of a judged incident.
pub(super) fn tell(
    desk: &mut Desk<'_, '_>,
    judged: Enriched,
    told: LastRevision,
    verb: Verb,
    merged_into: Option<String>,
) {
    let number = judged.found.case.incident;
    let about = (verb == Verb::Closed).then(|| About {
        signature: judged.words.signature.clone(),
        kind: judged.words.kind.clone(),
        breached: judged
            .sla
            .as_ref()
            .and_then(|sla| sla.resolve)
            .map(|deadline| deadline.state == DeadlineState::Breached),
        counted: judged.sla.as_ref().map(|sla| sla.passed),
    });
    let assigned_by = judged.assigned_by;
    let fields = (verb == Verb::Opened).then(|| Box::new(judged.words.ticket.clone()));
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let now = desk.now();
    let mut record = record(incident, now, incident.revision + 1, &judged, &scene(desk));
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    incident.revision += 1;
    incident.dirty = false;
    incident.told = Some(told);
    if fields.is_some() {
        incident.fields = fields;
    }
    give(incident, &record, assigned_by, now);
    desk.ledger.refile(number);
    match verb {
        Verb::Merged => (record.status, record.merged_into) = (IncidentStatus::Merged, merged_into),
        Verb::Closed => record.status = IncidentStatus::Closed,
        _ => {}
    }
    desk.stats.incident_events += 1;
    desk.turn.publish(IncidentEvent { tenant: desk.turn.tenant.clone(), verb, record });
    if let Some(about) = about {
        put_away(desk, number, about);
    }
}

/// Notes who has an incident, as a revision tells it.
pub(super) fn give(incident: &mut Incident, record: &IncidentRecord, by: AssignedBy, now: EventTime) {
    if let Some(owner) = &record.owner {
        incident.given = Some((owner.team.clone(), incident.given_at(&owner.team, now)));
    }
    incident.owner.clone_from(&record.owner);
    incident.assigned_by = by;
}

/// What an incident was about, at its end.
struct About {
    signature: Vec<u64>,
    kind: String,
    breached: Option<bool>,
    /// How long it took in the time by which its agreement counts.
    counted: Option<Span>,
}

/// A closed incident leaves the ledger; what it was like is remembered.
fn put_away(desk: &mut Desk<'_, '_>, number: u64, about: About) {
    let now = desk.now();
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    if incident.reason != StatusReason::FalsePositive {
        let About { signature, kind, breached, counted } = about;
        let took = incident.resolved_at.unwrap_or(now).since(incident.opened_at);
        desk.turn.run(Item::Closed(Box::new(Closed {
            id: incident.id.clone(),
            ticket: incident.tickets.first().map(|ticket| ticket.key.clone()).unwrap_or_default(),
            signature,
            kind,
            change: incident.told.as_ref().map(|told| told.footprint.change.clone()).unwrap_or_default(),
            resolution: incident.remark.clone(),
            opened_at: incident.opened_at,
            took,
            counted: counted.unwrap_or(took),
            fields: incident.fields.as_deref().cloned().unwrap_or_default(),
            team: incident.owner.as_ref().map(|owner| owner.team.clone()).unwrap_or_default(),
            breached,
        })));
    }
    // What has fired again meanwhile may be part of another incident, which still needs it.
    let still = |alert: &&u64| match (desk.alerts.get(**alert), desk.alerts.shed(**alert)) {
        (Some(known), _) => known.incident == Some(number),
        (None, shed) => shed.is_some_and(|shed| shed.incident == Some(number)),
    };
    desk.turn.run(Item::Release(incident.members.iter().filter(still).copied().collect()));
    leave_place(desk, number);
    desk.ledger.remove(number);
}

/// What a record is built from beside the incident itself.
pub(super) fn scene<'s>(desk: &'s Desk<'_, '_>) -> RecordScene<'s> {
    RecordScene {
        tenant: desk.turn.tenant,
        config_hash: &desk.turn.compiled.config_hash,
        alerts: desk.alerts,
        names: &desk.estate.names,
        entities: &desk.estate.entities,
        topology: &desk.estate.topology,
        lookup: &desk.estate.lookup,
        correlator: desk.correlator,
        ledger: desk.ledger,
    }
}
