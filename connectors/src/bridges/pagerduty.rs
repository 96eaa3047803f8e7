//! PagerDuty, by Events API v2: an incident is one alert, which calls whoever is on duty.
//!
//! ```yaml
//! bridges:
//!   - pagerduty:
//!       url: https://events.pagerduty.com/
//!       token_file: routing-keys                 # a line each: a queue of the audience, and its integration's key
//!       audience:
//!         tenants: {acme: {queue: main, teams: {database: database}}}
//! ```
//!
//! Events of one `dedup_key` are one alert, so that one that is sent again changes nothing. After its end the same key
//! makes a new alert; what comes back from PagerDuty's people is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_engine::incident::{IncidentStatus, Priority};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::receiver::{Channel, Telling, Tells};
use super::rest::Rest;
use super::site::http_channel;
use super::system::{Answered, SystemError, TEXT};
use super::text::{cut, one_line};

/// Characters of a summary.
const LINE_CHARS_MAX: usize = 1_024;
/// Characters of a text: an event has at most 512 KB, and nobody reads more on a phone.
const TEXT_CHARS_MAX: usize = 4_000;
/// Letters of an integration's key.
const KEY_LETTERS: usize = 32;
/// Queues with a key of their own.
const KEYS_MAX: usize = 1_000;
/// Characters of a key of an alert.
const DEDUP_CHARS_MAX: usize = 255;

http_channel! {
    /// A bridge to PagerDuty. In `token_file` is a line for each queue: its name, a blank, the key of its integration.
    pub struct PagerDutyConfig for "PagerDuty" named by "default_name" {
        /// Where Bellwether's page is, as people reach it: what alerts link to.
        #[serde(default)]
        pub page: Option<String>,
    }
}

fn default_name() -> String {
    "pagerduty".to_owned()
}

/// Routing keys by queue; `None` when a line is none.
fn keys(text: &str) -> Option<BTreeMap<String, String>> {
    let line = |line: &str| {
        let (queue, key) = line.trim().rsplit_once(char::is_whitespace)?;
        let plain = key.len() == KEY_LETTERS && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| (queue.trim().to_owned(), key.to_owned()))
    };
    let keys: BTreeMap<_, _> = text.lines().map(line).collect::<Option<_>>()?;
    (1..=KEYS_MAX).contains(&keys.len()).then_some(keys)
}

impl PagerDutyConfig {
    #[expect(clippy::unused_self, reason = "other channels have words of their own")]
    fn check_words(&self) -> Result<(), MappingError> {
        Ok(())
    }

    fn connect(&self, patience: Duration) -> Result<PagerDuty, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        let keys = self.site().secret(keys)?;
        if let Some(queue) = self.site().queues().find(|queue| !keys.contains_key(*queue)) {
            let reason = format!("it has no line for queue `{queue}`");
            return Err(BridgeError::Secret { path: self.token_file.clone(), reason });
        }
        let rest = keys.values().cloned().fold(Rest::new(destination, ""), Rest::hiding);
        Ok(PagerDuty { rest, keys, page: self.page.clone() })
    }

    async fn look(&self, pagerduty: &PagerDuty) -> Answered<String> {
        pagerduty.rest.reach().await?;
        Ok(format!(
            "PagerDuty is there, and {} keys: whether they are its own is seen with the first event",
            pagerduty.keys.len()
        ))
    }
}

struct PagerDuty {
    rest: Rest,
    keys: BTreeMap<String, String>,
    page: Option<String>,
}

fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::P1 => "critical",
        Priority::P2 => "error",
        Priority::P3 => "warning",
        Priority::P4 | Priority::P5 => "info",
    }
}

impl PagerDuty {
    fn event(&self, telling: &Telling) -> Answered<Value> {
        let record = &telling.record;
        let key = self.keys.get(&telling.queue);
        let key = key.ok_or_else(|| SystemError::Refused(format!("queue `{}` has no key", telling.queue)))?;
        let dedup_key = cut(&format!("{}/{}", telling.tenant, record.id), DEDUP_CHARS_MAX);
        let action = match record.status {
            // One that is not there cannot be acknowledged.
            IncidentStatus::Acknowledged if !telling.opens => "acknowledge",
            IncidentStatus::Open | IncidentStatus::Acknowledged => "trigger",
            IncidentStatus::Resolved | IncidentStatus::Closed | IncidentStatus::Merged => "resolve",
        };
        let mut event = json!({"routing_key": key, "event_action": action, "dedup_key": dedup_key});
        if action != "trigger" {
            return Ok(event);
        }
        let first = record.entities.first().map_or(telling.tenant.as_str(), |entity| entity.id.as_str());
        let cause = record.probable_causes.first();
        let cause = cause.map(|cause| format!("{}, {:.0} % sure", cause.reference, cause.score * 100.0));
        event["payload"] = json!({
            "summary": telling.subject, "source": first, "severity": severity(record.priority),
            "timestamp": record.opened_at.to_string(), "group": telling.tenant, "class": record.class,
            "custom_details": {
                "text": telling.text, "incident": record.id, "priority": record.priority.name(),
                "team": record.owner.as_ref().map_or("", |owner| owner.team.as_str()), "cause": cause.unwrap_or_default(),
            },
        });
        event["client"] = "Bellwether".into();
        if let Some(page) = &self.page {
            let link = format!("{}/page/incidents/{}", page.trim_end_matches('/'), record.id);
            event["links"] = json!([{"href": link, "text": "Look"}]);
            event["client_url"] = link.into();
        }
        Ok(event)
    }

    async fn tell(&self, telling: &Telling) -> Answered<Option<String>> {
        self.rest.post("/v2/enqueue", &self.event(telling)?).await?;
        Ok(None)
    }
}

impl Channel for PagerDuty {
    fn tells(&self) -> Tells {
        Tells::WhatIsNewAndEachStatus
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>> {
        Box::pin(self.tell(telling))
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT => cut(text, TEXT_CHARS_MAX),
            _ => cut(&one_line(text), LINE_CHARS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_has_a_queue_and_a_key_in_each_line() {
        let key = "0123456789abcdef0123456789ABCDEF";
        let two = keys(&format!("main {key}\nthe other one  {key}\n")).expect("keys");
        assert_eq!(two.keys().collect::<Vec<_>>(), ["main", "the other one"]);
        for wrong in ["", "main", key, "main short", &format!("main {key}\n\n")] {
            assert!(keys(wrong).is_none(), "{wrong}");
        }
    }
}
