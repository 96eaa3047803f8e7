//! Changes: who deployed what, when. CDEvents are the normal form; other tools' webhooks are
//! read into it.
//!
//! ```yaml
//! changes:
//!   github:                     # /changes/github/shop
//!     - { hook: shop, tenant: acme, secret_file: /run/secrets/github }
//! ```
//!
//! | path | sender | credential |
//! |---|---|---|
//! | `/changes/cdevents` | CDEvents in CloudEvents, binary or structured; Argo CD by template | token |
//! | `/changes/plain` | `{"service": …, "type": …, "text": …}` from a script | token |
//! | `/changes/gitlab` | GitLab deployment events | `X-Gitlab-Token` |
//! | `/changes/github/{hook}` | GitHub `deployment_status` | HMAC-SHA256 over the body |
//! | `/v2/change/enqueue` | PagerDuty change events | token |
//!
//! A deployment that only starts is answered and not kept: it changes nothing yet.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_engine::signal::{ChangeBuilder, TenantName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::decode::changes::{self as read, push};
use crate::intake::reject::Refusals;
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::auth::{Auth, AuthError, from_hex, read_secret};
use crate::server::doors::Lane;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route, Unsigned};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// Which webhooks are received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesConfig {
    /// GitHub webhooks, each with its secret.
    pub github: Vec<GithubHook>,
}

impl WireConfig for ChangesConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| {
            Ok(Changes::new(self, shared.auth.clone(), shared.limits.clone(), shared.resolver.clone())?)
        })]
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.github.iter_mut().map(|hook| &mut hook.secret_file).collect()
    }

    fn reads_files(&self) -> bool {
        true
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "changes: CDEvents, GitHub, GitLab, PagerDuty, plain (`src/wires/changes`)",
            at: "`/changes/…`, `/v2/change/enqueue`",
            answers: "202; 401 for a wrong signature; 503 full",
            again: "by change id",
            peer: "PagerDuty's client for Python, refused and accepted the second time; GitHub's `deployment_status` as its client library keeps them; CDEvents, GitLab and plain from documentation",
        }]
    }
}

/// One GitHub webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubHook {
    /// The last part of its path.
    pub hook: String,
    /// Whose changes it tells.
    pub tenant: String,
    /// A file with the webhook's secret.
    pub secret_file: PathBuf,
}

struct Hook {
    name: String,
    tenant: TenantName,
    key: ring::hmac::Key,
}

/// The wire.
pub struct Changes {
    hooks: Vec<Hook>,
    auth: Arc<Auth>,
    limits: Limits,
    resolver: Arc<EntityResolver>,
}

