//! ServiceNow's `em_event`, strictly: columns, lengths and severities of the documents, and no other.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::service_now::PASSWORD;
use super::{Asked, Reply, Said, Strict, System, unknown_caller};

/// Columns, each with its longest text.
const COLUMNS: [(&str, usize); 11] = [
    ("source", 100),
    ("event_class", 100),
    ("node", 100),
    ("type", 100),
    ("resource", 100),
    ("message_key", 1_024),
    ("severity", 1),
    ("resolution_state", 40),
    ("description", 4_000),
    ("time_of_event", 19),
    ("additional_info", 4_000),
];

/// What it has made of events.
#[derive(Default)]
pub(in super::super) struct Events {
    /// Each alert's severity, by its key.
    pub(in super::super) alerts: BTreeMap<String, String>,
    /// Every event, in order.
    pub(in super::super) events: Vec<Value>,
}

impl Events {
    pub(in super::super) fn start() -> Strict<Events> {
        Strict::start(Events::default())
    }

    fn take(&mut self, asked: &Asked) -> Result<(), String> {
        let event = asked.object(&COLUMNS.map(|(name, _)| name))?;
        let of = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some((name, _)) = COLUMNS.iter().find(|(name, longest)| of(name).chars().count() > *longest) {
            return Err(format!("{name} is too long"));
        }
        if of("source").is_empty() || (of("node").is_empty() && of("event_class").is_empty()) {
            return Err("no source".to_owned());
        }
        if !["0", "1", "2", "3", "4", "5"].contains(&of("severity")) {
            return Err(format!("severity {}", of("severity")));
        }
        jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", of("time_of_event")).map_err(|error| error.to_string())?;
        let info: BTreeMap<String, String> =
            serde_json::from_str(of("additional_info")).map_err(|error| error.to_string())?;
        if info.is_empty() {
            return Err("additional_info is no JSON of texts".to_owned());
        }
        self.alerts.insert(of("message_key").to_owned(), of("severity").to_owned());
        self.events.push(Value::Object(event));
        Ok(())
    }
}

impl System for Events {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.header("authorization") != format!("Basic {}", STANDARD.encode(format!("bellwether:{PASSWORD}"))) {
            return Err(unknown_caller());
        }
        if asked.path != "/api/now/table/em_event" {
            return Err(Reply::of(404, &json!({"error": {"message": "No such table"}})));
        }
        if asked.method == "GET" {
            return Ok(Reply::ok(&json!({"result": []})));
        }
        self.take(asked).map_err(|reason| Reply::of(400, &json!({"error": {"message": reason}})))?;
        Ok(Reply::of(201, &json!({"result": {"sys_id": format!("{:032x}", self.events.len())}})))
    }
}
