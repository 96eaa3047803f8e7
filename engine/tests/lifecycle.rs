//! Groups that join, part and are held back, told as storyboards.

mod common;

use std::sync::Arc;

use bellwether_engine::EngineConfig;
use bellwether_engine::catalogue::{Catalogue, Maintenance};
use bellwether_engine::incident::{IncidentStatus, Verb};
use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::{AlertStatus, EdgeBuilder, EdgeRow, Relation, Severity};
use bellwether_engine::suppress::InhibitRule;

use common::{alerts, at, engine, run, verbs};

use AlertStatus::{Firing, Resolved};
use Severity::{Critical, Info, Major};

fn edge(secs: i64, from: &str, to: &str, confidence: f64) -> Input {
    let mut builder = EdgeBuilder::new();
    builder.push(&EdgeRow { time: at(secs), from, to, relation: Relation::Calls, source: "cmdb", confidence });
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// Five entities in a chain, each calling the next.
fn chain() -> Vec<Input> {
    ["a", "b", "c", "d"]
        .iter()
        .zip(["b", "c", "d", "e"])
        .map(|(from, to)| edge(0, &format!("service:{from}"), &format!("service:{to}"), 1.0))
        .collect()
}

/// Topology alone decides: names and times say nothing.
fn topology_only() -> EngineConfig {
    let json = serde_json::json!({
        "correlate": {"weights": {"time": 1.0, "topology": 9.0, "text": 0.0, "learned": 0.0}, "hops_max": 2}
    });
    serde_json::from_value(json).expect("it is a configuration")
}

#[test]
fn an_alert_between_two_incidents_merges_them_and_says_so() {
    let mut inputs = chain();
    inputs.push(Input::Batch(alerts(&[
        (10, "One", "service:a", Major, Firing),
        (20, "Two", "service:e", Major, Firing),
        (80, "Between", "service:c", Major, Firing),
    ])));
    let events = run(&mut engine(topology_only(), 1), &inputs);
    let merged: Vec<_> = events.iter().filter(|e| e.verb == Verb::Merged).collect();
    assert_eq!(merged.len(), 1, "{:?}", verbs(&events));
    let survivor = &events[0].record;
    assert_eq!(merged[0].record.status, IncidentStatus::Merged);
    assert_eq!(merged[0].record.merged_into.as_ref(), Some(&survivor.id));
    assert_ne!(merged[0].record.id, survivor.id);
    let last = events.iter().rfind(|e| e.record.id == survivor.id).expect("it lives on");
    assert_eq!(last.record.alert_count, 3);
}

#[test]
fn a_list_that_is_cut_short_says_how_long_it_is() {
    let names: Vec<String> = (0..70).map(|n| format!("Fault{n}")).collect();
    let rows: Vec<_> = names.iter().map(|name| (10, name.as_str(), "service:a", Major, Firing)).collect();
    let opened = &run(&mut engine(EngineConfig::default(), 1), &[Input::Batch(alerts(&rows))])[0].record;
    let told = |list: &str| opened.labels.get(&format!("truncated.{list}")).map(String::as_str);
    assert_eq!((opened.alerts.len(), opened.alert_count, opened.labels["alerts.distinct"].as_str()), (50, 70, "70"));
    assert_eq!((opened.truncated, told("alerts"), told("entities")), (true, Some("70"), None));
    let whole = told("evidence").and_then(|whole| whole.parse::<usize>().ok()).expect("it is cut, too");
    assert!(opened.evidence.len() < whole, "{} of {whole}", opened.evidence.len());
    let short = run(&mut engine(EngineConfig::default(), 1), &[Input::Batch(alerts(&rows[..3]))]);
    assert!(!short[0].record.truncated && !short[0].record.labels.keys().any(|name| name.starts_with("truncated")));
}

#[test]
fn an_incident_whose_parts_no_longer_link_is_split() {
    let mut inputs = chain();
    inputs.push(Input::Batch(alerts(&[
        (10, "One", "service:a", Major, Firing),
        (12, "Two", "service:b", Major, Firing),
    ])));
    inputs.push(edge(70, "service:a", "service:b", 0.0));
    inputs.push(Input::Batch(alerts(&[(100, "One", "service:a", Critical, Firing)])));
    let events = run(&mut engine(topology_only(), 1), &inputs);
    let split = events.iter().find(|e| e.verb == Verb::Split).expect("it is split");
    let child = events.iter().find(|e| e.record.parent_id.as_ref() == Some(&split.record.id));
    let child = child.expect("the part is an incident of its own");
    assert_eq!(child.verb, Verb::Opened);
    assert_ne!(child.record.id, split.record.id);
}

#[test]
fn every_incident_counts_its_revisions_without_gaps() {
    let mut inputs = chain();
    let mut lines = Vec::new();
    let names: Vec<String> = (0..40).map(|i| format!("Alert{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let entity = ["service:a", "service:b", "service:c", "service:d", "service:e"][i % 5];
        lines.push((10 + i as i64 * 37, name.as_str(), entity, Major, Firing));
        lines.push((900 + i as i64 * 41, name.as_str(), entity, Major, Resolved));
    }
    lines.sort_by_key(|line| line.0);
    inputs.push(Input::Batch(alerts(&lines)));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let mut seen = std::collections::BTreeMap::new();
    for event in &events {
        let next = seen.entry(event.record.id.clone()).or_insert(0);
        *next += 1;
        assert_eq!(event.record.revision, *next, "{}", event.record.id);
    }
    assert!(events.len() < 20, "one storm is not {} revisions", events.len());
}

#[test]
fn announced_work_is_quiet_until_it_ends() {
    let catalogue = Catalogue {
        maintenance: vec![Maintenance {
            entity: "host:db".into(),
            from: at(0),
            to: at(600),
            reason: "patching".into(),
        }],
        ..Catalogue::default()
    };
    let inputs = [
        Input::Catalogue { tenant: "acme".into(), at: at(0), catalogue: Arc::new(catalogue) },
        Input::Batch(alerts(&[
            (10, "Down", "host:db", Critical, Firing),
            (20, "Down", "host:web", Critical, Firing),
            (30, "Down", "host:web", Critical, Resolved),
        ])),
        Input::Tick(at(500)),
        Input::Tick(at(700)),
    ];
    let mut engine = engine(EngineConfig::default(), 1);
    let events = run(&mut engine, &inputs);
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1)]);
    assert!(events[0].record.opened_at >= at(600), "{}", events[0].record.opened_at);
    assert_eq!(engine.stats().total.suppressed["maintenance"], 1);
}

