//! `suppress`: asks who holds an alert back, when it fires and whenever the answer may have changed.

use super::inhibit::Inhibitors;
use super::table::Suppressions;
use super::verdict::{Scene, verdict};
use crate::action::Action;
use crate::alert::{Alert, Suppressor};
use crate::dedup::{Alerts, News};
use crate::event::Event;
use crate::tables::Tables;
use crate::timers::Timer;
use crate::turn::{Item, Turn};

/// Takes the news of alerts, silences, and everything that may end a suppression.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    match item {
        Item::News { alert, news: News::Recovered | News::Expired } => {
            note_inhibitor(alert, tables, turn);
            Some(Item::Left(alert))
        }
        Item::News { alert, .. } | Item::Consider(alert) => {
            note_inhibitor(alert, tables, turn);
            if turn.asks() {
                turn.then(Item::Judge(alert));
                return None;
            }
            judge(alert, tables, turn)
        }
        Item::Judge(alert) => judge(alert, tables, turn),
        Item::Reconsider(alert) => reconsider(alert, tables, turn),
        Item::Gone(alert) => {
            note_source(&alert, tables, turn);
            None
        }
        Item::Event(Event::Action(action)) => match *action {
            Action::Silence { id, matching, from, until, who, why } => {
                tables.suppressions.silences.set(&id, &matching, (from, until), &who, &why);
                // It may cover what fires now.
                firing(&tables.alerts).into_iter().for_each(|alert| turn.run(Item::Consider(alert)));
                None
            }
            other => Some(Item::Event(Event::Action(Box::new(other)))),
        },
        Item::SuppressAnew => {
            suppress_anew(tables, turn);
            None
        }
        Item::Due(Timer::Sweep) => {
            tables.suppressions.silences.sweep(turn.now);
            Some(item)
        }
        other => Some(other),
    }
}

/// Asks about an alert that fires, and sees to the answer.
fn judge(alert: u64, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let known = tables.alerts.get(alert)?;
    let was = known.suppression.is_some();
    let verdict = verdict(known, turn.now, &scene(tables, turn));
    let held = verdict.as_ref().map(|suppression| (suppression.by, suppression.until));
    tables.alerts.set_suppression(alert, verdict);
    let Some((by, until)) = held else {
        return Some(Item::Live(alert));
    };
    if !was {
        tables.stats.suppressed(by.name());
    }
    if let Some(until) = until {
        turn.wake_alert(alert, until);
    }
    Some(Item::Left(alert))
}

/// Asks again about an alert; acts only when the answer changed.
fn reconsider(alert: u64, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let known = tables.alerts.get(alert)?;
    let was = known.suppression.is_some();
    let verdict = verdict(known, turn.now, &scene(tables, turn));
    let held = verdict.as_ref().map(|suppression| (suppression.by, suppression.until));
    tables.alerts.set_suppression(alert, verdict);
    if let Some((_, Some(until))) = held {
        turn.wake_alert(alert, until);
    }
    match (was, held) {
        (true, None) => Some(Item::Live(alert)),
        (false, Some((by, _))) => {
            tables.stats.suppressed(by.name());
            Some(Item::Left(alert))
        }
        _ => None,
    }
}

/// An alert has fired or recovered: those that it inhibits are asked about again.
fn note_inhibitor(alert: u64, tables: &mut Tables, turn: &mut Turn<'_>) {
    if turn.compiled.inhibit.is_empty() {
        return;
    }
    let Tables { alerts, suppressions, estate, .. } = tables;
    if let Some(known) = alerts.get(alert)
        && suppressions.inhibitors.note(&turn.compiled.inhibit, known, &estate.names, &estate.entities)
    {
        ask_concerned(known, alerts, turn);
    }
}

/// The same of an alert that is no longer in the table.
fn note_source(alert: &Alert, tables: &mut Tables, turn: &mut Turn<'_>) {
    let Tables { alerts, suppressions, estate, .. } = tables;
    if suppressions.inhibitors.note(&turn.compiled.inhibit, alert, &estate.names, &estate.entities) {
        ask_concerned(alert, alerts, turn);
    }
}

/// Asks for another look at the alerts that the source of an inhibition may concern.
fn ask_concerned(source: &Alert, alerts: &Alerts, turn: &mut Turn<'_>) {
    let concerned = |alert: &&Alert| {
        let inhibited = alert.suppression.as_ref().is_some_and(|s| s.by == Suppressor::Inhibition);
        alert.fingerprint != source.fingerprint && alert.is_firing() && inhibited != source.is_firing()
    };
    let mut again: Vec<u64> = alerts.iter().filter(concerned).map(|alert| alert.fingerprint).collect();
    again.sort_unstable();
    again.into_iter().for_each(|alert| turn.run(Item::Reconsider(alert)));
}

/// Learns the sources of inhibitions again, then asks about every firing alert.
fn suppress_anew(tables: &mut Tables, turn: &mut Turn<'_>) {
    let Tables { alerts, suppressions: Suppressions { inhibitors, .. }, estate, .. } = tables;
    let firing = firing(alerts);
    *inhibitors = Inhibitors::default();
    for alert in firing.iter().filter_map(|alert| alerts.get(*alert)) {
        inhibitors.note(&turn.compiled.inhibit, alert, &estate.names, &estate.entities);
    }
    firing.into_iter().for_each(|alert| turn.run(Item::Reconsider(alert)));
}

/// The alerts that fire, in order of fingerprint.
fn firing(alerts: &Alerts) -> Vec<u64> {
    let mut firing: Vec<u64> = alerts.iter().filter(|alert| alert.is_firing()).map(|alert| alert.fingerprint).collect();
    firing.sort_unstable();
    firing
}

