//! The transitions of the ledger: what each item makes of its table, and what it asks for.

use super::incident::State;
use super::stage::take;
use super::step::Step;
use crate::action::{Action, Voice};
use crate::case::{Case, Purpose};
use crate::event::Event;
use crate::incident::{IncidentStatus, StatusReason, Verb};
use crate::testing::{Bench, Done, at};
use crate::timers::Timer;
use crate::turn::{Item, TimerEffect};

/// Apart in the topology and in time, alerts are incidents of their own.
fn bench() -> Bench {
    Bench::with(serde_json::json!({
        "correlate": {"threshold": 0.9, "beyond_penalty": 9.0, "topology_absent": 0.0, "topology_unknown": 0.0},
        "ledger": {"group_wait": "30s", "resolve_after": "5m", "same_cause_min": 1.0, "major": {"incidents_min": 0}}
    }))
}

/// The number of the incident that an alert is part of.
fn of(bench: &Bench, alert: u64) -> u64 {
    bench.tables.alerts.get(alert).and_then(|alert| alert.incident).expect("the alert is part of one")
}

/// An open incident of one alert, and its id.
fn opened(bench: &mut Bench, secs: i64, alert: u64, entity: &str) -> (u64, String) {
    bench.fire(secs, alert, entity);
    let told = bench.wait(secs + 30);
    assert_eq!(told.iter().map(|event| event.verb).collect::<Vec<_>>(), [Verb::Opened]);
    (of(bench, alert), told[0].record.id.clone())
}

fn state(bench: &Bench, number: u64) -> Option<State> {
    bench.tables.ledger.get(number).map(|incident| incident.state)
}

fn act(bench: &mut Bench, secs: i64, action: Action) -> Done {
    bench.take(take, secs, Item::Event(Event::Action(Box::new(action))))
}

fn is_tell(item: &Item, number: u64, verb: Verb) -> bool {
    let purpose = Purpose::Tell { verb, merged_into: None };
    matches!(item, Item::Case(case) if *case == Case { incident: number, purpose })
}

#[test]
fn a_candidate_waits_for_its_other_symptoms_and_is_then_opened_planned_and_related() {
    let mut bench = bench();
    bench.fire(0, 1, "host:a");
    let number = of(&bench, 1);
    let early = bench.take(take, 10, Item::Due(Timer::Incident(number)));
    assert_eq!(early.timers(), [TimerEffect::WakeIncident(number, at(30))]);
    let due = bench.take(take, 30, Item::Due(Timer::Incident(number)));
    let [opened, Item::Ledger(Step::Plan(planned)), Item::Ledger(Step::Relate(_))] = due.items()[..] else {
        panic!("{:?}", due.effects);
    };
    assert!(is_tell(opened, number, Verb::Opened) && *planned == number);
    assert_eq!(state(&bench, number), Some(State::Open));
}

#[test]
fn a_candidate_of_nothing_live_was_nothing_and_a_light_one_waits_on() {
    let mut bench = Bench::with(serde_json::json!({"ledger": {"open_weight": 5.0}}));
    bench.fire(0, 1, "host:a");
    let number = of(&bench, 1);
    assert!(bench.take(take, 30, Item::Due(Timer::Incident(number))).nothing());
    assert_eq!((bench.tables.ledger.too_light(), state(&bench, number)), (1, Some(State::Candidate)));
    bench.take(
        crate::dedup::stage::take,
        40,
        crate::testing::row(40, 1, "DiskFull", "host:a", crate::signal::AlertStatus::Resolved),
    );
    let left = bench.take(take, 40, Item::Left(1));
    assert_eq!(left.timers(), [TimerEffect::WakeIncident(number, at(40))]);
    assert!(bench.take(take, 40, Item::Due(Timer::Incident(number))).nothing());
    assert_eq!((bench.tables.ledger.transient(), state(&bench, number)), (1, None));
    assert_eq!(bench.tables.alerts.get(1).and_then(|alert| alert.incident), None);
}

#[test]
fn a_quiet_incident_is_looked_at_when_it_may_end_and_then_teaches_before_it_is_told() {
    let mut bench = bench();
    let (number, _) = opened(&mut bench, 0, 1, "host:a");
    bench.end(100, 1, "host:a");
    let due = bench.take(take, 400, Item::Due(Timer::Incident(number)));
    let [Item::Learn(began), resolved] = due.items()[..] else { panic!("{:?}", due.effects) };
    assert!(is_tell(resolved, number, Verb::Resolved) && began.len() == 1);
    assert_eq!(due.timers(), [TimerEffect::WakeIncident(number, at(400 + 86_400))]);
    assert_eq!(state(&bench, number), Some(State::Resolved));
}

#[test]
fn an_alert_of_a_resolved_incident_that_is_enlisted_reopens_it() {
    let mut bench = bench();
    let (number, _) = opened(&mut bench, 0, 1, "host:a");
    bench.end(100, 1, "host:a");
    assert_eq!(bench.wait(400)[0].verb, Verb::Resolved);
    let back = bench.take(take, 410, Item::Ledger(Step::Enlist { incident: number, alert: 1 }));
    let [reopened, Item::Ledger(Step::Plan(_))] = back.items()[..] else { panic!("{:?}", back.effects) };
    assert!(is_tell(reopened, number, Verb::Reopened));
    assert_eq!(state(&bench, number), Some(State::Open));
}

