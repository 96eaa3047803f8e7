//! Webhooks of monitoring suites, each read by a mapping file.
//!
//! ```yaml
//! webhooks:
//!   - {name: zabbix, mapping: mappings/zabbix.yaml}      # answers /webhook/zabbix
//! ```
//!
//! JSON or a form. [`mapping`] says what a file looks like; `examples/mappings` has those for
//! Zabbix, Checkmk, Nagios and Icinga. A payload that is told again is the same alert, for its
//! fingerprint is made of what the file names. What cannot be read is answered with 400 and
//! the reason; overload with 503.

pub mod mapping;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, LABELS_MAX, Severity, alert_fingerprint, sorted_labels,
};
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::any_time::time_of_text;
use crate::decode::json::at;
use crate::intake::reject::Refusals;
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::server::doors::Lane;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};
use crate::wires::list::Switch;
use mapping::{Mapping, MappingError, Status, Templates};

/// Fields of a form at most.
const FORM_FIELDS_MAX: usize = 1_024;

/// One webhook and how it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The last part of its path, `/webhook/<name>`.
    pub name: String,
    /// The mapping file.
    pub mapping: PathBuf,
}

/// Webhooks, each with its mapping file.
type WebhooksConfig = Vec<WebhookConfig>;

impl Switch for WebhooksConfig {
    fn wire(&self) -> Option<&dyn WireConfig> {
        (!self.is_empty()).then_some(self as &dyn WireConfig)
    }

    fn wire_mut(&mut self) -> Option<&mut dyn WireConfig> {
        (!self.is_empty()).then_some(self as &mut dyn WireConfig)
    }

    fn rows() -> &'static [WireRow] {
        <WebhooksConfig as WireConfig>::rows()
    }
}

impl WireConfig for WebhooksConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Webhooks::new(self, shared.limits.clone(), shared.resolver.clone())?))]
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.iter_mut().map(|hook| &mut hook.mapping).collect()
    }

    fn reads_files(&self) -> bool {
        true
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "webhooks by mapping file: Zabbix, Checkmk, Nagios, Icinga (`src/wires/webhook`)",
            at: "`/webhook/<name>`",
            answers: "202; 400 partly refused; 503 full",
            again: "same fingerprint",
            peer: "Nagios 4 and Icinga 2 with the files of `examples/nagios` and `examples/icinga`, a receiver that is full included; Zabbix' and Checkmk's payloads are from their documentation",
        }]
    }
}

/// A webhook that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WebhookError {
    /// Its name is a part of a path.
    #[error("webhook `{0}` is no name for a path: letters, digits, `_` and `-`")]
    Name(String),
    /// Its mapping file.
    #[error(transparent)]
    Mapping(#[from] MappingError),
}

/// The wire.
pub struct Webhooks {
    hooks: Vec<(String, Arc<Mapping>)>,
    limits: Limits,
    resolver: Arc<EntityResolver>,
}

