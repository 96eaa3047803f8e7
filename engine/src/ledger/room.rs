//! Room in a full ledger: what is over gives its place up first, then what weighs least and was not told yet. An
//! incident that goes on never does, and for what a person's rule calls critical there is a reserve beyond.

use super::desk::Desk;
use crate::incident::Verb;
use crate::signal::Severity;

/// One part in so many of the ledger is kept beside it, for alerts that a person's rule calls critical.
const RESERVE_PART: usize = 10;

/// How many incidents there may be for this alert to begin one, after room was made where there was none.
pub(super) fn limit_for(desk: &mut Desk<'_, '_>, alert: u64) -> usize {
    let limit = desk.turn.compiled.config.limits.incidents_max;
    if desk.ledger.len() < limit {
        return limit;
    }
    if let Some(over) = desk.ledger.oldest_resolved() {
        // It leaves before anything else happens.
        desk.tell(over, Verb::Closed);
        return desk.ledger.len() + 1;
    }
    let Some(known) = desk.alerts.get(alert) else {
        return limit;
    };
    let (severity, written) = (known.severity, known.is_written());
    let least = desk.ledger.least_candidate();
    if let Some((number, _)) = least.filter(|(_, least)| *least < severity)
        && let Some(gone) = desk.ledger.shed(number)
    {
        gone.members.iter().for_each(|alert| desk.alerts.set_incident(*alert, None));
        return limit;
    }
    let reserve = if written && severity == Severity::Critical { limit.div_ceil(RESERVE_PART) } else { 0 };
    limit + reserve
}

/// Whether an alert that fires on may have found no place when it began, and is to be placed again.
pub(super) fn is_left_over(desk: &Desk<'_, '_>, alert: u64) -> bool {
    let waits = |known: &&crate::alert::Alert| known.is_live() && known.incident.is_none() && !desk.is_evidence(known);
    desk.ledger.refused() > 0 && desk.alerts.get(alert).as_ref().is_some_and(waits)
}
