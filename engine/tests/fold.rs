//! The engine as a function: equal journals give equal events, however they are cut.

mod common;

use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_engine::incident::Verb;
use bellwether_engine::input::{Action, Input, Voice};
use bellwether_engine::signal::{AlertStatus, MetricBuilder, SeriesBuilder, SeriesType, Severity};
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig, Snapshot};

use common::{StoryRow, alerts, at, catalogue, engine, run, verbs};

use AlertStatus::{Firing, Resolved};
use Severity::{Critical, Info, Major, Warning};

fn story() -> Vec<StoryRow<'static>> {
    vec![
        (10, "DbSlow", "service:db", Major, Firing),
        (25, "ShopErrors", "service:shop", Critical, Firing),
        (26, "ShopErrors", "service:shop", Critical, Firing),
        (400, "DbSlow", "service:db", Major, Resolved),
        (420, "ShopErrors", "service:shop", Critical, Resolved),
        (5_000, "Elsewhere", "service:other", Info, Firing),
    ]
}

#[test]
fn one_fault_is_one_incident_with_cause_owner_priority_and_clock() {
    let mut engine = engine(EngineConfig::default(), 1);
    let inputs = [catalogue(), Input::Batch(alerts(&story()))];
    let events = run(&mut engine, &inputs);
    // Nobody takes it, and an answer is promised within a quarter of an hour: that is at risk before.
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1), (Verb::Updated, 2), (Verb::Resolved, 3)]);
    let record = &events[0].record;
    assert_eq!(record.primary_entity.as_ref().map(|e| e.id.as_str()), Some("service:db"));
    assert_eq!(record.owner.as_ref().map(|o| o.team.as_str()), Some("dba"));
    assert_eq!(record.priority.name(), "P1");
    assert_eq!(record.sla.as_ref().map(|sla| sla.name.as_str()), Some("gold"));
    assert_eq!(record.alert_count, 3);
    assert_eq!(events[2].record.id, record.id);
}

#[test]
fn a_lone_warning_is_told_as_little_and_a_lone_remark_is_no_incident() {
    let mut told = engine(EngineConfig::default(), 1);
    let warning = Input::Batch(alerts(&[(10, "Hm", "host:a", Warning, Firing)]));
    let events = run(&mut told, &[warning, Input::Tick(at(400))]);
    assert_eq!(events.iter().map(|event| event.record.priority.name()).collect::<Vec<_>>(), ["P4"]);
    let mut silent = engine(EngineConfig::default(), 1);
    let remark = Input::Batch(alerts(&[(10, "Hm", "host:a", Info, Firing)]));
    let events = run(&mut silent, &[remark, Input::Tick(at(400))]);
    assert_eq!(events, vec![]);
    assert_eq!(silent.stats().total.candidates_light, 1);
}

#[test]
fn a_relapse_in_time_reopens_and_a_late_one_is_a_new_incident() {
    let mut lines = story();
    lines.truncate(5);
    lines.push((1_200, "DbSlow", "service:db", Major, Firing));
    lines.push((1_300, "DbSlow", "service:db", Major, Resolved));
    lines.push((90_000, "DbSlow", "service:db", Major, Firing));
    let mut engine = engine(EngineConfig::default(), 1);
    let events = run(&mut engine, &[catalogue(), Input::Batch(alerts(&lines))]);
    let told: Vec<Verb> = events.iter().map(|e| e.verb).filter(|verb| *verb != Verb::Updated).collect();
    assert_eq!(told, vec![Verb::Opened, Verb::Resolved, Verb::Reopened, Verb::Resolved, Verb::Closed, Verb::Opened]);
    let last = events.last().expect("they are told");
    assert_ne!(last.record.id, events[0].record.id);
    assert_eq!(last.record.similar.first().map(|s| s.id.as_str()), Some(events[0].record.id.as_str()));
}

