//! Telemetry that becomes alerts: heartbeats, forecasts, log lines, anomalies.

mod common;

use bellwether_engine::incident::{IncidentEvent, Priority, Verb};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertStatus, EdgeBuilder, EdgeRow, LogBuilder, LogRow, MetricBuilder, Relation, SeriesBuilder, SeriesType, Severity,
};
use bellwether_engine::time::Span;
use bellwether_engine::{Engine, EngineConfig};

use common::{alerts, at, engine, run};

fn config(json: serde_json::Value) -> EngineConfig {
    serde_json::from_value(json).expect("it is a configuration")
}

/// One series of `entity` with the samples given as (seconds, value).
fn metric(name: &str, entity: &str, series_type: SeriesType, samples: &[(i64, f64)]) -> Vec<Input> {
    labelled(name, entity, series_type, &[], samples)
}

/// The same of a series with labels.
fn labelled(
    name: &str,
    entity: &str,
    series_type: SeriesType,
    labels: &[(&str, &str)],
    samples: &[(i64, f64)],
) -> Vec<Input> {
    let mut series = SeriesBuilder::new();
    let id = series.push(name, entity, "", series_type, labels);
    let mut metric = MetricBuilder::new();
    for (secs, value) in samples {
        metric.push(at(*secs), id, *value);
    }
    vec![Input::Batch(series.finish("acme").expect("plain")), Input::Batch(metric.finish("acme").expect("plain"))]
}

