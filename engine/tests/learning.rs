//! What the engine learns from incidents that are over and from what operators say, as storyboards.

mod common;

use bellwether_engine::incident::{IncidentEvent, IncidentStatus, Verb};
use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::{AlertStatus, EdgeBuilder, EdgeRow, Relation, Severity, alert_fingerprint};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};

use common::{StoryRow, alerts, at, catalogue, engine, run};

use AlertStatus::{Firing, Resolved};
use Severity::Major;

/// A day apart, so that nothing of one round is left in the next.
const ROUND: i64 = 100_000;

fn estate() -> Input {
    let mut builder = EdgeBuilder::new();
    for (from, to) in [("service:web", "service:api"), ("service:api", "service:db"), ("service:app", "service:api")] {
        builder.push(&EdgeRow { time: at(0), from, to, relation: Relation::Calls, source: "cmdb", confidence: 1.0 });
    }
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// The database fails, the API follows after 20 s and the web shop after 80 s; all recover.
fn round(number: i64) -> Vec<StoryRow<'static>> {
    let start = number * ROUND;
    vec![
        (start + 10, "Down", "service:db", Major, Firing),
        (start + 30, "Slow", "service:api", Major, Firing),
        (start + 90, "Slow", "service:web", Major, Firing),
        (start + 600, "Down", "service:db", Major, Resolved),
        (start + 610, "Slow", "service:api", Major, Resolved),
        (start + 620, "Slow", "service:web", Major, Resolved),
    ]
}

fn taught(rounds: i64) -> Engine {
    let mut engine = engine(EngineConfig::default(), 1);
    let mut inputs = vec![estate()];
    for number in 0..rounds {
        inputs.push(Input::Batch(alerts(&round(number))));
        inputs.push(Input::Tick(at(number * ROUND + 2_000)));
    }
    let mut events = Vec::new();
    inputs.iter().for_each(|input| engine.apply(input, &mut events));
    engine
}

#[test]
fn delays_along_edges_are_learned_from_resolved_incidents_and_can_be_looked_at() {
    let engine = taught(6);
    let delays = engine.delays("acme");
    assert_eq!(delays.len(), 1, "calls, against their direction: {delays:?}");
    assert_eq!((delays[0].relation, delays[0].along), (Relation::Calls, false));
    let delay = delays[0].delay.expect("twelve were seen");
    // Half took 20 s, half 60 s: the median lies between, or at either.
    assert!((13.0..65.0).contains(&delay.p50_s) && (45.0..95.0).contains(&delay.p90_s), "{delay:?}");
    assert_eq!(engine.stats().total.delays_learned, 12);
    assert!(delays[0].to_string().starts_with("against calls: half within"), "{}", delays[0]);
}

#[test]
fn with_too_little_seen_nothing_is_told() {
    let delays = taught(2).delays("acme");
    assert_eq!(delays[0].delay, None);
    assert!(delays[0].to_string().contains("not enough seen"));
}

#[test]
fn who_will_be_next_and_when_is_told_once_it_has_been_seen() {
    let fresh = |rounds| {
        let mut engine = taught(rounds);
        let start = rounds * ROUND;
        let lines =
            [(start + 10, "Down", "service:db", Major, Firing), (start + 15, "Slow", "service:api", Major, Firing)];
        let events = run(&mut engine, &[Input::Batch(alerts(&lines))]);
        let opened = events.into_iter().rfind(|e| e.verb == Verb::Opened).expect("it is told");
        (opened.record.business_impact.map(|impact| impact.next), opened.record.summary)
    };
    assert_eq!(fresh(0).0, Some(Vec::new()));
    let (next, summary) = fresh(8);
    let next = next.expect("version 2");
    // Web has a delay of its own, a minute; the app, never seen, takes what calls take.
    let find = |id: &str| next.iter().find(|next| next.entity_id == id).unwrap_or_else(|| panic!("{id} in {next:?}"));
    let (web, _) = (find("service:web"), find("service:app"));
    assert!(summary.contains("probably first, within"), "{summary}");
    let after = |time: EventTime| time.since(at(8 * ROUND + 15)).as_secs_f64();
    assert!((45.0..80.0).contains(&after(web.likely_at)) && web.expected_by > web.likely_at, "{web:?}");
}