#[test]
fn an_operators_word_is_a_revision() {
    let mut engine = engine(EngineConfig::default(), 1);
    let mut events = Vec::new();
    engine.apply(&catalogue(), &mut events);
    engine.apply(&Input::Batch(alerts(&story()[..3])), &mut events);
    engine.apply(&Input::Tick(at(120)), &mut events);
    let id = events[0].record.id.clone();
    let act = |action| Input::Action { tenant: "acme".into(), at: at(121), action };
    engine.apply(
        &act(Action::Acknowledge { incident: id.clone(), who: "ana".into(), voice: Voice::Operator }),
        &mut events,
    );
    engine.apply(&Input::Tick(at(200)), &mut events);
    assert_eq!(verbs(&events), vec![(Verb::Opened, 1), (Verb::Acknowledged, 2)]);
    assert_eq!(events[1].record.owner.as_ref().map(|o| o.assignee.as_str()), Some("ana"));
    let before = engine.digest();
    let explanation = engine.explain("acme", &id).expect("it is known");
    assert_eq!(explanation.members.len(), 2);
    engine.placed("acme").iter().for_each(|alert| {
        let _ = engine.explain_not_in("acme", alert.fingerprint, &id);
    });
    let _ = (engine.near("acme", &["service:checkout"], 2, 100), engine.forecasts("acme"));
    let _ = (engine.entities("acme"), engine.entity("acme", "service:checkout", 9), engine.problems("acme"));
    assert_eq!(engine.digest(), before, "who looks changes nothing");
    let table = explanation.to_string();
    assert!(table.contains("began the group") && table.contains("#1"), "{table}");
    let joined = explanation.members.iter().find(|member| member.score.is_some()).expect("one joined");
    let told = joined.told(explanation.threshold);
    assert!(told.contains("0.50 was needed") && told.contains("decided: without it the link is 0.00"), "{told}");
}

#[test]
fn flapping_is_held_back_with_its_reason() {
    let mut lines = Vec::new();
    for i in 0..12 {
        lines.push((i * 20, "Flap", "host:a", Major, Firing));
        lines.push((i * 20 + 10, "Flap", "host:a", Major, Resolved));
    }
    let mut engine = engine(EngineConfig::default(), 1);
    let events = run(&mut engine, &[Input::Batch(alerts(&lines))]);
    assert_eq!(events, vec![]);
    assert!(engine.stats().total.suppressed["flapping"] >= 1);
}

/// Metrics, alerts and rules together, cut and shuffled in many ways.
fn mixed(seed: u64, batch_rows: usize) -> Vec<Input> {
    let mut series = SeriesBuilder::new();
    let ids: Vec<u64> =
        (0..40).map(|i| series.push("load", &format!("host:h{i}"), "1", SeriesType::Gauge, &[])).collect();
    let mut inputs = vec![catalogue(), Input::Batch(series.finish("acme").expect("plain"))];
    let mut rows: Vec<(i64, usize)> = Vec::new();
    for step in 0..60 {
        for host in 0..40 {
            rows.push((step * 10, host));
        }
    }
    shuffle(&mut rows, seed, 40);
    for chunk in rows.chunks(batch_rows) {
        let mut metric = MetricBuilder::new();
        for (secs, host) in chunk {
            let broken = *host < 5 && *secs > 200 && *secs < 400;
            metric.push(at(*secs), ids[*host], if broken { 99.0 } else { 1.0 });
        }
        inputs.push(Input::Batch(metric.finish("acme").expect("plain")));
    }
    inputs
}

/// Swaps neighbours within `reach` rows: less than the lateness in time.
fn shuffle<T>(rows: &mut [T], seed: u64, reach: usize) {
    let mut state = seed;
    for i in 0..rows.len() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let j = (i + (state >> 33) as usize % reach).min(rows.len() - 1);
        if seed != 0 {
            rows.swap(i, j);
        }
    }
}

fn mixed_config() -> EngineConfig {
    let json = serde_json::json!({
        "lateness": "60s",
        "sense": {"rules": [{"name": "LoadHigh", "metric": "load", "when": "value > 50", "for": "30s", "severity": "major"}]}
    });
    serde_json::from_value(json).expect("it is a configuration")
}

#[test]
fn batches_threads_and_arrival_order_change_nothing() {
    let reference = run(&mut engine(mixed_config(), 1), &mixed(0, 8_192));
    assert!(reference.iter().any(|e| e.verb == Verb::Opened), "{reference:?}");
    let reference = serde_json::to_string(&reference).expect("events are JSON");
    for (threads, rows, seed) in [(1, 1, 0), (2, 100, 0), (7, 8_192, 0), (2, 7, 11), (7, 1, 12), (1, 999, 13)] {
        let events = run(&mut engine(mixed_config(), threads), &mixed(seed, rows));
        let events = serde_json::to_string(&events).expect("events are JSON");
        assert_eq!(events, reference, "{threads} threads, {rows} rows, seed {seed}");
    }
}

