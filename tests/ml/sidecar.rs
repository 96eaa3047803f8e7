//! A model of another process takes part: it reads the tap and posts alerts, as docs/ml.md shows.

use crate::document::{blocks, python};
use crate::service::{Service, TOKEN, free_address, pause, wait_until};
use crate::skipped::skipped;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process of the test; ended when the test is.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_model_beside_the_engine_reads_the_tap_and_its_alert_is_an_incident_with_its_score() {
    let Some(python) = python() else {
        skipped("no Python with river; `make ml` installs it into .tools/ml");
        return;
    };
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let quiet = "  sense: {anomalies: {enabled: false}}\n";
    let config = Service::configure(dir.path(), http, quiet, "  alertmanager: {}\n  influx: {}\n");
    let service = Service::run(dir.path(), http);
    std::fs::write(dir.path().join("model.py"), blocks("py").remove(0)).expect("writes");

    let mut tap = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    tap.args(["tap", "influx", "--json", "-c"]).arg(&config).arg("--token-file").arg(dir.path().join("token"));
    let mut tap = Ended(tap.stdout(Stdio::piped()).spawn().expect("the tap starts"));
    let mut model = Command::new(python);
    model.arg(dir.path().join("model.py")).stdin(tap.0.stdout.take().expect("it is piped"));
    model.env("BELLWETHER_URL", format!("http://{http}")).env("TOKEN", TOKEN);
    let _model = Ended(model.spawn().expect("the model starts"));
    wait_until("the tap is open", || service.metrics().contains("bellwether_taps_open 1"));

    let send = |value: f64| {
        let line = format!("line_pressure,entity=line:press-4 value={value}");
        let reply = service.ask("POST", "/api/v2/write", TOKEN, &line).expect("an answer");
        assert_eq!(reply.status, 204, "{}", reply.text);
        // Each point has a time of its own: without one it is the time of receipt.
        pause(Duration::from_millis(2));
    };
    (0..60).for_each(|number| send(5.0 + f64::from(number % 5) * 0.1));
    send(50.0);
    let told = || {
        service.records().into_iter().map(|line| line["record"].clone()).find(|record| {
            record["alerts"][0]["name"] == "UnusualByMyModel" && record["entities"].to_string().contains("press-4")
        })
    };
    wait_until("the model's alert is an incident", || told().is_some());
    let record = told().expect("it was there");
    let score: f64 = record["alerts"][0]["annotations"]["score"].as_str().and_then(|s| s.parse().ok()).unwrap_or(0.0);
    assert!(score > 0.9999, "{record:#}");
}
