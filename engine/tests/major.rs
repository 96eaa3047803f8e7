//! Major incidents, told as storyboards: one incident over others that it explains.

mod common;

use std::collections::BTreeMap;

use bellwether_engine::EngineConfig;
use bellwether_engine::incident::{IncidentEvent, IncidentStatus, Verb};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertStatus, EdgeBuilder, EdgeRow, Relation, Severity};

use common::{StoryRow, alerts, at, engine, run};

use AlertStatus::{Firing, Resolved};
use Severity::{Critical, Major};

/// Three services on three hosts behind one switch, told as edges.
fn estate() -> Input {
    let mut builder = EdgeBuilder::new();
    for (service, host) in [("a", "ha"), ("b", "hb"), ("c", "hc")] {
        let (service, host) = (format!("service:{service}"), format!("host:{host}"));
        for (from, to, relation) in
            [(service.as_str(), host.as_str(), Relation::RunsOn), (host.as_str(), "switch:s1", Relation::ConnectsTo)]
        {
            builder.push(&EdgeRow { time: at(0), from, to, relation, source: "cmdb", confidence: 1.0 });
        }
    }
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// Alerts of different entities never group, nor do incidents of one cause unite: what relates them is
/// the hierarchy's.
fn apart() -> EngineConfig {
    let json = serde_json::json!({"correlate": {"bias": -50.0}, "ledger": {"same_cause_min": 1.1}});
    serde_json::from_value(json).expect("it is a configuration")
}

const FIRING: [StoryRow<'static>; 4] = [
    (10, "PortsDown", "switch:s1", Critical, Firing),
    (20, "Unreachable", "host:ha", Major, Firing),
    (22, "Unreachable", "host:hb", Major, Firing),
    (24, "Unreachable", "host:hc", Major, Firing),
];

fn entity(event: &IncidentEvent) -> &str {
    event.record.primary_entity.as_ref().map_or("", |e| e.id.as_str())
}

fn latest(events: &[IncidentEvent]) -> BTreeMap<String, &IncidentEvent> {
    events.iter().map(|event| (event.record.id.clone(), event)).collect()
}

#[test]
fn the_incident_that_explains_the_others_is_the_major_one_over_them() {
    let mut engine = engine(apart(), 1);
    let events = run(&mut engine, &[estate(), Input::Batch(alerts(&FIRING))]);
    let told = latest(&events);
    assert_eq!(told.len(), 4, "four incidents");
    let major = told.values().find(|e| e.record.labels.contains_key("major.incidents")).unwrap_or_else(|| {
        panic!("none is major: {:?}", events.iter().map(|e| (entity(e), &e.record.summary)).collect::<Vec<_>>())
    });
    assert_eq!(entity(major), "switch:s1");
    assert_eq!(major.record.parent_id, None);
    let children: Vec<_> = told.values().filter(|e| e.record.parent_id.is_some()).collect();
    assert_eq!(children.len(), 3);
    for child in children {
        assert_eq!(child.record.parent_id.as_ref(), Some(&major.record.id));
        assert_eq!(child.verb, Verb::Updated, "a ticketing system hears of it");
        assert!(major.record.labels["major.children"].contains(&child.record.id));
        let why = major.record.evidence.iter().find(|e| e.name == child.record.id).expect("the record says why");
        assert!(why.text.contains("s1"), "{}", why.text);
        assert!(child.record.summary.contains(&major.record.id), "{}", child.record.summary);
    }
    assert!(major.record.summary.contains("major incident over 3 others"), "{}", major.record.summary);
    let explained = engine.explain("acme", &major.record.id).expect("it is known");
    assert_eq!(explained.over.len(), 3);
    assert!(explained.to_string().contains("0.50 was needed: ") && explained.to_string().contains("s1"), "{explained}");
}

#[test]
fn what_is_under_a_major_incident_is_escalated_there_and_not_for_itself() {
    let rules = serde_json::json!({"escalations": [
        {"name": "major", "when": "children >= 3", "after": "10m", "to": {"audience": "board"}},
        {"name": "any", "after": "20m", "to": {"audience": "desk"}},
    ]});
    let catalogue = std::sync::Arc::new(serde_json::from_value(rules).expect("a catalogue"));
    let mut inputs = vec![Input::Catalogue { tenant: "acme".into(), at: at(0), catalogue }, estate()];
    inputs.push(Input::Batch(alerts(&FIRING)));
    inputs.extend((1..60).map(|minute| Input::Tick(at(minute * 60))));
    let events = run(&mut engine(apart(), 1), &inputs);
    let told = latest(&events);
    let rules = |event: &IncidentEvent| event.record.escalations.iter().map(|it| it.rule.clone()).collect::<Vec<_>>();
    for event in told.values() {
        let expected: &[&str] = if entity(event) == "switch:s1" { &["major", "any"] } else { &[] };
        assert_eq!(rules(event), expected, "{}", entity(event));
    }
    assert_eq!(told.len(), 4);
}

#[test]
fn two_related_incidents_are_not_yet_a_major_one() {
    let events = run(&mut engine(apart(), 1), &[estate(), Input::Batch(alerts(&FIRING[..2]))]);
    assert_eq!(latest(&events).len(), 2);
    assert!(events.iter().all(|e| e.record.parent_id.is_none()));
}

#[test]
fn a_major_incident_is_over_when_those_under_it_are() {
    let mut lines = FIRING.to_vec();
    for (i, line) in FIRING.iter().enumerate() {
        // The switch recovers first, the last host ten minutes after the others.
        let secs = [300, 400, 400, 1_000][i];
        lines.push((secs, line.1, line.2, line.3, Resolved));
    }
    let inputs = [estate(), Input::Batch(alerts(&lines)), Input::Tick(at(2_000))];
    let events = run(&mut engine(apart(), 1), &inputs);
    let resolved: Vec<(&str, i64)> = events
        .iter()
        .filter(|e| e.verb == Verb::Resolved)
        .map(|e| (entity(e), e.record.resolved_at.map_or(0, |t| t.since(at(0)).0 / 1_000_000_000)))
        .collect();
    assert_eq!(resolved, [("host:ha", 700), ("host:hb", 700), ("host:hc", 1_300), ("switch:s1", 1_300)]);
    assert!(latest(&events).values().all(|e| e.record.status == IncidentStatus::Resolved));
}

#[test]
fn the_order_of_arrival_within_the_lateness_changes_no_hierarchy() {
    let told = |lines: &[StoryRow<'_>]| {
        let mut inputs = vec![estate()];
        inputs.extend(lines.iter().map(|line| Input::Batch(alerts(std::slice::from_ref(line)))));
        inputs.push(Input::Tick(at(200)));
        run(&mut engine(apart(), 1), &inputs)
    };
    let mut config_order = FIRING.to_vec();
    let first = told(&config_order);
    config_order.reverse();
    // All within the lateness of each other but the switch, which comes first either way.
    config_order.rotate_right(1);
    assert_eq!(told(&config_order), first);
}

#[test]
fn a_restart_keeps_the_hierarchy() {
    let mut whole = engine(apart(), 1);
    let mut events = Vec::new();
    for input in [estate(), Input::Batch(alerts(&FIRING)), Input::Tick(at(100))] {
        whole.apply(&input, &mut events);
    }
    let bytes = whole.snapshot();
    let threads = std::num::NonZeroUsize::MIN;
    let mut restored = bellwether_engine::Engine::restore(apart(), threads, &bytes).expect("it is its own");
    assert_eq!(restored.digest(), whole.digest());
    let rest = [Input::Batch(alerts(&[(200, "Unreachable", "host:ha", Major, Resolved)])), Input::Tick(at(900))];
    assert_eq!(run(&mut whole, &rest), run(&mut restored, &rest));
}
