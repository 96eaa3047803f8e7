//! What the engine's tests share: alerts as short lines, a small estate, a run to the end.

#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_engine::catalogue::Catalogue;
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, Batch, Severity, alert_fingerprint};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};

pub const START: i64 = 1_767_225_600;

pub fn at(secs: i64) -> EventTime {
    EventTime::from_secs(START + secs)
}

pub fn engine(config: EngineConfig, threads: usize) -> Engine {
    let threads = NonZeroUsize::new(threads).expect("more than none");
    Engine::new(config, threads).expect("the configuration is sound")
}

/// One alert row: seconds, rule, entity, severity, status.
pub type StoryRow<'a> = (i64, &'a str, &'a str, Severity, AlertStatus);

pub fn alerts(lines: &[StoryRow<'_>]) -> Batch {
    let mut builder = AlertBuilder::new();
    for (secs, name, entity, severity, status) in lines {
        builder.push(&AlertRow {
            time: at(*secs),
            source: "test",
            name,
            entity,
            severity: *severity,
            status: *status,
            fingerprint: alert_fingerprint("test", name, entity, &[]),
            labels: &[],
            annotations: &[("summary", "it hurts")],
            starts_at: at(*secs),
            ends_at: None,
            url: None,
        });
    }
    builder.finish("acme").expect("the tenant is plain")
}

pub fn catalogue() -> Input {
    let yaml = serde_json::json!({
        "teams": [{"name": "dba", "assignment_group": "DBA"}],
        "services": [
            {"entity": "service:shop", "owner": "web", "criticality": "critical", "sla": "gold", "customers": ["retail"]},
            {"entity": "service:db", "owner": "dba"}
        ],
        "slas": [{"name": "gold", "respond": {"P1": "15m"}, "resolve": {"P1": "4h"}}],
        "topology": [{"from": "service:shop", "to": "service:db", "relation": "calls"}]
    });
    let catalogue: Catalogue = serde_json::from_value(yaml).expect("it is a catalogue");
    Input::Catalogue { tenant: "acme".into(), at: at(0), catalogue: Arc::new(catalogue) }
}

pub fn run(engine: &mut Engine, inputs: &[Input]) -> Vec<IncidentEvent> {
    let mut events = Vec::new();
    for input in inputs {
        engine.apply(input, &mut events);
    }
    engine.finish(&mut events);
    events
}

pub fn verbs(events: &[IncidentEvent]) -> Vec<(Verb, u64)> {
    events.iter().map(|e| (e.verb, e.record.revision)).collect()
}