#[test]
fn a_learned_delay_links_what_is_slow_to_follow() {
    let slow = |number: i64| -> Vec<StoryRow<'static>> {
        let start = number * ROUND;
        vec![
            (start + 10, "Down", "service:db", Major, Firing),
            // Signs in between keep the incident together while it is learned.
            (start + 70, "Worse", "service:db", Major, Firing),
            (start + 130, "Bad", "service:db", Major, Firing),
            (start + 190, "Ugly", "service:db", Major, Firing),
            (start + 250, "Late", "service:api", Major, Firing),
            (start + 900, "Down", "service:db", Major, Resolved),
            (start + 900, "Worse", "service:db", Major, Resolved),
            (start + 900, "Bad", "service:db", Major, Resolved),
            (start + 900, "Ugly", "service:db", Major, Resolved),
            (start + 900, "Late", "service:api", Major, Resolved),
        ]
    };
    let last = |rounds: i64| {
        let mut engine = engine(EngineConfig::default(), 1);
        let mut inputs = vec![estate()];
        for number in 0..rounds {
            inputs.push(Input::Batch(alerts(&slow(number))));
            inputs.push(Input::Tick(at(number * ROUND + 3_000)));
        }
        let start = rounds * ROUND;
        let lines =
            [(start + 10, "Down", "service:db", Major, Firing), (start + 300, "Late", "service:api", Major, Firing)];
        inputs.push(Input::Batch(alerts(&lines)));
        let events = run(&mut engine, &inputs);
        let began = at(start);
        events.iter().filter(|e| e.verb == Verb::Opened && e.record.opened_at > began).count()
    };
    assert_eq!(last(0), 2, "five minutes later is another fault, for all that is known");
    assert_eq!(last(10), 1, "it always takes four minutes");
}

#[test]
fn what_was_learned_survives_a_restart_and_is_the_same_in_any_batches() {
    let engine = taught(6);
    let restored =
        Engine::restore(EngineConfig::default(), std::num::NonZeroUsize::MIN, &engine.snapshot()).expect("its own");
    assert_eq!(restored.delays("acme"), engine.delays("acme"));
    let mut rows = common::engine(EngineConfig::default(), 1);
    let mut events = Vec::new();
    rows.apply(&estate(), &mut events);
    for number in 0..6 {
        let mut lines = round(number);
        // The last two recoveries are ten seconds apart: within the lateness.
        lines.swap(4, 5);
        lines.iter().for_each(|line| rows.apply(&Input::Batch(alerts(std::slice::from_ref(line))), &mut events));
        rows.apply(&Input::Tick(at(number * ROUND + 2_000)), &mut events);
    }
    assert_eq!(rows.delays("acme"), engine.delays("acme"));
}

/// Nothing is so alike that it would be grouped.
fn apart() -> EngineConfig {
    serde_json::from_value(serde_json::json!({"correlate": {"bias": -50.0}})).expect("it is a configuration")
}

fn say(secs: i64, action: Action) -> Input {
    Input::Action { tenant: "acme".into(), at: at(secs), action }
}

fn hex(name: &str, entity: &str) -> String {
    format!("{:016x}", alert_fingerprint("test", name, entity, &[]))
}

fn opened(events: &[IncidentEvent]) -> Vec<&IncidentEvent> {
    events.iter().filter(|e| e.verb == Verb::Opened).collect()
}

