//! Settings that change in the middle of a journal: a replay changes them at the same place.

mod common;

use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertStatus, MetricBuilder, SeriesBuilder, SeriesType, Severity};
use bellwether_engine::{Engine, EngineConfig, check_settings};
use serde_json::{Value, json};

use common::{alerts, at, engine, run, verbs};

use AlertStatus::Firing;
use Severity::{Critical, Major};

fn config(rules: Value) -> EngineConfig {
    let json = json!({
        "lateness": "10s",
        "sense": {
            "rules": rules,
            "heartbeats": [{"name": "Silent", "metric": "load", "timeout": "2m"}],
            "anomalies": {"enabled": false},
        },
        "ledger": {"group_wait": "20s"},
    });
    serde_json::from_value(json).expect("it is a configuration")
}

fn rule(name: &str, limit: u32) -> Value {
    json!({"name": name, "metric": "load", "when": format!("value > {limit}"), "severity": "critical"})
}

fn settings(config: &EngineConfig) -> Input {
    Input::Settings(Arc::new(config.clone()))
}

/// One sample of each host at each 10 seconds of `seconds`; the first of five hosts are loaded.
fn samples(seconds: std::ops::Range<i64>, loaded: usize) -> Vec<Input> {
    let mut series = SeriesBuilder::new();
    let ids: Vec<u64> =
        (0..5).map(|i| series.push("load", &format!("host:h{i}"), "1", SeriesType::Gauge, &[])).collect();
    let mut inputs = vec![Input::Batch(series.finish("acme").expect("plain"))];
    for second in seconds.step_by(10) {
        let mut metric = MetricBuilder::new();
        for (host, id) in ids.iter().enumerate() {
            metric.push(at(second), *id, if host < loaded { 80.0 } else { 1.0 });
        }
        inputs.push(Input::Batch(metric.finish("acme").expect("plain")));
    }
    inputs
}

/// A run whose settings change three times.
fn journal() -> Vec<Input> {
    let mut inputs = samples(0..300, 1);
    inputs.push(settings(&config(json!([rule("TooHigh", 50), rule("Higher", 70)]))));
    inputs.extend(samples(300..600, 2));
    inputs.push(settings(&config(json!([rule("Higher", 70)]))));
    inputs.extend(samples(600..900, 2));
    inputs.push(settings(&config(json!([]))));
    inputs.extend(samples(900..2_000, 2));
    inputs
}

fn first() -> EngineConfig {
    config(json!([rule("TooHigh", 50)]))
}

#[test]
fn a_change_in_the_journal_acts_alike_on_any_threads_and_across_any_restart() {
    let inputs = journal();
    let reference = run(&mut engine(first(), 1), &inputs);
    assert!(reference.len() >= 3, "{:?}", verbs(&reference));
    assert_eq!(run(&mut engine(first(), 7), &inputs), reference);
    let threads = NonZeroUsize::new(2).expect("two");
    let changes: Vec<usize> = (0..inputs.len()).filter(|at| matches!(inputs[*at], Input::Settings(_))).collect();
    let near = |cut: usize| changes.iter().any(|at| cut.abs_diff(*at) <= 2);
    for cut in (0..inputs.len()).filter(|cut| cut % 20 == 0 || near(*cut)) {
        let mut before = engine(first(), 2);
        let mut events = Vec::new();
        inputs[..cut].iter().for_each(|input| before.apply(input, &mut events));
        let mut after = Engine::resume(threads, &before.snapshot()).expect("it resumes");
        assert_eq!(after.digest(), before.digest(), "cut at {cut}");
        inputs[cut..].iter().for_each(|input| after.apply(input, &mut events));
        after.finish(&mut events);
        assert_eq!(events, reference, "cut at {cut}");
    }
}

/// The verbs of the events that speak of `word`.
fn told_of(events: &[IncidentEvent], word: &str) -> Vec<Verb> {
    let speaks = |event: &&IncidentEvent| serde_json::to_string(&event.record).expect("JSON").contains(word);
    events.iter().filter(speaks).map(|event| event.verb).collect()
}

