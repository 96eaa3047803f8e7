//! Alertmanager's API v2 and its webhook, and Grafana's webhook of the same shape.
//!
//! ```yaml
//! alertmanager:
//!   webhook_path: /webhook/alertmanager
//!   resolve_timeout: 5m
//! ```
//!
//! ```yaml
//! # prometheus.yml: one more Alertmanager
//! alerting:
//!   alertmanagers:
//!     - static_configs: [{ targets: ['127.0.0.1:9099'] }]
//! # alertmanager.yml: one more receiver
//! receivers:
//!   - name: bellwether
//!     webhook_configs: [{ url: 'http://127.0.0.1:9099/webhook/alertmanager' }]
//! ```
//!
//! Both ways give an alert of the same labels the same fingerprint, so a team may use both.
//! As in Alertmanager, the good alerts of a request are stored even when others are refused
//! (400). amtool works against it: alerts can be listed and, with a credential that may `act`,
//! silences set; a silence goes to the engine. What the listing knows is lost at a restart until
//! the senders repeat it, which they do each minute; what the engine knows is not.

mod api;
mod decode;
mod matcher;
mod repeats;
mod silences;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::AlertBuilder;
use bellwether_engine::time::{EventTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::json::readable;
use crate::intake::reject::Refusals;
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::doors::Lane;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};
use decode::{Context, Decoded, Posted, take_heard, take_posted};
use repeats::Repeats;
use silences::{PostedSilence, Silences};
use table::Table;

/// How alerts are received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Put in front of `/api/v2`, for senders with a path prefix.
    pub path_prefix: String,
    /// Where Alertmanager's and Grafana's webhooks are received.
    pub webhook_path: String,
    /// An alert without an end ends this long after it was last heard of.
    pub resolve_timeout: Span,
}

impl Default for AlertmanagerConfig {
    fn default() -> AlertmanagerConfig {
        AlertmanagerConfig {
            path_prefix: String::new(),
            webhook_path: "/webhook/alertmanager".to_owned(),
            resolve_timeout: Span::from_mins(5),
        }
    }
}

impl WireConfig for AlertmanagerConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Alertmanager::new(self.clone(), shared.limits.clone(), shared.resolver.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[
            WireRow {
                wire: "Alertmanager API v2 (`src/wires/alertmanager`)",
                at: "`/api/v2/…`",
                answers: "200; 400 partly refused; 503 full",
                again: "same fingerprint",
                peer: "Prometheus' rules, amtool 0.25",
            },
            WireRow {
                wire: "Alertmanager webhook 4, Grafana webhook",
                at: "`/webhook/alertmanager`",
                answers: "200; 503 full, never 429",
                again: "same fingerprint",
                peer: "Alertmanager 0.25",
            },
        ]
    }
}

/// What is kept for one tenant's listings, and of its alerts' texts.
#[derive(Default)]
struct TenantState {
    alerts: Table,
    silences: Silences,
    repeats: Repeats,
}

/// The wire.
pub struct Alertmanager {
    config: AlertmanagerConfig,
    limits: Limits,
    resolver: Arc<EntityResolver>,
    tenants: Mutex<HashMap<String, Arc<Mutex<TenantState>>>>,
    started: OnceLock<EventTime>,
}

/// A message of the webhook; Grafana's has `orgId` beside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook<'a> {
    #[serde(borrow)]
    alerts: Vec<Posted<'a>>,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(default)]
    org_id: Option<serde_json::Value>,
}

impl Alertmanager {
    /// A wire with empty listings.
    pub fn new(config: AlertmanagerConfig, limits: Limits, resolver: Arc<EntityResolver>) -> Alertmanager {
        Alertmanager { config, limits, resolver, tenants: Mutex::default(), started: OnceLock::new() }
    }