#[test]
fn what_follows_from_another_alert_is_held_back_in_either_order() {
    let config = || {
        let mut config = EngineConfig::default();
        config.suppress.inhibit = vec![InhibitRule {
            source: "name = 'SwitchDown'".into(),
            target: "name = 'HostUnreachable'".into(),
            equal: vec![],
        }];
        config
    };
    let cause = (10, "SwitchDown", "switch:s1", Critical, Firing);
    let effect = (11, "HostUnreachable", "host:h1", Critical, Firing);
    let reversed = [(10, effect.1, effect.2, Critical, Firing), (11, cause.1, cause.2, Critical, Firing)];
    for lines in [[cause, effect], reversed] {
        let mut engine = engine(config(), 1);
        let events = run(&mut engine, &[Input::Batch(alerts(&lines))]);
        assert_eq!(verbs(&events), vec![(Verb::Opened, 1)]);
        assert_eq!(events[0].record.labels["alerts.firing"], "1");
        assert_eq!(engine.stats().total.suppressed["inhibition"], 1);
    }
}

#[test]
fn a_silence_holds_back_what_it_matches_and_nothing_else() {
    let silence = Input::Action {
        tenant: "acme".into(),
        at: at(0),
        action: Action::Silence {
            id: "s1".into(),
            matching: "entity LIKE 'host:db%'".into(),
            from: at(0),
            until: at(10_000),
            who: "ana".into(),
            why: "known".into(),
        },
    };
    let lines = [(10, "Down", "host:db-1", Critical, Firing), (11, "Down", "host:web-1", Critical, Firing)];
    let events = run(&mut engine(EngineConfig::default(), 1), &[silence, Input::Batch(alerts(&lines))]);
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1)]);
    assert_eq!(events[0].record.primary_entity.as_ref().map(|e| e.id.as_str()), Some("host:web-1"));
}

#[test]
fn a_recovery_that_comes_late_still_ends_the_alert() {
    let inputs = [
        Input::Batch(alerts(&[(10, "Down", "host:a", Critical, Firing)])),
        Input::Tick(at(1_000)),
        Input::Batch(alerts(&[(20, "Down", "host:a", Critical, Resolved)])),
        Input::Tick(at(2_000)),
    ];
    let mut engine = engine(EngineConfig::default(), 1);
    let events = run(&mut engine, &inputs);
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1), (Verb::Resolved, 2)]);
    assert_eq!(engine.stats().total.off_time.late(), 1);
}

#[test]
fn times_of_broken_clocks_are_refused_and_move_no_watermark() {
    let inputs = [
        Input::Batch(alerts(&[(4_102_444_800 - 1_767_225_600, "Down", "host:a", Critical, Firing)])),
        Input::Batch(alerts(&[(-1_767_225_600, "Down", "host:b", Critical, Firing)])),
        Input::Batch(alerts(&[(10, "Down", "host:c", Critical, Firing)])),
    ];
    let mut engine = engine(EngineConfig::default(), 1);
    let events = run(&mut engine, &inputs);
    assert_eq!(events.len(), 1);
    let stats = engine.stats().total;
    assert_eq!((stats.rejected["time out of range"], stats.off_time.late()), (2, 0));
}

