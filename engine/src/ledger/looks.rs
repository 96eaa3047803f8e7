//! An incident is looked at, because its time has come or because it has been judged.

use std::collections::BTreeMap;

use super::desk::Desk;
use super::escalation;
use super::hierarchy::relate;
use super::incident::{Incident, State};
use super::joining::fold_relapse;
use super::last_revision::LastRevision;
use super::lessons::Sign;
use super::life::{by_findings, give, open, plan, resolve, scene, tell};
use super::merging::{may_unite, unite};
use super::record::{record, told};
use super::splitting;
use super::step::Step;
use super::worth::worth_telling;
use crate::case::Purpose;
use crate::enrich::Enriched;
use crate::incident::{IncidentEvent, StatusReason, Verb};
use crate::time::{EventTime, Span};

/// A warning that is over sooner is told nobody, and so long a held one waits for the next look.
const LONE_WAIT: Span = Span::from_mins(5);

/// An incident is due for a look.
pub(super) fn due(desk: &mut Desk<'_, '_>, number: u64) {
    let now = desk.now();
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    match incident.state {
        State::Candidate => candidate(desk, number),
        State::Open | State::Acknowledged => active(desk, number),
        State::Resolved => {
            let due = incident.resolved_at.map_or(now, |at| at.plus(desk.config().close_after));
            if now >= due {
                desk.tell(number, Verb::Closed);
            } else {
                desk.wake(number, due);
            }
        }
    }
}

/// A candidate has waited: it was nothing, is a relapse, or is weighed.
fn candidate(desk: &mut Desk<'_, '_>, number: u64) {
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    if incident.live.is_empty() {
        desk.ledger.transient += 1;
        if let Some(gone) = desk.ledger.remove(number) {
            gone.members.iter().for_each(|alert| desk.alerts.set_incident(*alert, None));
        }
        return;
    }
    let due = incident.detected_at.plus(desk.config().group_wait);
    if desk.now() < due {
        desk.wake(number, due);
        return;
    }
    if fold_relapse(desk, number) {
        return;
    }
    if may_unite(desk, number) {
        desk.judge(number, Purpose::Weigh);
    } else {
        weigh(desk, number);
    }
}

/// Opens a candidate that weighs enough.
fn weigh(desk: &mut Desk<'_, '_>, number: u64) {
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let Weight { weight, written, taught } = weight(desk, incident);
    if weight + 1e-9 >= asked(desk, number) {
        open(desk, number);
        return;
    }
    if written {
        match lone_wait(desk, incident) {
            Some(until) => desk.wake(number, until),
            None => return open(desk, number),
        }
    }
    desk.ledger.too_light += 1;
    if !taught.is_empty() {
        desk.ledger.taught += 1;
        taught.into_iter().for_each(|sign| desk.ledger.lessons.note_held(sign, desk.turn.now));
    }
}

/// Until when a warning that a person's rule gives alone is kept back: it may be over soon, and where an incident is
/// being worked on it is a part of that. `None`: it is told as what it is.
fn lone_wait(desk: &Desk<'_, '_>, incident: &Incident) -> Option<EventTime> {
    let (now, lasts_long) = (desk.now(), incident.detected_at.plus(LONE_WAIT));
    if now < lasts_long {
        return Some(lasts_long);
    }
    let entities = || {
        let known = incident.live.iter().filter_map(|alert| desk.alerts.get(*alert));
        known.map(|alert| desk.estate.entities.text(alert.entity))
    };
    let reaches = |told: &LastRevision| entities().all(|entity| told.footprint.reaches(entity));
    let worked_on = desk.ledger.active().any(|(_, active)| active.told.as_ref().is_some_and(reaches));
    worked_on.then(|| now.plus(LONE_WAIT))
}

/// What a candidate must weigh: more where nothing but findings speaks for it and too many of those were false.
fn asked(desk: &Desk<'_, '_>, number: u64) -> f64 {
    let strict = |by| {
        let false_per_day = desk.turn.compiled.config.correlate.false_per_day;
        desk.ledger.budget.strictness(by, desk.now(), false_per_day)
    };
    let strictness = by_findings(desk, number).map_or(1.0, strict);
    desk.config().open_weight * strictness
}

/// What speaks for a candidate.
struct Weight {
    weight: f64,
    /// An alert of a person's rule is among it that may be told alone.
    written: bool,
    /// The signs that were called false before, which weigh nothing.
    taught: Vec<Sign>,
}

