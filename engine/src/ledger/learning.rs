//! What is learned from incidents that are over.

use std::collections::BTreeMap;

use super::desk::Desk;
use crate::incident::StatusReason;
use crate::symbols::Sym;
use crate::time::EventTime;
use crate::turn::Item;

/// Has a resolved incident learned of, once: how long trouble took along its edges and which
/// changes it followed. What was no incident, and what nobody saw the end of, teaches nothing.
pub(super) fn learn_of(desk: &mut Desk<'_, '_>, number: u64) {
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    if incident.learned || matches!(incident.reason, StatusReason::FalsePositive | StatusReason::Stale) {
        return;
    }
    let mut began: BTreeMap<Sym, EventTime> = BTreeMap::new();
    let members = incident.members.iter().filter_map(|alert| desk.alerts.get(*alert));
    let members = members.map(|alert| (alert, alert.began_at));
    for (alert, began_at) in members.chain(incident.left_alerts(desk.alerts)) {
        let at = began.entry(alert.entity).or_insert(began_at);
        *at = (*at).min(began_at);
    }
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.learned = true;
    }
    desk.turn.run(Item::Learn(began));
}