    fn with_tenant<T>(&self, tenant: &str, run: impl FnOnce(&mut TenantState) -> T) -> T {
        let mut tenants = self.tenants.lock().unwrap_or_else(|held| held.into_inner());
        let state = match tenants.get(tenant) {
            Some(state) => state.clone(),
            None => tenants.entry(tenant.to_owned()).or_default().clone(),
        };
        drop(tenants);
        run(&mut state.lock().unwrap_or_else(|held| held.into_inner()))
    }

    /// Takes alerts as Prometheus posts them.
    ///
    /// # Errors
    /// The refusal of the whole request.
    pub fn post_alerts(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let body = text(&body)?;
        let context = self.context(request, "prometheus");
        let told_before = self.with_tenant(request.tenant, |state| {
            let alerts = state.repeats.read(body, context.source, &self.resolver)?;
            Some(self.store(request, alerts.len(), &mut state.alerts, |out| {
                take_heard(&alerts, &state.repeats, &context, out);
            }))
        });
        if let Some(outcome) = told_before {
            return Ok(outcome);
        }
        if let Ok(posted) = serde_json::from_str::<Vec<Posted<'_>>>(body) {
            return Ok(self.store_posted(request, &posted, &context));
        }
        let alerts: Vec<Value> = serde_json::from_str(body).map_err(|error| malformed(&error))?;
        Ok(self.store_readable(request, &alerts, &context))
    }

    fn post_webhook(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let body = text(&body)?;
        let source = |grafana: bool| if grafana { "grafana" } else { "prometheus" };
        let (mut outcome, truncated) = match serde_json::from_str::<Webhook<'_>>(body) {
            Ok(webhook) => {
                let context = self.context(request, source(webhook.org_id.is_some()));
                (self.store_posted(request, &webhook.alerts, &context), webhook.truncated_alerts)
            }
            Err(error) => {
                let document: Value = serde_json::from_str(body).map_err(|error| malformed(&error))?;
                let alerts = document.get("alerts").and_then(Value::as_array).ok_or_else(|| malformed(&error))?;
                let context = self.context(request, source(document.get("orgId").is_some_and(|id| !id.is_null())));
                let truncated = document.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or_default();
                (self.store_readable(request, alerts, &context), truncated)
            }
        };
        // What the sender left out itself is counted, and no reason to refuse the message.
        outcome.refused.add_some("truncated_by_sender", truncated);
        Ok(outcome)
    }

    /// Stores those of `alerts` that can be read.
    fn store_readable(&self, request: &Request<'_>, alerts: &[Value], context: &Context<'_>) -> Outcome {
        let mut odd = 0;
        let posted: Vec<Posted<'_>> = readable(alerts, &mut odd);
        self.with_tenant(request.tenant, |state| {
            self.store(request, alerts.len(), &mut state.alerts, |out| {
                out.refused.add_some("malformed", odd);
                take_posted(&posted, context, out);
            })
        })
    }

    fn context<'a>(&'a self, request: &Request<'_>, source: &'a str) -> Context<'a> {
        Context {
            source,
            received: request.received,
            resolve_timeout: self.config.resolve_timeout,
            limits: &self.limits,
            resolver: &self.resolver,
        }
    }

    fn store_posted(&self, request: &Request<'_>, alerts: &[Posted<'_>], context: &Context<'_>) -> Outcome {
        self.with_tenant(request.tenant, |state| {
            self.store(request, alerts.len(), &mut state.alerts, |out| take_posted(alerts, context, out))
        })
    }

    fn store(
        &self,
        request: &Request<'_>,
        count: usize,
        table: &mut Table,
        take: impl FnOnce(&mut Decoded<'_>),
    ) -> Outcome {
        if count > self.limits.events_max {
            let reply = Reply::json(413, &format!("{count} alerts are more than `limits.events_max`"));
            return Outcome::refused(reply, "events_max");
        }
        let mut out = Decoded { table, rows: AlertBuilder::with_capacity(count), refused: Refusals::default() };
        take(&mut out);
        let Decoded { mut rows, refused, .. } = out;
        let reply = if refused.is_empty() {
            Reply::empty(200)
        } else if refused.lost().is_empty() {
            Reply::json(200, &format!("stored; {}", refused.describe()))
        } else {
            Reply::json(400, &format!("refused: {}; the others were stored", refused.describe()))
        };
        let mut accepted = Accepted::default();
        accepted.add_rows(rows.finish_for(request.tenant));
        Outcome::store(accepted, refused, reply)
    }

    fn post_silence(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let posted: PostedSilence = serde_json::from_slice(&body).map_err(|error| malformed(&error))?;
        let set = self.with_tenant(request.tenant, |state| state.silences.set(posted, request.received));
        match set {
            Ok((id, action)) => Ok(acted(request, action, Reply::json(200, &serde_json::json!({"silenceID": id})))),
            Err(error) => Err(Outcome::refused(Reply::json(400, &error.to_string()), "silence")),
        }
    }

    fn delete_silence(&self, request: &Request<'_>) -> Outcome {
        let id = silence_id(request);
        let expired = self.with_tenant(request.tenant, |state| state.silences.expire(id, request.received));
        match expired {
            Some(action) => acted(request, action, Reply::empty(200)),
            None => Outcome::refused(Reply::empty(404), "silence"),
        }
    }

    fn get_silence(&self, request: &Request<'_>) -> Reply {
        self.with_tenant(request.tenant, |state| api::silence(state, silence_id(request), request.received))
    }

    fn get_status(&self, request: &Request<'_>) -> Reply {
        api::status(*self.started.get_or_init(|| request.received))
    }

    fn get_alerts(&self, request: &Request<'_>) -> Reply {
        self.with_tenant(request.tenant, |state| api::alerts(state, request))
    }

    fn get_groups(&self, request: &Request<'_>) -> Reply {
        self.with_tenant(request.tenant, |state| api::groups(state, request))
    }

    fn get_silences(&self, request: &Request<'_>) -> Reply {
        self.with_tenant(request.tenant, |state| api::silences(state, request))
    }
}