/// What the live alerts of a candidate weigh. One alert per rule and entity: the same rule over many
/// series of one entity is one sign. Our own detectors have one rule for every metric: there, each
/// metric is a sign.
fn weight(desk: &Desk<'_, '_>, incident: &Incident) -> Weight {
    let config = desk.config();
    let (lessons, names, entities) = (&desk.ledger.lessons, &desk.estate.names, &desk.estate.entities);
    let (mut taught, mut any_written) = (Vec::new(), false);
    let mut signs: BTreeMap<(u32, u32, &str), f64> = BTreeMap::new();
    for alert in &incident.live {
        let (name, entity, severity, of, written) = match (desk.alerts.get(*alert), desk.alerts.shed(*alert)) {
            (Some(alert), _) => {
                if let Some(sign) = lessons.covering(alert, names, entities, config) {
                    taught.push(sign);
                    continue;
                }
                (alert.name, alert.entity, alert.severity, alert.seen(), alert.is_written())
            }
            (None, Some(shed)) => (shed.name, shed.entity, shed.severity, "", false),
            (None, None) => continue,
        };
        // Who wrote a rule wants to know when it fires, as what it says it is.
        any_written |= written && severity >= config.tell_from;
        let sign = signs.entry((name.0, entity.0, of)).or_default();
        *sign = sign.max(config.weights.of(severity));
    }
    Weight { weight: signs.values().sum(), written: any_written, taught }
}

/// An active incident is over, or is looked at when its group has been.
fn active(desk: &mut Desk<'_, '_>, number: u64) {
    let (now, config) = (desk.now(), desk.config());
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let quiet = incident.quiet_since.is_some_and(|since| now >= since.plus(config.resolve_after))
        && !desk.ledger.waits_for_children(incident);
    let stale = now >= incident.last_news.plus(config.stale_after);
    if quiet || stale {
        let reason = if quiet { StatusReason::AutoResolved } else { StatusReason::Stale };
        resolve(desk, number, reason);
        return;
    }
    splitting::ask(desk, number);
    desk.then(Step::Review(number));
}

/// An active incident is judged when something has happened to it; else it stays as it was told.
pub(super) fn review(desk: &mut Desk<'_, '_>, number: u64) {
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    match &incident.told {
        Some(told) if incident.dirty || desk.now() >= told.clocks_due.min(escalation_due(desk, incident)) => {
            desk.judge(number, Purpose::Update);
        }
        Some(told) => {
            let told = told.clone();
            if !unite(desk, number, &told) {
                go_on(desk, number);
            }
        }
        None => go_on(desk, number),
    }
}

/// When somebody is to be told of it next by a rule of escalation.
fn escalation_due(desk: &Desk<'_, '_>, incident: &Incident) -> EventTime {
    incident.escalating.due(&desk.estate.lookup)
}

/// An incident has been judged.
pub(super) fn judged(desk: &mut Desk<'_, '_>, judged: Enriched) {
    let number = judged.found.case.incident;
    escalation::note(desk, number, &judged);
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let now_told = told(incident, desk.now(), &judged, &scene(desk));
    match judged.found.case.purpose.clone() {
        Purpose::Tell { verb, merged_into } => tell(desk, judged, now_told, verb, merged_into),
        Purpose::Weigh => {
            if !unite(desk, number, &now_told) {
                weigh(desk, number);
            }
        }
        Purpose::Update => {
            if !unite(desk, number, &now_told) {
                update(desk, number, judged, now_told);
                go_on(desk, number);
            }
        }
    }
}

/// Tells the next revision when it says something worth telling.
fn update(desk: &mut Desk<'_, '_>, number: u64, judged: Enriched, now_told: LastRevision) {
    let (now, longest) = (desk.now(), desk.config().update_every_max.0);
    let escalated = escalation::take_due(desk, number);
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    incident.dirty = false;
    if !escalated && incident.told.as_ref().and_then(|told| worth_telling(told, &now_told)).is_none() {
        if let Some(told) = &mut incident.told {
            told.clocks_due = now_told.clocks_due;
        }
        return;
    }
    incident.reason = StatusReason::Updated;
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let assigned_by = judged.assigned_by;
    let record = record(incident, now, incident.revision + 1, &judged, &scene(desk));
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    if !escalated {
        incident.pause_ns = incident.pause_ns.saturating_mul(2).min(longest);
    }
    incident.revision += 1;
    incident.told = Some(now_told);
    give(incident, &record, assigned_by, now);
    desk.ledger.refile(number);
    desk.stats.incident_events += 1;
    let verb = if escalated { Verb::Escalated } else { Verb::Updated };
    desk.turn.publish(IncidentEvent { tenant: desk.turn.tenant.clone(), verb, record });
}

/// Plans the next look, and looks for the incident's place among the others.
fn go_on(desk: &mut Desk<'_, '_>, number: u64) {
    plan(desk, number);
    relate(desk, number);
}
