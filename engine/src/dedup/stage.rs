//! `dedup`: what each row means for an alert, and what leaves the tables for it.

use super::shed::ShedAlert;
use super::table::{Alerts, Evicted, News};
use crate::alert::{AlertRow, Sensed};
use crate::condition::condition;
use crate::event::Event;
use crate::signal::AlertStatus;
use crate::tables::Tables;
use crate::time::EventTime;
use crate::timers::Timer;
use crate::topology::Estate;
use crate::turn::{Item, Turn};

/// Takes the rows of alerts, their timers, and what is no longer needed.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    match item {
        Item::Event(Event::Alert(batch, row)) => observe(&AlertRow::wire(&batch, row), tables, turn),
        Item::Event(Event::Sensed(sensed)) => observe_own(&sensed, tables, turn),
        Item::News { alert, news } => settle(alert, news, tables, turn),
        Item::Due(Timer::Alert(alert)) => due(alert, tables, turn),
        Item::Release(alerts) => {
            alerts.iter().for_each(|alert| release(*alert, &mut tables.alerts, turn));
            Some(Item::Release(alerts))
        }
        Item::Settings => {
            let limits = &turn.compiled.config.limits;
            tables.alerts.set_capacity(limits.alerts_max, limits.alerts_shed_max);
            Some(Item::Settings)
        }
        other => Some(other),
    }
}

fn observe_own(sensed: &Sensed, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    observe(&AlertRow::Own(sensed), tables, turn)
}

/// Takes a row. What had to make room for it is seen to before what it says.
fn observe(row: &AlertRow<'_>, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let alert = row.fingerprint();
    let Tables { alerts, estate, room, .. } = tables;
    let config = &turn.compiled.config.dedup;
    let (names, entities) = (&mut estate.names, &mut estate.entities);
    let (news, evicted) = alerts.observe(row, turn.now, config, room.alerts, names, entities);
    if evicted.is_empty() {
        return settle(alert, news, tables, turn);
    }
    evicted.into_iter().for_each(|evicted| put_out(evicted, turn));
    turn.then(Item::News { alert, news });
    None
}

/// Alerts had to make room for another. One that fires stays part of its incident.
fn put_out(evicted: Evicted, turn: &mut Turn<'_>) {
    if let Some(mut alert) = evicted.detail {
        turn.run(Item::Forget(alert.fingerprint));
        if alert.is_firing() {
            // Nobody would end what it inhibits: better told twice than never.
            alert.status = AlertStatus::Resolved;
            turn.run(Item::Gone(Box::new(alert)));
        } else {
            turn.drop_timer(alert.timer, Timer::Alert(alert.fingerprint));
            turn.run(Item::TakenOut { alert: alert.fingerprint, incident: alert.incident });
        }
    }
    if let Some((alert, lost)) = evicted.lost {
        turn.drop_timer(lost.timer, Timer::Alert(alert));
        turn.run(Item::TakenOut { alert, incident: lost.incident });
    }
}

/// Sees to what a row has said: counts it, and plans when the alert expires.
fn settle(alert: u64, news: News, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let Tables { alerts, estate, stats, .. } = tables;
    if matches!(news, News::Fired | News::Recalled) {
        rename(alert, alerts, estate);
    }
    if news.says_what_is() {
        describe(alert, alerts, estate);
    }
    if let Some(known) = alerts.get(alert).filter(|known| known.is_firing()) {
        turn.wake_alert(alert, known.expires_at);
    }
    match &news {
        News::Fired => stats.alerts_fired += 1,
        News::FiredAgain | News::Worse => {
            stats.alerts_fired += u64::from(news == News::FiredAgain);
            turn.run(Item::Row(alert));
        }
        News::Repeat => {
            stats.alerts_repeated += 1;
            return Some(Item::Row(alert));
        }
        News::Recovered => {
            stats.alerts_recovered += 1;
            turn.run(Item::Row(alert));
        }
        News::Recalled => stats.alerts_repeated += 1,
        News::Expired => {}
        News::UnknownRecovery => {
            stats.recoveries_unknown += 1;
            return None;
        }
        News::ShedRepeat => {
            stats.alerts_repeated += 1;
            return None;
        }
        News::ShedRecovered(shed) => {
            stats.alerts_recovered += 1;
            return end_shed(alert, shed.clone(), turn);
        }
    }
    Some(Item::News { alert, news })
}