impl Webhooks {
    /// Reads the mapping files.
    ///
    /// # Errors
    /// [`WebhookError`] for the first that cannot be used.
    pub fn new(
        config: &[WebhookConfig],
        limits: Limits,
        resolver: Arc<EntityResolver>,
    ) -> Result<Webhooks, WebhookError> {
        let mut hooks = Vec::with_capacity(config.len());
        for WebhookConfig { name, mapping } in config {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(WebhookError::Name(name.clone()));
            }
            hooks.push((name.as_str(), Mapping::load(mapping)?));
        }
        Ok(Webhooks::of(hooks, limits, resolver))
    }

    /// With these mappings, by name.
    pub(crate) fn of(hooks: Vec<(&str, Mapping)>, limits: Limits, resolver: Arc<EntityResolver>) -> Webhooks {
        let hooks = hooks.into_iter().map(|(name, mapping)| (format!("/webhook/{name}"), Arc::new(mapping)));
        Webhooks { hooks: hooks.collect(), limits, resolver }
    }

    fn take(&self, mapping: &Mapping, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let payload = match request.media_type().as_str() {
            "application/x-www-form-urlencoded" => form(&body)?,
            _ => serde_json::from_slice(&body).map_err(|error| malformed(&format!("not JSON: {error}")))?,
        };
        let one = std::slice::from_ref(&payload);
        let payloads = match &mapping.list {
            None => one,
            Some(path) => match at(&payload, path) {
                Some(Value::Array(list)) => list,
                _ => return Err(malformed(&format!("there is no list at `{path}`"))),
            },
        };
        if payloads.len() > self.limits.events_max {
            return Err(Outcome::refused(Reply::text(413, "more alerts than `limits.events_max`\n"), "events_max"));
        }
        let mut out = AlertBuilder::new();
        let mut refused = Refusals::default();
        for payload in payloads {
            if mapping.skip.iter().any(|skip| skips(skip, payload)) {
                continue;
            }
            if let Err(reason) = self.alert(mapping, payload, request.received, &mut out) {
                refused.add(reason, 1);
            }
        }
        let reply = match refused.is_empty() {
            true => Reply::empty(202),
            false => Reply::text(400, format!("refused: {}; the others were stored\n", refused.describe())),
        };
        let mut accepted = Accepted::default();
        accepted.add_rows(out.finish_for(request.tenant));
        Ok(Outcome::store(accepted, refused, reply))
    }

    fn alert(
        &self,
        mapping: &Mapping,
        payload: &Value,
        received: EventTime,
        out: &mut AlertBuilder,
    ) -> Result<(), &'static str> {
        let name = mapping.name.read(payload).ok_or("no_name")?;
        let entity = mapping.entity.read(payload).and_then(|entity| self.resolver.spoken(&entity));
        let entity = entity.unwrap_or_else(|| UNKNOWN_ENTITY.to_owned());
        let status = match mapping.status.read(payload) {
            (_, Some(Status::Firing)) => AlertStatus::Firing,
            (_, Some(Status::Resolved)) => AlertStatus::Resolved,
            (Some(text), None) => text.trim().to_ascii_lowercase().parse().map_err(|_| "status_unknown")?,
            (None, None) => return Err("no_status"),
        };
        let (text, word) = mapping.severity.read(payload);
        let severity = word.or_else(|| Severity::read(&text?)).unwrap_or_default();
        let parts: Vec<String> =
            mapping.fingerprint.iter().map(|part| part.read(payload).unwrap_or_default()).collect();
        if parts.iter().all(String::is_empty) {
            return Err("no_fingerprint");
        }
        let identity: Vec<(&str, &str)> = parts.iter().map(|part| ("", part.as_str())).collect();
        let starts_at = mapping.starts_at.read(payload).and_then(|text| time_of_text(text.trim()));
        let starts_at = self.limits.believed(starts_at, received);
        let (labels, annotations) = (texts(&mapping.labels, payload), texts(&mapping.annotations, payload));
        let url = mapping.url.read(payload);
        out.push(&AlertRow {
            time: received,
            source: &mapping.source,
            name: name.trim(),
            entity: &entity,
            severity,
            status,
            fingerprint: alert_fingerprint(&mapping.source, "", "", &identity),
            labels: &pairs(&labels),
            annotations: &pairs(&annotations),
            starts_at,
            ends_at: (status == AlertStatus::Resolved).then_some(received),
            url: url.as_deref(),
        });
        Ok(())
    }
}

fn skips(skip: &mapping::Skip, payload: &Value) -> bool {
    let text = skip.of.read(payload);
    text.is_some_and(|text| skip.values.iter().any(|value| value.eq_ignore_ascii_case(text.trim())))
}

fn texts<'m>(templates: &'m BTreeMap<String, Templates>, payload: &Value) -> Vec<(&'m str, String)> {
    templates.iter().filter_map(|(name, templates)| Some((name.as_str(), templates.read(payload)?))).collect()
}

fn pairs<'t>(texts: &'t [(&str, String)]) -> Vec<(&'t str, &'t str)> {
    let mut pairs = sorted_labels(texts.iter().map(|(name, text)| (*name, text.trim())));
    pairs.truncate(LABELS_MAX);
    pairs
}

/// A form as an object of texts.
fn form(body: &[u8]) -> Result<Value, Outcome> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("not a form: no UTF-8"))?;
    let mut fields = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(text.trim().as_bytes()) {
        if fields.len() == FORM_FIELDS_MAX {
            return Err(malformed("more fields than a form may have"));
        }
        fields.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(Value::Object(fields))
}

fn malformed(text: &str) -> Outcome {
    Outcome::refused(Reply::text(400, format!("{text}\n")), "malformed")
}

impl HttpHandler for Webhooks {
    fn lane(&self) -> Lane {
        Lane::Alerts
    }

    fn routes(&self) -> Vec<Route<Webhooks>> {
        let route = |(path, mapping): &(String, Arc<Mapping>)| {
            let mapping = mapping.clone();
            Route::post(path, move |wire: &Webhooks, request: &Request<'_>| wire.take(&mapping, request))
        };
        self.hooks.iter().map(route).collect()
    }
}

#[cfg(test)]
mod tests;