fn scene<'a>(tables: &'a Tables, turn: &Turn<'a>) -> Scene<'a> {
    Scene {
        flapping: &turn.compiled.config.suppress.flapping,
        inhibit: &turn.compiled.inhibit,
        inhibitors: &tables.suppressions.inhibitors,
        silences: &tables.suppressions.silences,
        maintenance: &tables.estate.lookup.maintenance,
        topology: &tables.estate.topology,
        names: &tables.estate.names,
        entities: &tables.estate.entities,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::AlertStatus;
    use crate::signal::AlertStatus::{Firing, Resolved};
    use crate::testing::{Bench, Done, at, row};
    use crate::turn::TimerEffect;

    fn bench() -> Bench {
        let rule = serde_json::json!({"source": "name = 'HostDown'", "target": "name = 'Slow'", "equal": ["entity"]});
        Bench::with(serde_json::json!({"suppress": {"inhibit": [rule], "flapping": {"changes": 3}}}))
    }

    /// A row that only `dedup` has seen, then this stage with its news.
    fn news(bench: &mut Bench, secs: i64, alert: u64, name: &str, status: AlertStatus) -> Done {
        let row = row(secs, alert, name, "host:a", status);
        let done = bench.take(crate::dedup::stage::take, secs, row);
        bench.take(take, secs, done.next.expect("it is news"))
    }

    fn silence(from: i64, until: i64) -> Item {
        let (from, until) = (at(from), at(until));
        let matching = "name = 'Slow'".to_owned();
        let action = Action::Silence { id: "s1".into(), matching, from, until, who: "ana".into(), why: "work".into() };
        Item::Event(Event::Action(Box::new(action)))
    }

    #[test]
    fn what_nothing_holds_back_is_live_and_what_recovers_has_left() {
        let mut bench = bench();
        assert!(matches!(news(&mut bench, 10, 1, "Slow", Firing).next, Some(Item::Live(1))));
        assert!(matches!(news(&mut bench, 20, 1, "Slow", Resolved).next, Some(Item::Left(1))));
    }

    #[test]
    fn a_source_has_its_targets_asked_again_before_it_is_judged_itself() {
        let mut bench = bench();
        news(&mut bench, 10, 1, "Slow", Firing);
        let done = news(&mut bench, 20, 2, "HostDown", Firing);
        assert!(matches!(done.items()[..], [Item::Reconsider(1), Item::Judge(2)]) && done.next.is_none());
        assert!(matches!(bench.take(take, 20, Item::Reconsider(1)).next, Some(Item::Left(1))));
        assert!(matches!(bench.take(take, 20, Item::Judge(2)).next, Some(Item::Live(2))));
        assert_eq!(bench.tables.stats.suppressed["inhibition"], 1);
        let done = news(&mut bench, 30, 2, "HostDown", Resolved);
        assert!(matches!(done.items()[..], [Item::Reconsider(1)]) && matches!(done.next, Some(Item::Left(2))));
        assert!(matches!(bench.take(take, 30, Item::Reconsider(1)).next, Some(Item::Live(1))));
    }

    #[test]
    fn a_source_that_loses_its_details_inhibits_no_more() {
        let mut bench = bench();
        news(&mut bench, 10, 2, "HostDown", Firing);
        bench.take(take, 10, Item::Judge(2));
        assert!(matches!(news(&mut bench, 11, 1, "Slow", Firing).next, Some(Item::Left(1))));
        let mut gone = bench.tables.alerts.get(2).expect("known").clone();
        gone.status = Resolved;
        let done = bench.take(take, 12, Item::Gone(Box::new(gone)));
        assert!(matches!(done.items()[..], [Item::Reconsider(1)]));
    }

    #[test]
    fn a_silence_has_all_that_fires_considered_and_wakes_what_it_covers_at_its_end() {
        let mut bench = bench();
        news(&mut bench, 10, 1, "Slow", Firing);
        let done = bench.take(take, 20, silence(20, 90));
        assert!(matches!(done.items()[..], [Item::Consider(1)]));
        let done = bench.take(take, 20, Item::Consider(1));
        assert!(matches!(done.next, Some(Item::Left(1))));
        assert_eq!(done.timers(), [TimerEffect::WakeAlert(1, at(90))]);
        assert!(matches!(bench.take(take, 90, Item::Reconsider(1)).next, Some(Item::Live(1))));
        assert!(bench.take(take, 91, Item::Reconsider(1)).nothing(), "the answer is the same");
    }

    #[test]
    fn what_fires_and_recovers_again_and_again_is_held_back_until_it_is_calm() {
        let mut bench = bench();
        news(&mut bench, 10, 1, "Slow", Firing);
        news(&mut bench, 20, 1, "Slow", Resolved);
        let done = news(&mut bench, 30, 1, "Slow", Firing);
        assert!(matches!(done.next, Some(Item::Left(1))));
        assert_eq!(done.timers(), [TimerEffect::WakeAlert(1, at(30 + 900))]);
        assert_eq!(bench.tables.stats.suppressed["flapping"], 1);
    }

    #[test]
    fn other_rules_are_learned_from_what_fires() {
        let mut bench = bench();
        news(&mut bench, 10, 1, "Slow", Firing);
        news(&mut bench, 11, 2, "HostDown", Firing);
        bench.tables.suppressions.inhibitors = Inhibitors::default();
        let done = bench.take(take, 12, Item::SuppressAnew);
        assert!(matches!(done.items()[..], [Item::Reconsider(1), Item::Reconsider(2)]));
        assert!(matches!(bench.take(take, 12, Item::Reconsider(1)).next, Some(Item::Left(1))));
    }
}