#[test]
fn of_two_incidents_whose_groups_are_one_the_younger_is_told_as_merged_before_it_is_absorbed() {
    let mut bench = bench();
    let (old, id) = opened(&mut bench, 0, 1, "host:a");
    let (young, _) = opened(&mut bench, 100, 2, "host:b");
    let group = |bench: &Bench, number| bench.tables.ledger.get(number).map(|i| i.group).expect("it is there");
    let (kept, other) = (group(&bench, old), group(&bench, young));
    let done = bench.take(take, 150, Item::Grouped { alert: 1, group: kept, merged: vec![other] });
    let [Item::Case(merged), Item::Ledger(absorb), Item::Ledger(bind), Item::Ledger(rest)] = done.items()[..] else {
        panic!("{:?}", done.effects);
    };
    let purpose = Purpose::Tell { verb: Verb::Merged, merged_into: Some(id) };
    assert_eq!(*merged, Case { incident: young, purpose });
    assert_eq!(*absorb, Step::Absorb { winner: old, loser: young });
    assert_eq!(*bind, Step::Bind { group: kept, incident: old, own: true });
    assert_eq!(*rest, Step::Merge { alert: 1, group: kept, merged: vec![] });
    let absorbed = bench.take(take, 150, Item::Ledger(absorb.clone()));
    assert!(
        matches!(absorbed.timers()[..], [TimerEffect::Drop(..), TimerEffect::WakeIncident(number, _)] if number == old)
    );
    assert_eq!((of(&bench, 2), state(&bench, young)), (old, None));
}

#[test]
fn an_incident_that_is_told_as_closed_leaves_and_is_remembered() {
    let mut bench = bench();
    let (number, _) = opened(&mut bench, 0, 1, "host:a");
    let case = Item::Case(Case { incident: number, purpose: Purpose::Tell { verb: Verb::Closed, merged_into: None } });
    let found = bench.take(crate::diagnose::stage::take, 50, case).next.expect("it is diagnosed");
    let judged = bench.take(crate::enrich::stage::take, 50, found).next.expect("and enriched");
    let done = bench.take(take, 50, judged);
    let told = done.told();
    assert_eq!(
        (told[0].verb, told[0].record.status, told[0].record.revision),
        (Verb::Closed, IncidentStatus::Closed, 2)
    );
    let [Item::Past(past), Item::Release(alerts)] = done.items()[..] else { panic!("{:?}", done.effects) };
    assert!(past.id == told[0].record.id && !past.signature.is_empty());
    assert_eq!((alerts.as_slice(), state(&bench, number)), (&[1][..], None));
}

#[test]
fn an_operator_acknowledges_an_open_incident_once_and_an_unknown_one_is_counted() {
    let mut bench = bench();
    let (number, id) = opened(&mut bench, 0, 1, "host:a");
    let acknowledge = |incident: &str| Action::Acknowledge {
        incident: incident.to_owned(),
        who: "ana".to_owned(),
        voice: Voice::Operator,
    };
    let done = act(&mut bench, 60, acknowledge(&id));
    let [told, Item::Ledger(Step::Plan(_))] = done.items()[..] else { panic!("{:?}", done.effects) };
    assert!(is_tell(told, number, Verb::Acknowledged));
    let incident = bench.tables.ledger.get(number).expect("it is there");
    assert_eq!((incident.acknowledged_by.as_str(), incident.reason), ("ana", StatusReason::Operator));
    assert!(act(&mut bench, 61, acknowledge(&id)).nothing(), "it is acknowledged");
    assert!(act(&mut bench, 62, acknowledge("inc_unknown")).nothing());
    assert_eq!(bench.tables.stats.actions_unknown, 1);
}

#[test]
fn by_whose_word_an_incident_is_over_is_its_reason() {
    for (voice, reason) in [(Voice::Ticket, StatusReason::Ticket), (Voice::Operator, StatusReason::Operator)] {
        let mut bench = bench();
        let (number, id) = opened(&mut bench, 0, 1, "host:a");
        act(&mut bench, 60, Action::Resolve { incident: id, who: "rt".to_owned(), voice });
        let incident = bench.tables.ledger.get(number).expect("it is there");
        assert_eq!((incident.state, incident.reason), (State::Resolved, reason));
    }
}

#[test]
fn an_alert_that_does_not_belong_teaches_before_its_incident_is_told_as_split() {
    let mut bench = Bench::new();
    bench.fire(0, 1, "host:a");
    bench.fire(1, 2, "host:a");
    let id = bench.wait(31)[0].record.id.clone();
    let number = of(&bench, 1);
    assert_eq!(of(&bench, 2), number, "they are one incident");
    let detach = Action::Detach { incident: id, alert: format!("{:016x}", 2), who: "ana".to_owned() };
    let done = act(&mut bench, 60, detach);
    let [Item::Teach { alert: 2, together: false, moves: true, .. }, told, Item::Ledger(born)] = done.items()[..]
    else {
        panic!("{:?}", done.effects);
    };
    assert!(is_tell(told, number, Verb::Split));
    let child = of(&bench, 2);
    assert_eq!(*born, Step::Born { incident: child, alone: Some(2) });
    assert_ne!(child, number);
    let done = bench.take(take, 60, Item::Ledger(born.clone()));
    assert!(is_tell(done.items()[0], child, Verb::Opened));
}

#[test]
fn a_full_ledger_refuses_a_group_and_counts_it() {
    let mut bench = Bench::with(serde_json::json!({"limits": {"incidents_max": 1}}));
    bench.fire(0, 1, "host:a");
    bench.fire(5_000, 2, "service:far-away");
    assert_eq!(bench.tables.ledger.refused(), 1);
    assert_eq!(bench.tables.alerts.get(2).and_then(|alert| alert.incident), None);
}