#[test]
fn an_alert_that_does_not_belong_becomes_an_incident_of_its_own_and_teaches() {
    let mut engine = engine(EngineConfig::default(), 1);
    let first = [
        catalogue(),
        Input::Batch(alerts(&[(10, "Down", "service:db", Major, Firing), (20, "Slow", "service:shop", Major, Firing)])),
        Input::Tick(at(100)),
    ];
    let mut events = Vec::new();
    first.iter().for_each(|input| engine.apply(input, &mut events));
    let id = events[0].record.id.clone();
    assert_eq!((events[0].record.alert_count, engine.labels("acme").len()), (2, 0));
    let alert = hex("Slow", "service:shop");
    let detach = Action::Detach { incident: id.clone(), alert: alert.clone(), who: "ana".into() };
    events.clear();
    engine.apply(&say(120, detach.clone()), &mut events);
    engine.apply(&Input::Tick(at(200)), &mut events);
    let split = events.iter().find(|e| e.verb == Verb::Split).expect("the old incident says so");
    let child = opened(&events)[0];
    assert_eq!((split.record.id.as_str(), split.record.alert_count), (id.as_str(), 1));
    assert_eq!(child.record.parent_id.as_deref(), Some(id.as_str()));
    let labels = engine.labels("acme");
    assert!(labels.len() == 1 && !labels[0].together, "{labels:?}");
    // Said twice it means nothing: the alert is not there any more.
    engine.apply(&say(210, detach), &mut events);
    engine.apply(&Input::Tick(at(300)), &mut events);
    assert_eq!((engine.labels("acme").len(), engine.stats().total.actions_unknown), (1, 1));
}

#[test]
fn an_alert_that_belongs_elsewhere_is_moved_and_its_empty_incident_merged() {
    let mut engine = engine(apart(), 1);
    let rows = alerts(&[(10, "Down", "service:db", Major, Firing), (12, "Full", "host:far", Major, Firing)]);
    let mut events = Vec::new();
    [catalogue(), Input::Batch(rows), Input::Tick(at(100))].iter().for_each(|i| engine.apply(i, &mut events));
    assert_eq!(opened(&events).len(), 2);
    let of = |entity: &str| {
        let found = events.iter().find(|e| e.record.primary_entity.as_ref().is_some_and(|p| p.id == entity));
        found.expect("it is told").record.id.clone()
    };
    let (db, far) = (of("service:db"), of("host:far"));
    let attach = Action::Attach { incident: db.clone(), alert: hex("Full", "host:far"), who: "ana".into() };
    let mut later = Vec::new();
    engine.apply(&say(120, attach), &mut later);
    engine.apply(&Input::Tick(at(400)), &mut later);
    let merged = later.iter().find(|e| e.verb == Verb::Merged).expect("the empty one is over");
    assert_eq!((&merged.record.id, merged.record.merged_into.as_ref()), (&far, Some(&db)));
    let last = later.iter().rfind(|e| e.record.id == db).expect("the other goes on");
    assert_eq!(last.record.alert_count, 2);
    assert!(engine.labels("acme").iter().all(|label| label.together));
}

#[test]
fn two_incidents_that_an_operator_says_are_one_become_one() {
    let mut engine = engine(apart(), 1);
    let rows = alerts(&[(10, "Down", "service:db", Major, Firing), (12, "Full", "host:far", Major, Firing)]);
    let mut events = Vec::new();
    [catalogue(), Input::Batch(rows), Input::Tick(at(100))].iter().for_each(|i| engine.apply(i, &mut events));
    let ids: Vec<String> = opened(&events).iter().map(|e| e.record.id.clone()).collect();
    let merge = Action::Merge { incident: ids[0].clone(), into: ids[1].clone(), who: "ana".into() };
    let mut later = Vec::new();
    engine.apply(&say(120, merge), &mut later);
    engine.apply(&Input::Tick(at(400)), &mut later);
    let merged = later.iter().find(|e| e.verb == Verb::Merged).expect("one is over");
    assert_eq!((&merged.record.id, merged.record.merged_into.as_ref()), (&ids[0], Some(&ids[1])));
    assert_eq!(merged.record.status, IncidentStatus::Merged);
    assert_eq!(engine.stats().total.incidents_live, 1);
}