/// Gives a new alert its entity's one name.
fn rename(alert: u64, alerts: &mut Alerts, estate: &mut Estate) {
    if let Some(name) = alerts.get(alert).and_then(|known| estate.renamed(known.entity)) {
        alerts.rename(alert, name);
    }
}

/// Reads how much an alert speaks of a condition.
fn describe(alert: u64, alerts: &mut Alerts, estate: &Estate) {
    if let Some(known) = alerts.get(alert) {
        let condition = condition(known, &estate.names, &estate.entities);
        alerts.describe(alert, condition);
    }
}

/// An alert whose details were shed has ended.
fn end_shed(alert: u64, shed: ShedAlert, turn: &mut Turn<'_>) -> Option<Item> {
    turn.drop_timer(shed.timer, Timer::Alert(alert));
    Some(Item::ShedEnded { alert, shed })
}

/// An alert's timer: it expires, or what suppressed it has ended.
fn due(alert: u64, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let Tables { alerts, stats, .. } = tables;
    if let Some(slot) = alerts.timer_mut(alert) {
        *slot = None;
    }
    let Some(known) = alerts.get(alert) else {
        let shed = shed_due(alert, turn.now, alerts, turn)?;
        stats.alerts_expired += 1;
        return end_shed(alert, shed, turn);
    };
    if !known.is_firing() {
        return None;
    }
    let (suppressed, expires_at) = (known.suppression.is_some(), known.expires_at);
    if alerts.expire(alert, turn.now) {
        stats.alerts_expired += 1;
        return Some(Item::News { alert, news: News::Expired });
    }
    turn.wake_alert(alert, expires_at);
    suppressed.then_some(Item::Reconsider(alert))
}

/// The timer of an alert whose details were shed: nothing was heard of it, or it goes on.
fn shed_due(alert: u64, now: EventTime, alerts: &mut Alerts, turn: &mut Turn<'_>) -> Option<ShedAlert> {
    let expires_at = alerts.shed(alert)?.expires_at;
    if expires_at > now {
        turn.wake_alert(alert, expires_at);
        return None;
    }
    alerts.forget_shed(alert)
}

