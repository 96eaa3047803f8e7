//! PagerDuty's Events API v2, strictly: known fields, lengths and severities; what is acknowledged or resolved has to be
//! there, or is dropped; after its end a key is a new alert.

use serde_json::{Value, json};

use super::{Asked, Reply, Said, Strict, System};

pub(in super::super) const KEY: &str = "s3cret0fpagerduty0s3cret0fpagerd";

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Alert {
    pub(in super::super) key: String,
    pub(in super::super) status: &'static str,
    pub(in super::super) severity: String,
}

#[derive(Default)]
pub(in super::super) struct PagerDuty {
    pub(in super::super) alerts: Vec<Alert>,
    /// Events about nothing that is there.
    pub(in super::super) dropped: usize,
}

impl PagerDuty {
    pub(in super::super) fn start() -> Strict<PagerDuty> {
        Strict::start(PagerDuty::default())
    }

    fn take(&mut self, asked: &Asked) -> Result<String, String> {
        let known = ["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
        let event = asked.object(&known)?;
        let of = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        if of("routing_key").len() != 32 || of("routing_key") != KEY {
            return Err("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
        }
        let key = of("dedup_key").to_owned();
        if key.is_empty() || key.chars().count() > 255 {
            return Err("'dedup_key' is invalid".to_owned());
        }
        let open = self.alerts.iter_mut().find(|alert| alert.key == key && alert.status != "resolved");
        match (of("event_action"), open) {
            ("trigger", open) => {
                let payload = &event.get("payload").ok_or("'payload' is missing")?;
                let text = |name: &str| payload[name].as_str().unwrap_or_default();
                if text("summary").is_empty() || text("summary").chars().count() > 1_024 || text("source").is_empty() {
                    return Err("'payload.summary' is invalid".to_owned());
                }
                let severity = text("severity").to_owned();
                if !["critical", "error", "warning", "info"].contains(&severity.as_str()) {
                    return Err("'payload.severity' is invalid".to_owned());
                }
                text("timestamp").parse::<jiff::Timestamp>().map_err(|error| error.to_string())?;
                match open {
                    Some(alert) => alert.severity = severity,
                    None => self.alerts.push(Alert { key: key.clone(), status: "triggered", severity }),
                }
            }
            ("acknowledge", Some(alert)) => alert.status = "acknowledged",
            ("resolve", Some(alert)) => alert.status = "resolved",
            ("acknowledge" | "resolve", None) => self.dropped += 1,
            (other, _) => return Err(format!("'event_action' is invalid: {other}")),
        }
        Ok(key)
    }
}

impl System for PagerDuty {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.method != "POST" || asked.path != "/v2/enqueue" {
            return Err(Reply::done(404));
        }
        if asked.body.len() > 512_000 {
            return Err(Reply::done(413));
        }
        match self.take(asked) {
            Ok(key) => {
                Ok(Reply::of(202, &json!({"status": "success", "message": "Event processed", "dedup_key": key})))
            }
            Err(reason) => Err(Reply::of(
                400,
                &json!({"status": "invalid event", "message": "Event object is invalid", "errors": [reason]}),
            )),
        }
    }
}
