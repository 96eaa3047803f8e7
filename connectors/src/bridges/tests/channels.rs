//! What incidents are only told to over HTTP, by the examples: against strict servers of our own.

use bellwether_engine::incident::{IncidentStatus, Priority};

use super::super::list::BridgeConfig;
use super::bench::{Bench, Told};
use super::line::{Cut, Line};
use super::strict::service_now::PASSWORD;
use super::strict::service_now_events::Events;
use super::strict::{Strict, System};
use super::suite::read;

/// A bench over what an example leads to, through a line that can be cut.
struct Stage {
    bench: Bench,
    line: Line,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn of<S: System>(server: &Strict<S>, example: &str, was: &str, secret: &str) -> Stage {
        let (line, folder) = (Line::to(server.address), tempfile::tempdir().expect("a folder"));
        let token = folder.path().join("token");
        std::fs::write(&token, secret).expect("writes");
        let config: BridgeConfig = read(&example.replace(was, &line.address.to_string()), &token);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(config.probe().expect("it can be tried")).expect("it has what the example names");
        let bench = Bench::over(config.open().expect("it opens"), config.mapping());
        Stage { bench, line, _folder: folder }
    }

    /// Tells it, with what is cut of the first request.
    fn tell(&mut self, told: &Told, cut: Option<Cut>) {
        if let Some(cut) = cut {
            self.line.cut_write(0, cut);
        }
        self.bench.tell(told);
        self.bench.settle_in_time();
        self.line.mend();
    }
}

/// An incident with everything in it that a channel may show, in more than one script, and longer than any takes.
fn rich() -> Told {
    let mut told = Told::new("a");
    let record = serde_json::json!({
        "owner": {"team": "database", "assignee": "ana"},
        "probable_causes": [{"rank": 1, "kind": "change", "ref": "CHG-7 <on> *db*", "score": 0.87, "explanation": "just before"}],
        "entities": [{"id": "checkout", "type": "service", "role": "affected"}],
    });
    let mut whole = serde_json::to_value(&told.0).expect("JSON");
    whole.as_object_mut().expect("an object").extend(record.as_object().expect("an object").clone());
    told.0 = serde_json::from_value(whole).expect("a record");
    told.0.title = "שרת 🔥 <!channel> & @all".to_owned();
    told.0.summary = "🔥".repeat(20_000);
    told
}

#[test]
fn service_now_has_one_alert_for_an_incident_however_often_it_is_told() {
    let server = Events::start();
    let example = include_str!("../../../../examples/service-now/events.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8090", PASSWORD);
    let mut told = rich();
    stage.tell(&told, Some(Cut::Answer));
    stage.tell(told.next(|record| record.alert_count = 7), None);
    stage.tell(told.next(|record| record.priority = Priority::P1), Some(Cut::Busy));
    let alert = |server: &Strict<Events>| server.with(|own| own.alerts.clone());
    assert_eq!(alert(&server), [("acme/inc_a".to_owned(), "1".to_owned())].into());
    stage.tell(told.status(IncidentStatus::Resolved), Some(Cut::Request));
    assert_eq!(alert(&server), [("acme/inc_a".to_owned(), "0".to_owned())].into(), "it is cleared");
    assert_eq!(server.refused(), Vec::<String>::new());
    let severities = server.with(|own| own.events.iter().map(|event| event["severity"].clone()).collect::<Vec<_>>());
    assert_eq!(severities, ["2", "2", "1", "0"], "one was sent again, under the same key");
    assert!(stage.bench.entry(&told).is_done());
}
