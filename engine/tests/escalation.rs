//! Rules of escalation over the life of an incident: who is told when it waits for too long, at the minute, until somebody
//! has it.

mod common;

use std::sync::Arc;

use bellwether_engine::catalogue::Catalogue;
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::{Action, Input, Voice};
use bellwether_engine::signal::{AlertStatus, Severity};
use bellwether_engine::{Engine, EngineConfig};
use serde_json::{Value, json};

use common::{alerts, at, engine, run, verbs};

fn catalogue(secs: i64, escalations: Value) -> Input {
    let json = json!({
        "services": [{"entity": "service:shop", "owner": "database", "criticality": "high", "sla": "gold"}],
        "slas": [{"name": "gold", "resolve": {"P2": "4h"}}],
        "calendars": [{"name": "office", "hours": ["mon-sun 09:00-17:00"]}],
        "teams": [{"name": "database", "members": [{"name": "ana"}]}],
        "escalations": escalations,
    });
    let catalogue: Catalogue = serde_json::from_value(json).expect("a catalogue");
    assert_eq!(catalogue.check(), Ok(()));
    Input::Catalogue { tenant: "acme".into(), at: at(secs), catalogue: Arc::new(catalogue) }
}

fn fires(escalations: Value) -> Vec<Input> {
    vec![
        catalogue(0, escalations),
        Input::Batch(alerts(&[(10, "Slow", "service:shop", Severity::Major, AlertStatus::Firing)])),
    ]
}

fn minutes(of: std::ops::Range<i64>) -> impl Iterator<Item = Input> {
    of.map(|minute| Input::Tick(at(minute * 60)))
}

/// Minutes since the opening at which somebody was told, by whom, who and how often.
fn told(events: &[IncidentEvent]) -> Vec<(i64, String, String, u64)> {
    let Some(last) = events.last().map(|event| &event.record) else { return Vec::new() };
    let line = |it: &bellwether_engine::incident::Escalation| {
        let since = it.at.0 - last.opened_at.0;
        (since / 60_000_000_000, it.rule.clone(), format!("{} {}", it.kind, it.to), it.time)
    };
    last.escalations.iter().map(line).collect()
}

fn line(minute: i64, rule: &str, to: &str, time: u64) -> (i64, String, String, u64) {
    (minute, rule.to_owned(), to.to_owned(), time)
}

#[test]
fn who_is_named_is_told_at_the_minute_again_and_no_more_when_somebody_has_it() {
    let rules = json!([
        {"name": "nobody answers", "when": "priority = 'P2'", "after": "15m", "to": {"person": "ana"}, "repeat": "30m", "times": 9},
        {"name": "wrong priority", "when": "priority = 'P1'", "to": {"team": "database"}},
    ]);
    let mut inputs = fires(rules);
    inputs.extend(minutes(1..60));
    let mut fold = engine(EngineConfig::default(), 1);
    let mut events = run(&mut fold, &inputs);
    assert_eq!(
        told(&events),
        [line(15, "nobody answers", "person ana", 1), line(45, "nobody answers", "person ana", 2)]
    );
    assert_eq!(verbs(&events), [(Verb::Opened, 1), (Verb::Escalated, 2), (Verb::Escalated, 3)]);
    // Each is a revision at its minute, with all told so far.
    let counts: Vec<usize> = events.iter().map(|event| event.record.escalations.len()).collect();
    assert_eq!(counts, [0, 1, 2]);
    assert_eq!(events[1].record.updated_at, events[1].record.escalations[0].at);
    let id = events[0].record.id.clone();
    let takes = Action::Acknowledge { incident: id, who: "ana".to_owned(), voice: Voice::Operator };
    let takes = vec![Input::Action { tenant: "acme".into(), at: at(3_700), action: takes }];
    events.extend(run(&mut fold, &takes));
    events.extend(run(&mut fold, &minutes(62..170).collect::<Vec<_>>()));
    assert_eq!(told(&events).len(), 2, "nobody is told of what somebody has");
}

#[test]
fn a_clock_that_comes_to_stand_otherwise_is_a_condition_and_until_resolved_outlasts_who_has_it() {
    let rules = json!([
        {"name": "late", "when": "sla_resolve IN ('at_risk', 'breached')", "to": {"audience": "board"}, "until": "resolved",
            "repeat": "1h", "times": 2},
    ]);
    let mut inputs = fires(rules);
    inputs.extend(minutes(1..3));
    let mut fold = engine(EngineConfig::default(), 1);
    let opened = run(&mut fold, &inputs).remove(0);
    let takes = Action::Acknowledge { incident: opened.record.id, who: "ana".to_owned(), voice: Voice::Operator };
    let mut inputs = vec![Input::Action { tenant: "acme".into(), at: at(200), action: takes }];
    inputs.extend(minutes(4..600));
    let events = run(&mut fold, &inputs);
    assert_eq!(told(&events), [line(180, "late", "audience board", 1), line(240, "late", "audience board", 2)]);
}

#[test]
fn working_time_is_waited_for() {
    // It begins at midnight, a minute after which it is told.
    let rules = json!([{"name": "tomorrow", "after": "1h", "calendar": "office", "to": {"team": "database"}}]);
    let mut inputs = fires(rules);
    inputs.extend(minutes(1..700));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let at_ten = events.iter().find(|event| event.verb == Verb::Escalated).expect("told").record.updated_at;
    assert_eq!(at_ten, at(10 * 3_600));
}

#[test]
fn a_new_catalogue_asks_what_is_open_and_one_without_rules_lets_it_rest() {
    let rule = json!([{"name": "r", "after": "10m", "to": {"team": "database"}, "repeat": "10m", "times": 9}]);
    let mut inputs = fires(json!([]));
    inputs.extend(minutes(1..30));
    inputs.push(catalogue(1_800, rule));
    inputs.extend(minutes(31..55));
    inputs.push(catalogue(3_300, json!([])));
    inputs.extend(minutes(56..120));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let since = events[0].record.opened_at;
    let told: Vec<i64> =
        events.last().expect("told").record.escalations.iter().map(|it| it.at.since(since).0).collect();
    let minute = |nanos: i64| nanos / 60_000_000_000;
    assert_eq!(
        told.iter().copied().map(minute).collect::<Vec<_>>(),
        [39, 49],
        "forty and fifty minutes after the start"
    );
}

#[test]
fn how_often_the_clock_ticks_on_how_many_threads_and_a_restart_change_nothing() {
    let rules = || {
        json!([
            {"name": "a", "when": "alerts > 0 AND entity = 'service:shop'", "after": "7m", "to": {"team": "database"},
                "repeat": "11m", "times": 5},
            {"name": "b", "after": "7m", "to": {"audience": "board"}},
        ])
    };
    let whole = |threads: usize, every: usize| {
        let mut inputs = fires(rules());
        inputs.extend(minutes(1..100).step_by(every));
        inputs.push(Input::Tick(at(6_000)));
        let mut fold = engine(EngineConfig::default(), threads);
        let mut events = run(&mut fold, &inputs[..inputs.len() / 2]);
        let number = std::num::NonZeroUsize::new(threads).expect("one at least");
        let mut again = Engine::restore(EngineConfig::default(), number, &fold.snapshot()).expect("it restores");
        events.extend(run(&mut again, &inputs[inputs.len() / 2..]));
        events.iter().map(|event| (event.key(), event.payload())).collect::<Vec<_>>()
    };
    let first = whole(1, 1);
    assert!(first.len() > 5);
    assert_eq!(first, whole(2, 1));
    assert_eq!(first, whole(1, 13));
}