fn alert_names(events: &[IncidentEvent]) -> Vec<&str> {
    let mut names: Vec<&str> = events.iter().flat_map(|e| e.record.alerts.iter().map(|a| a.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn events_of(config: EngineConfig, inputs: &[Input]) -> (Vec<IncidentEvent>, Engine) {
    let mut engine = engine(config, 1);
    let events = run(&mut engine, inputs);
    (events, engine)
}

#[test]
fn a_series_that_stops_is_missing_and_comes_back() {
    let config = config(serde_json::json!({
        "sense": {
            "heartbeats": [{"name": "AgentSilent", "metric": "up", "timeout": "2m"}],
            "anomalies": {"enabled": false}
        }
    }));
    let mut samples: Vec<(i64, f64)> = (0..20).map(|i| (i * 15, 1.0)).collect();
    samples.extend((60..80).map(|i| (i * 15, 1.0)));
    let mut inputs = metric("up", "host:a", SeriesType::Gauge, &samples);
    inputs.push(Input::Tick(at(2_000)));
    let (events, _) = events_of(config, &inputs);
    let told: Vec<Verb> = events.iter().map(|e| e.verb).collect();
    assert_eq!(told[..2], [Verb::Opened, Verb::Resolved], "{told:?}");
    assert_eq!(alert_names(&events[..1]), ["AgentSilent"]);
    assert_eq!(events[0].record.started_at, Some(at(19 * 15)));
}

#[test]
fn a_filling_disk_is_announced_with_an_interval() {
    let config = config(serde_json::json!({
        "sense": {
            "exhaustion": [{"name": "DiskWillFill", "metric": "disk.used", "limit": 100.0, "severity": "major"}],
            "anomalies": {"enabled": false}
        }
    }));
    // 1 % an hour from 40 %: full in 60 h from the start.
    let samples: Vec<(i64, f64)> = (0..12 * 58).map(|i| (i * 300, 40.0 + i as f64 / 12.0)).collect();
    let (events, _) = events_of(config, &metric("disk.used", "host:a", SeriesType::Gauge, &samples));
    let opened = events.iter().find(|e| e.verb == Verb::Opened).expect("it is announced");
    let text = &opened.record.alerts[0].annotations["summary"];
    assert!(text.contains("reaches 100 in about") && text.contains("between"), "{text}");
    assert!(opened.record.opened_at < at(59 * 3_600), "before it is full");
}

#[test]
fn a_counter_is_watched_as_a_rate_and_its_restart_is_no_drop() {
    let config = config(serde_json::json!({
        "sense": {
            "rules": [{"name": "ManyErrors", "metric": "errors.total", "when": "value > 5", "severity": "major"}],
            "anomalies": {"enabled": false}
        }
    }));
    let mut samples: Vec<(i64, f64)> = (0..10).map(|i| (i * 10, i as f64 * 10.0)).collect();
    samples.push((100, 3.0));
    samples.push((110, 103.0));
    samples.push((120, 203.0));
    let (events, _) = events_of(config, &metric("errors.total", "service:a", SeriesType::Counter, &samples));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].record.started_at, Some(at(110)));
}

#[test]
fn a_rule_over_log_lines_raises_an_alert_that_ends_by_itself() {
    let config = config(serde_json::json!({
        "sense": {
            "rules": [{"name": "OutOfMemory", "signal": "log", "severity": "critical",
                       "when": "body LIKE '%OutOfMemory%' AND severity >= 17 AND app = 'shop'", "for": "2m"}]
        }
    }));
    let mut builder = LogBuilder::new();
    for (secs, severity, body, app) in [
        (10, 9, "OutOfMemory is what we test", "shop"),
        (20, 17, "java.lang.OutOfMemoryError: heap", "shop"),
        (21, 17, "java.lang.OutOfMemoryError: heap", "other"),
    ] {
        builder.push(&LogRow {
            time: at(secs),
            entity: "service:shop",
            severity,
            body,
            attributes: &[("app", app)],
            trace_id: None,
        });
    }
    let inputs = [Input::Batch(builder.finish("acme").expect("plain")), Input::Tick(at(900))];
    let (events, _) = events_of(config, &inputs);
    let told: Vec<Verb> = events.iter().map(|e| e.verb).collect();
    assert_eq!(told, [Verb::Opened, Verb::Resolved]);
    assert_eq!(events[0].record.alert_count, 1);
}

#[test]
fn a_line_never_seen_before_is_told_once_the_stream_is_known() {
    let config = config(serde_json::json!({"ledger": {"open_weight": 0.4}}));
    let mut builder = LogBuilder::new();
    for i in 0..3_000_i64 {
        let body = match i % 3 {
            0 => format!("request {i} served in {} ms", i % 17),
            1 => format!("connection from 10.0.0.{} closed", i % 250),
            _ => format!("cache hit ratio {}.{}", i % 10, i % 7),
        };
        builder.push(&LogRow {
            time: at(i * 2),
            entity: "service:shop",
            severity: 9,
            body: &body,
            attributes: &[],
            trace_id: None,
        });
    }
    builder.push(&LogRow {
        time: at(6_010),
        entity: "service:shop",
        severity: 17,
        body: "primary replica refused handshake: certificate has expired",
        attributes: &[],
        trace_id: None,
    });
    let inputs = [Input::Batch(builder.finish("acme").expect("plain")), Input::Tick(at(6_100))];
    let (events, _) = events_of(config, &inputs);
    assert_eq!(alert_names(&events), ["NewLogTemplate"], "{events:?}");
    let line = &events[0].record.alerts[0].annotations["message"];
    assert_eq!(line, "primary replica refused handshake: certificate has expired", "the line as it was written");
}

#[test]
fn values_that_are_not_finite_and_series_not_described_are_counted() {
    let mut inputs = metric(
        "load",
        "host:a",
        SeriesType::Gauge,
        &[(0, 1.0), (10, f64::NAN), (20, f64::INFINITY), (30, 1.0), (30, 1.0)],
    );
    let mut stray = MetricBuilder::new();
    stray.push(at(25), 42, 1.0);
    inputs.push(Input::Batch(stray.finish("acme").expect("plain")));
    let (_, engine) = events_of(EngineConfig::default(), &inputs);
    let stats = engine.stats().total;
    assert_eq!(stats.rejected["value not finite"], 2);
    assert_eq!(stats.rejected["series not described"], 1);
    assert_eq!(stats.duplicates, 1);
}

/// A calm series of 2,000 minutes that jumps for twenty of them.
fn jumping(usual: f64, jump: f64) -> Vec<(i64, f64)> {
    let calm = |i: i64| usual * (1.0 + 0.02 * ((i * 7_919) % 13) as f64 / 13.0);
    (0..2_000_i64).map(|i| (i * 60, if (1_900..1_920).contains(&i) { jump } else { calm(i) })).collect()
}

#[test]
fn a_lone_series_that_jumps_opens_nothing_and_is_evidence_where_somebody_asks() {
    let config = || config(serde_json::json!({"ledger": {"open_weight": 0.01}}));
    let mut inputs = metric("load", "host:a", SeriesType::Gauge, &jumping(50.0, 90.0));
    let (events, engine) = events_of(config(), &inputs);
    assert_eq!(events.len(), 0);
    assert!(engine.stats().total.evidence >= 1);

    let at_jump = 1_902 * 60;
    inputs.insert(1, Input::Batch(alerts(&[(at_jump, "Slow", "host:a", Severity::Major, AlertStatus::Firing)])));
    let (events, _) = events_of(EngineConfig { lateness: Span::from_hours(40), ..config() }, &inputs);
    let opened = events.iter().find(|e| e.verb == Verb::Opened).expect("the alert is told");
    let seen = opened.record.evidence.iter().find(|e| e.detector == "anomaly").expect("with what moved");
    assert!(seen.at >= at(1_900 * 60) && seen.at <= at(1_905 * 60), "{}", seen.at);
    assert_eq!(opened.record.alert_count, 1, "it is no alert of the incident");
}

#[test]
fn what_users_of_a_service_feel_opens_an_incident_once_the_series_is_known() {
    let felt = |entity: &str, learning: &str| {
        let config = config(serde_json::json!({"sense": {"anomalies": {"learning": learning}}}));
        let mut inputs = metric("http.server.error.ratio", entity, SeriesType::Gauge, &jumping(0.02, 0.4));
        inputs.extend(metric("http.server.request.duration.p95", entity, SeriesType::Gauge, &jumping(0.1, 2.0)));
        let (events, _) = events_of(EngineConfig { lateness: Span::from_hours(40), ..config }, &inputs);
        events.iter().filter(|e| e.verb == Verb::Opened).count()
    };
    assert_eq!(felt("service:shop", "4h"), 1);
    assert_eq!(felt("service:shop", "48h"), 0, "it is still being learned");
    assert_eq!(felt("host:a", "4h"), 0, "nobody is known to use it");
}

#[test]
fn a_filesystem_is_watched_without_a_word_of_configuration() {
    let told = |mountpoint: &str| {
        let fill = |minute: i64| (60.0 - 1.5 * minute as f64).max(0.0) * 1e6;
        let samples: Vec<(i64, f64)> = (0..180).map(|i| (i * 20, fill(i / 3))).collect();
        let labels = [("fstype", "tmpfs"), ("mountpoint", mountpoint)];
        let inputs = labelled("node_filesystem_avail_bytes", "host:a", SeriesType::Gauge, &labels, &samples);
        let (events, _) = events_of(EngineConfig::default(), &inputs);
        events.into_iter().find(|e| e.verb == Verb::Opened)
    };
    let opened = told("/srv/data").expect("it is told");
    let record = opened.record;
    assert!(record.title.contains("FilesystemRunsFull"), "{}", record.title);
    assert!(record.opened_at <= at(25 * 60), "full at 40 min, told at {}", record.opened_at);
    assert_eq!(record.priority, Priority::P4, "major, but nothing has happened yet");
    assert!(told("/run/user/0").is_none());
}

#[test]
fn a_host_whose_processor_use_has_risen_is_named_although_nobody_told() {
    let mut edges = EdgeBuilder::new();
    for (from, to) in [("service:web", "host:h1"), ("service:shop", "host:h1"), ("service:shop", "host:h2")] {
        let relation = Relation::RunsOn;
        edges.push(&EdgeRow { time: at(0), from, to, relation, source: "cmdb", confidence: 1.0 });
    }
    let mut inputs = vec![Input::Batch(edges.finish("acme").expect("the tenant is plain"))];
    let usual = |minute: i64| 0.2 + 0.01 * ((minute * 7) % 5) as f64;
    let busy = |minute: i64| usual(minute) + if minute >= 45 { 0.5 } else { 0.0 };
    let course = |of: &dyn Fn(i64) -> f64| (0..48).map(|minute| (minute * 60, of(minute))).collect::<Vec<_>>();
    inputs.extend(metric("system.cpu.utilization", "host:h1", SeriesType::Gauge, &course(&busy)));
    inputs.extend(metric("system.cpu.utilization", "host:h2", SeriesType::Gauge, &course(&usual)));
    // Before it has learned for an hour the detector raises nothing.
    inputs.push(Input::Batch(alerts(&[
        (2_825, "HighLatency", "service:web", Severity::Major, AlertStatus::Firing),
        (2_830, "HighLatency", "service:shop", Severity::Major, AlertStatus::Firing),
    ])));
    let config = EngineConfig { lateness: Span::from_hours(1), ..EngineConfig::default() };
    let events = run(&mut engine(config, 1), &inputs);
    let opened = events.iter().find(|e| e.verb == Verb::Opened).expect("the slow services are told");
    let first = opened.record.probable_causes.first().expect("a cause");
    assert_eq!(first.reference, "host:h1", "{:?}", opened.record.probable_causes);
}

#[test]
fn trouble_that_ends_is_not_told_as_trouble() {
    let usual = |minute: i64| 0.45 + 0.0005 * (((minute * 7919) % 101) as f64 / 50.0 - 1.0);
    let course: Vec<(i64, f64)> = (0..120)
        .map(|minute| {
            let value = match minute {
                70..72 => 0.7,
                72..95 => 1.0,
                95 => 0.8,
                _ => usual(minute),
            };
            (minute * 60, value)
        })
        .collect();
    let inputs = metric("system.filesystem.utilization", "host:h1", SeriesType::Gauge, &course);
    let config = config(serde_json::json!({"ledger": {"open_weight": 0.0}}));
    let (events, _) = events_of(config, &inputs);
    let opened: Vec<_> = events.iter().filter(|e| e.verb == Verb::Opened).map(|e| e.record.detected_at).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
}
