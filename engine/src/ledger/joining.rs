//! Alerts join incidents, old or new; a candidate that is a relapse goes back to the incident it was.

use std::collections::BTreeSet;

use bellwether_models::group::GroupId;

use super::desk::Desk;
use super::incident::State;
use super::life::reopen;
use super::merging::merge_incidents;
use super::room;
use super::step::Step;
use crate::time::Span;
use crate::turn::Item;

/// Share of a resolved incident's alerts that must come back for it to be back.
const RELAPSE_SHARE_MIN: f64 = 0.2;

/// An alert has a group, which other groups have become a part of: so do their incidents, then the alert
/// joins.
pub(super) fn grouped(desk: &mut Desk<'_, '_>, alert: u64, group: GroupId, merged: Vec<GroupId>) {
    let (now, config) = (desk.now(), desk.config());
    if let Some(old) = desk.alerts.get(alert).and_then(|known| known.incident)
        && !desk.ledger.takes_more(old, now, config)
    {
        desk.alerts.set_incident(alert, None);
    }
    merge_groups(desk, alert, group, merged);
}

/// Merges the incidents of groups that became a part of `group`, one after the other; then the alert joins.
pub(super) fn merge_groups(desk: &mut Desk<'_, '_>, alert: u64, group: GroupId, merged: Vec<GroupId>) {
    let mut merged = merged.into_iter();
    while let Some(other) = merged.next() {
        let Some(b) = desk.ledger.of_group(other) else {
            continue;
        };
        desk.ledger.unbind(other);
        match desk.ledger.of_group(group) {
            None => desk.ledger.bind(group, b),
            Some(a) if a == b => {}
            Some(a) => {
                let winner = merge_incidents(desk, a, b);
                desk.then(Step::Bind { group, incident: winner, own: true });
                desk.then(Step::Merge { alert, group, merged: merged.collect() });
                return;
            }
        }
    }
    join(desk, alert, group);
}

/// Puts an alert into the incident of its group, a candidate where there is none.
fn join(desk: &mut Desk<'_, '_>, alert: u64, group: GroupId) {
    let (now, config) = (desk.now(), desk.config());
    let old = leave_old_place(desk, alert, group);
    let takes = |number: &u64| desk.ledger.takes_more(*number, now, config) && is_place_of(desk, *number, alert);
    let known = desk.ledger.of_group(group).filter(takes);
    let number = known.or_else(|| {
        let limit = room::limit_for(desk, alert);
        desk.ledger.start(group, now, config, limit)
    });
    let Some(number) = number else {
        return;
    };
    if let (Some(old), Some(incident)) = (old, desk.ledger.get_mut(number)) {
        incident.relapses.insert(alert, old);
    }
    enlist(desk, number, alert);
}

/// Whether an incident is the place of an alert of its group: one that is over comes back by the same trouble
/// only, which is the same condition of the same entity. What merely moves brings back what merely moved.
fn is_place_of(desk: &Desk<'_, '_>, number: u64, alert: u64) -> bool {
    let (Some(incident), Some(alert)) = (desk.ledger.get(number), desk.alerts.get(alert)) else {
        return false;
    };
    if incident.state != State::Resolved {
        return true;
    }
    let of_old = || incident.members.iter().filter_map(|old| desk.alerts.get(*old));
    let same = of_old().any(|old| (old.name, old.entity) == (alert.name, alert.entity));
    same && (!desk.is_evidence(alert) || of_old().all(|old| desk.is_evidence(old)))
}

/// An alert of an incident has been placed anew: unless that is where it was, it is no longer
/// part of the incident, which is the answer.
fn leave_old_place(desk: &mut Desk<'_, '_>, alert: u64, group: GroupId) -> Option<u64> {
    let known = desk.alerts.get(alert)?;
    let (old, began_at) = (known.incident?, known.began_at);
    if desk.ledger.of_group(group) == Some(old) {
        return None;
    }
    if let Some(incident) = desk.ledger.get_mut(old) {
        incident.lose(alert, began_at);
    }
    desk.alerts.set_incident(alert, None);
    Some(old)
}

/// Takes an alert in as firing, and plans when that is told.
pub(super) fn enlist(desk: &mut Desk<'_, '_>, number: u64, alert: u64) {
    let now = desk.now();
    // What comes back began when it began there first.
    let began_at = desk.ledger.get_mut(number).and_then(|incident| incident.left.remove(&alert));
    let Some(known) = desk.alerts.place(alert, number, began_at) else {
        return;
    };
    let (severity, rows) = (known.severity, known.count);
    let evidence = desk.alerts.get(alert).is_some_and(|known| desk.is_evidence(known));
    let Some(incident) = desk.ledger.get_mut(number) else {
        return;
    };
    let (worse, quiet_since) = (severity > incident.severity, incident.quiet_since);
    incident.admit(alert, severity, rows, now);
    if evidence {
        incident.quiet_since = quiet_since;
    }
    let config = &desk.turn.compiled.config.ledger;
    let due = match (incident.state, &incident.told) {
        (State::Candidate, _) => now.plus(config.group_wait),
        (State::Resolved, _) => return reopen(desk, number),
        (_, Some(told)) if worse => told.at.plus(config.update_every).max(now),
        (_, Some(told)) => told.at.plus(Span(incident.pause_ns)).max(now),
        (_, None) => now,
    };
    desk.wake(number, due);
}

/// A candidate of nothing but alerts that were part of one earlier incident is a relapse of
/// that, not trouble of its own. Answers whether it was, and is gone.
pub(super) fn fold_relapse(desk: &mut Desk<'_, '_>, number: u64) -> bool {
    let (now, config) = (desk.now(), desk.config());
    let Some(incident) = desk.ledger.get(number) else {
        return false;
    };
    let mut olds = incident.live.iter().map(|alert| incident.relapses.get(alert).copied());
    let Some(Some(old)) = olds.next() else {
        return false;
    };
    let elsewhere = olds.any(|other| other != Some(old));
    if elsewhere || !desk.ledger.takes_more(old, now, config) || !is_relapse(desk, &incident.live, old) {
        return false;
    }
    let Some(gone) = desk.ledger.remove(number) else {
        return false;
    };
    desk.ledger.unbind(gone.group);
    for alert in &gone.members {
        // A group of relapses must not attract others to what is over.
        desk.turn.run(Item::Forget(*alert));
        let began_at = desk.ledger.get_mut(old).and_then(|incident| incident.left.remove(alert));
        desk.alerts.place(*alert, old, began_at);
    }
    if let Some(incident) = desk.ledger.get_mut(old) {
        incident.members.extend(&gone.members);
    }
    for alert in gone.live {
        desk.then(Step::Enlist { incident: old, alert });
    }
    true
}

/// Whether these alerts, which were part of `old`, are its return: always while it goes on;
/// once it is over when they are a good part of it, or where its cause was. One of two hundred
/// that comes back alone has another reason.
fn is_relapse(desk: &Desk<'_, '_>, alerts: &BTreeSet<u64>, old: u64) -> bool {
    let Some(incident) = desk.ledger.get(old).filter(|incident| incident.state == State::Resolved) else {
        return true;
    };
    let all = incident.members.len() + alerts.len();
    let root = incident.told.as_ref().map_or("", |told| &*told.root);
    let at_root =
        |alert: &u64| desk.alerts.get(*alert).is_some_and(|alert| desk.estate.entities.text(alert.entity) == root);
    alerts.len() as f64 >= RELAPSE_SHARE_MIN * all as f64 || alerts.iter().any(at_root)
}