#[test]
fn an_alert_whose_rule_is_taken_away_recovers() {
    let mut engine = engine(first(), 1);
    let mut events = Vec::new();
    samples(0..300, 1).iter().for_each(|input| engine.apply(input, &mut events));
    assert_eq!(told_of(&events, "TooHigh"), vec![Verb::Opened]);
    engine.apply(&settings(&config(json!([]))), &mut events);
    samples(300..1_500, 1).iter().for_each(|input| engine.apply(input, &mut events));
    assert_eq!(told_of(&events, "TooHigh"), vec![Verb::Opened, Verb::Resolved]);
}

#[test]
fn a_rule_that_stays_goes_on_where_it_was() {
    let mut engine = engine(first(), 1);
    let mut events = Vec::new();
    samples(0..300, 1).iter().for_each(|input| engine.apply(input, &mut events));
    let fired = engine.stats().total.alerts_fired;
    // In another place of the list, beside a new one that nothing fulfils.
    engine.apply(&settings(&config(json!([rule("Impossible", 1_000), rule("TooHigh", 50)]))), &mut events);
    samples(300..600, 1).iter().for_each(|input| engine.apply(input, &mut events));
    let total = engine.stats().total;
    assert_eq!((total.alerts_fired, total.alerts_recovered), (fired, 0));
    assert_eq!(told_of(&events, "TooHigh"), vec![Verb::Opened]);
}

#[test]
fn a_heartbeat_that_stays_is_missed_and_one_that_is_new_is_watched() {
    let silent = |timeout: &str| {
        let mut config = first();
        config.sense.heartbeats[0].timeout = timeout.parse().expect("a span");
        config
    };
    let mut engine = engine(silent("10h"), 1);
    let mut events = Vec::new();
    samples(0..100, 0).iter().for_each(|input| engine.apply(input, &mut events));
    engine.apply(&settings(&silent("2m")), &mut events);
    engine.apply(&Input::Tick(at(400)), &mut events);
    assert_eq!(engine.stats().total.alerts_fired, 5, "each of five hosts is silent");
    // The rule is another one now: its alerts end, and begin again only when it is missed.
    engine.apply(&settings(&silent("10h")), &mut events);
    engine.apply(&Input::Tick(at(500)), &mut events);
    assert_eq!(engine.stats().total.alerts_recovered, 5);
}

#[test]
fn an_inhibition_that_comes_holds_back_and_one_that_goes_lets_through() {
    let inhibit = |on: bool| {
        let rules = json!([{"source": "name = 'SwitchDown'", "target": "name = 'HostDown'"}]);
        let json = json!({
            "lateness": "10s", "ledger": {"group_wait": "20s"},
            "suppress": {"inhibit": if on { rules } else { json!([]) }},
        });
        serde_json::from_value::<EngineConfig>(json).expect("it is a configuration")
    };
    let mut engine = engine(inhibit(false), 1);
    let mut events = Vec::new();
    let lines = [(10, "SwitchDown", "switch:s", Critical, Firing), (12, "HostDown", "host:a", Major, Firing)];
    engine.apply(&Input::Batch(alerts(&lines)), &mut events);
    engine.apply(&Input::Tick(at(30)), &mut events);
    assert!(!engine.stats().total.suppressed.contains_key("inhibition"));
    engine.apply(&settings(&inhibit(true)), &mut events);
    assert_eq!(engine.stats().total.suppressed["inhibition"], 1);
    engine.apply(&settings(&inhibit(false)), &mut events);
    engine.apply(&Input::Tick(at(600)), &mut events);
    assert!(!told_of(&events, "host:a").is_empty(), "{:?}", verbs(&events));
}

#[test]
fn settings_come_back_from_a_journal_as_they_went_in() {
    for config in [EngineConfig::default(), first()] {
        let text = serde_json::to_string(&config).expect("JSON");
        assert_eq!(serde_json::from_str::<EngineConfig>(&text).expect("reads"), config);
    }
}

#[test]
fn settings_that_cannot_be_used_are_named_and_change_nothing() {
    let broken = config(json!([{"name": "Broken", "metric": "load", "when": "value >"}]));
    let said = check_settings(&broken).expect_err("no condition").to_string();
    assert!(said.contains("Broken"), "{said}");
    let mut engine = engine(first(), 1);
    engine.apply(&settings(&broken), &mut Vec::new());
    assert_eq!(*engine.settings(), first());
}
