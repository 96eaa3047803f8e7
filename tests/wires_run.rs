//! The program with its listeners, as a monitoring tool meets it: a socket, a token, alerts.

mod service;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use service::{Service, TOKEN, bellwether, pause, wait_until};

/// Four group waits: a second incident would have opened.
const QUIET: Duration = Duration::from_secs(2);

#[test]
fn three_posted_alerts_of_one_fault_become_one_incident() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut service = Service::start(dir.path());
    assert_eq!(service.alert("wrong", "web-9", &["Down"]).status, 401);
    let reply = service.alert(TOKEN, "db-1.example.com", &["DiskFull", "WritesFail", "ReplicationLag"]);
    assert_eq!(reply.status, 200, "{}", reply.text);
    wait_until("an incident is told", || !service.records().is_empty());
    pause(QUIET);
    let metrics = service.ask("GET", "/metrics", "", "").expect("an answer").text;
    for shown in [
        "component_accepted_events_total{component_id=\"alertmanager\",component_kind=\"source\",component_type=\"alertmanager\"} 3\n",
        "component_type=\"alertmanager\",reason=\"unauthorized\"} 1\n",
        "bellwether_incident_events_total 1\n",
    ] {
        assert!(metrics.contains(shown), "{shown} in {metrics}");
    }
    assert_eq!(service.stop(), Some(0));

    let records = service.records();
    let opened: Vec<&str> =
        records.iter().filter_map(|line| line["subject"].as_str()).filter(|s| s.contains(".opened.")).collect();
    assert_eq!(opened.len(), 1, "{records:?}");
    assert!(opened[0].starts_with("bellwether.v1.acme.incident."), "{opened:?}");
    let ids: Vec<&Value> = records.iter().map(|line| &line["record"]["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let told = records.iter().map(Value::to_string).collect::<String>();
    assert!(told.contains("host:db-1") && !told.contains("web-9"), "{told}");
}

#[test]
fn the_example_is_valid_and_a_mistake_in_it_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wires.yaml");
    let example = std::fs::read_to_string(example).expect("the example reads");
    let config = dir.path().join("wires.yaml");
    let validate = |text: &str| {
        std::fs::write(&config, text).expect("writes");
        bellwether(&["validate", &config.display().to_string()])
    };
    let complaint = |text: &str| {
        let output = validate(text);
        assert_eq!(output.status.code(), Some(2), "{text}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = complaint(&example);
    assert!(missing.contains("token` could not be read"), "{missing}");

    std::fs::write(dir.path().join("token"), TOKEN).expect("writes");
    let output = validate(&example);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for wire in ["http: remote_write, alertmanager,", "otlp_grpc: at 127.0.0.1:4317", "syslog_tcp: at", "statsd: at"] {
        assert!(said.contains(wire), "{wire} in {said}");
    }

    let misspelt = complaint(&example.replace("alertmanager: {}", "alertmanger: {}"));
    assert!(misspelt.contains("did you mean `alertmanager`?"), "{misspelt}");
    let open = complaint("wires: {http: {listen: '0.0.0.0:9099'}, loki: {}}");
    assert!(open.contains("needs credentials"), "{open}");
}