/// The `{id}` of `/silence/{id}`.
fn silence_id<'r>(request: &Request<'r>) -> &'r str {
    request.path.rsplit('/').next().unwrap_or_default()
}

fn acted(request: &Request<'_>, action: Action, reply: Reply) -> Outcome {
    let mut accepted = Accepted::default();
    accepted.add_one(Input::Action { tenant: request.tenant.shared(), at: request.received, action });
    Outcome::store(accepted, Refusals::default(), reply)
}

/// The body as text, checked once instead of string by string.
fn text(body: &[u8]) -> Result<&str, Outcome> {
    std::str::from_utf8(body).map_err(|error| malformed(&error))
}

fn malformed(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::refused(Reply::json(400, &format!("not the JSON expected: {error}")), "malformed")
}

impl HttpHandler for Alertmanager {
    fn lane(&self) -> Lane {
        Lane::Alerts
    }

    fn routes(&self) -> Vec<Route<Alertmanager>> {
        let prefix = self.config.path_prefix.trim_end_matches('/');
        let api = |path: &str| format!("{prefix}/api/v2/{path}");
        vec![
            Route::post(&self.config.webhook_path, Alertmanager::post_webhook),
            Route::get(api("status"), Alertmanager::get_status),
            Route::get(api("receivers"), |_, _| api::receivers()),
            Route::get(api("alerts"), Alertmanager::get_alerts),
            Route::post(api("alerts"), Alertmanager::post_alerts),
            Route::get(api("alerts/groups"), Alertmanager::get_groups),
            Route::get(api("silences"), Alertmanager::get_silences),
            Route::post(api("silences"), Alertmanager::post_silence).acting(),
            Route::get(api("silence/{id}"), Alertmanager::get_silence),
            Route::delete(api("silence/{id}"), Alertmanager::delete_silence).acting(),
        ]
    }
}

#[cfg(test)]
mod tests;
