//! Parts of an incident become incidents of their own.

use bellwether_models::group::GroupId;

use super::desk::Desk;
use super::life::open;
use super::members::move_alert;
use super::merging::bind;
use super::step::Step;
use crate::incident::Verb;
use crate::turn::Item;

/// Asks whether an incident's group still holds together, when the topology has changed since it was
/// last asked.
pub(super) fn ask(desk: &mut Desk<'_, '_>, number: u64) {
    let epoch = desk.estate.topology.epoch();
    let Some(incident) = desk.ledger.get_mut(number).filter(|incident| incident.epoch != epoch) else {
        return;
    };
    incident.epoch = epoch;
    let group = incident.group;
    desk.turn.run(Item::Split { incident: number, group });
}

/// Makes incidents of the parts of a group that the topology no longer holds together. The id stays with what
/// the incident was told to be about: that is what people read and what its ticket says.
pub(super) fn split_off(desk: &mut Desk<'_, '_>, number: u64, mut parts: Vec<(GroupId, Vec<u64>)>) {
    let Some(parent) = desk.ledger.get(number).map(|incident| incident.id.clone()) else {
        return;
    };
    let kept = subject_elsewhere(desk, number, &parts).and_then(|subject| {
        let incident = desk.ledger.get(number)?;
        let elsewhere = |alert: &&u64| !parts.iter().any(|(_, alerts)| alerts.contains(alert));
        let rest: Vec<u64> = incident.members.iter().filter(elsewhere).copied().collect();
        let (group, _) = std::mem::replace(&mut parts[subject], (incident.group, rest));
        Some(group)
    });
    let mut born = Vec::new();
    for (part, alerts) in parts {
        if let Some(child) = begin(desk, part, &parent, number, &alerts) {
            born.push(child);
        }
    }
    if let Some(group) = kept {
        bind(desk, group, number, true);
    }
    if born.is_empty() {
        return;
    }
    desk.tell(number, Verb::Split);
    for incident in born {
        desk.then(Step::Born { incident, alone: None });
    }
}

/// The part that holds the trouble at the entity which the incident names as its cause, where what would remain has none
/// of it.
fn subject_elsewhere(desk: &Desk<'_, '_>, number: u64, parts: &[(GroupId, Vec<u64>)]) -> Option<usize> {
    let incident = desk.ledger.get(number)?;
    let root = incident.told.as_ref().map(|told| told.root.as_str()).filter(|root| !root.is_empty())?;
    let at_root =
        |alert: &u64| desk.alerts.get(*alert).is_some_and(|alert| desk.estate.entities.text(alert.entity) == root);
    let subject = parts.iter().position(|(_, alerts)| alerts.iter().any(at_root))?;
    let remains = |alert: &&u64| !parts.iter().any(|(_, alerts)| alerts.contains(alert));
    (!incident.members.iter().filter(remains).any(at_root)).then_some(subject)
}

/// Begins an incident with alerts of another; `None` when the ledger is full.
pub(super) fn begin(desk: &mut Desk<'_, '_>, group: GroupId, parent: &str, from: u64, alerts: &[u64]) -> Option<u64> {
    let (now, config) = (desk.now(), desk.config());
    let limit = desk.turn.compiled.config.limits.incidents_max;
    let child = desk.ledger.start(group, now, config, limit)?;
    for alert in alerts {
        move_alert(desk, *alert, from, child);
    }
    if let Some(incident) = desk.ledger.get_mut(child) {
        incident.parent = Some(parent.to_owned());
    }
    Some(child)
}

/// Opens what was split off, when something of it is live.
pub(super) fn born(desk: &mut Desk<'_, '_>, number: u64, alone: Option<u64>) {
    if desk.ledger.get(number).is_some_and(|incident| !incident.live.is_empty()) {
        open(desk, number);
        return;
    }
    desk.ledger.remove(number);
    if let Some(alert) = alone {
        desk.alerts.set_incident(alert, None);
    }
}
