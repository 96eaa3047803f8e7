//! Incidents become one: their groups have, they name the same cause, or somebody says so.

use super::desk::Desk;
use super::hierarchy::inherit_place;
use super::incident::Incident;
use super::last_revision::LastRevision;
use super::step::Step;
use crate::case::Purpose;
use crate::incident::{StatusReason, Verb};
use crate::time::Span;
use crate::timers::Timer;

/// Makes one of an incident and another that names the same cause; answers whether it does.
/// The groups stay apart, as their evidence does; both then lead to the one incident. `own` is
/// what the incident tells, or would tell now.
pub(super) fn unite(desk: &mut Desk<'_, '_>, number: u64, own: &LastRevision) -> bool {
    let Some(other) = same_cause(desk, number, own) else {
        return false;
    };
    let groups = [number, other].map(|n| desk.ledger.get(n).map(|incident| incident.group));
    let winner = merge_incidents(desk, other, number);
    for group in groups.into_iter().flatten() {
        desk.then(Step::Bind { group, incident: winner, own: false });
    }
    true
}

/// Whether any other incident could name the cause of this one: a diagnosis costs more than a look at
/// what has been told.
pub(super) fn may_unite(desk: &Desk<'_, '_>, number: u64) -> bool {
    let live = desk.ledger.get(number).is_some_and(|incident| !incident.live.is_empty());
    live && desk.ledger.any_cause_besides(number)
}

/// The oldest active incident that names the cause that this one would name now.
fn same_cause(desk: &Desk<'_, '_>, number: u64, own: &LastRevision) -> Option<u64> {
    let config = &desk.turn.compiled.config;
    let sure = |told: &LastRevision| !told.root.is_empty() && told.confidence >= config.ledger.same_cause_min;
    if !may_unite(desk, number) || !sure(own) {
        return None;
    }
    let alike = |other: &Incident| {
        let same = |told: &LastRevision| {
            let by_one_change = told.cause == own.cause && told.cause != told.root;
            sure(told) && (by_one_change || is_live_at(desk, other, &told.root))
        };
        other.told.as_ref().is_some_and(same)
    };
    let fresh = |other: &Incident| desk.now().since(other.last_news) <= config.correlate.quiet;
    // The same trouble at the entity itself goes on for as long as it likes.
    let at_root = desk.ledger.get(number).is_some_and(|incident| is_live_at(desk, incident, &own.root));
    let goes_on = |other: &Incident| at_root && other.told.as_ref().is_some_and(|told| told.class == own.class);
    let together =
        |other: &Incident| goes_on(other) || desk.ledger.get(number).is_some_and(|own| began_together(own, other));
    let mut others = desk.ledger.active_at(&own.root).filter(|(other, i)| *other != number && fresh(i) && together(i));
    others.find(|(_, other)| alike(other)).map(|(other, _)| other)
}

/// Trouble that begins this long after the last that an incident took in is not a part of it because the two
/// would name one cause: a disk that has been filling for an hour did not kill the service next to it now.
const SAME_CAUSE_WITHIN: Span = Span::from_mins(20);

fn began_together(a: &Incident, b: &Incident) -> bool {
    let after = |late: &Incident, early: &Incident| late.detected_at.since(early.joined_at) <= SAME_CAUSE_WITHIN;
    after(a, b) && after(b, a)
}

/// Whether an alert of `incident` about the entity `root` still fires: what is well again causes
/// nothing new.
fn is_live_at(desk: &Desk<'_, '_>, incident: &Incident, root: &str) -> bool {
    let mut alerts = incident.live.iter().filter_map(|alert| desk.alerts.get(*alert));
    alerts.any(|alert| desk.estate.entities.text(alert.entity) == root)
}

/// The one already told absorbs the other; of two alike, the older. Answers which goes on.
pub(super) fn merge_incidents(desk: &mut Desk<'_, '_>, a: u64, b: u64) -> u64 {
    let rank = |number: u64| {
        let incident = desk.ledger.get(number);
        (!incident.is_some_and(|i| i.is_active()), !incident.is_some_and(|i| i.is_told()), number)
    };
    let (winner, loser) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
    merge_into(desk, winner, loser);
    winner
}

/// One incident takes over the alerts and tickets of another, which is over, and told so if it was told.
pub(super) fn merge_into(desk: &mut Desk<'_, '_>, winner: u64, loser: u64) {
    let into = desk.ledger.get(winner).map(|incident| incident.id.clone()).unwrap_or_default();
    let told = desk.ledger.get(loser).is_some_and(Incident::is_told);
    if told && !into.is_empty() {
        if let Some(incident) = desk.ledger.get_mut(loser) {
            incident.reason = StatusReason::Merged;
        }
        desk.judge(loser, Purpose::Tell { verb: Verb::Merged, merged_into: Some(into) });
    }
    desk.then(Step::Absorb { winner, loser });
}

/// Takes over what an incident had that has become a part of another.
pub(super) fn absorb(desk: &mut Desk<'_, '_>, winner: u64, loser: u64) {
    let Some(gone) = desk.ledger.remove(loser) else {
        return;
    };
    desk.turn.drop_timer(Some(gone.timer), Timer::Incident(loser));
    inherit_place(desk, winner, loser, &gone);
    for alert in &gone.members {
        desk.alerts.set_incident(*alert, Some(winner));
    }
    if let Some(incident) = desk.ledger.get_mut(winner) {
        for alert in &gone.members {
            if let Some(began_at) = incident.left.remove(alert) {
                desk.alerts.began_by(*alert, began_at);
            }
        }
        // What the one had lost to the other began with the one.
        for (alert, began_at) in gone.left.iter().filter(|(left, _)| incident.members.contains(left)) {
            desk.alerts.began_by(*alert, *began_at);
        }
        incident.inherit_left(gone.left);
        incident.members.extend(&gone.members);
        incident.live.extend(&gone.live);
        incident.alert_count += gone.alert_count;
        incident.severity = incident.severity.max(gone.severity);
        incident.joined_at = incident.joined_at.max(gone.joined_at);
        incident.detected_at = incident.detected_at.min(gone.detected_at);
        incident.tickets.extend(gone.tickets);
        if !incident.live.is_empty() {
            incident.quiet_since = None;
        }
        incident.dirty = true;
    }
    desk.wake(winner, desk.now());
}

/// A group leads to this incident from now on.
pub(super) fn bind(desk: &mut Desk<'_, '_>, group: bellwether_models::group::GroupId, number: u64, own: bool) {
    desk.ledger.bind(group, number);
    if own && let Some(incident) = desk.ledger.get_mut(number) {
        incident.group = group;
    }
}

#[cfg(test)]
mod tests {
    use bellwether_models::group::GroupId;

    use super::*;
    use crate::time::EventTime;

    #[test]
    fn what_begins_long_after_the_last_symptom_does_not_belong_because_of_a_cause_in_common() {
        let at = |minutes: i64| EventTime::from_secs(60 * minutes);
        let begun = |minutes| Incident::candidate(GroupId(1), at(minutes), at(minutes));
        let mut old = begun(0);
        assert!(began_together(&old, &begun(20)) && began_together(&begun(20), &old));
        assert!(!began_together(&old, &begun(21)) && !began_together(&begun(21), &old));
        old.joined_at = at(15);
        assert!(began_together(&old, &begun(30)), "it went on to spread");
    }
}
