//! The transitions of the ledger: what each item makes of its table, and what it asks for.

use bellwether_models::group::GroupId;

use super::budget::{Evidence, Worth};
use super::incident::State;
use super::stage::take;
use super::step::Step;
use crate::action::{Action, TicketVerb, Voice};
use crate::alert::{DetectorKind, Observation, Sensed};
use crate::case::{Case, Purpose};
use crate::event::Event;
use crate::incident::{EvidenceSignal, IncidentEvent, IncidentStatus, Priority, StatusReason, Verb};
use crate::signal::{AlertStatus, Severity};
use crate::testing::{Bench, Done, at, row, sensed};
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
    let mut bench = Bench::with(serde_json::json!({"ledger": {"open_weight": 5.0, "tell_from": "critical"}}));
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
    let [Item::Closed(closed), Item::Release(alerts)] = done.items()[..] else { panic!("{:?}", done.effects) };
    assert!(closed.id == told[0].record.id && !closed.signature.is_empty() && !closed.kind.is_empty());
    assert_eq!((closed.team.as_str(), closed.breached), ("operations", None));
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
fn who_has_the_ticket_is_the_assignee_of_an_incident_that_goes_on_and_what_is_over_keeps_its_own() {
    let mut bench = bench();
    let (number, id) = opened(&mut bench, 0, 1, "host:a");
    let changed = |verb: TicketVerb, text: &str| Action::TicketChanged {
        incident: id.clone(),
        system: "rt".to_owned(),
        key: "17".to_owned(),
        verb,
        who: "ana".to_owned(),
        text: text.to_owned(),
    };
    let assignee = |bench: &Bench| {
        let owner = bench.tables.ledger.get(number).and_then(|incident| incident.owner.clone());
        owner.unwrap_or_default().assignee
    };
    act(&mut bench, 60, changed(TicketVerb::Reassigned, "boris"));
    act(&mut bench, 61, changed(TicketVerb::Commented, "I look at it"));
    assert_eq!(assignee(&bench), "boris");
    act(&mut bench, 62, Action::Resolve { incident: id.clone(), who: "rt".to_owned(), voice: Voice::Ticket });
    act(&mut bench, 63, changed(TicketVerb::Reassigned, "cleo"));
    assert_eq!((assignee(&bench).as_str(), bench.tables.stats.actions_unknown), ("boris", 0));
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

/// A ledger with room for two.
fn small() -> Bench {
    Bench::with(serde_json::json!({
        "limits": {"incidents_max": 2},
        "correlate": {"threshold": 0.9, "beyond_penalty": 9.0, "topology_absent": 0.0, "topology_unknown": 0.0},
        "ledger": {"group_wait": "30s", "resolve_after": "5m", "same_cause_min": 1.0, "major": {"incidents_min": 0}}
    }))
}

/// An alert of a person's rule about an entity, as it fires.
fn written(bench: &mut Bench, secs: i64, (alert, entity): (u64, &str), severity: Severity) -> Vec<IncidentEvent> {
    let item = says(secs, (alert, &format!("Rule{alert}"), entity), severity, DetectorKind::Rule);
    bench.run(secs, item)
}

#[test]
fn a_full_ledger_closes_what_is_over_the_oldest_first_and_tells_the_next_fault() {
    let mut bench = small();
    let mut ids = Vec::new();
    for (alert, entity) in [(1, "host:a"), (2, "service:b")] {
        ids.push(opened(&mut bench, 0, alert, entity).1);
        bench.end(40 + alert as i64, alert, entity);
    }
    bench.wait(500);
    let told = written(&mut bench, 600, (3, "database:c"), Severity::Critical);
    let closed: Vec<_> = told.iter().map(|event| (event.verb, event.record.id.clone())).collect();
    assert_eq!(closed, [(Verb::Closed, ids[0].clone())]);
    assert_eq!((bench.tables.ledger.len(), bench.tables.ledger.refused()), (2, 0));
    assert!(bench.wait(630).iter().any(|event| event.verb == Verb::Opened));
}

#[test]
fn a_full_ledger_drops_the_least_candidate_for_what_is_worse_and_counts_it() {
    let mut bench = small();
    written(&mut bench, 0, (1, "host:a"), Severity::Warning);
    written(&mut bench, 1, (2, "service:b"), Severity::Major);
    written(&mut bench, 2, (3, "database:c"), Severity::Critical);
    let place = |bench: &Bench, alert| bench.tables.alerts.get(alert).and_then(|alert| alert.incident);
    assert_eq!((place(&bench, 1), bench.tables.ledger.refused()), (None, 1));
    assert!(place(&bench, 2).is_some() && place(&bench, 3).is_some());
}

#[test]
fn what_a_persons_rule_calls_critical_has_a_reserve_and_the_rest_is_refused_and_counted() {
    let mut bench = small();
    for (alert, entity) in [(1, "host:a"), (2, "service:b"), (3, "database:c")] {
        written(&mut bench, 0, (alert, entity), Severity::Critical);
    }
    assert_eq!((bench.tables.ledger.len(), bench.tables.ledger.refused()), (3, 0));
    written(&mut bench, 1, (4, "queue:d"), Severity::Major);
    assert_eq!((bench.tables.ledger.len(), bench.tables.ledger.refused()), (3, 1));
    assert_eq!(bench.tables.alerts.get(4).and_then(|alert| alert.incident), None);
}

#[test]
fn what_found_no_place_and_fires_on_is_told_once_there_is_room() {
    let mut bench = small();
    for (alert, entity) in [(1, "host:a"), (2, "service:b")] {
        opened(&mut bench, 0, alert, entity);
    }
    bench.fire(40, 3, "database:c");
    assert_eq!(bench.tables.ledger.refused(), 1);
    bench.end(50, 1, "host:a");
    bench.wait(400);
    bench.fire(410, 3, "database:c");
    assert!(bench.wait(445).iter().any(|event| event.verb == Verb::Opened), "it has waited long enough");
}

/// An alert that a person's rule or one of our detectors raises, as it fires at second `secs`.
fn says(secs: i64, (alert, name, entity): (u64, &str, &str), severity: Severity, by: DetectorKind) -> Item {
    let observation = Observation {
        signal: EvidenceSignal::Log,
        name: "connection to <*> lost".into(),
        value: None,
        expected: None,
        score: 0.9,
        detector: by,
        felt: false,
    };
    let sensed = sensed(secs, alert, name, entity, AlertStatus::Firing);
    Item::Event(Event::Sensed(Box::new(Sensed { severity, observation: Some(observation), ..sensed })))
}

fn false_positive(bench: &mut Bench, secs: i64, incident: &str) -> Vec<IncidentEvent> {
    let action = Action::FalsePositive { incident: incident.to_owned(), who: "ana".to_owned() };
    bench.run(secs, Item::Event(Event::Action(Box::new(action))))
}

/// What is told when this alert fires at `secs` and half a minute has passed, and when it has ended and all is quiet.
fn fires_and_ends(
    bench: &mut Bench,
    secs: i64,
    alert: u64,
    severity: Severity,
    by: DetectorKind,
) -> Vec<IncidentEvent> {
    let mut told = bench.run(secs, says(secs, (alert, "NewLogTemplate", "host:a"), severity, by));
    told.extend(bench.wait(secs + 31));
    told.extend(bench.run(secs + 60, row(secs + 60, alert, "NewLogTemplate", "host:a", AlertStatus::Resolved)));
    told.extend(bench.wait(secs + 60 + 301));
    told
}

fn verbs(told: &[IncidentEvent]) -> Vec<Verb> {
    told.iter().map(|event| event.verb).collect()
}

#[test]
fn what_was_called_false_stays_closed_until_it_is_taken_back() {
    let mut bench = bench();
    bench.run(0, says(0, (1, "NewLogTemplate", "host:a"), Severity::Major, DetectorKind::LogWatch));
    let id = bench.wait(30)[0].record.id.clone();
    let told = false_positive(&mut bench, 60, &id);
    assert_eq!((told[0].verb, told[0].record.status_reason), (Verb::Resolved, Some(StatusReason::FalsePositive)));
    bench.run(70, row(70, 1, "NewLogTemplate", "host:a", AlertStatus::Resolved));
    for secs in [100, 10_000, 1_000_000] {
        let told = fires_and_ends(&mut bench, secs, 1, Severity::Major, DetectorKind::LogWatch);
        assert_eq!(verbs(&told.into_iter().filter(|event| event.verb != Verb::Closed).collect::<Vec<_>>()), []);
    }
    assert_eq!(bench.tables.ledger.taught(), 3);
    let worse = fires_and_ends(&mut bench, 1_100_000, 1, Severity::Critical, DetectorKind::LogWatch);
    assert_eq!(verbs(&worse), [Verb::Opened, Verb::Resolved], "it was never called false that it is so bad");

    let [lesson] = &bench.tables.ledger.lessons.views()[..] else { panic!("one sign was taught") };
    assert_eq!((lesson.incident.as_str(), lesson.who.as_str(), lesson.held, lesson.lasting), (&*id, "ana", 3, true));
    bench.run(1_200_000, says(1_200_000, (1, "NewLogTemplate", "host:a"), Severity::Major, DetectorKind::LogWatch));
    assert!(bench.wait(1_200_100).iter().all(|event| event.verb == Verb::Closed));
    let retract = Action::Retract { incident: id, who: "ben".to_owned() };
    bench.run(1_200_200, Item::Event(Event::Action(Box::new(retract))));
    let told = bench.wait(1_200_201);
    assert_eq!(verbs(&told), [Verb::Opened], "what was kept back is told");
}

#[test]
fn what_a_person_opens_again_is_open_and_ends_when_it_has_been_quiet_again() {
    let mut bench = bench();
    bench.run(0, says(0, (1, "DiskFull", "host:a"), Severity::Major, DetectorKind::Rule));
    let id = bench.wait(30)[0].record.id.clone();
    bench.run(60, row(60, 1, "DiskFull", "host:a", AlertStatus::Resolved));
    assert_eq!(verbs(&bench.wait(1_000)), [Verb::Resolved]);
    let reopen = Action::Reopen { incident: id, who: "ana".to_owned() };
    let told = bench.run(1_010, Item::Event(Event::Action(Box::new(reopen.clone()))));
    assert_eq!(verbs(&told), [Verb::Reopened]);
    assert_eq!((told[0].record.status_reason, told[0].record.resolved_at), (Some(StatusReason::Operator), None));
    let again = bench.run(1_020, Item::Event(Event::Action(Box::new(reopen))));
    assert_eq!(verbs(&again), [], "it is open");
    assert_eq!(verbs(&bench.wait(3_000)), [Verb::Resolved]);
}

#[test]
fn a_rule_called_false_is_quiet_while_it_goes_on_and_for_good_from_the_second_time() {
    let mut bench = bench();
    bench.run(0, says(0, (1, "NewLogTemplate", "host:a"), Severity::Major, DetectorKind::Rule));
    let first = bench.wait(30)[0].record.id.clone();
    false_positive(&mut bench, 60, &first);
    bench.run(70, row(70, 1, "NewLogTemplate", "host:a", AlertStatus::Resolved));
    let flap = fires_and_ends(&mut bench, 900, 1, Severity::Major, DetectorKind::Rule);
    assert_eq!(verbs(&flap), [], "it goes on");
    bench.run(10_000, says(10_000, (1, "NewLogTemplate", "host:a"), Severity::Major, DetectorKind::Rule));
    let second = bench.wait(10_031);
    assert_eq!(verbs(&second), [Verb::Opened], "that is another time");
    let second = second[0].record.id.clone();
    false_positive(&mut bench, 10_060, &second);
    bench.run(10_070, row(10_070, 1, "NewLogTemplate", "host:a", AlertStatus::Resolved));
    let later = fires_and_ends(&mut bench, 1_000_000, 1, Severity::Major, DetectorKind::Rule);
    assert!(later.iter().all(|event| event.verb == Verb::Closed), "{:?}", verbs(&later));
}

#[test]
fn a_critical_rule_is_never_silenced_for_good() {
    let mut bench = bench();
    for secs in [0, 100_000, 200_000] {
        bench.run(secs, says(secs, (1, "NewLogTemplate", "host:a"), Severity::Critical, DetectorKind::Rule));
        let told = bench.wait(secs + 31);
        let opened: Vec<_> = told.iter().filter(|event| event.verb == Verb::Opened).collect();
        assert_eq!(opened.len(), 1, "at {secs}");
        let id = opened[0].record.id.clone();
        false_positive(&mut bench, secs + 60, &id);
        bench.run(secs + 70, row(secs + 70, 1, "NewLogTemplate", "host:a", AlertStatus::Resolved));
    }
}

#[test]
fn a_warning_of_a_persons_rule_is_told_as_little_once_it_lasts_and_one_of_our_own_waits_for_others() {
    let mut bench = bench();
    bench.run(0, says(0, (1, "QueueGrows", "host:a"), Severity::Warning, DetectorKind::Rule));
    assert_eq!(verbs(&bench.wait(299)), [], "it may be over soon");
    let told = bench.wait(300);
    assert_eq!((told[0].verb, told[0].record.priority), (Verb::Opened, Priority::P4));
    bench.run(5_000, says(5_000, (2, "NewLogTemplate", "host:b"), Severity::Warning, DetectorKind::LogWatch));
    bench.run(5_001, says(5_001, (3, "Note", "host:c"), Severity::Info, DetectorKind::Rule));
    assert_eq!(verbs(&bench.wait(6_000)), []);
}

#[test]
fn a_warning_where_an_incident_is_being_worked_on_is_told_when_that_is_over() {
    let mut bench = bench();
    let (_, id) = opened(&mut bench, 0, 1, "host:a");
    bench.run(600, says(600, (2, "QueueGrows", "host:a"), Severity::Warning, DetectorKind::Rule));
    assert_eq!(verbs(&bench.wait(3_000)), []);
    bench.end(3_000, 1, "host:a");
    let told = bench.wait(3_700);
    assert_eq!(verbs(&told), [Verb::Resolved, Verb::Opened]);
    assert!(told[0].record.id == id && told[1].record.id != id);
}

#[test]
fn another_condition_in_the_group_of_what_is_over_is_an_incident_of_its_own_and_the_same_reopens_it() {
    let mut bench = bench();
    let (number, _) = opened(&mut bench, 0, 1, "host:a");
    bench.end(60, 1, "host:a");
    assert_eq!(verbs(&bench.wait(400)), [Verb::Resolved]);
    let group = bench.tables.ledger.get(number).expect("it is kept").group;
    let placed = |bench: &mut Bench, secs: i64, alert: u64, name: &str, entity: &str| {
        bench.take(crate::dedup::stage::take, secs, row(secs, alert, name, entity, AlertStatus::Firing));
        bench.run(secs, Item::Grouped { alert, group, merged: Vec::new() })
    };
    assert_eq!(verbs(&placed(&mut bench, 410, 2, "ClockSkew", "host:a")), []);
    let other = of(&bench, 2);
    assert_ne!(other, number, "another condition");
    assert_eq!(state(&bench, number), Some(State::Resolved));
    bench.tables.ledger.bind(group, number);
    assert_eq!(verbs(&placed(&mut bench, 420, 3, "DiskFull", "host:b")), []);
    assert_ne!(of(&bench, 3), number, "another entity");
    bench.tables.ledger.bind(group, number);
    assert_eq!(verbs(&placed(&mut bench, 430, 4, "DiskFull", "host:a")), [Verb::Reopened]);
}

#[test]
fn an_incident_is_over_when_its_symptoms_are_whatever_odd_series_goes_on() {
    let mut bench = bench();
    let (number, _) = opened(&mut bench, 0, 1, "host:a");
    let odd = says(40, (2, "MetricAnomaly", "host:a"), Severity::Warning, DetectorKind::Anomaly);
    bench.take(crate::dedup::stage::take, 40, odd);
    bench.run(40, Item::Ledger(Step::Enlist { incident: number, alert: 2 }));
    bench.end(100, 1, "host:a");
    assert_eq!(verbs(&bench.wait(399)), []);
    assert_eq!(verbs(&bench.wait(400)), [Verb::Resolved]);
    assert!(bench.tables.ledger.get(number).is_some_and(|incident| incident.live.contains(&2)));
}

#[test]
fn findings_have_to_weigh_more_while_too_many_were_false_and_a_persons_rule_does_not() {
    let told = |by| {
        let mut bench = bench();
        for number in 1_000..1_021 {
            bench.tables.ledger.budget.note_opened(number, Evidence::Logs, at(0));
            bench.tables.ledger.budget.judge(number, Worth::False);
        }
        let mut verbs_at = |secs: i64, alert: u64| {
            bench.run(secs, says(secs, (alert, "NewLogTemplate", "host:a"), Severity::Major, by));
            verbs(&bench.wait(secs + 31))
        };
        (verbs_at(60, 1), verbs_at(8 * 86_400, 2).contains(&Verb::Opened))
    };
    assert_eq!(told(DetectorKind::LogWatch), (vec![], true), "21 of a budget of 7, and a week later none");
    assert_eq!(told(DetectorKind::Rule), (vec![Verb::Opened], true));
}

#[test]
fn an_incident_that_closes_leaves_its_alert_to_the_incident_where_it_fires_now() {
    let mut bench = bench();
    let (old, _) = opened(&mut bench, 0, 1, "host:a");
    bench.end(100, 1, "host:a");
    assert_eq!(verbs(&bench.wait(400)), [Verb::Resolved]);
    bench.fire(86_000, 1, "host:a");
    assert_eq!(verbs(&bench.wait(86_030)), [Verb::Opened]);
    let new = of(&bench, 1);
    assert_eq!(verbs(&bench.wait(90_000)), [Verb::Closed]);
    assert_eq!((state(&bench, old), of(&bench, 1)), (None, new));
    bench.end(90_100, 1, "host:a");
    assert_eq!(verbs(&bench.wait(90_401)), [Verb::Resolved], "its end is the end of the new one");
}

#[test]
fn without_topology_another_condition_of_another_host_is_another_incident() {
    let mut bench = Bench::new();
    bench.fire(0, 1, "host:a");
    let sensed = sensed(18, 2, "ClockSkew", "host:b", AlertStatus::Firing);
    let other = Sensed { summary: "the time is 9 s ahead of its peers".into(), ..sensed };
    bench.run(18, Item::Event(Event::Sensed(Box::new(other))));
    bench.wait(60);
    assert_ne!(of(&bench, 1), of(&bench, 2));
}

#[test]
fn a_split_leaves_the_id_with_what_the_incident_was_told_to_be_about() {
    let mut bench = bench();
    let (number, id) = opened(&mut bench, 0, 1, "host:a");
    for alert in [2, 3] {
        bench.fire(100, alert, "host:b");
        let attach = Action::Attach { incident: id.clone(), alert: format!("{alert:016x}"), who: "ana".to_owned() };
        bench.run(101, Item::Event(Event::Action(Box::new(attach))));
    }
    assert_eq!((of(&bench, 2), of(&bench, 3)), (number, number));
    bench.run(102, Item::Parts { incident: number, parts: vec![(GroupId(99), vec![1])] });
    let child = of(&bench, 2);
    assert_eq!((of(&bench, 1), of(&bench, 3)), (number, child), "the larger part moved, the subject stays");
    assert_ne!(child, number);
    assert_eq!(bench.tables.ledger.get(number).map(|incident| incident.group), Some(GroupId(99)));
    assert_eq!(bench.tables.ledger.of_group(GroupId(99)), Some(number));
}