#[test]
fn an_alert_that_fires_again_beside_new_trouble_joins_it_and_reopens_nothing() {
    let mut inputs = chain();
    inputs.push(Input::Batch(alerts(&[
        (10, "Errors", "service:b", Major, Firing),
        (100, "Errors", "service:b", Major, Resolved),
        (1_000, "DiskFull", "service:c", Major, Firing),
        (1_020, "Errors", "service:b", Major, Firing),
    ])));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1), (Verb::Resolved, 2), (Verb::Opened, 1)]);
    assert_eq!(events[2].record.labels["alerts.firing"], "2");
}

#[test]
fn what_fires_again_keeps_its_place_in_the_order_of_events() {
    let mut inputs = chain();
    inputs.push(Input::Batch(alerts(&[
        (10, "Odd", "service:b", Major, Firing),
        (50, "Odd", "service:a", Major, Firing),
        (200, "Odd", "service:b", Major, Resolved),
        (1_100, "Odd", "service:b", Major, Firing),
        (1_500, "Odd", "service:b", Major, Resolved),
        (1_520, "Odd", "service:a", Major, Resolved),
    ])));
    inputs.push(Input::Tick(at(3_000)));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let last = &events.iter().rfind(|event| event.verb == Verb::Resolved).expect("it ends").record;
    assert_eq!(events[0].record.id, last.id, "one incident: {:?}", verbs(&events));
    let of = |reference: &str| {
        let cause = last.probable_causes.iter().find(|cause| cause.reference == reference);
        cause.map_or("", |cause| cause.explanation.as_str())
    };
    assert!(of("service:b").contains("it showed first"), "{:?}", last.probable_causes);
    assert_eq!(last.started_at, Some(at(10)));
    assert!(last.alerts.iter().any(|alert| alert.starts_at == at(1_100)), "the alert itself tells its last firing");
}

#[test]
fn what_goes_on_to_other_trouble_is_not_forgotten_where_it_was_first() {
    let mut inputs = chain();
    inputs.push(Input::Batch(alerts(&[
        (10, "Odd", "service:b", Major, Firing),
        (50, "Odd", "service:a", Major, Firing),
        (200, "Odd", "service:b", Major, Resolved),
        (1_000, "DiskFull", "service:d", Major, Firing),
        (1_020, "Odd", "service:b", Major, Firing),
        (1_500, "Odd", "service:a", Major, Resolved),
    ])));
    inputs.push(Input::Tick(at(2_500)));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let first = &events[0].record.id;
    let elsewhere = events.iter().rfind(|event| event.record.id != *first).expect("other trouble is another incident");
    assert_eq!(elsewhere.record.labels["alerts.firing"], "2", "{:?}", verbs(&events));
    let ended = events.iter().rfind(|event| event.record.id == *first && event.verb == Verb::Resolved);
    let ended = &ended.expect("the first is over").record;
    assert_eq!(ended.started_at, Some(at(10)));
    let names: Vec<&str> = ended.probable_causes.iter().map(|cause| cause.reference.as_str()).collect();
    assert_eq!(names.first(), Some(&"service:b"), "{names:?}");
}

#[test]
fn a_condition_that_stood_before_is_named_although_it_is_no_part_of_the_incident() {
    let mut inputs = vec![edge(0, "service:web", "host:h1", 1.0)];
    inputs.push(Input::Batch(alerts(&[
        (10, "MemoryNearLimit", "host:h1", Info, Firing),
        (600, "HighLatency", "service:web", Major, Firing),
    ])));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let opened = events.iter().find(|e| e.verb == Verb::Opened).expect("the slow service is told");
    assert_eq!(opened.record.alert_count, 1, "the memory is no part of it");
    let first = opened.record.probable_causes.first().expect("a cause");
    assert_eq!(first.reference, "host:h1", "{:?}", opened.record.probable_causes);
}

#[test]
fn a_condition_without_a_known_way_to_the_trouble_is_a_suspect() {
    let mut inputs = vec![edge(0, "service:web", "service:api", 1.0), edge(0, "service:shop", "service:api", 1.0)];
    inputs.push(Input::Batch(alerts(&[
        (400, "DiskFull", "host:h9", Info, Firing),
        (600, "HighLatency", "service:web", Major, Firing),
        (605, "HighLatency", "service:shop", Major, Firing),
    ])));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let opened = events.iter().find(|e| e.verb == Verb::Opened).expect("the slow services are told");
    assert_eq!(opened.record.alert_count, 2);
    let named: Vec<&str> = opened.record.probable_causes.iter().map(|cause| cause.reference.as_str()).collect();
    assert!(named.contains(&"host:h9"), "{named:?}");
}
