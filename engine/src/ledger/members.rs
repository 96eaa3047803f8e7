//! Which alerts an incident holds: they come and go, move, and are counted.

use super::desk::Desk;
use super::room;
use crate::dedup::ShedAlert;
use crate::turn::Item;

/// A further row of an alert is counted at its incident.
pub(super) fn count_row(desk: &mut Desk<'_, '_>, alert: u64) {
    let now = desk.now();
    let incident = desk.alerts.get(alert).and_then(|alert| alert.incident);
    if let Some(incident) = incident.and_then(|number| desk.ledger.get_mut(number)) {
        incident.alert_count += 1;
        incident.last_news = now;
    } else if room::is_left_over(desk, alert) {
        desk.turn.run(Item::Consider(alert));
    }
}

/// An alert that recovered or was suppressed is no longer live at its incident.
pub(super) fn leave(desk: &mut Desk<'_, '_>, alert: u64) {
    let Some(number) = desk.alerts.get(alert).and_then(|alert| alert.incident) else {
        return;
    };
    desk.calm(number, alert);
    desk.wake_when_quiet(number);
}

/// An alert is no part of its incident any more, as if it had never been.
pub(super) fn take_out(desk: &mut Desk<'_, '_>, alert: u64, incident: Option<u64>) {
    let Some(number) = incident else {
        return;
    };
    desk.calm(number, alert);
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.members.remove(&alert);
    }
    desk.wake_when_quiet(number);
}

/// An alert whose details were shed has recovered.
pub(super) fn end_shed(desk: &mut Desk<'_, '_>, alert: u64, shed: &ShedAlert) {
    let Some((number, incident)) = shed.incident.and_then(|n| Some((n, desk.ledger.get_mut(n)?))) else {
        return;
    };
    incident.alert_count += 1;
    desk.calm(number, alert);
    desk.wake_when_quiet(number);
}

/// An alert of one incident is one of another from now on.
pub(super) fn move_alert(desk: &mut Desk<'_, '_>, alert: u64, from: u64, to: u64) {
    let now = desk.now();
    let Some(known) = desk.alerts.get(alert) else {
        return;
    };
    let (severity, rows, live) = (known.severity, known.count, known.is_live());
    desk.alerts.set_incident(alert, Some(to));
    if let Some(old) = desk.ledger.get_mut(from) {
        old.members.remove(&alert);
        old.alert_count = old.alert_count.saturating_sub(rows);
    }
    desk.calm(from, alert);
    if let Some(new) = desk.ledger.get_mut(to) {
        new.admit(alert, severity, rows, now);
        if !live {
            new.calm(alert, now);
        }
    }
}