/// The incident of an alert is closed: what is over is forgotten.
fn release(alert: u64, alerts: &mut Alerts, turn: &mut Turn<'_>) {
    if alerts.get(alert).is_none_or(|known| known.is_firing()) {
        alerts.set_incident(alert, None);
    } else if let Some(gone) = alerts.forget(alert) {
        turn.drop_timer(gone.timer, Timer::Alert(alert));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Done, at, row};
    use crate::turn::TimerEffect;

    fn push(bench: &mut Bench, secs: i64, alert: u64, status: AlertStatus) -> Done {
        bench.take(take, secs, row(secs, alert, "DiskFull", "host:a", status))
    }

    fn small() -> Bench {
        Bench::with(serde_json::json!({"limits": {"alerts_max": 1, "alerts_shed_max": 1}}))
    }

    #[test]
    fn a_first_row_is_news_and_plans_when_the_alert_expires() {
        let mut bench = Bench::new();
        let done = push(&mut bench, 10, 7, AlertStatus::Firing);
        assert!(matches!(done.next, Some(Item::News { alert: 7, news: News::Fired })));
        assert_eq!(done.timers(), [TimerEffect::WakeAlert(7, at(10 + 86_400))]);
        assert!(bench.tables.alerts.get(7).expect("known").condition > 0.7, "a full disk is a condition");
        assert_eq!(
            bench.tables.alerts.conditions_near(at(10), crate::time::Span::from_secs(1), 8, |_| true).map(|e| e.len()),
            Some(1)
        );
    }

    #[test]
    fn a_repeat_is_a_row_and_a_recovery_is_a_row_and_news() {
        let mut bench = Bench::new();
        push(&mut bench, 10, 7, AlertStatus::Firing);
        assert!(matches!(push(&mut bench, 20, 7, AlertStatus::Firing).next, Some(Item::Row(7))));
        let done = push(&mut bench, 30, 7, AlertStatus::Resolved);
        assert!(matches!(done.items()[..], [Item::Row(7)]), "it is counted first");
        assert!(matches!(done.next, Some(Item::News { news: News::Recovered, .. })));
        assert!(push(&mut bench, 40, 8, AlertStatus::Resolved).nothing(), "it never fired here");
        assert_eq!(bench.tables.stats.recoveries_unknown, 1);
    }

    #[test]
    fn what_makes_room_is_seen_to_before_the_row_that_needs_it() {
        let mut bench = small();
        push(&mut bench, 10, 7, AlertStatus::Firing);
        let done = push(&mut bench, 20, 8, AlertStatus::Firing);
        let [Item::Forget(7), Item::Gone(gone), Item::News { alert: 8, news: News::Fired }] = done.items()[..] else {
            panic!("{:?}", done.effects);
        };
        assert!(!gone.is_firing(), "what it inhibits must end");
        assert!(done.next.is_none());
        assert!(bench.tables.alerts.get(7).is_none() && bench.tables.alerts.shed(7).is_some());
    }

    #[test]
    fn a_shed_alert_ends_by_its_recovery_and_by_its_timer() {
        let mut bench = small();
        for alert in [7, 8] {
            push(&mut bench, 10, alert, AlertStatus::Firing);
        }
        let done = push(&mut bench, 20, 7, AlertStatus::Resolved);
        assert!(matches!(done.next, Some(Item::ShedEnded { alert: 7, .. })));
        push(&mut bench, 30, 9, AlertStatus::Firing);
        let early = bench.take(take, 40, Item::Due(Timer::Alert(8)));
        assert_eq!(early.timers(), [TimerEffect::WakeAlert(8, at(10 + 86_400))]);
        let late = bench.take(take, 90_000, Item::Due(Timer::Alert(8)));
        assert!(matches!(late.next, Some(Item::ShedEnded { alert: 8, .. })));
        assert_eq!(bench.tables.stats.alerts_expired, 1);
    }

    #[test]
    fn a_timer_ends_what_nothing_was_heard_of_and_asks_again_about_what_is_held_back() {
        let mut bench = Bench::new();
        push(&mut bench, 10, 7, AlertStatus::Firing);
        let held = crate::alert::Suppression {
            by: crate::alert::Suppressor::Silence,
            reason: "work".into(),
            until: Some(at(60)),
        };
        bench.tables.alerts.set_suppression(7, Some(held));
        let done = bench.take(take, 60, Item::Due(Timer::Alert(7)));
        assert!(matches!(done.next, Some(Item::Reconsider(7))));
        let done = bench.take(take, 90_000, Item::Due(Timer::Alert(7)));
        assert!(matches!(done.next, Some(Item::News { alert: 7, news: News::Expired })));
        assert!(bench.take(take, 90_001, Item::Due(Timer::Alert(7))).nothing(), "it is over");
    }

    #[test]
    fn of_a_closed_incident_what_fires_stays_and_what_is_over_is_forgotten() {
        let mut bench = Bench::new();
        for alert in [7, 8] {
            push(&mut bench, 10, alert, AlertStatus::Firing);
            bench.tables.alerts.set_incident(alert, Some(1));
        }
        push(&mut bench, 20, 8, AlertStatus::Resolved);
        let done = bench.take(take, 30, Item::Release(vec![7, 8]));
        assert!(matches!(done.next, Some(Item::Release(_))), "the groups have to let go too");
        assert_eq!(bench.tables.alerts.get(7).map(|alert| alert.incident), Some(None));
        assert!(bench.tables.alerts.get(8).is_none());
    }
}
