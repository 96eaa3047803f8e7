//! ServiceNow's Event Management: an incident is one alert there, which rules of the instance make an incident of.
//!
//! ```yaml
//! bridges:
//!   - service_now_events:
//!       url: https://acme.service-now.com/
//!       user: bellwether
//!       token_file: servicenow-password
//!       audience:
//!         tenants: {acme: {queue: Service Desk}}     # goes with the event, as `assignment_group`
//! ```
//!
//! Events of one `message_key` are one alert, so that one that is sent again changes nothing. What the instance makes
//! of it is not known here: an alert shows no person's work.

use std::time::Duration;

use bellwether_engine::incident::{IncidentStatus, Priority};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::json;

use super::super::declare::BridgeError;
use super::super::mapping::MappingError;
use super::super::receiver::{Channel, Telling, Tells};
use super::super::rest::Rest;
use super::super::site::http_channel;
use super::super::system::{Answered, SystemError, TEXT};
use super::super::text::{cut, one_line};
use super::api::rest;

/// Characters of a source, node, type, resource or metric.
const NAME_CHARS_MAX: usize = 100;
/// Characters of a description.
const TEXT_CHARS_MAX: usize = 4_000;

http_channel! {
    /// A bridge to ServiceNow's Event Management.
    pub struct ServiceNowEventsConfig for "ServiceNow events" named by "default_name" {
        /// The name of the user whose password is in `token_file`.
        #[serde(default = "default_user")]
        pub user: String,
        /// What the events say they come from; rules of the instance know them by it.
        #[serde(default = "default_source")]
        pub source: String,
    }
}

fn default_name() -> String {
    "servicenow-events".to_owned()
}

fn default_user() -> String {
    super::default_user()
}

fn default_source() -> String {
    "Bellwether".to_owned()
}

impl ServiceNowEventsConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        if self.source.is_empty() || self.source.chars().count() > NAME_CHARS_MAX {
            return Err(MappingError::at("source", "between 1 and 100 characters: rules there know events by it"));
        }
        Ok(())
    }

    fn connect(&self, patience: Duration) -> Result<Events, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        let rest = self.site().secret(|password| rest(destination, &self.user, password))?;
        Ok(Events { rest, source: self.source.clone() })
    }

    async fn look(&self, events: &Events) -> Answered<String> {
        events.rest.get::<serde_json::Value>("/em_event?sysparm_limit=1&sysparm_fields=sys_id").await?;
        Ok(format!("ServiceNow lets `{}` in, and has events", self.user))
    }
}

struct Events {
    rest: Rest,
    source: String,
}

/// A row of `em_event`, in its columns.
#[derive(Serialize)]
struct Event<'t> {
    source: &'t str,
    event_class: &'t str,
    node: String,
    #[serde(rename = "type")]
    kind: String,
    resource: String,
    message_key: String,
    severity: &'static str,
    resolution_state: &'static str,
    description: &'t str,
    time_of_event: String,
    /// JSON in a text.
    additional_info: String,
}

/// How bad: 0 clears the alert, and 5 would say that all is well.
fn severity(telling: &Telling) -> &'static str {
    let live = matches!(telling.record.status, IncidentStatus::Open | IncidentStatus::Acknowledged);
    match telling.record.priority {
        _ if !live => "0",
        Priority::P1 => "1",
        Priority::P2 => "2",
        Priority::P3 => "3",
        Priority::P4 | Priority::P5 => "4",
    }
}

impl Events {
    async fn tell(&self, telling: &Telling) -> Answered<Option<String>> {
        let record = &telling.record;
        let name = |text: &str| cut(&one_line(text), NAME_CHARS_MAX);
        let severity = severity(telling);
        let owner = record.owner.as_ref().map_or("", |owner| owner.team.as_str());
        let cause = record.probable_causes.first().map_or("", |cause| cause.reference.as_str());
        let info = json!({
            "tenant": telling.tenant, "incident": record.id, "revision": record.revision.to_string(),
            "priority": record.priority.name(), "team": owner, "cause": cause, "assignment_group": telling.queue,
        });
        let time = record.updated_at.to_string().replacen('T', " ", 1);
        let event = Event {
            source: &self.source,
            event_class: &self.source,
            node: name(record.entities.first().map_or(telling.tenant.as_str(), |entity| entity.id.as_str())),
            kind: name("incident"),
            resource: name(&telling.subject),
            message_key: format!("{}/{}", telling.tenant, record.id),
            severity,
            resolution_state: if severity == "0" { "Closing" } else { "New" },
            description: &telling.text,
            time_of_event: time.split(['.', 'Z']).next().unwrap_or_default().to_owned(),
            additional_info: info.to_string(),
        };
        let body = serde_json::to_value(&event).map_err(|error| SystemError::Refused(error.to_string()))?;
        self.rest.post("/em_event?sysparm_fields=sys_id", &body).await?;
        Ok(None)
    }
}

impl Channel for Events {
    fn tells(&self) -> Tells {
        Tells::WhatIsNew
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>> {
        Box::pin(self.tell(telling))
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT => cut(text, TEXT_CHARS_MAX),
            _ => cut(&one_line(text), NAME_CHARS_MAX),
        }
    }
}
