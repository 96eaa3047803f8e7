//! Parts of an incident become incidents of their own.

use bellwether_models::group::GroupId;

use super::desk::Desk;
use super::life::open;
use super::members::move_alert;
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

/// Makes incidents of the parts of a group that the topology no longer holds together.
pub(super) fn split_off(desk: &mut Desk<'_, '_>, number: u64, parts: Vec<(GroupId, Vec<u64>)>) {
    let Some(parent) = desk.ledger.get(number).map(|incident| incident.id.clone()) else {
        return;
    };
    let mut born = Vec::new();
    for (part, alerts) in parts {
        if let Some(child) = begin(desk, part, &parent, number, &alerts) {
            born.push(child);
        }
    }
    if born.is_empty() {
        return;
    }
    desk.tell(number, Verb::Split);
    for incident in born {
        desk.then(Step::Born { incident, alone: None });
    }
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
