//! A bug that one tenant meets costs nothing but that tenant's state, on any number of threads. The bugs are planted:
//! builds with debug assertions panic in the stage that an entity of the tenant `planted` names.

#![cfg(debug_assertions)]

mod common;

use bellwether_engine::EngineConfig;
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, Batch, MetricBuilder, SeriesBuilder, SeriesType, Severity, alert_fingerprint,
};
use serde_json::json;

use common::{alerts, at, engine};

const STAGES: [&str; 10] =
    ["admit", "sense", "topology", "dedup", "mention", "suppress", "correlate", "diagnose", "enrich", "ledger"];

fn settings() -> EngineConfig {
    serde_json::from_value(json!({"lateness": "1s", "ledger": {"group_wait": "1s"}})).expect("they are settings")
}

/// What meets a bug in this stage: an alert, or a series where nothing else is sensed.
fn poison(stage: &str) -> Vec<Batch> {
    let entity = format!("service:panic-in-{stage}");
    if stage == "sense" {
        let mut series = SeriesBuilder::new();
        let id = series.push("load", &entity, "1", SeriesType::Gauge, &[]);
        let mut metric = MetricBuilder::new();
        metric.push(at(1), id, 1.0);
        return vec![series.finish("planted").expect("plain"), metric.finish("planted").expect("plain")];
    }
    let mut builder = AlertBuilder::new();
    builder.push(&AlertRow {
        time: at(1),
        source: "test",
        name: "Down",
        entity: &entity,
        severity: Severity::Critical,
        status: AlertStatus::Firing,
        fingerprint: alert_fingerprint("test", "Down", &entity, &[]),
        labels: &[],
        annotations: &[],
        starts_at: at(1),
        ends_at: None,
        url: None,
    });
    vec![builder.finish("planted").expect("plain")]
}

#[test]
fn a_panic_in_any_stage_lets_go_of_its_tenant_and_the_others_go_on_as_if_it_had_not_been() {
    let others = [
        Input::Batch(alerts(&[(1, "Down", "service:shop", Severity::Critical, AlertStatus::Firing)])),
        Input::Tick(at(10)),
        Input::Tick(at(20)),
    ];
    for threads in [1, 4] {
        let mut alone = engine(settings(), threads);
        let mut expected = Vec::new();
        others.iter().for_each(|input| alone.apply(input, &mut expected));
        assert!(!expected.is_empty(), "the other tenant has something to tell");
        for stage in STAGES {
            let mut both = engine(settings(), threads);
            let (mut told, mut faults) = (Vec::new(), Vec::new());
            let poison = poison(stage).into_iter().map(Input::Batch);
            for input in poison.chain(others.iter().cloned()) {
                faults.extend(both.apply_guarded(&input, &mut told));
            }
            let [fault] = &faults[..] else { panic!("{stage}: {faults:?}") };
            assert_eq!(fault.tenant.as_deref(), Some("planted"), "{stage}");
            assert_eq!(fault.reason, format!("planted in {stage}"));
            assert_eq!(told, expected, "{stage}");
            assert_eq!(both.digest(), alone.digest(), "{stage}: nothing half changed is left");
        }
    }
}

#[test]
fn a_tenant_is_put_back_from_an_engine_that_has_read_the_same() {
    let input = Input::Batch(alerts(&[(1, "Down", "service:shop", Severity::Critical, AlertStatus::Firing)]));
    let (mut was, mut copy) = (engine(settings(), 1), engine(settings(), 1));
    for engine in [&mut was, &mut copy] {
        engine.apply(&input, &mut Vec::new());
    }
    let digest = was.digest();
    was.forget("acme");
    assert_ne!(was.digest(), digest);
    copy.keep_only("acme");
    was.adopt("acme", copy);
    assert_eq!(was.digest(), digest);
}
