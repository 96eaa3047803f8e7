//! What an operator says about the grouping: this alert belongs here, this one does not, these two
//! incidents are one.
//!
//! The word is obeyed at once, and it teaches: the pairs of alerts it is about go with their
//! evidence into a bounded store of labels, from which weights can be learned
//! (`bellwether models learn-groups`), and their types into the learned co-occurrence. The weights in
//! force stay what the operator has configured.

use bellwether_models::group::GroupId;
use xxhash_rust::xxh3::xxh3_64;

use super::desk::Desk;
use super::joining::enlist;
use super::members::move_alert;
use super::merging::merge_into;
use super::splitting::begin;
use super::step::Step;
use crate::incident::Verb;
use crate::turn::Item;

/// Alerts of a merged incident whose pairs are learned from: the first ones tell enough.
const MERGE_TAUGHT_MAX: usize = 50;

/// An alert belongs to this incident, wherever it is now.
pub(super) fn attach(desk: &mut Desk<'_, '_>, incident: &str, alert: &str) {
    let Some((number, alert)) = named_alert(desk, incident, alert) else {
        return;
    };
    let old = desk.alerts.get(alert).and_then(|a| a.incident).filter(|old| desk.ledger.get(*old).is_some());
    if old == Some(number) || !desk.is_active(number) {
        desk.stats.actions_unknown += 1;
        return;
    }
    let group = desk.ledger.get(number).map(|incident| incident.group);
    desk.turn.run(Item::Teach { alert, group, together: true, moves: true });
    match old {
        Some(old) if desk.ledger.get(old).is_some_and(|i| i.members.len() == 1) => {
            absorb_as_told(desk, old, number);
            return;
        }
        Some(old) => {
            move_alert(desk, alert, old, number);
            desk.wake_when_quiet(old);
            desk.look_again(old);
        }
        None => enlist(desk, number, alert),
    }
    desk.look_again(number);
}

/// An alert does not belong to this incident: it becomes one of its own.
pub(super) fn detach(desk: &mut Desk<'_, '_>, incident: &str, alert: &str) {
    let Some((number, alert)) = named_alert(desk, incident, alert) else {
        return;
    };
    let Some(from) = desk.ledger.get(number).filter(|i| i.members.contains(&alert) && i.members.len() > 1) else {
        desk.stats.actions_unknown += 1;
        return;
    };
    let (group, parent) = (from.group, from.id.clone());
    desk.turn.run(Item::Teach { alert, group: Some(group), together: false, moves: true });
    // A group that nothing joins: what the evidence said of this alert was wrong.
    let alone = GroupId(xxh3_64(format!("{alert}|{}", desk.now().0).as_bytes()));
    let Some(child) = begin(desk, alone, &parent, number, &[alert]) else {
        return;
    };
    desk.tell(number, Verb::Split);
    desk.wake_when_quiet(number);
    desk.then(Step::Born { incident: child, alone: Some(alert) });
}

/// Two incidents are one.
pub(super) fn merge_as_told(desk: &mut Desk<'_, '_>, incident: &str, into: &str) {
    let (Some(gone), Some(kept)) = (desk.named(incident), desk.named(into)) else {
        return;
    };
    if gone == kept || !desk.is_active(gone) || !desk.is_active(kept) {
        desk.stats.actions_unknown += 1;
        return;
    }
    let group = desk.ledger.get(kept).map(|incident| incident.group);
    if let (Some(group), Some(gone)) = (group, desk.ledger.get(gone)) {
        for alert in gone.members.iter().take(MERGE_TAUGHT_MAX) {
            desk.turn.run(Item::Teach { alert: *alert, group: Some(group), together: true, moves: false });
        }
    }
    absorb_as_told(desk, gone, kept);
}

/// One incident goes on with the alerts of another, whatever their age.
fn absorb_as_told(desk: &mut Desk<'_, '_>, gone: u64, kept: u64) {
    let group = desk.ledger.get(gone).map(|incident| incident.group);
    merge_into(desk, kept, gone);
    if let Some(group) = group {
        desk.then(Step::Bind { group, incident: kept, own: false });
    }
    desk.then(Step::LookAgain(kept));
}

/// The incident and the alert that an action names; what is not known is counted.
fn named_alert(desk: &mut Desk<'_, '_>, incident: &str, alert: &str) -> Option<(u64, u64)> {
    let number = desk.named(incident)?;
    let alert = u64::from_str_radix(alert, 16).ok().filter(|alert| desk.alerts.get(*alert).is_some());
    if alert.is_none() {
        desk.stats.actions_unknown += 1;
    }
    Some((number, alert?))
}