#[test]
fn a_restart_anywhere_changes_nothing() {
    let inputs = mixed(5, 50);
    let reference = run(&mut engine(mixed_config(), 2), &inputs);
    let threads = NonZeroUsize::new(2).expect("two");
    for cut in [0, 1, 2, 3, inputs.len() / 2, inputs.len() - 1] {
        let mut first = engine(mixed_config(), 2);
        let mut events = Vec::new();
        for input in &inputs[..cut] {
            first.apply(input, &mut events);
        }
        let snapshot = first.snapshot();
        let mut second = Engine::restore(mixed_config(), threads, &snapshot).expect("it restores");
        assert_eq!(second.digest(), first.digest(), "cut at {cut}");
        for input in &inputs[cut..] {
            second.apply(input, &mut events);
        }
        second.finish(&mut events);
        assert_eq!(events, reference, "cut at {cut}");
    }
}

#[test]
fn another_configuration_is_refused_at_restore() {
    let snapshot = engine(EngineConfig::default(), 1).snapshot();
    let other = EngineConfig { lateness: Span::from_secs(99), ..EngineConfig::default() };
    let threads = NonZeroUsize::new(1).expect("one");
    assert!(Engine::restore(other, threads, &snapshot).is_err());
}

#[test]
fn a_snapshot_taken_while_the_engine_goes_on_is_the_state_at_which_it_began() {
    let inputs = mixed(5, 50);
    for threads in [1, 2] {
        for begun in [0, 1, inputs.len() / 3, inputs.len() / 2, inputs.len() - 2] {
            for steps in [0, 1, 40] {
                let (mut going_on, mut events) = (engine(mixed_config(), threads), Vec::new());
                let (mut taken, mut then) = (None, Vec::new());
                for (at, input) in inputs.iter().enumerate() {
                    if at == begun {
                        then = going_on.snapshot();
                        going_on.begin_snapshot();
                    }
                    going_on.apply(input, &mut events);
                    // As fast as there are entries, slower, or only in the end.
                    let due = if steps == 0 { 0 } else { usize::from(at % steps == 0) };
                    for _ in 0..due {
                        if let Snapshot::Taken(state) = going_on.snapshot_step() {
                            taken = Some(state.to_bytes());
                        }
                    }
                }
                let digest = going_on.digest();
                let taken = taken.unwrap_or_else(|| {
                    loop {
                        match going_on.snapshot_step() {
                            Snapshot::GoingOn => {}
                            Snapshot::Taken(state) => break state.to_bytes(),
                            Snapshot::Gone => panic!("nothing happened to it"),
                        }
                    }
                });
                assert!(taken == then, "begun at {begun}, every {steps}, {threads} threads");
                assert_eq!(going_on.digest(), digest, "a snapshot changes nothing");
            }
        }
    }
}

#[test]
fn a_snapshot_is_whole_or_gone_whatever_happens_meanwhile() {
    let inputs = mixed(5, 50);
    let (half, rest) = inputs.split_at(inputs.len() / 2);
    let mut events = Vec::new();
    let taken = |engine: &mut Engine| loop {
        match engine.snapshot_step() {
            Snapshot::GoingOn => {}
            Snapshot::Taken(state) => return Some(state.to_bytes()),
            Snapshot::Gone => return None,
        }
    };
    let half_way = || {
        let mut engine = engine(mixed_config(), 2);
        half.iter().for_each(|input| engine.apply(input, &mut Vec::new()));
        engine
    };
    let then = half_way().snapshot();

    // Other settings change every series at once, and so does time that nobody saw.
    let mut config = mixed_config();
    config.sense.anomalies.enabled = !config.sense.anomalies.enabled;
    let outage = Input::Tick(EventTime(half_way().watermark().0 + Span::from_secs(86_400).0));
    for meanwhile in [Input::Settings(Arc::new(config)), outage] {
        let mut engine = half_way();
        engine.begin_snapshot();
        engine.apply(&meanwhile, &mut events);
        rest.iter().for_each(|input| engine.apply(input, &mut events));
        assert!(taken(&mut engine) == Some(then.clone()), "{meanwhile:?}");
    }

    // A tenant that is let go takes it along, and the next is whole again.
    let mut engine = half_way();
    engine.begin_snapshot();
    engine.forget("acme");
    assert_eq!(taken(&mut engine), None);
    engine.begin_snapshot();
    assert!(taken(&mut engine) == Some(engine.snapshot()));

    // Of two, the second counts.
    let mut engine = half_way();
    engine.begin_snapshot();
    rest.iter().for_each(|input| engine.apply(input, &mut events));
    engine.begin_snapshot();
    let now = engine.snapshot();
    assert!(taken(&mut engine) == Some(now));
}