impl Changes {
    /// Reads the webhooks' secrets.
    ///
    /// # Errors
    /// [`AuthError`] when a secret cannot be read or a tenant's name is odd.
    pub fn new(
        config: &ChangesConfig,
        auth: Arc<Auth>,
        limits: Limits,
        resolver: Arc<EntityResolver>,
    ) -> Result<Changes, AuthError> {
        let mut hooks = Vec::with_capacity(config.github.len());
        for hook in &config.github {
            let secret = read_secret(&hook.secret_file)?;
            hooks.push(Hook {
                name: hook.hook.clone(),
                tenant: TenantName::new(&hook.tenant)?,
                key: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()),
            });
        }
        Ok(Changes { hooks, auth, limits, resolver })
    }

    /// Takes a document that `read` understands, or a list of them (CloudEvents in batches), and answers
    /// `reply`. A form has the document in `payload`, as GitHub sends it unless told otherwise.
    fn take(
        &self,
        request: &Request<'_>,
        read: impl Fn(read::Source<'_>) -> read::Read,
        reply: Reply,
    ) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let malformed = |text: String| Outcome::refused(Reply::json(400, &json!({"message": text})), "malformed");
        let is_form = request.media_type() == "application/x-www-form-urlencoded" && !starts_as_json(&body);
        let body = match is_form {
            true => payload_of(&body).ok_or_else(|| {
                let text = "a form without `payload`: choose the content type application/json in the hook";
                Outcome::refused(Reply::json(415, &json!({"message": text})), "content_type")
            })?,
            false => body,
        };
        let document: Value = serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
        let mut accepted = Accepted::default();
        let mut refused = Refusals::default();
        let mut builder = ChangeBuilder::new();
        let Value::Array(list) = &document else {
            let change = read(read::Source { resolver: &self.resolver, document: &document, body: &body });
            if let Some(change) = change.map_err(|reason| malformed(reason.to_owned()))? {
                push(&change, self.limits.believed(change.time, request.received), &mut builder);
                accepted.add_rows(builder.finish_for(request.tenant));
            }
            return Ok(Outcome::store(accepted, refused, reply));
        };
        if list.len() > self.limits.events_max {
            let text = json!({"message": "more events than `limits.events_max`"});
            return Err(Outcome::refused(Reply::json(413, &text), "events_max"));
        }
        let mut first = "";
        for document in list {
            // Without an id of its own it is known by its own text.
            let body = document.to_string();
            match read(read::Source { resolver: &self.resolver, document, body: body.as_bytes() }) {
                Ok(Some(change)) => {
                    push(&change, self.limits.believed(change.time, request.received), &mut builder);
                }
                Ok(None) => {}
                Err(reason) => {
                    first = if first.is_empty() { reason } else { first };
                    refused.add("malformed", 1);
                }
            }
        }
        accepted.add_rows(builder.finish_for(request.tenant));
        let reply = match refused.is_empty() {
            true => reply,
            false => {
                let text = format!("refused: {} ({first}); the others were stored", refused.describe());
                Reply::json(400, &json!({"message": text}))
            }
        };
        Ok(Outcome::store(accepted, refused, reply))
    }

    fn cdevent(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        self.take(request, |from| from.cdevent(), Reply::empty(202))
    }

    fn plain(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        self.take(request, |from| from.plain(), Reply::empty(202))
    }

    fn gitlab(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        self.take(request, |from| from.gitlab(), Reply::empty(202))
    }

    fn github(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let (event, delivery) = (request.header("x-github-event"), request.header("x-github-delivery"));
        self.take(request, |from| from.github(event, delivery), Reply::empty(202))
    }

    fn pagerduty(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let taken = json!({"status": "success", "message": "Change event processed"});
        self.take(request, |from| from.pagerduty(), Reply::json(202, &taken))
    }
}

/// Whether a body is JSON, whatever its sender calls it: curl calls every body a form.
fn starts_as_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The field `payload` of a form.
fn payload_of(body: &[u8]) -> Option<Cow<'static, [u8]>> {
    let (_, payload) = form_urlencoded::parse(body.trim_ascii()).find(|(name, _)| name == "payload")?;
    Some(Cow::Owned(payload.into_owned().into_bytes()))
}

impl HttpHandler for Changes {
    fn lane(&self) -> Lane {
        Lane::Alerts
    }

    fn routes(&self) -> Vec<Route<Changes>> {
        vec![
            Route::post_or_put("/changes/cdevents", Changes::cdevent),
            Route::post_or_put("/changes/plain", Changes::plain),
            Route::post_or_put("/v2/change/enqueue", Changes::pagerduty),
            Route::post_or_put("/changes/gitlab", Changes::gitlab).own(),
            Route::post_or_put("/changes/github/{hook}", Changes::github).own(),
        ]
    }

    /// The tenant of a webhook that signs its body or carries its own token.
    fn tenant_of(&self, request: &Unsigned<'_>) -> Option<TenantName> {
        let header = |name: &str| request.headers.get(name)?.to_str().ok().map(str::trim);
        if request.path == "/changes/gitlab" {
            return self.auth.tenant_of_token(header("x-gitlab-token").unwrap_or_default());
        }
        let name = request.path.strip_prefix("/changes/github/")?;
        let hook = self.hooks.iter().find(|hook| hook.name == name)?;
        let signature = from_hex(header("x-hub-signature-256")?.strip_prefix("sha256=")?)?;
        // In constant time, over the body as it came.
        ring::hmac::verify(&hook.key, request.body, &signature).ok()?;
        Some(hook.tenant.clone())
    }
}

#[cfg(test)]
mod tests;
